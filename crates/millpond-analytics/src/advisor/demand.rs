//! Demand: how many items were wanted at a time, and the capacity that serves it.

use crate::series::Series;
use millpond_core::observe::Observation;
use serde::{Deserialize, Serialize};

/// How many items were wanted at a time, weighed by how many acquires wanted
/// them.
///
/// ```
/// use millpond_analytics::Demand;
///
/// // 990 acquires while up to 10 items were out, 10 acquires at up to 100.
/// let demand = Demand::from_pairs([(10, 990), (100, 10)]);
/// assert_eq!(demand.acquires(), 1000);
/// assert_eq!(demand.capacity_for(1.0), 100);
/// assert_eq!(demand.capacity_for(0.99), 10);
/// assert_eq!(demand.share_served(10), 0.991);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Items and acquires, by items.
    levels: Vec<(usize, u64)>,
}

impl Demand {
    /// From pairs: so many items were wanted by so many acquires.
    #[must_use]
    pub fn from_pairs(pairs: impl IntoIterator<Item = (usize, u64)>) -> Self {
        let mut levels: Vec<(usize, u64)> = pairs.into_iter().filter(|pair| pair.1 > 0).collect();
        levels.sort_unstable();
        levels.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        Self { levels }
    }

    /// From one look at a pool: its peak, and what lay outside of it, is taken
    /// for the demand of every acquire. Errs towards too many items.
    #[must_use]
    pub fn of(figures: &Observation) -> Self {
        let outside = figures.fallback_in_use.saturating_add(figures.waiting);
        let wanted = figures.high_water.saturating_add(outside);
        let asked = figures.acquires.saturating_add(figures.exhausted);
        Self::from_pairs([(wanted, asked)])
    }

    /// From a series: the demand of an interval is what was out at its end, with
    /// those who waited and what fell back.
    #[must_use]
    pub fn of_series(series: &Series, pool: &str) -> Self {
        Self::from_pairs(series.intervals(pool).map(|interval| {
            let figures = interval.figures;
            let inside = figures.in_use.saturating_add(figures.waiting);
            let wanted = inside.saturating_add(figures.fallback_in_use);
            // Who was refused wanted one item more than there were.
            let refused = usize::from(figures.exhausted > 0);
            let asked = figures.acquires.saturating_add(figures.exhausted);
            (wanted.saturating_add(refused).max(1), asked)
        }))
    }

    /// How many acquires there were.
    #[must_use]
    pub fn acquires(&self) -> u64 {
        let counts = self.levels.iter().map(|&(_, count)| count);
        counts.fold(0, u64::saturating_add)
    }

    /// The share of acquires that a pool of `capacity` items serves: where more
    /// are wanted than there are, as many as there are.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn share_served(&self, capacity: usize) -> f64 {
        let served: f64 = self
            .levels
            .iter()
            .map(|&(wanted, count)| match wanted <= capacity {
                true => count as f64,
                false => count as f64 * capacity as f64 / wanted as f64,
            })
            .sum();
        match self.acquires() {
            0 => 1.0,
            all => served / all as f64,
        }
    }

    /// The smallest capacity that serves a share `target` of all acquires.
    #[must_use]
    pub fn capacity_for(&self, target: f64) -> usize {
        let (mut low, mut high) = (0, self.levels.last().map_or(0, |level| level.0));
        // The share grows with the capacity: halve.
        while low < high {
            let middle = low + (high - low) / 2;
            if self.share_served(middle) >= target {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// How many items a pool should have, and what that would have meant for what
/// was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CapacityAdvice {
    /// The capacity.
    pub capacity: usize,
    /// How many items to create before traffic.
    pub warm_up: usize,
    /// The capacity that there is.
    pub current: usize,
    /// Share of acquires that the advised capacity serves.
    pub share_served: f64,
    /// Share of acquires that found an item in fact.
    pub current_share_served: f64,
    /// Bytes of the advised items.
    pub bytes: u64,
}

impl CapacityAdvice {
    pub(super) fn of(demand: &Demand, figures: &Observation, target: f64) -> Option<Self> {
        let asked = demand.acquires();
        if asked == 0 {
            return None;
        }
        let capacity = demand.capacity_for(target);
        Some(Self {
            capacity,
            warm_up: warm_up(capacity, asked, target),
            current: figures.capacity,
            share_served: demand.share_served(capacity),
            current_share_served: share(figures.acquires, figures.exhausted),
            bytes: (capacity as u64).saturating_mul(figures.item_bytes as u64),
        })
    }
}

/// Each item that was not created before costs one acquire its hit, once: as
/// many may be missing as the target forgives.
fn warm_up(capacity: usize, asked: u64, target: f64) -> usize {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "casts of floats saturate"
    )]
    let forgiven = (asked as f64 * (1.0 - target)) as usize;
    capacity.saturating_sub(forgiven)
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn share(good: u64, bad: u64) -> f64 {
    match good.saturating_add(bad) {
        0 => 1.0,
        all => good as f64 / all as f64,
    }
}
