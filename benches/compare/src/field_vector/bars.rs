//! Our own limits, judged from what this run measured.

use super::{OURS, rows, time};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::ChapterRecord;
use millpond_bench::stats::{Estimate, median};

/// Bytes of the 768 f32 of a row.
const ROW_BYTES: f64 = 3072.0;

/// Bytes of the id by which the user names it, which are not the pool's.
const ID_BYTES: f64 = 8.0;

/// At least so much of the bandwidth of the fastest reading loop.
const BANDWIDTH: f64 = 0.9;

/// Row, contender, peer, and how much of its time we may take.
const RATIOS: [(&str, &str, &str, f64); 3] = [
    (rows::FILL, OURS, time::HELD, 1.10),
    (rows::COPY, OURS, time::HELD, 1.10),
    (rows::GATHER, OURS, "Vec<Vec<f32>>", 0.85),
];

/// What a build in huge pages may take of the time in small ones.
const HUGE_PAGES: f64 = 0.3;

/// Small pages, in MiB, beyond which a store was not granted huge ones.
const GRANTED_MIB: f64 = 2.0;

pub fn bars(chapter: &ChapterRecord) -> Vec<Bar> {
    let lease = chapter.judged(rows::LEASE);
    let mut bars = vec![lease.at_most(OURS, "", (3.0, Figure::Nanos))];
    bars.extend(RATIOS.map(|(row, own, peer, limit)| chapter.judged(row).ratio(own, peer, limit)));
    bars.extend(
        rows::RAGGED.map(|(row, _)| chapter.judged(row).ratio(OURS, time::BACK_TO_BACK, 0.75)),
    );
    let builds = [rows::BUILD, rows::BUILD_AGAIN].map(|row| {
        let built = chapter.judged(row);
        let bar = built.ratio(time::PREFAULTED, time::SMALL_PAGES, HUGE_PAGES);
        bar.where_granted(are_granted(chapter))
    });
    bars.extend(builds);
    let scan = chapter.judged(rows::SCAN);
    bars.push(scan.ratio_to_fastest(OURS, &time::READING, 1.0 / BANDWIDTH));
    bars.push(footprint(chapter));
    let allocations = chapter.judged(rows::ALLOCATIONS);
    bars.push(allocations.at_most(OURS, "", (0.0, Figure::Count)));
    bars
}

/// Whether the store whose build is judged got the huge pages that it asked for.
fn are_granted(chapter: &ChapterRecord) -> bool {
    let granted = chapter.row(rows::GRANTED);
    let small = granted.and_then(|row| row.series(time::BUILT_GRANTED));
    small.is_some_and(|small| median(&small.values) <= GRANTED_MIB)
}

fn footprint(chapter: &ChapterRecord) -> Bar {
    let row = chapter.judged(rows::FOOTPRINT);
    let own = row.series(OURS).map_or(&[][..], |series| &series.values);
    let shares: Vec<f64> = own
        .iter()
        .map(|bytes| (bytes - ID_BYTES) / ROW_BYTES)
        .collect();
    Bar::judge(
        &row.title,
        "3,072 bytes of numbers; the id of 8 is the user's",
        (1.01, Figure::Ratio),
        Estimate::of(&shares),
        None,
    )
}
