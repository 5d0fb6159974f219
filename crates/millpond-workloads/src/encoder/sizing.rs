//! Sizing: how many pages a pool begins with, and whether it follows its own advice.
//!
//! The rules are the engine's, [`millpond_core::adaptive`]: above 5 % of overflows in
//! the window since the last advice the pool grows by half, below 1 % it shrinks by a
//! quarter. A rate over a pool's whole life hardly moves after a while, so a pool that
//! followed it would never adapt to a change.

use millpond_core::adaptive::Adaptive;

/// How many pages a pool has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizing {
    start: usize,
    adaptive: bool,
}

impl Sizing {
    /// Encodings between one advice and the next.
    pub const EVERY: u32 = 100;

    /// Fewest and most pages of a pool that adapts.
    const BOUNDS: (usize, usize) = (16, 128);

    /// A pool of `size` pages for ever; advice is given only when asked for.
    #[must_use]
    pub const fn fixed(size: usize) -> Self {
        Self {
            start: size,
            adaptive: false,
        }
    }

    /// A pool of 16 pages that follows its own advice every 100 encodings, and has
    /// never fewer than 16 pages nor more than 128.
    #[must_use]
    pub const fn adaptive() -> Self {
        Self {
            start: Self::BOUNDS.0,
            adaptive: true,
        }
    }

    pub(super) const fn start(&self) -> usize {
        self.start
    }

    pub(super) const fn is_adaptive(&self) -> bool {
        self.adaptive
    }

    pub(super) const fn rules(&self) -> Adaptive {
        Adaptive::between(Self::BOUNDS.0, Self::BOUNDS.1)
    }
}
