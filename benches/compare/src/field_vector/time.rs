//! Rows whose contenders take turns, round after round, in one process.

use super::row::{self, DIMENSION, Rows};
use super::store::{self, Each, Ours, Store};
use super::{OURS, rows, space};
use crate::field_fixed::into_measurements;
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::stats::Random;
use millpond_bench::worker::{Measurement, Request};
use millpond_vector::{HugePages, VectorPool, kernel};
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Filling a row that is held, or copying into it: what a lease is compared with.
pub const HELD: &str = "a row that is held";
/// Rows without padding, one after the other.
pub const BACK_TO_BACK: &str = "rows back to back";
/// Our pool with the pages that everybody gets.
pub const SMALL_PAGES: &str = "millpond VectorPool, small pages";
/// Our pool with huge pages, touched beforehand.
pub const PREFAULTED: &str = "millpond VectorPool, huge pages, prefaulted";
/// Loops that only read.
pub const READING: [&str; 3] = [
    "reading, f32 sums",
    "reading, u64 xor",
    "reading, two streams",
];

/// The task `task`, if it is one of these.
pub fn measure(task: &str, request: &Request) -> Option<Vec<Measurement>> {
    let schedule = Schedule {
        rounds: request.rounds,
        slice: Duration::from_micros(request.slice_micros),
    };
    let count = usize::try_from(request.count).unwrap_or(usize::MAX);
    if let Some((row, dimension)) = rows::RAGGED.iter().find(|(row, _)| *row == task) {
        return Some(ragged(row, *dimension, schedule));
    }
    match task {
        rows::LEASE => Some(lease(schedule)),
        rows::FILL => Some(fill(schedule)),
        rows::COPY => Some(copy(schedule)),
        rows::BUILD => Some(build(count, schedule)),
        rows::BUILD_AGAIN => Some(build_again(count, schedule)),
        rows::SCAN => Some(scan_and_gather(count, schedule)),
        _ => None,
    }
}

/// Times `iterations` of a step.
#[inline(always)]
fn repeat(iterations: u64, mut step: impl FnMut()) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        step();
    }
    began.elapsed()
}

#[inline(never)]
fn leases<R: Rows>(rows: &R, iterations: u64) -> Duration {
    repeat(iterations, || drop(rows.bare()))
}

fn lease(schedule: Schedule) -> Vec<Measurement> {
    struct Entering(Contest<'static>);
    impl row::Visitor for Entering {
        fn visit<R: Rows>(&mut self) {
            let rows = R::new();
            self.0.add(R::name(), move |n| leases(&rows, n));
        }
    }
    let mut entering = Entering(Contest::new());
    row::visit_all(&mut entering);
    into_measurements(rows::LEASE, entering.0.run(schedule))
}

#[inline(never)]
fn fills<R: Rows>(rows: &R, iterations: u64) -> Duration {
    repeat(iterations, || drop(rows.full(black_box(1.5))))
}

/// Fills the row that the pool would lend, which is held meanwhile: the same
/// addresses, so that the filling itself costs the same.
#[inline(never)]
fn fills_of_held(pool: &VectorPool<f32>, iterations: u64) -> Duration {
    let mut row = pool.try_acquire().expect("one at a time");
    repeat(iterations, || {
        row.fill(black_box(1.5));
        black_box(row.as_ptr());
    })
}

#[inline(never)]
fn copies<R: Rows>(rows: &R, numbers: &[f32], iterations: u64) -> Duration {
    repeat(iterations, || drop(rows.filled(numbers)))
}

#[inline(never)]
fn copies_into_held(pool: &VectorPool<f32>, numbers: &[f32], iterations: u64) -> Duration {
    let mut row = pool.try_acquire().expect("one at a time");
    repeat(iterations, || {
        row.copy_from_slice(numbers);
        black_box(row.as_ptr());
    })
}

fn fill(schedule: Schedule) -> Vec<Measurement> {
    struct Entering<'a>(Contest<'a>);
    impl row::Visitor for Entering<'_> {
        fn visit<R: Rows>(&mut self) {
            // Ours takes part below, beside the row that is held.
            if R::name() != OURS {
                let rows = R::new();
                self.0.add(R::name(), move |n| fills(&rows, n));
            }
        }
    }
    let pool = <VectorPool<f32> as Rows>::new();
    let mut entering = Entering(Contest::new());
    row::visit_all(&mut entering);
    let Entering(mut contest) = entering;
    contest.add(OURS, |n| fills(&pool, n));
    contest.add(HELD, |n| fills_of_held(&pool, n));
    into_measurements(rows::FILL, contest.run(schedule))
}

fn copy(schedule: Schedule) -> Vec<Measurement> {
    struct Entering<'a>(Contest<'a>, &'a [f32]);
    impl row::Visitor for Entering<'_> {
        fn visit<R: Rows>(&mut self) {
            // Ours takes part below, beside the row that is held.
            if R::name() != OURS {
                let (rows, numbers) = (R::new(), self.1);
                self.0.add(R::name(), move |n| copies(&rows, numbers, n));
            }
        }
    }
    let numbers = black_box(vec![1.5; DIMENSION]);
    let pool = <VectorPool<f32> as Rows>::new();
    let mut entering = Entering(Contest::new(), &numbers);
    row::visit_all(&mut entering);
    let Entering(mut contest, numbers) = entering;
    contest.add(OURS, |n| copies(&pool, numbers, n));
    contest.add(HELD, |n| copies_into_held(&pool, numbers, n));
    into_measurements(rows::COPY, contest.run(schedule))
}

/// Rows that stay in the second level of the cache.
const CACHED: usize = 512;

fn ragged(row: &str, dimension: usize, schedule: Schedule) -> Vec<Measurement> {
    let numbers = random_rows(dimension, CACHED);
    let query = &numbers[..dimension];
    let mut ours = Ours::new(dimension, CACHED + 1);
    for row in numbers.chunks_exact(dimension) {
        ours.push(row);
    }
    let padded = ours.pool.row_padded(ours.ids[0]).expect("stored").to_vec();
    // Packed rows begin where the last one ended.
    let packed = || numbers.chunks_exact(dimension);
    let runs = || ours.pool.runs().flat_map(|run| run.rows_padded());
    let mut contest = Contest::new();
    contest.add(OURS, |n| dots(&padded, runs, n));
    contest.add(BACK_TO_BACK, |n| dots(query, packed, n));
    let timed = contest.run(schedule).into_iter().map(|mut timed| {
        timed
            .nanos
            .iter_mut()
            .for_each(|nanos| *nanos /= CACHED as f64);
        timed
    });
    into_measurements(row, timed.collect())
}

#[inline(never)]
fn dots<'a, I: Iterator<Item = &'a [f32]>>(
    query: &[f32],
    rows: impl Fn() -> I,
    iterations: u64,
) -> Duration {
    repeat(iterations, || {
        let sum: f32 = rows().map(|row| kernel::dot(query, row)).sum();
        black_box(sum);
    })
}

fn random_rows(dimension: usize, count: usize) -> Vec<f32> {
    let mut random = Random::new(0x5eed);
    let number = |_| (random.below(2001) as f32) / 1000.0 - 1.0;
    (0..dimension * count).map(number).collect()
}

/// A contest in which an iteration is a whole store; figures are per row.
struct Lives<'a> {
    contest: Contest<'a>,
    numbers: &'a [f32],
    count: usize,
}

impl<'a> Lives<'a> {
    fn of(numbers: &'a [f32], count: usize) -> Self {
        Self {
            contest: Contest::new(),
            numbers,
            count,
        }
    }

    fn enter<S: Store>(&mut self, name: String, new: impl Fn() -> S + 'static) {
        let mut live = life(self, new);
        self.contest.add(name, move |n| repeat(n, &mut live));
    }

    /// Enters a store that gets the memory of one just like it, which is torn down
    /// before the clock starts.
    fn enter_again<S: Store>(&mut self, name: &str, new: impl Fn() -> S + 'static) {
        let mut live = life(self, new);
        self.contest.add(name, move |n| {
            live();
            repeat(n, &mut live)
        });
    }
}

/// From an empty store to its end.
fn life<S: Store, N: Fn() -> S + 'static>(lives: &Lives<'_>, new: N) -> impl FnMut() + use<S, N> {
    let (numbers, count) = (lives.numbers.to_vec(), lives.count);
    move || {
        let mut store = new();
        let rows = numbers.chunks_exact(BUILT).cycle();
        rows.take(count).for_each(|row| store.push(row));
        black_box(&store);
    }
}

impl store::Visitor for Lives<'_> {
    fn visit<S: Store>(&mut self) {
        let count = self.count;
        self.enter(S::name(), move || S::new(BUILT, count));
    }
}

/// Elements of the rows of a build.
const BUILT: usize = 128;

fn build(count: usize, schedule: Schedule) -> Vec<Measurement> {
    // A few rows, again and again: reading them costs next to nothing.
    let numbers = random_rows(BUILT, 64);
    let mut lives = Lives::of(&numbers, count);
    store::visit_all(&mut lives);
    lives.enter(SMALL_PAGES.into(), move || in_small_pages(count));
    lives.enter(PREFAULTED.into(), move || prefaulted(count));
    per_row(rows::BUILD, count, lives.contest, schedule)
}

/// What pages are worth where the memory is at hand: a virtual machine may hand
/// large free pieces back to its host, and then pays for every page of them again.
fn build_again(count: usize, schedule: Schedule) -> Vec<Measurement> {
    let numbers = random_rows(BUILT, 64);
    let mut lives = Lives::of(&numbers, count);
    lives.enter_again(SMALL_PAGES, move || in_small_pages(count));
    lives.enter_again(PREFAULTED, move || prefaulted(count));
    let mut measured = per_row(rows::BUILD_AGAIN, count, lives.contest, schedule);
    let mut store = prefaulted(count);
    let rows = numbers.chunks_exact(BUILT).cycle();
    rows.take(count).for_each(|row| store.push(row));
    measured.extend(space::in_small_pages(BUILT_GRANTED, &store));
    measured
}

/// The store of the row, among those of which the system says what it granted.
pub const BUILT_GRANTED: &str = "the store that is built again";

fn in_small_pages(count: usize) -> Ours {
    Ours::with(BUILT, count, HugePages::None, false)
}

fn prefaulted(count: usize) -> Ours {
    Ours::with(BUILT, count, HugePages::Transparent, true)
}

fn per_row(row: &str, count: usize, contest: Contest<'_>, schedule: Schedule) -> Vec<Measurement> {
    let timed = contest.run(schedule).into_iter().map(|mut timed| {
        timed
            .nanos
            .iter_mut()
            .for_each(|nanos| *nanos /= count as f64);
        timed
    });
    into_measurements(row, timed.collect())
}

/// Rows that are gathered in one iteration.
const GATHERED: usize = 20_000;

fn scan_and_gather(count: usize, schedule: Schedule) -> Vec<Measurement> {
    let some = random_rows(DIMENSION, 64);
    let row_of = |number: usize| &some[number % 64 * DIMENSION..][..DIMENSION];
    let mut random = Random::new(1);
    let mut ours = Ours::new(DIMENSION, count);
    (0..count).for_each(|number| ours.push(row_of(number)));
    // Rows of the heap, allocated in another order than they are numbered in.
    let mut order: Vec<usize> = (0..count).collect();
    random.shuffle(&mut order);
    let mut places: Vec<Option<Vec<f32>>> = (0..count).map(|_| None).collect();
    for &number in &order {
        places[number] = Some(row_of(number).to_vec());
    }
    let mut heap = Each::new(DIMENSION, count);
    places.into_iter().flatten().for_each(|row| heap.take(row));
    let wanted: Vec<u32> = (0..GATHERED)
        .map(|_| u32::try_from(random.below(count)).expect("a row number"))
        .collect();
    let (ours, heap, query) = (Rc::new(ours), Rc::new(heap), row_of(0).to_vec());

    let mut scan = Contest::new();
    scan.add(OURS, |n| scans(&*ours, &query, n));
    scan.add(<Each<Vec<f32>> as Store>::name(), |n| {
        scans(&*heap, &query, n)
    });
    let loops: [fn(&[f32]) -> u64; 3] = [reading::sums, reading::xor, reading::two_streams];
    for (name, read) in READING.into_iter().zip(loops) {
        let ours = Rc::clone(&ours);
        scan.add(name, move |n| reads(&ours.pool, read, n));
    }
    let mut measured = per_row(rows::SCAN, count, scan, schedule);

    let mut gather = Contest::new();
    gather.add(OURS, |n| gathers(&*ours, &wanted, &query, n));
    gather.add(<Each<Vec<f32>> as Store>::name(), |n| {
        gathers(&*heap, &wanted, &query, n)
    });
    measured.extend(per_row(rows::GATHER, GATHERED, gather, schedule));
    measured
}

#[inline(never)]
fn scans<S: Store>(store: &S, query: &[f32], iterations: u64) -> Duration {
    repeat(iterations, || {
        let mut best = f32::MIN;
        store.scan(|_, row| best = best.max(kernel::dot(query, row)));
        black_box(best);
    })
}

#[inline(never)]
fn gathers<S: Store>(store: &S, numbers: &[u32], query: &[f32], iterations: u64) -> Duration {
    repeat(iterations, || {
        let mut best = f32::MIN;
        store.gather(numbers, |row| best = best.max(kernel::dot(query, row)));
        black_box(best);
    })
}

#[inline(never)]
fn reads(pool: &VectorPool<f32>, read: fn(&[f32]) -> u64, iterations: u64) -> Duration {
    repeat(iterations, || {
        let sum = pool
            .runs()
            .fold(0, |sum: u64, run| sum ^ read(run.as_slice()));
        black_box(sum);
    })
}

/// Loops that read memory as fast as one thread can, and do as little as keeps the
/// compiler from leaving them out.
mod reading {
    use multiversion::multiversion;

    #[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
    pub fn sums(numbers: &[f32]) -> u64 {
        let mut sums = [0.0_f32; 64];
        for block in numbers.chunks_exact(64) {
            for (sum, number) in sums.iter_mut().zip(block) {
                *sum += number;
            }
        }
        sums.iter().map(|sum| u64::from(sum.to_bits())).sum()
    }

    #[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
    pub fn xor(numbers: &[f32]) -> u64 {
        let mut sums = [0_u32; 128];
        for block in numbers.chunks_exact(128) {
            for (sum, number) in sums.iter_mut().zip(block) {
                *sum ^= number.to_bits();
            }
        }
        sums.iter().map(|&sum| u64::from(sum)).sum()
    }

    #[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
    pub fn two_streams(numbers: &[f32]) -> u64 {
        let (front, back) = numbers.split_at(numbers.len() / 2);
        let mut sums = [0_u32; 64];
        for (front, back) in front.chunks_exact(64).zip(back.chunks_exact(64)) {
            for (sum, (front, back)) in sums.iter_mut().zip(front.iter().zip(back)) {
                *sum ^= front.to_bits() ^ back.to_bits();
            }
        }
        sums.iter().map(|&sum| u64::from(sum)).sum()
    }
}
