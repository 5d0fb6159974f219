//! Figures: what each class gave, and what it holds.

use crate::class::Class;
use crate::figures::{ClassStats, Discards, PoolStats};
use crate::pond::{Pond, lock};
use crate::pool::BytePool;
use millpond_core::diagnostics::Holder;
use millpond_core::histogram::Histogram;
use millpond_core::notes::Noted;
use millpond_core::observe::{Observation, Observe, RegionFigures, Sampled};
use std::string::ToString;
use std::sync::Mutex;
use std::vec::Vec;

/// What a pond remembers for its figures: baselines, and discards.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// What was counted when `reset_stats` was last called, by floor and size of
    /// the class.
    baseline: Mutex<Baseline>,
    discards: Mutex<Discards>,
}

#[derive(Debug, Default)]
struct Baseline {
    classes: Vec<(usize, usize, Observation, Noted)>,
    oversize: u64,
    fallbacks: u64,
    discards: Discards,
}

impl Ledger {
    /// Counts memory that was not taken back.
    pub(crate) fn discard(&self, reason: crate::raw::Discard) {
        *reason.counter(&mut lock(&self.discards)) += 1;
    }

    fn discards(&self) -> Discards {
        *lock(&self.discards)
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
            .map(|(class, seen, noted)| ClassStats {
                is_current: table.sizes().sizes().contains(&class.size()),
                ..ClassStats::of(class.size(), &seen, noted.excess)
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
            sizes.merge(&class.span.requested(noted.bins));
        }
        sizes
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
            sampled.sizes = class.span.requested(noted.bins);
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

    fn regions(&self) -> Vec<RegionFigures> {
        let classes = self.pond().all_classes();
        classes.flat_map(|class| class.engine.regions()).collect()
    }
}
