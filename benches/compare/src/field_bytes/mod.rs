//! Chapter `field-bytes`: byte pools against the field.
//!
//! ```text
//!  rows.rs        what is shown             plan.rs      which processes run, and for how long
//!  contenders.rs  what takes part           kernels.rs   the measured loops
//!  time.rs        loops, interleaved        traffic.rs   real input, and simulated servers
//!  latency.rs     operations one by one     bars.rs      our own limits
//! ```

mod bars;
mod contenders;
mod kernels;
mod latency;
mod plan;
mod rows;
mod time;
mod traffic;

use anyhow::{Context, Result};
use millpond_bench::chapter::Chapter;
use millpond_bench::worker::{Measurement, Request};

/// The chapter.
pub const CHAPTER: Chapter = Chapter {
    name: "field-bytes",
    question: "What does a pooled buffer cost, beside allocators and the pools that one would use instead?",
    caveats: &[
        "Not \"faster than malloc\" in general: sizes from 2 to 64 KiB only, where allocators begin to ask the system.",
        "Not linear scaling: two threads were measured, not more.",
        "An acquire writes one byte, unless a row says touched: the contents cost every contender the same, and more than the pool.",
        "Pools were warmed before they were timed; first use costs page faults, everywhere.",
        "opool and object-pool hold vectors of one size, so they do not take part where sizes are mixed. zeropool's buffers are asked for uninitialised, and its statistics are off.",
        "Allocators are called with constant layouts where the size is constant.",
        "The reference's planning table was measured on its server; ours is a simulation of its traffic levels, with no network in it.",
        "A bar counts as met when three full runs on a quiet machine met it; this report shows one run.",
    ],
    rows: rows::ROWS,
    tasks: plan::tasks,
    work,
    bars: bars::bars,
};

fn work(request: &Request) -> Result<Vec<Measurement>> {
    match request.task.as_str() {
        plan::ALLOCATIONS => Ok(time::allocations()),
        plan::PLANNING => traffic::planning(),
        plan::COLD => traffic::cold(),
        plan::CORPUS => traffic::corpus(request),
        plan::READ => traffic::corpus_read(request),
        plan::LATENCY => Ok(latency::measure(request)),
        row => time::measure(row, request).context("no such task"),
    }
}
