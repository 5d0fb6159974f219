//! A capacity that is lowered: while the source creates items for a higher one, and
//! until a trim has given back what is beyond it.
#![cfg(not(millpond_loom))]

use millpond_core::engine::{Engine, Released};
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::local::LocalEngine;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use millpond_core::source::{Batch, Source};
use millpond_core::trim::Level;
use std::sync::Barrier;
use std::thread;

/// Creates numbers, and meets whoever lowers the capacity before and after that.
struct Slow<'a> {
    meeting: &'a Barrier,
    next: usize,
}

impl Source for Slow<'_> {
    type Retired = ();

    fn create(&mut self, want: usize, _: usize, batch: &mut Batch) -> Result<(), Limit> {
        self.meeting.wait();
        self.meeting.wait();
        for _ in 0..want {
            batch.push(Entry::from_index(self.next));
            self.next += 1;
        }
        Ok(())
    }

    fn retire(&mut self, _: &mut Vec<Entry>, _: Level) {}

    fn held_bytes(&self) -> usize {
        0
    }

    fn owns(&self, _: Entry) -> bool {
        true
    }
}

#[test]
fn items_of_the_higher_capacity_are_kept_back() {
    const LOWERED: usize = 1;
    let meeting = Barrier::new(2);
    let source = Slow {
        meeting: &meeting,
        next: 0,
    };
    let engine = SharedEngine::new(8, 8, source);
    let first = thread::scope(|scope| {
        let acquirer = scope.spawn(|| engine.acquire(0).expect("8 are free"));
        meeting.wait();
        engine.set_capacity(LOWERED);
        meeting.wait();
        acquirer.join().expect("no panic")
    });
    let created = engine.observe().created;
    assert!(created > LOWERED, "it was to create more: {created}");
    let refused = engine.acquire(0).expect_err("one is out");
    assert_eq!(*refused.limit(), Limit::Capacity);
    // SAFETY: acquired above, and not used afterwards.
    let released = unsafe { SharedEngine::release(&raw const engine, first) };
    assert_eq!(released, Released::Home);
    assert_eq!(engine.observe().in_use, 0);
}

/// Acquires and releases, one after the other.
fn pairs(engine: &impl Engine, count: usize) {
    for _ in 0..count {
        let popped = engine.try_pop();
        let entry = popped.unwrap_or_else(|| engine.acquire_slow(0).expect("8 are free"));
        // SAFETY: acquired above, and not used afterwards.
        let released = unsafe { Engine::release(engine, entry) };
        assert_eq!(released, Released::Home);
    }
}

fn caches_open_again(engine: &impl Engine) {
    const PAIRS: usize = if cfg!(miri) { 60 } else { 10_000 };
    let all: Vec<Entry> = (0..16)
        .map(|_| engine.acquire_slow(0).expect("16 are free"))
        .collect();
    engine.set_capacity(8);
    for entry in all {
        // SAFETY: acquired above, and not used afterwards.
        let released = unsafe { Engine::release(engine, entry) };
        assert_eq!(released, Released::Home);
    }
    let report = engine.trim(Level::Full);
    let figures = engine.observe();
    assert!(figures.created <= 8, "{figures:?}");
    assert_eq!(figures.retired_total, report.freed_items as u64);
    // Without the magazines, which go too.
    assert!((16 * 64..=report.freed_bytes as u64).contains(&figures.returned_bytes));
    let hits = figures.hits;
    pairs(engine, PAIRS);
    let hits = engine.observe().hits - hits;
    assert!(hits >= PAIRS as u64 / 2, "{hits} of {PAIRS}");
}

#[test]
fn caches_open_again_once_a_trim_gave_back_what_was_too_much() {
    caches_open_again(&SharedEngine::new(16, 64, Slabs::new(64, 8)));
    caches_open_again(&LocalEngine::new(16, Slabs::new(64, 8)));
}
