//! Slots: a header and the bytes of one buffer, and the source that makes them.
//!
//! ```text
//!             ┌────────┬──────────────────────┐
//!             │ header │ bytes of the buffer  │   64 + class bytes, 64-byte aligned
//!             └────────┴──────────────────────┘
//!             slot     ▲ entry
//! ```
//!
//! The header lies in front of the bytes and not in a table of its own: freezing
//! finds it by a subtraction, and slots of a power-of-two class do not start in
//! the same set of the processor's cache, as they would without it. An acquire
//! and a release do not touch it.

use crate::config::Config;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
#[cfg(feature = "std")]
use millpond_core::claim::Claim;
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::observe::RegionFigures;
use millpond_core::poison;
use millpond_core::sharing::Sharing;
use millpond_core::slab::{RetiredSlabs, Slabs};
use millpond_core::source::{Batch, Source};
use millpond_core::trim::Level;

/// Bytes in front of each buffer: one line.
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();

/// The largest class or request that has a layout.
pub(crate) const MAX_BYTES: usize = isize::MAX as usize - 2 * HEADER_BYTES;

/// What is known of a slot beside its bytes. All zero is one, too, so that fresh
/// memory need not be touched.
///
/// # Invariants
///
/// 1. While a buffer is set aside `whole` is what it is put together from.
/// 2. While the slot is frozen its buffer is set aside, and `views` is how many
///    views refer to it.
/// 3. All bytes of the buffer but the last `tail` are initialised. `tail` is
///    touched by the holder of the buffer only.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Header {
    pub(crate) tail: UnsafeCell<usize>,
    pub(crate) views: Sharing,
    /// Whether the buffer is out as raw parts.
    #[cfg(feature = "std")]
    pub(crate) parts: Claim,
    whole: UnsafeCell<MaybeUninit<Whole<NonNull<()>>>>,
}

/// What turns the last view, raw parts or a block that was lent into a buffer again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<O> {
    pub(crate) origin: O,
    pub(crate) capacity: usize,
}

impl Header {
    const fn new() -> Self {
        Self {
            tail: UnsafeCell::new(0),
            views: Sharing::new(),
            #[cfg(feature = "std")]
            parts: Claim::new(),
            whole: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The place where a buffer of origin `O` is set aside.
    pub(crate) const fn whole<O>(&self) -> *mut Whole<O> {
        const {
            assert!(size_of::<O>() <= size_of::<NonNull<()>>());
            assert!(align_of::<O>() <= align_of::<NonNull<()>>());
        };
        self.whole.get().cast()
    }
}

/// The bytes of the slot of `entry`.
#[inline(always)]
pub(crate) const fn bytes_of(entry: Entry) -> NonNull<u8> {
    entry.as_ptr().cast()
}

/// The entry of the slot at this address.
///
/// # Safety
///
/// It is the address of a slot.
unsafe fn entry_at(slot: NonNull<()>) -> Entry {
    // SAFETY: a slot is a header and bytes behind it.
    Entry::from_ptr(unsafe { slot.byte_add(HEADER_BYTES) })
}

/// The address of the slot of an entry.
///
/// # Safety
///
/// `entry` is a slot.
pub(crate) unsafe fn slot_of(entry: Entry) -> NonNull<()> {
    // SAFETY: a slot is a header and bytes behind it.
    unsafe { entry.as_ptr().byte_sub(HEADER_BYTES) }
}

/// The header in front of the bytes of a slot.
///
/// # Safety
///
/// `bytes` are those of a slot, with the provenance of all of it.
#[inline(always)]
pub(crate) unsafe fn header_of(bytes: NonNull<u8>) -> NonNull<Header> {
    // SAFETY: a slot is a header and bytes behind it.
    unsafe { bytes.sub(HEADER_BYTES) }.cast()
}

/// The layout of a slot for `capacity` bytes; `None` if there is none.
pub(crate) fn layout(capacity: usize) -> Option<Layout> {
    if capacity > MAX_BYTES {
        return None;
    }
    Layout::from_size_align(HEADER_BYTES + capacity, align_of::<Header>()).ok()
}

/// Makes a header, and an initialised buffer of `capacity` bytes behind it, in
/// fresh memory of any content.
///
/// # Safety
///
/// `slot` is fresh memory with the [`layout`] of `capacity`.
pub(crate) unsafe fn prepare(slot: NonNull<()>, capacity: usize) -> Entry {
    let header: NonNull<Header> = slot.cast();
    // SAFETY: by the caller.
    unsafe { header.write(Header::new()) };
    // SAFETY: just written.
    let place = unsafe { header.as_ref() };
    // SAFETY: nobody else has it.
    unsafe { place.tail.get().write(capacity) };
    // SAFETY: a slot now.
    unsafe { entry_at(slot) }
}

/// The source of a class.
#[derive(Debug)]
pub(crate) struct Slots(Slabs);

impl Slots {
    /// Slots of buffers of `capacity` bytes, at most [`MAX_BYTES`].
    pub(crate) fn of(capacity: usize, config: &Config) -> Self {
        let slabs = Slabs::new(HEADER_BYTES + capacity, align_of::<Header>());
        let slabs = slabs.with_options(config.region);
        #[cfg(feature = "std")]
        if let Some(budget) = &config.budget {
            return Self(slabs.charged_to(budget.clone()));
        }
        Self(slabs)
    }

    /// The bytes of the slot that has them at this address, if there is one: by a
    /// pointer that may reach all of it.
    #[cfg(feature = "std")]
    pub(crate) fn bytes_at(&self, address: usize) -> Option<NonNull<u8>> {
        let slot = self.0.slot_at(address.checked_sub(HEADER_BYTES)?)?;
        // SAFETY: a slot that is there.
        Some(bytes_of(unsafe { entry_at(slot.as_ptr()) }))
    }

    /// Bytes from one slot to the next.
    #[cfg(feature = "std")]
    pub(crate) const fn stride(&self) -> usize {
        self.0.stride()
    }
}

impl Source for Slots {
    type Retired = RetiredSlabs;

    const ADDRESSES: bool = true;

    fn create(&mut self, want: usize, most: usize, batch: &mut Batch) -> Result<(), Limit> {
        self.0.create(want, most, batch)?;
        for slot in batch.iter() {
            let header: NonNull<Header> = slot.as_ptr().cast();
            // The header of a slot is alive for as long as the slot.
            // SAFETY: the first bytes of a slot that nobody has yet.
            unsafe { poison::on_lease(header.cast(), HEADER_BYTES) };
            // Fresh regions are zero, which is a fresh header; tools are told
            // that they are not initialised.
            if poison::BLINDS_PATTERN {
                // SAFETY: as above.
                unsafe { header.write(Header::new()) };
            }
        }
        // SAFETY: all of them are slots.
        batch.map(|slot| unsafe { entry_at(slot.as_ptr()) });
        Ok(())
    }

    fn retire(&mut self, free: &mut Vec<Entry>, level: Level) -> RetiredSlabs {
        for entry in free.iter_mut() {
            // SAFETY: free items are slots.
            *entry = Entry::from_ptr(unsafe { slot_of(*entry) });
        }
        let retired = self.0.retire(free, level);
        for slot in free.iter_mut() {
            // SAFETY: those that stay are slots still.
            *slot = unsafe { entry_at(slot.as_ptr()) };
        }
        retired
    }

    fn held_bytes(&self) -> usize {
        self.0.held_bytes()
    }

    fn owns(&self, entry: Entry) -> bool {
        // Perhaps the address of something else, so not by `slot_of`.
        let header = entry.as_ptr().as_ptr().wrapping_byte_sub(HEADER_BYTES);
        NonNull::new(header).is_some_and(|slot| self.0.owns(Entry::from_ptr(slot)))
    }

    fn regions(&self, free: &[Entry]) -> Vec<RegionFigures> {
        // SAFETY: free items are slots.
        let slot = |&entry: &Entry| Entry::from_ptr(unsafe { slot_of(entry) });
        let slots: Vec<Entry> = free.iter().map(slot).collect();
        self.0.regions(&slots)
    }
}
