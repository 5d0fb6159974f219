//! Where a lease goes when it ends: a pointer to its pool, and a few notes.
//!
//! ```text
//!   63 .................. n │ n-1 ...... 2 │ 1       │ 0
//!   address of the pool     │ the pool's   │ TRACKED │ FALLBACK
//! ```
//!
//! As many bits as the alignment of the pool leaves free, `n`, may be noted; the
//! first two mean the same everywhere.
//!
//! A lease is two words: its item and its home. What is unusual about a lease
//! (it lies outside the pool's capacity; diagnostics know of it) is written
//! into the low bits of the home, which only a release reads: access to the
//! item costs nothing, a release one test.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// The item was allocated outside the pool's capacity.
pub const FALLBACK: usize = 1;

/// Diagnostics hold a record of the lease.
pub const TRACKED: usize = 2;

/// A pointer to a pool of type `P`, with notes in its low bits.
///
/// # Invariants
///
/// 1. With the notes masked out this is the pointer that it was made from.
pub struct Home<P> {
    tagged: NonNull<()>,
    _pool: PhantomData<*const P>,
}

impl<P> Home<P> {
    /// The bits that an aligned address leaves free.
    const NOTES: usize = {
        let free = align_of::<P>() - 1;
        assert!(free >= FALLBACK | TRACKED, "a pool has room for notes");
        free
    };

    /// A lease of `pool` with nothing unusual about it.
    #[inline(always)]
    #[must_use]
    pub const fn new(pool: NonNull<P>) -> Self {
        let _ = Self::NOTES;
        Self {
            tagged: pool.cast(),
            _pool: PhantomData,
        }
    }

    /// The same, with `notes`: a sum of [`FALLBACK`], [`TRACKED`] and what the pool
    /// has a use for, below its alignment.
    #[inline(always)]
    #[must_use]
    pub fn with_notes(self, notes: usize) -> Self {
        debug_assert_eq!(notes & !Self::NOTES, 0);
        Self {
            tagged: self
                .tagged
                .map_addr(|address| address | (notes & Self::NOTES)),
            _pool: PhantomData,
        }
    }

    /// The same, without these notes.
    #[inline]
    #[must_use]
    pub fn without_notes(self, notes: usize) -> Self {
        Self::new(self.pool()).with_notes(self.notes() & !notes)
    }

    /// The notes.
    #[inline(always)]
    #[must_use]
    pub fn notes(self) -> usize {
        self.tagged.addr().get() & Self::NOTES
    }

    /// The pool, of a home without notes: saves the masking.
    #[inline(always)]
    #[must_use]
    pub fn pool_if_plain(self) -> Option<NonNull<P>> {
        (self.notes() == 0).then_some(self.tagged.cast())
    }

    /// The pool.
    #[inline(always)]
    #[must_use]
    pub fn pool(self) -> NonNull<P> {
        let address = self
            .tagged
            .as_ptr()
            .map_addr(|address| address & !Self::NOTES);
        // SAFETY: by 1 this is the pointer that the value was made from.
        unsafe { NonNull::new_unchecked(address.cast()) }
    }
}

impl<P> Clone for Home<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Home<P> {}

impl<P> fmt::Debug for Home<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("pool", &self.pool())
            .field("notes", &self.notes())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_do_not_change_the_pool() {
        let pool = 7u64;
        let plain = Home::new(NonNull::from(&pool));
        assert_eq!(plain.pool_if_plain(), Some(NonNull::from(&pool)));
        for notes in [FALLBACK, TRACKED, FALLBACK | TRACKED, 4] {
            let noted = plain.with_notes(notes);
            assert_eq!(noted.pool(), NonNull::from(&pool));
            assert_eq!(noted.notes(), notes);
            assert_eq!(noted.pool_if_plain(), None);
            assert_eq!(noted.without_notes(FALLBACK).notes(), notes & !FALLBACK);
            assert_eq!(
                noted.without_notes(notes).pool_if_plain(),
                Some(NonNull::from(&pool))
            );
        }
    }
}
