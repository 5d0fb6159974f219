//! Rows on the kinds of fixed pool: objects, ids, batches, many pools in turn.

use super::{into_measurements, rows};
use crate::contender::Item;
use crate::contenders::SHARED;
use crate::kernels;
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::stats::Random;
use millpond_bench::worker::Measurement;
use millpond_fixed::{Clear, FixedPool, Hooks, IdPool, ObjectPool};
use slab::Slab;
use slotmap::{DefaultKey, SlotMap};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};
use thunderdome::Arena;

/// Our pool of objects.
pub const OBJECTS: &str = "millpond ObjectPool";
/// Our pool of values with ids.
pub const IDS: &str = "millpond IdPool";
/// The crate `slotmap`.
pub const SLOTMAP: &str = "slotmap";
/// The crate `slab`: a stale key finds whatever took its place.
const SLAB: &str = "slab";
/// The crate `thunderdome`.
const THUNDERDOME: &str = "thunderdome";
/// The crate `sharded-slab`: shared by threads, so that a lookup pins its value.
const SHARDED_SLAB: &str = "sharded-slab";
/// Who takes part in the rows of ids.
pub const NAMING: usize = 5;
/// Our pool, asked for many at once.
pub const AT_ONCE: &str = "millpond FixedPool, 32 at once";
/// A large object that is made anew.
pub const MADE: &str = "constructed each time";
/// A thousand of our pools.
pub const THOUSAND: &str = "millpond FixedPool × 1,000";

const CAPACITY: usize = 8192;

/// Values in the rows of ids; a line each.
const NAMED: usize = 4096;

/// Elements that a large object has room for.
const LARGE: usize = 1000;

/// How many a batch is.
const BATCH: usize = 32;

/// Measures the row `row`, if it is one of these.
pub fn measure(row: &str, schedule: Schedule) -> Option<Vec<Measurement>> {
    let mut contest = Contest::new();
    match row {
        rows::OBJECT => objects(&mut contest),
        rows::LOOKUP => lookups(&mut contest),
        rows::INSERT => inserts(&mut contest),
        rows::BATCH => batches(&mut contest),
        rows::LARGE => large(&mut contest, |map, _| {
            black_box(&*map);
        }),
        rows::LARGE_USED => large(&mut contest, |map, word| {
            map.insert(word, word);
            black_box(&*map);
        }),
        rows::MANY_POOLS => many_pools(&mut contest),
        _ => return None,
    }
    Some(into_measurements(row, contest.run(schedule)))
}

fn objects(contest: &mut Contest<'static>) {
    let values = FixedPool::<Item>::new(CAPACITY);
    let objects = ObjectPool::new(CAPACITY, Hooks::new(Item::default, |_: &mut Item| ()));
    contest.add(OBJECTS, move |n| {
        kernels::pair(n, |item| {
            let mut lease = objects.try_acquire().expect("within the capacity");
            *lease = item;
            lease
        })
    });
    contest.add(SHARED, move |n| {
        kernels::pair(n, |item| {
            values
                .try_acquire_with(|| item)
                .expect("within the capacity")
        })
    });
}

/// The order in which ids are looked up: each once, at random.
fn shuffled<K>(mut keys: Vec<K>) -> Vec<K> {
    let mut random = Random::new(7);
    for last in (1..keys.len()).rev() {
        keys.swap(last, random.below(last + 1));
    }
    keys
}

/// Runs `look` for `n` of `keys`, in turn.
fn each<K: Copy>(n: u64, keys: &[K], mut look: impl FnMut(K) -> u64) -> Duration {
    let mut sum = 0u64;
    let began = Instant::now();
    for &key in keys
        .iter()
        .cycle()
        .take(usize::try_from(n).unwrap_or(usize::MAX))
    {
        sum = sum.wrapping_add(look(black_box(key)));
    }
    black_box(sum);
    began.elapsed()
}

/// What the rows of ids are about: a line with the word of its place.
type Named = [u64; 7];

/// The names that `insert` gives to [`NAMED`] values, in the order of lookups.
fn named<K>(insert: impl FnMut(Named) -> K) -> Vec<K> {
    let values = (0..NAMED as u64).map(|value| [value; 7]);
    shuffled(values.map(insert).collect())
}

fn lookups(contest: &mut Contest<'static>) {
    let mut ids = IdPool::<Named>::new(NAMED);
    let names = named(|value| ids.try_insert(value).expect("room"));
    contest.add(IDS, move |n| {
        let view = ids.view();
        each(n, &names, |id| view.get(id).map_or(0, |value| value[0]))
    });
    let mut map = SlotMap::<DefaultKey, Named>::with_capacity(NAMED);
    let names = named(|value| map.insert(value));
    contest.add(SLOTMAP, move |n| {
        each(n, &names, |key| map.get(key).map_or(0, |value| value[0]))
    });
    let mut slab = Slab::<Named>::with_capacity(NAMED);
    let names = named(|value| slab.insert(value));
    contest.add(SLAB, move |n| {
        each(n, &names, |key| slab.get(key).map_or(0, |value| value[0]))
    });
    let mut arena = Arena::<Named>::with_capacity(NAMED);
    let names = named(|value| arena.insert(value));
    contest.add(THUNDERDOME, move |n| {
        each(n, &names, |index| {
            arena.get(index).map_or(0, |value| value[0])
        })
    });
    let shards = sharded_slab::Slab::<Named>::new();
    let names = named(|value| shards.insert(value).expect("room"));
    contest.add(SHARDED_SLAB, move |n| {
        each(n, &names, |key| shards.get(key).map_or(0, |value| value[0]))
    });
}

/// Runs `pass`, which puts a value in and takes it out by its name, `n` times.
fn in_and_out(n: u64, mut pass: impl FnMut(Named) -> Option<Named>) -> Duration {
    let began = Instant::now();
    for value in 0..n {
        black_box(pass([value; 7]));
    }
    began.elapsed()
}

fn inserts(contest: &mut Contest<'static>) {
    let mut ids = IdPool::<Named>::new(NAMED);
    contest.add(IDS, move |n| {
        in_and_out(n, |value| {
            let id = ids.try_insert(value).expect("room");
            ids.remove(black_box(id))
        })
    });
    let mut map = SlotMap::<DefaultKey, Named>::with_capacity(NAMED);
    contest.add(SLOTMAP, move |n| {
        in_and_out(n, |value| {
            let key = map.insert(value);
            map.remove(black_box(key))
        })
    });
    let mut slab = Slab::<Named>::with_capacity(NAMED);
    contest.add(SLAB, move |n| {
        in_and_out(n, |value| {
            let key = slab.insert(value);
            slab.try_remove(black_box(key))
        })
    });
    let mut arena = Arena::<Named>::with_capacity(NAMED);
    contest.add(THUNDERDOME, move |n| {
        in_and_out(n, |value| {
            let index = arena.insert(value);
            arena.remove(black_box(index))
        })
    });
    let shards = sharded_slab::Slab::<Named>::new();
    contest.add(SHARDED_SLAB, move |n| {
        in_and_out(n, |value| {
            let key = shards.insert(value).expect("room");
            shards.take(black_box(key))
        })
    });
}

fn batches(contest: &mut Contest<'static>) {
    let pool: &'static FixedPool<Item> = Box::leak(Box::new(FixedPool::new(CAPACITY)));
    contest.add(AT_ONCE, move |n| {
        let began = Instant::now();
        for round in 0..n.div_ceil(BATCH as u64) {
            let batch = pool.try_acquire_many([(); BATCH].map(|()| Item::new(round)));
            drop(black_box(batch.expect("within the capacity")));
        }
        began.elapsed()
    });
    contest.add(SHARED, move |n| {
        let began = Instant::now();
        for round in 0..n.div_ceil(BATCH as u64) {
            let single = || {
                let lease = pool.try_acquire_with(|| Item::new(round));
                lease.expect("within the capacity")
            };
            let held = [(); BATCH].map(|()| single());
            drop(black_box(held));
        }
        began.elapsed()
    });
}

fn large(
    contest: &mut Contest<'static>,
    work: impl Fn(&mut HashMap<u64, u64>, u64) + Copy + 'static,
) {
    let pool = ObjectPool::<HashMap<u64, u64>, _>::new(64, Clear::keeping_all());
    pool.try_acquire().expect("free").reserve(LARGE);
    contest.add(OBJECTS, move |n| {
        let began = Instant::now();
        for word in 0..n {
            work(&mut pool.try_acquire().expect("free"), word);
        }
        began.elapsed()
    });
    contest.add(MADE, move |n| {
        let began = Instant::now();
        for word in 0..n {
            work(&mut HashMap::with_capacity(LARGE), word);
        }
        began.elapsed()
    });
}

fn many_pools(contest: &mut Contest<'static>) {
    fn in_turn(pools: &[FixedPool<Item>], n: u64) -> Duration {
        let began = Instant::now();
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        for (word, pool) in (0..).zip(pools.iter().cycle().take(n)) {
            let lease = pool.try_acquire_with(|| Item::new(word));
            drop(black_box(lease.expect("within the capacity")));
        }
        began.elapsed()
    }
    for (name, count) in [(THOUSAND, 1000), (SHARED, 1)] {
        let pools: Vec<_> = (0..count).map(|_| FixedPool::new(64)).collect();
        contest.add(name, move |n| in_turn(&pools, n));
    }
}
