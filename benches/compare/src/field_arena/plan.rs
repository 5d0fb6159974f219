//! Which processes run, in which order, and how long they should take.

use super::{rows, space};
use crate::variants;
use millpond_bench::pin;
use millpond_bench::plan::{Build, Mode, Task};
use millpond_bench::worker::Request;
use std::time::Duration;

pub const BALLOON: &str = "balloon";

/// Rows whose contenders take turns, and how many take part.
const TIMED: [(&str, u32); 7] = [
    (rows::LEASE, 3),
    (rows::REQUEST, 13),
    (rows::ANY_REQUEST, 5),
    (rows::COLLECTIONS, 4),
    (rows::EXTEND, 4),
    (rows::DOCUMENT, 4),
    (rows::FILES, 2),
];

/// Contenders of the row on two threads, each twice, and the yardstick.
const ON_TWO_THREADS: u32 = 14;

pub fn tasks(mode: Mode) -> Vec<Task> {
    let processes = mode.pick(3, 5);
    let rounds = mode.pick(5, 6);
    let slice = Duration::from_millis(mode.pick(4, 20));
    let mut tasks = Vec::new();
    for process in 1..=processes {
        let mut timed = TIMED.to_vec();
        if pin::core_count() > 1 {
            timed.push((rows::TWO_THREADS, ON_TWO_THREADS));
        }
        for (row, entrants) in timed {
            for build in [Build::Release, Build::Fat] {
                tasks.push(Task {
                    label: format!("{row}, process {process} of {processes}"),
                    build,
                    request: Request {
                        task: row.into(),
                        rounds,
                        slice_micros: u64::try_from(slice.as_micros()).unwrap_or(u64::MAX),
                        ..Request::default()
                    },
                    // Calibration fills some two slices before the first round.
                    expected: slice * (rounds + 2) * entrants,
                });
            }
        }
        tasks.extend(statistics(rounds, slice));
        tasks.extend(space::CONTENDERS.map(|contender| Task {
            label: format!("balloon, {contender}"),
            build: Build::Release,
            request: Request {
                task: BALLOON.into(),
                contender: contender.into(),
                count: process,
                ..Request::default()
            },
            expected: Duration::from_millis(80),
        }));
    }
    tasks.push(Task {
        label: rows::ALLOCATIONS.into(),
        build: Build::Release,
        request: Request {
            task: rows::ALLOCATIONS.into(),
            ..Request::default()
        },
        expected: Duration::from_millis(50),
    });
    tasks
}

/// The tiny binary with and without what is counted, in turn.
///
/// More rounds than elsewhere, and shorter: the difference is a few cycles, and one
/// round that was disturbed must not decide it.
fn statistics(rounds: u32, slice: Duration) -> [Task; 2] {
    let (rounds, slice) = (3 * rounds, slice / 4);
    [variants::SHIPPED, variants::NO_COUNTERS].map(|name| Task {
        label: format!("statistics, {name}"),
        build: Build::Variant(name),
        request: Request {
            task: rows::MECHANISM.into(),
            rounds,
            slice_micros: u64::try_from(slice.as_micros()).unwrap_or(u64::MAX),
            ..Request::default()
        },
        // It measures at several code alignments.
        expected: slice * (rounds + 2) * 8,
    })
}
