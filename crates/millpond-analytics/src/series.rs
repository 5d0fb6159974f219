//! Series: snapshots over time, in bounded memory.

use crate::snapshot::Snapshot;
use millpond_core::observe::Observation;
use std::collections::{BTreeMap, VecDeque};

/// Most pools that one point of a series keeps.
const MOST_POOLS: usize = 1024;

/// Figures of pools over time.
///
/// A full series forgets every second point and from then on keeps every second
/// snapshot that it is given: it always covers the whole time, ever more
/// coarsely, and never takes more room. Classes, histograms and holders are not
/// kept.
///
/// ```
/// use millpond_analytics::{Registry, Series};
///
/// let registry = Registry::new();
/// let mut series = Series::new(100);
/// for _ in 0..1000 {
///     series.push(&registry.snapshot());
/// }
/// assert!(series.len() <= 100);
/// ```
#[derive(Clone, Debug)]
pub struct Series {
    points: VecDeque<Point>,
    most: usize,
    /// Snapshots for each point that is kept.
    stride: u64,
    given: u64,
}

/// What a series keeps of a snapshot.
#[derive(Clone, Debug)]
struct Point {
    taken_unix_ms: u64,
    pools: BTreeMap<String, Observation>,
}

/// What a pool did between two points.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// When it began, in milliseconds since 1970.
    pub from_unix_ms: u64,
    /// When it ended.
    pub to_unix_ms: u64,
    /// Counters as they grew in it; gauges as they were at its end.
    pub figures: Observation,
}

impl Interval {
    /// A counter of the interval, a second. `None` if no time passed.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn per_second(&self, count: u64) -> Option<f64> {
        let ms = self.to_unix_ms.saturating_sub(self.from_unix_ms);
        (ms > 0).then(|| count as f64 * 1000.0 / ms as f64)
    }
}

impl Series {
    /// A series of at most `most` points, at least two.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            points: VecDeque::new(),
            most: most.max(2),
            stride: 1,
            given: 0,
        }
    }

    /// Adds a snapshot, or lets it pass, as the resolution demands. Time does not
    /// run backwards: a snapshot that is older than the last is let pass.
    pub fn push(&mut self, snapshot: &Snapshot) {
        let last = self.points.back().map_or(0, |last| last.taken_unix_ms);
        if snapshot.taken_unix_ms < last {
            return;
        }
        let kept = self.given % self.stride == 0;
        self.given += 1;
        if !kept {
            return;
        }
        if self.points.len() == self.most {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride = self.stride.saturating_mul(2);
        }
        let pools = snapshot.pools.iter().take(MOST_POOLS);
        self.points.push_back(Point {
            taken_unix_ms: snapshot.taken_unix_ms,
            pools: pools
                .map(|pool| (pool.name.clone(), pool.figures))
                .collect(),
        });
    }

    /// How many points there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// When the first and the last point were taken, in milliseconds since 1970.
    #[must_use]
    pub fn span_unix_ms(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        Some((first.taken_unix_ms, last.taken_unix_ms))
    }

    /// The names of all pools that were ever seen, sorted.
    #[must_use]
    pub fn pools(&self) -> Vec<&str> {
        let names = self.points.iter().flat_map(|point| point.pools.keys());
        let mut names: Vec<&str> = names.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What the pool of this name did, interval by interval. Intervals in which
    /// it was not there, or was replaced by another of its name, are left out.
    pub fn intervals<'s>(&'s self, pool: &'s str) -> impl Iterator<Item = Interval> + 's {
        let pairs = self.points.iter().zip(self.points.iter().skip(1));
        pairs.filter_map(move |(from, to)| {
            let (before, now) = (from.pools.get(pool)?, to.pools.get(pool)?);
            (now.acquires >= before.acquires).then(|| Interval {
                from_unix_ms: from.taken_unix_ms,
                to_unix_ms: to.taken_unix_ms,
                figures: now.since(before),
            })
        })
    }
}
