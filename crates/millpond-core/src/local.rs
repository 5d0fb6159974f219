//! The local engine: one thread, one stack, no atomics.
//!
//! ```text
//!   stack  ┌───┬───┬───┬───┬───┬ ─ ─ ┐
//!          │ e │ e │ e │ e │ e │     │    room for every item in existence, so a
//!          └───┴───┴───┴───┴───┴ ─ ─ ┘    release cannot fail and tests nothing
//!          ▲                   ▲
//!          floor               top        an acquire goes on if the top is above the
//!                                         floor, and to the slow path if not
//! ```
//!
//! The floor is the gate: at the bottom of the stack it says when there is nothing,
//! and above all addresses it sends every acquire to the slow path, where a lowered
//! capacity is kept and diagnostics see who acquires. So neither costs the fast path
//! anything, nor has a release to look.
//!
//! An acquire is seven instructions and a release four. Counting is one of them,
//! on a word of its own, which the next acquire does not wait for. A word that
//! packs counter and length was tried: it takes the same 1.35 ns for a pair, but
//! 2.4 instead of 2.2 for items that are held and released in random order
//! (November 2026, 2-core virtual machine, Zen 4).

#[cfg(feature = "std")]
mod diagnose;

#[cfg(feature = "std")]
use crate::diagnostics::{Diagnosis, Diagnostics, Holder};
use crate::engine::{Engine, Released};
use crate::entry::Entry;
use crate::error::{AcquireError, Limit};
#[cfg(feature = "std")]
use crate::event::{Event, EventHook};
use crate::observe::Observation;
#[cfg(feature = "std")]
use crate::observe::{RegionFigures, Sampled};
use crate::region;
use crate::source::{Batch, Source};
use crate::trim::{Level, TrimReport};
#[cfg(feature = "std")]
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::alloc::Layout;
#[cfg(feature = "std")]
use core::cell::OnceCell;
use core::cell::{Cell, RefCell, RefMut};
use core::mem::ManuallyDrop;
#[cfg(feature = "std")]
use core::panic::Location;
use core::ptr::{self, NonNull};
use core::time::Duration;

/// Where the stack of an empty pool lies.
const NOWHERE: *mut Entry = ptr::dangling_mut();

/// A floor that no top is above.
const CLOSED: *const Entry = ptr::without_provenance(usize::MAX);

/// Items that are created at once.
const BATCH: usize = if cfg!(miri) { 2 } else { 64 };

/// The engine of a pool that one thread uses. See the [module](self).
///
/// # Invariants
///
/// 1. `bottom` points to `room` places, of which those below `top` are free items.
///    `room` is at least `created`. While it is 0 there are no places.
/// 2. Every item that the source created and did not retire is on the stack
///    once or in the hands of one caller; `created` counts them.
/// 3. `floor` is `bottom`, or above every place.
#[derive(Debug)]
#[repr(C)]
pub struct LocalEngine<S> {
    /// One past the topmost free item.
    top: Cell<*mut Entry>,
    floor: Cell<*const Entry>,
    acquires: Cell<u64>,
    bottom: Cell<*mut Entry>,
    room: Cell<usize>,
    created: Cell<usize>,
    capacity: Cell<usize>,
    /// The capacity was lowered below what exists: nothing is given beyond it until
    /// a trim or a higher one.
    shrinking: Cell<bool>,
    exhausted: Cell<u64>,
    /// Acquires for which items were created.
    created_for: Cell<u64>,
    /// Acquires that a closed gate sent to the slow path.
    strict: Cell<u64>,
    /// What the source holds, for who asks while it is at work.
    held_bytes: Cell<usize>,
    returned_bytes: Cell<u64>,
    created_total: Cell<u64>,
    retired_total: Cell<u64>,
    high_water: Cell<usize>,
    name: &'static str,
    item_bytes: usize,
    #[cfg(feature = "std")]
    hook: Option<EventHook>,
    /// None until somebody chooses a level.
    #[cfg(feature = "std")]
    diagnostics: OnceCell<Box<Diagnostics>>,
    source: ManuallyDrop<RefCell<S>>,
}

// SAFETY: the stack is owned, entries are plain numbers, and everything else is
// Send by itself if the source is.
unsafe impl<S: Send> Send for LocalEngine<S> {}

impl<S> LocalEngine<S> {
    /// Free items on the stack.
    fn len(&self) -> usize {
        let bytes = self.top.get().addr() - self.bottom.get().addr();
        bytes / size_of::<Entry>()
    }

    /// Items that are leased.
    fn in_use(&self) -> usize {
        self.created.get() - self.len()
    }

    /// Opens the gate, or closes it if somebody wants to see every acquire.
    fn settle(&self) {
        let closed = self.shrinking.get() || self.is_watched();
        let floor = if closed { CLOSED } else { self.bottom.get() };
        self.floor.set(floor);
    }

    /// Whether diagnostics want to see every acquire.
    fn is_watched(&self) -> bool {
        #[cfg(feature = "std")]
        return matches!(
            self.diagnostics.get().and_then(|known| known.level()),
            Some(Diagnosis::Recorded | Diagnosis::Full)
        );
        #[cfg(not(feature = "std"))]
        return false;
    }
}

impl<S: Source> LocalEngine<S> {
    /// An engine for at most `capacity` items, which `source` creates.
    /// Allocates nothing.
    #[must_use]
    pub const fn new(capacity: usize, source: S) -> Self {
        Self {
            top: Cell::new(NOWHERE),
            floor: Cell::new(NOWHERE),
            acquires: Cell::new(0),
            bottom: Cell::new(NOWHERE),
            room: Cell::new(0),
            created: Cell::new(0),
            capacity: Cell::new(capacity),
            shrinking: Cell::new(false),
            exhausted: Cell::new(0),
            created_for: Cell::new(0),
            strict: Cell::new(0),
            held_bytes: Cell::new(0),
            returned_bytes: Cell::new(0),
            created_total: Cell::new(0),
            retired_total: Cell::new(0),
            high_water: Cell::new(0),
            name: "",
            item_bytes: 0,
            #[cfg(feature = "std")]
            hook: None,
            #[cfg(feature = "std")]
            diagnostics: OnceCell::new(),
            source: ManuallyDrop::new(RefCell::new(source)),
        }
    }

    /// The same engine with a name for errors and reports.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The same engine, of which recorders are told that an item has so many bytes.
    #[must_use]
    pub const fn sized(mut self, item_bytes: usize) -> Self {
        self.item_bytes = item_bytes;
        self
    }

    /// The same engine, telling `hook` what happens on its slow paths.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn told_to(mut self, hook: EventHook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Counts a refusal, tells of it and makes the error.
    fn refuse(&self, limit: Limit) -> AcquireError {
        self.exhausted.set(self.exhausted.get() + 1);
        let (in_use, cached) = (self.in_use(), self.len());
        #[cfg(feature = "std")]
        self.tell(&Event::Refused {
            limit: &limit,
            in_use,
        });
        AcquireError::new(self.name, limit, self.capacity.get(), in_use, 0).with_cached(cached)
    }

    /// Has the source create a batch, of up to `left` items, and puts it on the
    /// stack.
    fn grow(&self, left: usize) -> Result<(), Limit> {
        let want = left.min(BATCH);
        let mut source = self.idle_source()?;
        self.make_room(self.created.get() + want)?;
        let mut batch = Batch::new(want);
        source.create(want, left, &mut batch)?;
        self.held_bytes.set(source.held_bytes());
        self.created.set(self.created.get() + batch.len());
        self.created_total
            .set(self.created_total.get() + batch.len() as u64);
        for entry in batch.iter().rev() {
            self.put(entry);
        }
        self.high_water
            .set(self.high_water.get().max(self.created.get()));
        Ok(())
    }

    /// The source, if it is not at work: a supplier of memory, which is foreign code,
    /// may come back here, and gets no items.
    fn idle_source(&self) -> Result<RefMut<'_, S>, Limit> {
        self.source.try_borrow_mut().map_err(|_| Limit::Memory {
            bytes: self.item_bytes,
        })
    }

    /// The free items; none if there is no memory for a list of them.
    fn free(&self) -> Vec<Entry> {
        let mut free = Vec::new();
        if free.try_reserve(self.len()).is_ok() {
            // SAFETY: by 1 the places below the top are free items, which nobody moves
            // while the list is made.
            free.extend_from_slice(unsafe {
                core::slice::from_raw_parts(self.bottom.get(), self.len())
            });
        }
        free
    }

    /// Takes the topmost item off the stack, and counts it as acquired.
    ///
    /// # Safety
    ///
    /// The stack is not empty.
    #[inline(always)]
    unsafe fn pop(&self) -> Entry {
        let topmost = self.top.get().wrapping_sub(1);
        // SAFETY: by the caller and 1 an item.
        let entry = unsafe { topmost.read() };
        self.top.set(topmost);
        if !cfg!(millpond_no_counters) {
            self.acquires.set(self.acquires.get() + 1);
        }
        entry
    }

    /// Puts an item on the stack.
    #[inline(always)]
    fn put(&self, entry: Entry) {
        let top = self.top.get();
        debug_assert!(self.len() < self.room.get());
        // SAFETY: fewer items are on the stack than exist, so by 1 there is a
        // place above the topmost.
        unsafe { top.write(entry) };
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
        let stack = stack.cast::<Entry>().as_ptr();
        let len = self.len();
        let old = self.bottom.replace(stack);
        // SAFETY: both have room for `len` entries, and do not overlap.
        unsafe { stack.copy_from_nonoverlapping(old, len) };
        self.top.set(stack.wrapping_add(len));
        self.settle();
        // SAFETY: the old stack had this room, and is not used any more.
        unsafe { free_stack(old, self.room.replace(room)) };
        Ok(())
    }
}

/// A stack with room for `room` entries.
fn stack_layout(room: usize) -> Option<Layout> {
    Layout::array::<Entry>(room).ok()
}

/// # Safety
///
/// `stack` has room for `room` entries and is not used afterwards.
unsafe fn free_stack(stack: *mut Entry, room: usize) {
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
        let top = self.top.get();
        if top.cast_const() <= self.floor.get() {
            return None;
        }
        // SAFETY: above the floor, so by 3 above the bottom.
        Some(unsafe { self.pop() })
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(&self, room: usize) -> Result<Entry, AcquireError> {
        let limit = self.capacity.get().saturating_add(room);
        let mut fresh = false;
        while self.in_use() < limit {
            if self.len() > 0 {
                let reason = if fresh {
                    &self.created_for
                } else {
                    &self.strict
                };
                reason.set(reason.get() + 1);
                self.settle();
                // SAFETY: there is one.
                return Ok(unsafe { self.pop() });
            }
            let left = limit - self.created.get();
            self.grow(left).map_err(|limit| self.refuse(limit))?;
            fresh = true;
            // Which may use the pool, and take what was created.
            #[cfg(feature = "std")]
            self.tell(&Event::Grown {
                created: self.created.get(),
            });
        }
        Err(self.refuse(Limit::Capacity))
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
            .and_then(|()| create(&mut *self.idle_source()?));
        let made = made.map_err(|limit| self.refuse(limit))?;
        self.held_bytes.set(self.source.borrow().held_bytes());
        let created = self.created.get() + count;
        self.created.set(created);
        self.acquires.set(self.acquires.get() + count as u64);
        self.created_for.set(self.created_for.get() + count as u64);
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
        let in_use = self.in_use();
        let acquires = self.acquires.get();
        let (created_for, strict) = (self.created_for.get(), self.strict.get());
        let misses = created_for + strict;
        Observation {
            capacity: self.capacity.get(),
            created: self.created.get(),
            in_use,
            cached: free,
            high_water: self.high_water.get(),
            acquires,
            hits: acquires.saturating_sub(misses),
            misses,
            misses_created: created_for,
            misses_strict: strict,
            returned_bytes: self.returned_bytes.get(),
            releases: acquires.saturating_sub(in_use as u64),
            exhausted: self.exhausted.get(),
            created_total: self.created_total.get(),
            retired_total: self.retired_total.get(),
            held_bytes: self.held_bytes.get(),
            machinery_bytes: self.room.get() * size_of::<Entry>(),
            ..Observation::default()
        }
    }

    fn trim(&self, level: Level) -> TrimReport {
        let mut report = TrimReport::default();
        let Ok(mut source) = self.idle_source() else {
            return report;
        };
        let home = self.len();
        let mut free = self.free();
        if free.len() < home {
            return report;
        }
        let before = source.held_bytes();
        // Taken off the stack first: the source decides what comes back.
        self.top.set(self.bottom.get());
        let retired = source.retire(&mut free, level);
        for &entry in &free {
            self.put(entry);
        }
        report.pinned = free.len();
        report.freed_items = home - free.len();
        self.held_bytes.set(source.held_bytes());
        report.freed_bytes = before - self.held_bytes.get();
        drop(source);
        self.returned_bytes
            .set(self.returned_bytes.get() + report.freed_bytes as u64);
        self.created.set(self.created.get() - report.freed_items);
        report.leased = self.created.get() - report.pinned;
        self.retired_total
            .set(self.retired_total.get() + report.freed_items as u64);
        let shrinking = self.created.get() > self.capacity.get();
        self.shrinking.set(self.shrinking.get() && shrinking);
        #[cfg(feature = "std")]
        self.forget_patterns();
        self.settle();
        drop(retired);
        #[cfg(feature = "std")]
        self.tell(&Event::Trimmed { report: &report });
        report
    }

    fn set_capacity(&self, capacity: usize) {
        self.capacity.set(capacity);
        self.shrinking.set(self.created.get() > capacity);
        self.settle();
    }

    #[cfg(feature = "std")]
    fn set_diagnosis(&self, level: Diagnosis) {
        Self::set_diagnosis(self, level);
    }

    #[cfg(feature = "std")]
    fn record(&self, item: Entry, location: &'static Location<'static>) -> Option<bool> {
        Self::record(self, item, location)
    }

    #[cfg(feature = "std")]
    fn strike(&self, item: Entry) {
        Self::strike(self, item);
    }

    #[cfg(feature = "std")]
    fn record_sized(
        &self,
        item: Entry,
        location: &'static Location<'static>,
        bytes: usize,
    ) -> Option<bool> {
        Self::record_sized(self, item, location, bytes)
    }

    #[cfg(feature = "std")]
    fn should_pattern(&self, item: Entry) -> bool {
        Self::should_pattern(self, item)
    }

    #[cfg(feature = "std")]
    fn sampled(&self) -> Sampled {
        Self::sampled(self)
    }

    #[cfg(feature = "std")]
    fn holders(&self) -> Vec<Holder> {
        Self::holders(self)
    }

    #[cfg(feature = "std")]
    fn regions(&self) -> Vec<RegionFigures> {
        match self.idle_source() {
            Ok(source) => source.regions(&self.free()),
            Err(_) => Vec::new(),
        }
    }

    #[cfg(feature = "std")]
    fn tell(&self, event: &Event<'_>) {
        Self::tell(self, event);
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
