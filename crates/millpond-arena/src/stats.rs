//! The figures of a scope.
#![forbid(unsafe_code)]

use crate::pool::ScopePool;
use crate::retention::{BINS, bin_end};
use core::sync::atomic::Ordering::Relaxed;
use millpond_core::observe::{Observation, Sampled};

/// Why the chunks of an arena were freed when it came home.
///
/// ```
/// use millpond_arena::{ArenaManager, Discarded, Scope};
///
/// let manager = ArenaManager::new();
/// let arena = manager.lease(Scope::Json)?;
/// for _ in 0..100 {
///     arena.alloc([0_u8; 10_000])?; // More than is kept of such an arena.
/// }
/// drop(arena);
/// let stats = manager.scope_stats(Scope::Json)?;
/// assert_eq!(stats.discarded(Discarded::Oversize), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Discarded {
    /// More than is worth keeping: above the retention ceiling, or above twice
    /// what leases use.
    Oversize,
    /// Less than leases use: built in one piece next time.
    Undersize,
    /// Built when as many arenas existed as may be parked.
    Surplus,
    /// A destructor or callback panicked.
    Panicked,
}

impl Discarded {
    pub(crate) const KINDS: usize = 4;

    /// All reasons.
    pub const ALL: [Self; Self::KINDS] = [
        Self::Oversize,
        Self::Undersize,
        Self::Surplus,
        Self::Panicked,
    ];

    /// The reason in a word, as [`Event::Discarded`](millpond_core::event::Event)
    /// has it.
    ///
    /// ```
    /// use millpond_arena::Discarded;
    ///
    /// assert!(Discarded::ALL.map(Discarded::name).contains(&"surplus"));
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::Undersize => "undersize",
            Self::Surplus => "surplus",
            Self::Panicked => "panicked",
        }
    }
}

/// The figures of one scope. Counters are exact once the threads that use the
/// scope are quiet.
///
/// ```
/// use millpond_arena::{ArenaManager, Scope};
///
/// let manager = ArenaManager::new();
/// for _ in 0..10 {
///     manager.with(Scope::Json, |arena| arena.alloc([0u8; 1000]).map(|_| ()))??;
/// }
/// let stats = manager.scope_stats(Scope::Json)?;
/// assert_eq!((stats.leases, stats.builds), (10, 1));
/// assert_eq!(stats.high_water_bytes, 1000);
/// assert_eq!(stats.parked_bytes, 128 << 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopeStats {
    /// The scope's name.
    pub scope: &'static str,
    /// Leases that ended.
    pub leases: u64,
    /// Chunks that were built for leases.
    pub builds: u64,
    /// Leases that outgrew the chunk that they began with.
    pub overflows: u64,
    /// Arenas whose chunks were freed when they came home, by reason: the order
    /// is that of [`Discarded::ALL`].
    pub discards: [u64; Discarded::KINDS],
    /// Leases by the bytes that they used of chunks: 64 bytes and less, then
    /// doubling. See [`ScopeStats::bin_end`].
    pub used: [u64; BINS],
    /// The most bytes of chunks that one lease used.
    pub high_water_bytes: usize,
    /// Large objects that were allocated.
    pub large_objects: u64,
    /// Bytes of large objects that were allocated.
    pub large_bytes: u64,
    /// Arenas that are leased.
    pub live: usize,
    /// Bytes that they hold.
    pub live_bytes: usize,
    /// Arenas that are kept for later.
    pub parked: usize,
    /// Bytes that they hold.
    pub parked_bytes: usize,
    /// Bytes that the next arena will be built with.
    pub target_bytes: usize,
}

impl ScopeStats {
    /// Leases that found an arena built: all but those that built one.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// (0..3).try_for_each(|_| manager.lease(Scope::Json).map(drop))?;
    /// assert_eq!(manager.scope_stats(Scope::Json)?.reuses(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reuses(&self) -> u64 {
        (self.leases + self.live as u64).saturating_sub(self.builds)
    }

    /// Arenas whose chunks were freed for this reason.
    ///
    /// ```
    /// use millpond_arena::Discarded;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// let stats = manager.scope_stats(Scope::Json)?;
    /// assert_eq!(stats.discarded(Discarded::Panicked), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn discarded(&self, why: Discarded) -> u64 {
        self.discards[why as usize]
    }

    /// The most bytes that bin number `bin` of `used` stands for; `usize::MAX` for
    /// the last.
    ///
    /// ```
    /// use millpond_arena::ScopeStats;
    ///
    /// assert_eq!((ScopeStats::bin_end(0), ScopeStats::bin_end(1)), (63, 127));
    /// ```
    #[must_use]
    pub const fn bin_end(bin: usize) -> usize {
        bin_end(bin)
    }
}

impl ScopePool {
    pub(crate) fn stats(&self) -> ScopeStats {
        let count = |counter: &core::sync::atomic::AtomicU64| counter.load(Relaxed);
        self.engine.with_source(|source| {
            let totals = source.totals();
            let mut stats = ScopeStats {
                scope: self.name(),
                leases: totals.leases(),
                builds: count(&self.counts.builds),
                overflows: count(&self.counts.grown),
                discards: self.counts.discarded.each_ref().map(count),
                used: totals.used,
                high_water_bytes: totals.high_water,
                large_objects: totals.large_objects,
                large_bytes: totals.large_bytes,
                live: 0,
                live_bytes: 0,
                parked: 0,
                parked_bytes: 0,
                target_bytes: self.target_bytes(),
            };
            for arena in source.iter() {
                let held = arena.held_bytes();
                if arena.leased.load(Relaxed) {
                    stats.live += 1;
                    stats.live_bytes += held;
                } else if held > 0 {
                    stats.parked += 1;
                    stats.parked_bytes += held;
                }
            }
            stats
        })
    }

    /// The figures in the words of all pools. Bytes are those of chunks and large
    /// objects; a hollow place is no item.
    pub(crate) fn observation(&self) -> Observation {
        use millpond_core::engine::Engine;
        let stats = self.stats();
        let mut figures = self.engine.observe();
        figures.capacity = self.figures.parked;
        figures.item_bytes = stats.target_bytes;
        figures.in_use = stats.live;
        figures.created = stats.live + stats.parked;
        figures.created_total = stats.builds;
        figures.retired_total = stats.builds.saturating_sub(figures.created as u64);
        figures.misses_created = stats.builds;
        figures.used_bytes = stats.live_bytes;
        figures.wasted_bytes = figures.held_bytes;
        figures.held_bytes += stats.live_bytes + stats.parked_bytes;
        figures
    }

    /// What leases used, which is counted for all of them, and for how long they
    /// held their arena, which diagnostics sample.
    pub(crate) fn sampled(&self) -> Sampled {
        let stats = self.stats();
        let mut sampled = self.engine.sampled();
        for (bin, &leases) in stats.used.iter().enumerate() {
            // The last bin has no end but the most that was used.
            let used = bin_end(bin).min(stats.high_water_bytes);
            sampled.sizes.record_many(used as u64, leases);
        }
        sampled
    }
}
