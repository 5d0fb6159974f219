//! The local engine: one thread, one stack, no atomics.
//!
//! ```text
//!   stack  ┌──────┬───┬───┬───┬───┬ ─ ─ ┐
//!          │ none │ e │ e │ e │ e │     │   room for every item in existence, so a
//!          └──────┴───┴───┴───┴───┴ ─ ─ ┘   release cannot fail and tests nothing
//!             ▲                 ▲
//!             bottom            top         popping what lies at the bottom says
//!                                           that the stack is empty
//! ```
//!
//! An acquire is seven instructions and a release four. Counting is one of them,
//! on a word of its own, which the next acquire does not wait for. A word that
//! packs counter and length was tried: it takes the same 1.35 ns for a pair, but
//! 2.4 instead of 2.2 for items that are held and released in random order
//! (November 2026, 2-core virtual machine, Zen 4).

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

/// What lies at the bottom of every stack, and is all of an empty pool's.
static NOTHING: Option<Entry> = None;

/// Items that are created at once.
const BATCH: usize = if cfg!(miri) { 2 } else { 64 };

/// The engine of a pool that one thread uses. See the [module](self).
///
/// # Invariants
///
/// 1. `bottom` points to `room + 1` places, of which the first is `None` and
///    those from it up to `top` are free items. `room` is at least `created`.
///    While `room` is 0 the one place is `NOTHING`, which is never written.
/// 2. Every item that the source created and did not retire is on the stack
///    once or in the hands of one caller; `created` counts them.
#[derive(Debug)]
pub struct LocalEngine<S> {
    /// One past the topmost free item.
    top: Cell<*mut Option<Entry>>,
    acquires: Cell<u64>,
    bottom: Cell<*mut Option<Entry>>,
    room: Cell<usize>,
    created: Cell<usize>,
    capacity: Cell<usize>,
    exhausted: Cell<u64>,
    misses: Cell<u64>,
    returned_bytes: Cell<u64>,
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
    /// Free items on the stack.
    fn len(&self) -> usize {
        let bytes = self.top.get().addr() - self.bottom.get().addr();
        bytes / size_of::<Option<Entry>>() - 1
    }
}

impl<S: Source> LocalEngine<S> {
    /// An engine for at most `capacity` items, which `source` creates.
    /// Allocates nothing.
    #[must_use]
    pub const fn new(capacity: usize, source: S) -> Self {
        Self {
            top: Cell::new((&raw const NOTHING).cast_mut().wrapping_add(1)),
            acquires: Cell::new(0),
            bottom: Cell::new((&raw const NOTHING).cast_mut()),
            room: Cell::new(0),
            created: Cell::new(0),
            capacity: Cell::new(capacity),
            exhausted: Cell::new(0),
            misses: Cell::new(0),
            returned_bytes: Cell::new(0),
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
        let limit = self.capacity.get().saturating_add(room);
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

    /// Puts an item on the stack.
    #[inline(always)]
    fn put(&self, entry: Entry) {
        let top = self.top.get();
        debug_assert!(self.len() < self.room.get());
        // SAFETY: fewer items are on the stack than exist, so by 1 there is a
        // place above the topmost.
        unsafe { top.write(Some(entry)) };
        self.top.set(top.wrapping_add(1));
    }

    /// Makes room for `needed` entries, doubling.
    fn make_room(&self, needed: usize) -> Result<(), Limit> {
        if needed <= self.room.get() {
            return Ok(());
        }
        let too_large = Limit::Memory { bytes: usize::MAX };
        let room = needed.max(self.room.get().saturating_mul(2));
        let layout = stack_layout(room).ok_or(too_large)?;
        let refused = Limit::Memory {
            bytes: layout.size(),
        };
        let stack = region::allocate(layout).ok_or(refused)?;
        let stack = stack.cast::<Option<Entry>>().as_ptr();
        let len = self.len();
        let old = self.bottom.replace(stack);
        // SAFETY: both hold the bottom and `len` entries, and do not overlap.
        unsafe { stack.copy_from_nonoverlapping(old, len + 1) };
        self.top.set(stack.wrapping_add(len + 1));
        // SAFETY: the old stack had this room, and is not used any more.
        unsafe { free_stack(old, self.room.replace(room)) };
        Ok(())
    }
}

/// A stack with room for `room` entries above its bottom.
fn stack_layout(room: usize) -> Option<Layout> {
    Layout::array::<Option<Entry>>(room.checked_add(1)?).ok()
}

/// # Safety
///
/// `stack` has room for `room` entries and is not used afterwards.
unsafe fn free_stack(stack: *mut Option<Entry>, room: usize) {
    if room == 0 {
        return;
    }
    if let (Some(stack), Some(layout)) = (NonNull::new(stack), stack_layout(room)) {
        // SAFETY: by the caller; allocated by `make_room` with this layout.
        unsafe { region::free(stack.cast(), layout) };
    }
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
        let topmost = self.top.get().wrapping_sub(1);
        // SAFETY: by 1 an item, or the bottom.
        let entry = unsafe { topmost.read() }?;
        self.top.set(topmost);
        if !cfg!(millpond_no_counters) {
            self.acquires.set(self.acquires.get() + 1);
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

    unsafe fn acquire_created<R>(
        &self,
        count: usize,
        create: impl FnOnce(&mut S) -> Result<R, Limit>,
    ) -> Result<R, AcquireError> {
        let needed = self.created.get().checked_add(count);
        let needed = needed.filter(|&needed| needed <= self.capacity.get());
        let made = needed
            .ok_or(Limit::Capacity)
            .and_then(|needed| self.make_room(needed))
            .and_then(|()| create(&mut self.source.borrow_mut()));
        let made = made.map_err(|limit| self.refusal(limit))?;
        let created = self.created.get() + count;
        self.created.set(created);
        self.acquires.set(self.acquires.get() + count as u64);
        self.misses.set(self.misses.get() + count as u64);
        self.created_total
            .set(self.created_total.get() + count as u64);
        self.high_water.set(self.high_water.get().max(created));
        Ok(made)
    }

    fn look_at_source<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.source.borrow())
    }

    unsafe fn disown(&mut self, count: usize) {
        self.created.set(self.created.get() - count);
    }

    fn observe(&self) -> Observation {
        let free = self.len();
        let in_use = self.created.get() - free;
        let acquires = self.acquires.get();
        Observation {
            capacity: self.capacity.get(),
            created: self.created.get(),
            in_use,
            cached: free,
            high_water: self.high_water.get(),
            acquires,
            hits: acquires.saturating_sub(self.misses.get()),
            misses: self.misses.get(),
            misses_created: self.misses.get(),
            returned_bytes: self.returned_bytes.get(),
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
        for place in 1..=home {
            let place = self.bottom.get().wrapping_add(place);
            // SAFETY: by 1 a free item.
            free.extend(unsafe { place.read() });
        }
        let before = source.held_bytes();
        // Taken off the stack first: the source decides what comes back.
        self.top.set(self.bottom.get().wrapping_add(1));
        let retired = source.retire(&mut free, level);
        for &entry in &free {
            self.put(entry);
        }
        report.pinned = free.len();
        report.freed_items = home - free.len();
        report.freed_bytes = before - source.held_bytes();
        drop(source);
        self.returned_bytes
            .set(self.returned_bytes.get() + report.freed_bytes as u64);
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
        unsafe { free_stack(self.bottom.get(), self.room.get()) };
    }
}
