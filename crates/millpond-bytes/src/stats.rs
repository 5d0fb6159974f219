//! Figures: what each class gave, and what it holds.

use crate::class::Class;
use crate::pond::{Pond, lock};
use crate::pool::BytePool;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use millpond_core::diagnostics::Holder;
use millpond_core::histogram::Histogram;
use millpond_core::notes::Noted;
use millpond_core::observe::{Observation, Observe, Sampled};
use std::string::ToString;
use std::sync::Mutex;
use std::vec::Vec;

/// What a pond remembers for its figures: baselines, and discards.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// What was counted when `reset_stats` was last called, by floor and size of
    /// the class.
    baseline: Mutex<Baseline>,
    foreign: AtomicU64,
    wrong_size: AtomicU64,
    stale: AtomicU64,
}

#[derive(Debug, Default)]
struct Baseline {
    classes: Vec<(usize, usize, Observation, Noted)>,
    oversize: u64,
    fallbacks: u64,
    discards: Discards,
}

impl Ledger {
    pub(crate) const fn new() -> Self {
        Self {
            baseline: Mutex::new(Baseline {
                classes: Vec::new(),
                oversize: 0,
                fallbacks: 0,
                discards: Discards {
                    foreign: 0,
                    wrong_size: 0,
                    stale: 0,
                },
            }),
            foreign: AtomicU64::new(0),
            wrong_size: AtomicU64::new(0),
            stale: AtomicU64::new(0),
        }
    }

    /// Counts memory that was not taken back.
    pub(crate) fn discard(&self, reason: crate::raw::Discard) {
        use crate::raw::Discard;
        let counter = match reason {
            Discard::Foreign => &self.foreign,
            Discard::WrongSize => &self.wrong_size,
            Discard::Stale => &self.stale,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn discards(&self) -> Discards {
        Discards {
            foreign: self.foreign.load(Ordering::Relaxed),
            wrong_size: self.wrong_size.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
        }
    }
}

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
/// [`BytePool::reset_stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes of a buffer.
    pub size: usize,
    /// Buffers that were given.
    pub gets: u64,
    /// Buffers that came home.
    pub puts: u64,
    /// Gets that were served from buffers that existed.
    pub hits: u64,
    /// Gets for which memory had to be asked of the system.
    pub misses: u64,
    /// Gets that gave nothing.
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
    /// Gets that needed no memory of the system, as a share; 1.0 if there were
    /// none.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        share(self.hits, self.gets, 1.0)
    }

    /// Bytes given beyond what was asked for, as a share of bytes given.
    #[must_use]
    pub fn waste_share(&self) -> f64 {
        share(self.waste_bytes, self.gets * self.size as u64, 0.0)
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
/// assert_eq!((stats.gets(), stats.classes[1].hits), (2, 1));
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
    pub fn gets(&self) -> u64 {
        self.classes.iter().map(|class| class.gets).sum()
    }

    /// Buffers that came home to classes.
    #[must_use]
    pub fn puts(&self) -> u64 {
        self.classes.iter().map(|class| class.puts).sum()
    }

    /// Buffers of classes that are out.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.classes.iter().map(|class| class.outstanding).sum()
    }

    /// Gets that needed no memory of the system, as a share of all, oversize and
    /// fallback included; 1.0 if there were none.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        let hits = self.classes.iter().map(|class| class.hits).sum();
        share(hits, self.gets() + self.oversize + self.fallbacks, 1.0)
    }

    /// Bytes reused, as a share of bytes given by classes; 1.0 if there were
    /// none.
    #[must_use]
    pub fn reuse_efficiency(&self) -> f64 {
        let reused: u64 = self.classes.iter().map(|class| class.reused_bytes).sum();
        let given = self
            .classes
            .iter()
            .map(|class| class.gets * class.size as u64)
            .sum();
        share(reused, given, 1.0)
    }
}

impl fmt::Display for PoolStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>9} {:>12} {:>12} {:>9} {:>8} {:>8} {:>8} {:>8} {:>7}",
            "size", "gets", "puts", "misses", "hit %", "out", "cached", "peak", "waste %"
        )?;
        for class in &self.classes {
            writeln!(
                f,
                "{:>9} {:>12} {:>12} {:>9} {:>8.3} {:>8} {:>8} {:>8} {:>7.2}",
                class.size,
                class.gets,
                class.puts,
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
            "total: {} gets, {} puts, hit rate {:.3} %, reuse efficiency {:.3} %",
            self.gets(),
            self.puts(),
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

impl Pond {
    /// All classes with their figures, smallest first.
    fn class_figures_ever(&self) -> Vec<(&Class, Observation, Noted)> {
        let mut figures: Vec<_> = self
            .all_classes()
            .map(|class| (class, class.observe(), class.engine.noted()))
            .collect();
        figures.sort_by_key(|(class, ..)| class.size());
        figures
    }

    /// The same, with counters since the baseline.
    fn class_figures(&self) -> Vec<(&Class, Observation, Noted)> {
        let mut figures = self.class_figures_ever();
        let baseline = lock(&self.ledger.baseline);
        for (class, seen, noted) in &mut figures {
            let earlier = baseline
                .classes
                .iter()
                .find(|(floor, size, ..)| (*floor, *size) == (class.floor, class.size()));
            if let Some((_, _, seen_then, noted_then)) = earlier {
                *seen = seen.since(seen_then);
                *noted = noted.since(noted_then);
            }
        }
        figures
    }
}

impl BytePool {
    /// All figures, of each class and of the pool.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let pond = self.pond();
        let table = pond.table();
        let classes = pond
            .class_figures()
            .into_iter()
            .map(|(class, seen, noted)| {
                let size = class.size() as u64;
                let given = seen.acquires * size;
                let allocated = seen.created_total * size;
                ClassStats {
                    size: class.size(),
                    gets: seen.acquires,
                    puts: seen.releases,
                    hits: seen.acquires.saturating_sub(seen.misses_created),
                    misses: seen.misses_created,
                    exhausted: seen.exhausted,
                    allocated_bytes: allocated,
                    reused_bytes: given.saturating_sub(allocated),
                    cached: seen.cached + seen.depot,
                    outstanding: seen.in_use,
                    high_water: seen.high_water,
                    requested_bytes: given.saturating_sub(noted.excess),
                    waste_bytes: noted.excess,
                    held_bytes: seen.held_bytes,
                    is_current: table.sizes().sizes().contains(&class.size()),
                }
            })
            .collect();
        let baseline = lock(&pond.ledger.baseline);
        let discards = pond.ledger.discards();
        PoolStats {
            classes,
            oversize: pond.direct.total() - baseline.oversize,
            oversize_outstanding: pond.direct.in_use(),
            fallbacks: pond.fallback.total() - baseline.fallbacks,
            fallback_outstanding: pond.fallback.in_use(),
            discards: Discards {
                foreign: discards.foreign - baseline.discards.foreign,
                wrong_size: discards.wrong_size - baseline.discards.wrong_size,
                stale: discards.stale - baseline.discards.stale,
            },
        }
    }

    /// Begins to count anew: moves the baseline, and writes nobody's counters.
    pub fn reset_stats(&self) {
        let pond = self.pond();
        let mut classes = Vec::new();
        for class in pond.all_classes() {
            let (seen, noted) = (class.observe(), class.engine.noted());
            classes.push((class.floor, class.size(), seen, noted));
        }
        *lock(&pond.ledger.baseline) = Baseline {
            classes,
            oversize: pond.direct.total(),
            fallbacks: pond.fallback.total(),
            discards: pond.ledger.discards(),
        };
    }

    /// Sizes asked for, as far as they are told apart (an eighth of a class,
    /// rounded up), with how often they were asked for, smallest first. Since
    /// the last reset, but for requests that no class serves.
    #[must_use]
    pub fn requested_sizes(&self) -> Histogram {
        let pond = self.pond();
        let mut sizes = pond.direct.sizes();
        for (class, _, noted) in pond.class_figures() {
            sizes.merge(&class.sizes(&noted));
        }
        sizes
    }
}

impl Class {
    /// What was noted, as a histogram.
    fn sizes(&self, noted: &Noted) -> Histogram {
        let bins = noted.bins.iter().enumerate();
        let buckets = bins.map(|(bin, &count)| (self.span.top_of(bin) as u64, count));
        let sum = buckets.clone().map(|(top, count)| top * count).sum();
        Histogram::from_buckets(buckets, sum)
    }
}

impl Observe for BytePool {
    fn name(&self) -> &str {
        self.pond().config.name
    }

    fn kind(&self) -> &'static str {
        "bytes"
    }

    /// The sum of all classes. Capacities and high waters add up too: they are
    /// upper bounds.
    fn observe(&self) -> Observation {
        let pond = self.pond();
        let figures = pond.all_classes().map(Class::observe);
        let mut sum = figures.fold(Observation::default(), Observation::merge);
        sum.item_bytes = 0;
        sum.fallback_in_use = pond.fallback.in_use();
        sum.fallbacks = pond.fallback.total();
        sum.oversize_in_use = pond.direct.in_use();
        sum.oversizes = pond.direct.total();
        let outside = pond.fallback.bytes() + pond.direct.bytes();
        sum.held_bytes += outside;
        sum.used_bytes += outside;
        sum.discards_misfit = pond.ledger.discards().total();
        sum.discards = sum.discards_misfit;
        sum
    }

    fn classes(&self) -> Vec<millpond_core::observe::Class> {
        let figures = self.pond().class_figures_ever();
        let classes = figures.into_iter().map(|(class, seen, noted)| {
            let mut sampled = class.engine.sampled();
            // Sizes need no sampling: every request is noted.
            sampled.sizes = class.sizes(&noted);
            millpond_core::observe::Class::new(class.size().to_string(), seen).with_sampled(sampled)
        });
        classes.collect()
    }

    fn sampled(&self) -> Sampled {
        let mut sum = Sampled::default();
        for class in Observe::classes(self) {
            sum.sizes.merge(&class.sampled.sizes);
            sum.hold_ns.merge(&class.sampled.hold_ns);
        }
        sum.sizes.merge(&self.pond().direct.sizes());
        sum
    }

    fn holders(&self) -> Vec<Holder> {
        Self::holders(self)
    }
}
