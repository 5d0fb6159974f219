//! Which processes run, in which order, and how long they should take.
//!
//! Rows are measured in several fresh processes, because where code and data
//! land is decided once per process and can double a row: rounds from one
//! process would agree with each other and still be wrong.

use super::{code, kinds, rows};
use crate::contenders;
use millpond_bench::pin;
use millpond_bench::plan::{Build, Mode, Task};
use millpond_bench::worker::Request;
use std::time::Duration;

pub const LATENCY: &str = "latency";
pub const MEMORY: &str = "memory";
pub const BURST: &str = "burst";
pub const ALLOCATIONS: &str = "allocations";
pub const SIZES: &str = "sizes";
pub const GRAPH: &str = rows::GRAPH;

/// How thoroughly rows are measured.
struct Effort {
    /// Fresh processes for each row and build.
    processes: u32,
    /// Rounds in each of them; processes × rounds is never below 15.
    rounds: u32,
    /// What one contender gets in one round.
    slice: Duration,
    /// Operations of each contender in the histogram of one process.
    operations: u64,
}

impl Effort {
    fn of(mode: Mode) -> Self {
        let slice = Duration::from_millis(mode.pick(3, 20));
        let operations = mode.pick(100_000, 1_000_000);
        Self {
            processes: mode.pick(3, 5),
            rounds: mode.pick(5, 6),
            slice,
            operations,
        }
    }

    /// Calibration fills some two slices before the first round.
    fn time_for(&self, entrants: usize) -> Duration {
        self.slice * (self.rounds + 2) * u32::try_from(entrants).unwrap_or(u32::MAX)
    }
}

pub fn tasks(mode: Mode) -> Vec<Task> {
    let effort = Effort::of(mode);
    let mut tasks = Vec::new();
    for process in 1..=effort.processes {
        for (row, entrants) in interleaved() {
            for build in [Build::Release, Build::Fat] {
                let label = format!("{row}, process {process} of {}", effort.processes);
                tasks.push(timed(&effort, row, label, build, effort.time_for(entrants)));
            }
        }
        tasks.extend(variants(&effort));
        tasks.push(latency(&effort));
        tasks.extend(space());
    }
    tasks.push(sizes());
    tasks
}

/// Rows whose contenders take turns in one process, and how many take part.
fn interleaved() -> Vec<(&'static str, usize)> {
    let all = contenders::names().len();
    let mut rows: Vec<_> = rows::PAIR
        .iter()
        .chain(&rows::HELD)
        .map(|&(row, _)| (row, all))
        .collect();
    rows.push((rows::BURST, all));
    if pin::core_count() > 1 {
        rows.extend([
            (rows::TWO_THREADS, 2 * all + 2),
            (rows::CROSS, all),
            (rows::CHANNEL, all),
        ]);
    }
    rows.extend([
        (rows::EXHAUSTED, 6),
        (rows::LOCAL_PAIR, 4),
        (rows::LOCAL_HELD, 4),
        (rows::OBJECT, 2),
        (rows::LOOKUP, kinds::NAMING),
        (rows::INSERT, kinds::NAMING),
        (rows::BATCH, 2),
        (rows::LARGE, 2),
        (rows::LARGE_USED, 2),
        (rows::MANY_POOLS, 2),
        (GRAPH, all),
        (rows::CODE, code::CONTENDERS),
    ]);
    rows
}

fn timed(effort: &Effort, row: &str, label: String, build: Build, expected: Duration) -> Task {
    let request = Request {
        task: row.into(),
        rounds: effort.rounds,
        slice_micros: u64::try_from(effort.slice.as_micros()).unwrap_or(u64::MAX),
        ..Request::default()
    };
    Task {
        label,
        build,
        request,
        expected,
    }
}

/// The tiny binary under each cfg, in turn.
fn variants(effort: &Effort) -> Vec<Task> {
    let task = |name: &'static str| {
        let label = format!("mechanism, {name}");
        // The variant measures one pool at several code alignments.
        timed(
            effort,
            rows::MECHANISM,
            label,
            Build::Variant(name),
            effort.time_for(8),
        )
    };
    crate::variants::NAMES.map(task).into()
}

fn latency(effort: &Effort) -> Task {
    let request = Request {
        task: LATENCY.into(),
        count: effort.operations,
        ..Request::default()
    };
    // Two timed operations of some 60 ns for each contender.
    let nanos = effort.operations * 120 * contenders::names().len() as u64;
    let expected = Duration::from_nanos(nanos) + Duration::from_millis(50);
    Task {
        label: "single operations".into(),
        build: Build::Release,
        request,
        expected,
    }
}

/// Objects in memory rows: 16 MiB of them, so that pages and bookkeeping of the
/// process itself vanish beside them.
const OBJECTS: u64 = 1 << 18;

fn space() -> Vec<Task> {
    let mut tasks = Vec::new();
    for contender in contenders::names() {
        for task in [MEMORY, BURST] {
            let request = Request {
                task: task.into(),
                contender: contender.into(),
                count: OBJECTS,
                ..Request::default()
            };
            let label = format!("{task}, {contender}");
            let expected = Duration::from_millis(60);
            tasks.push(Task {
                label,
                build: Build::Release,
                request,
                expected,
            });
        }
    }
    let request = Request {
        task: ALLOCATIONS.into(),
        ..Request::default()
    };
    let expected = Duration::from_millis(100);
    tasks.push(Task {
        label: ALLOCATIONS.into(),
        build: Build::Release,
        request,
        expected,
    });
    tasks
}

/// Counted and not timed, so that one process says it all.
fn sizes() -> Task {
    let request = Request {
        task: SIZES.into(),
        ..Request::default()
    };
    Task {
        label: "sizes under stepped demand".into(),
        build: Build::Release,
        request,
        expected: Duration::from_millis(150),
    }
}
