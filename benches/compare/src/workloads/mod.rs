//! The chapters of the reference systems: the same work in three memory modes.
//!
//! ```text
//!  this binary     heap, millpond pooled    in turn, in one process
//!  on-mimalloc     the same on mimalloc     a process of its own, between those
//! ```
//!
//! Of the second only the heap mode is kept. The pooled one runs beside it all the same,
//! so that it takes as much of the processor's caches from it as it does here.
//!
//! A chapter is a list of [`Job`]s: what a fresh process measures, and in which builds.
//! What all systems are asked, [latency and memory](whole), is asked in one place.
//! Nothing is counted while something is timed, so that the heap modes do not pay for
//! our curiosity.

pub mod buildtool;
pub mod codebase;
pub mod encoder;
#[cfg(unix)]
pub mod httpd;
pub mod pipeline;
pub mod whole;

use anyhow::{Context, Result, bail};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{RowSpec, Section, Unit};
use millpond_bench::plan::{Build, Mode, Task};
use millpond_bench::record::{ChapterRecord, Series};
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::stats::{Estimate, per_round, ratio_of_medians};
use millpond_bench::worker::{Measurement, Request};
use millpond_bench::{clock, counting, pin};
use millpond_workloads::corpus::{self, Document};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Plain boxes, vectors and strings on the system's allocator.
pub const HEAP: &str = "heap";
/// The same on mimalloc.
pub const MIMALLOC: &str = "mimalloc";
/// The same work on pools.
pub const POOLED: &str = "millpond pooled";

/// Fresh processes, and rounds in each.
const PROCESSES: (u32, u32) = (2, 5);
const ROUNDS: (u32, u32) = (8, 6);

/// The worker with mimalloc, beside the binary `own`, where it was built.
pub fn on_mimalloc(own: &Path) -> Option<PathBuf> {
    let beside = own.with_file_name(format!("on-mimalloc{}", std::env::consts::EXE_SUFFIX));
    (cfg!(feature = "mimalloc") && beside.is_file()).then_some(beside)
}

/// What a fresh process measures for a chapter.
pub struct Job {
    name: &'static str,
    builds: Builds,
    /// Slices of a round that it takes: one for each contender, and what it prepares.
    slices: u32,
    work: fn(&Request) -> Result<Vec<Measurement>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Builds {
    /// This binary only.
    Ours,
    /// This binary, in the first process only.
    Once,
    /// The heap mode on mimalloc as well.
    Both,
    /// Both, and each mode of this binary in a process of its own.
    Apart,
    /// None that a plan has: another job asks for it.
    Asked,
}

impl Job {
    /// A job of this binary.
    pub const fn ours(
        name: &'static str,
        slices: u32,
        work: fn(&Request) -> Result<Vec<Measurement>>,
    ) -> Self {
        let builds = Builds::Ours;
        Self {
            name,
            builds,
            slices,
            work,
        }
    }

    /// A job that finds the same each time: a course, or what is counted.
    pub const fn once(
        name: &'static str,
        slices: u32,
        work: fn(&Request) -> Result<Vec<Measurement>>,
    ) -> Self {
        let builds = Builds::Once;
        Self {
            name,
            builds,
            slices,
            work,
        }
    }

    /// A job with a heap mode, which is measured on mimalloc too.
    pub const fn all(
        name: &'static str,
        slices: u32,
        work: fn(&Request) -> Result<Vec<Measurement>>,
    ) -> Self {
        let builds = Builds::Both;
        Self {
            name,
            builds,
            slices,
            work,
        }
    }

    /// A job that the system counts by the process: each mode has one of its own, and
    /// is named by the request.
    pub const fn apart(
        name: &'static str,
        slices: u32,
        work: fn(&Request) -> Result<Vec<Measurement>>,
    ) -> Self {
        let builds = Builds::Apart;
        Self {
            name,
            builds,
            slices,
            work,
        }
    }

    /// What other jobs ask of a process that they start themselves.
    #[cfg(unix)]
    pub const fn asked(name: &'static str, work: fn(&Request) -> Result<Vec<Measurement>>) -> Self {
        let builds = Builds::Asked;
        Self {
            name,
            builds,
            slices: 0,
            work,
        }
    }

    fn tasks(&self, mode: Mode, process: &str) -> impl Iterator<Item = Task> {
        let (name, slices) = (self.name, self.slices);
        let rounds = mode.pick(ROUNDS.0, ROUNDS.1);
        let slice = SLICE * mode.pick(1, 4);
        let label = format!("{name}, {process}");
        let runs: &[(Build, &str)] = match self.builds {
            Builds::Ours | Builds::Once => &[(Build::Release, "")],
            Builds::Both => &[(Build::Release, ""), (Build::Variant(MIMALLOC), HEAP)],
            Builds::Apart => &[
                (Build::Release, HEAP),
                (Build::Release, POOLED),
                (Build::Variant(MIMALLOC), HEAP),
            ],
            Builds::Asked => &[],
        };
        runs.iter().map(move |(build, contender)| Task {
            label: label.clone(),
            build: build.clone(),
            request: Request {
                task: name.into(),
                contender: (*contender).into(),
                rounds,
                slice_micros: u64::try_from(slice.as_micros()).unwrap_or(u64::MAX),
                ..Request::default()
            },
            expected: slice * (rounds + 2) * slices + STARTING,
        })
    }
}

/// Time that one contender gets in one round of a quick run.
pub const SLICE: Duration = Duration::from_millis(8);

/// Time that a process needs to start and to read some of its corpus.
const STARTING: Duration = Duration::from_millis(40);

/// The tasks of a chapter: each job in fresh processes, the modes in turn.
pub fn tasks(mode: Mode, jobs: &[Job]) -> Vec<Task> {
    let processes = mode.pick(PROCESSES.0, PROCESSES.1);
    let process = |number| format!("process {number} of {processes}");
    let each = |number| {
        let tasks = move |job: &Job| job.tasks(mode, &process(number)).collect::<Vec<_>>();
        let due = move |job: &&Job| number == 1 || job.builds != Builds::Once;
        jobs.iter().filter(due).flat_map(tasks)
    };
    (1..=processes).flat_map(each).collect()
}

/// Carries out a task of a chapter.
pub fn measure(request: &Request, jobs: &[Job]) -> Result<Vec<Measurement>> {
    let job = jobs.iter().find(|job| job.name == request.task);
    let job = job.with_context(|| format!("no task {}", request.task))?;
    (job.work)(request)
}

/// Carries out a task of any of these chapters, and keeps the heap mode.
#[allow(dead_code, reason = "the other binary's entry")]
pub fn on_the_heap(request: &Request) -> Result<Vec<Measurement>> {
    let jobs = match request.chapter.as_str() {
        "buildtool" => buildtool::JOBS,
        "codebase" => codebase::JOBS,
        "encoder" => encoder::JOBS,
        #[cfg(unix)]
        "httpd" => httpd::JOBS,
        "pipeline" => pipeline::JOBS,
        other => bail!("no chapter {other} on this allocator"),
    };
    let mut measured = measure(request, jobs)?;
    measured.retain(|measurement| measurement.contender == HEAP);
    Ok(measured)
}

/// A row of [`allocator_share`].
pub const fn share(id: &'static str, title: &'static str) -> RowSpec {
    let what = "what each allocation done twice adds, of the heap mode's time";
    RowSpec::new(id, title, what, Unit::Ratio, Section::Mechanism)
}

/// A row of calls of the allocator.
pub const fn calls(id: &'static str, title: &'static str) -> RowSpec {
    RowSpec::space(id, title, "calls of the allocator", Unit::Count)
}

/// A row of bytes that were asked of the allocator.
pub const fn bytes(id: &'static str, title: &'static str) -> RowSpec {
    RowSpec::space(id, title, "bytes asked of the allocator", Unit::Bytes)
}

/// The same operation in both modes, in turn.
pub fn versus<A, B>(
    request: &Request,
    (row, scale): (&str, f64),
    heap: impl FnMut() -> A,
    pooled: impl FnMut() -> B,
) -> Vec<Measurement> {
    let mut bout = Bout::new(request);
    bout.add(HEAP, heap);
    bout.add(POOLED, pooled);
    bout.run(row, scale)
}

/// What one operation asks of the allocator, in both modes: rows of calls and bytes.
pub fn uses<A, B>(
    [calls, bytes]: [&str; 2],
    heap: impl FnMut() -> A,
    pooled: impl FnMut() -> B,
) -> Vec<Measurement> {
    let modes = [(HEAP, heap_use(heap)), (POOLED, heap_use(pooled))];
    let rows = modes.into_iter().flat_map(|(mode, (allocations, asked))| {
        [(calls, allocations), (bytes, asked)]
            .map(|(row, figure)| Measurement::new(row, mode, vec![figure]))
    });
    rows.collect()
}

/// Contenders in turn; figures in nanoseconds times `scale`.
pub struct Bout<'a> {
    contest: Contest<'a>,
    schedule: Schedule,
}

impl<'a> Bout<'a> {
    /// A bout that lasts as the request says. Allocations are not counted from here on.
    pub fn new(request: &Request) -> Self {
        Self::in_short_turns(request, 1)
    }

    /// A bout that lasts as long, in so many times as many rounds.
    pub fn in_short_turns(request: &Request, times: u32) -> Self {
        counting::pause();
        let schedule = Schedule {
            rounds: request.rounds * times,
            slice: Duration::from_micros(request.slice_micros) / times,
        };
        Self {
            contest: Contest::new(),
            schedule,
        }
    }

    /// The same for operations with threads of their own.
    pub fn on_all_cores(self) -> Self {
        Self {
            contest: self.contest.on_all_cores(),
            ..self
        }
    }

    /// Adds a contender.
    pub fn add<T>(&mut self, name: &str, mut operation: impl FnMut() -> T + 'a) {
        self.contest.add(name, move |times| {
            let began = Instant::now();
            for _ in 0..times {
                black_box(operation());
            }
            began.elapsed()
        });
    }

    /// Runs it.
    pub fn run(self, row: &str, scale: f64) -> Vec<Measurement> {
        let timed = self.contest.run(self.schedule);
        let measured = timed.into_iter().map(|timed| {
            let values = timed.nanos.iter().map(|nanos| nanos * scale).collect();
            Measurement::new(row, timed.name, values)
        });
        measured.collect()
    }
}

/// Ticks of the time-stamp counter in a nanosecond.
pub fn cycles() -> f64 {
    1.0 / clock::nanos_per_tick()
}

/// Allocations and bytes of one `operation` in steady state.
pub fn heap_use<T>(mut operation: impl FnMut() -> T) -> (f64, f64) {
    let mut operation = || drop(black_box(operation()));
    const TIMES: u32 = 32;
    (0..4).for_each(|_| operation());
    counting::resume();
    let (allocations, bytes) = (counting::allocations(), counting::bytes());
    (0..TIMES).for_each(|_| operation());
    let (allocations, bytes) = (
        counting::allocations() - allocations,
        counting::bytes() - bytes,
    );
    counting::pause();
    let each = |sum: u64| sum as f64 / f64::from(TIMES);
    (each(allocations), each(bytes))
}

/// The share of `operation`'s time that the allocator has, round by round: how much
/// longer it takes if every allocation is made and freed a second time.
///
/// No timer runs inside, so calls of a few nanoseconds count for what they are. The
/// second block is warm and comes from where the first would have: a lower bound.
pub fn allocator_share<T>(rounds: u32, times: u32, mut operation: impl FnMut() -> T) -> Vec<f64> {
    let mut operation = || drop(black_box(operation()));
    let mut timed = |repeated: bool| {
        if repeated {
            counting::repeat();
        } else {
            counting::pause();
        }
        let began = Instant::now();
        (0..times).for_each(|_| operation());
        began.elapsed().as_secs_f64()
    };
    timed(false);
    let mut shares = Vec::new();
    for _ in 0..rounds {
        let (once, twice) = millpond_quiet::alone(pin::any_core_is_shared, || {
            // After a look at the cores the caches are somebody else's.
            timed(false);
            (timed(false), timed(true))
        });
        shares.push(twice / once - 1.0);
    }
    counting::pause();
    shares
}

/// The corpus' documents, at most `limit_bytes` of them.
pub fn documents(request: &Request, limit_bytes: usize) -> Result<Vec<Document>> {
    let corpus = request.corpus.as_ref().context("needs the corpus")?;
    corpus::documents(&corpus.sources, limit_bytes)
}

/// A chapter's record, asked for bars.
pub struct Judge<'r>(pub &'r ChapterRecord);

impl Judge<'_> {
    fn series(&self, row: &str, contender: &str) -> Option<&Series> {
        self.0.row(row)?.series(contender)
    }

    fn values(&self, row: &str, contender: &str) -> &[f64] {
        self.series(row, contender)
            .map_or(&[], |series| &series.values)
    }

    /// `own` divided by `other` must not exceed `limit`.
    pub fn ratio(&self, row: &str, (own, other): (&str, &str), limit: f64, why: &str) -> Bar {
        let (a, b) = (self.values(row, own), self.values(row, other));
        if a.len() == b.len() && other != MIMALLOC {
            return self.in_turn(row, (own, other), limit, why);
        }
        self.quotient(row, other, ratio_of_medians(a, b), limit, why)
    }

    /// `own` divided by `other`, round by round, must not exceed `limit`: where
    /// mimalloc took turns too.
    pub fn in_turn(&self, row: &str, (own, other): (&str, &str), limit: f64, why: &str) -> Bar {
        let (a, b) = (self.values(row, own), self.values(row, other));
        self.quotient(row, other, Estimate::of_ratio(a, b), limit, why)
    }

    fn quotient(
        &self,
        row: &str,
        other: &str,
        measured: Option<Estimate>,
        limit: f64,
        why: &str,
    ) -> Bar {
        let against = format!("{other}: {why}");
        Bar::judge(
            self.title(row),
            against,
            (limit, Figure::Ratio),
            measured,
            None,
        )
    }

    /// What `own` takes beyond `floor`, which nobody can do without, divided by what
    /// `other` does, must not exceed `limit`.
    pub fn beyond(
        &self,
        row: &str,
        floor: &str,
        (own, other): (&str, &str),
        limit: f64,
        why: &str,
    ) -> Bar {
        let floors = self.values(row, floor);
        let beyond = |who| {
            per_round(self.values(row, who), floors, |figure, floor| {
                figure - floor
            })
        };
        let measured = Estimate::of_ratio(&beyond(own), &beyond(other));
        let against = format!("{other}, both beyond {floor}: {why}");
        Bar::judge(
            self.title(row),
            against,
            (limit, Figure::Ratio),
            measured,
            None,
        )
    }

    /// `contender`'s figure must not exceed `limit`.
    pub fn at_most(&self, row: &str, contender: &str, limit: (f64, Figure), why: &str) -> Bar {
        let measured = self
            .series(row, contender)
            .and_then(|series| series.estimate);
        Bar::judge(self.title(row), why, limit, measured, None)
    }

    /// One row's figure divided by another's must not exceed `limit`.
    pub fn across(&self, [own, other]: [(&str, &str); 2], limit: f64, why: &str) -> Bar {
        let measured = ratio_of_medians(self.values(own.0, own.1), self.values(other.0, other.1));
        let what = format!("{}, {}", self.title(own.0), own.1);
        let against = format!("{}, {}: {why}", self.title(other.0), other.1);
        Bar::judge(what, against, (limit, Figure::Ratio), measured, None)
    }

    fn title(&self, row: &str) -> String {
        let row = self.0.row(row);
        row.map_or_else(String::new, |row| row.title.clone())
    }
}
