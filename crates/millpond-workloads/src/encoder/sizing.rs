//! Adaptive sizing: how many pages a pool should have, from how often it had none.
//!
//! ```text
//!  overflow rate of the window     advice
//!  above 5 %                       1.5 ×
//!  1 % to 5 %                      stay
//!  below 1 %                       0.75 ×
//!  no acquires                     none
//! ```
//!
//! The rate is that of the acquires since the last advice. A rate over a pool's
//! whole life hardly moves after a while, so a pool that followed it would never
//! adapt to a change.

/// The rules by which a pool adapts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizing {
    start: usize,
    smallest: usize,
    largest: usize,
    every: u32,
    adaptive: bool,
}

/// Where the window since the last advice began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    pub(super) encodings: u32,
    pub(super) acquires: u64,
    pub(super) overflows: u64,
}

/// What should become of a pool's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Leave it.
    Stay,
    /// Change it.
    Resize {
        /// The new size.
        to: usize,
    },
}

const GROW_ABOVE: f64 = 0.05;
const SHRINK_BELOW: f64 = 0.01;

impl Sizing {
    /// A pool of `size` pages for ever; advice is given only when asked for.
    #[must_use]
    pub const fn fixed(size: usize) -> Self {
        Self {
            start: size,
            smallest: 16,
            largest: 128,
            every: 100,
            adaptive: false,
        }
    }

    /// A pool of 16 pages that follows its own advice every 100 encodings, and has
    /// never fewer than 16 pages nor more than 128.
    #[must_use]
    pub const fn adaptive() -> Self {
        Self {
            adaptive: true,
            ..Self::fixed(16)
        }
    }

    pub(super) const fn start(&self) -> usize {
        self.start
    }

    pub(super) const fn every(&self) -> u32 {
        self.every
    }

    pub(super) const fn is_adaptive(&self) -> bool {
        self.adaptive
    }

    /// Advice for a pool of `size`; `None` without acquires.
    ///
    /// ```
    /// use millpond_workloads::encoder::sizing::{Advice, Sizing};
    ///
    /// let sizing = Sizing::adaptive();
    /// assert_eq!(sizing.advice(16, 1_000, 51), Some(Advice::Resize { to: 24 }));
    /// assert_eq!(sizing.advice(16, 1_000, 50), Some(Advice::Stay));
    /// assert_eq!(sizing.advice(64, 1_000, 9), Some(Advice::Resize { to: 48 }));
    /// assert_eq!(sizing.advice(16, 1_000, 0), Some(Advice::Stay));
    /// assert_eq!(sizing.advice(16, 0, 0), None);
    /// ```
    #[must_use]
    pub fn advice(&self, size: usize, acquires: u64, overflows: u64) -> Option<Advice> {
        if acquires == 0 {
            return None;
        }
        let rate = overflows as f64 / acquires as f64;
        let wanted = if rate > GROW_ABOVE {
            size + size / 2
        } else if rate < SHRINK_BELOW {
            size - size / 4
        } else {
            size
        };
        let to = wanted.clamp(self.smallest, self.largest);
        Some(if to == size {
            Advice::Stay
        } else {
            Advice::Resize { to }
        })
    }
}
