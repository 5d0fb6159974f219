//! Our own limits, judged from what this run measured.

use super::collections::{COPY, ON_BUMP};
use super::documents::VALUE;
use super::{MUTEX, NEW, OURS, RESET, rows};
use crate::variants;
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::{ChapterRecord, Series};
use millpond_bench::stats::{Estimate, difference_of_medians};

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
    let absolute = ABSOLUTE.iter().filter_map(|&(id, limit, figure)| {
        let row = chapter.row(id)?;
        let own = row.series(OURS).unwrap_or(&NOTHING);
        let limit = (limit, figure);
        Some(Bar::judge(
            &row.title,
            "",
            limit,
            own.estimate,
            own.fat_estimate,
        ))
    });
    let ratios = RATIOS.iter().filter_map(|&(id, peer, limit)| {
        let row = chapter.row(id)?;
        let own = row.series(OURS).unwrap_or(&NOTHING);
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
    });
    absolute.chain(ratios).chain(statistics(chapter)).collect()
}

/// What statistics cost, as a difference of medians.
fn statistics(chapter: &ChapterRecord) -> Option<Bar> {
    let row = chapter.row(rows::MECHANISM)?;
    let values = |name| row.series(name).map_or(&[][..], |series| &series.values);
    let (with, without) = (values(variants::SHIPPED), values(variants::NO_COUNTERS));
    Some(Bar::judge(
        "statistics, a lease",
        "the same code without counters",
        (1.0, Figure::Nanos),
        difference_of_medians(with, without),
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
