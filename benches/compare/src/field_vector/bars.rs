//! Our own limits, judged from what this run measured.

use super::{OURS, rows, time};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::record::ChapterRecord;
use millpond_bench::stats::Estimate;

/// Bytes of the 768 f32 of a row.
const ROW_BYTES: f64 = 3072.0;

/// Bytes of the id by which the user names it, which are not the pool's.
const ID_BYTES: f64 = 8.0;

/// At least so much of the bandwidth of the fastest reading loop.
const BANDWIDTH: f64 = 0.9;

/// Row, contender, peer, and how much of its time we may take.
const RATIOS: [(&str, &str, &str, f64); 4] = [
    (rows::FILL, OURS, time::HELD, 1.10),
    (rows::COPY, OURS, time::HELD, 1.10),
    (rows::BUILD, time::PREFAULTED, time::SMALL_PAGES, 0.3),
    (rows::GATHER, OURS, "Vec<Vec<f32>>", 0.85),
];

pub fn bars(chapter: &ChapterRecord) -> Vec<Bar> {
    let lease = chapter.judged(rows::LEASE);
    let mut bars = vec![lease.at_most(OURS, "", (3.0, Figure::Nanos))];
    bars.extend(RATIOS.map(|(row, own, peer, limit)| chapter.judged(row).ratio(own, peer, limit)));
    bars.extend(
        rows::RAGGED.map(|(row, _)| chapter.judged(row).ratio(OURS, time::BACK_TO_BACK, 0.75)),
    );
    let scan = chapter.judged(rows::SCAN);
    bars.push(scan.ratio_to_fastest(OURS, &time::READING, 1.0 / BANDWIDTH));
    bars.push(footprint(chapter));
    let allocations = chapter.judged(rows::ALLOCATIONS);
    bars.push(allocations.at_most(OURS, "", (0.0, Figure::Count)));
    bars
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
