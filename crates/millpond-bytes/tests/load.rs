//! A load test ends, whoever of those that it calls panics.
#![cfg(not(miri))]

use millpond_bytes::load::{LoadPlan, run};
use millpond_bytes::{BytePool, Config};
use millpond_core::event::EventHook;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Whether it panics, and before a minute is over.
fn panics(work: impl FnOnce() + Send + 'static) -> bool {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(work));
        done.send(outcome.is_err())
    });
    let patience = Duration::from_secs(60);
    ended.recv_timeout(patience).expect("nobody works for ever")
}

fn plan() -> LoadPlan {
    LoadPlan {
        duration: Duration::from_secs(300),
        workers: 2,
        warm_up: 0,
        ..LoadPlan::default()
    }
}

#[test]
fn workers_end_when_whoever_is_told_panics() {
    let told = || {
        drop(run(&BytePool::default(), &plan(), None, |_| {
            panic!("as it were")
        }));
    };
    assert!(panics(told));
    let counted = || {
        let count: &dyn Fn() -> u64 = &|| panic!("as it were");
        drop(run(&BytePool::default(), &plan(), Some(count), |_| ()));
    };
    assert!(panics(counted));
}

#[test]
fn a_worker_that_panics_ends_the_test() {
    let hook = EventHook::new(|_, _| panic!("as it were"));
    let pool = BytePool::new(Config::new().with_hook(hook)).expect("figures that agree");
    assert!(panics(move || drop(run(&pool, &plan(), None, |_| ()))));
}
