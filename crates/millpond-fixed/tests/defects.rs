//! Proves that the defects which other pools had are not here: one test for
//! each class, named for it.
//!
//! | class                                            | where                              |
//! |--------------------------------------------------|------------------------------------|
//! | `Send` without bounding, `Sync` bounded wrongly  | `types.rs`, `a_pool_is_shared_and_sent_exactly_if_its_values_are_send`; `compile_fail/pool_of_rc_is_*`, `handle_of_rc_is_sent`; the hook: `events_are_told_by_hooks_that_threads_share` below |
//! | lifetimes                                        | `compile_fail/lease_outlives_its_pool` and its neighbours |
//! | memory that never comes back, short-lived pools  | `allocations.rs`                   |
//! | a waker, a reclaimer or a hook uses the pool     | `engine.rs`, `reentrancy.rs`, `diagnostics.rs` |
//! | everything else                                  | below                              |
//!
//! Most of what could go wrong here is undefined behaviour, so this file is
//! written to be run by Miri as well.
#![cfg(feature = "std")]

use millpond_core::engine::Released;
use millpond_core::event::EventHook;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use millpond_fixed::{
    FixedPool, Lease, Level, Limit, LocalFixedPool, Mode, OwnedLease, PoolHandle,
};
use millpond_testing::{Bomb, Census, Fuse, Span, Tracked, explode_everywhere};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

/// Enough to fill a cache and reach the depot.
const MANY: usize = if cfg!(miri) { 7 } else { 300 };

/// Everything that can be had at once, as addresses.
fn all<T: Default, M: Mode>(pool: &FixedPool<T, M>) -> BTreeSet<usize> {
    let leases: Vec<Lease<'_, T, M>> =
        std::iter::from_fn(|| pool.try_acquire(T::default()).ok()).collect();
    let addresses: BTreeSet<usize> = leases
        .iter()
        .map(|lease| Span::of(&**lease).address)
        .collect();
    assert_eq!(addresses.len(), leases.len(), "a slot was lent twice");
    addresses
}

fn in_another_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(work).join().expect("no panic over there"))
}

// ---- Free links, uninitialised values ------------------------------------------

/// A slot that is free holds no link, so that what a slow reader of a freed slot
/// sees is never a pointer that somebody else is writing.
#[test]
#[cfg_attr(miri, ignore = "reads slots that hold nothing, which Miri refuses")]
fn no_free_link_lies_inside_a_value() {
    let engine = SharedEngine::new(MANY, 64, Slabs::new(64, 8));
    let entries: Vec<_> = (0..MANY)
        .map(|_| engine.acquire(0).expect("enough"))
        .collect();
    for (number, entry) in entries.iter().enumerate() {
        let item = entry.as_ptr().cast::<[usize; 8]>();
        // SAFETY: acquired above, 64 bytes at an alignment of 8, and not
        // released yet.
        unsafe { item.write([number; 8]) };
    }
    for &entry in &entries {
        // SAFETY: acquired above and released once.
        let released = unsafe { SharedEngine::release(&raw const engine, entry) };
        assert_eq!(released, Released::Home);
    }
    for (number, entry) in entries.iter().enumerate() {
        let item = entry.as_ptr().cast::<[usize; 8]>();
        // SAFETY: the slab lives as long as the engine, nobody else uses it, and
        // the bytes were written above.
        assert_eq!(unsafe { item.read() }, [number; 8], "slot {number}");
    }
}

/// A slot is never read before it is written: a type with forbidden bit patterns
/// goes through every way in and out, and fresh memory, which is zero, is not a
/// value of it.
#[test]
fn nothing_is_assumed_to_be_initialised() {
    fn go_through<M: Mode>(pool: &FixedPool<(NonZeroU64, &'static str, bool), M>) {
        for round in 1..4 {
            let number = NonZeroU64::new(round).expect("not zero");
            let one = pool.try_acquire((number, "one", true)).expect("free");
            let two = pool
                .try_acquire_with(|| (number, "two", false))
                .expect("free");
            let refused = pool.try_acquire((number, "three", true));
            assert_eq!(refused.expect_err("full").into_value().1, "three");
            assert_eq!(*one, (number, "one", true));
            assert_eq!(two.into_inner(), (number, "two", false));
        }
        pool.trim(Level::Full);
    }
    go_through(&FixedPool::new(2));
    go_through(&LocalFixedPool::new_local(2));
    go_through(&FixedPool::new(2).into_handle());
}

/// A pool with free slots is dropped without dropping what was in them.
#[test]
fn dropping_a_pool_drops_no_value() {
    Census::during(|| {
        for capacity in [1, MANY] {
            let census = Census::new();
            let pool = FixedPool::new(capacity);
            let leases: Vec<_> = (0..capacity)
                .map(|stamp| pool.try_acquire(census.track(stamp as u64)))
                .collect();
            drop(leases);
            census.assert_each_dropped_once();
            drop(pool);
            census.assert_each_dropped_once();
        }
    });
}

// ---- Caches: keyed by pool, for any number of pools -------------------------------

/// The cache of a thread belongs to one pool: what was released to one pool is
/// never given out by another, though size, type and thread are the same.
#[test]
fn a_thread_cache_is_keyed_by_its_pool() {
    let pools: Vec<FixedPool<u64>> = (0..5).map(|_| FixedPool::new(MANY)).collect();
    let mut homes: Vec<BTreeSet<usize>> = Vec::new();
    for pool in &pools {
        homes.push(all(pool));
    }
    for round in 0..3 {
        for (pool, home) in pools.iter().zip(&homes) {
            let now = all(pool);
            assert!(&now == home, "round {round}: slots of another pool");
        }
    }
}

/// The cache of a pool that is gone is not found by the next pool at its place.
#[test]
fn a_cache_does_not_outlive_its_pool() {
    let mut place = None;
    let mut addresses = BTreeSet::new();
    for round in 0..10_u64 {
        let pool: &mut FixedPool<u64> = place.insert(FixedPool::new(4));
        addresses.insert(std::ptr::from_ref(&*pool).addr());
        let lease = pool.try_acquire(round).expect("a new pool has room");
        assert_eq!(*lease, round);
        drop(lease);
        assert_eq!(pool.stats().acquires, 1, "counts of another pool");
        place = None;
    }
    assert_eq!(addresses.len(), 1, "the pools were not at one place");
}

/// A thread that works with several pools by turns works in its caches: after
/// the first round nothing is a miss.
#[test]
fn alternating_pools_do_not_thrash() {
    const ROUNDS: u64 = if cfg!(miri) { 30 } else { 10_000 };
    let pools: Vec<FixedPool<u64>> = (0..8).map(|_| FixedPool::new(64)).collect();
    for pool in &pools {
        drop(pool.try_acquire(0));
    }
    let warm: Vec<_> = pools.iter().map(FixedPool::stats).collect();
    for round in 0..ROUNDS {
        for pool in &pools {
            assert_eq!(*pool.try_acquire(round).expect("free"), round);
        }
    }
    for (pool, warm) in pools.iter().zip(&warm) {
        let stats = pool.stats();
        assert_eq!(stats.hits - warm.hits, ROUNDS, "{stats:?}");
        assert_eq!(stats.misses, warm.misses, "{stats:?}");
        assert_eq!((stats.refills, stats.spills), (warm.refills, warm.spills));
    }
}

// ---- Re-entrancy ------------------------------------------------------------------

/// A value that does things to the pool that it lies in while it is dropped.
struct Reentrant {
    depth: u64,
    census: Arc<Census>,
    _tracked: Tracked,
}

static REENTERED: FixedPool<Reentrant> = FixedPool::new(4);

impl Reentrant {
    fn new(depth: u64, census: &Arc<Census>) -> Self {
        Self {
            depth,
            census: Arc::clone(census),
            _tracked: census.track(depth),
        }
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        if self.depth == 0 {
            return;
        }
        // Acquire, release, look and trim in the middle of a release.
        let inner = REENTERED.try_acquire(Self::new(self.depth - 1, &self.census));
        assert!(REENTERED.stats().in_use >= 1);
        REENTERED.trim(if self.depth % 2 == 0 {
            Level::Full
        } else {
            Level::Light
        });
        drop(inner);
    }
}

#[test]
fn a_destructor_may_use_its_pool() {
    let census = Arc::new(Census::new());
    for depth in 0..if cfg!(miri) { 4 } else { 10 } {
        let leases: Vec<_> = (0..4)
            .map(|_| REENTERED.try_acquire(Reentrant::new(depth, &census)))
            .collect();
        assert!(leases.iter().all(Result::is_ok), "depth {depth}");
        drop(leases);
        assert_eq!(REENTERED.stats().in_use, 0, "depth {depth}");
    }
    census.assert_each_dropped_once();
}

#[test]
fn a_constructor_may_use_its_pool() {
    fn nested<M: Mode>(pool: &FixedPool<u64, M>, depth: u64) -> u64 {
        if depth == 0 {
            return 0;
        }
        let built = pool.try_acquire_with(|| nested(pool, depth - 1) + 1);
        built.map_or(0, |lease| *lease)
    }
    fn check<M: Mode>(pool: &FixedPool<u64, M>) {
        // Each level holds a slot while the next one is constructed.
        assert_eq!(nested(pool, 5), 5);
        assert_eq!(nested(pool, 8), 8);
        assert!(nested(pool, 9) < 9, "there are 8 slots");
        assert_eq!(pool.stats().in_use, 0);
        assert_eq!(all(pool).len(), 8);
    }
    check(&FixedPool::new(8));
    check(&LocalFixedPool::new_local(8));
}

/// The same on a pool of one thread, which has nothing to protect it but the
/// order in which it does things.
#[test]
fn a_destructor_may_use_its_local_pool() {
    struct Loop<'p> {
        depth: u32,
        pool: &'p LocalFixedPool<Loop<'p>>,
        drops: &'p Cell<u32>,
    }
    impl Drop for Loop<'_> {
        fn drop(&mut self) {
            self.drops.set(self.drops.get() + 1);
            if self.depth > 0 {
                let (depth, pool, drops) = (self.depth - 1, self.pool, self.drops);
                let inner = pool.try_acquire(Loop { depth, pool, drops });
                assert!(inner.is_ok());
                pool.trim(Level::Full);
            }
        }
    }
    // Leaked, because a value that borrows its pool and has a destructor cannot
    // lie in a pool on the stack; freed below.
    let pool: *mut LocalFixedPool<Loop<'static>> =
        Box::into_raw(Box::new(LocalFixedPool::new_local(8)));
    let drops: *mut Cell<u32> = Box::into_raw(Box::new(Cell::new(0)));
    {
        // SAFETY: leaked above, freed below, after the last use of the borrow.
        let pool = unsafe { &*pool };
        // SAFETY: as above.
        let drops = unsafe { &*drops };
        for depth in 0..6 {
            drops.set(0);
            drop(pool.try_acquire(Loop { depth, pool, drops }));
            assert_eq!(drops.get(), depth + 1);
            assert_eq!(pool.stats().in_use, 0);
        }
    }
    // SAFETY: from a box, and no longer borrowed.
    drop(unsafe { Box::from_raw(pool) });
    // SAFETY: as above.
    drop(unsafe { Box::from_raw(drops) });
}

// ---- Panics -----------------------------------------------------------------------

/// Bombs in a pool. Each goes off once.
const FEW: u64 = if cfg!(miri) { 3 } else { 6 };

/// The same, as a capacity.
const CAPACITY: usize = if cfg!(miri) { 3 } else { 6 };

/// What every form of pool promises after a panic: all slots are there, once.
fn assert_whole<T, M: Mode>(pool: &FixedPool<T, M>, value: impl Fn() -> T) {
    assert_eq!(pool.stats().in_use, 0, "a slot is lost");
    let capacity = pool.capacity();
    let leases: Vec<_> = (0..=capacity)
        .map_while(|_| pool.try_acquire(value()).ok())
        .collect();
    let addresses: BTreeSet<usize> = leases
        .iter()
        .map(|lease| Span::of(&**lease).address)
        .collect();
    assert_eq!(leases.len(), capacity, "not everything can be had");
    assert_eq!(addresses.len(), capacity, "a slot was lent twice");
}

#[test]
fn a_constructor_that_panics_neither_loses_its_slot_nor_lends_it_twice() {
    fn check<M: Mode>(make: impl Fn() -> FixedPool<Bomb, M>) {
        let explosions = explode_everywhere(Fuse::at_construction, |fuse| {
            let pool = make();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let leases: Vec<_> = (0..FEW)
                    .map(|stamp| pool.try_acquire_with(|| Bomb::new(fuse, stamp)))
                    .collect();
                assert!(leases.iter().all(Result::is_ok));
            }));
            let quiet = Fuse::at_construction(0);
            assert_whole(&pool, || Bomb::new(&quiet, 9));
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        assert_eq!(explosions as u64, FEW);
    }
    check(|| FixedPool::new(CAPACITY));
    check(|| LocalFixedPool::new_local(CAPACITY));
}

#[test]
fn a_destructor_that_panics_neither_loses_its_slot_nor_lends_it_twice() {
    fn check<M: Mode>(make: impl Fn() -> FixedPool<Bomb, M>) {
        let explosions = explode_everywhere(Fuse::at_drop, |fuse| {
            let pool = make();
            let mut panic = None;
            for stamp in 0..FEW {
                let lease = pool.try_acquire(Bomb::new(fuse, stamp)).expect("free");
                let outcome = catch_unwind(AssertUnwindSafe(|| drop(lease)));
                panic = panic.or(outcome.err());
            }
            let quiet = Fuse::at_drop(0);
            assert_whole(&pool, || Bomb::new(&quiet, 9));
            if let Some(panic) = panic {
                std::panic::resume_unwind(panic);
            }
        });
        assert_eq!(explosions as u64, FEW);
    }
    check(|| FixedPool::new(CAPACITY));
    check(|| LocalFixedPool::new_local(CAPACITY));
}

#[test]
fn a_destructor_that_panics_in_a_collection_of_leases_spares_the_others() {
    let explosions = explode_everywhere(Fuse::at_drop, |fuse| {
        let pool = FixedPool::new(CAPACITY);
        let leases: Vec<_> = (0..FEW)
            .map(|stamp| pool.try_acquire(Bomb::new(fuse, stamp)).expect("free"))
            .collect();
        let outcome = catch_unwind(AssertUnwindSafe(|| drop(leases)));
        let quiet = Fuse::at_drop(0);
        assert_whole(&pool, || Bomb::new(&quiet, 9));
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(explosions as u64, FEW);
}

#[test]
fn a_destructor_that_panics_in_an_owned_lease_keeps_no_pool_alive() {
    let explosions = explode_everywhere(Fuse::at_drop, |fuse| {
        let budget = millpond_core::budget::Budget::new("owned", usize::MAX);
        let pool = FixedPool::builder(2).budget(&budget).build().into_handle();
        let one = pool.try_acquire_owned(Bomb::new(fuse, 1)).expect("free");
        let two = pool.try_acquire_owned(Bomb::new(fuse, 2)).expect("free");
        drop(pool);
        assert!(budget.held() > 0);
        let first = catch_unwind(AssertUnwindSafe(|| drop(one)));
        let second = catch_unwind(AssertUnwindSafe(|| drop(two)));
        assert_eq!(budget.held(), 0, "the pool is still there");
        first
            .and(second)
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(explosions, 2);
}

#[test]
fn a_value_that_unwinding_drops_gives_its_slot_back() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let _leases: Vec<_> = (0..3).map(|i| pool.try_acquire(i)).collect();
            panic!("while leases are held");
        }));
        assert!(outcome.is_err());
        assert_whole(pool, || 0);
    }
    check(&FixedPool::new(3));
    check(&LocalFixedPool::new_local(3));
}

// ---- Threads that end -------------------------------------------------------------

static LATE: FixedPool<u64> = FixedPool::new(MANY);

thread_local! {
    static FIRST: RefCell<Vec<Lease<'static, u64>>> = const { RefCell::new(Vec::new()) };
    static SECOND: UsesPoolWhenDropped = const { UsesPoolWhenDropped };
    static THIRD: RefCell<Vec<Lease<'static, u64>>> = const { RefCell::new(Vec::new()) };
}

static USED_LATE: AtomicUsize = AtomicUsize::new(0);

/// Uses the pool while the thread's locals are being destroyed.
struct UsesPoolWhenDropped;

impl Drop for UsesPoolWhenDropped {
    fn drop(&mut self) {
        let leases: Vec<_> = (0..3).map_while(|i| LATE.try_acquire(i).ok()).collect();
        USED_LATE.fetch_add(leases.len(), Ordering::Relaxed);
    }
}

/// Leases and uses of the pool in thread locals that are destroyed before and
/// after the pool's own, in either order of their first use.
#[test]
fn thread_locals_may_use_the_pool_while_they_are_destroyed() {
    let touch_first =
        || FIRST.with_borrow_mut(|leases| leases.push(LATE.try_acquire(1).expect("free")));
    let touch_second = || SECOND.with(|_| ());
    let touch_third =
        || THIRD.with_borrow_mut(|leases| leases.push(LATE.try_acquire(3).expect("free")));
    let orders: [[&(dyn Fn() + Sync); 3]; 4] = [
        [&touch_first, &touch_second, &touch_third],
        [&touch_third, &touch_second, &touch_first],
        [&touch_second, &touch_first, &touch_third],
        [&touch_second, &touch_third, &touch_first],
    ];
    for (round, order) in orders.iter().enumerate() {
        in_another_thread(|| order.iter().for_each(|touch| touch()));
        // The locals of a scoped thread may outlive the scope by a moment.
        while USED_LATE.load(Ordering::Acquire) < 3 * (round + 1) || LATE.stats().in_use > 0 {
            thread::yield_now();
        }
        assert_eq!(all(&LATE).len(), MANY, "round {round}");
    }
    // A thread whose one use of the pool is in a destructor.
    in_another_thread(touch_second);
    while USED_LATE.load(Ordering::Acquire) < 3 * (orders.len() + 1) || LATE.stats().in_use > 0 {
        thread::yield_now();
    }
    assert_eq!(all(&LATE).len(), MANY);
}

/// What an ended thread had cached is found, all of it, by whoever asks, and the
/// thread that gets its id finds a whole cache there.
#[test]
fn a_reused_thread_id_inherits_no_items_and_loses_none() {
    const ROUNDS: usize = if cfg!(miri) { 3 } else { 50 };
    let pool = FixedPool::<usize>::new(MANY);
    let home = all(&pool);
    for round in 0..ROUNDS {
        // Threads one after the other have the same id, and each leaves a full
        // cache behind.
        in_another_thread(|| {
            let lease = pool.try_acquire(round).expect("free");
            assert_eq!(*lease, round);
            drop(lease);
            assert_eq!(all(&pool), home);
        });
        if round % 2 == 0 {
            assert_eq!(all(&pool), home, "round {round}");
        }
    }
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.created), (0, MANY));
}

/// More threads at once than any fixed table of ids would have, and each of them
/// finds an item.
#[test]
#[cfg_attr(miri, ignore = "hundreds of threads")]
fn there_is_no_limit_to_threads() {
    const THREADS: usize = 600;
    let pool = FixedPool::<usize>::new(THREADS);
    let barrier = std::sync::Barrier::new(THREADS);
    let failures = AtomicU32::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (pool, barrier, failures) = (&pool, &barrier, &failures);
            let work = move || {
                let lease = pool.try_acquire(number);
                // All hold one now.
                barrier.wait();
                if !lease.is_ok_and(|lease| *lease == number) {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
            };
            thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn_scoped(scope, work)
                .expect("a thread");
        }
    });
    assert_eq!(failures.into_inner(), 0);
    assert_eq!(all(&pool).len(), THREADS);
}

/// A release may be the first thing that a thread ever does to a pool.
#[test]
fn the_first_use_of_a_pool_may_be_a_release() {
    let pool = FixedPool::<u64>::new(MANY);
    for _ in 0..3 {
        let leases: Vec<_> = (0..MANY as u64).map(|i| pool.try_acquire(i)).collect();
        in_another_thread(move || drop(leases));
        assert_eq!(pool.stats().in_use, 0);
    }
    assert_eq!(all(&pool).len(), MANY);
}

// ---- Forgotten leases ---------------------------------------------------------------

#[test]
fn a_forgotten_lease_costs_its_slot_and_nothing_else() {
    // A static, so that what is forgotten is not leaked.
    static POOL: FixedPool<u64> = FixedPool::new(MANY);
    let gone = 3;
    for _ in 0..gone {
        std::mem::forget(POOL.try_acquire(1).expect("free"));
    }
    assert_eq!(POOL.stats().in_use, gone);
    for _ in 0..3 {
        assert_eq!(all(&POOL).len(), MANY - gone);
        assert_eq!(POOL.trim(Level::Full).leased, gone);
    }
    let refused = (0..MANY)
        .map(|_| POOL.try_acquire(2))
        .collect::<Result<Vec<_>, _>>()
        .expect_err("some are gone");
    assert_eq!(refused.error().in_use(), MANY);
}

/// The memory of a forgotten lease is never used for anything else, not even by
/// the pool that goes: the value in it may be pinned.
#[test]
#[cfg_attr(miri, ignore = "leaks on purpose, which Miri reports")]
fn a_pool_that_misses_a_lease_leaves_its_memory_alone() {
    let budget = millpond_core::budget::Budget::new("forgetful", usize::MAX);
    let pool = FixedPool::builder(1).budget(&budget).build();
    let lease = pool.try_acquire([7_u8; 256 * 1024]).expect("free");
    let address: *const [u8; 256 * 1024] = &raw const *lease;
    std::mem::forget(lease);
    let held = pool.stats().held_bytes;
    drop(pool);
    // SAFETY: the slab of a forgotten lease stays for ever, which is what is
    // tested; nobody writes to it.
    let byte = unsafe { (*address)[100_000] };
    assert_eq!(byte, 7);
    assert_eq!(budget.held(), held, "what stays, stays charged");
}

// ---- Odd types ----------------------------------------------------------------------

#[repr(align(64))]
#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct Line(u8);
#[repr(align(4096))]
#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct Sheet(u8);
#[repr(align(2097152))]
#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct Slab(u8);
/// Zero bytes at an alignment.
#[repr(align(64))]
#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct Nowhere;
/// A size that no power of two divides.
type Odd = [u8; 3];

/// All slots of a pool are aligned, apart, and writable to the last byte.
fn assert_fits<T, M>(pool: &FixedPool<T, M>, mark: impl Fn(u8) -> T)
where
    T: Default + Copy + PartialEq + std::fmt::Debug,
    M: Mode,
{
    for _ in 0..2 {
        let leases: Vec<_> = (0_u8..=255)
            .map_while(|i| pool.try_acquire(mark(i)).ok().map(|lease| (i, lease)))
            .collect();
        assert_eq!(leases.len(), pool.capacity());
        let mut end = 0;
        let mut spans: Vec<Span> = leases.iter().map(|(_, lease)| Span::of(&**lease)).collect();
        spans.sort_by_key(|span| span.address);
        for span in spans {
            assert_eq!(span.address % align_of::<T>(), 0);
            assert!(span.address >= end, "slots overlap");
            end = span.address + span.len.max(1);
        }
        for (i, lease) in &leases {
            assert_eq!(**lease, mark(*i));
        }
    }
}

#[test]
fn zero_sized_values_have_slots_of_their_own() {
    let count = MANY.min(100);
    assert_fits(&FixedPool::<()>::new(count), |_| ());
    assert_fits(&LocalFixedPool::<()>::new_local(count), |_| ());
    assert_fits(&FixedPool::<Nowhere>::new(count), |_| Nowhere);
    assert_fits(&FixedPool::<[u64; 0]>::new(5), |_| []);
    // Destructors of zero-sized values run once each.
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    let pool = FixedPool::new(MANY);
    let leases: Vec<_> = (0..MANY).map(|_| pool.try_acquire(Counted)).collect();
    assert_eq!(DROPS.load(Ordering::Relaxed), 0);
    drop(leases);
    assert_eq!(DROPS.load(Ordering::Relaxed), MANY);
}

/// Values of 2 MiB do not fit on the stack of a test several times over.
fn with_a_large_stack(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(128 << 20).spawn(work);
    thread.expect("a thread").join().expect("no panic");
}

#[test]
fn over_aligned_values_are_aligned() {
    let count = MANY.min(100);
    assert_fits(&FixedPool::<Line>::new(count), Line);
    assert_fits(&FixedPool::<Sheet>::new(5), Sheet);
    assert_fits(&LocalFixedPool::<Line>::new_local(count), Line);
    assert_fits(&LocalFixedPool::<Sheet>::new_local(5), Sheet);
    assert_fits(&FixedPool::<Odd>::new(count), |i| [i; 3]);
    let few = if cfg!(miri) { 1 } else { 3 };
    with_a_large_stack(move || {
        assert_fits(&FixedPool::<Slab>::new(few), Slab);
        assert_fits(&LocalFixedPool::<Slab>::new_local(few), Slab);
    });
}

#[test]
fn fallback_values_are_aligned_too() {
    let policy = millpond_fixed::Exhaustion::Fallback { at_most: 3 };
    let pool = FixedPool::builder(1).exhaustion(policy).build();
    let leases: Vec<_> = (0..4)
        .map(|i| pool.acquire(Sheet(i)).expect("four"))
        .collect();
    for (i, lease) in (0..).zip(&leases) {
        assert_eq!(Span::of(&**lease).address % 4096, 0);
        assert_eq!(**lease, Sheet(i));
    }
    let pool = FixedPool::builder(0).exhaustion(policy).build();
    let nothing: Vec<_> = (0..3).map(|_| pool.acquire(()).expect("three")).collect();
    assert_eq!(pool.stats().fallback_in_use, nothing.len());
}

/// A value of 8 MiB: every magazine, batch and slab has one item.
#[test]
#[cfg_attr(miri, ignore = "32 MiB, byte by byte")]
fn huge_values_take_one_slab_each() {
    type Huge = [u64; 1 << 20];
    let fill = |mark: u64| move || [mark; 1 << 20];
    with_a_large_stack(move || {
        let pool = FixedPool::<Huge>::new(3);
        for round in 0..2 {
            let leases: Vec<_> = (0..3)
                .map(|i| pool.try_acquire_with(fill(i + round)).expect("three"))
                .collect();
            for (i, lease) in (round..).zip(&leases) {
                assert_eq!((lease[0], lease[(1 << 20) - 1]), (i, i));
            }
            assert!(pool.stats().held_bytes >= 3 * size_of::<Huge>());
        }
        assert_eq!(pool.trim(Level::Full).freed_items, 3);
        assert_eq!(pool.stats().held_bytes, 0);
    });
}

/// A type that no machine has memory for is an error and not an abort.
#[test]
#[cfg(target_pointer_width = "64")]
#[cfg_attr(miri, ignore = "Miri ends where the machine does")]
fn impossible_values_are_refused() {
    for bytes in [1 << 48, 1 << 62, isize::MAX as usize] {
        let engine = SharedEngine::new(10, bytes, Slabs::new(bytes, 1));
        for _ in 0..2 {
            let error = engine.acquire(0).expect_err("no such machine");
            assert!(matches!(error.limit(), Limit::Memory { .. }), "{error}");
            assert_eq!((error.in_use(), error.capacity()), (0, 10));
        }
        let local = millpond_core::local::LocalEngine::new(10, Slabs::new(bytes, 1));
        let error = millpond_core::engine::Engine::acquire_slow(&local, 0);
        let error = error.expect_err("no such machine");
        assert!(matches!(error.limit(), Limit::Memory { .. }), "{error}");
    }
}

// ---- Odd capacities -------------------------------------------------------------------

#[test]
fn a_pool_of_none_gives_none_and_never_grows() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>) {
        for round in 0..3 {
            let refused = pool.try_acquire(7).expect_err("none");
            assert_eq!(*refused.error().limit(), Limit::Capacity);
            assert_eq!(refused.into_value(), 7);
            assert!(pool.acquire(7).is_err());
            assert!(pool.try_acquire_with(|| unreachable!("no slot")).is_err());
            let stats = pool.stats();
            assert_eq!((stats.created, stats.held_bytes), (0, 0));
            assert_eq!(stats.exhausted, 3 * (round + 1));
        }
        assert_eq!(pool.trim(Level::Full).freed_items, 0);
    }
    check(&FixedPool::new(0));
    check(&LocalFixedPool::new_local(0));
    check(&FixedPool::new(0).into_handle());
}

#[test]
fn a_pool_of_one_gives_one() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>) {
        let mut place = None;
        for round in 0..MANY as u64 {
            let lease = pool.try_acquire(round).expect("free");
            assert!(pool.try_acquire(round).is_err());
            let here = Span::of(&*lease).address;
            assert_eq!(*place.get_or_insert(here), here, "there is one slot");
        }
        assert_eq!(pool.stats().created, 1);
    }
    check(&FixedPool::new(1));
    check(&LocalFixedPool::new_local(1));
}

/// `usize::MAX` means "without a limit", and costs what is used.
#[test]
fn a_pool_without_a_limit_holds_what_is_used() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>) {
        assert_eq!(pool.capacity(), usize::MAX);
        let leases: Vec<_> = (0..MANY as u64)
            .map(|i| pool.try_acquire(i).expect("no limit"))
            .collect();
        let stats = pool.stats();
        assert!(stats.created >= MANY && stats.created < 4 * MANY + 256);
        assert!(stats.held_bytes < 64 * MANY + 8192, "{stats:?}");
        for (i, lease) in leases.iter().enumerate() {
            assert_eq!(**lease, i as u64);
        }
    }
    check(&FixedPool::new(usize::MAX));
    check(&LocalFixedPool::default());
    let grown = millpond_fixed::Exhaustion::Grow { extra: usize::MAX };
    check(&FixedPool::builder(usize::MAX).exhaustion(grown).build());
}

// ---- Bounds of hooks and handles ------------------------------------------------------

#[test]
fn events_are_told_by_hooks_that_threads_share() {
    // The bound is on `EventHook::new`: a hook that is not `Send + Sync` is none.
    fn is_shared<T: Send + Sync>(_: &T) {}
    let told = Arc::new(AtomicUsize::new(0));
    let hook = {
        let told = Arc::clone(&told);
        EventHook::new(move |_, _| {
            told.fetch_add(1, Ordering::Relaxed);
        })
    };
    is_shared(&hook);
    let pool = FixedPool::<u64>::builder(1).on_event(hook).build();
    let _lease = pool.try_acquire(1).expect("free");
    let before = told.load(Ordering::Relaxed);
    in_another_thread(|| assert!(pool.try_acquire(2).is_err()));
    assert_eq!(told.load(Ordering::Relaxed), before + 1, "one refusal");
}

/// A pool is freed once, by whoever is last: handle or lease, here or there.
#[test]
fn a_handled_pool_is_freed_by_the_last_of_its_handles_and_leases() {
    type Parts = (Option<PoolHandle<u64>>, Vec<OwnedLease<u64>>);
    let ends: [fn(Parts); 4] = [
        |(pool, leases)| {
            drop(pool);
            drop(leases);
        },
        |(pool, leases)| {
            drop(leases);
            drop(pool);
        },
        |(pool, leases)| {
            drop(pool);
            for lease in leases {
                in_another_thread(move || drop(lease));
            }
        },
        |(pool, leases)| {
            let clone = pool.clone();
            drop(pool);
            drop(leases);
            in_another_thread(move || drop(clone));
        },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let budget = millpond_core::budget::Budget::new("handled", usize::MAX);
        let pool = FixedPool::builder(8).budget(&budget).build().into_handle();
        let leases = (0..5)
            .map(|i| pool.try_acquire_owned(i).expect("free"))
            .collect();
        assert!(budget.held() > 0);
        end((Some(pool), leases));
        assert_eq!(budget.held(), 0, "end {number}");
    }
}
