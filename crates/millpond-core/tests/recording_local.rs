//! A recording of a pool for one thread sees every operation from the moment on at
//! which it begins, and none afterwards. Alone in its file: a process has one
//! recorder.
#![cfg(not(millpond_loom))]

use millpond_core::diagnostics::Diagnosis;
use millpond_core::engine::{Engine, Released};
use millpond_core::entry::Entry;
use millpond_core::local::LocalEngine;
use millpond_core::recording::{self, Recorder};
use millpond_core::slab::Slabs;
use std::panic::Location;
use std::sync::Mutex;

#[derive(Default)]
struct Log(Mutex<Vec<(&'static str, Entry, Option<usize>)>>);

impl Recorder for Log {
    fn acquired(&'static self, pool: &'static str, item: Entry, bytes: usize) {
        let mut log = self.0.lock().expect("no panic");
        log.push((pool, item, Some(bytes)));
    }

    fn released(&'static self, pool: &'static str, item: Entry) {
        let mut log = self.0.lock().expect("no panic");
        log.push((pool, item, None));
    }
}

static LOG: Log = Log(Mutex::new(Vec::new()));

/// As a typed pool does; answers the item.
fn pair(pool: &LocalEngine<Slabs>) -> Entry {
    let (entry, seen) = match pool.try_pop() {
        Some(entry) => (entry, false),
        None => {
            let entry = pool.acquire_slow(0).expect("room");
            (entry, pool.record(entry, Location::caller()).is_some())
        }
    };
    if seen {
        pool.strike(entry);
    }
    // SAFETY: acquired above, and not used afterwards.
    let released = unsafe { Engine::release(pool, entry) };
    assert_eq!(released, Released::Home);
    entry
}

#[test]
fn a_recording_of_a_local_pool_sees_every_operation() {
    recording::install(&LOG).expect("the first of the process");
    let pool = LocalEngine::new(100, Slabs::new(64, 8))
        .named("one")
        .sized(64);
    let seen = || std::mem::take(&mut *LOG.0.lock().expect("no panic"));
    let unrecorded = pair(&pool);
    assert_eq!(seen(), []);
    for _ in 0..3 {
        pool.set_diagnosis(Diagnosis::Recorded);
        for _ in 0..5 {
            let item = pair(&pool);
            assert_eq!(item, unrecorded, "the last one in");
            assert_eq!(seen(), [("one", item, Some(64)), ("one", item, None)]);
        }
        assert!(!pool.should_pattern(unrecorded));
        pool.set_diagnosis(Diagnosis::Off);
        let hits = pool.observe().hits;
        pair(&pool);
        assert_eq!((seen(), pool.observe().hits), (Vec::new(), hits + 1));
    }
}
