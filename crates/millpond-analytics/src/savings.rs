//! Savings: what pools spared, computed from what they counted.

use crate::calibration::Calibration;
use crate::snapshot::{PoolSnapshot, Snapshot};
use millpond_core::observe::Observation;
use serde::{Deserialize, Serialize};

/// What a pool, or all of them, spared a plain allocator.
///
/// Nothing is assumed. An item that was created, and one that lay outside the
/// capacity, counts as an allocation that the program would have made too;
/// every other acquire is one that it did not make. What cannot be computed is
/// `None` and is not shown.
///
/// ```
/// use millpond_analytics::{Calibration, Registry, Savings};
///
/// let savings = Savings::of(&Registry::new().snapshot(), Some(&Calibration::measure()));
/// assert_eq!(savings.allocations_avoided, 0); // Nothing happened.
/// assert_eq!(savings.reuse_ratio(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Savings {
    /// Acquires that were served from an item that existed: each an allocation,
    /// and the freeing of it, that was not made.
    pub allocations_avoided: u64,
    /// Allocations that were made all the same.
    pub allocations_made: u64,
    /// Bytes of the acquires that were served from what existed.
    pub bytes_reused: u64,
    /// Bytes that were allocated.
    pub bytes_allocated: u64,
    /// Most bytes of items that were ever out at once, at most.
    pub peak_bytes: u64,
    /// Nanoseconds spared, less what the pools took; negative if they cost more
    /// than they spared. Known for items whose size was calibrated.
    pub time_saved_ns: Option<f64>,
}

impl Savings {
    /// Of all pools of a snapshot. Time is known if it is for every pool that was
    /// used.
    #[must_use]
    pub fn of(snapshot: &Snapshot, machine: Option<&Calibration>) -> Self {
        let pools = snapshot.pools.iter();
        sum(pools.map(|pool| Self::of_pool(pool, machine)))
    }

    /// Of one pool.
    #[must_use]
    pub fn of_pool(pool: &PoolSnapshot, machine: Option<&Calibration>) -> Self {
        let parts = pool.parts();
        sum(parts.map(|(_, figures, _)| Self::of_figures(&figures, machine)))
    }

    fn of_figures(figures: &Observation, machine: Option<&Calibration>) -> Self {
        let item_bytes = figures.item_bytes as u64;
        let outside = figures.fallbacks.saturating_add(figures.oversizes);
        let made = figures.created_total.saturating_add(outside);
        let avoided = figures.acquires.saturating_sub(figures.created_total);
        Self {
            allocations_avoided: avoided,
            allocations_made: made,
            bytes_reused: avoided.saturating_mul(item_bytes),
            bytes_allocated: made.saturating_mul(item_bytes),
            peak_bytes: (figures.high_water as u64).saturating_mul(item_bytes),
            time_saved_ns: machine.and_then(|machine| time_saved(figures, machine)),
        }
    }

    /// Bytes reused for each that was allocated. `None` if none was.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn reuse_ratio(&self) -> Option<f64> {
        (self.bytes_allocated > 0).then(|| self.bytes_reused as f64 / self.bytes_allocated as f64)
    }
}

/// What all acquires would have taken of the allocator, less what they took of
/// the pool.
#[expect(clippy::cast_precision_loss, reason = "an estimate of time")]
fn time_saved(figures: &Observation, machine: &Calibration) -> Option<f64> {
    if figures.acquires == 0 {
        return Some(0.0);
    }
    if figures.item_bytes == 0 {
        return None;
    }
    let heap = figures.acquires as f64 * machine.heap_ns(figures.item_bytes)?;
    let pool = figures.hits as f64 * machine.hit_ns + figures.misses as f64 * machine.miss_ns;
    Some(heap - pool)
}

fn sum(parts: impl Iterator<Item = Savings>) -> Savings {
    let nothing = Savings {
        time_saved_ns: Some(0.0),
        ..Savings::default()
    };
    parts.fold(nothing, |sum, part| Savings {
        allocations_avoided: sum
            .allocations_avoided
            .saturating_add(part.allocations_avoided),
        allocations_made: sum.allocations_made.saturating_add(part.allocations_made),
        bytes_reused: sum.bytes_reused.saturating_add(part.bytes_reused),
        bytes_allocated: sum.bytes_allocated.saturating_add(part.bytes_allocated),
        peak_bytes: sum.peak_bytes.saturating_add(part.peak_bytes),
        time_saved_ns: sum
            .time_saved_ns
            .zip(part.time_saved_ns)
            .map(|(a, b)| a + b),
    })
}
