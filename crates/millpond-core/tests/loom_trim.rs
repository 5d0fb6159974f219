//! Trim against acquire and release.
//!
//! Modelled: each level, while another thread acquires and releases: items that
//! leave existence and are created again, magazines that are taken out of a cache
//! whose owner then comes back, items that the source keeps, and a trim that
//! meets another one; that no item is given twice or lost, and that an acquire
//! does not fail because items are in the hands of a trim.
//!
//! Not modelled: memory going back to the system, budgets, and a trim that passes
//! over an owner who does not leave.
#![cfg(millpond_loom)]

mod model;

use loom::sync::Arc;
use millpond_core::trim::Level;
use model::{Pool, explore, join, spawn};

fn trim_against_pairs<const N: usize>(level: Level) {
    explore(2, move || {
        let pool = Arc::new(Pool::<N>::new());
        let owner = spawn(&pool, |pool| {
            for _ in 0..2 {
                let item = pool.acquire().expect("a trim leases nothing");
                pool.release(item);
            }
        });
        let report = pool.engine.trim(level);
        assert!(report.freed_items <= N, "more items were freed than exist");
        join([owner]);
        pool.check();
    });
}

#[test]
fn light_against_pairs() {
    trim_against_pairs::<1>(Level::Light);
}

#[test]
fn moderate_against_pairs() {
    trim_against_pairs::<1>(Level::Moderate);
}

#[test]
fn full_against_pairs() {
    trim_against_pairs::<1>(Level::Full);
}

/// The owner has warm magazines when they are taken away.
#[test]
fn full_against_a_warm_cache() {
    explore(2, || {
        let pool = Arc::new(Pool::<2>::new());
        pool.pair();
        let trimmer = spawn(&pool, |pool| {
            pool.engine.trim(Level::Full);
        });
        let items = [(); 2].map(|()| pool.acquire().expect("a trim leases nothing"));
        for item in items {
            pool.release(item);
        }
        join([trimmer]);
        pool.check();
    });
}

/// What a quiet pool holds goes entirely, from an idle thread's cache too.
#[test]
fn an_idle_cache_is_trimmed() {
    explore(2, || {
        let pool = Arc::new(Pool::<2>::new());
        let items = [(); 2].map(|()| pool.acquire().expect("nothing is leased yet"));
        for item in items {
            pool.release(item);
        }
        let trimmer = spawn(&pool, |pool| {
            assert_eq!(pool.engine.trim(Level::Full).freed_items, 2);
        });
        join([trimmer]);
        pool.check();
    });
}

/// One trim waits for the other or says that it is busy; neither stops an
/// acquire.
#[test]
fn two_trims_and_an_acquire() {
    explore(2, || {
        let pool = Arc::new(Pool::<1>::new());
        pool.pair();
        let other = spawn(&pool, |pool| {
            pool.engine.trim(Level::Moderate);
        });
        pool.engine.trim(Level::Full);
        let item = pool.acquire().expect("a trim leases nothing");
        pool.release(item);
        join([other]);
        pool.check();
    });
}
