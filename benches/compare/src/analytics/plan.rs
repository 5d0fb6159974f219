//! Which processes run, in which order, and how long they should take.

use super::rows;
use millpond_bench::plan::{Build, Mode, Task};
use millpond_bench::worker::Request;
use std::time::Duration;

pub fn tasks(mode: Mode) -> Vec<Task> {
    // Task, who takes part, milliseconds of one of them in a round, and before.
    let timed = [
        (rows::LOOK, 3, mode.pick(3, 20), 60),
        (rows::RECORD, 4, mode.pick(3, 20), 0),
        (rows::ADVISE, 1, mode.pick(40, 60), 100),
    ];
    let (processes, rounds) = (mode.pick(3, 5), mode.pick(5, 6));
    let mut tasks = Vec::new();
    for process in 1..=processes {
        for (task, entrants, slice, before) in timed {
            let slice = Duration::from_millis(slice);
            tasks.push(Task {
                label: format!("{task}, process {process} of {processes}"),
                build: Build::Release,
                request: Request {
                    task: task.into(),
                    rounds,
                    slice_micros: u64::try_from(slice.as_micros()).unwrap_or(u64::MAX),
                    ..Request::default()
                },
                expected: slice * entrants * (rounds + 2) + Duration::from_millis(before),
            });
        }
    }
    tasks
}
