//! Our pools as contenders.

use crate::contender::Item;
use crate::contenders::intrusive::FreeList;
use crate::field_fixed::{into_measurements, rows};
use crate::kernels::{self, Orders};
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::worker::Measurement;

/// The shared pool's name.
pub const SHARED: &str = "millpond FixedPool";
/// The single-thread pool's name.
pub const LOCAL: &str = "millpond LocalFixedPool";
/// The yardstick of the single-thread pool.
pub const LIST: &str = "intrusive free list";

/// Items of the single-thread pools.
const CAPACITY: usize = 8192;

/// The single-thread pool beside a bare free list, in the row `row`.
pub fn local(row: &str, schedule: Schedule) -> Vec<Measurement> {
    let orders = Orders::new();
    let list = FreeList::<Item>::new(CAPACITY);
    let mut contest = Contest::new();
    contest.add(LIST, |n| {
        let acquire = |item| list.acquire(item).expect("within the capacity");
        if row == rows::LOCAL_PAIR {
            kernels::pair(n, acquire)
        } else {
            kernels::held(n, &orders, acquire)
        }
    });
    into_measurements(row, contest.run(schedule))
}
