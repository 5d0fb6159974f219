//! Chapter `field-arena`: arenas by scope against the field.
//!
//! ```text
//!  rows.rs      what is shown            plan.rs  which processes run, and how long
//!  requests.rs  leases and requests      space.rs footprint and allocations
//!  collections.rs, documents.rs          bars.rs  our own limits
//! ```

mod bars;
mod collections;
mod documents;
mod plan;
mod requests;
mod rows;
mod space;

use anyhow::{Result, bail};
use millpond_bench::chapter::Chapter;
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::worker::{Measurement, Request};
use std::time::Duration;

/// Our name in every row.
const OURS: &str = "millpond ArenaManager";
/// One `Bump` for ever, reset in place: no pool at all.
const RESET: &str = "bumpalo, reset in place";
/// A new `Bump` for each request.
const NEW: &str = "bumpalo, new each";
/// What people write around bumpalo.
const MUTEX: &str = "Mutex<Vec<Bump>>";

/// The chapter.
pub const CHAPTER: Chapter = Chapter {
    name: "field-arena",
    question: "What does a request cost whose memory comes from a leased arena, beside other arenas and the heap?",
    caveats: &[
        "bumpalo reset in place is no pool: it serves one thread and is never shared, returned or bounded.",
        "A request writes the first word of each allocation. Real requests write more, and then the difference is smaller.",
        "Not linear scaling: two threads were measured, not more.",
        "Arenas were built and touched before they were timed; first use costs more, everywhere.",
        "The heap row frees what it allocated in order; no general allocator is built for that alone.",
        "A bar counts as met when three full runs on a quiet machine met it; this report shows one run.",
    ],
    rows: rows::ROWS,
    tasks: plan::tasks,
    work,
    bars: bars::bars,
};

fn work(request: &Request) -> Result<Vec<Measurement>> {
    let schedule = Schedule {
        rounds: request.rounds,
        slice: Duration::from_micros(request.slice_micros),
    };
    let row = request.task.as_str();
    let contest = match row {
        rows::LEASE => requests::leases(),
        rows::REQUEST => requests::requests(),
        rows::ANY_REQUEST => requests::any_requests(),
        rows::TWO_THREADS => return Ok(requests::two_threads(schedule)),
        rows::COLLECTIONS => collections::collections(),
        rows::EXTEND => collections::extend(),
        rows::DOCUMENT => documents::metadata()?,
        rows::FILES => documents::files()?,
        plan::BALLOON => return Ok(space::balloon(request)),
        rows::ALLOCATIONS => return Ok(space::allocations()),
        _ => bail!("no such task"),
    };
    Ok(measured(row, contest, schedule))
}

fn measured(row: &str, contest: Contest<'_>, schedule: Schedule) -> Vec<Measurement> {
    let timed = contest.run(schedule).into_iter();
    timed
        .map(|timed| Measurement::new(row, timed.name, timed.nanos))
        .collect()
}
