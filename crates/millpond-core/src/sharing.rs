//! How many share one item: a count of its holders, the last of whom ends it.
//!
//! ```text
//!   new ──► 1 ── retain ──► 2 ── release ──► 1 ── release ──► 0: the last one
//! ```
//!
//! Whoever is told to be the last sees everything that the others did with the
//! item, and is alone with it.

use crate::engine::Mode;
use core::sync::atomic::Ordering;

// Not by way of the shim, which is there with `std` only: local pools count too.
#[cfg(not(millpond_loom))]
use core::sync::atomic::{AtomicUsize, fence};
#[cfg(millpond_loom)]
use loom::sync::atomic::{AtomicUsize, fence};

/// More holders than can be had without forgetting some on purpose.
const TOO_MANY: usize = usize::MAX / 2;

/// A count of holders, of whom there is one when it is made.
#[derive(Debug)]
pub struct Sharing {
    holders: AtomicUsize,
}

impl Sharing {
    /// One holder.
    #[cfg(not(millpond_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            holders: AtomicUsize::new(1),
        }
    }

    /// One holder.
    #[cfg(millpond_loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            holders: AtomicUsize::new(1),
        }
    }

    /// Makes the caller the one holder of an item that nobody shares: it is made, or
    /// whoever was alone with it shares it again.
    #[inline]
    pub fn begin(&self) {
        self.holders.store(1, Ordering::Relaxed);
    }

    /// Counts one more holder: the caller is one, and vouches for the next. One
    /// atomic read-modify-write if threads share the item, none in a local pool.
    ///
    /// # Panics
    ///
    /// If holders were forgotten half as many times as there are addresses.
    #[inline]
    pub fn retain<M: Mode>(&self) {
        if !M::THREADS {
            let before = self.holders.load(Ordering::Relaxed);
            assert!(before < TOO_MANY, "an item has too many holders");
            self.holders.store(before + 1, Ordering::Relaxed);
            return;
        }
        if self.holders.fetch_add(1, Ordering::Relaxed) >= TOO_MANY {
            self.refuse_slow();
        }
    }

    /// Takes the count of a holder too many back: panics that are caught must not
    /// add up to no holder at all.
    #[cold]
    #[inline(never)]
    fn refuse_slow(&self) -> ! {
        self.holders.fetch_sub(1, Ordering::Relaxed);
        panic!("an item has too many holders");
    }

    /// Counts one holder more if there is any, or nobody; whether it did. For who is
    /// no holder, and knows that the count is there.
    #[inline]
    #[must_use = "without it the caller is no holder"]
    pub fn join(&self) -> bool {
        let more = |holders: usize| (1..TOO_MANY).contains(&holders).then_some(holders + 1);
        self.holders
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Counts one holder less; whether it was the last.
    #[inline]
    #[must_use = "the last one ends the item"]
    pub fn release<M: Mode>(&self) -> bool {
        if !M::THREADS {
            let left = self.holders.load(Ordering::Relaxed) - 1;
            self.holders.store(left, Ordering::Relaxed);
            return left == 0;
        }
        // Release: what this holder did is seen by the last one.
        if self.holders.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        fence(Ordering::Acquire);
        true
    }

    /// Whether there is one holder only, who then may change the item.
    #[inline]
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.holders.load(Ordering::Acquire) == 1
    }

    /// Holders at some instant.
    #[must_use]
    pub fn holders(&self) -> u64 {
        self.holders.load(Ordering::Relaxed) as u64
    }
}

#[cfg(not(millpond_loom))]
impl Default for Sharing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(millpond_loom)))]
mod tests {
    extern crate std;

    use super::*;
    use crate::engine::Local;
    #[cfg(feature = "std")]
    use crate::engine::Shared;

    fn refuses_and_forgets<M: Mode>() {
        let item = Sharing {
            holders: AtomicUsize::new(TOO_MANY),
        };
        for _ in 0..3 {
            std::panic::catch_unwind(|| item.retain::<M>()).expect_err("too many");
            assert_eq!(item.holders(), TOO_MANY as u64);
        }
        assert!(!item.join());
        assert!(!item.release::<M>());
        item.retain::<M>();
        assert_eq!(item.holders(), TOO_MANY as u64);
    }

    #[test]
    fn nobody_joins_an_item_that_has_ended() {
        let item = Sharing::new();
        assert!(item.join());
        assert!(!item.release::<Local>());
        assert!(item.release::<Local>());
        assert!(!item.join());
    }

    /// Or whoever catches each panic would come around to no holder at all.
    #[test]
    fn one_holder_too_many_is_not_counted() {
        refuses_and_forgets::<Local>();
        #[cfg(feature = "std")]
        refuses_and_forgets::<Shared>();
    }
}
