//! Tenancy: the word of a slot that is named by ids, and who may look inside.
//!
//! ```text
//!   63                    32  31                         0
//!   ┌───────────────────────┬─────────────────────────────┐
//!   │ generation            │ pins                        │
//!   └───────────────────────┴─────────────────────────────┘
//!
//!   generation  pins    the slot                         who may touch the value
//!   odd         n       live                             pins, to read
//!   even        n > 0   ending: its ids are stale        pins, to read
//!   even        0       vacant, or filled or emptied     who fills or empties it
//!   retired     0       never used again                 who empties it
//! ```
//!
//! A pin is counted only if the id is the slot's, in one compare-and-swap; an end
//! makes the id stale in one too. So whoever leaves an even generation without
//! pins behind (the end of the last pin, or the end of the tenancy where there is
//! none) is alone with the value from then on, and is the only one.
//!
//! The generation has the upper half to itself, and what ends is stale by its
//! generation alone, so that a lookup is one comparison.

use crate::id::{Generation, RawId};
use crate::sync::{AtomicU64, Ordering, const_unless_model, fence};

/// One in the generation.
const ONE_LIFE: u64 = 1 << 32;
const PINS: u64 = ONE_LIFE - 1;

/// The word of one slot.
#[derive(Debug)]
pub struct Tenancy {
    word: AtomicU64,
}

/// What came of asking for the end of a tenancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "whoever gets `Alone` ends the value"]
pub enum Ending {
    /// The id is stale, or the end was asked for already.
    Stale,
    /// Pins are out; the last of them ends the value.
    Later,
    /// The caller is alone with the value, and ends it with [`Tenancy::vacate`].
    Alone,
}

const fn generation(word: u64) -> Generation {
    Generation::from_bits((word >> 32) as u32)
}

const fn word_of(generation: Generation) -> u64 {
    (generation.bits() as u64) << 32
}

impl Tenancy {
    const_unless_model! {
        /// A vacant slot whose last generation was `generation`.
        pub fn new(generation: Generation) -> Self {
            Self { word: AtomicU64::new(word_of(generation)) }
        }
    }

    /// The generation.
    #[inline(always)]
    #[must_use]
    pub fn generation(&self) -> Generation {
        generation(self.word.load(Ordering::Relaxed))
    }

    /// Whether `id` names what is in the slot, and it does not end. By itself
    /// this gives no right to look at the value, unless nobody can end it.
    #[inline(always)]
    #[must_use]
    pub fn is_named_by(&self, id: RawId) -> bool {
        self.generation().is_named_by(id)
    }

    /// Whether there is a value in the slot: it is live, or ends when its pins do.
    #[must_use]
    pub fn is_occupied(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        generation(word).is_live() || word & PINS != 0
    }

    /// Makes a vacant slot, in which the caller has put a value, live. The
    /// answer is `None` if the slot is not vacant.
    ///
    /// Only the one to whom the slot was given may call this.
    #[inline]
    #[must_use]
    pub fn open(&self, index: u32) -> Option<RawId> {
        let mut generation = self.generation();
        let id = RawId::new(index, generation.open()?);
        // Release: whoever pins sees the value.
        self.word.store(word_of(generation), Ordering::Release);
        id
    }

    /// Counts a pin, if `id` names what is in the slot. `false` also if there are
    /// 2³² − 1 pins already.
    #[inline]
    #[must_use = "a pin is ended by `unpin`"]
    pub fn pin(&self, id: RawId) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if !generation(word).is_named_by(id) || word & PINS == PINS {
                return false;
            }
            // Acquire: the value was put in before.
            let swapped = self.word.compare_exchange_weak(
                word,
                word + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Ends a pin; `true` if the caller is alone with the value now, and must end
    /// it with [`Tenancy::vacate`].
    ///
    /// Only for a pin that was counted, once.
    #[inline]
    #[must_use = "whoever is alone ends the value"]
    pub fn unpin(&self) -> bool {
        // Release: what was read was read before the value ends.
        let before = self.word.fetch_sub(1, Ordering::Release);
        if generation(before).is_live() || before & PINS != 1 {
            return false;
        }
        fence(Ordering::Acquire);
        true
    }

    /// Ends what `id` names: every id of it is stale, and no pin is given from
    /// here on.
    #[inline]
    pub fn end(&self, id: RawId) -> Ending {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if !generation(word).is_named_by(id) {
                return Ending::Stale;
            }
            // Acquire: the value, and what pins that are gone did with it.
            let swapped = self.word.compare_exchange_weak(
                word,
                word + ONE_LIFE,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) if word & PINS == 0 => return Ending::Alone,
                Ok(_) => return Ending::Later,
                Err(now) => word = now,
            }
        }
    }

    /// Makes every id of the slot stale and forgets its pins, before what was in
    /// it is dropped or given away. Answers whether the slot may be used again.
    ///
    /// Only for the one who is alone with the value.
    #[inline]
    #[must_use = "a retired slot is not used again"]
    pub fn vacate(&self) -> bool {
        let mut generation = self.generation();
        // Else it was ended before.
        let _ = generation.close();
        // What follows is published with the slot itself.
        self.word.store(word_of(generation), Ordering::Relaxed);
        !generation.is_retired()
    }
}

#[cfg(all(test, not(millpond_loom)))]
mod tests {
    use super::*;

    fn opened() -> (Tenancy, RawId) {
        let slot = Tenancy::new(Generation::NEW);
        let id = slot.open(3).expect("vacant");
        (slot, id)
    }

    #[test]
    fn an_end_waits_for_pins_and_the_last_one_is_alone() {
        let (slot, id) = opened();
        assert!(slot.pin(id) && slot.pin(id));
        assert_eq!(slot.end(id), Ending::Later);
        assert!(!slot.pin(id), "it ends");
        assert_eq!(slot.end(id), Ending::Stale, "once");
        assert!(!slot.unpin());
        assert!(slot.unpin(), "the last one");
        assert!(slot.vacate());
        assert!(!slot.is_named_by(id));
    }

    #[test]
    fn a_slot_without_pins_ends_at_once_and_gets_another_id() {
        let (slot, id) = opened();
        assert_eq!(slot.open(3), None, "it is live");
        assert_eq!(slot.end(id), Ending::Alone);
        assert!(slot.vacate());
        let next = slot.open(3).expect("vacant");
        assert_ne!(id, next);
        assert!(!slot.pin(id) && slot.pin(next));
        assert_eq!(slot.end(id), Ending::Stale);
        assert!(!slot.unpin());
    }

    #[test]
    fn pins_that_were_forgotten_never_reach_the_generation() {
        let (slot, id) = opened();
        slot.word.fetch_add(PINS, Ordering::Relaxed);
        assert!(!slot.pin(id));
        assert!(slot.is_named_by(id));
    }

    #[test]
    fn a_slot_that_ends_is_occupied_until_its_pins_are_gone_or_forgotten() {
        let (slot, id) = opened();
        assert!(slot.pin(id) && slot.is_occupied());
        assert_eq!(slot.end(id), Ending::Later);
        assert!(slot.is_occupied() && !slot.is_named_by(id));
        assert!(slot.vacate(), "by one who knows that the pin was forgotten");
        assert!(!slot.is_occupied());
        assert!(slot.open(3).is_some_and(|next| next != id));
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let slot = Tenancy::new(Generation::from_bits(u32::MAX - 3));
        let id = slot.open(0).expect("one life is left");
        assert_eq!(slot.end(id), Ending::Alone);
        assert!(!slot.vacate());
        assert_eq!(slot.open(0), None);
    }
}
