//! A recorder that panics when something is released takes nothing with it: the item
//! comes home, whatever kind of pool it is of.
//!
//! The process has one recorder, so one test installs it.

use millpond::arena::{ArenaManager, Scope};
use millpond::bytes::BytePool;
use millpond::fixed::{Clear, FixedPool, LocalFixedPool, ObjectPool};
use millpond::vector::VectorPool;
use millpond::{Diagnosis, Exhaustion, Observe};
use millpond_core::entry::Entry;
use millpond_core::recording::{self, Recorder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Panics {
    released: AtomicUsize,
}

impl Recorder for Panics {
    fn acquired(&'static self, _: &'static str, _: Entry, _: usize) {}

    fn released(&'static self, _: &'static str, _: Entry) {
        self.released.fetch_add(1, Ordering::Relaxed);
        panic!("recorder");
    }
}

static RECORDER: Panics = Panics {
    released: AtomicUsize::new(0),
};

/// Does something that releases one item of `pool`, and looks whether it is home.
fn released(what: &str, pool: &dyn Observe, release: impl FnOnce()) {
    let told = RECORDER.released.load(Ordering::Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(release)).is_err(), "{what}");
    let told = RECORDER.released.load(Ordering::Relaxed) - told;
    let figures = pool.observe();
    let out = figures.in_use + figures.fallback_in_use;
    assert_eq!((told, out), (1, 0), "{what}");
}

#[test]
fn what_a_panicking_recorder_is_told_of_comes_home() {
    recording::install(&RECORDER).expect("the first of the process");

    let policy = Exhaustion::Fallback { at_most: 1 };
    let fixed = FixedPool::<u64>::builder(1).exhaustion(policy).build();
    fixed.set_diagnosis(Diagnosis::Recorded);
    let fixed = fixed.into_handle();
    let lease = fixed.acquire(1).expect("room");
    released("a lease", &*fixed, || drop(lease));
    let lease = fixed.acquire_owned(1).expect("room");
    released("an owned lease", &*fixed, || drop(lease));
    fixed.set_capacity(0);
    let lease = fixed.acquire(1).expect("outside");
    released("a fallback lease", &*fixed, || drop(lease));
    fixed.set_capacity(1);
    // Struck when it is gathered: a batch keeps no records.
    released("a batch", &*fixed, || {
        drop(fixed.try_acquire_many([1]));
    });

    let objects = ObjectPool::<Vec<u8>, _>::new(1, Clear::keeping_all());
    objects.set_diagnosis(Diagnosis::Recorded);
    let lease = objects.try_acquire().expect("room");
    released("an object", &objects, || drop(lease));

    let local = LocalFixedPool::<u64>::new_local(1);
    local.set_diagnosis(Diagnosis::Recorded);
    let lease = local.try_acquire(1).expect("room");
    released("a lease of one thread", &local, || drop(lease));

    let bytes = BytePool::default();
    bytes.set_diagnosis(Diagnosis::Recorded);
    for wiped in [false, true] {
        let mut buffer = bytes.acquire(100).expect("memory");
        if wiped {
            buffer.wipe_on_release();
        }
        released("a buffer", &bytes, || drop(buffer));
    }
    let frozen = bytes.acquire(100).expect("memory").freeze();
    released("a view", &bytes, || drop(frozen));

    let mut rows = VectorPool::<f32>::new(3, 10).expect("valid");
    rows.set_diagnosis(Diagnosis::Recorded);
    let lease = rows.try_acquire().expect("room");
    released("a row", &rows, || drop(lease));
    let id = rows.insert(&[1.0, 2.0, 3.0]).expect("room");
    let told = RECORDER.released.load(Ordering::Relaxed);
    let removal = catch_unwind(AssertUnwindSafe(|| rows.remove(id)));
    assert!(removal.is_err() && RECORDER.released.load(Ordering::Relaxed) == told + 1);
    assert_eq!(
        (rows.row(id), rows.observe().in_use),
        (None, 0),
        "a stored row"
    );

    let arenas = ArenaManager::new();
    arenas.set_diagnosis(Diagnosis::Recorded);
    let lease = arenas.lease(Scope::Primitive).expect("memory");
    released("an arena", &arenas, || drop(lease));
}
