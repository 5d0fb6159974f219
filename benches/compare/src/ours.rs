//! Our pools as contenders.
//!
//! Items are built in place (`try_acquire_with`), as the other contenders do when
//! they write through a pointer; `try_acquire` carries the value along so that it
//! can hand it back, which the compiler does not always see through.

use crate::contender::{Contender, Item, Kind, Pool, Value};
use crate::contenders::intrusive::FreeList;
use crate::field_fixed::{into_measurements, rows};
use crate::kernels::{self, Orders};
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::worker::Measurement;
use millpond_fixed::{FixedPool, Lease, Level, LocalFixedPool, Shared};
use std::ops::DerefMut;
use std::time::Duration;

/// The shared pool's name.
pub const SHARED: &str = "millpond FixedPool";
/// The single-thread pool's name.
pub const LOCAL: &str = "millpond LocalFixedPool";
/// The yardstick of the single-thread pool.
pub const LIST: &str = "intrusive free list";

/// The shared pool.
pub struct Ours;

impl Contender for Ours {
    const NAME: &'static str = SHARED;
    const KIND: Kind = Kind::Bounded;
    type Pool<T: Value> = FixedPool<T>;
}

impl<T: Value> Pool<T> for FixedPool<T> {
    type Lease<'a> = Lease<'a, T, Shared>;

    fn with_capacity(capacity: usize) -> Self {
        Self::new(capacity)
    }

    #[inline(always)]
    fn try_acquire(&self, value: T) -> Option<Lease<'_, T, Shared>> {
        FixedPool::try_acquire_with(self, || value).ok()
    }

    fn trim(&self) {
        FixedPool::trim(self, Level::Full);
    }
}

/// Items of the single-thread pools.
const CAPACITY: usize = 8192;

/// The single-thread pool beside a bare free list, in the row `row`.
pub fn local(row: &str, schedule: Schedule) -> Vec<Measurement> {
    let orders = Orders::new();
    let pool = LocalFixedPool::<Item>::new_local(CAPACITY);
    let list = FreeList::<Item>::new(CAPACITY);
    let mut contest = Contest::new();
    contest.add(LOCAL, |n| {
        time(row, n, &orders, |item| pool.try_acquire_with(|| item).ok())
    });
    contest.add(LIST, |n| time(row, n, &orders, |item| list.acquire(item)));
    into_measurements(row, contest.run(schedule))
}

fn time<L: DerefMut<Target = Item>>(
    row: &str,
    iterations: u64,
    orders: &Orders,
    try_acquire: impl Fn(Item) -> Option<L>,
) -> Duration {
    let acquire = |item| try_acquire(item).expect("within the capacity");
    if row == rows::LOCAL_PAIR {
        kernels::pair(iterations, acquire)
    } else {
        kernels::held(iterations, orders, acquire)
    }
}
