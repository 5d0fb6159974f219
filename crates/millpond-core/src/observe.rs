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
    /// Acquires that took the lock.
    pub misses: u64,
    /// Releases: acquires less what is leased.
    pub releases: u64,
    /// Acquires that gave nothing.
    pub exhausted: u64,
    /// Acquires that waited in the queue.
    pub waits: u64,
    /// Nanoseconds that threads spent waiting. Tasks are not timed.
    pub wait_ns: u64,
    /// Items that a release handed to a waiter directly.
    pub handed_over: u64,
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
    /// Bytes that caches, magazines and tables occupy.
    pub machinery_bytes: usize,
}

impl Observation {
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
