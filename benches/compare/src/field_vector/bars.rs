//! Our own limits, judged from what this run measured.

use super::{OURS, rows, time};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::{ChapterRecord, Row, Series};
use millpond_bench::stats::{Estimate, median};

/// Bytes of the 768 f32 of a row.
const ROW_BYTES: f64 = 3072.0;

/// Bytes of the id by which the user names it, which are not the pool's.
const ID_BYTES: f64 = 8.0;

pub fn bars(chapter: &ChapterRecord) -> Vec<Bar> {
    let mut bars = Vec::new();
    bars.extend(nanos(chapter, rows::LEASE, 3.0));
    bars.extend(against(chapter, rows::FILL, OURS, time::HELD, 1.10));
    bars.extend(against(chapter, rows::COPY, OURS, time::HELD, 1.10));
    for (row, _) in rows::RAGGED {
        bars.extend(against(chapter, row, OURS, time::BACK_TO_BACK, 0.75));
    }
    bars.extend(against(
        chapter,
        rows::BUILD,
        time::PREFAULTED,
        time::SMALL_PAGES,
        0.3,
    ));
    bars.extend(bandwidth(chapter));
    bars.extend(against(chapter, rows::GATHER, OURS, "Vec<Vec<f32>>", 0.85));
    bars.extend(footprint(chapter));
    bars.extend(allocations(chapter));
    bars
}

fn against(chapter: &ChapterRecord, row: &str, own: &str, peer: &str, limit: f64) -> Option<Bar> {
    Some(ratio(chapter.row(row)?, own, peer, limit))
}

fn ratio(row: &Row, own: &str, peer: &str, limit: f64) -> Bar {
    let own = row.series(own).unwrap_or(&NOTHING);
    let other = row.series(peer).unwrap_or(&NOTHING);
    let measured = Estimate::of_ratio(&own.values, &other.values);
    let fat = Estimate::of_ratio(&own.fat, &other.fat);
    Bar::judge(&row.title, peer, (limit, Figure::Ratio), measured, fat)
}

fn nanos(chapter: &ChapterRecord, row: &str, limit: f64) -> Option<Bar> {
    let row = chapter.row(row)?;
    let own = row.series(OURS).unwrap_or(&NOTHING);
    let limit = (limit, Figure::Nanos);
    Some(Bar::judge(
        &row.title,
        "",
        limit,
        own.estimate,
        own.fat_estimate,
    ))
}

/// At least 0.9 of the bandwidth of the fastest reading loop, so at most so many
/// times its time.
fn bandwidth(chapter: &ChapterRecord) -> Option<Bar> {
    let row = chapter.row(rows::SCAN)?;
    let loops = time::READING.iter().filter_map(|name| row.series(name));
    let measured = loops.filter(|series| !series.values.is_empty());
    let fastest = measured.min_by(|a, b| median(&a.values).total_cmp(&median(&b.values)));
    let fastest = fastest.map_or(time::READING[0], |series| &series.contender);
    Some(ratio(row, OURS, fastest, 1.0 / 0.9))
}

fn footprint(chapter: &ChapterRecord) -> Option<Bar> {
    let row = chapter.row(rows::FOOTPRINT)?;
    let own = row.series(OURS).unwrap_or(&NOTHING);
    let shares: Vec<f64> = own
        .values
        .iter()
        .map(|bytes| (bytes - ID_BYTES) / ROW_BYTES)
        .collect();
    let against = "3,072 bytes of numbers; the id of 8 is the user's";
    let limit = (1.01, Figure::Ratio);
    Some(Bar::judge(
        &row.title,
        against,
        limit,
        Estimate::of(&shares),
        None,
    ))
}

fn allocations(chapter: &ChapterRecord) -> Option<Bar> {
    let row = chapter.row(rows::ALLOCATIONS)?;
    let own = row.series(OURS).unwrap_or(&NOTHING);
    Some(Bar::judge(
        &row.title,
        "",
        (0.0, Figure::Count),
        own.estimate,
        None,
    ))
}

/// Stands in for a contender that did not take part.
static NOTHING: Series = Series {
    contender: String::new(),
    values: Vec::new(),
    estimate: None,
    fat: Vec::new(),
    fat_estimate: None,
};
