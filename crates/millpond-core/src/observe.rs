//! The figures of a pool, in the words that reports, metrics and errors share.

#[cfg(feature = "std")]
use crate::diagnostics::Holder;
#[cfg(feature = "alloc")]
use crate::histogram::Histogram;
#[cfg(feature = "alloc")]
use alloc::{borrow::Cow, vec::Vec};

/// Every figure that one pool (or one class of one) can give.
///
/// Counters are exact once the threads that use the pool are quiet; a sum that
/// is read while they run may be off by what is in flight, and is never
/// negative. Field names are the keys of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Observation {
    /// Bytes of one item; 0 where items differ.
    pub item_bytes: usize,
    /// Items that the pool may have.
    pub capacity: usize,
    /// Items that exist: leased, cached or in the depot.
    pub created: usize,
    /// Items that are leased.
    pub in_use: usize,
    /// Free items in the caches of threads.
    pub cached: usize,
    /// Free items in the shared depot.
    pub depot: usize,
    /// The most items that were ever outside the depot at once: leased, or in
    /// a thread's cache. An upper bound of the most that were leased.
    pub high_water: usize,
    /// Callers that stand in the queue.
    pub waiting: usize,
    /// Acquires that gave an item.
    pub acquires: u64,
    /// Acquires that the caller's own cache served.
    pub hits: u64,
    /// Acquires that took the lock: the sum of the next four.
    pub misses: u64,
    /// Misses that were served from the depot, and refilled the cache.
    pub misses_refilled: u64,
    /// Misses for which the source had to create items.
    pub misses_created: u64,
    /// Misses in a strict pool, or in a thread without a cache.
    pub misses_strict: u64,
    /// Misses that waited, and were handed an item by a release.
    pub misses_waited: u64,
    /// Releases: acquires less what is leased.
    pub releases: u64,
    /// Acquires that gave nothing.
    pub exhausted: u64,
    /// Acquires that waited in the queue.
    pub waits: u64,
    /// Acquires that waited in the queue until their deadline, and got nothing.
    pub timeouts: u64,
    /// Nanoseconds that threads and tasks spent waiting.
    pub wait_ns: u64,
    /// Releases whose item was not kept for reuse: the sum of the next four.
    pub discards: u64,
    /// Discards because as many free items were kept as may be.
    pub discards_full: u64,
    /// Discards because the item had grown beyond what may be kept.
    pub discards_large: u64,
    /// Discards because the user's reset refused the item or panicked.
    pub discards_rejected: u64,
    /// Discards because the item fits no class of the pool.
    pub discards_misfit: u64,
    /// Magazines (or parts) that caches fetched from the depot.
    pub refills: u64,
    /// Magazines (or parts) that caches gave to the depot.
    pub spills: u64,
    /// Times that all caches were stopped.
    pub stops: u64,
    /// Items that were ever created.
    pub created_total: u64,
    /// Items that were ever given back to the system.
    pub retired_total: u64,
    /// Items outside the capacity, allocated because the pool was exhausted,
    /// that are leased now.
    pub fallback_in_use: usize,
    /// Items that were ever allocated outside the capacity.
    pub fallbacks: u64,
    /// Items larger than the largest class, allocated for one lease each, that
    /// are leased now.
    pub oversize_in_use: usize,
    /// Acquires of more than the largest class has.
    pub oversizes: u64,
    /// Bytes that items occupy, leased or not, fallback and oversize included.
    pub held_bytes: usize,
    /// Bytes of the items that are leased.
    pub used_bytes: usize,
    /// Bytes held for no item: rounding, and slots that were never handed out.
    pub wasted_bytes: usize,
    /// Bytes that were ever given back to the system.
    pub returned_bytes: u64,
    /// Bytes that caches, magazines and tables occupy.
    pub machinery_bytes: usize,
}

impl Observation {
    /// Everything that only grows.
    fn counters(&mut self) -> [&mut u64; 25] {
        [
            &mut self.acquires,
            &mut self.hits,
            &mut self.misses,
            &mut self.misses_refilled,
            &mut self.misses_created,
            &mut self.misses_strict,
            &mut self.misses_waited,
            &mut self.releases,
            &mut self.exhausted,
            &mut self.waits,
            &mut self.timeouts,
            &mut self.wait_ns,
            &mut self.discards,
            &mut self.discards_full,
            &mut self.discards_large,
            &mut self.discards_rejected,
            &mut self.discards_misfit,
            &mut self.refills,
            &mut self.spills,
            &mut self.stops,
            &mut self.created_total,
            &mut self.retired_total,
            &mut self.fallbacks,
            &mut self.oversizes,
            &mut self.returned_bytes,
        ]
    }

    /// Everything that goes up and down, but for the size of an item.
    fn gauges(&mut self) -> [&mut usize; 13] {
        [
            &mut self.capacity,
            &mut self.created,
            &mut self.in_use,
            &mut self.cached,
            &mut self.depot,
            &mut self.high_water,
            &mut self.waiting,
            &mut self.fallback_in_use,
            &mut self.oversize_in_use,
            &mut self.held_bytes,
            &mut self.used_bytes,
            &mut self.wasted_bytes,
            &mut self.machinery_bytes,
        ]
    }

    /// The same figures with what was counted before `earlier` taken off: gauges
    /// as they are, counters since then.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        let mut earlier = *earlier;
        for (now, before) in self.counters().into_iter().zip(earlier.counters()) {
            // A sum that is read while threads run may be behind.
            *now = now.saturating_sub(*before);
        }
        self
    }

    /// The figures of two pools, or classes of one, taken together: sums, and so
    /// upper bounds where a maximum is meant. `item_bytes` stays if it is the same.
    #[must_use]
    pub fn merge(mut self, mut other: Self) -> Self {
        if self.item_bytes != other.item_bytes {
            self.item_bytes = 0;
        }
        for (sum, more) in self.counters().into_iter().zip(other.counters()) {
            *sum = sum.saturating_add(*more);
        }
        for (sum, more) in self.gauges().into_iter().zip(other.gauges()) {
            *sum = sum.saturating_add(*more);
        }
        self
    }

    /// What is left of these figures without a part of them: of a pool without one
    /// of its classes.
    #[must_use]
    pub fn without(mut self, mut part: Self) -> Self {
        for (rest, part) in self.counters().into_iter().zip(part.counters()) {
            *rest = rest.saturating_sub(*part);
        }
        for (rest, part) in self.gauges().into_iter().zip(part.gauges()) {
            *rest = rest.saturating_sub(*part);
        }
        self
    }

    /// Acquires served by the caller's own cache, as a share of all; 1.0 for a
    /// pool that was not used.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        if self.acquires == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.hits as f64 / self.acquires as f64;
        rate
    }
}

/// What diagnostics have sampled: empty while they are off.
///
/// Which acquires are sampled follows from which take the slow path, so shares
/// within one class mean something, and counts do not: scale them by the
/// acquires of the class, which are exact.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Sampled {
    /// Bytes that were asked for.
    pub sizes: Histogram,
    /// Nanoseconds for which items were out.
    pub hold_ns: Histogram,
}

/// One class of a pool that has several: a size class, a kind of arena.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Class {
    /// What tells it from the other classes of the pool; short, for it labels
    /// metrics. Sizes in bytes are written as numbers.
    pub label: Cow<'static, str>,
    /// Its figures.
    pub figures: Observation,
    /// What was sampled in it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub sampled: Sampled,
}

#[cfg(feature = "alloc")]
impl Sampled {
    /// Whether nothing was sampled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty() && self.hold_ns.is_empty()
    }

    /// Adds what was sampled elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.sizes.merge(&other.sizes);
        self.hold_ns.merge(&other.hold_ns);
    }

    /// What was sampled since `earlier`.
    #[must_use]
    pub fn since(self, earlier: &Self) -> Self {
        Self {
            sizes: self.sizes.since(&earlier.sizes),
            hold_ns: self.hold_ns.since(&earlier.hold_ns),
        }
    }
}

#[cfg(feature = "alloc")]
impl Class {
    /// A class of which nothing was sampled.
    #[must_use]
    pub fn new(label: impl Into<Cow<'static, str>>, figures: Observation) -> Self {
        Self {
            label: label.into(),
            figures,
            sampled: Sampled::default(),
        }
    }

    /// The same with what was sampled.
    #[must_use]
    pub fn with_sampled(mut self, sampled: Sampled) -> Self {
        self.sampled = sampled;
        self
    }
}

/// One region of a pool: where it lies, and how full it is.
///
/// ```text
///   address                                                address + bytes
///   ├───────────┬───────────┬───────────┬───────────┬───────────┤
///   │    100    │     25    │     0     │     0     │     0     │  parts, in per cent
///   └───────────┴───────────┴───────────┴───────────┴───────────┘
///   ◀──────── handed out so far ─────────▶◀─── never touched ───▶
/// ```
///
/// Addresses are those of this process on this run: they say something to whoever
/// would attack it, so keep them among friends.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct RegionFigures {
    /// Where it begins.
    pub address: usize,
    /// How long it is.
    pub bytes: usize,
    /// Bytes from one item to the next.
    pub item_bytes: usize,
    /// Items that fit.
    pub items: usize,
    /// Items that were handed out at least once: the first ones.
    pub handed_out: usize,
    /// Items that are leased now. One that lies in the cache of a thread that was in
    /// the middle of an operation counts as leased.
    pub in_use: usize,
    /// How many items of equal parts of the region are leased, in per cent, in the
    /// order of addresses: at most [`RegionFigures::MOST_PARTS`], at most one an item.
    pub parts: Vec<u8>,
}

#[cfg(feature = "alloc")]
impl RegionFigures {
    /// Most parts that a region is shown in: what is told apart on a phone.
    pub const MOST_PARTS: usize = 64;

    /// Figures of a region of `items` items, of which the first `handed_out` were
    /// handed out, and of these all are leased but those at the places `free`.
    ///
    /// ```
    /// use millpond_core::observe::RegionFigures;
    ///
    /// let region = RegionFigures::of(0x1000, 4096, 1024, (4, 3), [0]);
    /// assert_eq!((region.in_use, region.parts), (2, vec![0, 100, 100, 0]));
    /// ```
    #[must_use]
    pub fn of(
        address: usize,
        bytes: usize,
        item_bytes: usize,
        (items, handed_out): (usize, usize),
        free: impl IntoIterator<Item = usize>,
    ) -> Self {
        let parts = items.min(Self::MOST_PARTS);
        // Divided evenly: part `n` begins with item `n * items / parts`.
        let first_of = |part: usize| part * items / parts;
        let part_of = |item: usize| ((item + 1) * parts - 1) / items;
        // Items of a part below some item.
        let below = |part: usize, end: usize| first_of(part + 1).min(end) - first_of(part).min(end);
        let mut leased: Vec<usize> = (0..parts).map(|part| below(part, handed_out)).collect();
        let mut in_use = handed_out;
        for item in free {
            let part = &mut leased[part_of(item)];
            *part = part.saturating_sub(1);
            in_use = in_use.saturating_sub(1);
        }
        let share = |(part, leased): (usize, usize)| {
            // Whoever is there at all is seen.
            let share = (leased * 100).div_ceil(below(part, items).max(1));
            u8::try_from(share).unwrap_or(100)
        };
        Self {
            address,
            bytes,
            item_bytes,
            items,
            handed_out,
            in_use,
            parts: leased.into_iter().enumerate().map(share).collect(),
        }
    }
}

/// What can be observed: the interface between pools and analytics.
///
/// A pool of one kind of item implements the first two, and
/// [`Observe::sampled`] and [`Observe::holders`] if it has diagnostics, and
/// [`Observe::regions`] if it knows where its items lie. A pool
/// of several classes answers with their sums, and tells them apart in
/// [`Observe::classes`].
pub trait Observe {
    /// The name of the pool; `""` if it has none.
    fn name(&self) -> &str;

    /// Reads all figures. Takes the pool's lock for as long as it takes to look
    /// at one word per thread.
    fn observe(&self) -> Observation;

    /// What sort of pool it is, in a word: `fixed`, `arena`, `vector`, `bytes`.
    fn kind(&self) -> &'static str {
        "pool"
    }

    /// The classes, if there are several, in the order of their sizes. Costs as
    /// much as observing each.
    #[cfg(feature = "alloc")]
    fn classes(&self) -> Vec<Class> {
        Vec::new()
    }

    /// What diagnostics have sampled, over all classes.
    #[cfg(feature = "alloc")]
    fn sampled(&self) -> Sampled {
        Sampled::default()
    }

    /// Everybody of whom diagnostics have a record, longest holder first. May
    /// stop the pool's caches: ask once in a while, not in a loop.
    #[cfg(feature = "std")]
    fn holders(&self) -> Vec<Holder> {
        Vec::new()
    }

    /// Where the items lie, for pools that know. Stops the pool's caches and looks at
    /// every free item, with the pool's locks held: for pages and reports.
    #[cfg(feature = "alloc")]
    fn regions(&self) -> Vec<RegionFigures> {
        Vec::new()
    }
}

/// What can be tuned while it runs.
pub trait Tune {
    /// Sets how many items the pool may have. Leased items are not affected.
    fn set_capacity(&self, capacity: usize);
}

#[cfg(test)]
mod tests {
    use super::Observation;

    #[test]
    fn a_baseline_takes_off_counters_and_leaves_gauges() {
        let earlier = Observation {
            capacity: 8,
            acquires: 10,
            hits: 9,
            in_use: 3,
            ..Observation::default()
        };
        let now = Observation {
            acquires: 15,
            hits: 12,
            in_use: 5,
            ..earlier
        };
        let since = now.since(&earlier);
        assert_eq!((since.acquires, since.hits, since.in_use), (5, 3, 5));
        assert_eq!(since.capacity, 8);
        assert!((since.hit_rate() - 0.6).abs() < 1e-9);
    }

    #[test]
    #[cfg(feature = "alloc")]
    fn regions_are_divided_evenly() {
        use super::RegionFigures;
        for items in [1, 3, 63, 64, 65, 130, 1000] {
            let full = RegionFigures::of(0, items, 1, (items, items), []);
            assert_eq!(full.parts.len(), items.min(64));
            assert!(full.parts.iter().all(|&part| part == 100), "{full:?}");
            let free = RegionFigures::of(0, items, 1, (items, items), 0..items);
            assert_eq!(free.in_use, 0);
            assert!(free.parts.iter().all(|&part| part == 0), "{free:?}");
            let last = RegionFigures::of(0, items, 1, (items, items), 0..items - 1);
            assert_eq!(last.in_use, 1);
            assert!(last.parts.last().is_some_and(|&part| part > 0), "{last:?}");
        }
        assert_eq!(RegionFigures::of(0, 10, 20, (0, 0), []).parts, []);
    }

    #[test]
    fn two_classes_taken_together_are_their_sum() {
        let one = Observation {
            item_bytes: 8,
            capacity: usize::MAX,
            acquires: 10,
            in_use: 3,
            ..Observation::default()
        };
        let sum = one.merge(Observation {
            item_bytes: 16,
            ..one
        });
        assert_eq!((sum.item_bytes, sum.capacity), (0, usize::MAX));
        assert_eq!((sum.acquires, sum.in_use), (20, 6));
    }
}
