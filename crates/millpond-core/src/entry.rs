//! Entries: the eight bytes that the engine moves.

use core::ptr::{self, NonNull};

/// One item of a pool, as the engine sees it: a pointer, or an index dressed
/// as one. The engine compares, copies and stores entries and never follows
/// them, except to claim lines where the pool says that they are addresses.
///
/// An entry is a name, not a permission: who may use the item is decided by
/// who acquired it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Entry(NonNull<()>);

// SAFETY: an entry is a plain number with provenance; nothing is read or
// written through it here.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    /// The entry of the item at `item`.
    #[inline(always)]
    #[must_use]
    pub const fn from_ptr(item: NonNull<()>) -> Self {
        Self(item)
    }

    /// The entry that stands for slot `index`.
    ///
    /// # Panics
    ///
    /// If `index` is `usize::MAX`, which no slot can have.
    #[inline]
    #[must_use]
    pub const fn from_index(index: usize) -> Self {
        assert!(index != usize::MAX, "no slot has the index usize::MAX");
        match NonNull::new(ptr::without_provenance_mut(index + 1)) {
            Some(item) => Self(item),
            None => unreachable!(),
        }
    }

    /// The address, with its provenance.
    #[inline(always)]
    #[must_use]
    pub const fn as_ptr(self) -> NonNull<()> {
        self.0
    }

    /// The slot index of an entry made by [`Entry::from_index`].
    #[inline]
    #[must_use]
    pub fn as_index(self) -> usize {
        self.0.addr().get() - 1
    }
}
