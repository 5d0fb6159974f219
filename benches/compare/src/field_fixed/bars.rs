//! Our own limits, judged from what this run measured.

use super::{kinds, rows};
use crate::contenders::SHARED;
use crate::ours::{LIST, LOCAL};
use crate::variants::{NO_COUNTERS, NO_RECLAIM, SHIPPED};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::ChapterRecord;
use millpond_bench::stats::Estimate;

/// The allocators of which the fastest is the limit.
const ALLOCATORS: [&str; 3] = ["Box on mimalloc", "Box on jemalloc", "Box on snmalloc"];
const SNMALLOC: &str = "Box on snmalloc";
const OPOOL: &str = "opool";

/// Bytes that a burst may leave behind, whatever was there before.
const LEFT_BEHIND_MIB: f64 = 4.0;

/// Row, contender, peer, and how much of its time we may take.
const RATIOS: [(&str, &str, &str, f64); 9] = [
    (rows::CROSS, SHARED, SNMALLOC, 1.0),
    (rows::CHANNEL, SHARED, SNMALLOC, 1.0),
    (rows::LOCAL_PAIR, LOCAL, LIST, 1.1),
    (rows::LOCAL_HELD, LOCAL, LIST, 0.7),
    (rows::OBJECT, kinds::OBJECTS, SHARED, 1.1),
    (rows::LOOKUP, kinds::IDS, kinds::SLOTMAP, 1.0),
    (rows::BATCH, kinds::AT_ONCE, SHARED, 0.6),
    (rows::LARGE, kinds::OBJECTS, kinds::MADE, 0.05),
    (rows::MANY_POOLS, kinds::THOUSAND, SHARED, 2.0),
];

/// Row, against what, figure.
const ABSOLUTE: [(&str, &str, f64, Figure); 3] = [
    (
        rows::SCALING,
        "its own single-thread cost, machine divided out",
        1.10,
        Figure::Ratio,
    ),
    (rows::EXHAUSTED, "", 100.0, Figure::Nanos),
    (rows::ALLOCATIONS, "", 0.0, Figure::Count),
];

pub fn bars(chapter: &ChapterRecord) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (row, _) in rows::PAIR {
        let row = chapter.judged(row);
        bars.push(row.ratio(SHARED, OPOOL, 0.18));
        bars.push(row.ratio_to_fastest(SHARED, &ALLOCATORS, 0.85));
    }
    for (row, _) in rows::HELD {
        let row = chapter.judged(row);
        bars.push(row.ratio(SHARED, OPOOL, 0.3));
        bars.push(row.ratio_to_fastest(SHARED, &ALLOCATORS, 0.8));
    }
    bars.extend(RATIOS.map(|(row, own, peer, limit)| chapter.judged(row).ratio(own, peer, limit)));
    bars.extend(ABSOLUTE.map(|(row, against, limit, figure)| {
        chapter
            .judged(row)
            .at_most(SHARED, against, (limit, figure))
    }));
    let row = chapter.judged(rows::MECHANISM);
    bars.push(row.cost_of("being reclaimable, a pair", SHIPPED, NO_RECLAIM, 0.4));
    bars.push(row.cost_of("counters, a pair", SHIPPED, NO_COUNTERS, 0.1));
    bars.push(burst(chapter));
    bars
}

/// Memory after the burst, as a share of what may be left: ≤ 1 is within the limit.
fn burst(chapter: &ChapterRecord) -> Bar {
    let values = |row| {
        let own = chapter.judged(row).series(SHARED);
        own.map_or(&[][..], |series| &series.values)
    };
    let allowed = |before: f64| before + (before * 0.10).max(LEFT_BEHIND_MIB);
    let before = values(rows::BURST_BEFORE).iter();
    let shares: Vec<f64> = before
        .zip(values(rows::BURST_AFTER))
        .map(|(before, after)| after / allowed(*before))
        .collect();
    Bar::judge(
        "memory after a burst",
        "before + max(10 %, 4 MiB)",
        (1.0, Figure::Ratio),
        Estimate::of(&shares),
        None,
    )
}
