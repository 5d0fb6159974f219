//! Sizes: the class table, and the nominal size of arenas, for what was asked.

use crate::snapshot::PoolSnapshot;
use millpond_core::observe::{Observation, Sampled};
use millpond_core::size_class::{SizeClasses, optimise, waste};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Sizes up to this are counted in a table, by index.
///
/// A megabyte of sizes is 8 MB of counters, and most traffic that is worth
/// pooling lies below. Counting ten million sizes takes some 30 ms in the table,
/// and a second in a hash map.
const DENSE: usize = 1 << 20;

/// A page: arenas are sized in pages.
const PAGE: usize = 4096;

/// How often each size occurs.
///
/// ```
/// let counted = millpond_analytics::count_sizes([100, 200, 100]);
/// assert_eq!(counted, [(100, 2), (200, 1)]);
/// ```
#[must_use]
pub fn count_sizes(sizes: impl IntoIterator<Item = usize>) -> Vec<(usize, u64)> {
    let mut dense: Vec<u64> = Vec::new();
    let mut sparse: HashMap<usize, u64> = HashMap::new();
    for size in sizes {
        if let Some(count) = dense.get_mut(size) {
            *count += 1;
        } else if size < DENSE {
            dense.resize((size + 1).next_power_of_two(), 0);
            dense[size] += 1;
        } else {
            *sparse.entry(size).or_default() += 1;
        }
    }
    let small = dense
        .into_iter()
        .enumerate()
        .filter(|&(_, count)| count > 0);
    let mut counted: Vec<(usize, u64)> = small.chain(sparse).collect();
    counted.sort_unstable();
    counted
}

/// The requests of a pool: the sizes that were sampled in each class, scaled to
/// the acquires of the class, which are exact.
#[must_use]
pub fn requests(pool: &PoolSnapshot) -> Vec<(usize, u64)> {
    let mut requests = Vec::new();
    for (_, figures, sampled) in pool.parts() {
        let seen = u128::from(sampled.sizes.count()).max(1);
        let all = u128::from(figures.acquires).max(seen);
        let (mut below, mut given) = (0, 0);
        for (bound, count) in sampled.sizes.buckets() {
            // Rounded as a running sum, so that nothing gets lost on the way.
            below += u128::from(count);
            let scaled = below.saturating_mul(all) / seen - given;
            given += scaled;
            let size = usize::try_from(bound).unwrap_or(usize::MAX);
            requests.push((size, u64::try_from(scaled).unwrap_or(u64::MAX)));
        }
    }
    requests
}

/// A table of size classes, and what it would have wasted on what was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClassAdvice {
    /// Sizes of the classes in bytes, in order.
    pub sizes: Vec<usize>,
    /// Bytes wasted, as a share of bytes granted.
    pub waste_share: f64,
    /// The same of the table that there is; `None` if there is none.
    pub current_waste_share: Option<f64>,
    /// Requests that it is computed from.
    pub requests: u64,
    /// Requests that no class of the current table fits.
    pub current_oversize: u64,
}

impl ClassAdvice {
    pub(super) fn of(
        recorded: &[(usize, u64)],
        current: &[usize],
        most: usize,
        step: usize,
    ) -> Option<Self> {
        let step = step.max(1);
        let largest = usize::MAX / 4;
        let asked = recorded
            .iter()
            .filter(|&&(size, count)| size <= largest && count > 0);
        let rounded: Vec<(usize, u64)> = asked
            .map(|&(size, count)| (size.max(1).next_multiple_of(step), count))
            .collect();
        let table = optimise(&rounded, most).ok()?;
        let now = SizeClasses::new(current).ok();
        let now = now.map(|now| waste(&now, recorded));
        let counts = recorded.iter().map(|&(_, count)| count);
        Some(Self {
            sizes: table.sizes().to_vec(),
            waste_share: waste(&table, recorded).share(),
            current_waste_share: now.map(|now| now.share()),
            requests: counts.fold(0, u64::saturating_add),
            current_oversize: now.map_or(0, |now| u64::try_from(now.oversize).unwrap_or(u64::MAX)),
        })
    }
}

/// The size that the arenas of a kind should have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NominalAdvice {
    /// Bytes of an arena, a multiple of a page.
    pub bytes: usize,
    /// Share of leases that would have fitted.
    pub share_that_fits: f64,
    /// Bytes of such an arena that an average lease leaves unused.
    pub idle_bytes: u64,
    /// The size that arenas have; 0 if they differ.
    pub current: usize,
}

impl NominalAdvice {
    pub(super) fn of(sampled: &Sampled, figures: &Observation, target: f64) -> Option<Self> {
        let used = &sampled.sizes;
        let wanted = usize::try_from(used.quantile(target)?).ok()?;
        let bytes = wanted.checked_next_multiple_of(PAGE)?;
        let fitting = used.buckets().filter(|&(bound, _)| bound <= bytes as u64);
        let fitting = fitting.map(|(_, count)| count).fold(0, u64::saturating_add);
        let average = used.sum() / used.count().max(1);
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share_that_fits = fitting as f64 / used.count() as f64;
        Some(Self {
            bytes,
            share_that_fits,
            idle_bytes: (bytes as u64).saturating_sub(average),
            current: figures.item_bytes,
        })
    }
}
