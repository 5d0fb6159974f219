//! Our pool for one thread, beside a bare free list.

use crate::contender::Item;
use crate::contenders::intrusive::FreeList;
use crate::field_fixed::{into_measurements, rows};
use crate::kernels::{self, Orders};
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::worker::Measurement;
use millpond_fixed::LocalFixedPool;
use std::ops::DerefMut;
use std::time::Duration;

/// The single-thread pool's name.
pub const LOCAL: &str = "millpond LocalFixedPool";
/// The yardstick of the single-thread pool.
pub const LIST: &str = "intrusive free list";

/// Items of the single-thread pools.
const CAPACITY: usize = 8192;

/// The crate `plurality`: one thread acquires, and the lease borrows the pool.
const PLURALITY: &str = "plurality";
/// The same with leases that outlive the pool and go home from any thread.
const PLURALITY_BOX: &str = "plurality Box";

/// The single-thread pool beside a bare free list, in the row `row`.
pub fn local(row: &str, schedule: Schedule) -> Vec<Measurement> {
    let orders = Orders::new();
    let pool = LocalFixedPool::<Item>::new_local(CAPACITY);
    let list = FreeList::<Item>::new(CAPACITY);
    let typed = plurality::Pool::<Item>::new();
    let mut contest = Contest::new();
    contest.add(LOCAL, |n| {
        time(row, n, &orders, |item| pool.try_acquire_with(|| item).ok())
    });
    contest.add(LIST, |n| time(row, n, &orders, |item| list.acquire(item)));
    contest.add(PLURALITY, |n| {
        time(row, n, &orders, |item| typed.try_alloc(item).ok())
    });
    contest.add(PLURALITY_BOX, |n| {
        time(row, n, &orders, |item| typed.try_alloc_box(item).ok())
    });
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
