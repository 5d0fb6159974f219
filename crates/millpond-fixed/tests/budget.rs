//! Proves that a budget knows what a pool holds: what is charged is what is held
//! (slabs, machinery, fallback values) after every step, a charge or an
//! allocation that is refused leaves everything as it was, and a pool that is
//! dropped refunds everything.
//!
//! The allocator of this binary fails on command: each operation is repeated with
//! its first allocation failing, then its second, and so on to the last.
#![cfg(feature = "std")]
// Minutes of interpretation, for paths that the other tests walk under Miri too:
// what is new here is only that an allocation was refused.
#![cfg(not(miri))]

use millpond_core::budget::Budget;
use millpond_core::entry::Entry;
use millpond_core::shared::SharedEngine;
use millpond_core::source::{Batch, Source};
use millpond_fixed::{
    Exhaustion, FixedPool, IndexPool, Lease, Level, Limit, LocalFixedPool, Mode, Observation,
};
use millpond_testing::{Census, Counts, Dice, Failing, Span, TestAllocator, Tracked, count};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

type Value = [u64; 8];

/// What a pool says it holds of what is charged. The stack of a local pool is
/// not.
fn charged<T>(pool: &FixedPool<T, impl Mode>) -> usize {
    let stats = pool.stats();
    match is_local(pool) {
        true => stats.held_bytes,
        false => stats.held_bytes + stats.machinery_bytes,
    }
}

fn is_local<T, M: Mode>(_: &FixedPool<T, M>) -> bool {
    std::any::type_name::<M>() == std::any::type_name::<millpond_fixed::Local>()
}

fn assert_charged<T>(pool: &FixedPool<T, impl Mode>, budget: &Budget) {
    assert_eq!(charged(pool), budget.held(), "{:?}", pool.stats());
}

// ---- Charged is held -------------------------------------------------------------------

#[test]
fn what_is_charged_is_what_is_held_after_every_step() {
    fn walk<M: Mode>(pool: FixedPool<Value, M>, budget: &Budget, seed: u64) {
        let mut dice = Dice::new(seed);
        let mut leases: Vec<Lease<'_, Value, M>> = Vec::new();
        for step in 0..if cfg!(miri) { 25 } else { 3000 } {
            match dice.below(100) {
                0 => drop(pool.trim(Level::Light)),
                1 => drop(pool.trim(Level::Moderate)),
                2 => drop(pool.trim(Level::Full)),
                3 => leases.clear(),
                4..60 => leases.extend(pool.acquire([step; 8]).ok()),
                _ if leases.is_empty() => {}
                _ => drop(leases.swap_remove(dice.below(leases.len()))),
            }
            assert_charged(&pool, budget);
        }
        drop(leases);
        let most = budget.high_water();
        assert!(most >= size_of::<Value>(), "nothing was charged");
        drop(pool);
        assert_eq!(budget.held(), 0);
        assert_eq!(budget.high_water(), most);
    }
    let policies = [
        Exhaustion::Fail,
        Exhaustion::Grow { extra: 30 },
        Exhaustion::Fallback { at_most: 30 },
    ];
    for (seed, policy) in (0..).zip(policies) {
        let capacities = if cfg!(miri) { &[4][..] } else { &[1, 40, 700] };
        for &capacity in capacities {
            let budget = Budget::new("walk", usize::MAX);
            let builder = FixedPool::builder(capacity).exhaustion(policy);
            walk(builder.budget(&budget).build(), &budget, seed);
            let builder = LocalFixedPool::local_builder(capacity).exhaustion(policy);
            walk(builder.budget(&budget).build_local(), &budget, seed);
        }
    }
}

#[test]
fn what_threads_hold_is_charged_and_never_more_than_the_limit() {
    const THREADS: usize = if cfg!(miri) { 2 } else { 4 };
    const ROUNDS: usize = if cfg!(miri) { 4 } else { 2000 };
    /// Leases of a thread at once.
    const MOST: usize = if cfg!(miri) { 12 } else { 100 };
    let limit = if cfg!(miri) { 2 * 1024 } else { 24 * 1024 };
    let budget = Budget::new("threads", limit);
    let pool = FixedPool::<Value>::builder(1000).budget(&budget).build();
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let (pool, budget) = (&pool, &budget);
            scope.spawn(move || {
                let mut dice = Dice::new(seed as u64);
                for round in 0..ROUNDS {
                    let count = dice.below(MOST);
                    let leases: Vec<_> = (0..count)
                        .map_while(|_| pool.try_acquire([1; 8]).ok())
                        .collect();
                    assert!(budget.held() <= budget.limit());
                    drop(leases);
                    if round % 100 == 3 {
                        pool.trim([Level::Light, Level::Moderate, Level::Full][dice.below(3)]);
                    }
                }
            });
        }
    });
    assert!(budget.high_water() <= budget.limit());
    assert!(
        budget.high_water() > budget.limit() / 2,
        "the budget was used"
    );
    assert_charged(&pool, &budget);
    drop(pool);
    assert_eq!(budget.held(), 0);
}

#[test]
fn a_pool_behind_handles_refunds_when_its_last_lease_ends() {
    let budget = Budget::new("owned", usize::MAX);
    let pool = FixedPool::<Value>::builder(50).budget(&budget).build();
    let pool = pool.into_handle();
    let leases: Vec<_> = (0..50)
        .map(|i| pool.try_acquire_owned([i; 8]).expect("free"))
        .collect();
    assert_charged(&pool, &budget);
    drop(pool);
    let held = budget.held();
    assert!(held >= 50 * size_of::<Value>());
    for (left, lease) in (0..50).rev().zip(leases) {
        drop(lease);
        assert_eq!(budget.held() == 0, left == 0, "{left} leases are left");
    }
}

// ---- Refused charges ------------------------------------------------------------------

/// Every limit from nothing to plenty: at each the pool gives what fits, says who
/// refused, and is whole afterwards.
#[test]
fn a_refused_charge_changes_nothing() {
    fn at<M: Mode>(pool: &FixedPool<Tracked, M>, outer: &Budget, census: &Census) -> usize {
        let limit = outer.limit();
        let mut leases = Vec::new();
        let refused = loop {
            match pool.try_acquire(census.track(leases.len() as u64)) {
                Ok(lease) => leases.push(lease),
                Err(refused) => break refused,
            }
            assert!(outer.held() <= limit);
            assert_charged(pool, outer);
        };
        assert_charged(pool, outer);
        let error = refused.error().clone();
        assert_eq!(error.in_use(), leases.len());
        if leases.len() < pool.capacity() {
            let Limit::Budget(exceeded) = error.limit() else {
                panic!("{error}");
            };
            assert_eq!((&*exceeded.name, exceeded.limit), ("outer", limit));
            assert!(error.to_string().contains("budget `outer` refused"));
        } else {
            assert_eq!(*error.limit(), Limit::Capacity);
        }
        assert_eq!(refused.into_value().stamp(), leases.len() as u64);
        for (stamp, lease) in (0..).zip(&leases) {
            assert_eq!(lease.stamp(), stamp);
        }
        // Again and again: refusals do not add up.
        for _ in 0..3 {
            assert!(pool.try_acquire(census.track(0)).is_err());
        }
        assert_charged(pool, outer);
        let count = leases.len();
        drop(leases);
        // With room, everything is there.
        outer.set_limit(usize::MAX);
        let all: Vec<_> = (0..pool.capacity())
            .map_while(|_| pool.try_acquire(census.track(0)).ok())
            .collect();
        assert_eq!(all.len(), pool.capacity());
        assert_charged(pool, outer);
        count
    }
    const PLENTY: usize = if cfg!(miri) { 7 } else { 100 };
    let census = Census::new();
    let (most, step) = if cfg!(miri) { (1700, 211) } else { (9000, 61) };
    let mut counts = [BTreeSet::new(), BTreeSet::new()];
    for limit in (0..most).step_by(step) {
        let outer = Budget::new("outer", limit);
        let inner = outer.child("inner", usize::MAX);
        let builder = FixedPool::builder(PLENTY).budget(&inner);
        counts[0].insert(at(&builder.build(), &outer, &census));
        assert_eq!(outer.held(), 0);
        outer.set_limit(limit);
        let builder = LocalFixedPool::local_builder(PLENTY).budget(&inner);
        counts[1].insert(at(&builder.build_local(), &outer, &census));
        assert_eq!(outer.held(), 0);
    }
    for counts in counts {
        assert!(counts.len() >= if cfg!(miri) { 2 } else { 4 }, "{counts:?}");
        assert!(
            counts.contains(&0) && counts.contains(&PLENTY),
            "{counts:?}"
        );
    }
    census.assert_each_dropped_once();
}

/// A waiter is better off than one who is refused: what comes home is given to
/// it, although the budget is full.
#[test]
fn a_full_budget_is_waited_for_like_a_full_pool() {
    let budget = Budget::new("full", usize::MAX);
    let pool = FixedPool::<Value>::builder(1000).budget(&budget).build();
    let first = pool.try_acquire([1; 8]).expect("no limit yet");
    budget.set_limit(budget.held());
    let mut held = vec![first];
    held.extend(std::iter::from_fn(|| pool.try_acquire([2; 8]).ok()));
    let refused = pool.acquire_timeout([3; 8], Duration::from_millis(1));
    let error = refused.expect_err("nobody releases").into_parts().0;
    assert_eq!(*error.limit(), Limit::Deadline);
    let mut future = pin!(pool.acquire_async([4; 8]));
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(held);
    assert!(matches!(future.poll(&mut context), Poll::Ready(Ok(_))));
    assert_charged(&pool, &budget);
}

// ---- Failing allocations (F1) ------------------------------------------------------------

/// Makes room for many threads that wait at locks. A lock for which threads wait
/// allocates that room when it needs it, and ends the process where it cannot; a
/// thread that starts or ends in another test may make it need it. Room that was
/// made stays.
fn make_room_at_locks() {
    const WAITING: usize = 40;

    /// Creates nothing until all the others wait for it.
    struct Slow<'a>(&'a AtomicUsize);

    impl Source for Slow<'_> {
        type Retired = ();

        fn create(&mut self, _: usize, _: usize, _: &mut Batch) -> Result<(), Limit> {
            while self.0.load(Ordering::Relaxed) < WAITING {
                thread::yield_now();
            }
            // The first; the others have arrived, and now wait for it.
            if self.0.fetch_add(1, Ordering::Relaxed) == WAITING {
                thread::sleep(Duration::from_millis(20));
            }
            Err(Limit::Memory { bytes: 0 })
        }

        fn retire(&mut self, _: &mut Vec<Entry>, _: Level) {}

        fn held_bytes(&self) -> usize {
            0
        }

        fn owns(&self, _: Entry) -> bool {
            false
        }
    }

    static ONCE: Once = Once::new();
    if cfg!(miri) {
        return;
    }
    ONCE.call_once(|| {
        let arrived = AtomicUsize::new(0);
        let engine = SharedEngine::new(1, 8, Slow(&arrived));
        thread::scope(|scope| {
            for _ in 0..WAITING {
                scope.spawn(|| {
                    arrived.fetch_add(1, Ordering::Relaxed);
                    assert!(engine.acquire(0).is_err());
                });
            }
        });
    });
}

/// Runs `attempt` with its first allocation failing, then its second, until none
/// fails, and the same with all that follow failing too. Each attempt has a
/// thread of its own, for which everything is the first time. Answers how many
/// allocations there are to fail.
fn walk_in_fresh_threads(attempt: impl Fn(Failing) + Sync) -> u64 {
    make_room_at_locks();
    let fresh = |failing: Failing| -> Counts {
        let attempt = &attempt;
        let run = move || count(|| attempt(failing)).1;
        thread::scope(|scope| scope.spawn(run).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    };
    // What other threads of an attempt allocate for this one is always the same.
    let balance = |counts: Counts| counts.bytes_allocated.wrapping_sub(counts.bytes_freed);
    // Once for what is allocated once per process, once more to compare with.
    fresh(Failing::Every(0));
    let expected = balance(fresh(Failing::Every(0)));
    let mut points = 0;
    let kinds: &[fn(u64) -> Failing] = &[Failing::Nth, Failing::From];
    for kind in &kinds[..if cfg!(miri) { 1 } else { 2 }] {
        for n in 0.. {
            assert!(n < 10_000, "there is no end");
            let counts = fresh(kind(n));
            assert_eq!(balance(counts), expected, "{:?} leaks", kind(n));
            if counts.failures == 0 {
                points = n;
                break;
            }
        }
    }
    points
}

/// Whatever failed: the books are right, and every slot can be had once.
fn assert_whole<M: Mode>(pool: &FixedPool<Value, M>, budget: &Budget) {
    assert_charged(pool, budget);
    let stats = pool.stats();
    assert_eq!(stats.created, stats.in_use + stats.cached + stats.depot);
    assert_eq!(stats.in_use, 0, "lost: {stats:?}");
    let leases: Vec<_> = (0..=pool.capacity())
        .map_while(|i| pool.try_acquire([i as u64; 8]).ok())
        .collect();
    let places: BTreeSet<_> = leases
        .iter()
        .map(|lease| Span::of(&**lease).address)
        .collect();
    assert_eq!(leases.len(), pool.capacity(), "not everything can be had");
    assert_eq!(places.len(), pool.capacity(), "a slot was lent twice");
    drop(leases);
    assert_charged(pool, budget);
}

/// Several magazines full.
const CAPACITY: usize = if cfg!(miri) { 5 } else { 400 };

fn fill<M: Mode>(pool: &FixedPool<Value, M>) -> Vec<Lease<'_, Value, M>> {
    (0..CAPACITY)
        .map(|i| pool.try_acquire([i as u64; 8]).expect("free"))
        .collect()
}

fn shared_pool(budget: &Budget) -> FixedPool<Value> {
    FixedPool::builder(CAPACITY).budget(budget).build()
}

fn local_pool(budget: &Budget) -> LocalFixedPool<Value> {
    let builder = LocalFixedPool::local_builder(CAPACITY);
    builder.budget(budget).build_local()
}

/// The end of each attempt: the pool is whole, trims to nothing, and is gone.
fn finish<M: Mode>(pool: FixedPool<Value, M>, budget: &Budget) {
    assert_whole(&pool, budget);
    let report = pool.trim(Level::Full);
    assert_eq!((report.leased, report.pinned), (0, 0));
    let stats = pool.stats();
    assert_eq!((stats.created, stats.held_bytes), (0, 0));
    // Caches and tables of a few threads; the magazines went with the trim, and
    // are not on the bill any more.
    let limit = 4 * 128 + 256;
    assert!(
        is_local(&pool) || stats.machinery_bytes <= limit,
        "{stats:?}"
    );
    assert_charged(&pool, budget);
    drop(pool);
    assert_eq!(budget.held(), 0);
}

#[test]
fn the_first_acquire_survives_every_failing_allocation() {
    fn attempt<M: Mode>(failing: Failing, make: fn(&Budget) -> FixedPool<Value, M>) {
        let budget = Budget::new("acquire", usize::MAX);
        let pool = make(&budget);
        match failing.during(|| pool.try_acquire([7; 8])) {
            Ok(lease) => assert_eq!((*lease, pool.stats().in_use), ([7; 8], 1)),
            Err(refused) => {
                assert!(matches!(refused.error().limit(), Limit::Memory { .. }));
                assert_eq!(refused.into_value(), [7; 8]);
            }
        }
        finish(pool, &budget);
    }
    let points = walk_in_fresh_threads(|failing| attempt(failing, shared_pool));
    assert!(points >= 5, "cache, table, magazines, slab: {points}");
    let points = walk_in_fresh_threads(|failing| attempt(failing, local_pool));
    assert!(points >= 3, "stack, list, slab: {points}");
}

/// Gives this thread an id, so that the next thread, when it ends, does not leave
/// its own and the cache that is filed under it to this one.
fn take_an_id() {
    drop(FixedPool::new(1).try_acquire(0));
}

#[test]
fn the_first_acquire_of_another_thread_survives_every_failing_allocation() {
    let points = walk_in_fresh_threads(|failing| {
        take_an_id();
        let budget = Budget::new("second", usize::MAX);
        let pool = shared_pool(&budget);
        thread::scope(|scope| {
            scope.spawn(|| drop(fill(&pool))).join().expect("no panic");
        });
        // There are items, so memory is no reason to refuse.
        let outcome = failing.during(|| pool.try_acquire([7; 8]));
        assert_eq!(*outcome.expect("items exist"), [7; 8]);
        finish(pool, &budget);
    });
    assert!(points >= 2, "cache and magazines: {points}");
}

#[test]
fn the_first_release_of_another_thread_survives_every_failing_allocation() {
    let points = walk_in_fresh_threads(|failing| {
        take_an_id();
        let budget = Budget::new("release", usize::MAX);
        let pool = shared_pool(&budget);
        let leases: Vec<_> =
            thread::scope(|scope| scope.spawn(|| fill(&pool)).join().expect("no panic"));
        failing.during(|| drop(leases));
        finish(pool, &budget);
    });
    assert!(points >= 2, "cache and magazines: {points}");
}

#[test]
#[cfg_attr(miri, ignore = "slow, and made of what the others do")]
fn a_busy_pool_survives_every_failing_allocation() {
    fn attempt<M: Mode>(failing: Failing, make: fn(&Budget) -> FixedPool<Value, M>) {
        let budget = Budget::new("busy", usize::MAX);
        let pool = make(&budget);
        let mut leases = Vec::with_capacity(CAPACITY);
        failing.during(|| {
            for round in 0..6 {
                leases.extend((0..CAPACITY).filter_map(|_| pool.try_acquire([round; 8]).ok()));
                leases.truncate(usize::try_from(round).expect("a few rounds"));
                leases.clear();
                if round == 3 {
                    pool.trim(Level::Full);
                }
            }
        });
        drop(leases);
        finish(pool, &budget);
    }
    let points = walk_in_fresh_threads(|failing| attempt(failing, shared_pool));
    assert!(points >= 5, "{points}");
    let points = walk_in_fresh_threads(|failing| attempt(failing, local_pool));
    assert!(points >= 3, "{points}");
}

#[test]
fn a_trim_survives_every_failing_allocation() {
    fn attempt<M: Mode>(failing: Failing, level: Level, make: fn(&Budget) -> FixedPool<Value, M>) {
        let budget = Budget::new("trim", usize::MAX);
        let pool = make(&budget);
        drop(fill(&pool));
        let lease = pool.try_acquire([9; 8]).expect("free");
        let before = pool.stats();
        let report = failing.during(|| pool.trim(level));
        assert_charged(&pool, &budget);
        let after = pool.stats();
        assert_eq!(after.created, before.created - report.freed_items);
        assert_eq!(*lease, [9; 8]);
        drop(lease);
        let before = pool.stats();
        let report = failing.during(|| pool.trim(level));
        assert_eq!(pool.stats().created, before.created - report.freed_items);
        finish(pool, &budget);
    }
    let levels = [Level::Full, Level::Moderate, Level::Light];
    for level in levels.into_iter().take(if cfg!(miri) { 1 } else { 3 }) {
        let points = walk_in_fresh_threads(|failing| attempt(failing, level, shared_pool));
        assert!(points >= 3, "{level:?}: {points}");
        let points = walk_in_fresh_threads(|failing| attempt(failing, level, local_pool));
        assert!(points >= 3, "{level:?}: {points}");
    }
}

#[test]
fn falling_back_survives_every_failing_allocation() {
    let points = walk_in_fresh_threads(|failing| {
        let budget = Budget::new("fallback", usize::MAX);
        let policy = Exhaustion::Fallback { at_most: 2 };
        let pool = FixedPool::builder(CAPACITY).exhaustion(policy);
        let pool = pool.budget(&budget).build();
        let leases: Vec<_> = (0..CAPACITY).map(|_| pool.try_acquire([1; 8])).collect();
        let outcome = failing.during(|| pool.acquire([2; 8]));
        let used = usize::from(outcome.is_ok());
        assert_eq!(pool.stats().fallback_in_use, used);
        assert_charged(&pool, &budget);
        drop((leases, outcome));
        finish(pool, &budget);
    });
    assert!(points >= 1, "the item itself: {points}");
}

/// Waiting allocates nothing that could fail, in a thread or in a task.
#[test]
fn waiting_survives_every_failing_allocation() {
    walk_in_fresh_threads(|failing| {
        let budget = Budget::new("wait", usize::MAX);
        let pool = shared_pool(&budget);
        let mut leases: Vec<_> = (0..CAPACITY).map(|_| pool.try_acquire([1; 8])).collect();
        let mut context = Context::from_waker(Waker::noop());
        failing.during(|| {
            let timeout = Duration::from_micros(10);
            assert!(pool.acquire_timeout([2; 8], timeout).is_err());
            let mut future = pin!(pool.acquire_async([3; 8]));
            assert!(future.as_mut().poll(&mut context).is_pending());
            leases.truncate(CAPACITY - 1);
            assert!(matches!(future.poll(&mut context), Poll::Ready(Ok(_))));
            pool.set_capacity(CAPACITY + 1);
        });
        drop(leases);
        pool.set_capacity(CAPACITY);
        finish(pool, &budget);
    });
}

/// The last owned lease frees its pool, whatever else fails.
#[test]
fn freeing_a_pool_survives_every_failing_allocation() {
    walk_in_fresh_threads(|failing| {
        let budget = Budget::new("last", usize::MAX);
        let pool = shared_pool(&budget).into_handle();
        let leases: Vec<_> = (0..3).map(|i| pool.try_acquire_owned([i; 8])).collect();
        failing.during(|| {
            drop(pool);
            drop(leases);
        });
        assert_eq!(budget.held(), 0);
    });
}

/// Figures that can be read at any time allocate nothing.
#[test]
fn looking_allocates_nothing() {
    let budget = Budget::new("look", usize::MAX);
    let pool = shared_pool(&budget);
    let _lease = pool.try_acquire([1; 8]).expect("free");
    let look = || -> (Observation, usize) { (pool.stats(), budget.held()) };
    let (_, counts) = count(look);
    assert!(counts.is_silent(), "{counts:?}");
    let (list, counts) = count(|| Vec::<u8>::with_capacity(1));
    assert!(!counts.is_silent(), "the allocator counts: {list:?}");
}

/// Once, what the first budget had been charged stayed charged.
#[test]
fn an_index_pool_is_charged_to_the_budget_that_it_was_told_last() {
    let [first, second] = ["first", "second"].map(|name| Budget::new(name, usize::MAX));
    let pool = IndexPool::<u64>::with_capacity(100).expect("memory");
    let pool = pool.charged_to(&first).expect("room");
    assert!(first.held() >= 800);
    let pool = pool.charged_to(&second).expect("room");
    assert!(first.held() == 0 && second.held() >= 800);
    drop(pool);
    assert_eq!(second.held(), 0);
}
