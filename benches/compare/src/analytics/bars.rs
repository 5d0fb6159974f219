//! Our own limits, judged from what this run measured.

use super::rows;
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::ChapterRecord;
use millpond_bench::stats::Estimate;

/// An acquire and a release.
const OPERATIONS_IN_A_PAIR: f64 = 2.0;

const NANOS_IN_A_MICRO: f64 = 1000.0;

pub fn bars(chapter: &ChapterRecord) -> Vec<Bar> {
    let nanos = NANOS_IN_A_MICRO;
    // Row, contender, what a figure is multiplied by, the limit in nanoseconds.
    let limits = [
        (rows::LOOK, rows::SNAPSHOT, nanos, 200e3),
        (rows::LOOK, rows::TEXT, nanos, 2e6),
        (rows::LOOK, rows::OPEN_METRICS, nanos, 2e6),
        (
            rows::RECORD,
            rows::RECORDED,
            1.0 / OPERATIONS_IN_A_PAIR,
            15.0,
        ),
        (rows::ADVISE, rows::ADVISOR, nanos, 100e6),
    ];
    let judge = |(row, contender, times, limit)| bar(chapter, row, contender, times, limit);
    limits.into_iter().filter_map(judge).collect()
}

fn bar(chapter: &ChapterRecord, row: &str, contender: &str, times: f64, limit: f64) -> Option<Bar> {
    let row = chapter.row(row)?;
    let values = row.series(contender).map(|series| &series.values[..]);
    let nanos: Vec<f64> = values
        .unwrap_or_default()
        .iter()
        .map(|v| v * times)
        .collect();
    let what = match contender {
        rows::RECORDED => "an operation that is recorded".to_owned(),
        _ => format!(
            "{}: {}",
            row.title,
            contender.trim_start_matches("millpond, ")
        ),
    };
    let limit = (limit, Figure::Nanos);
    Some(Bar::judge(what, "", limit, Estimate::of(&nanos), None))
}
