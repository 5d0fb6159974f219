//! Pools as allocators: a boxed value lives in a slot.
//!
//! ```text
//!   layout fits a slot ── a slot is free ─► slot
//!        │                     └─ none ───► the policy; what it allocates
//!        └─ does not ─► policy falls back?   outside is noted by address
//!                        no ─► refused
//! ```

use crate::pool::FixedPool;
use crate::slot::{Patience, Slot};
use allocator_api2::alloc::{AllocError, Allocator};
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use millpond_core::engine::{Mode, Shared};
use millpond_core::entry::Entry;
use millpond_core::exhaustion::Exhaustion;
use millpond_core::provenance::widen;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

/// Blocks that lie outside of the slots, by address.
///
/// # Invariants
///
/// 1. `count` is how many there are. Whoever has such a block has seen it counted.
#[derive(Debug)]
pub(crate) struct Outside {
    count: AtomicUsize,
    blocks: Mutex<Vec<(Entry, Layout)>>,
}

impl Outside {
    pub(crate) const fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            blocks: Mutex::new(Vec::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Entry, Layout)>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a block; `false` if there is no memory for the note.
    fn note(&self, block: Entry, layout: Layout) -> bool {
        let mut blocks = self.lock();
        if blocks.try_reserve(1).is_err() {
            return false;
        }
        let place = blocks.partition_point(|&(other, _)| other < block);
        blocks.insert(place, (block, layout));
        self.count.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// `block` as it was allocated, and with what, if it lies outside.
    fn find(&self, block: NonNull<u8>, strike: bool) -> Option<(Entry, Layout)> {
        // By 1 this is not 0 for somebody who has one.
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut blocks = self.lock();
        let place =
            blocks.binary_search_by_key(&Entry::from_ptr(block.cast()), |&(other, _)| other);
        let place = place.ok()?;
        if !strike {
            return Some(blocks[place]);
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(blocks.remove(place))
    }
}

const fn fits<T>(layout: Layout) -> bool {
    layout.size() <= size_of::<T>() && layout.align() <= align_of::<T>()
}

/// An empty block, which lies nowhere.
fn nothing(layout: Layout) -> NonNull<[u8]> {
    let place = core::ptr::without_provenance_mut(layout.align());
    // SAFETY: an alignment is not 0.
    let place = unsafe { NonNull::new_unchecked(place) };
    NonNull::slice_from_raw_parts(place, 0)
}

impl<T, M: Mode> FixedPool<T, M> {
    /// A block of at least one byte for `layout`.
    #[inline]
    fn block(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        if !fits::<T>(layout) {
            return self.outside_cold(layout);
        }
        // SAFETY: blocks borrow the pool, as the trait asks of whoever has one.
        let slot: Result<Slot<Self>, _> =
            unsafe { self.slots.slot(NonNull::from(self), Patience::Policy) };
        let slot = slot.map_err(|_| AllocError)?;
        let is_fallback = slot.is_fallback();
        if is_fallback && !self.outside.note(slot.entry(), Layout::new::<T>()) {
            return Err(AllocError);
        }
        Ok(slot.into_entry().as_ptr().cast())
    }

    /// A block that fits no slot, if the policy lets it lie elsewhere.
    #[cold]
    fn outside_cold(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let Exhaustion::Fallback { at_most } = self.slots.policy else {
            return Err(AllocError);
        };
        let block = self.slots.fallback.allocate(layout, at_most);
        let block = block.map_err(|_| AllocError)?;
        if !self.outside.note(block, layout) {
            // SAFETY: allocated above with this layout, and given to nobody.
            unsafe { self.slots.fallback.free(block, layout) };
            return Err(AllocError);
        }
        Ok(block.as_ptr().cast())
    }

    /// Gives a block back.
    ///
    /// # Safety
    ///
    /// It came from [`FixedPool::block`] of this pool and is not used afterwards.
    #[inline]
    unsafe fn take_back(&self, block: NonNull<u8>) {
        if let Some((entry, layout)) = self.outside.find(block, true) {
            // SAFETY: noted with the layout that it was allocated with.
            return unsafe { self.slots.fallback.free(entry, layout) };
        }
        let entry = Entry::from_ptr(widen(block).cast());
        // SAFETY: not outside, so a slot of this pool, which the caller gives up.
        // Memory tools were told when it was lent.
        drop(unsafe { Slot::already_told(entry, NonNull::from(self)) });
    }

    /// The same block for another layout: in its place if there is room, else
    /// moved, with its first `keep` bytes.
    ///
    /// # Safety
    ///
    /// `block` came from this pool for `old`, and `keep` is at most the size of
    /// both layouts.
    unsafe fn resize(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
        keep: usize,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.size() == 0 {
            return self.allocate(new);
        }
        if new.size() == 0 {
            // SAFETY: by the caller, who gets an empty one for it.
            unsafe { self.take_back(block) };
            return Ok(nothing(new));
        }
        let (block, room) = match self.outside.find(block, false) {
            Some((entry, layout)) => (entry.as_ptr().cast(), layout),
            None => (widen(block), Layout::new::<T>()),
        };
        let is_aligned = block.addr().get() % new.align() == 0;
        if new.size() <= room.size() && is_aligned {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        let moved = self.block(new)?;
        // SAFETY: both are at least that long, by the caller, and different blocks.
        unsafe { moved.copy_from_nonoverlapping(block, keep) };
        // SAFETY: by the caller, who gets the other one for it.
        unsafe { self.take_back(block) };
        Ok(NonNull::slice_from_raw_parts(moved, new.size()))
    }
}

/// A block that fits a slot is one; what the pool does when none is free, and with
/// a layout that is larger or more aligned than a `T`, is its policy's to say:
/// under [`Exhaustion::Fallback`] it lies outside of the slots, counted and charged
/// as fallback values are; else a larger one is refused.
///
/// ```
/// use allocator_api2::boxed::Box;
/// use millpond_fixed::FixedPool;
///
/// let pool = FixedPool::<[u64; 8]>::new(100);
/// let boxed = Box::try_new_in(7u64, &pool).map_err(|_| "full")?;
/// assert_eq!((*boxed, pool.stats().in_use), (7, 1));
/// assert!(Box::try_new_in([0u64; 9], &pool).is_err(), "longer than a slot");
/// drop(boxed);
/// assert_eq!(pool.stats().in_use, 0);
/// # Ok::<(), &str>(())
/// ```
///
/// # Cost
///
/// What a lease costs, and a load more to give a block back. A block outside takes
/// a lock and its place in a sorted list.
// SAFETY: a block is a slot that nobody else is given until it is taken back, or an
// allocation of its own; the pool does not move or go while it is borrowed, and
// copies of the reference are the same pool.
unsafe impl<T, M: Mode> Allocator for &FixedPool<T, M> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        FixedPool::allocate(self, layout)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() > 0 {
            // SAFETY: by the caller; not an empty one.
            unsafe { self.take_back(block) };
        }
    }

    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: by the caller; the new one is as long as the old one.
        unsafe { self.resize(block, old, new, old.size()) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: by the caller; the new one is no longer than the old one.
        unsafe { self.resize(block, old, new, new.size()) }
    }
}

impl<T, M: Mode> FixedPool<T, M> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(nothing(layout));
        }
        let block = self.block(layout)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }
}

/// As of a borrowed pool; what is allocated keeps the pool alive by the handle that
/// it holds.
// SAFETY: as for a borrowed pool, which the handle keeps in one place; clones are
// the same pool.
unsafe impl<T> Allocator for crate::handle::Handle<FixedPool<T, Shared>> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        FixedPool::allocate(self, layout)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: by the caller.
        unsafe { (&&**self).deallocate(block, layout) };
    }

    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: by the caller.
        unsafe { (&&**self).grow(block, old, new) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: by the caller.
        unsafe { (&&**self).shrink(block, old, new) }
    }
}
