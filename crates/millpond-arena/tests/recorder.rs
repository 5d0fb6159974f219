//! A recorder that panics takes no arena with it.
//!
//! The process has one recorder, so one test installs it.

use millpond_arena::{ArenaManager, Diagnosis, Scope};
use millpond_core::entry::Entry;
use millpond_core::recording::{self, Recorder};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// Counts what is out, and panics when it is told to.
struct Counting {
    out: AtomicIsize,
    /// How many calls go well; below 0 all of them do.
    well: AtomicIsize,
}

impl Counting {
    fn note(&self, change: isize) {
        assert_ne!(self.well.fetch_sub(1, Relaxed), 0, "as it were");
        self.out.fetch_add(change, Relaxed);
    }
}

impl Recorder for Counting {
    fn acquired(&'static self, _: &'static str, _: Entry, _: usize) {
        self.note(1);
    }

    fn released(&'static self, _: &'static str, _: Entry) {
        self.note(-1);
    }
}

static COUNTING: Counting = Counting {
    out: AtomicIsize::new(0),
    well: AtomicIsize::new(-1),
};

#[test]
fn a_recorder_that_panics_takes_no_arena_with_it() {
    recording::install(&COUNTING).expect("the first of the process");
    let manager = ArenaManager::new();
    manager.set_diagnosis(Diagnosis::Recorded);
    let live = || manager.scope_stats(Scope::Json).expect("built in").live;
    for well in [0, 1] {
        for _ in 0..10 {
            COUNTING.well.store(well, Relaxed);
            catch_unwind(|| drop(manager.lease(Scope::Json).map(drop))).expect_err("it does");
            assert_eq!(live(), 0, "after {well} calls that went well");
        }
    }
    let stats = manager.scope_stats(Scope::Json).expect("built in");
    assert!(stats.builds <= 2, "{stats:?}");
}
