//! Large objects: allocations of their own, beside the chunks.
//!
//! ```text
//!   arena ──► ┌────────┬─────────┐ ◄──► ┌────────┬─────────┐
//!             │ header │ object  │      │ header │ object  │
//!             └────────┴─────────┘      └────────┴─────────┘
//!             └ offset ┘   offset: the header's size, up to the object's alignment
//! ```
//!
//! They are really freed when they are deallocated, really resized when they
//! grow (the system's allocator may move pages instead of bytes), and count
//! towards the limit of the lease and the budget with their headers.
//!
//! A manager may be told of a supplier, which is asked first: a byte pool, say, whose
//! buffers are warm. What it lends counts towards the limit of the lease, and is the
//! supplier's in budgets and figures.

use crate::arena::{Arena, LARGE};
use crate::chunk::PAGE;
use crate::config::NEVER_LARGE;
use crate::error::{ArenaFull, Full};
use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;
use millpond_core::error::Limit;
use millpond_core::provenance::{conceal, expose, widen};
use millpond_core::region::{self, Supply};
use millpond_core::wipe::wipe;
use std::sync::Arc;

/// Who lends the blocks of large objects.
#[derive(Clone)]
pub(crate) struct Supplier(pub(crate) Arc<dyn Supply>);

// An arena asks for a block, and notes it afterwards; it gives one back when it has
// forgotten it. A panic of the supplier finds the arena whole.
impl UnwindSafe for Supplier {}
impl RefUnwindSafe for Supplier {}

impl fmt::Debug for Supplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supplier").finish_non_exhaustive()
    }
}

/// The large objects of an arena.
///
/// # Invariants
///
/// 1. Each header is at the beginning of a live block of `layout`, and the
///    neighbours that it names name it.
/// 2. A block is the scope's supplier's if its header says `lent`, else the system's.
/// 3. `lent` is the bytes of all blocks that are lent, and of one that a supplier is
///    asked for.
#[derive(Debug, Default)]
pub(crate) struct Larges {
    first: Cell<Option<NonNull<Header>>>,
    pub(crate) lent: Cell<usize>,
}

/// Bytes that a supplier is asked for: noted no more if it has none, also if it panics.
struct Unlent<'a> {
    lent: &'a Cell<usize>,
    bytes: usize,
}

impl<'a> Unlent<'a> {
    fn note(lent: &'a Cell<usize>, bytes: usize) -> Self {
        lent.set(lent.get() + bytes);
        Self { lent, bytes }
    }
}

impl Drop for Unlent<'_> {
    fn drop(&mut self) {
        self.lent.set(self.lent.get() - self.bytes);
    }
}

#[derive(Debug)]
struct Header {
    before: Option<NonNull<Header>>,
    next: Option<NonNull<Header>>,
    /// Of the whole block.
    layout: Layout,
    /// Whether the supplier has to get it back.
    lent: bool,
}

/// From the beginning of a block to its object: room for the header, and a multiple of
/// the object's alignment, as the block is aligned for both.
const fn offset(align: usize) -> usize {
    let header = size_of::<Header>().next_multiple_of(16);
    header.next_multiple_of(align)
}

/// The block of an object of `layout`.
fn block_of(layout: Layout) -> Option<Layout> {
    let size = layout.size().checked_add(offset(layout.align()))?;
    Layout::from_size_align(size, layout.align().max(align_of::<Header>())).ok()
}

impl Arena {
    /// Whether a request goes beside the chunks. Decided by the layout alone, so
    /// that whoever deallocates decides the same.
    #[inline(always)]
    pub(crate) fn is_large(&self, layout: Layout) -> bool {
        (layout.size() > NEVER_LARGE && layout.size() > self.large_above)
            || (layout.align() > PAGE && layout.size() > 0)
    }

    /// Allocates a large object; its bytes read as zero if `zeroed`.
    #[cold]
    #[inline(never)]
    pub(crate) fn allocate_large(
        &self,
        layout: Layout,
        zeroed: bool,
    ) -> Result<NonNull<u8>, ArenaFull> {
        let overflow = || self.full(Full::Overflow, layout.size());
        let refuse = |limit| self.refuse(limit, layout.size());
        let block = block_of(layout).ok_or_else(overflow)?;
        let (memory, lent) = match self.borrow_block(block, zeroed) {
            Some(memory) => (memory, true),
            None => (self.own_block(block, zeroed).map_err(refuse)?, false),
        };
        // An object may come back by a pointer that reaches nothing in front of it.
        expose(memory, block.size());
        let header = memory.cast::<Header>();
        let next = self.larges.first.get();
        // SAFETY: a fresh block that begins with room for a header.
        unsafe {
            header.write(Header {
                before: None,
                next,
                layout: block,
                lent,
            });
        }
        // SAFETY: the header is in place, its neighbours are alive (1).
        unsafe { self.name_to_neighbours(header) };
        self.raise(LARGE);
        self.tally.large_objects.add(1);
        self.tally.large_bytes.add(layout.size() as u64);
        // SAFETY: the block is longer than the offset.
        Ok(unsafe { memory.add(offset(layout.align())) })
    }

    /// A block of the supplier's, if there is one who lends it, within the limit. The
    /// bytes are noted first, because what a supplier calls may allocate here.
    fn borrow_block(&self, block: Layout, zeroed: bool) -> Option<NonNull<u8>> {
        let supplier = self.pool().supplier.as_ref()?;
        if block.size() > self.room() {
            return None;
        }
        let unlent = Unlent::note(&self.larges.lent, block.size());
        let memory = supplier.0.allocate(block)?;
        core::mem::forget(unlent);
        if zeroed {
            // SAFETY: a block of that many bytes, ours alone.
            unsafe { memory.write_bytes(0, block.size()) };
        }
        Some(memory)
    }

    /// A block of the system's, charged.
    fn own_block(&self, block: Layout, zeroed: bool) -> Result<NonNull<u8>, Limit> {
        let bytes = block.size();
        self.reserve(bytes)?;
        let memory = match zeroed {
            true => region::allocate_zeroed(block),
            false => region::allocate(block),
        };
        memory.ok_or_else(|| {
            self.give_up(bytes);
            Limit::Memory { bytes }
        })
    }

    /// Makes the neighbours that a header names name it.
    ///
    /// # Safety
    ///
    /// The header is initialised and its neighbours are alive.
    unsafe fn name_to_neighbours(&self, header: NonNull<Header>) {
        // SAFETY: by the caller.
        let Header { before, next, .. } = unsafe { header.read() };
        match before {
            // SAFETY: by the caller.
            Some(before) => unsafe { (*before.as_ptr()).next = Some(header) },
            None => self.larges.first.set(Some(header)),
        }
        if let Some(next) = next {
            // SAFETY: by the caller.
            unsafe { (*next.as_ptr()).before = Some(header) };
        }
    }

    /// Frees a large object.
    ///
    /// # Safety
    ///
    /// `object` is a live large object of this arena with this layout, and is not
    /// used afterwards.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn free_large(&self, object: NonNull<u8>, layout: Layout) {
        // SAFETY: by the caller it lies behind its header.
        let header = unsafe { widen(object).sub(offset(layout.align())) }.cast::<Header>();
        // SAFETY: by the caller.
        unsafe { self.free_block(header) };
    }

    /// # Safety
    ///
    /// The header is on the list, and its object is not used afterwards.
    unsafe fn free_block(&self, header: NonNull<Header>) {
        // SAFETY: by the caller.
        let Header {
            before,
            next,
            layout,
            lent,
        } = unsafe { header.read() };
        match before {
            // SAFETY: a neighbour on the list is alive (1).
            Some(before) => unsafe { (*before.as_ptr()).next = next },
            None => self.larges.first.set(next),
        }
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { (*next.as_ptr()).before = before };
        }
        if self.wipes() {
            // SAFETY: the whole block is ours and holds nothing of use any more.
            unsafe { wipe(header.cast(), layout.size(), 0) };
        }
        conceal(header.cast(), layout.size());
        let supplier = self.pool().supplier.as_ref().filter(|_| lent);
        let Some(supplier) = supplier else {
            // SAFETY: the system's (2), allocated with this layout, and off the list.
            unsafe { region::free(header.cast(), layout) };
            return self.give_up(layout.size());
        };
        // Whoever frees or grows an object has no state for a panic in between: a
        // vector would free its block again.
        self.drops.survive(|| {
            // SAFETY: lent with this layout (2), and off the list.
            unsafe { supplier.0.free(header.cast(), layout) };
        });
        let bytes = &self.larges.lent;
        bytes.set(bytes.get() - layout.size());
    }

    /// Frees what is left.
    ///
    /// # Safety
    ///
    /// Nobody uses a large object of this arena any more.
    pub(crate) unsafe fn free_larges(&self) {
        while let Some(header) = self.larges.first.get() {
            // SAFETY: on the list, and by the caller.
            unsafe { self.free_block(header) };
        }
    }

    /// Gives a large object another size, large as well. Bytes that are gained are
    /// uninitialised. On `Err` it is as it was.
    ///
    /// # Safety
    ///
    /// As [`Arena::free_large`]; both layouts are large.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn resize_large(
        &self,
        object: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, ArenaFull> {
        let object = widen(object);
        // SAFETY: by the caller it lies behind its header.
        let header = unsafe { object.sub(offset(old.align())) }.cast::<Header>();
        // SAFETY: on the list (1).
        let lent = unsafe { (*header.as_ptr()).lent };
        if old.align() != new.align() || self.wipes() || lent {
            // A block that moves must not leave a copy behind, a header must be
            // found from the new alignment, and suppliers resize nothing.
            let fresh = self.allocate_large(new, false)?;
            let kept = old.size().min(new.size());
            // SAFETY: both are at least that long, and one is fresh.
            unsafe { fresh.copy_from_nonoverlapping(object, kept) };
            // SAFETY: by the caller.
            unsafe { self.free_large(object, old) };
            return Ok(fresh);
        }
        let overflow = || self.full(Full::Overflow, new.size());
        let refuse = |limit| self.refuse(limit, new.size());
        let block = block_of(new).ok_or_else(overflow)?;
        // SAFETY: on the list (1).
        let was = unsafe { (*header.as_ptr()).layout };
        let more = block.size().saturating_sub(was.size());
        self.reserve(more).map_err(refuse)?;
        // SAFETY: a live block of this layout; the new size makes a layout.
        let moved = unsafe { region::reallocate(header.cast(), was, block.size()) };
        let Some(moved) = moved else {
            self.give_up(more);
            let bytes = block.size();
            return Err(refuse(Limit::Memory { bytes }));
        };
        conceal(header.cast(), was.size());
        expose(moved, block.size());
        let header = moved.cast::<Header>();
        // SAFETY: the content of the block moved along.
        unsafe { (*header.as_ptr()).layout = block };
        // SAFETY: initialised; the neighbours are alive (1).
        unsafe { self.name_to_neighbours(header) };
        self.give_up(was.size().saturating_sub(block.size()));
        // SAFETY: the block is longer than the offset.
        Ok(unsafe { moved.add(offset(new.align())) })
    }
}
