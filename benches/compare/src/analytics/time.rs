//! Loops of which each is timed in turn with the others of its row.

use super::rows;
use millpond_analytics::{Advisor, Exporter, Format, Registry, TraceRecorder, count_sizes};
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::worker::{Measurement, Request};
use millpond_fixed::{Diagnosis, FixedPool};
use std::hint::black_box;
use std::io;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

const POOLS: usize = 100;
const THREADS: usize = 64;
const SIZES: u64 = 10_000_000;
const NANOS_IN_A_MICRO: f64 = 1000.0;

type Pool = FixedPool<[u64; 8]>;

/// The task that the request names, if there is one.
pub fn measure(request: &Request) -> Option<Vec<Measurement>> {
    let schedule = Schedule {
        rounds: request.rounds,
        slice: Duration::from_micros(request.slice_micros),
    };
    match request.task.as_str() {
        rows::LOOK => Some(look(schedule)),
        rows::RECORD => Some(record(schedule)),
        rows::ADVISE => Some(advise(schedule)),
        _ => None,
    }
}

fn repeat(iterations: u64, mut step: impl FnMut()) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        step();
    }
    began.elapsed()
}

/// What a contest found, in units of `nanos`.
fn finish(row: &str, contest: Contest<'_>, schedule: Schedule, nanos: f64) -> Vec<Measurement> {
    let timed = contest.run(schedule).into_iter();
    timed
        .map(|timed| {
            let values = timed.nanos.iter().map(|value| value / nanos).collect();
            Measurement::new(row, timed.name, values)
        })
        .collect()
}

/// Pools in which each of 64 threads, all alive at once, has a cache.
fn used_pools(registry: &Registry) -> Vec<Arc<Pool>> {
    let pool = |index| {
        let name: &'static str = Box::leak(format!("pool {index}").into_boxed_str());
        let pool = Arc::new(Pool::builder(10_000).name(name).build());
        registry.register(&pool).expect("names differ");
        pool
    };
    let pools: Vec<_> = (0..POOLS).map(pool).collect();
    let all_there = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                all_there.wait();
                for pool in &pools {
                    drop(black_box(pool.try_acquire([1; 8])).expect("room for all"));
                }
                all_there.wait();
            });
        }
    });
    pools
}

fn look(schedule: Schedule) -> Vec<Measurement> {
    let registry = Registry::new();
    let pools = used_pools(&registry);
    let exporter = Exporter::new(&registry);
    let expose = |format| {
        let exporter = &exporter;
        move |n| repeat(n, || drop(black_box(exporter.expose(format))))
    };
    let mut contest = Contest::new();
    contest.add(rows::SNAPSHOT, |n| {
        repeat(n, || drop(black_box(registry.snapshot())))
    });
    contest.add(rows::TEXT, expose(Format::Text));
    contest.add(rows::OPEN_METRICS, expose(Format::OpenMetrics));
    let found = finish(rows::LOOK, contest, schedule, NANOS_IN_A_MICRO);
    drop(pools);
    found
}

#[inline(never)]
fn pairs(pool: &Pool, iterations: u64) -> Duration {
    repeat(iterations, || {
        drop(black_box(pool.try_acquire([1; 8])).expect("one at a time"));
    })
}

fn record(schedule: Schedule) -> Vec<Measurement> {
    let recorder = TraceRecorder::install(io::sink()).expect("the first of the process");
    let mut contest = Contest::new();
    for (name, level) in [
        (rows::OFF, Diagnosis::Off),
        (rows::SAMPLED, Diagnosis::Sampled),
        (rows::RECORDED, Diagnosis::Recorded),
        (rows::FULL, Diagnosis::Full),
    ] {
        let pool = Pool::builder(64).name("recorded").build();
        pool.set_diagnosis(level);
        contest.add(name, move |n| pairs(&pool, n));
    }
    let found = finish(rows::RECORD, contest, schedule, 1.0);
    assert_eq!(recorder.lost(), 0, "what is lost was not recorded");
    recorder.finish().expect("a sink takes everything");
    found
}

/// Log-uniform, as sizes of requests tend to be.
fn sizes() -> Vec<usize> {
    let mut state = 1_u64;
    let size = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let octave = 4 + (state >> 33) % 14;
        let rest = (state >> 40) % (1 << octave);
        usize::try_from((1 << octave) + rest).expect("small")
    };
    (0..SIZES).map(size).collect()
}

fn advise(schedule: Schedule) -> Vec<Measurement> {
    let sizes = sizes();
    let mut contest = Contest::new();
    contest.add(rows::ADVISOR, |n| {
        repeat(n, || {
            let counted = count_sizes(sizes.iter().copied());
            let advice = Advisor::new().class_table(&counted, &[]);
            black_box(advice.expect("sizes were recorded"));
        })
    });
    finish(rows::ADVISE, contest, schedule, NANOS_IN_A_MICRO)
}
