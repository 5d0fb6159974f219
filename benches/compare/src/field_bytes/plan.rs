//! Which processes run, in which order, and how long they should take. Rows are
//! measured in several fresh processes, as in `field-fixed` and for its reasons.

use super::contenders;
use super::rows;
use crate::variants;
use millpond_bench::pin;
use millpond_bench::plan::{Build, Mode, Task};
use millpond_bench::worker::Request;
use std::time::Duration;

pub const ALLOCATIONS: &str = rows::ALLOCATIONS;
pub const CORPUS: &str = rows::CORPUS;
pub const PLANNING: &str = "planning";
pub const COLD: &str = "cold";
pub const READ: &str = rows::READ;
pub const LATENCY: &str = "latency";

/// Rows that are measured in short turns. The machine changes its speed by a third every
/// few dozen milliseconds, and where it does so between two contenders of one round their
/// ratio says nothing. In five processes each, "two threads ÷ one" was 1.23 (1.12 to
/// 1.31) in turns of 15 ms and 1.12 (1.11 to 1.15) in turns of 1.9 (November 2026, 2-core
/// virtual machine, AMD EPYC). Not for rows whose contenders go through much memory, or
/// through files, in each turn.
const IN_SHORT_TURNS: [&str; 2] = [rows::WIPED, rows::TWO_THREADS];

struct Effort {
    processes: u32,
    rounds: u32,
    slice: Duration,
    /// Short turns that stand for one.
    turns: u32,
    /// Operations of each contender in the histogram of one process.
    operations: u64,
}

impl Effort {
    fn of(mode: Mode) -> Self {
        Self {
            processes: mode.pick(3, 5),
            rounds: mode.pick(5, 6),
            slice: Duration::from_millis(mode.pick(2, 15)),
            turns: mode.pick(1, 8),
            operations: mode.pick(30_000, 500_000),
        }
    }

    fn latency(&self, process: u32) -> Task {
        let mut task = self.task(LATENCY, process, Build::Release, 1);
        task.request.count = self.operations;
        // Two operations of some 60 ns for each contender that takes mixed sizes.
        task.expected = Duration::from_nanos(self.operations * 120 * 8);
        task
    }

    fn task(&self, row: &str, process: u32, build: Build, entrants: usize) -> Task {
        let entrants = u32::try_from(entrants).unwrap_or(u32::MAX);
        let turns = if IN_SHORT_TURNS.contains(&row) {
            self.turns
        } else {
            1
        };
        let (rounds, slice) = (self.rounds * turns, self.slice / turns);
        Task {
            label: format!("{row}, process {process} of {}", self.processes),
            build,
            request: Request {
                task: row.into(),
                rounds,
                slice_micros: u64::try_from(slice.as_micros()).unwrap_or(u64::MAX),
                ..Request::default()
            },
            // Calibration fills some two slices before the first round.
            expected: slice * (rounds + 2) * entrants,
        }
    }
}

/// The builds of which the difference is the cost of statistics.
const STATISTICS: [&str; 2] = [variants::SHIPPED, variants::NO_COUNTERS];

pub fn tasks(mode: Mode) -> Vec<Task> {
    let effort = Effort::of(mode);
    let mut tasks = Vec::new();
    for process in 1..=effort.processes {
        for (row, entrants) in interleaved() {
            tasks.push(effort.task(row, process, Build::Release, entrants));
            if ["pair-4k", "pair-64k", rows::MIXED].contains(&row) {
                tasks.push(effort.task(row, process, Build::Fat, entrants));
            }
        }
        for row in [ALLOCATIONS, PLANNING, COLD] {
            // What is counted is the same in each process.
            if row == COLD && process > 1 {
                continue;
            }
            let mut task = effort.task(row, process, Build::Release, 1);
            task.expected = Duration::from_millis(300);
            tasks.push(task);
        }
        tasks.push(effort.latency(process));
        // The loop of the variant exists at eight places.
        for name in STATISTICS {
            let mut task = effort.task(rows::STATISTICS, process, Build::Variant(name), 8);
            task.label = format!("statistics, {name}");
            tasks.push(task);
        }
    }
    tasks
}

/// Rows whose contenders take turns in one process, and how many take part.
fn interleaved() -> Vec<(&'static str, usize)> {
    let all = contenders::count();
    let mut rows: Vec<_> = rows::PAIR.iter().map(|&(row, _)| (row, all)).collect();
    rows.extend([
        (rows::MIXED, all),
        (rows::ZEROED, all),
        (rows::WIPED, 2),
        (rows::REUSE, 2),
        (rows::FREEZE, 2),
        (CORPUS, all),
        (READ, all),
    ]);
    if pin::core_count() > 1 {
        rows.extend([
            (rows::TWO_THREADS, 2 * all + 2),
            (rows::TOUCHED, all),
            (rows::LOAD, all),
            (rows::LOAD_TOUCHED, all),
        ]);
    }
    rows
}
