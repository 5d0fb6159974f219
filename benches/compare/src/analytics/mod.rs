//! Chapter `analytics`: what it costs to look at pools, and to record them.
//!
//! ```text
//!  rows.rs   what is shown, and who takes part    plan.rs   which processes run
//!  time.rs   loops, interleaved                   bars.rs   our own limits
//! ```

mod bars;
mod plan;
mod rows;
mod time;

use anyhow::{Context, Result};
use millpond_bench::chapter::Chapter;
use millpond_bench::worker::{Measurement, Request};

/// The chapter.
pub const CHAPTER: Chapter = Chapter {
    name: "analytics",
    question: "What does it cost to look at pools, to record them, and to be advised?",
    caveats: &[
        "Not what a scrape costs over a network.",
        "Not what recording costs threads that contend for one pool: each adds to one counter that all share.",
        "The recording goes to a sink: a disk that is slower than the program writes makes it wait.",
        "A bar counts as met when three full runs on a quiet machine met it; this report shows one run.",
    ],
    rows: rows::ROWS,
    tasks: plan::tasks,
    work,
    bars: bars::bars,
};

fn work(request: &Request) -> Result<Vec<Measurement>> {
    time::measure(request).context("no such task")
}
