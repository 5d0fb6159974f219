//! Advice: what to configure, from what was recorded, with what it would have
//! cost and saved.
//!
//! ```text
//!   recorded                       advice                     how
//!   sizes of requests        ──►   table of size classes      exact: no table of as many
//!                                                             classes wastes less
//!   items out at a time      ──►   capacity, warm-up          the least for the target
//!   bytes used by arenas     ──►   nominal size of the kind   the least for the target
//! ```
//!
//! It works on a snapshot, on a series, on a recorded trace, and on what a
//! Prometheus server knows of a whole fleet.

mod configuration;
mod demand;
mod sizes;
mod traced;

pub use demand::{CapacityAdvice, Demand};
pub use sizes::{ClassAdvice, NominalAdvice, count_sizes, requests};

use crate::figure;
use crate::series::Series;
use crate::snapshot::{PoolSnapshot, Snapshot};
use crate::table::printable;
use crate::trace::Trace;
use millpond_core::observe::Observation;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Gives advice.
///
/// ```
/// use millpond_analytics::{Advisor, Registry};
///
/// let advisor = Advisor::new().target_hit_rate(0.99).classes(6);
/// let advice = advisor.of_snapshot(&Registry::new().snapshot());
/// assert!(advice.pools.is_empty()); // Nothing was recorded.
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Advisor {
    target: f64,
    classes: usize,
    step_bytes: usize,
}

/// Advice for every pool of which enough is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Advice {
    /// The pools, sorted by name.
    pub pools: Vec<PoolAdvice>,
}

/// Advice for one pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolAdvice {
    /// Its name.
    pub pool: String,
    /// What sort of pool it is.
    pub kind: String,
    /// How many items it should have: one for each class, or one without a label.
    pub capacities: Vec<(String, CapacityAdvice)>,
    /// The table of size classes that it should have, if sizes were sampled.
    pub classes: Option<ClassAdvice>,
    /// The sizes that its arenas should have, for each kind that was sampled.
    pub nominal: Vec<(String, NominalAdvice)>,
}

impl Advisor {
    /// Aims at a hit rate of 99 % and at six classes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            target: 0.99,
            classes: 6,
            step_bytes: 64,
        }
    }

    /// The share of acquires that is to find an item, from 0 to 1.
    #[must_use]
    pub const fn target_hit_rate(mut self, share: f64) -> Self {
        self.target = share.clamp(0.0, 1.0);
        self
    }

    /// Most classes of a table.
    #[must_use]
    pub const fn classes(mut self, most: usize) -> Self {
        self.classes = most;
        self
    }

    /// What the sizes of classes are multiples of: 64 bytes, a cache line, if
    /// nothing else is said.
    #[must_use]
    pub const fn step_bytes(mut self, step: usize) -> Self {
        self.step_bytes = step;
        self
    }

    /// Advice from one snapshot, in which the demand is known by its peak only.
    #[must_use]
    pub fn of_snapshot(&self, snapshot: &Snapshot) -> Advice {
        self.advise(snapshot, |_, figures| Demand::of(figures))
    }

    /// Advice from a series: the demand is that of each interval, weighed by how
    /// much was acquired in it. `last` has the sizes, which a series does not
    /// keep.
    #[must_use]
    pub fn of_series(&self, series: &Series, last: &Snapshot) -> Advice {
        self.advise(last, |pool, figures| {
            // A series keeps pools, not classes.
            let whole = pool.classes.is_empty();
            let demand = whole.then(|| Demand::of_series(series, &pool.name));
            demand
                .filter(|demand| demand.acquires() > 0)
                .unwrap_or_else(|| Demand::of(figures))
        })
    }

    /// Advice from a recorded trace, in which demand and sizes are exact. A trace does
    /// not say what sort of pool it is of: one that gave items of several sizes is
    /// taken for a byte pool, any other for a fixed one.
    #[must_use]
    pub fn of_trace(&self, trace: &Trace) -> Advice {
        let advise = |(name, seen): (&&str, &traced::Seen)| seen.advise(self, name);
        Advice {
            pools: traced::by_name(trace).iter().filter_map(advise).collect(),
        }
    }

    fn advise(
        &self,
        snapshot: &Snapshot,
        demand: impl Fn(&PoolSnapshot, &Observation) -> Demand,
    ) -> Advice {
        let advise = |pool: &PoolSnapshot| self.advise_pool(pool, &demand);
        Advice {
            pools: snapshot.pools.iter().filter_map(advise).collect(),
        }
    }

    fn advise_pool(
        &self,
        pool: &PoolSnapshot,
        demand: impl Fn(&PoolSnapshot, &Observation) -> Demand,
    ) -> Option<PoolAdvice> {
        let capacity = |(class, figures, _): (&str, Observation, _)| {
            let advice = self.capacity(&demand(pool, &figures), &figures)?;
            Some((class.to_owned(), advice))
        };
        let mut advice = PoolAdvice {
            pool: pool.name.clone(),
            kind: pool.kind.clone(),
            capacities: pool.parts().filter_map(capacity).collect(),
            classes: None,
            nominal: Vec::new(),
        };
        if pool.kind == "arena" {
            let nominal = |(class, figures, sampled): (&str, Observation, _)| {
                let advice = NominalAdvice::of(sampled, &figures, self.target)?;
                Some((class.to_owned(), advice))
            };
            advice.nominal = pool.parts().filter_map(nominal).collect();
        } else {
            let current: Vec<usize> = pool.classes.iter().map(|c| c.figures.item_bytes).collect();
            let recorded = requests(pool);
            advice.classes = self.class_table(&recorded, &current);
        }
        let says_something =
            !advice.capacities.is_empty() || advice.classes.is_some() || !advice.nominal.is_empty();
        says_something.then_some(advice)
    }

    /// The capacity and warm-up for the target, given the demand. `None` if
    /// nothing was acquired.
    #[must_use]
    pub fn capacity(&self, demand: &Demand, figures: &Observation) -> Option<CapacityAdvice> {
        CapacityAdvice::of(demand, figures, self.target)
    }

    /// The table that wastes least on `recorded`: pairs of a size and how often
    /// it was asked for. `current` is the table that there is, or nothing. `None`
    /// if nothing was recorded.
    #[must_use]
    pub fn class_table(&self, recorded: &[(usize, u64)], current: &[usize]) -> Option<ClassAdvice> {
        ClassAdvice::of(recorded, current, self.classes, self.step_bytes)
    }
}

impl Default for Advisor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pool in &self.pools {
            writeln!(f, "{} ({})", printable(&pool.pool), printable(&pool.kind))?;
            for (class, advice) in &pool.capacities {
                write_capacity(f, class, advice)?;
            }
            if let Some(classes) = &pool.classes {
                writeln!(
                    f,
                    "  classes {:?}: {} of what is granted is wasted{}",
                    classes.sizes,
                    figure::per_cent(classes.waste_share),
                    match classes.current_waste_share {
                        Some(now) => format!("; now {}", figure::per_cent(now)),
                        None => String::new(),
                    }
                )?;
            }
            for (kind, nominal) in &pool.nominal {
                writeln!(
                    f,
                    "  {} nominal {}: {} of leases fit, {} idle in each",
                    printable(kind),
                    figure::bytes(nominal.bytes as u64),
                    figure::per_cent(nominal.share_that_fits),
                    figure::bytes(nominal.idle_bytes)
                )?;
            }
        }
        Ok(())
    }
}

fn write_capacity(f: &mut fmt::Formatter<'_>, class: &str, advice: &CapacityAdvice) -> fmt::Result {
    let label = match class {
        "" => String::new(),
        class => format!("class {} ", printable(class)),
    };
    writeln!(
        f,
        "  {label}capacity {} (now {}), warm up {}: {} served, {} of memory",
        figure::count(advice.capacity as u64),
        figure::capacity(advice.current),
        figure::count(advice.warm_up as u64),
        figure::per_cent(advice.share_served),
        figure::bytes(advice.bytes),
    )
}
