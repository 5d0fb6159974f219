//! Threads that end: their caches, their ids, and releases in their destructors.
//!
//! One test at a time, in a process of their own: they count threads, and ids are
//! the process's.
#![cfg(not(millpond_loom))]

use core::cell::RefCell;
use millpond_core::engine::{Engine, Released};
use millpond_core::entry::Entry;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;

type Pool = SharedEngine<Slabs>;

const fn pool(capacity: usize) -> Pool {
    SharedEngine::new(capacity, 8, Slabs::new(8, 8))
}

/// Lets one test run at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn release(pool: &Pool, item: Entry) {
    // SAFETY: acquired from this pool by the caller, who gives it up.
    let released = unsafe { SharedEngine::release(pool, item) };
    assert_eq!(released, Released::Home);
}

#[test]
fn the_cache_of_a_thread_that_ended_is_taken_over() {
    let _alone = alone();
    let pool = pool(1);
    let mut machinery = None;
    for _ in 0..if cfg!(miri) { 10 } else { 500 } {
        thread::scope(|scope| {
            scope.spawn(|| release(&pool, pool.acquire(0).expect("nothing is leased")));
        });
        let figures = pool.observe();
        assert_eq!(figures.created, 1);
        // The scope ends a moment before the thread has given its id back, so
        // the next one may have a second id.
        let bytes = machinery.get_or_insert(figures.machinery_bytes);
        assert!(figures.machinery_bytes <= 3 * *bytes, "{figures:?}");
    }
}

#[test]
fn what_a_thread_left_behind_is_found() {
    let _alone = alone();
    let pool = pool(3);
    for _ in 0..5 {
        let leave = || {
            let items = [(); 3].map(|()| pool.acquire(0).expect("every item is free"));
            for item in items {
                release(&pool, item);
            }
        };
        thread::scope(|scope| {
            scope.spawn(leave);
        });
        leave();
    }
    assert_eq!(pool.observe().created, 3);
}

/// More threads than an id word has bits, and than the first tables have places;
/// then as many again with the ids of the first.
#[test]
fn hundreds_of_threads_live_at_once_and_others_after_them() {
    let _alone = alone();
    let threads = if cfg!(miri) { 66 } else { 330 };
    let pool = pool(threads);
    let mut machinery = 0;
    for wave in 0..3 {
        let (leased, done) = (Barrier::new(threads), Barrier::new(threads));
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let item = pool.acquire(0).expect("one for each");
                    leased.wait();
                    release(&pool, item);
                    done.wait();
                });
            }
        });
        let figures = pool.observe();
        assert_eq!((figures.in_use, figures.created), (0, threads));
        if wave == 0 {
            machinery = figures.machinery_bytes;
        }
        assert!(figures.machinery_bytes < 2 * machinery, "{figures:?}");
    }
}

static POOL: Pool = pool(4);

/// Releases what it holds when its thread ends, and uses the pool once more.
struct Late(RefCell<Vec<Entry>>);

impl Drop for Late {
    fn drop(&mut self) {
        for item in self.0.take() {
            release(&POOL, item);
        }
        release(&POOL, POOL.acquire(0).expect("something was just released"));
    }
}

thread_local! {
    static LATE: Late = const { Late(RefCell::new(Vec::new())) };
}

/// The destructor is registered before the thread's first use of a pool, or
/// after it, and so runs after or before the thread has given its id back.
#[test]
fn leases_are_released_in_thread_local_destructors() {
    let _alone = alone();
    for destructor_first in [true, false] {
        for _ in 0..5 {
            let hold = || LATE.with(|late| late.0.borrow_mut().push(POOL.acquire(0).unwrap()));
            thread::spawn(move || {
                if destructor_first {
                    LATE.with(|late| assert!(late.0.borrow().is_empty()));
                }
                let item = POOL.acquire(0).expect("every item is free");
                hold();
                hold();
                release(&POOL, item);
            })
            .join()
            .expect("destructors do not panic");
            let figures = POOL.observe();
            assert_eq!(figures.in_use, 0, "{figures:?}");
        }
    }
    let items = [(); 4].map(|()| POOL.acquire(0).expect("an item was lost"));
    assert!(POOL.acquire(0).is_err());
    for item in items {
        release(&POOL, item);
    }
}

/// A thread whose only use of a pool is in its destructors.
#[test]
fn a_pool_is_first_used_in_a_destructor() {
    let _alone = alone();
    let before = POOL.observe().acquires;
    thread::spawn(|| LATE.with(|late| assert!(late.0.borrow().is_empty())))
        .join()
        .expect("destructors do not panic");
    let figures = POOL.observe();
    assert_eq!((figures.in_use, figures.acquires), (0, before + 1));
}
