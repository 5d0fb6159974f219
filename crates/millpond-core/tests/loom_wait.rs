//! Waiting in a thread: hand-off, time-out and close against a racing release.
//!
//! Modelled: a thread that runs out, enqueues and parks, while others release,
//! by the fast path and under the lock, acquire, and close; a deadline that has
//! passed when the waiter looks at the clock. A wake-up that is lost is a
//! deadlock, which loom reports.
//!
//! Not modelled: time. A deadline has passed or never comes.
#![cfg(millpond_loom)]

mod model;

use core::time::Duration;
use loom::sync::Arc;
use millpond_core::error::Limit;
use model::{Pool, explore, join, spawn};

/// The release sees the waiter or the waiter sees the item.
#[test]
fn a_release_wakes_the_waiter() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        let item = pool.acquire().expect("nothing is leased yet");
        let waiter = spawn(&pool, |pool| {
            let item = pool.wait();
            pool.release(item);
        });
        pool.release(item);
        join([waiter]);
        pool.check();
    });
}

/// The one who released wants the item again and must not leave the waiter
/// behind.
#[test]
fn a_busy_owner_does_not_starve_the_waiter() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        let item = pool.acquire().expect("nothing is leased yet");
        let waiter = spawn(&pool, |pool| {
            let item = pool.wait();
            pool.release(item);
        });
        pool.release(item);
        pool.pair();
        join([waiter]);
        pool.check();
    });
}

/// Both wait, in turns, for what the other has.
#[test]
fn two_threads_wait_for_each_other() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        let both = |pool: &Pool<1>| {
            let item = pool.wait();
            pool.release(item);
        };
        let other = spawn(&pool, both);
        both(&pool);
        join([other]);
        pool.check();
    });
}

/// Two waiters, two items: each is woken for one.
#[test]
fn two_waiters_are_both_served() {
    explore(2, || {
        let pool = Arc::new(Pool::<2>::new());
        let items = [(); 2].map(|()| pool.acquire().expect("nothing is leased yet"));
        let waiters = [(); 2].map(|()| {
            spawn(&pool, |pool| {
                let item = pool.wait();
                pool.release(item);
            })
        });
        for item in items {
            pool.release(item);
        }
        join(waiters);
        pool.check();
    });
}

/// A waiter whose time is over either has the item or has left the queue.
#[test]
fn a_time_out_races_a_release() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        let item = pool.acquire().expect("nothing is leased yet");
        let waiter = spawn(&pool, |pool| {
            let given = pool.record(|| {
                let result = pool.engine.acquire_waiting(0, Some(Duration::ZERO));
                if let Err(error) = &result {
                    assert_eq!(*error.limit(), Limit::Deadline);
                }
                result
            });
            if let Some(item) = given {
                pool.release(item);
            }
        });
        pool.release(item);
        join([waiter]);
        pool.check();
    });
}

/// Closing wakes whoever waits, and an item that came home first is theirs.
#[test]
fn close_wakes_the_waiter() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        let item = pool.acquire().expect("nothing is leased yet");
        let waiter = spawn(&pool, |pool| {
            let given = pool.record(|| {
                let result = pool.engine.acquire_waiting(0, None);
                if let Err(error) = &result {
                    assert_eq!(*error.limit(), Limit::Closed);
                }
                result
            });
            if let Some(item) = given {
                pool.release(item);
            }
        });
        pool.engine.close();
        pool.release(item);
        join([waiter]);
        assert!(pool.acquire().is_none(), "a closed pool gives nothing");
    });
}

/// Raising the capacity serves who waits.
#[test]
fn a_raised_capacity_serves_the_waiter() {
    use millpond_core::engine::Engine;

    explore(2, || {
        let pool = Arc::new(Pool::<2>::new());
        pool.engine.set_capacity(1);
        let item = pool.acquire().expect("nothing is leased yet");
        let waiter = spawn(&pool, |pool| {
            let item = pool.wait();
            pool.release(item);
        });
        pool.engine.set_capacity(2);
        join([waiter]);
        pool.release(item);
        pool.check();
    });
}
