//! What every system is asked of one operation as a whole: how long single ones
//! take, and what memory the process has from the system.

use super::{HEAP, POOLED};
use anyhow::Result;
use millpond_bench::chapter::{RowSpec, Section, Unit};
use millpond_bench::percentiles::{EMPTY, Latencies, SHOWN, empty_measurement};
use millpond_bench::worker::{Measurement, Request};
use millpond_bench::{counting, resident};
use std::time::{Duration, Instant};

/// Prepares a system in one mode, on pools or on the heap, and hands its operation over.
pub type Prepare = fn(&Request, bool, &mut dyn FnMut(&mut dyn FnMut())) -> Result<()>;

const PERCENTILES: [&str; 3] = ["whole-p50", "whole-p99", "whole-p999"];
const RESIDENT: &str = "whole-resident";
const PEAK: &str = "whole-peak";

/// The rows of [`latency`], under the operation's own titles.
pub const fn percentiles([p50, p99, p999]: [&'static str; 3]) -> [RowSpec; 3] {
    const fn of(id: &'static str, title: &'static str) -> RowSpec {
        let what = "single operations, each timed alone";
        RowSpec::new(id, title, what, Unit::Nanos, Section::Latency)
    }
    [
        of(PERCENTILES[0], p50),
        of(PERCENTILES[1], p99),
        of(PERCENTILES[2], p999),
    ]
}

/// The rows of [`footprint`].
pub const MEMORY: [RowSpec; 2] = {
    const fn of(id: &'static str, title: &'static str) -> RowSpec {
        let what = "as the system counts it, input and program included";
        RowSpec::space(id, title, what, Unit::Mebibytes)
    }
    [
        of(RESIDENT, "resident memory, after the work"),
        of(PEAK, "resident memory, most at once"),
    ]
};

/// Fewer samples than this say nothing about one in a thousand.
const SAMPLES: u32 = 2_000;

/// Percentiles of single operations, in each mode, or on the heap if the request names it.
pub fn latency(request: &Request, prepare: Prepare) -> Result<Vec<Measurement>> {
    counting::pause();
    let mut measured = Vec::new();
    let mut note = |name: &str, latencies: &Latencies| {
        let rows = PERCENTILES.into_iter().zip(SHOWN);
        measured.extend(rows.map(|(row, (_, quantile))| {
            Measurement::new(row, name, vec![latencies.nanos_at(quantile)])
        }));
    };
    let budget = Duration::from_micros(request.slice_micros) * request.rounds;
    let mut timed = |name: &str, operation: &mut dyn FnMut()| {
        let (mut latencies, mut samples) = (Latencies::new(), 0);
        (0..SAMPLES / 10).for_each(|_| operation());
        let began = Instant::now();
        while samples < SAMPLES || began.elapsed() < budget {
            (0..100).for_each(|_| latencies.time(&mut *operation));
            samples += 100;
        }
        note(name, &latencies);
    };
    prepare(request, false, &mut |operation| timed(HEAP, operation))?;
    if request.contender != HEAP {
        prepare(request, true, &mut |operation| timed(POOLED, operation))?;
        note(EMPTY, &empty_measurement(u64::from(SAMPLES)));
    }
    Ok(measured)
}

/// What the process has from the system after many operations in the mode that the
/// request names, and the most that it had.
pub fn footprint(request: &Request, prepare: Prepare) -> Result<Vec<Measurement>> {
    counting::pause();
    let (mode, mut found) = (request.contender.as_str(), [None; 2]);
    prepare(request, mode == POOLED, &mut |operation| {
        (0..SAMPLES / 4).for_each(|_| operation());
        found = [resident::bytes(), resident::peak_bytes()];
    })?;
    let rows = [RESIDENT, PEAK].into_iter().zip(found);
    let known = rows.filter_map(|(row, bytes)| {
        let mebibytes = bytes? as f64 / f64::from(1 << 20);
        Some(Measurement::new(row, mode, vec![mebibytes]))
    });
    Ok(known.collect())
}
