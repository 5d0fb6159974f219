//! Which processes run, in which order, and how long they should take.

use super::{rows, space};
use millpond_bench::plan::{Build, Mode, Task};
use millpond_bench::worker::Request;
use std::time::Duration;

pub const FOOTPRINT: &str = rows::FOOTPRINT;
pub const GRANTED: &str = rows::GRANTED;
pub const NODE: &str = rows::NODE;
pub const ALLOCATIONS: &str = rows::ALLOCATIONS;

/// A row that takes turns: its task, how many take part, what one of them needs for
/// one round beyond a slice, and rows in its stores.
struct Timed {
    task: &'static str,
    entrants: u32,
    at_least: Duration,
    count: u64,
    builds: &'static [Build],
}

fn timed(mode: Mode) -> [Timed; 9] {
    const BOTH: &[Build] = &[Build::Release, Build::Fat];
    const ONE: &[Build] = &[Build::Release];
    let row = |task, entrants, millis, count, builds| Timed {
        task,
        entrants,
        at_least: Duration::from_millis(millis),
        count,
        builds,
    };
    [
        row(rows::LEASE, 8, 0, 0, BOTH),
        row(rows::FILL, 9, 0, 0, BOTH),
        row(rows::COPY, 9, 0, 0, ONE),
        row(rows::RAGGED[0].0, 2, 0, 0, BOTH),
        row(rows::RAGGED[1].0, 2, 0, 0, BOTH),
        row(
            rows::BUILD,
            8,
            mode.pick(15, 500),
            mode.pick(1 << 15, 1_000_000),
            ONE,
        ),
        // Two stores, each built twice.
        row(
            rows::BUILD_AGAIN,
            4,
            mode.pick(8, 200),
            mode.pick(1 << 15, 1_000_000),
            ONE,
        ),
        row(
            rows::SCAN,
            8,
            mode.pick(15, 40),
            mode.pick(40_000, 100_000),
            ONE,
        ),
        row(rows::EMBEDDINGS, 7, 10, mode.pick(1000, 4000), ONE),
    ]
}

pub fn tasks(mode: Mode) -> Vec<Task> {
    let (processes, rounds) = (mode.pick(3, 5), mode.pick(5, 6));
    let slice = Duration::from_millis(mode.pick(4, 20));
    let mut tasks = Vec::new();
    for process in 1..=processes {
        for row in timed(mode) {
            for build in row.builds {
                let request = Request {
                    task: row.task.into(),
                    rounds,
                    slice_micros: u64::try_from(slice.as_micros()).unwrap_or(u64::MAX),
                    count: row.count,
                    ..Request::default()
                };
                tasks.push(Task {
                    label: format!("{}, process {process} of {processes}", row.task),
                    build: build.clone(),
                    request,
                    expected: slice.max(row.at_least) * row.entrants * (rounds + 2),
                });
            }
        }
        tasks.extend(space());
    }
    tasks
}

/// Rows whose memory is measured: 300 MB of them, so that the last slab, which is
/// not full, and the process itself vanish beside them.
const KEPT: u64 = 100_000;

fn space() -> Vec<Task> {
    let task = |task: &str, contender: &str, millis| Task {
        label: format!("{task} {contender}"),
        build: Build::Release,
        request: Request {
            task: task.into(),
            contender: contender.into(),
            count: KEPT,
            ..Request::default()
        },
        expected: Duration::from_millis(millis),
    };
    let mut tasks: Vec<Task> = space::names()
        .iter()
        .map(|name| task(FOOTPRINT, name, 250))
        .collect();
    tasks.push(task(GRANTED, "", 60));
    tasks.push(task(NODE, "", 30));
    tasks.push(task(ALLOCATIONS, "", 20));
    tasks
}
