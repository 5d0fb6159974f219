//! Adaptive capacity: how many items a pool should have, from what it saw.
//!
//! ```text
//!   overflow rate of the window    capacity
//!   > 5 %                          × 1.5, at most the bound
//!   < 1 %                          × 0.75, at least the bound
//!   else, or nothing acquired      as it is
//! ```
//!
//! Or it follows the peaks of the last windows: as many items as were enough for a
//! share of them.
//!
//! Plain arithmetic: a pool hands its figures in, and applies the advice.

use crate::observe::Observation;

/// What a pool did since it last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Acquires, those that overflowed among them.
    pub acquires: u64,
    /// Acquires that found the pool empty: refused, or allocated outside of it.
    pub overflows: u64,
}

impl Window {
    /// What happened between two observations.
    #[must_use]
    pub const fn between(earlier: &Observation, now: &Observation) -> Self {
        let served = now.acquires.saturating_sub(earlier.acquires);
        // An acquire that fell back was refused by the engine first.
        let overflows = now.exhausted.saturating_sub(earlier.exhausted);
        Self {
            acquires: served + overflows,
            overflows,
        }
    }

    /// Overflows as a share of acquires; `None` of a window without any.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn overflow_rate(&self) -> Option<f64> {
        (self.acquires > 0).then(|| self.overflows as f64 / self.acquires as f64)
    }
}

/// How a capacity follows the overflow rate.
///
/// ```
/// use millpond_core::adaptive::{Adaptive, Window};
///
/// let adaptive = Adaptive::new();
/// let window = |overflows| Window { acquires: 100, overflows };
/// assert_eq!(adaptive.advise(16, window(6)), Some(24));
/// assert_eq!(adaptive.advise(16, window(3)), None);
/// assert_eq!(adaptive.advise(64, window(0)), Some(48));
/// assert_eq!(adaptive.advise(16, window(0)), None, "never below 16");
/// assert_eq!(adaptive.advise(16, Window::default()), None, "nothing was seen");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    least: usize,
    most: usize,
    rule: Rule,
}

/// What a capacity follows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// The overflow rate.
    Overflow,
    /// The peaks: enough for so many of a thousand.
    Peaks(usize),
}

/// Windows whose peaks are remembered. With a hundred acquires each, a burst is
/// forgotten after some three thousand.
const PEAKS: usize = 32;

/// Overflow rate above which a pool grows.
const GROW_ABOVE: f64 = 0.05;

/// Overflow rate below which a pool shrinks.
const SHRINK_BELOW: f64 = 0.01;

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Adaptive {
    /// Between 16 and 128 items.
    #[must_use]
    pub const fn new() -> Self {
        Self::between(16, 128)
    }

    /// Between `least` and `most` items.
    ///
    /// # Panics
    ///
    /// If `least` is more than `most`.
    #[must_use]
    pub const fn between(least: usize, most: usize) -> Self {
        assert!(least <= most, "the bounds are in the wrong order");
        let rule = Rule::Overflow;
        Self { least, most, rule }
    }

    /// The same bounds, following the peaks of the last 32 windows: as many items as
    /// were enough for `per_mille` of a thousand of them.
    ///
    /// ```
    /// use millpond_core::adaptive::{Adaptive, Control};
    /// # use millpond_core::observe::Observation;
    /// let mut control = Control::new(Adaptive::between(16, 128).for_share_of_peaks(900));
    /// # let mut figures = Observation::default();
    /// # (figures.capacity, figures.in_use) = (16, 16);
    /// # (figures.acquires, figures.exhausted, figures.fallback_in_use) = (60, 40, 40);
    /// // `figures` are those of a pool of 16 with 40 more items outside.
    /// assert_eq!(control.advise(&figures), Some(56));
    /// ```
    #[must_use]
    pub const fn for_share_of_peaks(mut self, per_mille: usize) -> Self {
        self.rule = Rule::Peaks(per_mille);
        self
    }

    /// The least and the most items.
    #[must_use]
    pub const fn bounds(&self) -> (usize, usize) {
        (self.least, self.most)
    }

    /// Of a thousand peaks, how many the capacity is enough for; `None` if it follows
    /// the overflow rate.
    #[must_use]
    pub const fn share_of_peaks(&self) -> Option<usize> {
        match self.rule {
            Rule::Overflow => None,
            Rule::Peaks(per_mille) => Some(per_mille),
        }
    }

    /// The capacity that a pool of `capacity` items should have after `window`;
    /// `None` if that is what it has.
    #[must_use]
    pub fn advise(&self, capacity: usize, window: Window) -> Option<usize> {
        let rate = window.overflow_rate()?;
        self.bounded(capacity, Self::by_overflow(capacity, rate))
    }

    fn bounded(&self, capacity: usize, advised: usize) -> Option<usize> {
        let advised = advised.clamp(self.least, self.most);
        (advised != capacity).then_some(advised)
    }

    fn by_overflow(capacity: usize, rate: f64) -> usize {
        if rate > GROW_ABOVE {
            capacity.saturating_add(capacity.div_ceil(2).max(1))
        } else if rate < SHRINK_BELOW {
            capacity - capacity / 4
        } else {
            capacity
        }
    }
}

/// Advice for one pool, from one look at it to the next.
///
/// ```
/// use millpond_core::adaptive::{Adaptive, Control};
/// # use millpond_core::observe::Observation;
/// let mut control = Control::new(Adaptive::new());
/// # let mut figures = Observation::default();
/// # (figures.capacity, figures.acquires, figures.exhausted) = (16, 90, 10);
/// // `figures` are those of a pool that was exhausted 10 times in 100.
/// assert_eq!(control.advise(&figures), Some(24));
/// assert_eq!(control.advise(&figures), None, "nothing happened since");
/// ```
#[derive(Clone, Debug)]
pub struct Control {
    adaptive: Adaptive,
    earlier: Observation,
    /// The most items that were seen out in this window.
    peak: usize,
    /// Of the last windows, in a ring.
    peaks: [usize; PEAKS],
    windows: usize,
}

impl Control {
    /// Advice by `adaptive`, from what a pool does from its beginning on.
    #[must_use]
    pub fn new(adaptive: Adaptive) -> Self {
        Self {
            adaptive,
            earlier: Observation::default(),
            peak: 0,
            peaks: [0; PEAKS],
            windows: 0,
        }
    }

    /// Notes how many items are out, between two pieces of advice.
    pub fn look(&mut self, figures: &Observation) {
        let out = figures.in_use + figures.fallback_in_use + figures.waiting;
        self.peak = self.peak.max(out);
    }

    /// What happened since the last advice.
    #[must_use]
    pub const fn window(&self, figures: &Observation) -> Window {
        Window::between(&self.earlier, figures)
    }

    /// The capacity that a pool with these figures should have, if it is another
    /// one. A new window begins.
    pub fn advise(&mut self, figures: &Observation) -> Option<usize> {
        self.look(figures);
        let window = self.window(figures);
        let capacity = figures.capacity;
        self.earlier = *figures;
        let peak = core::mem::take(&mut self.peak);
        let Rule::Peaks(per_mille) = self.adaptive.rule else {
            return self.adaptive.advise(capacity, window);
        };
        let rate = window.overflow_rate()?;
        // Who was refused is not out: then as much more as the overflow rate says.
        let wanted = match window.overflows {
            0 => 0,
            _ => Adaptive::by_overflow(capacity, rate.max(SHRINK_BELOW)),
        };
        self.peaks[self.windows % PEAKS] = peak.max(wanted);
        self.windows += 1;
        let mut peaks = self.peaks;
        let enough = percentile(&mut peaks[..self.windows.min(PEAKS)], per_mille);
        self.adaptive.bounded(capacity, enough?)
    }
}

/// The capacity that would have been enough for a share of the peaks that were
/// seen, 990 of 1,000 for example. Sorts `peaks`; `None` of none.
///
/// ```
/// use millpond_core::adaptive::percentile;
///
/// let mut peaks = [10, 900, 12, 11, 13, 12, 10, 11, 12, 13];
/// assert_eq!(percentile(&mut peaks, 900), Some(13));
/// assert_eq!(percentile(&mut peaks, 1000), Some(900));
/// ```
#[must_use]
pub fn percentile(peaks: &mut [usize], per_mille: usize) -> Option<usize> {
    peaks.sort_unstable();
    let rank = (peaks.len() * per_mille.min(1000)).div_ceil(1000);
    peaks.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_follows_demand_up_and_down_within_its_bounds() {
        let adaptive = Adaptive::new();
        let settle = |mut capacity, overflows| {
            let window = Window {
                acquires: 100,
                overflows,
            };
            let mut steps = 0;
            while let Some(advised) = adaptive.advise(capacity, window) {
                assert!((16..=128).contains(&advised));
                (capacity, steps) = (advised, steps + 1);
                assert!(steps < 20, "it settles");
            }
            capacity
        };
        assert_eq!(settle(16, 50), 128);
        assert_eq!(settle(128, 0), 16);
        assert_eq!(settle(40, 2), 40);
        assert_eq!(settle(1, 2), 16, "into the bounds at once");
    }

    #[test]
    fn peaks_are_followed_up_at_once_and_down_when_they_are_forgotten() {
        let mut control = Control::new(Adaptive::between(4, 100).for_share_of_peaks(1000));
        let mut figures = Observation {
            capacity: 10,
            ..Observation::default()
        };
        let mut window = |capacity, in_use, outside, refused| {
            figures.capacity = capacity;
            (figures.in_use, figures.fallback_in_use) = (in_use, outside);
            figures.acquires += 100;
            figures.exhausted += refused;
            control.advise(&figures)
        };
        assert_eq!(window(10, 10, 0, 0), None, "enough");
        assert_eq!(window(10, 10, 30, 30), Some(40));
        for _ in 0..PEAKS - 1 {
            assert_eq!(window(40, 7, 0, 0), None, "the burst is remembered");
        }
        assert_eq!(window(40, 7, 0, 0), Some(7));
        assert_eq!(window(7, 7, 0, 50), Some(11), "who was refused counts too");
        assert_eq!(window(11, 11, 500, 500), Some(100), "within the bounds");
    }

    #[test]
    fn a_capacity_of_nothing_and_of_everything_can_be_advised() {
        let all = Window {
            acquires: 1,
            overflows: 1,
        };
        assert_eq!(Adaptive::between(0, 10).advise(0, all), Some(1));
        let most = Adaptive::between(0, usize::MAX);
        assert_eq!(most.advise(usize::MAX - 1, all), Some(usize::MAX));
        assert_eq!(percentile(&mut [], 500), None);
    }
}
