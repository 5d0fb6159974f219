//! What a trace says of each pool, in one pass.

use super::{Advisor, Demand, PoolAdvice, count_sizes};
use crate::trace::{Trace, TraceEvent};
use millpond_core::observe::Observation;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What one pool did.
#[derive(Debug, Default)]
pub(super) struct Seen {
    out: HashSet<u64>,
    /// Items that were out at an acquire, that item included, and how often.
    levels: HashMap<usize, u64>,
    sizes: Vec<usize>,
}

/// What each pool did, by name.
pub(super) fn by_name(trace: &Trace) -> BTreeMap<&str, Seen> {
    let mut pools: BTreeMap<&str, Seen> = BTreeMap::new();
    for event in &trace.events {
        let Some(name) = trace.pools.get(event.pool) else {
            continue;
        };
        pools.entry(name).or_default().see(event);
    }
    pools
}

impl Trace {
    /// How many items of a pool were out at a time: at each acquire, that item
    /// included.
    #[must_use]
    pub fn demand(&self, pool: &str) -> Demand {
        self.seen(pool).demand()
    }

    /// How often each size of a pool was acquired.
    #[must_use]
    pub fn sizes(&self, pool: &str) -> Vec<(usize, u64)> {
        count_sizes(self.seen(pool).sizes)
    }

    fn seen(&self, pool: &str) -> Seen {
        let mut seen = Seen::default();
        let is_of = |event: &&TraceEvent| self.pools.get(event.pool).is_some_and(|n| n == pool);
        let events = self.events.iter().filter(is_of);
        events.for_each(|event| seen.see(event));
        seen
    }
}

impl Seen {
    fn see(&mut self, event: &TraceEvent) {
        match event.bytes {
            Some(bytes) => {
                self.out.insert(event.item);
                *self.levels.entry(self.out.len()).or_default() += 1;
                self.sizes.push(bytes);
            }
            None => {
                self.out.remove(&event.item);
            }
        }
    }

    /// How many items were wanted at a time.
    pub(super) fn demand(&self) -> Demand {
        Demand::from_pairs(
            self.levels
                .iter()
                .map(|(&items, &acquires)| (items, acquires)),
        )
    }

    pub(super) fn advise(&self, advisor: &Advisor, name: &str) -> Option<PoolAdvice> {
        let counted = count_sizes(self.sizes.iter().copied());
        let (&(smallest, _), &(largest, _)) = (counted.first()?, counted.last()?);
        let mut figures = Observation::default();
        figures.item_bytes = largest;
        figures.acquires = self.sizes.len() as u64;
        let capacity = advisor.capacity(&self.demand(), &figures)?;
        let several = smallest != largest;
        Some(PoolAdvice {
            pool: name.to_owned(),
            kind: if several { "bytes" } else { "fixed" }.to_owned(),
            capacities: vec![(String::new(), capacity)],
            classes: several
                .then(|| advisor.class_table(&counted, &[]))
                .flatten(),
            nominal: Vec::new(),
        })
    }
}
