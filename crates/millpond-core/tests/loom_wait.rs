//! Waiting: no wake-up is lost, and an item given to a waiter who left is passed on.
#![cfg(millpond_loom)]

mod model;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use loom::sync::Arc;
use model::{Pool, check_whole, run};

/// A model in which the waiter sleeps for ever is a deadlock, which loom reports.
#[test]
fn a_waiter_gets_what_a_racing_release_brings_home() {
    loom::model(|| {
        let pool = Arc::new(Pool::<1>::new());
        let holder = run(&pool, |pool| {
            if let Some(entry) = pool.acquire() {
                let _ = pool.release(entry);
            }
        });
        let waiter = run(&pool, |pool| {
            let entry = pool.engine.acquire_waiting(0, None);
            let entry = entry.expect("nobody closes the pool");
            let _ = pool.release(entry);
        });
        holder.join().expect("the holder ends");
        waiter.join().expect("the waiter ends");
        check_whole(&pool);
    });
}

/// The future is polled once and dropped, at every point of the release.
#[test]
fn a_cancelled_waiter_passes_its_item_on() {
    loom::model(|| {
        let pool = Arc::new(Pool::<1>::new());
        let holder = run(&pool, |pool| {
            if let Some(entry) = pool.acquire() {
                let _ = pool.release(entry);
            }
        });
        let waiter = run(&pool, |pool| {
            let mut future = pin!(pool.engine.acquire_async(0));
            let mut context = Context::from_waker(Waker::noop());
            if let std::task::Poll::Ready(Ok(entry)) = future.as_mut().poll(&mut context) {
                let _ = pool.release(entry);
            }
        });
        holder.join().expect("the holder ends");
        waiter.join().expect("the waiter ends");
        check_whole(&pool);
    });
}
