//! Leaks: who still has items of a pool that should have none, on demand and when a
//! pool is closed.

use crate::figure;
use crate::registry::Registry;
use crate::snapshot::{HolderFigures, PoolSnapshot};
use crate::table::{as_f64, printable};
use millpond_core::event::{Event, EventHook};
use millpond_core::observe::Observation;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A pool of which something is out.
///
/// Nothing is lost: each lease gives its own back when it ends. Whether that is a
/// leak is for the program to say: of a pool that is closed it usually is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leak {
    /// The pool.
    pub pool: String,
    /// Items that are out, in and outside of the capacity.
    pub leased: u64,
    /// Bytes of these items; 0 if the pool was gone before it could be asked.
    pub leased_bytes: u64,
    /// Who has them, longest first, as far as diagnostics know: nobody, if they
    /// are off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<HolderFigures>,
}

impl Registry {
    /// The leak report of all pools, now: those of which something is out. Stops
    /// the caches of pools whose diagnostics sample.
    ///
    /// ```
    /// use millpond_analytics::Registry;
    ///
    /// let registry = Registry::new();
    /// assert!(registry.leaks().is_empty());
    /// ```
    #[must_use]
    pub fn leaks(&self) -> Vec<Leak> {
        let snapshot = self.snapshot_with_holders(usize::MAX);
        snapshot.pools.into_iter().filter_map(Leak::of).collect()
    }

    /// A hook for pools: when one is closed while something of it is out, `told`
    /// is told of the leak, on the thread that closed it and with no lock held.
    ///
    /// A pool that was dropped, and not closed before, is known by its name and
    /// the number of its leases only.
    ///
    /// ```
    /// use millpond_analytics::Registry;
    ///
    /// let registry = Registry::new();
    /// let hook = registry.leak_hook(|leak| eprintln!("{leak}"));
    /// // FixedPool::builder(100).name("sessions").on_event(hook)
    /// # drop(hook);
    /// ```
    pub fn leak_hook(&self, told: impl Fn(&Leak) + Send + Sync + 'static) -> EventHook {
        // The registry knows pools weakly, so the hook keeps none of them alive.
        let registry = self.clone();
        EventHook::new(move |pool, event| {
            if let Event::Closed { leased } = event {
                if *leased > 0 {
                    told(&registry.leak_of(pool, *leased));
                }
            }
        })
    }

    fn leak_of(&self, pool: &str, leased: usize) -> Leak {
        let known = self.look_at(pool).and_then(Leak::of);
        known.unwrap_or_else(|| Leak {
            pool: pool.to_owned(),
            leased: leased as u64,
            leased_bytes: 0,
            holders: Vec::new(),
        })
    }
}

impl Leak {
    /// `None` if nothing is out.
    fn of(pool: PoolSnapshot) -> Option<Self> {
        let Observation {
            in_use,
            fallback_in_use,
            oversize_in_use,
            used_bytes,
            ..
        } = pool.figures;
        let parts = [in_use, fallback_in_use, oversize_in_use];
        let leased = parts.into_iter().fold(0, usize::saturating_add);
        (leased > 0).then_some(Self {
            pool: pool.name,
            leased: leased as u64,
            leased_bytes: used_bytes as u64,
            holders: pool.holders,
        })
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pool, bytes) = (printable(&self.pool), figure::bytes(self.leased_bytes));
        write!(f, "pool `{pool}`: {} leased, {bytes}", self.leased)?;
        for holder in &self.holders {
            let held = figure::nanos(as_f64(holder.held_ns));
            let (at, thread) = (printable(&holder.location), printable(&holder.thread));
            write!(f, "\n  acquired at {at} by {thread}, held for {held}")?;
        }
        Ok(())
    }
}
