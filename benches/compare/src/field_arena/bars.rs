//! Our own limits, judged from what this run measured.

use super::collections::{COPY, ON_BUMP};
use super::documents::VALUE;
use super::{MUTEX, NEW, OURS, RESET, rows};
use crate::variants::{NO_COUNTERS, SHIPPED};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::ChapterRecord;

/// Row, peer, and how much of its time we may take.
const RATIOS: [(&str, &str, f64); 9] = [
    (rows::REQUEST, RESET, 1.15),
    (rows::REQUEST, MUTEX, 0.95),
    (rows::REQUEST, NEW, 0.6),
    (rows::ANY_REQUEST, RESET, 1.15),
    (rows::ANY_REQUEST, MUTEX, 0.95),
    (rows::TWO_THREADS, MUTEX, 0.5),
    (rows::COLLECTIONS, ON_BUMP, 0.6),
    (rows::EXTEND, COPY, 1.1),
    (rows::DOCUMENT, VALUE, 0.5),
];

/// Row and figure.
const ABSOLUTE: [(&str, f64, Figure); 3] = [
    (rows::LEASE, 8.0, Figure::Nanos),
    (rows::SCALING, 1.2, Figure::Ratio),
    (rows::ALLOCATIONS, 0.0, Figure::Count),
];

pub fn bars(chapter: &ChapterRecord) -> Vec<Bar> {
    let absolute =
        ABSOLUTE.map(|(row, limit, figure)| chapter.judged(row).at_most(OURS, "", (limit, figure)));
    let ratios = RATIOS.map(|(row, peer, limit)| chapter.judged(row).ratio(OURS, peer, limit));
    let row = chapter.judged(rows::MECHANISM);
    let statistics = row.cost_of("statistics, a lease", SHIPPED, NO_COUNTERS, 1.0);
    absolute
        .into_iter()
        .chain(ratios)
        .chain([statistics])
        .collect()
}
