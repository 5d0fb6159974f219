//! Our own limits, judged from what this run measured.

use super::{kinds, rows};
use crate::ours;
use crate::variants;
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::{ChapterRecord, Row, Series};
use millpond_bench::stats::{Estimate, difference_of_medians, median};

/// The allocators of which the fastest is the limit.
const ALLOCATORS: [&str; 3] = ["Box on mimalloc", "Box on jemalloc", "Box on snmalloc"];
const SNMALLOC: &str = "Box on snmalloc";
const OPOOL: &str = "opool";

/// Bytes that a burst may leave behind, whatever was there before.
const LEFT_BEHIND_MIB: f64 = 4.0;

pub fn bars(chapter: &ChapterRecord) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (row, _) in rows::PAIR {
        bars.extend(against_peer(chapter, row, OPOOL, 0.18));
        bars.extend(against_fastest(chapter, row, 0.85));
    }
    for (row, _) in rows::HELD {
        bars.extend(against_peer(chapter, row, OPOOL, 0.3));
        bars.extend(against_fastest(chapter, row, 0.8));
    }
    for row in [rows::CROSS, rows::CHANNEL] {
        bars.extend(against_peer(chapter, row, SNMALLOC, 1.0));
    }
    let single = "its own single-thread cost, machine divided out";
    bars.extend(absolute(
        chapter,
        rows::SCALING,
        single,
        (1.10, Figure::Ratio),
    ));
    bars.extend(absolute(
        chapter,
        rows::EXHAUSTED,
        "",
        (100.0, Figure::Nanos),
    ));
    bars.extend(against_list(chapter, rows::LOCAL_PAIR, 1.1));
    bars.extend(against_list(chapter, rows::LOCAL_HELD, 0.7));
    for (row, own, peer, limit) in [
        (rows::OBJECT, kinds::OBJECTS, ours::SHARED, 1.1),
        (rows::LOOKUP, kinds::IDS, kinds::SLOTMAP, 1.0),
        (rows::BATCH, kinds::AT_ONCE, ours::SHARED, 0.6),
        (rows::LARGE, kinds::OBJECTS, kinds::MADE, 0.05),
        (rows::MANY_POOLS, kinds::THOUSAND, ours::SHARED, 2.0),
    ] {
        let row = chapter.row(row);
        bars.extend(row.and_then(|row| ratio(row, own, peer, limit)));
    }
    bars.extend(mechanisms(chapter));
    bars.extend(absolute(
        chapter,
        rows::ALLOCATIONS,
        "",
        (0.0, Figure::Count),
    ));
    bars.extend(burst(chapter));
    bars
}

fn against_peer(chapter: &ChapterRecord, row: &str, peer: &str, limit: f64) -> Option<Bar> {
    ratio(chapter.row(row)?, ours::SHARED, peer, limit)
}

/// Against whichever of the three allocators had the lowest median in this run.
fn against_fastest(chapter: &ChapterRecord, row: &str, limit: f64) -> Option<Bar> {
    let row = chapter.row(row)?;
    let present = ALLOCATORS.iter().filter_map(|name| row.series(name));
    let by_median = |a: &&Series, b: &&Series| median(&a.values).total_cmp(&median(&b.values));
    let fastest = present
        .filter(|series| !series.values.is_empty())
        .min_by(by_median);
    ratio(
        row,
        ours::SHARED,
        fastest.map_or(SNMALLOC, |series| &series.contender),
        limit,
    )
}

fn against_list(chapter: &ChapterRecord, row: &str, limit: f64) -> Option<Bar> {
    ratio(chapter.row(row)?, ours::LOCAL, ours::LIST, limit)
}

fn ratio(row: &Row, own: &str, peer: &str, limit: f64) -> Option<Bar> {
    let own = row.series(own).unwrap_or(&NOTHING);
    let other = row.series(peer).unwrap_or(&NOTHING);
    let measured = Estimate::of_ratio(&own.values, &other.values);
    let fat = Estimate::of_ratio(&own.fat, &other.fat);
    Some(Bar::judge(
        &row.title,
        peer,
        (limit, Figure::Ratio),
        measured,
        fat,
    ))
}

fn absolute(
    chapter: &ChapterRecord,
    row: &str,
    against: &str,
    limit: (f64, Figure),
) -> Option<Bar> {
    let row = chapter.row(row)?;
    let own = row.series(ours::SHARED).unwrap_or(&NOTHING);
    Some(Bar::judge(
        &row.title,
        against,
        limit,
        own.estimate,
        own.fat_estimate,
    ))
}

/// What being reclaimable and being counted cost, as differences of medians.
fn mechanisms(chapter: &ChapterRecord) -> Vec<Bar> {
    let Some(row) = chapter.row(rows::MECHANISM) else {
        return Vec::new();
    };
    let shipped = row.series(variants::SHIPPED).unwrap_or(&NOTHING);
    [
        ("being reclaimable, a pair", variants::NO_RECLAIM, 0.4),
        ("counters, a pair", variants::NO_COUNTERS, 0.1),
    ]
    .map(|(what, without, limit)| {
        let other = row.series(without).unwrap_or(&NOTHING);
        let measured = difference_of_medians(&shipped.values, &other.values);
        let against = format!("the same code {without}");
        Bar::judge(what, against, (limit, Figure::Nanos), measured, None)
    })
    .into()
}

/// Memory after the burst, as a share of what may be left: ≤ 1 is within the limit.
fn burst(chapter: &ChapterRecord) -> Option<Bar> {
    let values = |row| Some(&chapter.row(row)?.series(ours::SHARED)?.values);
    let allowed = |before: f64| before + (before * 0.10).max(LEFT_BEHIND_MIB);
    let shares = values(rows::BURST_BEFORE)
        .zip(values(rows::BURST_AFTER))
        .map(|(before, after)| -> Vec<f64> {
            before
                .iter()
                .zip(after)
                .map(|(before, after)| after / allowed(*before))
                .collect()
        });
    let measured = shares.and_then(|shares| Estimate::of(&shares));
    let against = "before + max(10 %, 4 MiB)";
    Some(Bar::judge(
        "memory after a burst",
        against,
        (1.0, Figure::Ratio),
        measured,
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
