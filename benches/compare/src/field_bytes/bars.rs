//! Our own limits, judged from what this run measured.

use super::contenders::{OURS, ZEROPOOL};
use super::{rows, time};
use crate::variants::{NO_COUNTERS, SHIPPED};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::ChapterRecord;

/// The allocators of which the fastest is the limit.
const ALLOCATORS: [&str; 3] = ["mimalloc", "jemalloc", "snmalloc"];

/// Row, peer, and how much of its time we may take.
const RATIOS: [(&str, &str, f64); 5] = [
    (rows::MIXED, ZEROPOOL, 0.4),
    (rows::TOUCHED, "mimalloc", 0.9),
    (rows::ZEROED, "snmalloc", 1.0),
    (rows::WIPED, time::MEMSET, 1.2),
    (rows::REUSE, time::QUEUE, 0.4),
];

/// Row, against what, figure.
const ABSOLUTE: [(&str, &str, f64, Figure); 3] = [
    (
        rows::SCALING,
        "its own single-thread cost, machine divided out",
        1.15,
        Figure::Ratio,
    ),
    (rows::LOAD, "160 million in a second", 6.25, Figure::Nanos),
    (rows::ALLOCATIONS, "", 0.0, Figure::Count),
];

/// 98.8 % of a million allocations are saved by the reference.
const COLD_ALLOCATIONS: f64 = 12e3;

/// Misses in a million that the reference's planning table has, a level of traffic each.
const MISSES: [f64; 4] = [10e3, 20e3, 30e3, 50e3];

pub fn bars(chapter: &ChapterRecord) -> Vec<Bar> {
    let mut bars = Vec::new();
    for row in ["pair-4k", "pair-64k"] {
        let row = chapter.judged(row);
        bars.push(row.at_most(OURS, "", (4.0, Figure::Nanos)));
        bars.push(row.ratio(OURS, ZEROPOOL, 0.4));
        bars.push(row.ratio_to_fastest(OURS, &ALLOCATORS, 1.0));
    }
    bars.extend(RATIOS.map(|(row, peer, limit)| chapter.judged(row).ratio(OURS, peer, limit)));
    bars.extend(ABSOLUTE.map(|(row, against, limit, figure)| {
        chapter.judged(row).at_most(OURS, against, (limit, figure))
    }));
    let cold = rows::COLD.into_iter().map(|row| (row, COLD_ALLOCATIONS));
    let misses = rows::MISSES.into_iter().zip(MISSES);
    bars.extend(cold.chain(misses).map(|(row, most)| {
        let row = chapter.judged(row);
        row.at_most(OURS, "the reference's", (most, Figure::Count))
    }));
    // What statistics add to a pair, finding out what is counted included.
    let row = chapter.judged(rows::STATISTICS);
    bars.push(row.cost_of(&row.title, SHIPPED, NO_COUNTERS, 0.5));
    bars
}
