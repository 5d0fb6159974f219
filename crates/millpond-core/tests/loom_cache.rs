//! Caches and the depot: items move between threads by way of magazines.
//!
//! Modelled: threads that fill and empty their magazines at the same time, so
//! that both exchange them with the depot, larger magazines taking the place of
//! smaller ones, items that one thread acquires and another releases, and a
//! table of caches that grows while another thread reads it; that no item is
//! given twice or lost, and that no acquire fails while an item is free.
//!
//! Not modelled: magazines of their real size. Here the first ones have one slot
//! and full ones two, so that every corner is a few steps away.
#![cfg(millpond_loom)]

mod model;

use loom::sync::Arc;
use model::{Pool, explore, join, spawn};

/// Two items for each thread: nobody fails, everybody goes to the depot.
#[test]
fn two_threads_exchange_magazines() {
    explore(2, || {
        let pool = Arc::new(Pool::<4>::new());
        let both = |pool: &Pool<4>| {
            let items = [(); 2].map(|()| pool.acquire().expect("two items for each thread"));
            for item in items {
                pool.release(item);
            }
        };
        let other = spawn(&pool, both);
        both(&pool);
        join([other]);
        pool.check();
    });
}

/// Items that are acquired here and released there pile up there and come back
/// by way of the depot.
#[test]
fn items_released_elsewhere_come_back() {
    explore(2, || {
        let pool = Arc::new(Pool::<3>::new());
        let items = [(); 3].map(|()| pool.acquire().expect("nothing is leased yet"));
        let other = spawn(&pool, move |pool| {
            for item in items {
                pool.release(item);
            }
        });
        pool.pair();
        pool.pair();
        join([other]);
        pool.check();
    });
}

/// One thread gets its cache, and with it a longer table, while another uses its
/// own.
#[test]
fn the_table_grows_while_it_is_read() {
    explore(2, || {
        let pool = Arc::new(Pool::<3>::new());
        pool.pair();
        let other = spawn(&pool, Pool::pair);
        pool.pair();
        join([other]);
        pool.check();
    });
}

/// A cache gets its full-sized magazines after some exchanges; the items in the
/// small ones are not lost on the way.
#[test]
fn a_cache_is_enlarged_while_another_works() {
    explore(2, || {
        let pool = Arc::new(Pool::<4>::new());
        for _ in 0..3 {
            let items = [(); 3].map(|()| pool.acquire().expect("nobody else is here yet"));
            for item in items {
                pool.release(item);
            }
        }
        let other = spawn(&pool, Pool::pair);
        let items = [(); 3].map(|()| pool.acquire().expect("the other holds one of four"));
        for item in items {
            pool.release(item);
        }
        join([other]);
        pool.check();
    });
}
