//! Proves what pools cost in memory: a warm pool allocates nothing, whoever
//! acquires and releases; an unused pool and a thread that a pool has not met cost
//! nothing; memory that is no longer used comes back; pools and threads that are
//! gone leave nothing behind.
//!
//! The allocator of this binary counts, by thread.
#![cfg(feature = "std")]

use millpond_core::budget::Budget;
use millpond_fixed::{FixedPool, Lease, Level, LocalFixedPool, Mode};
use millpond_testing::{Counts, TestAllocator, count};
use std::sync::Barrier;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

/// Several magazines.
const MANY: usize = if cfg!(miri) { 9 } else { 600 };
const ROUNDS: usize = if cfg!(miri) { 3 } else { 50 };

#[track_caller]
fn assert_silent(counts: Counts) {
    assert!(counts.is_silent(), "a warm pool allocates: {counts:?}");
}

#[test]
fn the_allocator_of_this_binary_counts() {
    let (value, counts) = count(|| Box::new(1_u64));
    assert_eq!((counts.allocations, counts.bytes_allocated), (1, 8));
    drop(value);
}

// ---- Steady state -----------------------------------------------------------------------

/// Pairs, and as much as the pool has at once, in both orders.
fn work<'p, M: Mode>(pool: &'p FixedPool<u64, M>, held: &mut Vec<Lease<'p, u64, M>>) {
    for round in 0..ROUNDS {
        drop(pool.try_acquire(round as u64));
        held.extend((0..MANY as u64).filter_map(|i| pool.try_acquire(i).ok()));
        assert_eq!(held.len(), MANY);
        assert!(pool.try_acquire(1).is_err());
        if round % 2 == 0 {
            held.reverse();
        }
        held.clear();
    }
}

#[test]
fn a_warm_pool_allocates_nothing() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>) {
        let mut held = Vec::with_capacity(MANY);
        work(pool, &mut held);
        let ((), counts) = count(|| work(pool, &mut held));
        assert_silent(counts);
    }
    static STATIC: FixedPool<u64> = FixedPool::new(MANY);
    check(&FixedPool::new(MANY));
    check(&LocalFixedPool::new_local(MANY));
    check(&STATIC);
    check(&FixedPool::new(MANY).into_handle());
    let budget = Budget::new("warm", usize::MAX);
    check(&FixedPool::builder(MANY).budget(&budget).build());
}

#[test]
fn owned_leases_allocate_nothing() {
    let pool = FixedPool::new(MANY).into_handle();
    let mut held = Vec::with_capacity(MANY);
    let mut work = || {
        for _ in 0..ROUNDS {
            held.extend((0..MANY).filter_map(|i| pool.try_acquire_owned(i).ok()));
            assert_eq!(held.len(), MANY);
            drop(pool.clone());
            held.clear();
        }
    };
    work();
    assert_silent(count(work).1);
}

/// One thread acquires, another releases: neither allocates.
#[test]
fn a_warm_pool_between_threads_allocates_nothing() {
    let pool = FixedPool::<u64>::new(MANY);
    let batch = MANY / 2;
    let (to_there, from_here) = mpsc::sync_channel::<Vec<Lease<'_, u64>>>(1);
    let (to_here, from_there) = mpsc::sync_channel::<Vec<Lease<'_, u64>>>(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            for (round, mut leases) in from_here.into_iter().enumerate() {
                let ((), counts) = count(|| leases.clear());
                assert!(round < ROUNDS || counts.is_silent(), "{counts:?}");
                to_here.send(leases).expect("the other thread receives");
            }
        });
        let mut leases = Vec::with_capacity(batch);
        for round in 0..2 * ROUNDS {
            let ((), counts) = count(|| {
                leases.extend((0..batch as u64).filter_map(|i| pool.try_acquire(i).ok()));
            });
            assert_eq!(leases.len(), batch, "round {round}");
            assert!(round < ROUNDS || counts.is_silent(), "{counts:?}");
            to_there.send(leases).expect("the other thread receives");
            leases = from_there.recv().expect("the other thread sends");
        }
        drop(to_there);
    });
    assert_eq!(pool.stats().in_use, 0);
}

// ---- What machinery costs ------------------------------------------------------------------

/// Bytes that a pool and its machinery occupy, all but the items.
fn footprint<T>(pool: &FixedPool<T>) -> usize {
    size_of::<FixedPool<T>>() + pool.stats().machinery_bytes
}

#[test]
fn an_unused_pool_is_small_and_allocates_nothing() {
    let (pool, counts) = count(|| FixedPool::<[u8; 4096]>::new(1_000_000));
    assert_silent(counts);
    assert!(footprint(&pool) <= 4096, "{} bytes", footprint(&pool));
    assert!(size_of::<LocalFixedPool<u64>>() <= 4096);
    let (_, counts) = count(|| {
        assert_eq!(pool.stats().held_bytes, 0);
        pool.trim(Level::Light);
        drop(pool);
    });
    assert!(counts.bytes_allocated <= 4096, "{counts:?}");
    assert_eq!(counts.bytes_allocated, counts.bytes_freed);
}

#[test]
fn a_thread_that_a_pool_has_not_met_costs_it_nothing() {
    let (met, unmet) = (FixedPool::<u64>::new(MANY), FixedPool::<u64>::new(MANY));
    drop((met.try_acquire(1), unmet.try_acquire(1)));
    let before = unmet.stats().machinery_bytes;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| drop(met.try_acquire(2)));
        }
    });
    assert_eq!(unmet.stats().machinery_bytes, before);
}

/// A pool that has met a thread keeps a cache for it: at most 1 KiB and its
/// magazines, which a full trim takes back.
#[test]
fn a_thread_that_a_pool_has_met_costs_it_a_cache() {
    const THREADS: usize = if cfg!(miri) { 3 } else { 16 };
    let pool = FixedPool::<u64>::new(10_000);
    drop(pool.try_acquire(1));
    let ready = Barrier::new(THREADS + 1);
    let done = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let lease = pool.try_acquire(2);
                ready.wait();
                // Nobody ends, so that all have ids and caches of their own.
                done.wait();
                drop(lease);
            });
        }
        ready.wait();
        pool.trim(Level::Full);
        let machinery = pool.stats().machinery_bytes;
        // A pool of 64-bit values is four magazines of the depot at most.
        let depot = 4 * 2048;
        let each = machinery.saturating_sub(depot) / THREADS;
        assert!(
            machinery > THREADS * 100,
            "they do have caches: {machinery}"
        );
        assert!(each <= 1024, "{each} bytes a thread");
        done.wait();
    });
}

/// Machinery is a small part of what a pool in use holds.
#[test]
fn the_machinery_of_a_full_pool_is_a_few_words_an_item() {
    let pool = FixedPool::<u64>::new(20 * MANY);
    let leases: Vec<_> = (0..20 * MANY as u64).map(|i| pool.try_acquire(i)).collect();
    assert!(leases.iter().all(Result::is_ok));
    drop(leases);
    let each = pool.stats().machinery_bytes / (20 * MANY);
    let most = if cfg!(miri) { 200 } else { 12 };
    assert!(each <= most, "{each} bytes an item");
}

// ---- Memory comes back ---------------------------------------------------------------------

#[test]
fn memory_comes_back_with_a_trim_wherever_it_was_cached() {
    fn check<M: Mode>(pool: &FixedPool<[u64; 4], M>) {
        let mut held = Vec::new();
        for _ in 0..3 {
            held.extend((0..MANY).map(|_| pool.try_acquire([1; 4]).expect("free")));
            let peak = pool.stats().held_bytes;
            assert!(peak >= MANY * 32);
            held.truncate(1);
            let report = pool.trim(Level::Full);
            assert_eq!(report.leased, 1);
            assert_eq!(report.freed_items + report.pinned, MANY - 1);
            held.clear();
            pool.trim(Level::Full);
            let stats = pool.stats();
            assert_eq!((stats.held_bytes, stats.created), (0, 0));
        }
    }
    check(&FixedPool::new(MANY));
    check(&LocalFixedPool::new_local(MANY));
}

/// From the caches of threads that are idle, and of threads that are gone.
#[test]
fn memory_comes_back_from_the_caches_of_other_threads() {
    let pool = FixedPool::<u64>::new(MANY);
    let use_all = || {
        let leases: Vec<_> = (0..MANY as u64).map(|i| pool.try_acquire(i)).collect();
        assert!(leases.iter().all(Result::is_ok));
    };
    // Gone.
    thread::scope(|scope| scope.spawn(use_all).join()).expect("no panic");
    assert_eq!(pool.trim(Level::Moderate).freed_items, MANY);
    assert_eq!(pool.stats().held_bytes, 0);
    // Idle.
    let (ready, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            use_all();
            ready.wait();
            done.wait();
            use_all();
        });
        ready.wait();
        assert!(pool.stats().cached > 0, "{:?}", pool.stats());
        assert_eq!(pool.trim(Level::Moderate).freed_items, MANY);
        assert_eq!(pool.stats().held_bytes, 0);
        done.wait();
    });
    // A light trim disturbs nobody: what is cached stays.
    use_all();
    let cached = pool.stats().cached;
    assert!(cached > 0);
    pool.trim(Level::Light);
    assert_eq!(pool.stats().cached, cached);
}

/// Has this thread wait for a lock once: the lock library allocates a table then,
/// which it keeps, and a test beside this one may make any lock of the process
/// busy. Under Miri the pools have another lock.
fn wait_once() {
    if cfg!(miri) {
        return;
    }
    let lock = parking_lot::Mutex::new(());
    let _locked = lock.lock();
    assert!(lock.try_lock_for(Duration::from_millis(1)).is_none());
}

/// Thousands of pools that live for a moment, each used by this thread.
#[test]
fn short_lived_pools_leave_nothing_behind() {
    fn live_and_die(number: usize) {
        let pool = FixedPool::<u64>::new(1 + number % 40);
        let leases: Vec<_> = std::iter::from_fn(|| pool.try_acquire(1).ok()).collect();
        assert_eq!(leases.len(), pool.capacity());
        drop(leases);
        if number % 3 == 0 {
            pool.trim(Level::Full);
        }
        drop(pool);
        let local = LocalFixedPool::<u64>::new_local(1 + number % 40);
        drop(local.try_acquire(2));
        let handle = FixedPool::<u64>::new(2).into_handle();
        let owned = handle.try_acquire_owned(3);
        drop(handle);
        assert_eq!(*owned.expect("free"), 3);
    }
    live_and_die(0);
    wait_once();
    let pools = if cfg!(miri) { 10 } else { 5000 };
    let ((), counts) = count(|| (0..pools).for_each(live_and_die));
    assert!(counts.allocations > pools as u64, "they did allocate");
    assert_eq!(counts.allocations, counts.deallocations);
    assert_eq!(counts.bytes_allocated, counts.bytes_freed);
}

/// Thousands of threads that live for a moment, one after the other, use one pool:
/// its machinery does not grow with them.
#[test]
fn short_lived_threads_leave_nothing_behind() {
    let pool = FixedPool::<u64>::new(MANY);
    let visit = || {
        let work = || drop((0..5).map(|i| pool.try_acquire(i)).collect::<Vec<_>>());
        thread::scope(|scope| scope.spawn(work).join()).expect("no panic");
    };
    visit();
    let threads = if cfg!(miri) { 5 } else { 1000 };
    let before = pool.stats();
    (0..threads).for_each(|_| visit());
    let after = pool.stats();
    assert_eq!((after.in_use, after.created), (0, before.created));
    // Other tests run threads of their own meanwhile, which take small ids, so
    // that a few more caches may be needed: a bound, not an equality.
    let growth = after.machinery_bytes - before.machinery_bytes;
    assert!(growth <= 64 * 1024, "{growth} bytes for {threads} threads");
}
