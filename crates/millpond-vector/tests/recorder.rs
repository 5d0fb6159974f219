//! What a recorder is shown of batches, and what happens if it does not go well.
//!
//! The process has one recorder, so one test installs it.
#![cfg(feature = "std")]

use millpond_core::entry::Entry;
use millpond_core::recording::{self, Recorder};
use millpond_vector::{Diagnosis, VectorPool};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};

const ROWS: usize = 8;

/// What is out, and what is done when so many rows are.
#[derive(Default)]
struct Seen {
    out: Mutex<HashSet<Entry>>,
    switches_off: Mutex<Option<usize>>,
    panics: Mutex<Option<usize>>,
}

fn due(number: &Mutex<Option<usize>>, out: usize) -> bool {
    let mut number = number.lock().unwrap_or_else(PoisonError::into_inner);
    number.take_if(|number| *number == out).is_some()
}

impl Seen {
    fn out(&self) -> usize {
        self.out.lock().expect("quiet").len()
    }
}

impl Recorder for Seen {
    fn acquired(&'static self, _: &'static str, item: Entry, _: usize) {
        self.out.lock().expect("quiet").insert(item);
        if due(&self.switches_off, self.out()) {
            pool().set_diagnosis(Diagnosis::Off);
        }
    }

    fn released(&'static self, _: &'static str, item: Entry) {
        self.out.lock().expect("quiet").remove(&item);
        assert!(!due(&self.panics, self.out()), "as it were");
    }
}

fn pool() -> &'static VectorPool<f32> {
    static POOL: OnceLock<VectorPool<f32>> = OnceLock::new();
    POOL.get_or_init(|| VectorPool::new(16, ROWS).expect("a layout"))
}

#[test]
fn each_row_of_a_batch_that_is_shown_is_shown_again_when_it_goes() {
    let seen: &'static Seen = Box::leak(Box::default());
    recording::install(seen).expect("the first of the process");
    for rows_before in [1, 3, ROWS] {
        pool().set_diagnosis(Diagnosis::Recorded);
        *seen.switches_off.lock().expect("quiet") = Some(rows_before);
        let batch = pool().acquire_batch(ROWS).expect("room");
        assert_eq!(seen.out(), rows_before);
        pool().set_diagnosis(Diagnosis::Recorded);
        drop(batch);
        assert_eq!(seen.out(), 0);
    }

    // A recorder that panics at one of them: the others go home, and are shown.
    *seen.panics.lock().expect("quiet") = Some(ROWS / 2);
    let batch = pool().acquire_batch(ROWS).expect("room");
    assert_eq!(seen.out(), ROWS);
    catch_unwind(AssertUnwindSafe(|| drop(batch))).expect_err("it does");
    assert_eq!(seen.out(), 0);
    let all: Vec<_> = (0..ROWS).map(|_| pool().try_acquire()).collect();
    assert!(all.iter().all(Result::is_ok), "every row came home");
}
