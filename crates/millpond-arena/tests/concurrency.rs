//! Managers under real threads: what holds whatever the schedule.
//!
//! Arenas are written and read back by their holder, so an arena in two hands is a
//! wrong value here, and a data race under Miri.

use millpond_arena::{ArenaManager, Lease, Level, Scope, ScopeConfig};
use millpond_core::budget::Budget;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

const SCOPE: Scope = Scope::Json;

/// Steps of a test: many, or as many as Miri has patience for.
const fn steps(natively: usize, in_miri: usize) -> usize {
    if cfg!(miri) { in_miri } else { natively }
}

fn manager(budget: Option<&Budget>) -> ArenaManager {
    let mut builder = ArenaManager::builder();
    builder.configure(SCOPE, ScopeConfig::of(4096).with_parked(3));
    if let Some(budget) = budget {
        builder.budget(budget);
    }
    builder.build().expect("figures that agree")
}

/// Fills an arena with a number, and answers a look at it.
fn write<'l>(lease: &'l Lease<'_>, number: u64) -> &'l [u64] {
    let rows = 1 + number % 3;
    let mut all = lease.vec();
    for _ in 0..rows {
        all.extend_from_slice(&[number; 40]).expect("room");
    }
    all.into_slice()
}

#[test]
fn an_arena_has_one_holder_while_others_trim_and_tick() {
    let budget = Budget::new("all", 200 << 10);
    let manager = manager(Some(&budget));
    let running = AtomicUsize::new(2);
    thread::scope(|threads| {
        for number in 1..=2_u64 {
            let (manager, running) = (&manager, &running);
            threads.spawn(move || {
                for step in 0..steps(3000, 3) as u64 {
                    let lease = manager.lease(SCOPE).expect("memory");
                    let rows = write(&lease, number * 1_000_000 + step);
                    let child = lease.child().expect("memory");
                    write(&child, step);
                    assert!(rows.iter().all(|&word| word == rows[0]));
                }
                running.fetch_sub(1, Ordering::Release);
            });
        }
        // Miri takes its time: a few are enough there.
        let mut left = steps(usize::MAX, 3);
        while running.load(Ordering::Acquire) > 0 && left > 0 {
            left -= 1;
            manager.maintain();
            manager.trim(Level::Moderate);
            let stats = manager.scope_stats(SCOPE).expect("built in");
            assert!(stats.live <= 4, "{stats:?}");
            thread::yield_now();
        }
    });
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!(stats.live, 0);
    assert_eq!(stats.leases, 4 * steps(3000, 3) as u64);
    drop(manager);
    assert_eq!(budget.held(), 0);
}

#[test]
fn leases_end_on_other_threads_with_what_is_in_them() {
    /// Counts its end.
    struct Counted(Arc<AtomicUsize>, u64);
    impl Drop for Counted {
        fn drop(&mut self) {
            assert_eq!(self.1, 7);
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let manager = manager(None);
    let ended = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = mpsc::channel::<Lease<'static>>();
    let there = thread::spawn(move || {
        for lease in receiver {
            // Others grow on what the first has begun.
            lease.alloc_slice_copy(&[1_u64; 600]).expect("room");
            drop(lease);
        }
    });
    for _ in 0..steps(2000, 3) {
        let lease = manager.lease(SCOPE).expect("memory");
        let counted = Counted(Arc::clone(&ended), 7);
        lease.alloc_drop(counted).expect("room");
        sender.send(lease).expect("it listens");
    }
    drop(sender);
    there.join().expect("no panic");
    assert_eq!(ended.load(Ordering::Relaxed), steps(2000, 3));
    assert_eq!(manager.scope_stats(SCOPE).expect("built in").live, 0);
}

#[test]
fn the_last_lease_frees_the_manager_wherever_it_ends() {
    for _ in 0..steps(200, 1) {
        let budget = Budget::new("all", usize::MAX);
        let manager = manager(Some(&budget));
        let barrier = Barrier::new(3);
        let leases = [(); 2].map(|()| manager.lease(SCOPE).expect("memory"));
        thread::scope(|threads| {
            for lease in leases {
                threads.spawn(|| {
                    write(&lease, 1);
                    barrier.wait();
                    drop(lease);
                });
            }
            barrier.wait();
            drop(manager);
        });
        assert_eq!(budget.held(), 0, "whoever was last freed everything");
    }
}

#[test]
fn a_vector_travels_while_its_lease_goes_on() {
    let manager = manager(None);
    for round in 0..steps(200, 1) as u64 {
        let lease = manager.lease(SCOPE).expect("memory");
        let mut numbers = lease.vec::<u64>().unbind();
        numbers
            .extend_from_slice(&lease, &[round; 20])
            .expect("room");
        let mut text = lease.vec::<u8>();
        thread::scope(|threads| {
            let there = threads.spawn(|| {
                numbers.iter_mut().for_each(|number| *number += 1);
                numbers
            });
            for _ in 0..20 {
                text.extend_from_slice(b"meanwhile").expect("room");
            }
            let back = there.join().expect("no panic");
            assert!(back.iter().all(|&number| number == round + 1));
        });
        assert_eq!(text.len(), 180);
    }
}
