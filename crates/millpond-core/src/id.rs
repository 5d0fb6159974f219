//! Generational ids: eight bytes that name an item and know when it is gone.
//!
//! ```text
//!   63                    32 31                     0
//!   ┌───────────────────────┬───────────────────────┐
//!   │ generation, odd       │ slot index            │      RawId, Id<T>
//!   └───────────────────────┴───────────────────────┘
//!
//!   generation of a slot    means                         next
//!   0                       never named                   open  → 1
//!   odd                     live, under that generation   close → one more
//!   even                    vacant; older ids are stale   open  → one more
//!   LAST + 1                retired: never named again    –
//! ```
//!
//! A pool keeps one [`Generation`] for each slot. To *open* a slot makes it live
//! and gives the id; to *close* it makes that id, and every copy of it, stale.
//! The generation of a live slot is odd, so an id is never zero and an
//! `Option` of one takes eight bytes as well.
//!
//! ```
//! use millpond_core::id::{Generation, RawId};
//!
//! let mut generation = Generation::NEW;
//! let live = generation.open().expect("not retired");
//! let id = RawId::new(7, live).expect("live");
//! assert!(generation.is_named_by(id));
//!
//! assert!(generation.close());
//! assert!(!generation.is_named_by(id), "stale");
//! ```
//!
//! # Cost
//!
//! A comparison of 32 bits. Nothing here is atomic: a pool that opens slots from
//! several threads stores the bits in an atomic of its own, and publishes what
//! is in the slot with them.
//!
//! # What is guaranteed
//!
//! An id that was closed never names anything again: after 2³¹ − 1 lives a slot
//! is retired instead of starting over. An id does not know its pool: asked of
//! another one it may name an item there, though never one of another type.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::num::NonZeroU64;

/// The last generation under which a slot can be live.
const LAST: u32 = u32::MAX - 2;

/// How often a slot has been opened and closed.
///
/// See the [table of states](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Generation(u32);

impl Generation {
    /// Of a slot that was never opened.
    pub const NEW: Self = Self(0);

    /// From what [`Generation::bits`] answered.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The number, to be stored in a pool's own word.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the slot is live: opened, and not closed since.
    #[inline(always)]
    #[must_use]
    pub const fn is_live(self) -> bool {
        self.0 % 2 == 1
    }

    /// Whether the slot can never be opened again.
    #[inline]
    #[must_use]
    pub const fn is_retired(self) -> bool {
        self.0 > LAST
    }

    /// Whether `id` names the item that is live under this generation. The index
    /// is not looked at: the caller used it to find the slot.
    #[inline(always)]
    #[must_use]
    pub const fn is_named_by(self, id: RawId) -> bool {
        // The generation of an id is odd, so equality says that the slot is live.
        id.generation().0 == self.0
    }

    /// Makes a vacant slot live, and answers the new generation; `None` if it is
    /// live already or retired.
    #[inline]
    #[must_use = "a slot that was not opened has no id"]
    pub const fn open(&mut self) -> Option<Self> {
        if self.is_live() || self.is_retired() {
            return None;
        }
        self.0 += 1;
        Some(*self)
    }

    /// Makes a live slot vacant, and its id stale; `false` if it is not live.
    /// Look at [`Generation::is_retired`] before the slot is used again.
    #[inline]
    #[must_use = "a slot that was not live cannot be closed"]
    pub const fn close(&mut self) -> bool {
        if !self.is_live() || self.is_retired() {
            return false;
        }
        self.0 += 1;
        true
    }
}

/// The name of an item: the index of its slot and the generation under which it
/// is live there. What kind of item it is, is not part of it; see [`Id`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RawId(NonZeroU64);

impl RawId {
    /// The id of slot `index` under `generation`; `None` if no item can be live
    /// under it.
    #[inline]
    #[must_use]
    pub const fn new(index: u32, generation: Generation) -> Option<Self> {
        if !generation.is_live() || generation.is_retired() {
            return None;
        }
        match NonZeroU64::new((generation.0 as u64) << 32 | index as u64) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// The index of the slot.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    pub const fn index(self) -> u32 {
        self.0.get() as u32
    }

    /// The generation, which is that of a live slot.
    #[inline(always)]
    #[must_use]
    pub const fn generation(self) -> Generation {
        Generation((self.0.get() >> 32) as u32)
    }

    /// All of it, for storing elsewhere.
    #[inline(always)]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// From what [`RawId::to_bits`] answered; `None` for bits that no id has.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        Self::new(bits as u32, Generation((bits >> 32) as u32))
    }
}

impl fmt::Debug for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}v{}", self.index(), self.generation().0)
    }
}

/// A [`RawId`] that knows what kind of item it names.
///
/// `Copy`, `Send` and `Sync` whatever `T` is: an id is a number, and gives
/// access to nothing without its pool.
///
/// ```
/// use millpond_core::id::{Generation, Id, RawId};
///
/// let mut generation = Generation::NEW;
/// let raw = generation.open().and_then(|live| RawId::new(3, live));
/// let id: Id<f32> = Id::from_raw(raw.expect("live"));
/// assert_eq!(id.to_string(), "3v1");
/// assert_eq!(size_of::<Option<Id<f32>>>(), 8);
/// ```
#[repr(transparent)]
pub struct Id<T: ?Sized> {
    raw: RawId,
    _item: PhantomData<fn() -> *const T>,
}

impl<T: ?Sized> Id<T> {
    /// Says what kind of item `raw` names.
    #[inline(always)]
    #[must_use]
    pub const fn from_raw(raw: RawId) -> Self {
        Self {
            raw,
            _item: PhantomData,
        }
    }

    /// The id without its type.
    #[inline(always)]
    #[must_use]
    pub const fn raw(self) -> RawId {
        self.raw
    }

    /// All of it, for storing elsewhere.
    #[inline(always)]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.raw.to_bits()
    }

    /// From what [`Id::to_bits`] answered; `None` for bits that no id has.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match RawId::from_bits(bits) {
            Some(raw) => Some(Self::from_raw(raw)),
            None => None,
        }
    }
}

impl<T: ?Sized> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Id<T> {}

impl<T: ?Sized> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl<T: ?Sized> Eq for Id<T> {}

impl<T: ?Sized> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: ?Sized> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.raw.cmp(&other.raw)
    }
}

impl<T: ?Sized> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

impl<T: ?Sized> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({:?})", self.raw)
    }
}

impl<T: ?Sized> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.raw, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_id_is_stale_for_every_later_life() {
        let mut generation = Generation::NEW;
        let mut earlier: std::vec::Vec<RawId> = std::vec::Vec::new();
        for _ in 0..10 {
            let id = RawId::new(5, generation.open().expect("vacant")).expect("live");
            assert!(generation.is_named_by(id));
            assert!(earlier.iter().all(|&old| !generation.is_named_by(old)));
            assert!(generation.close());
            assert!(!generation.is_named_by(id));
            earlier.push(id);
        }
    }

    #[test]
    fn a_slot_is_opened_once_and_closed_once() {
        let mut generation = Generation::NEW;
        assert!(!generation.close(), "was never opened");
        assert!(generation.open().is_some());
        assert_eq!(generation.open(), None, "is live");
        assert!(generation.close());
        assert!(!generation.close(), "is vacant");
    }

    #[test]
    fn a_slot_retires_instead_of_starting_over() {
        let mut generation = Generation::from_bits(LAST - 1);
        let last = generation.open().expect("one life is left");
        assert_eq!(last.bits(), LAST);
        assert!(last.is_live() && !last.is_retired());
        assert!(generation.close());
        assert!(generation.is_retired());
        assert_eq!(generation.open(), None);
        assert!(!generation.close());
    }

    #[test]
    fn bits_come_back_as_the_same_id_and_others_are_refused() {
        for index in [0, 1, u32::MAX] {
            for generation in [1, 3, LAST] {
                let id = RawId::new(index, Generation::from_bits(generation)).expect("odd");
                assert_eq!(RawId::from_bits(id.to_bits()), Some(id));
                assert_eq!((id.index(), id.generation().bits()), (index, generation));
            }
            for generation in [0, 2, LAST + 1, u32::MAX] {
                let bits = u64::from(generation) << 32 | u64::from(index);
                assert_eq!(Id::<u8>::from_bits(bits), None);
            }
        }
    }
}
