//! Lives: the word of a slot that is named by ids and read without counting.
//!
//! A slot comes to life once it is filled, by the one who filled it, and its life
//! ends when nobody can be reading it: what holds off the end is the borrow of the
//! pool, not a count. For values that end beside their readers see
//! [`tenancy`](crate::tenancy).
//!
//! ```text
//!   owner    fill the slot ──▶ open: generation odd, Release
//!                                      │
//!   reader            Acquire: is the generation that of the id? ──▶ read
//! ```

use crate::id::{Generation, RawId};
use core::sync::atomic::Ordering;

#[cfg(not(millpond_loom))]
use core::sync::atomic::AtomicU32;
#[cfg(millpond_loom)]
use loom::sync::atomic::AtomicU32;

/// The generation of a slot, shared by the one who fills it and those who read.
///
/// Zeroed memory is a slot that was never opened (outside of models).
#[derive(Debug)]
#[repr(transparent)]
pub struct Life {
    generation: AtomicU32,
}

impl Life {
    /// A slot whose last generation was `generation`.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self {
            generation: AtomicU32::new(generation.bits()),
        }
    }

    /// The generation. What was put into the slot before it came to this life is
    /// seen.
    #[inline(always)]
    #[must_use]
    pub fn generation(&self) -> Generation {
        // Acquire: see `open`.
        Generation::from_bits(self.generation.load(Ordering::Acquire))
    }

    /// Whether the slot is live.
    #[inline(always)]
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.generation().is_live()
    }

    /// Whether `id` names what is in the slot; if so it may be read, as long as
    /// nobody can [close](Life::close) it.
    #[inline(always)]
    #[must_use]
    pub fn is_named_by(&self, id: RawId) -> bool {
        self.generation().is_named_by(id)
    }

    /// Brings a slot to life that the caller has filled; `None` if it is live or
    /// retired.
    ///
    /// Only for the one to whom the slot was given.
    #[inline]
    #[must_use = "a slot that was not opened has no id"]
    pub fn open(&self, index: u32) -> Option<RawId> {
        // Relaxed: nobody else writes it.
        let mut generation = Generation::from_bits(self.generation.load(Ordering::Relaxed));
        let id = RawId::new(index, generation.open()?);
        // Release: whoever reads by the id sees what is in the slot.
        self.generation.store(generation.bits(), Ordering::Release);
        id
    }

    /// Ends the life of a slot, so that every id of it is stale; answers the
    /// generation, which says whether the slot may be used again. `None` if it is
    /// not live.
    ///
    /// Only for one who knows that nobody reads it, or will by these ids.
    #[inline]
    #[must_use = "a retired slot is not used again"]
    pub fn close(&self) -> Option<Generation> {
        let mut generation = Generation::from_bits(self.generation.load(Ordering::Relaxed));
        if !generation.close() {
            return None;
        }
        self.generation.store(generation.bits(), Ordering::Release);
        Some(generation)
    }
}

#[cfg(all(test, not(millpond_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_one_life() {
        let slot = Life::new(Generation::NEW);
        let first = slot.open(5).expect("vacant");
        assert!(slot.is_live() && slot.is_named_by(first));
        assert_eq!(slot.open(5), None, "it is live");
        assert!(!slot.close().expect("live").is_retired());
        assert_eq!(slot.close(), None, "once");
        let second = slot.open(5).expect("vacant");
        assert!(slot.is_named_by(second) && !slot.is_named_by(first));
    }

    #[test]
    fn the_last_life_retires_the_slot() {
        let slot = Life::new(Generation::from_bits(u32::MAX - 3));
        assert!(slot.open(0).is_some());
        assert!(slot.close().expect("live").is_retired());
        assert_eq!(slot.open(0), None);
    }
}
