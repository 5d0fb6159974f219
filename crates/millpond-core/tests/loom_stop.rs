//! Stop against the owner of a cache: no item is lost, none is given twice.
#![cfg(millpond_loom)]

use std::vec::Vec;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use millpond_core::engine::Released;
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::shared::SharedEngine;
use millpond_core::source::{Batch, Source};
use millpond_core::trim::Level;

/// Items that are nothing but their numbers.
#[derive(Debug, Default)]
struct Numbers {
    next: usize,
}

impl Source for Numbers {
    type Retired = ();

    fn create(&mut self, want: usize, _most: usize, batch: &mut Batch) -> Result<(), Limit> {
        for _ in 0..want {
            batch.push(Entry::from_index(self.next));
            self.next += 1;
        }
        Ok(())
    }

    fn retire(&mut self, _free: &mut Vec<Entry>, _level: Level) {}

    fn held_bytes(&self) -> usize {
        0
    }

    fn owns(&self, entry: Entry) -> bool {
        entry.as_index() < self.next
    }
}

/// A pool of `N` items, and a cell for each that loom watches: two users at once, or a
/// user that does not see what the last one wrote, fail the model.
struct Pool<const N: usize> {
    engine: SharedEngine<Numbers>,
    items: [UnsafeCell<u32>; N],
}

impl<const N: usize> Pool<N> {
    fn new() -> Self {
        Self {
            engine: SharedEngine::new(N, 8, Numbers::default()),
            items: std::array::from_fn(|_| UnsafeCell::new(0)),
        }
    }

    fn acquire(&self) -> Option<Entry> {
        let entry = self.engine.acquire(0).ok()?;
        self.touch(entry);
        Some(entry)
    }

    fn release(&self, entry: Entry) {
        self.touch(entry);
        // SAFETY: acquired from this engine, released once.
        let released = unsafe { self.engine.release(entry) };
        assert_eq!(released, Released::Home);
    }

    fn touch(&self, entry: Entry) {
        self.items[entry.as_index()].with_mut(|item| {
            // SAFETY: the item was acquired; loom fails the model if it was not.
            unsafe { *item += 1 };
        });
    }
}

/// Runs `f` on the pool in a thread of its own. The engine's book of thread ids is gone when
/// the model's first thread ends, so that one only spawns and joins.
fn run<const N: usize>(
    pool: &Arc<Pool<N>>,
    f: impl FnOnce(&Pool<N>) + 'static,
) -> thread::JoinHandle<()> {
    let pool = Arc::clone(pool);
    thread::spawn(move || f(&pool))
}

/// Everything is home, once: `N` acquires succeed and no more.
fn check_whole<const N: usize>(pool: &Arc<Pool<N>>) {
    let checker = run(pool, |pool| {
        for _ in 0..N {
            pool.acquire().expect("an item was lost");
        }
        assert!(pool.acquire().is_none(), "an item was given twice");
    });
    checker.join().expect("the checker ends");
}

#[test]
fn stop_against_acquire_and_release() {
    loom::model(|| {
        let pool = Arc::new(Pool::<1>::new());
        let owner = run(&pool, |pool| {
            for _ in 0..2 {
                if let Some(entry) = pool.acquire() {
                    pool.release(entry);
                }
            }
        });
        let reclaimer = run(&pool, |pool| {
            if let Some(entry) = pool.acquire() {
                pool.release(entry);
            }
        });
        owner.join().expect("the owner ends");
        reclaimer.join().expect("the reclaimer ends");
        check_whole(&pool);
    });
}
