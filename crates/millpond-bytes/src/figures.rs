//! Figures: what people are shown of a pool.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::fmt;
use millpond_core::observe::Observation;

/// Raw parts that were not taken back, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discards {
    /// Memory of nobody, or of another pool.
    pub foreign: u64,
    /// A capacity that is not that of the slot.
    pub wrong_size: u64,
    /// A slot that had been taken back already.
    pub stale: u64,
}

impl Discards {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.foreign + self.wrong_size + self.stale
    }
}

/// The figures of one class. Counters are since the last
/// `BytePool::reset_stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes of a buffer.
    pub size: usize,
    /// Buffers that were given.
    pub acquires: u64,
    /// Buffers that came home.
    pub releases: u64,
    /// Acquires that were served from buffers that existed.
    pub hits: u64,
    /// Acquires for which memory had to be asked of the system.
    pub misses: u64,
    /// Acquires that gave nothing.
    pub exhausted: u64,
    /// Bytes of the buffers that were made.
    pub allocated_bytes: u64,
    /// Bytes of the buffers that were given, less those.
    pub reused_bytes: u64,
    /// Free buffers.
    pub cached: usize,
    /// Buffers that are out.
    pub outstanding: usize,
    /// The most buffers that were ever outside the depot at once: out, or in a
    /// thread's cache.
    pub high_water: usize,
    /// Bytes that were asked for.
    pub requested_bytes: u64,
    /// Bytes given beyond that.
    pub waste_bytes: u64,
    /// Bytes that the class holds, free buffers included.
    pub held_bytes: usize,
    /// Whether requests are still routed here: `false` for a class that is in the
    /// table no more.
    pub is_current: bool,
}

impl ClassStats {
    /// The figures of a class of buffers of `size` bytes, which gave `excess` bytes
    /// beyond what was asked for.
    pub(crate) fn of(size: usize, seen: &Observation, excess: u64) -> Self {
        let given = seen.acquires * size as u64;
        let allocated = seen.created_total * size as u64;
        Self {
            size,
            acquires: seen.acquires,
            releases: seen.releases,
            hits: seen.acquires.saturating_sub(seen.misses_created),
            misses: seen.misses_created,
            exhausted: seen.exhausted,
            allocated_bytes: allocated,
            reused_bytes: given.saturating_sub(allocated),
            cached: seen.cached + seen.depot,
            outstanding: seen.in_use,
            high_water: seen.high_water,
            requested_bytes: given.saturating_sub(excess),
            waste_bytes: excess,
            held_bytes: seen.held_bytes,
            is_current: true,
        }
    }

    /// Acquires that needed no memory of the system, as a share; 1.0 if there were
    /// none.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        share(self.hits, self.acquires, 1.0)
    }

    /// Bytes given beyond what was asked for, as a share of bytes given.
    #[must_use]
    pub fn waste_share(&self) -> f64 {
        share(self.waste_bytes, self.acquires * self.size as u64, 0.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn share(part: u64, whole: u64, of_none: f64) -> f64 {
    if whole == 0 {
        of_none
    } else {
        part as f64 / whole as f64
    }
}

/// The figures of a pool. `Display` prints a table.
///
/// ```
/// let pool = millpond_bytes::BytePool::default();
/// drop(pool.acquire(3000)?);
/// drop(pool.acquire(4000)?);
/// let stats = pool.stats();
/// assert_eq!((stats.acquires(), stats.classes[1].hits), (2, 1));
/// assert_eq!(stats.classes[1].requested_bytes, 3000 + 4000);
/// assert!(stats.to_string().contains("4096"));
/// # Ok::<(), millpond_bytes::AcquireError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Each class, smallest first.
    pub classes: Vec<ClassStats>,
    /// Requests that no class serves: too large, or too small to be pooled.
    pub oversize: u64,
    /// Such buffers that are out.
    pub oversize_outstanding: usize,
    /// Buffers allocated because their class was exhausted.
    pub fallbacks: u64,
    /// Such buffers that are out.
    pub fallback_outstanding: usize,
    /// Raw parts that were not taken back.
    pub discards: Discards,
}

impl PoolStats {
    /// Buffers given by classes.
    #[must_use]
    pub fn acquires(&self) -> u64 {
        self.classes.iter().map(|class| class.acquires).sum()
    }

    /// Buffers that came home to classes.
    #[must_use]
    pub fn releases(&self) -> u64 {
        self.classes.iter().map(|class| class.releases).sum()
    }

    /// Buffers of classes that are out.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.classes.iter().map(|class| class.outstanding).sum()
    }

    /// Acquires that needed no memory of the system, as a share of all, oversize and
    /// fallback included; 1.0 if there were none.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        let hits = self.classes.iter().map(|class| class.hits).sum();
        share(hits, self.acquires() + self.oversize + self.fallbacks, 1.0)
    }

    /// Bytes reused, as a share of bytes given by classes; 1.0 if there were
    /// none.
    #[must_use]
    pub fn reuse_efficiency(&self) -> f64 {
        let reused: u64 = self.classes.iter().map(|class| class.reused_bytes).sum();
        let given = self
            .classes
            .iter()
            .map(|class| class.acquires * class.size as u64)
            .sum();
        share(reused, given, 1.0)
    }
}

impl fmt::Display for PoolStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>9} {:>12} {:>12} {:>9} {:>8} {:>8} {:>8} {:>8} {:>7}",
            "size", "acquires", "releases", "misses", "hit %", "out", "cached", "peak", "waste %"
        )?;
        for class in &self.classes {
            writeln!(
                f,
                "{:>9} {:>12} {:>12} {:>9} {:>8.3} {:>8} {:>8} {:>8} {:>7.2}",
                class.size,
                class.acquires,
                class.releases,
                class.misses,
                class.hit_rate() * 100.0,
                class.outstanding,
                class.cached,
                class.high_water,
                class.waste_share() * 100.0,
            )?;
        }
        writeln!(
            f,
            "total: {} acquires, {} releases, hit rate {:.3} %, reuse efficiency {:.3} %",
            self.acquires(),
            self.releases(),
            self.hit_rate() * 100.0,
            self.reuse_efficiency() * 100.0
        )?;
        write!(
            f,
            "oversize {} ({} out), fallback {} ({} out), discards {} ({} foreign, {} wrong size, {} stale)",
            self.oversize,
            self.oversize_outstanding,
            self.fallbacks,
            self.fallback_outstanding,
            self.discards.total(),
            self.discards.foreign,
            self.discards.wrong_size,
            self.discards.stale
        )
    }
}
