//! The figures of a pool, in the words that reports, metrics and errors share.

/// Every figure that one pool (or one class of one) can give.
///
/// Counters are exact once the threads that use the pool are quiet; a sum that
/// is read while they run may be off by what is in flight, and is never
/// negative. Field names are the keys of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observation {
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
    /// Nanoseconds that threads spent waiting. Tasks are not timed.
    pub wait_ns: u64,
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
    /// Bytes that items occupy, leased or not, fallback included.
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
    /// The same figures with what was counted before `earlier` taken off: gauges
    /// as they are, counters since then.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        for (now, before) in [
            (&mut self.acquires, earlier.acquires),
            (&mut self.hits, earlier.hits),
            (&mut self.misses, earlier.misses),
            (&mut self.misses_refilled, earlier.misses_refilled),
            (&mut self.misses_created, earlier.misses_created),
            (&mut self.misses_strict, earlier.misses_strict),
            (&mut self.misses_waited, earlier.misses_waited),
            (&mut self.releases, earlier.releases),
            (&mut self.exhausted, earlier.exhausted),
            (&mut self.waits, earlier.waits),
            (&mut self.wait_ns, earlier.wait_ns),
            (&mut self.refills, earlier.refills),
            (&mut self.spills, earlier.spills),
            (&mut self.stops, earlier.stops),
            (&mut self.created_total, earlier.created_total),
            (&mut self.retired_total, earlier.retired_total),
            (&mut self.fallbacks, earlier.fallbacks),
            (&mut self.returned_bytes, earlier.returned_bytes),
        ] {
            // A sum that is read while threads run may be behind.
            *now = now.saturating_sub(before);
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

/// What can be observed: the interface between pools and analytics.
pub trait Observe {
    /// The name of the pool; `""` if it has none.
    fn name(&self) -> &str;

    /// Reads all figures. Takes the pool's lock for as long as it takes to look
    /// at one word per thread.
    fn observe(&self) -> Observation;
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
}
