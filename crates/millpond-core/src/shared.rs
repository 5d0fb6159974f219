//! The shared engine: caches per thread over one depot.
//!
//! ```text
//!   thread id ──▶ table ──▶ cache ── word, gate, loaded, previous     fast path
//!                             │  magazines, exchanged whole
//!                             ▼
//!                 lock ──▶ depot ── full, loose, empty                slow path
//!                             │  batches
//!                             ▼
//!           population ──▶ source ── creates and retires items
//! ```
//!
//! The lock order is population before state. The source runs with the
//! population lock only; while it does, `changing` is set, and nobody claims
//! exhaustion.

mod acquire;
mod close;
mod diagnose;
mod fork;
mod future;
mod note;
mod observe;
mod owner;
mod release;
mod several;
mod stop;
mod trim;
mod wait;

pub use future::Acquire;

use crate::budget::Budget;
use crate::cache::Cache;
use crate::depot::Depot;
use crate::diagnostics::Diagnostics;
use crate::engine::Released;
use crate::entry::Entry;
use crate::error::AcquireError;
use crate::event::EventHook;
use crate::magazine::LONGEST;
use crate::notes::Notes;
use crate::source::Source;
use crate::sync::{Mutex, const_unless_model};
use crate::table::Table;
use crate::thread_id;
use crate::wait::Queue;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::panic::Location;

/// Slots of the first two magazines of a cache.
///
/// A thread that merely passes by should not hold much: 16 entries are 144
/// bytes a magazine. Busy caches get the pool's full size after
/// [`owner::BUSY_EXCHANGES`] exchanges.
const FIRST_ROUNDS: usize = if cfg!(any(millpond_loom, miri)) {
    1
} else {
    16
};

/// Slots of a magazine in the depot, and of those of a busy cache.
///
/// Items that are acquired on one thread and released on another cost one
/// exchange per magazine on each side: 6.8, 4.3 and 3.9 ns an item at 32, 64
/// and 128 slots, against 4.6 of the best allocator (November 2026, 2-core
/// virtual machine, Zen 5). The length is a byte, so 255 is the end.
const FULL_ROUNDS: usize = if cfg!(any(millpond_loom, miri)) {
    2
} else {
    128
};

/// Bytes of items that one magazine may hold, so that caches of large items
/// stay small: four buffers of 64 KiB, 64 of 4 KiB.
const MAGAZINE_BYTES: usize = 256 * 1024;

/// Releases under the lock without a failure after which a strict pool lets
/// its caches open again.
///
/// Counting calm releases works for every capacity; waiting for a number of
/// free items would never leave the state at capacity 1.
const CALM_RELEASES: u32 = if cfg!(any(millpond_loom, miri)) {
    2
} else {
    64
};

const _: () = assert!(FULL_ROUNDS <= LONGEST && FIRST_ROUNDS <= FULL_ROUNDS);

/// Slots of a full-sized magazine for a pool of `capacity` items of
/// `item_bytes` bytes.
const fn full_rounds(capacity: usize, item_bytes: usize) -> u8 {
    let by_bytes = match MAGAZINE_BYTES.checked_div(item_bytes) {
        Some(0) => 1,
        Some(items) if items < FULL_ROUNDS => items,
        _ => FULL_ROUNDS,
    };
    // A pool of a few items needs no more than a few slots, but it may be
    // resized later.
    let by_count = if capacity > FIRST_ROUNDS {
        capacity
    } else {
        FIRST_ROUNDS
    };
    let rounds = if by_bytes < by_count {
        by_bytes
    } else {
        by_count
    };
    #[expect(clippy::cast_possible_truncation, reason = "at most LONGEST")]
    return rounds as u8;
}

/// The engine of a pool that threads share. See the [module](self).
///
/// # Invariants
///
/// 1. Each entry that the source created and did not retire is in exactly one
///    place: a magazine, or the hands of one caller, to whom it was given by an
///    acquire and who has not released it.
/// 2. `state.created` counts them, and never exceeds the largest limit that an
///    acquire was allowed to grow to.
/// 3. While the queue is not empty the pool is strict, and the depot is empty
///    unless as many items are leased as a capacity that was lowered.
/// 4. While strict, every gate is closed; and every magazine of every cache is
///    empty, unless `state.skipped`.
#[derive(Debug)]
#[repr(C)]
pub struct SharedEngine<S> {
    table: Table,
    state: Mutex<State>,
    population: ManuallyDrop<Mutex<S>>,
    name: &'static str,
    budget: Option<Budget>,
    hook: Option<EventHook>,
    diagnostics: Diagnostics,
    rounds: u8,
    item_bytes: usize,
    /// Of threads that have no cache.
    notes: Notes,
}

/// What the lock protects.
#[derive(Debug)]
struct State {
    depot: Depot,
    /// How many items an acquire may bring into existence by itself.
    capacity: usize,
    created: usize,
    /// Gates are closed and stay closed: everything goes through the depot, so
    /// that looking there is looking everywhere.
    strict: bool,
    /// Strict for as long as somebody asks (full diagnostics).
    pinned: bool,
    /// A stop passed over a cache whose owner did not leave: what lies in it
    /// is unknown, so exhaustion may not be claimed.
    skipped: bool,
    /// Releases under the lock since the last failure.
    calm: u32,
    /// The source is at work: free items may be in its hands.
    changing: bool,
    /// The capacity was lowered below what exists: strict until a trim or a
    /// higher capacity, and nothing is given beyond the capacity.
    shrinking: bool,
    closed: bool,
    /// Closed, and freed by whoever brings the last item home.
    orphaned: bool,
    /// Entries that the gate of a cache admits at most: halved when a stop finds
    /// items in other caches, so that threads of a small pool do not hoard.
    quota: u8,
    /// `Ids::deaths` when the caches of ended threads were last emptied.
    swept: u64,
    waiters: Queue,
    tally: Tally,
}

/// What is counted under the lock: everything but acquires on the fast path,
/// which each cache counts in its word.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    refilled: u64,
    created_for: u64,
    strict: u64,
    exhausted: u64,
    refills: u64,
    spills: u64,
    stops: u64,
    waits: u64,
    timeouts: u64,
    wait_ns: u64,
    handed_over: u64,
    created: u64,
    retired: u64,
    high_water: usize,
    held_bytes: usize,
    returned_bytes: u64,
    machinery_bytes: usize,
}

impl<S: Source> SharedEngine<S> {
    const_unless_model! {
        /// An engine for at most `capacity` items of `item_bytes` bytes each,
        /// which `source` creates. Allocates nothing, so that it can be a static.
        pub fn new(capacity: usize, item_bytes: usize, source: S) -> Self {
            let rounds = full_rounds(capacity, item_bytes);
            Self {
                table: Table::new(),
                state: Mutex::new(State::new(capacity, rounds)),
                population: ManuallyDrop::new(Mutex::new(source)),
                name: "",
                budget: None,
                hook: None,
                diagnostics: Diagnostics::new(),
                rounds,
                item_bytes,
                notes: Notes::NONE,
            }
        }
    }

    /// The same engine with a name for errors and reports.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The same engine, with its machinery (caches, magazines, tables) charged
    /// to `budget`. The items are for the source to charge.
    #[must_use]
    pub fn charged_to(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Where the machinery is charged.
    pub const fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    /// The same engine, telling `hook` what happens on its slow paths.
    #[must_use]
    pub fn told_to(mut self, hook: EventHook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Looks at the source, under the population lock: `look` must not call the
    /// engine, nor a user's code.
    pub fn with_source_mut<R>(&self, look: impl FnOnce(&mut S) -> R) -> R {
        look(&mut self.population.lock())
    }

    /// Pops an item from the caller's cache: the fast path of every acquire.
    ///
    /// `None` means "not this way": go on with [`SharedEngine::acquire`] or a
    /// relative. About fifteen instructions, no atomic read-modify-write.
    #[inline(always)]
    pub fn try_pop(&self) -> Option<Entry> {
        let cache = self.table.find(thread_id::current())?;
        // SAFETY: filed under this thread's id, so its own, or the closed one.
        unsafe { cache.pop() }
    }

    /// Acquires an item and releases it, `pairs` times, as a typed pool does: what
    /// a program can time to learn what pairs cost on its machine.
    ///
    /// # Errors
    ///
    /// Which limit was hit.
    #[track_caller]
    pub fn exercise(&self, pairs: u32) -> Result<(), AcquireError> {
        for _ in 0..pairs {
            let fast = core::hint::black_box(self.try_pop());
            let entry = match fast {
                Some(entry) => entry,
                None => self.acquire_slow(0)?,
            };
            let given = wait::Given::new(self, entry);
            if fast.is_none() && self.record(entry, Location::caller()).is_some() {
                self.strike(entry);
            }
            drop(given);
        }
        Ok(())
    }

    /// Gives an item back: into the caller's cache if there is room, else by
    /// way of the lock. Cannot fail, and allocates nothing that it needs.
    ///
    /// # Safety
    ///
    /// `engine` is alive until the item is home (which [`SharedEngine::orphan`]
    /// sees to). `entry` was given to the caller by an acquire of this engine,
    /// was not released since, and what it stands for is not used any more.
    #[inline(always)]
    pub unsafe fn release(engine: *const Self, entry: Entry) -> Released {
        // SAFETY: by the caller.
        if unsafe { Self::try_push(engine, entry) } {
            return Released::Home;
        }
        // SAFETY: as above: the cache did not take it.
        unsafe { Self::release_slow(engine, entry) }
    }

    /// Gives an item back into the caller's cache: the fast path of every release.
    ///
    /// `false` means "not this way", and the item is the caller's still: go on with
    /// [`SharedEngine::release_slow`].
    ///
    /// # Safety
    ///
    /// As [`SharedEngine::release`].
    #[inline(always)]
    pub unsafe fn try_push(engine: *const Self, entry: Entry) -> bool {
        // SAFETY: alive by the caller, as long as the item is not home.
        let table = unsafe { &(*engine).table };
        let Some(cache) = table.find(thread_id::current()) else {
            return false;
        };
        // SAFETY: this thread's own cache or the closed one; the item is the
        // caller's to give.
        unsafe { Cache::push(cache, entry) }
    }

    /// Pops up to `out.len()` items from the caller's cache under one look at its
    /// gate, and answers how many: those are written to the front of `out`. Fewer
    /// than asked for says nothing about whether others are free.
    #[inline]
    pub fn try_pop_many(&self, out: &mut [MaybeUninit<Entry>]) -> usize {
        let Some(cache) = self.table.find(thread_id::current()) else {
            return 0;
        };
        // SAFETY: filed under this thread's id, so its own, or the closed one.
        unsafe { cache.pop_many(out) }
    }

    /// Gives items back, as many as fit under one look at the gate of the
    /// caller's cache, and the others one by one.
    ///
    /// # Safety
    ///
    /// As [`SharedEngine::release`], for each of `entries`, which are different
    /// items.
    #[inline]
    pub unsafe fn release_many(engine: *const Self, entries: &[Entry]) -> Released {
        let mut rest = entries;
        // The pool is alive while an item is not home.
        while !rest.is_empty() {
            // SAFETY: alive by the caller, as long as the items are not home.
            let table = unsafe { &(*engine).table };
            let home = match table.find(thread_id::current()) {
                // SAFETY: this thread's own cache or the closed one; the items
                // are the caller's to give.
                Some(cache) => unsafe { Cache::push_many(cache, rest) },
                None => 0,
            };
            rest = &rest[..rest.len() - home];
            let Some((&entry, others)) = rest.split_last() else {
                break;
            };
            rest = others;
            let unreleased = Unreleased {
                engine,
                entries: others,
            };
            // SAFETY: as above: the cache did not take it.
            let released = unsafe { Self::release_slow(engine, entry) };
            core::mem::forget(unreleased);
            if released == Released::Last {
                return released;
            }
        }
        Released::Home
    }
}

/// Items behind one whose release woke somebody, whose waker panicked: they come
/// home all the same.
///
/// # Invariants
///
/// 1. As [`SharedEngine::release_many`] asks of its caller.
struct Unreleased<'e, S: Source> {
    engine: *const SharedEngine<S>,
    entries: &'e [Entry],
}

impl<S: Source> Drop for Unreleased<'_, S> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: by 1. If it was the last one its keeper never hears of it.
        let _kept = unsafe { SharedEngine::release_many(self.engine, self.entries) };
    }
}

impl State {
    const fn new(capacity: usize, rounds: u8) -> Self {
        Self {
            depot: Depot::new(rounds as usize),
            capacity,
            created: 0,
            strict: false,
            pinned: false,
            skipped: false,
            calm: 0,
            changing: false,
            shrinking: false,
            closed: false,
            orphaned: false,
            quota: rounds,
            swept: 0,
            waiters: Queue::new(),
            tally: Tally {
                refilled: 0,
                created_for: 0,
                strict: 0,
                exhausted: 0,
                refills: 0,
                spills: 0,
                stops: 0,
                waits: 0,
                timeouts: 0,
                wait_ns: 0,
                handed_over: 0,
                created: 0,
                retired: 0,
                high_water: 0,
                held_bytes: 0,
                returned_bytes: 0,
                machinery_bytes: 0,
            },
        }
    }
}

impl<S> Drop for SharedEngine<S> {
    fn drop(&mut self) {
        let cached: usize = self.table.iter().map(|(_, cache)| cache.items()).sum();
        let state = self.state.get_mut();
        // An item that is not home was forgotten. Perhaps it is pinned, and
        // somebody has its address for ever: then the items stay, as forgotten
        // values do, and stay charged.
        if state.depot.count() + cached == state.created {
            // SAFETY: dropped here once, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.population) };
        }
        // Caches, tables and magazines go with their fields. What was charged
        // for them is refunded a moment before they are freed.
        if let Some(budget) = &self.budget {
            budget.refund_bytes(state.tally.machinery_bytes);
        }
    }
}
