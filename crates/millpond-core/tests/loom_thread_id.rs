//! Thread ids: a thread ends, and another takes its id and with it its caches.
//!
//! Modelled: the cache of a thread that has ended is used by its next owner, or
//! emptied by somebody who looks for items, at the same time; releases in a
//! thread that has no id any more; that no item is given twice or lost.
//!
//! Not modelled: thread-local destructors of a program's own, `fork`.
#![cfg(millpond_loom)]

mod model;

use loom::sync::Arc;
use model::{Pool, explore, join, spawn};

/// Somebody looks for the item that a thread has left behind, while another
/// thread takes its id and with it the cache in which the item lies.
#[test]
fn a_dead_threads_cache_is_swept_or_adopted() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        join([spawn(&pool, Pool::pair)]);
        let heir = spawn(&pool, |pool| {
            pool.pair();
            pool.pair();
        });
        pool.pair();
        join([heir]);
        pool.check();
    });
}

/// The thread is still ending while its heir begins.
#[test]
fn an_id_changes_hands_while_the_pool_is_in_use() {
    explore(2, || {
        let pool = Arc::new(Pool::<2>::new());
        let first = spawn(&pool, Pool::pair);
        let item = pool.acquire().expect("one of two items is free");
        join([first]);
        let second = spawn(&pool, |pool| {
            let item = pool.acquire().expect("one of two items is free");
            pool.release(item);
        });
        pool.release(item);
        join([second]);
        pool.check();
    });
}

/// A thread ends with an item that another one releases for it.
#[test]
fn a_lease_outlives_its_thread() {
    explore(3, || {
        let pool = Arc::new(Pool::<1>::new());
        let handed = Arc::new(std::sync::Mutex::new(None));
        let here = Arc::clone(&handed);
        join([spawn(&pool, move |pool| {
            *here.lock().expect("nobody panics") = pool.acquire();
        })]);
        let item = handed.lock().expect("nobody panics").take();
        let other = spawn(&pool, Pool::pair);
        pool.release(item.expect("nothing was leased yet"));
        join([other]);
        pool.check();
    });
}
