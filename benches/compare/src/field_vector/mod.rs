//! Chapter `field-vector`: rows of numbers against the field.
//!
//! ```text
//!  rows.rs    what is shown            plan.rs   which processes run, and for how long
//!  row.rs     one row, leased or made  store.rs  many rows, kept
//!  time.rs    loops, interleaved       space.rs  one process a contender
//!  embeddings.rs the files of the corpus   bars.rs  our own limits
//! ```

mod bars;
mod embeddings;
mod plan;
mod row;
mod rows;
mod space;
mod store;
mod time;

use anyhow::{Context, Result};
use millpond_bench::chapter::Chapter;
use millpond_bench::worker::{Measurement, Request};

/// Our pool's name.
const OURS: &str = "millpond VectorPool";

/// The chapter.
pub const CHAPTER: Chapter = Chapter {
    name: "field-vector",
    question: "What do aligned, padded rows that never move cost, and what do they buy?",
    caveats: &[
        "Not \"faster kernels\": every contender is scanned by the same kernel, which is not the product.",
        "Not that huge pages are always there: they are a wish, and the row \"in small pages\" says what this system granted.",
        "Not that leases are free beside a copy: where the C library copies rows of this size by a string instruction of the processor, nothing overlaps with it, and the row \"lease and copy\" shows it.",
        "The gain of gathering is that of huge pages and of fetching ahead together.",
        "Rows of the allocators are aligned to 64 bytes and not padded; Vec is aligned as its elements are.",
        "Reading loops read what the pool holds, in the order of memory, on one thread.",
        "A bar counts as met when three full runs on a quiet machine met it; this report shows one run.",
    ],
    rows: rows::ROWS,
    tasks: plan::tasks,
    work,
    bars: bars::bars,
};

fn work(request: &Request) -> Result<Vec<Measurement>> {
    match request.task.as_str() {
        plan::FOOTPRINT => Ok(space::footprint(request)),
        plan::GRANTED => Ok(space::granted()),
        plan::NODE => Ok(space::on_node()),
        plan::ALLOCATIONS => Ok(space::allocations()),
        rows::EMBEDDINGS => embeddings::measure(request),
        task => time::measure(task, request).context("no such task"),
    }
}
