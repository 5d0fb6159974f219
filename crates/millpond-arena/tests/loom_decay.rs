//! Leases against decay, trims and the end of their manager.
//!
//! Modelled: that an arena has one holder, who sees what the last one did: leases,
//! ticks that free what is idle, trims, whoever frees the pool at last. Constants
//! shrink, so that a tick frees at once and returns tick by themselves.
//!
//! Not modelled: the counters, which only their holder writes and which nothing but
//! statistics and the choice of what is idle rests on; and bumpalo's own memory.
#![cfg(millpond_loom)]

use core::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::Arc;
use loom::thread;
use millpond_arena::{ArenaManager, Level, Scope, ScopeConfig};

const SCOPE: Scope = Scope::Json;

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.max(Some(2));
    builder.max_branches = 20_000;
    let interleavings = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&interleavings);
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let thread = std::thread::current();
    println!(
        "{}: {} interleavings",
        thread.name().unwrap_or("model"),
        interleavings.load(Ordering::Relaxed)
    );
}

fn manager() -> ArenaManager {
    let mut builder = ArenaManager::builder();
    builder.configure(SCOPE, ScopeConfig::of(4096).with_parked(1));
    builder.build().expect("figures that agree")
}

fn request(manager: &ArenaManager) {
    let lease = manager.lease(SCOPE).expect("memory");
    *lease.alloc(1_u64).expect("room") += 1;
}

/// Nothing is lost: everything is home, and a trim finds all of it.
fn check(manager: &ArenaManager, leases: u64) {
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!((stats.live, stats.leases), (0, leases));
    assert!(stats.parked <= 1, "{stats:?}");
    manager.trim(Level::Full);
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!((stats.parked_bytes, stats.leases), (0, leases));
}

#[test]
fn leases_against_ticks() {
    explore(|| {
        let manager = Arc::new(manager());
        request(&manager);
        let theirs = Arc::clone(&manager);
        let other = thread::spawn(move || request(&theirs));
        let scope = manager.scope(SCOPE).expect("built in");
        scope.maintain();
        scope.maintain();
        other.join().expect("no panic");
        check(&manager, 2);
    });
}

#[test]
fn two_threads_lease_at_once() {
    explore(|| {
        let manager = Arc::new(manager());
        let theirs = Arc::clone(&manager);
        let other = thread::spawn(move || request(&theirs));
        request(&manager);
        other.join().expect("no panic");
        check(&manager, 2);
    });
}

#[test]
fn a_lease_that_ends_elsewhere_against_a_trim() {
    explore(|| {
        let manager = Arc::new(manager());
        let lease = manager.lease(SCOPE).expect("memory");
        lease.alloc(1_u64).expect("room");
        let other = thread::spawn(move || drop(lease));
        manager
            .scope(SCOPE)
            .expect("built in")
            .trim(Level::Moderate);
        other.join().expect("no panic");
        check(&manager, 1);
    });
}

#[test]
fn the_last_lease_against_the_end_of_the_manager() {
    explore(|| {
        let manager = manager();
        let lease = manager.lease(SCOPE).expect("memory");
        lease.alloc(1_u64).expect("room");
        let other = thread::spawn(move || drop(lease));
        drop(manager);
        other.join().expect("no panic");
    });
}
