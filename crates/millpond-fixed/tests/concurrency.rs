//! Fixed pools under real threads: what holds whatever the schedule.
//!
//! Values are written and read back by their holder, so a slot in two hands is a
//! wrong value here, and a data race under Miri; values with destructors count
//! how often those ran.

use core::cell::RefCell;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use millpond_core::budget::Budget;
use millpond_fixed::{Exhaustion, FixedPool, Lease, Level, Limit, OwnedLease};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::Wake;
use std::thread;

/// Steps of a test: many, or as many as Miri has patience for.
const fn steps(natively: usize, in_miri: usize) -> usize {
    if cfg!(miri) { in_miri } else { natively }
}

/// A number that looks random; the same for the same start.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// A value that knows whether it is still whole, and counts its destructor.
struct Stamp<'c> {
    words: [u64; 3],
    dropped: &'c AtomicUsize,
}

impl<'c> Stamp<'c> {
    fn new(word: u64, dropped: &'c AtomicUsize) -> Self {
        let words = [word, !word, word.rotate_left(32)];
        Self { words, dropped }
    }

    fn check(&self, word: u64) {
        assert_eq!(self.words, [word, !word, word.rotate_left(32)]);
    }
}

impl Drop for Stamp<'_> {
    fn drop(&mut self) {
        self.check(self.words[0]);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn n_means_n_whichever_thread_asks() {
    let sizes: &[usize] = if cfg!(miri) {
        &[1, 3]
    } else {
        &[1, 2, 3, 16, 64, 200]
    };
    for &n in sizes {
        let pool = FixedPool::<usize>::new(n);
        let take_all = || {
            let leases: Vec<_> = (0..n).map(|i| pool.try_acquire(i).expect("free")).collect();
            let refused = pool.try_acquire(n).expect_err("all are leased");
            assert_eq!(*refused.error().limit(), Limit::Capacity);
            assert!(leases.iter().enumerate().all(|(i, lease)| **lease == i));
        };
        let (filled, done) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                take_all();
                filled.wait();
                done.wait();
            });
            // The slots are in the cache of a thread that does nothing.
            filled.wait();
            take_all();
            done.wait();
        });
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.created), (0, n));
        assert_eq!(
            (stats.acquires, stats.releases),
            (2 * n as u64, 2 * n as u64)
        );
    }
}

#[test]
fn values_are_whole_and_dropped_once_in_a_churn() {
    let (made, dropped) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let pool = FixedPool::<Stamp<'_>>::new(20);
    thread::scope(|scope| {
        for seed in 1..=4u64 {
            let (pool, made, dropped) = (&pool, &made, &dropped);
            scope.spawn(move || {
                let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mut held: Vec<(Lease<'_, Stamp<'_>>, u64)> = Vec::new();
                for _ in 0..steps(20_000, 40) {
                    let word = next(&mut random);
                    if held.len() < 8 && !word.is_multiple_of(3) {
                        made.fetch_add(1, Ordering::Relaxed);
                        if let Ok(lease) = pool.try_acquire(Stamp::new(word, dropped)) {
                            held.push((lease, word));
                        }
                    } else if !held.is_empty() {
                        let place = usize::try_from(word >> 40).unwrap_or(0) % held.len();
                        let (lease, word) = held.swap_remove(place);
                        lease.check(word);
                    }
                }
            });
        }
    });
    assert_eq!(
        made.load(Ordering::Relaxed),
        dropped.load(Ordering::Relaxed)
    );
    let stats = pool.stats();
    assert_eq!(stats.in_use, 0);
    assert!(stats.created <= 20, "{stats:?}");
}

#[test]
fn leases_may_end_in_another_thread() {
    let pool = FixedPool::<Box<u64>>::new(4);
    let (send, receive) = mpsc::sync_channel::<(Lease<'_, Box<u64>>, u64)>(2);
    let rounds = steps(20_000, 40) as u64;
    thread::scope(|scope| {
        scope.spawn(|| {
            for (lease, word) in receive {
                assert_eq!(**lease, word);
            }
        });
        for word in 0..rounds {
            let lease = pool.acquire_timeout(Box::new(word), Duration::from_secs(600));
            send.send((lease.expect("in time"), word))
                .expect("the receiver lives");
        }
        drop(send);
    });
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.acquires), (0, rounds));
}

#[test]
fn a_blocking_pool_serves_everybody() {
    let pool = FixedPool::<u64>::builder(2)
        .exhaustion(Exhaustion::Block { timeout: None })
        .build();
    let rounds = steps(1_000, 6);
    thread::scope(|scope| {
        for word in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                for _ in 0..rounds {
                    let lease = pool.acquire(word).expect("waits for as long as it takes");
                    assert_eq!(*lease, word);
                }
            });
        }
    });
    assert_eq!(pool.stats().acquires, 4 * rounds as u64);
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// A future that is dropped drops its value and leaves its slot to others.
#[test]
fn dropped_futures_lose_neither_slots_nor_values() {
    let dropped = AtomicUsize::new(0);
    let pool = FixedPool::<Stamp<'_>>::new(1);
    let rounds = steps(2_000, 8);
    thread::scope(|scope| {
        for thread in 0..3u64 {
            let (pool, dropped) = (&pool, &dropped);
            scope.spawn(move || {
                for round in 0..rounds {
                    let future = pool.acquire_async(Stamp::new(thread, dropped));
                    let lease = if round % 2 == 0 {
                        block_on(future)
                    } else {
                        let mut context = Context::from_waker(Waker::noop());
                        match pin!(future).poll(&mut context) {
                            Poll::Ready(lease) => lease,
                            Poll::Pending => continue,
                        }
                    };
                    let lease = lease.unwrap_or_else(|refused| panic!("{refused}"));
                    thread::yield_now();
                    lease.check(thread);
                }
            });
        }
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 3 * rounds);
    let lease = pool.try_acquire(Stamp::new(9, &dropped));
    assert!(lease.is_ok(), "the slot was lost");
    assert_eq!(pool.stats().waiting, 0);
}

#[test]
fn owned_leases_outlive_the_last_handle() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    let rounds = steps(1_000, 10);
    for _ in 0..rounds {
        let pool = FixedPool::new(6).into_handle();
        let lease = |word| match pool.try_acquire_owned(Stamp::new(word, &DROPPED)) {
            Ok(lease) => lease,
            Err(refused) => panic!("{refused}"),
        };
        let halves: [Vec<OwnedLease<Stamp<'_>>>; 2] =
            [0, 3].map(|first| (first..first + 3).map(lease).collect());
        let threads = halves.map(|half| {
            let handle = pool.clone();
            thread::spawn(move || {
                drop(handle);
                drop(half);
            })
        });
        drop(pool);
        for thread in threads {
            thread.join().expect("leases end normally");
        }
    }
    assert_eq!(DROPPED.load(Ordering::Relaxed), 6 * rounds);
}

#[test]
fn a_trim_empties_the_caches_of_idle_threads() {
    let budget = Budget::new("trimmed", 1 << 30);
    let pool = FixedPool::<[u64; 8]>::builder(steps(10_000, 40))
        .budget(&budget)
        .build();
    let (filled, done) = (Barrier::new(3), Barrier::new(3));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let fill = || {
                    let leases = (0..pool.capacity() / 2).map(|_| pool.try_acquire([7; 8]));
                    let leases: Vec<_> = leases.collect::<Result<_, _>>().expect("half for each");
                    assert!(leases.iter().all(|lease| **lease == [7; 8]));
                };
                fill();
                filled.wait();
                done.wait();
                fill();
            });
        }
        filled.wait();
        let report = pool.trim(Level::Full);
        assert_eq!((report.leased, report.pinned), (0, 0));
        assert_eq!(pool.stats().held_bytes, 0, "{report}");
        done.wait();
    });
    drop(pool);
    assert_eq!(budget.held(), 0);
}

#[test]
fn short_lived_pools_leave_nothing_behind() {
    let budget = Budget::new("short", 1 << 30);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for round in 0..steps(3_000, 8) {
                    let pool = FixedPool::builder(4).budget(&budget).build();
                    let first = pool.try_acquire(round).expect("free");
                    thread::scope(|scope| {
                        if round % 64 == 0 {
                            scope.spawn(|| assert_eq!(*pool.try_acquire(1).expect("free"), 1));
                        }
                    });
                    assert_eq!(*first, round);
                }
            });
        }
    });
    assert_eq!(budget.held(), 0);
}

static POOL: FixedPool<String> = FixedPool::new(3);

thread_local! {
    static KEPT: RefCell<Vec<Lease<'static, String>>> = const { RefCell::new(Vec::new()) };
}

/// Leases of a static pool may live in thread locals; it does not matter whether
/// those are made before the thread first uses the pool or after it.
#[test]
fn leases_end_with_the_thread_that_keeps_them() {
    for kept_first in [true, false] {
        thread::spawn(move || {
            if kept_first {
                KEPT.with_borrow(|kept| assert!(kept.is_empty()));
            }
            for word in ["one", "two", "three"] {
                let lease = POOL.try_acquire(word.to_owned()).expect("free");
                KEPT.with_borrow_mut(|kept| kept.push(lease));
            }
            assert!(POOL.try_acquire("four".to_owned()).is_err());
        })
        .join()
        .expect("destructors do not panic");
        assert_eq!(POOL.stats().in_use, 0);
    }
}
