//! Rows whose contenders take turns, round after round, in one process.

use super::contenders::{Buffers, BytesMuts, OURS, Visitor, visit_all};
use super::{kernels, rows};
use crate::field_fixed::into_measurements;
use crate::kernels::{arithmetic, on_threads};
use bytes::BufMut;
use millpond_bench::counting::in_steady_state;
use millpond_bench::pin;
use millpond_bench::runner::{ARITHMETIC, Contest, Schedule, Timed};
use millpond_bench::stats::per_round;
use millpond_bench::worker::{Measurement, Request};
use millpond_bytes::{BytePool, Config, PoolBuf};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The yardstick of wiping.
pub const MEMSET: &str = "memset";
/// The yardstick of reuse in order of a stack.
pub const QUEUE: &str = "queue";

const KIB_4: usize = 4 << 10;
const KIB_64: usize = 64 << 10;

/// Measures the row `row`, if it is one of these.
pub fn measure(row: &str, request: &Request) -> Option<Vec<Measurement>> {
    let schedule = Schedule {
        rounds: request.rounds,
        slice: Duration::from_micros(request.slice_micros),
    };
    let entry = match row {
        "pair-2k" => Entry::Pair::<{ 2 << 10 }>.enter_all(),
        "pair-4k" => Entry::Pair::<KIB_4>.enter_all(),
        "pair-8k" => Entry::Pair::<{ 8 << 10 }>.enter_all(),
        "pair-16k" => Entry::Pair::<{ 16 << 10 }>.enter_all(),
        "pair-32k" => Entry::Pair::<{ 32 << 10 }>.enter_all(),
        "pair-64k" => Entry::Pair::<KIB_64>.enter_all(),
        rows::MIXED => Entry::Mixed::<0>.enter_all(),
        rows::ZEROED => Entry::Zeroed::<KIB_4>.enter_all(),
        rows::TOUCHED => Entry::Touched::<KIB_64>.enter_all(),
        rows::LOAD => Entry::Load::<0>.enter_all(),
        rows::LOAD_TOUCHED => Entry::LoadTouched::<0>.enter_all(),
        rows::WIPED => wiped(),
        rows::REUSE => reuse(),
        rows::FREEZE => freeze(),
        rows::TWO_THREADS => return Some(two_threads(schedule)),
        _ => return None,
    };
    Some(into_measurements(row, entry.run(schedule)))
}

/// How contenders take part in a row.
#[derive(Clone, Copy)]
enum Entry<const LEN: usize> {
    Pair,
    Mixed,
    Zeroed,
    Touched,
    Load,
    LoadTouched,
}

struct Entering<const LEN: usize>(Entry<LEN>, Contest<'static>);

impl<const LEN: usize> Entry<LEN> {
    fn enter_all(self) -> Contest<'static> {
        let contest = match self {
            Self::Touched | Self::Load | Self::LoadTouched => Contest::new().on_all_cores(),
            Self::Pair | Self::Mixed | Self::Zeroed => Contest::new(),
        };
        let mut entering = Entering(self, contest);
        visit_all(&mut entering);
        entering.1
    }
}

impl<const LEN: usize> Visitor for Entering<LEN> {
    fn visit<B: Buffers>(&mut self) {
        let mixed = matches!(self.0, Entry::Mixed | Entry::Load | Entry::LoadTouched);
        if (mixed && !B::MIXED) || (matches!(self.0, Entry::Zeroed) && !B::ZEROES) {
            return;
        }
        let (buffers, sizes) = (B::new(), kernels::drawn_sizes());
        let run: Box<dyn FnMut(u64) -> Duration> = match self.0 {
            Entry::Pair => Box::new(move |n| kernels::pair::<LEN, B>(&buffers, n)),
            Entry::Zeroed => Box::new(move |n| kernels::zeroed::<LEN, B>(&buffers, n)),
            Entry::Mixed => Box::new(move |n| kernels::mixed(&buffers, &sizes, n)),
            Entry::Touched => {
                Box::new(move |n| on_threads(2, n, &|n| kernels::touched::<LEN, B>(&buffers, n)))
            }
            // Two threads at once: wall time per operation is half of each's.
            Entry::Load => {
                Box::new(move |n| on_threads(2, n, &|n| kernels::mixed(&buffers, &sizes, n)) / 2)
            }
            Entry::LoadTouched => Box::new(move |n| {
                on_threads(2, n, &|n| kernels::mixed_touched(&buffers, &sizes, n)) / 2
            }),
        };
        self.1.add(B::NAME, run);
    }
}

/// A wiping pool beside a plain one whose buffers are zeroed by their holder.
fn wiped() -> Contest<'static> {
    let pool = BytePool::new(Config::new().with_wipe_on_release(true)).expect("valid");
    let mut contest = Contest::new();
    contest.add(OURS, move |n| kernels::pair::<KIB_4, _>(&pool, n));
    let plain = BytePool::default();
    contest.add(MEMSET, move |n| memset(&plain, n));
    contest
}

#[inline(never)]
fn memset(pool: &BytePool, iterations: u64) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        let mut buffer = pool.acquire(KIB_4).expect("memory");
        let start = buffer.as_mut_ptr();
        // SAFETY: the capacity is as large.
        unsafe { start.write_bytes(0, KIB_4) };
        black_box(start);
    }
    began.elapsed()
}

/// Buffers that exist at once in the row of reuse.
const EXISTING: usize = 1024;

/// A stack of buffers beside a queue of them.
fn reuse() -> Contest<'static> {
    let mut contest = Contest::new();
    let pool = BytePool::default();
    pool.warm_up_class(KIB_64, EXISTING).expect("memory");
    // All are touched once, so that neither side meets fresh pages.
    let mut all: Vec<PoolBuf> = (0..EXISTING).map(|_| taken(&pool)).collect();
    all.iter_mut().for_each(write_lines);
    drop(all);
    contest.add(OURS, move |n| {
        let began = Instant::now();
        for _ in 0..n {
            write_lines(&mut taken(&pool));
        }
        began.elapsed()
    });
    let other = BytePool::default();
    let mut queue: VecDeque<PoolBuf> = (0..EXISTING).map(|_| taken(&other)).collect();
    queue.iter_mut().for_each(write_lines);
    contest.add(QUEUE, move |n| {
        let began = Instant::now();
        for _ in 0..n {
            let mut buffer = queue.pop_front().expect("there are 1,024");
            write_lines(&mut buffer);
            queue.push_back(buffer);
        }
        began.elapsed()
    });
    contest
}

fn taken(pool: &BytePool) -> PoolBuf {
    pool.acquire(KIB_64).expect("memory")
}

/// Writes one byte of every line.
#[inline(never)]
fn write_lines(buffer: &mut PoolBuf) {
    let start = buffer.as_mut_ptr();
    for line in (0..KIB_64).step_by(64) {
        // SAFETY: below the capacity.
        let at = unsafe { start.add(line) };
        // SAFETY: as above.
        unsafe { at.write(1) };
    }
    black_box(start);
}

/// A frozen buffer, shared by two, and back.
fn freeze() -> Contest<'static> {
    let mut contest = Contest::new();
    let pool = BytePool::default();
    contest.add(OURS, move |n| {
        let began = Instant::now();
        for _ in 0..n {
            let mut buffer = pool.acquire(KIB_4).expect("memory");
            let _ = buffer.push(1);
            let bytes = buffer.freeze();
            let other = black_box(bytes.clone());
            drop(bytes);
            let _ = black_box(other.try_into_mut());
        }
        began.elapsed()
    });
    contest.add(BytesMuts::NAME, |n| {
        let began = Instant::now();
        for _ in 0..n {
            let mut buffer = BytesMuts.acquire::<KIB_4>();
            buffer.put_u8(1);
            let bytes = buffer.freeze();
            let other = black_box(bytes.clone());
            drop(bytes);
            let _ = black_box(other.try_into_mut());
        }
        began.elapsed()
    });
    contest
}

/// Pairs on two threads, and their ratio to one thread beside a loop without memory.
fn two_threads(schedule: Schedule) -> Vec<Measurement> {
    struct Threads(Contest<'static>);
    impl Threads {
        fn enter(&mut self, name: &str, work: impl Fn(u64) -> Duration + Sync + Clone + 'static) {
            let alone = work.clone();
            self.0.add(name, move |n| on_threads(1, n, &alone));
            self.0.add(name, move |n| on_threads(2, n, &work));
        }
    }
    impl Visitor for Threads {
        fn visit<B: Buffers>(&mut self) {
            let buffers = Arc::new(B::new());
            self.enter(B::NAME, move |n| kernels::pair::<KIB_4, B>(&buffers, n));
        }
    }
    let mut threads = Threads(Contest::new().on_all_cores());
    threads.enter(ARITHMETIC, arithmetic);
    visit_all(&mut threads);
    let timed = threads.0.run(schedule);
    // Entered two by two: alone, then both.
    let both: Vec<Timed> = timed.chunks_exact(2).map(|pair| pair[1].clone()).collect();
    let ratios: Vec<Timed> = timed
        .chunks_exact(2)
        .map(|pair| Timed {
            name: pair[0].name.clone(),
            nanos: per_round(&pair[1].nanos, &pair[0].nanos, |both, alone| both / alone),
        })
        .collect();
    let machine = ratios[0].nanos.clone();
    let divided = ratios.into_iter().skip(1).map(|timed| Timed {
        nanos: per_round(&timed.nanos, &machine, |ratio, machine| ratio / machine),
        ..timed
    });
    let scaling = into_measurements(rows::SCALING, divided.collect());
    let both = both.into_iter().skip(1).collect();
    let both = into_measurements(rows::TWO_THREADS, both);
    both.into_iter().chain(scaling).collect()
}

/// Pairs that are counted; as many again warm each thread up.
const COUNTED: u64 = 1_000_000;

/// Heap allocations of warmed pools.
pub fn allocations() -> Vec<Measurement> {
    struct Allocations(Vec<Measurement>);
    impl Visitor for Allocations {
        fn visit<B: Buffers>(&mut self) {
            if !(B::POOLS && B::MIXED) {
                return;
            }
            let (buffers, sizes) = (B::new(), kernels::drawn_sizes());
            let threads = pin::core_count().min(2);
            let counted = in_steady_state(threads, COUNTED, &|pairs| {
                kernels::mixed(&buffers, &sizes, pairs);
            });
            let measured = Measurement::new(rows::ALLOCATIONS, B::NAME, vec![counted as f64]);
            self.0.push(measured);
        }
    }
    let mut allocations = Allocations(Vec::new());
    visit_all(&mut allocations);
    allocations.0
}
