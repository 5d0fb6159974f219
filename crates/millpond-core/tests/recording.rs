//! A recording sees every operation, whatever the threads were doing when it began,
//! and takes no lock and no cache away from them.

use millpond_core::diagnostics::Diagnosis;
use millpond_core::engine::Engine;
use millpond_core::entry::Entry;
use millpond_core::recording::{self, Recorder};
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

#[derive(Default)]
struct Counting {
    acquired: AtomicU64,
    released: AtomicU64,
}

impl Recorder for Counting {
    fn acquired(&'static self, _: &'static str, _: Entry, _: usize) {
        self.acquired.fetch_add(1, SeqCst);
    }

    fn released(&'static self, _: &'static str, _: Entry) {
        self.released.fetch_add(1, SeqCst);
    }
}

static SEEN: Counting = Counting {
    acquired: AtomicU64::new(0),
    released: AtomicU64::new(0),
};

const THREADS: usize = 3;
const PAIRS: u32 = if cfg!(miri) { 20 } else { 2000 };
const TIMES: u32 = if cfg!(miri) { 2 } else { 30 };

impl Counting {
    fn pairs(&self) -> u64 {
        let acquired = self.acquired.load(SeqCst);
        assert_eq!(acquired, self.released.load(SeqCst));
        acquired
    }
}

/// The threads never rest while the level changes. Between two changes they meet,
/// and do a number of pairs that is known.
#[test]
fn a_recording_that_begins_in_the_middle_misses_nothing() {
    recording::install(&SEEN).expect("the first of the process");
    let pool = SharedEngine::new(1000, 64, Slabs::new(64, 8)).named("all");
    let pairs = || pool.exercise(PAIRS).expect("room for all");
    let (meet, recorded) = (Barrier::new(THREADS + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TIMES {
                    while !recorded.load(SeqCst) {
                        pool.exercise(10).expect("room for all");
                    }
                    meet.wait();
                    meet.wait();
                    pairs();
                    meet.wait();
                    meet.wait();
                }
            });
        }
        for time in 0..TIMES {
            pool.set_diagnosis(Diagnosis::Recorded);
            recorded.store(true, SeqCst);
            meet.wait();
            let before = SEEN.pairs();
            meet.wait();
            meet.wait();
            let theirs = THREADS as u64 * u64::from(PAIRS);
            assert_eq!(SEEN.pairs() - before, theirs, "time {time}");
            pool.set_diagnosis(Diagnosis::Off);
            pairs();
            assert_eq!(SEEN.pairs() - before, theirs, "off, time {time}");
            recorded.store(false, SeqCst);
            meet.wait();
        }
    });
    let figures = Engine::observe(&pool);
    assert_eq!((figures.in_use, figures.acquires), (0, figures.releases));
    // Threads whose items come home to their own caches nearly always hit.
    let share = if cfg!(miri) { 0.5 } else { 0.9 };
    assert!(figures.hit_rate() > share, "{figures:?}");
}
