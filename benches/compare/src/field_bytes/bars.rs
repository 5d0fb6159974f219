//! Our own limits, judged from what this run measured.

use super::contenders::{OURS, ZEROPOOL};
use super::{rows, time};
use crate::variants;
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::{ChapterRecord, Row, Series};
use millpond_bench::stats::{Estimate, difference_of_medians, median};

/// The allocators of which the fastest is the limit.
const ALLOCATORS: [&str; 3] = ["mimalloc", "jemalloc", "snmalloc"];

pub fn bars(chapter: &ChapterRecord) -> Vec<Bar> {
    let mut bars = Vec::new();
    for row in ["pair-4k", "pair-64k"] {
        bars.extend(absolute(chapter, row, "", (4.0, Figure::Nanos)));
        bars.extend(against(chapter, row, ZEROPOOL, 0.4));
        bars.extend(against_fastest(chapter, row, 1.0));
    }
    bars.extend(against(chapter, rows::MIXED, ZEROPOOL, 0.4));
    bars.extend(against(chapter, rows::TOUCHED, "mimalloc", 0.9));
    bars.extend(against(chapter, rows::ZEROED, "snmalloc", 1.0));
    bars.extend(against(chapter, rows::WIPED, time::MEMSET, 1.2));
    bars.extend(against(chapter, rows::REUSE, time::QUEUE, 0.4));
    let single = "its own single-thread cost, machine divided out";
    bars.extend(absolute(
        chapter,
        rows::SCALING,
        single,
        (1.15, Figure::Ratio),
    ));
    let load = "160 million in a second";
    bars.extend(absolute(chapter, rows::LOAD, load, (6.25, Figure::Nanos)));
    bars.extend(absolute(
        chapter,
        rows::ALLOCATIONS,
        "",
        (0.0, Figure::Count),
    ));
    for row in rows::COLD {
        // 98.8 % of a million are saved by the reference.
        bars.extend(absolute(
            chapter,
            row,
            "the reference's",
            (12e3, Figure::Count),
        ));
    }
    bars.extend(statistics(chapter));
    for (row, most) in rows::MISSES.into_iter().zip([10e3, 20e3, 30e3, 50e3]) {
        bars.extend(absolute(
            chapter,
            row,
            "the reference's",
            (most, Figure::Count),
        ));
    }
    bars
}

/// What statistics add to a pair: 0.5 ns, finding out what is counted included.
fn statistics(chapter: &ChapterRecord) -> Option<Bar> {
    let row = chapter.row(rows::STATISTICS)?;
    let with = row.series(variants::SHIPPED)?;
    let without = row.series(variants::NO_COUNTERS)?;
    let measured = difference_of_medians(&with.values, &without.values);
    let limit = (0.5, Figure::Nanos);
    Some(Bar::judge(
        &row.title,
        "the same code without counters",
        limit,
        measured,
        None,
    ))
}

fn against(chapter: &ChapterRecord, row: &str, peer: &str, limit: f64) -> Option<Bar> {
    Some(ratio(chapter.row(row)?, peer, limit))
}

/// Against whichever of the three allocators had the lowest median in this run.
fn against_fastest(chapter: &ChapterRecord, row: &str, limit: f64) -> Option<Bar> {
    let row = chapter.row(row)?;
    let present = ALLOCATORS.iter().filter_map(|name| row.series(name));
    let fastest = present
        .filter(|series| !series.values.is_empty())
        .min_by(|a, b| median(&a.values).total_cmp(&median(&b.values)));
    let fastest = fastest.map_or(ALLOCATORS[0], |series| &series.contender);
    Some(ratio(row, fastest, limit))
}

fn ratio(row: &Row, peer: &str, limit: f64) -> Bar {
    let own = row.series(OURS).unwrap_or(&NOTHING);
    let other = row.series(peer).unwrap_or(&NOTHING);
    let measured = Estimate::of_ratio(&own.values, &other.values);
    let fat = Estimate::of_ratio(&own.fat, &other.fat);
    Bar::judge(&row.title, peer, (limit, Figure::Ratio), measured, fat)
}

fn absolute(
    chapter: &ChapterRecord,
    row: &str,
    against: &str,
    limit: (f64, Figure),
) -> Option<Bar> {
    let row = chapter.row(row)?;
    let own = row.series(OURS).unwrap_or(&NOTHING);
    Some(Bar::judge(
        &row.title,
        against,
        limit,
        own.estimate,
        own.fat_estimate,
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
