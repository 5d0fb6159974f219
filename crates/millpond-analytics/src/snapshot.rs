//! Snapshots: the figures of many pools at one time, to keep, compare and add.

use millpond_core::budget::Budget;
use millpond_core::diagnostics::Holder;
use millpond_core::observe::{Class, Observation, Observe, Sampled};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

/// The version of snapshots that this crate writes, and the newest that it
/// reads. Fields are added without a new version; readers take what is missing
/// for zero.
pub const VERSION: u32 = 1;

/// The label of what belongs to no class of a pool that has classes.
pub const OUTSIDE: &str = "outside";

/// The figures of all pools at one time, of one machine or several.
///
/// ```
/// use millpond_analytics::{Registry, Snapshot};
///
/// let registry = Registry::new();
/// let before = registry.snapshot();
/// // ... the program works ...
/// let rates = registry.snapshot().since(&before);
/// assert!(rates.covers_ms.is_some());
///
/// let text = rates.to_json();
/// assert_eq!(Snapshot::from_json(&text)?, rates);
/// # Ok::<(), millpond_analytics::SnapshotError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// [`VERSION`] at the time of writing.
    pub version: u32,
    /// When it was taken, in milliseconds since 1970.
    pub taken_unix_ms: u64,
    /// For a difference: the time between the two snapshots, in milliseconds.
    #[serde(default)]
    pub covers_ms: Option<u64>,
    /// How many machines (processes) are added up in it.
    pub machines: u32,
    /// The pools, sorted by name.
    pub pools: Vec<PoolSnapshot>,
    /// The budgets, sorted by name.
    #[serde(default)]
    pub budgets: Vec<BudgetFigures>,
}

/// The figures of one pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolSnapshot {
    /// Its name, unique within the snapshot.
    pub name: String,
    /// What sort of pool it is: `fixed`, `arena`, `vector`, `bytes`.
    pub kind: String,
    /// Its figures, over all classes.
    pub figures: Observation,
    /// Its classes; none for a pool of one kind of item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<Class>,
    /// What diagnostics have sampled.
    #[serde(default, skip_serializing_if = "Sampled::is_empty")]
    pub sampled: Sampled,
    /// The longest holders, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<HolderFigures>,
}

/// Somebody who has an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HolderFigures {
    /// Where it was acquired: file, line and column.
    pub location: String,
    /// The thread that acquired it.
    pub thread: String,
    /// For how long it has been out.
    pub held_ns: u64,
}

/// The figures of one budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BudgetFigures {
    /// Its name, unique within the snapshot.
    pub name: String,
    /// Most bytes that may be held.
    pub limit_bytes: u64,
    /// Bytes held in it and in the budgets below.
    pub held_bytes: u64,
    /// Most bytes ever held at once.
    pub high_water_bytes: u64,
    /// Charges refused for good.
    pub refusals: u64,
    /// Bytes that members gave back because there was no room.
    pub reclaimed_bytes: u64,
}

impl Snapshot {
    /// A snapshot of nothing.
    #[must_use]
    pub const fn new(taken_unix_ms: u64) -> Self {
        Self {
            version: VERSION,
            taken_unix_ms,
            covers_ms: None,
            machines: 1,
            pools: Vec::new(),
            budgets: Vec::new(),
        }
    }

    /// The pool of this name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&PoolSnapshot> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// What happened since `earlier`: counters of pools that were there then
    /// without what they had counted, gauges as they are. A pool that has
    /// counted less than it had is a new one of that name, and counts whole.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        let before: BTreeMap<&str, &PoolSnapshot> = by_name(earlier);
        for pool in &mut self.pools {
            if let Some(before) = before.get(pool.name.as_str()) {
                pool.take_off(before);
            }
        }
        for budget in &mut self.budgets {
            let same = |other: &&BudgetFigures| other.name == budget.name;
            if let Some(before) = earlier.budgets.iter().find(same) {
                budget.refusals = budget.refusals.saturating_sub(before.refusals);
                budget.reclaimed_bytes = budget
                    .reclaimed_bytes
                    .saturating_sub(before.reclaimed_bytes);
            }
        }
        self.covers_ms = Some(self.taken_unix_ms.saturating_sub(earlier.taken_unix_ms));
        self
    }

    /// The pools of two machines, those of one name added up.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        self.machines = self.machines.saturating_add(other.machines);
        self.taken_unix_ms = self.taken_unix_ms.max(other.taken_unix_ms);
        self.covers_ms = self.covers_ms.max(other.covers_ms);
        for pool in &other.pools {
            match self.pools.iter_mut().find(|own| own.name == pool.name) {
                Some(own) => own.add(pool),
                None => self.pools.push(pool.clone()),
            }
        }
        for budget in &other.budgets {
            match self.budgets.iter_mut().find(|own| own.name == budget.name) {
                Some(own) => own.add(budget),
                None => self.budgets.push(budget.clone()),
            }
        }
        self.pools.sort_by(|a, b| a.name.cmp(&b.name));
        self.budgets.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// The time that a difference covers.
    #[must_use]
    pub fn covers(&self) -> Option<Duration> {
        self.covers_ms.map(Duration::from_millis)
    }

    /// The sum over all pools.
    #[must_use]
    pub fn total(&self) -> Observation {
        let sum = |sum: Option<Observation>, pool: &PoolSnapshot| {
            Some(sum.map_or(pool.figures, |sum| sum.merge(pool.figures)))
        };
        self.pools.iter().fold(None, sum).unwrap_or_default()
    }

    /// As JSON, readable by people.
    ///
    /// # Panics
    ///
    /// Never: every field can be written.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, strings and lists of them")
    }

    /// From JSON.
    ///
    /// # Errors
    ///
    /// If the text is no snapshot, of a newer version, or names a pool twice.
    pub fn from_json(text: &str) -> Result<Self, SnapshotError> {
        let snapshot: Self = serde_json::from_str(text)
            .map_err(|error| SnapshotError::Malformed(error.to_string()))?;
        if snapshot.version == 0 || snapshot.version > VERSION {
            return Err(SnapshotError::Version(snapshot.version));
        }
        let mut names = HashSet::new();
        for pool in &snapshot.pools {
            if !names.insert(pool.name.as_str()) {
                return Err(SnapshotError::Twice(pool.name.clone()));
            }
        }
        Ok(snapshot)
    }
}

fn by_name(snapshot: &Snapshot) -> BTreeMap<&str, &PoolSnapshot> {
    let pools = snapshot.pools.iter();
    pools.map(|pool| (pool.name.as_str(), pool)).collect()
}

impl PoolSnapshot {
    /// The figures of a pool, under `name`.
    #[must_use]
    pub fn of(name: &str, pool: &dyn Observe) -> Self {
        Self {
            name: name.to_owned(),
            kind: pool.kind().to_owned(),
            figures: pool.observe(),
            classes: pool.classes(),
            sampled: pool.sampled(),
            holders: Vec::new(),
        }
    }

    /// The same, with the `most` longest holders of the pool.
    #[must_use]
    pub(crate) fn with_holders(mut self, pool: &dyn Observe, most: usize) -> Self {
        let holders = pool.holders();
        self.holders = holders.iter().take(most).map(HolderFigures::of).collect();
        self
    }

    /// The classes, or the whole pool as its only class, without a label.
    ///
    /// What belongs to no class (items outside of the capacity, sizes above the
    /// largest class) is a part labelled [`OUTSIDE`], if there is any: the parts
    /// add up to the pool. A label that occurs twice is given once.
    pub fn parts(&self) -> impl Iterator<Item = (&str, Observation, &Sampled)> {
        let mut seen = HashSet::new();
        let classes = self.classes.iter();
        let classes: Vec<_> = classes
            .filter(move |class| seen.insert(&*class.label))
            .collect();
        let rest = self.outside(&classes);
        let rest = rest.map(|(label, figures)| (label, figures, self.sampled_outside(label)));
        let classes = classes.into_iter();
        let classes = classes.map(|class| (&*class.label, class.figures, &class.sampled));
        classes.chain(rest)
    }

    /// What belongs to none of the classes.
    fn outside(&self, classes: &[&Class]) -> Option<(&'static str, Observation)> {
        if classes.is_empty() {
            return Some(("", self.figures));
        }
        if classes.iter().any(|class| class.label == OUTSIDE) {
            return None;
        }
        let figures = classes.iter().map(|class| class.figures);
        let mut rest = figures.fold(self.figures, Observation::without);
        // Sums of what only the classes know.
        (rest.item_bytes, rest.capacity, rest.high_water) = (0, 0, 0);
        (rest != Observation::default()).then_some((OUTSIDE, rest))
    }

    fn sampled_outside(&self, label: &str) -> &Sampled {
        static NOTHING: LazyLock<Sampled> = LazyLock::new(Sampled::default);
        match label {
            "" => &self.sampled,
            _ => &NOTHING,
        }
    }

    fn take_off(&mut self, before: &Self) {
        if self.figures.acquires < before.figures.acquires {
            return;
        }
        self.figures = self.figures.since(&before.figures);
        self.sampled = std::mem::take(&mut self.sampled).since(&before.sampled);
        for class in &mut self.classes {
            let same = |other: &&Class| other.label == class.label;
            if let Some(before) = before.classes.iter().find(same) {
                class.figures = class.figures.since(&before.figures);
                class.sampled = std::mem::take(&mut class.sampled).since(&before.sampled);
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.figures = self.figures.merge(other.figures);
        self.sampled.merge(&other.sampled);
        for class in &other.classes {
            let same = |own: &&mut Class| own.label == class.label;
            match self.classes.iter_mut().find(same) {
                Some(own) => {
                    own.figures = own.figures.merge(class.figures);
                    own.sampled.merge(&class.sampled);
                }
                None => self.classes.push(class.clone()),
            }
        }
        self.holders.extend(other.holders.iter().cloned());
        self.holders
            .sort_by_key(|holder| std::cmp::Reverse(holder.held_ns));
    }
}

impl HolderFigures {
    pub(crate) fn of(holder: &Holder) -> Self {
        Self {
            location: holder.location.to_string(),
            thread: format!("{:?}", holder.thread),
            held_ns: u64::try_from(holder.held.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

impl BudgetFigures {
    pub(crate) fn of(budget: &Budget) -> Self {
        let figures = budget.snapshot();
        Self {
            name: figures.name.to_string(),
            limit_bytes: figures.limit as u64,
            held_bytes: figures.held as u64,
            high_water_bytes: figures.high_water as u64,
            refusals: figures.refusals,
            reclaimed_bytes: figures.reclaimed_bytes as u64,
        }
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.limit_bytes, other.limit_bytes),
            (&mut self.held_bytes, other.held_bytes),
            (&mut self.high_water_bytes, other.high_water_bytes),
            (&mut self.refusals, other.refusals),
            (&mut self.reclaimed_bytes, other.reclaimed_bytes),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Why a text is not a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is not the JSON of a snapshot.
    Malformed(String),
    /// It is of a version that this crate does not know.
    Version(u32),
    /// It has two pools of this name.
    Twice(String),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "not a snapshot: {why}"),
            Self::Version(version) => write!(
                f,
                "a snapshot of version {version}; 1 to {VERSION} are understood"
            ),
            Self::Twice(name) => write!(f, "the snapshot has two pools named {name:?}"),
        }
    }
}

impl std::error::Error for SnapshotError {}
