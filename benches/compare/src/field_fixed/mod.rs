//! Chapter `field-fixed`: fixed pools against the field.
//!
//! ```text
//!  rows.rs    what is shown             plan.rs   which processes run, and for how long
//!  time.rs    loops, interleaved        space.rs  one process a contender
//!  latency.rs single operations         graph.rs  the dependency graph
//!  kinds.rs   objects, ids, batches     code.rs   the code graph, with ids as edges
//!  bars.rs    our own limits            sizes.rs  capacities under stepped demand
//! ```

mod bars;
mod code;
mod graph;
mod kinds;
mod latency;
mod plan;
pub mod rows;
mod sizes;
mod space;
mod time;

pub use time::into_measurements;

use anyhow::{Result, bail};

use millpond_bench::chapter::Chapter;
use millpond_bench::worker::{Measurement, Request};

/// The chapter.
pub const CHAPTER: Chapter = Chapter {
    name: "field-fixed",
    question: "What does a fixed pool cost, in time and in space, beside what one would use instead?",
    caveats: &[
        "Not \"faster than malloc\": one small hot object is what allocators are best at, and programs do more than that.",
        "Not linear scaling: two threads were measured, not more.",
        "Not lock-free: slow paths of several contenders take locks, ours among them.",
        "Pools were filled and warmed before they were timed; first use costs more, everywhere.",
        "Items are 64 bytes. In most rows an acquire writes eight of them; where a row says \"written and read\", all.",
        "Our items are built in place (try_acquire_with); handing a value in that may be handed back can cost a copy.",
        "Pool crates hold Box<T>, so that items keep their address. opool is shown in both forms; bars name the one that its documentation shows, with items inside, which copies 64 bytes in and out and is slower here than opool of Box.",
        "A bar counts as met when three full runs on a quiet machine met it; this report shows one run.",
    ],
    rows: rows::ROWS,
    tasks: plan::tasks,
    work,
    bars: bars::bars,
};

fn work(request: &Request) -> Result<Vec<Measurement>> {
    match request.task.as_str() {
        plan::LATENCY => Ok(latency::measure(request)),
        plan::MEMORY => Ok(space::memory(request)),
        plan::BURST => Ok(space::burst(request)),
        plan::ALLOCATIONS => Ok(space::allocations()),
        plan::GRAPH => graph::measure(request),
        plan::SIZES => Ok(sizes::measure()),
        rows::CODE => code::measure(request),
        row => match time::measure(row, request) {
            Some(measured) => Ok(measured),
            None => bail!("no such task"),
        },
    }
}
