//! Waiting in a task: hand-off and cancellation against a racing release.
//!
//! Modelled: futures that are polled, woken by another thread, polled again with
//! another waker, and dropped at any moment, before or after an item was handed
//! to them; the order of the queue. A wake-up that is lost is a deadlock, which
//! loom reports; an item that is lost is found missing at the end.
//!
//! Not modelled: executors. A task here is a thread that parks between polls.
#![cfg(millpond_loom)]

mod model;

use core::pin::pin;
use core::task::Poll;
use loom::sync::Arc;
use model::{Pool, block_on, explore, join, poll, spawn};

#[test]
fn a_release_wakes_the_task() {
    explore(3, || {
        let pool = Arc::new(Pool::<1>::new());
        let item = pool.acquire().expect("nothing is leased yet");
        let task = spawn(&pool, |pool| {
            let item = pool.record(|| block_on(pin!(pool.engine.acquire_async(0))));
            pool.release(item.expect("waiting ends with an item"));
        });
        pool.release(item);
        join([task]);
        pool.check();
    });
}

/// A future that is dropped while a release is under way to it: the item is not
/// lost.
#[test]
fn a_dropped_future_loses_nothing() {
    explore(3, || {
        let pool = Arc::new(Pool::<1>::new());
        let item = pool.acquire().expect("nothing is leased yet");
        let task = spawn(&pool, |pool| {
            let mut future = pin!(pool.engine.acquire_async(0));
            if let Poll::Ready(result) = poll(future.as_mut()) {
                let item = pool.record(|| result).expect("the pool is open");
                pool.release(item);
            }
        });
        pool.release(item);
        join([task]);
        pool.check();
    });
}

/// As above, with somebody behind it in the queue, who must then be served.
#[test]
fn a_dropped_future_passes_its_item_on() {
    explore(3, || {
        let pool = Arc::new(Pool::<1>::new());
        let item = pool.acquire().expect("nothing is leased yet");
        let mut first = Box::pin(pool.engine.acquire_async(0));
        assert!(poll(first.as_mut()).is_pending());
        let task = spawn(&pool, |pool| {
            let item = pool.record(|| block_on(pin!(pool.engine.acquire_async(0))));
            pool.release(item.expect("waiting ends with an item"));
        });
        pool.release(item);
        drop(first);
        join([task]);
        pool.check();
    });
}

/// Who came first is served first.
#[test]
fn items_go_to_tasks_in_the_order_of_the_queue() {
    explore(3, || {
        let pool = Arc::new(Pool::<2>::new());
        let items = [(); 2].map(|()| pool.acquire().expect("nothing is leased yet"));
        let mut first = Box::pin(pool.engine.acquire_async(0));
        let mut second = Box::pin(pool.engine.acquire_async(0));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        let releaser = spawn(&pool, move |pool| {
            for item in items {
                pool.release(item);
            }
        });
        // The later one is looked at first: if it was served, so was the other.
        let second_now = poll(second.as_mut());
        let first_now = poll(first.as_mut());
        assert!(first_now.is_ready() || second_now.is_pending());
        let finish = |now, future| {
            let item = match now {
                Poll::Ready(result) => result,
                Poll::Pending => block_on(future),
            };
            let item = pool.record(|| item).expect("waiting ends with an item");
            pool.release(item);
        };
        finish(first_now, first.as_mut());
        finish(second_now, second.as_mut());
        join([releaser]);
        drop((first, second));
        pool.check();
    });
}

/// The pool stays strict for as long as somebody waits, however many items come
/// home: else the item that the last one waits for ends in a cache.
#[test]
fn a_long_queue_is_served_to_its_end() {
    explore(3, || {
        let pool = Arc::new(Pool::<1>::new());
        let item = pool.acquire().expect("nothing is leased yet");
        let mut queue = [(); 3].map(|()| Box::pin(pool.engine.acquire_async(0)));
        for future in &mut queue {
            assert!(poll(future.as_mut()).is_pending());
        }
        let releaser = spawn(&pool, move |pool| pool.release(item));
        for mut future in queue {
            let item = pool.record(|| block_on(future.as_mut()));
            pool.release(item.expect("waiting ends with an item"));
        }
        join([releaser]);
        pool.check();
    });
}
