//! Stop against the owners of caches: an acquire that finds nothing closes every
//! cache, waits for owners that are inside an operation, and empties them.
//!
//! Modelled: owners on the fast path, on the way to the lock, and opening again,
//! while one or two others stop the pool; that no item is given twice or lost,
//! and that an acquire fails only if all items were leased at some instant.
//!
//! Not modelled: `membarrier` (here, both sides run a real fence) and owners that
//! the scheduler stops for so long that a trim passes over them.
#![cfg(millpond_loom)]

mod model;

use loom::sync::Arc;
use model::{Pool, explore, join, spawn};

/// The protocol at its smallest: the only item goes from one cache to another.
#[test]
fn stop_against_acquire_and_release() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        let owner = spawn(&pool, |pool| {
            pool.pair();
            pool.pair();
        });
        pool.pair();
        join([owner]);
        pool.check();
    });
}

/// The only item lies in the cache of a thread that does nothing.
#[test]
fn an_idle_cache_is_emptied() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        pool.pair();
        let other = spawn(&pool, |pool| {
            let item = pool.acquire().expect("the item is free all the time");
            pool.release(item);
        });
        join([other]);
        pool.check();
    });
}

/// One item of two is leased at any time, though not always the same one: the
/// other acquire must never fail, wherever the free one is on its way to.
#[test]
fn an_item_on_the_move_is_found() {
    explore(2, || {
        let pool = Arc::new(Pool::<2>::new());
        let owner = spawn(&pool, |pool| {
            pool.pair();
            pool.pair();
        });
        let item = pool.acquire().expect("at most one of two items is leased");
        pool.release(item);
        join([owner]);
        pool.check();
    });
}

/// Each thread finds its cache stopped, opens it, and is stopped again.
#[test]
fn two_threads_stop_each_other_twice() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        let other = spawn(&pool, |pool| {
            pool.pair();
            pool.pair();
            pool.pair();
        });
        pool.pair();
        pool.pair();
        join([other]);
        pool.check();
    });
}

/// Two threads stop the pool at once, for the only item, which lies in the cache
/// of a third.
#[test]
fn one_of_two_stops_finds_the_item() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        pool.pair();
        join([(); 2].map(|()| spawn(&pool, Pool::pair)));
        pool.check();
    });
}

/// Two of two items, taken and given back in pairs by both.
#[test]
fn pairs_of_items_change_sides() {
    explore(2, || {
        let pool = Arc::new(Pool::<2>::new());
        let both = |pool: &Pool<2>| {
            let items = [pool.acquire(), pool.acquire()];
            for item in items.into_iter().flatten() {
                pool.release(item);
            }
        };
        let other = spawn(&pool, both);
        both(&pool);
        join([other]);
        pool.check();
    });
}
