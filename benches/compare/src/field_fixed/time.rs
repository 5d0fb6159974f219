//! Rows whose contenders take turns, round after round, in one process.

use super::rows;
use crate::contender::{Contender, Full, Item, Kind, Pool};
use crate::contenders::{Visitor, visit_all};
use crate::kernels::{self, Orders};
use millpond_bench::runner::{ARITHMETIC, Contest, Schedule, Timed};
use millpond_bench::stats::per_round;
use millpond_bench::worker::{Measurement, Request};
use std::time::Duration;

/// Items in pools for bursts, and in those that hand them from thread to thread:
/// many magazines of them.
const MANY: usize = 8192;

/// Items of the pool that is exhausted.
const FEW: usize = 64;

/// Measures the row `row`, if it is one of these.
pub fn measure(row: &str, request: &Request) -> Option<Vec<Measurement>> {
    let schedule = schedule_of(request);
    let capacity = |rows: &[(&str, usize)]| rows.iter().find(|(id, _)| *id == row).map(|r| r.1);
    if let Some(capacity) = capacity(&rows::PAIR) {
        return Some(contest(row, schedule, Pairs { capacity }));
    }
    if let Some(capacity) = capacity(&rows::HELD) {
        return Some(contest(
            row,
            schedule,
            Helds {
                capacity,
                orders: Orders::new(),
            },
        ));
    }
    match row {
        rows::BURST => Some(contest(row, schedule, Bursts)),
        rows::TWO_THREADS => Some(two_threads(schedule)),
        rows::CROSS => Some(measured(row, schedule, entered(Crosses).on_all_cores())),
        rows::CHANNEL => Some(measured(row, schedule, entered(Channels).on_all_cores())),
        rows::EXHAUSTED => Some(contest(row, schedule, Exhausteds)),
        rows::LOCAL_PAIR | rows::LOCAL_HELD => Some(crate::ours::local(row, schedule)),
        row => super::kinds::measure(row, schedule),
    }
}

/// The request's rounds and slice.
pub fn schedule_of(request: &Request) -> Schedule {
    Schedule {
        rounds: request.rounds,
        slice: Duration::from_micros(request.slice_micros),
    }
}

/// How a contender takes part in a row, if it does.
trait Entry {
    fn enter<C: Contender>(&self, contest: &mut Contest<'static>);
}

/// Lets every contender enter, measures them in turn, and names the row.
fn contest(row: &str, schedule: Schedule, entry: impl Entry) -> Vec<Measurement> {
    measured(row, schedule, entered(entry))
}

fn measured(row: &str, schedule: Schedule, contest: Contest<'_>) -> Vec<Measurement> {
    into_measurements(row, contest.run(schedule))
}

/// A contest that every contender has entered.
fn entered(entry: impl Entry) -> Contest<'static> {
    struct Entering<E>(E, Contest<'static>);
    impl<E: Entry> Visitor for Entering<E> {
        fn visit<C: Contender>(&mut self) {
            self.0.enter::<C>(&mut self.1);
        }
    }
    let mut entering = Entering(entry, Contest::new());
    visit_all(&mut entering);
    entering.1
}

/// Timed contenders as measurements of `row`.
pub fn into_measurements(row: &str, timed: Vec<Timed>) -> Vec<Measurement> {
    timed
        .into_iter()
        .map(|timed| Measurement::new(row, timed.name, timed.nanos))
        .collect()
}

struct Pairs {
    capacity: usize,
}

impl Entry for Pairs {
    fn enter<C: Contender>(&self, contest: &mut Contest<'static>) {
        let pool = C::Pool::<Item>::with_capacity(self.capacity);
        contest.add(C::NAME, move |n| {
            kernels::pair(n, |item| pool.acquire(item))
        });
    }
}

struct Helds {
    capacity: usize,
    orders: Orders,
}

impl Entry for Helds {
    fn enter<C: Contender>(&self, contest: &mut Contest<'static>) {
        let pool = C::Pool::<Item>::with_capacity(self.capacity);
        let orders = self.orders.clone();
        contest.add(C::NAME, move |n| {
            kernels::held(n, &orders, |item| pool.acquire(item))
        });
    }
}

struct Bursts;

impl Entry for Bursts {
    fn enter<C: Contender>(&self, contest: &mut Contest<'static>) {
        let pool = C::Pool::<Item>::with_capacity(MANY);
        contest.add(C::NAME, move |n| {
            kernels::burst(n, |item| pool.acquire(item))
        });
    }
}

struct Crosses;

impl Entry for Crosses {
    fn enter<C: Contender>(&self, contest: &mut Contest<'static>) {
        let pool = C::Pool::<Full>::with_capacity(MANY);
        contest.add(C::NAME, move |n| {
            kernels::cross(n, |value| pool.acquire(value))
        });
    }
}

struct Channels;

impl Entry for Channels {
    fn enter<C: Contender>(&self, contest: &mut Contest<'static>) {
        let pool = C::Pool::<Full>::with_capacity(MANY);
        contest.add(C::NAME, move |n| {
            kernels::channel(n, |value| pool.acquire(value))
        });
    }
}

struct Exhausteds;

impl Entry for Exhausteds {
    fn enter<C: Contender>(&self, contest: &mut Contest<'static>) {
        if C::KIND != Kind::Bounded {
            return;
        }
        let pool = C::Pool::<Item>::with_capacity(FEW);
        contest.add(C::NAME, move |n| {
            let leased: Vec<_> = (0..FEW).map(|_| pool.acquire(Item::default())).collect();
            let elapsed = kernels::exhausted(n, |item| pool.try_acquire(item));
            drop(leased);
            elapsed
        });
    }
}

/// Pairs on two threads, and their ratio to one thread beside a loop without memory.
fn two_threads(schedule: Schedule) -> Vec<Measurement> {
    let mut threads = Threads::default();
    threads.enter(ARITHMETIC, kernels::arithmetic);
    visit_all(&mut threads);
    let timed = threads.contest.on_all_cores().run(schedule);
    // Entered two by two: alone, then both.
    let (both, ratios): (Vec<_>, Vec<_>) = timed
        .chunks_exact(2)
        .map(|pair| {
            let ratio = per_round(&pair[1].nanos, &pair[0].nanos, |both, alone| both / alone);
            (
                pair[1].clone(),
                Timed {
                    name: pair[0].name.clone(),
                    nanos: ratio,
                },
            )
        })
        .unzip();
    // The loop without memory stays in the row as its yardstick, as measured.
    let machine = ratios[0].nanos.clone();
    let divided = ratios
        .into_iter()
        .enumerate()
        .map(|(index, timed)| match index {
            0 => timed,
            _ => {
                let nanos = per_round(&timed.nanos, &machine, |ratio, machine| ratio / machine);
                Timed { nanos, ..timed }
            }
        });
    let scaling = into_measurements(rows::SCALING, divided.collect());
    let both = both.into_iter().skip(1).collect();
    into_measurements(rows::TWO_THREADS, both)
        .into_iter()
        .chain(scaling)
        .collect()
}

#[derive(Default)]
struct Threads {
    contest: Contest<'static>,
}

impl Threads {
    fn enter(&mut self, name: &str, work: impl Fn(u64) -> Duration + Sync + Clone + 'static) {
        let alone = work.clone();
        self.contest
            .add(name, move |n| kernels::on_threads(1, n, &alone));
        self.contest
            .add(name, move |n| kernels::on_threads(2, n, &work));
    }
}

impl Visitor for Threads {
    fn visit<C: Contender>(&mut self) {
        let pool = std::sync::Arc::new(C::Pool::<Item>::with_capacity(MANY));
        self.enter(C::NAME, move |n| {
            kernels::pair(n, |item| pool.acquire(item))
        });
    }
}
