//! The local engine: one thread, one stack, no atomics.
//!
//! ```text
//!   word   63 ........ 32 │ 31 ......... 0
//!          acquires       │ free entries         one addition counts and moves
//!
//!   stack  ┌───┬───┬───┬───┬ ─ ─ ┐
//!          │ e │ e │ e │ e │     │   room for every item in existence, so a
//!          └───┴───┴───┴───┴ ─ ─ ┘   release cannot fail and tests nothing
//! ```
//!
//! The counter carries into `wraps` every 2³² acquires.

use crate::engine::{Engine, Released};
use crate::entry::Entry;
use crate::error::{AcquireError, Limit};
use crate::observe::Observation;
use crate::region;
use crate::source::{Batch, Source};
use crate::trim::{Level, TrimReport};
use alloc::vec::Vec;
use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::time::Duration;

const ONE_ACQUIRE: u64 = 1 << 32;
const LENGTH: u64 = ONE_ACQUIRE - 1;

const COUNT: u64 = if cfg!(millpond_no_counters) {
    0
} else {
    ONE_ACQUIRE
};

/// Items that are created at once.
const BATCH: usize = if cfg!(miri) { 2 } else { 64 };

/// The engine of a pool that one thread uses. See the [module](self).
///
/// # Invariants
///
/// 1. `stack` has room for `room` entries, `room ≥ created`, and the first
///    `length` of them are free items.
/// 2. Every item that the source created and did not retire is on the stack
///    once or in the hands of one caller; `created` counts them, and is below
///    2³².
#[derive(Debug)]
pub struct LocalEngine<S> {
    word: Cell<u64>,
    stack: Cell<NonNull<Entry>>,
    room: Cell<usize>,
    created: Cell<usize>,
    capacity: Cell<usize>,
    wraps: Cell<u64>,
    exhausted: Cell<u64>,
    misses: Cell<u64>,
    created_total: Cell<u64>,
    retired_total: Cell<u64>,
    high_water: Cell<usize>,
    name: &'static str,
    source: ManuallyDrop<RefCell<S>>,
}

// SAFETY: the stack is owned, entries are plain numbers, and everything else is
// Send by itself if the source is.
unsafe impl<S: Send> Send for LocalEngine<S> {}

impl<S> LocalEngine<S> {
    #[inline(always)]
    fn len(&self) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "the length is 32 bits")]
        let len = (self.word.get() & LENGTH) as usize;
        len
    }
}

impl<S: Source> LocalEngine<S> {
    /// An engine for at most `capacity` items, which `source` creates.
    /// Allocates nothing.
    #[must_use]
    pub const fn new(capacity: usize, source: S) -> Self {
        Self {
            word: Cell::new(0),
            stack: Cell::new(NonNull::dangling()),
            room: Cell::new(0),
            created: Cell::new(0),
            capacity: Cell::new(capacity),
            wraps: Cell::new(0),
            exhausted: Cell::new(0),
            misses: Cell::new(0),
            created_total: Cell::new(0),
            retired_total: Cell::new(0),
            high_water: Cell::new(0),
            name: "",
            source: ManuallyDrop::new(RefCell::new(source)),
        }
    }

    /// The same engine with a name for errors and reports.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    fn refusal(&self, limit: Limit) -> AcquireError {
        self.exhausted.set(self.exhausted.get() + 1);
        let in_use = self.created.get() - self.len();
        AcquireError::new(self.name, limit, self.capacity.get(), in_use, 0)
    }

    /// Has the source create a batch and puts it on the stack.
    fn grow(&self, room: usize) -> Result<(), Limit> {
        let most = u32::MAX as usize - 1;
        let limit = self.capacity.get().saturating_add(room).min(most);
        let left = limit.saturating_sub(self.created.get());
        if left == 0 {
            return Err(Limit::Capacity);
        }
        // Not borrowed: a source runs no user code, so nothing comes back here.
        let mut source = self.source.borrow_mut();
        let want = left.min(BATCH);
        self.make_room(self.created.get() + want)?;
        let mut batch = Batch::new(want);
        source.create(want, left, &mut batch)?;
        self.created.set(self.created.get() + batch.len());
        self.created_total
            .set(self.created_total.get() + batch.len() as u64);
        for entry in batch.iter().rev() {
            self.put(entry);
        }
        Ok(())
    }

    /// Pushes without counting.
    fn put(&self, entry: Entry) {
        let len = self.len();
        debug_assert!(len < self.room.get());
        // SAFETY: fewer entries than items exist, so by 1 there is room.
        let slot = unsafe { self.stack.get().add(len) };
        // SAFETY: inside the stack by 1.
        unsafe { slot.write(entry) };
        self.word.set(self.word.get() + 1);
    }

    /// Makes room for `needed` entries, doubling.
    fn make_room(&self, needed: usize) -> Result<(), Limit> {
        if needed <= self.room.get() {
            return Ok(());
        }
        let room = needed.max(2 * self.room.get());
        let layout =
            Layout::array::<Entry>(room).map_err(|_| Limit::Memory { bytes: usize::MAX })?;
        let refused = Limit::Memory {
            bytes: layout.size(),
        };
        let stack = region::allocate(layout).ok_or(refused)?.cast::<Entry>();
        let old = self.stack.replace(stack);
        // SAFETY: both hold at least `len` entries, and do not overlap.
        unsafe { stack.copy_from_nonoverlapping(old, self.len()) };
        // SAFETY: the old stack had this room.
        unsafe { free_stack(old, self.room.replace(room)) };
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn carry_slow(&self) {
        self.wraps.set(self.wraps.get() + 1);
    }
}

/// # Safety
///
/// `stack` has room for `room` entries and is not used afterwards.
unsafe fn free_stack(stack: NonNull<Entry>, room: usize) {
    if room == 0 {
        return;
    }
    let layout = Layout::array::<Entry>(room).expect("it was allocated with this layout");
    // SAFETY: by the caller; allocated by `make_room` with this layout.
    unsafe { region::free(stack.cast(), layout) };
}

// SAFETY: by invariant 2: an entry is on the stack or in one caller's hands, and
// popping takes it off.
unsafe impl<S: Source> Engine for LocalEngine<S> {
    type Source = S;

    fn name(&self) -> &'static str {
        self.name
    }

    #[inline(always)]
    fn try_pop(&self) -> Option<Entry> {
        let word = self.word.get();
        #[allow(clippy::cast_possible_truncation, reason = "the length is 32 bits")]
        let len = (word & LENGTH) as usize;
        if len == 0 {
            return None;
        }
        // SAFETY: by 1 the stack has that many entries.
        let slot = unsafe { self.stack.get().add(len - 1) };
        // SAFETY: below the length, so initialised (1).
        let entry = unsafe { slot.read() };
        let (word, carry) = word.overflowing_add(COUNT.wrapping_sub(1));
        self.word.set(word);
        // The subtraction of one entry is an addition that carries, unless the
        // counter does too; without counters it always carries.
        if !cfg!(millpond_no_counters) && carry {
            self.carry_slow();
        }
        Some(entry)
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(&self, room: usize) -> Result<Entry, AcquireError> {
        self.grow(room).map_err(|limit| self.refusal(limit))?;
        self.misses.set(self.misses.get() + 1);
        let entry = self
            .try_pop()
            .expect("the source created at least one item");
        self.high_water
            .set(self.high_water.get().max(self.created.get()));
        Ok(entry)
    }

    fn acquire_waiting(&self, room: usize, _: Option<Duration>) -> Result<Entry, AcquireError> {
        self.acquire_slow(room)
    }

    #[inline(always)]
    unsafe fn release(engine: *const Self, entry: Entry) -> Released {
        // SAFETY: alive by the caller.
        unsafe { &*engine }.put(entry);
        Released::Home
    }

    fn observe(&self) -> Observation {
        let free = self.len();
        let in_use = self.created.get() - free;
        let acquires = (self.word.get() >> 32) + (self.wraps.get() << 32);
        Observation {
            capacity: self.capacity.get(),
            created: self.created.get(),
            in_use,
            cached: free,
            high_water: self.high_water.get(),
            acquires,
            hits: acquires.saturating_sub(self.misses.get()),
            misses: self.misses.get(),
            releases: acquires.saturating_sub(in_use as u64),
            exhausted: self.exhausted.get(),
            created_total: self.created_total.get(),
            retired_total: self.retired_total.get(),
            held_bytes: self.source.borrow().held_bytes(),
            machinery_bytes: self.room.get() * size_of::<Entry>(),
            ..Observation::default()
        }
    }

    fn trim(&self, level: Level) -> TrimReport {
        let mut report = TrimReport::default();
        let mut source = self.source.borrow_mut();
        let mut free = Vec::new();
        let home = self.len();
        if free.try_reserve(home).is_err() {
            return report;
        }
        for index in 0..home {
            // SAFETY: below the length, so inside the stack (1).
            let slot = unsafe { self.stack.get().add(index) };
            // SAFETY: below the length, so initialised (1).
            free.push(unsafe { slot.read() });
        }
        let before = source.held_bytes();
        // Taken off the stack first: the source decides what comes back.
        self.word.set(self.word.get() & !LENGTH);
        let retired = source.retire(&mut free, level);
        for &entry in &free {
            self.put(entry);
        }
        report.pinned = free.len();
        report.freed_items = home - free.len();
        report.freed_bytes = before - source.held_bytes();
        drop(source);
        self.created.set(self.created.get() - report.freed_items);
        report.leased = self.created.get() - report.pinned;
        self.retired_total
            .set(self.retired_total.get() + report.freed_items as u64);
        drop(retired);
        report
    }

    fn set_capacity(&self, capacity: usize) {
        self.capacity.set(capacity);
    }
}

impl<S> Drop for LocalEngine<S> {
    fn drop(&mut self) {
        if self.len() == self.created.get() {
            // SAFETY: dropped here once, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.source) };
        }
        // Else an item was forgotten, perhaps pinned: then the items stay.
        // SAFETY: by 1; nobody uses it after the engine.
        unsafe { free_stack(self.stack.get(), self.room.get()) };
    }
}
