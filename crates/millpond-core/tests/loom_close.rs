//! Close and orphan against the release of leases that are still out.
//!
//! Modelled: the owner lets go of the pool while other threads release, by the
//! fast path and under the lock: exactly one of them is told `Last`, frees the
//! pool, and nobody touches it afterwards. Freed memory is overwritten and, for
//! the rest of the model, not used again, so that a late touch finds rubbish
//! where loom expects the number of an object.
//!
//! Not modelled: a mutex of the operating system, of whose own last touch loom
//! knows nothing.
#![cfg(millpond_loom)]

mod model;

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;
use loom::thread;
use millpond_core::engine::Released;
use millpond_core::entry::Entry;
use millpond_core::shared::SharedEngine;
use model::{Pool, explore};
use std::alloc::{GlobalAlloc, System};

/// An allocator that spoils what is freed and keeps it for a while.
struct Spoiling;

/// Blocks that are kept: a few models' worth.
const KEPT: usize = 1 << 12;

#[global_allocator]
static ALLOCATOR: Spoiling = Spoiling;

std::thread_local! {
    static OLDEST: Cell<usize> = const { Cell::new(0) };
    static FREED: [Cell<(*mut u8, Layout)>; KEPT] =
        const { [const { Cell::new((core::ptr::null_mut(), Layout::new::<()>())) }; KEPT] };
}

// SAFETY: memory comes from the system's allocator and goes back to it once,
// with its own layout; in between nobody else is given it.
unsafe impl GlobalAlloc for Spoiling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by the caller the block is this long, and nobody's.
        unsafe { block.write_bytes(0xDF, layout.size()) };
        let place = OLDEST.get();
        OLDEST.set((place + 1) % KEPT);
        let (block, layout) = FREED.with(|freed| freed[place].replace((block, layout)));
        if !block.is_null() {
            // SAFETY: freed by its user with this layout, and kept since.
            unsafe { System.dealloc(block, layout) };
        }
    }
}

/// A pool on the heap that is freed by whoever is told `Last`, and some items of
/// it that are leased.
struct Orphan<const N: usize> {
    pool: NonNull<Pool<N>>,
}

impl<const N: usize> Clone for Orphan<N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<const N: usize> Copy for Orphan<N> {}

// SAFETY: pools are for all threads; that nobody uses one that is gone is what
// these models are about.
unsafe impl<const N: usize> Send for Orphan<N> {}

impl<const N: usize> Orphan<N> {
    fn new() -> (Self, [Entry; N]) {
        let pool = Box::leak(Box::new(Pool::new()));
        let items = [(); N].map(|()| pool.acquire().expect("nothing is leased yet"));
        let pool = NonNull::from(pool);
        (Self { pool }, items)
    }

    /// Releases an item, and frees the pool if that was the last one.
    fn release(self, item: Entry) -> bool {
        // SAFETY: the item is leased, so the pool is there.
        let pool = unsafe { self.pool.as_ref() };
        pool.touch(item);
        // SAFETY: acquired from this engine, released once.
        let released = unsafe { SharedEngine::release(&raw const pool.engine, item) };
        self.free_if(released)
    }

    /// Lets go of the pool, and frees it if nothing is leased.
    fn abandon(self) -> bool {
        // SAFETY: not orphaned yet, so the pool is there.
        let engine = unsafe { &raw const (*self.pool.as_ptr()).engine };
        // SAFETY: as above; nobody acquires any more.
        let released = unsafe { SharedEngine::orphan(engine) };
        self.free_if(released)
    }

    fn free_if(self, released: Released) -> bool {
        let last = released == Released::Last;
        if last {
            // SAFETY: it came from a box, and everybody else is done with it.
            drop(unsafe { Box::from_raw(self.pool.as_ptr()) });
        }
        last
    }
}

/// Releases `OUTSIDE` of `N` items in another thread, the others here before
/// the owner lets go; counts who was told `Last`.
fn abandon_while_one_releases<const N: usize>(here: usize) {
    let (orphan, items) = Orphan::<N>::new();
    let (before, after) = items.split_at(here);
    for &item in before {
        assert!(!orphan.release(item), "the pool was not let go of yet");
    }
    let after = after.to_vec();
    let releaser = thread::spawn(move || {
        let told = after.into_iter().filter(|&item| orphan.release(item));
        told.count()
    });
    let mut told = usize::from(orphan.abandon());
    told += releaser.join().expect("the releaser ends");
    assert_eq!(told, 1, "exactly one frees the pool");
}

#[test]
fn the_last_release_frees_the_pool() {
    explore(3, || abandon_while_one_releases::<1>(0));
}

#[test]
fn two_releases_race_the_owner() {
    explore(3, || abandon_while_one_releases::<2>(0));
}

/// The releaser has a cache of its own that is open, and goes the fast path.
#[test]
fn a_warm_release_races_the_owner() {
    explore(3, || {
        let (orphan, [first, second]) = Orphan::<2>::new();
        let releaser = thread::spawn(move || {
            assert!(!orphan.release(first), "one item is leased");
            // SAFETY: one item is leased, so the pool is there.
            let again = unsafe { orphan.pool.as_ref() }.acquire();
            let told = again.into_iter().chain([second]);
            told.filter(|&item| orphan.release(item)).count()
        });
        let mut told = usize::from(orphan.abandon());
        told += releaser.join().expect("the releaser ends");
        assert_eq!(told, 1, "exactly one frees the pool");
    });
}

/// The last items come home in two threads after the owner has let go.
#[test]
fn two_threads_release_the_last_items() {
    explore(2, || {
        let (orphan, items) = Orphan::<2>::new();
        let [first, second] = items.map(|item| thread::spawn(move || orphan.release(item)));
        let mut told = usize::from(orphan.abandon());
        for releaser in [first, second] {
            told += usize::from(releaser.join().expect("the releaser ends"));
        }
        assert_eq!(told, 1, "exactly one frees the pool");
    });
}

/// With every item home the owner frees the pool itself, and a cache of another
/// thread goes with it.
#[test]
fn an_owner_of_a_quiet_pool_frees_it() {
    explore(3, || abandon_while_one_releases::<2>(1));
}

/// Acquires fail from the close on, and what is out comes home all the same.
#[test]
fn close_against_pairs() {
    explore(3, || {
        let pool = loom::sync::Arc::new(Pool::<1>::new());
        let owner = model::spawn(&pool, |pool| {
            pool.pair();
            pool.pair();
        });
        pool.engine.close();
        assert_eq!(pool.acquire(), None, "a closed pool gives nothing");
        model::join([owner]);
        assert_eq!(pool.acquire(), None, "a closed pool gives nothing");
        // SAFETY: nobody acquires any more.
        let released = unsafe { SharedEngine::orphan(&raw const pool.engine) };
        assert_eq!(released, Released::Last, "all items came home");
    });
}
