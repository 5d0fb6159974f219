//! The registry: which pools there are.

use crate::map::{MemoryMap, PoolRegions};
use crate::snapshot::{BudgetFigures, HolderFigures, PoolSnapshot, Snapshot};
use millpond_core::budget::Budget;
use millpond_core::observe::Observe;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a registry observes.
pub type Observed = dyn Observe + Send + Sync;

/// Most pools, and most budgets, in a registry that was not told otherwise.
///
/// Each is a label in every metric: a thousand are some 50,000 series for a
/// Prometheus server, which is as much as one program should ask of it.
pub const MOST_POOLS: usize = 1024;

/// Longest name of a pool or budget, in bytes.
pub const LONGEST_NAME: usize = 128;

/// The pools of a program, by name.
///
/// Pools come and go while the program runs: they are held weakly, and one that
/// was dropped is simply not there any more. Names are unique among the living,
/// because two pools of one name would be one time series.
///
/// ```
/// use millpond_analytics::Registry;
/// use millpond_core::observe::{Observation, Observe};
/// use std::sync::Arc;
///
/// struct Frames;
/// impl Observe for Frames {
///     fn name(&self) -> &str { "frames" }
///     fn observe(&self) -> Observation { Observation::default() }
/// }
///
/// let registry = Registry::new();
/// let frames = Arc::new(Frames);
/// registry.register(&frames)?;
/// assert!(registry.register(&Arc::new(Frames)).is_err()); // The name is taken.
/// assert_eq!(registry.snapshot().pools.len(), 1);
///
/// drop(frames);
/// assert_eq!(registry.snapshot().pools.len(), 0);
/// # Ok::<(), millpond_analytics::RegisterError>(())
/// ```
///
/// Cost: a lock for as long as it takes to copy the references. Pools are looked
/// at with no lock held.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    most: usize,
    pools: Mutex<BTreeMap<String, Held>>,
    budgets: Mutex<BTreeMap<String, Budget>>,
}

enum Held {
    Weakly(Weak<Observed>),
    ForEver(&'static Observed),
}

/// A pool for as long as it is looked at.
enum Live {
    Counted(Arc<Observed>),
    Static(&'static Observed),
}

impl Held {
    fn live(&self) -> Option<Live> {
        match self {
            Self::Weakly(pool) => pool.upgrade().map(Live::Counted),
            Self::ForEver(pool) => Some(Live::Static(*pool)),
        }
    }

    fn is_live(&self) -> bool {
        match self {
            Self::Weakly(pool) => pool.strong_count() > 0,
            Self::ForEver(_) => true,
        }
    }
}

// Pools are looked at with no lock held, and no step between two states can panic.
impl std::panic::UnwindSafe for Registry {}
impl std::panic::RefUnwindSafe for Registry {}

impl std::ops::Deref for Live {
    type Target = Observed;

    fn deref(&self) -> &Observed {
        match self {
            Self::Counted(pool) => &**pool,
            Self::Static(pool) => *pool,
        }
    }
}

impl Registry {
    /// A registry of at most [`MOST_POOLS`] pools.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room(MOST_POOLS)
    }

    /// A registry of at most so many pools, and as many budgets.
    #[must_use]
    pub fn with_room(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            pools: Mutex::new(BTreeMap::new()),
            budgets: Mutex::new(BTreeMap::new()),
        }))
    }

    /// Registers a pool under its own name, for as long as it lives.
    ///
    /// # Errors
    ///
    /// As [`Registry::register_as`].
    pub fn register<O>(&self, pool: &Arc<O>) -> Result<(), RegisterError>
    where
        O: Observe + Send + Sync + 'static,
    {
        self.register_as(pool.name(), pool)
    }

    /// Registers a pool under a name that it does not know, for as long as it
    /// lives.
    ///
    /// # Errors
    ///
    /// If the name is empty, longer than [`LONGEST_NAME`] bytes, or that of
    /// another living pool, or if the registry is full.
    pub fn register_as<O>(&self, name: &str, pool: &Arc<O>) -> Result<(), RegisterError>
    where
        O: Observe + Send + Sync + 'static,
    {
        let pool: Arc<Observed> = Arc::clone(pool) as Arc<Observed>;
        self.hold(name, Held::Weakly(Arc::downgrade(&pool)))
    }

    /// Registers a static pool under its own name.
    ///
    /// # Errors
    ///
    /// As [`Registry::register_as`].
    pub fn register_static(&self, pool: &'static Observed) -> Result<(), RegisterError> {
        self.hold(pool.name(), Held::ForEver(pool))
    }

    fn hold(&self, name: &str, held: Held) -> Result<(), RegisterError> {
        check_name(name)?;
        let mut pools = self.0.pools.lock();
        pools.retain(|_, held| held.is_live());
        if pools.contains_key(name) {
            return Err(RegisterError::Taken(name.to_owned()));
        }
        if pools.len() >= self.0.most {
            return Err(RegisterError::Full { most: self.0.most });
        }
        pools.insert(name.to_owned(), held);
        Ok(())
    }

    /// Registers a budget under its own name, until it is removed.
    ///
    /// # Errors
    ///
    /// As [`Registry::register_as`].
    pub fn register_budget(&self, budget: &Budget) -> Result<(), RegisterError> {
        let name = budget.name();
        check_name(name)?;
        let mut budgets = self.0.budgets.lock();
        if budgets.contains_key(name) {
            return Err(RegisterError::Taken(name.to_string()));
        }
        if budgets.len() >= self.0.most {
            return Err(RegisterError::Full { most: self.0.most });
        }
        budgets.insert(name.to_string(), budget.clone());
        Ok(())
    }

    /// Takes a pool out, and says who still has items of it: the leak report of
    /// a pool that is about to be closed. `None` if there is no such pool.
    #[must_use]
    pub fn remove(&self, name: &str) -> Option<PoolSnapshot> {
        let held = self.0.pools.lock().remove(name)?;
        let live = held.live()?;
        Some(PoolSnapshot::of(name, &*live).with_holders(&*live, usize::MAX))
    }

    /// Takes a budget out, and gives it back.
    #[must_use = "`None` says that there is no such budget"]
    pub fn remove_budget(&self, name: &str) -> Option<Budget> {
        self.0.budgets.lock().remove(name)
    }

    /// The figures of all pools and budgets. Two microseconds a pool, holders
    /// left out.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.look(0)
    }

    /// The same, with the `most` longest holders of each pool of which
    /// diagnostics know any. Stops the caches of pools whose diagnostics sample:
    /// for pages and reports, not for loops.
    #[must_use]
    pub fn snapshot_with_holders(&self, most: usize) -> Snapshot {
        self.look(most)
    }

    fn look(&self, holders: usize) -> Snapshot {
        let pools = self.live();
        let look = |(name, pool): &(String, Live)| {
            let figures = PoolSnapshot::of(name, &**pool);
            match holders {
                0 => figures,
                most => figures.with_holders(&**pool, most),
            }
        };
        let budgets: Vec<Budget> = self.0.budgets.lock().values().cloned().collect();
        let mut snapshot = Snapshot::new(unix_ms());
        snapshot.pools = pools.iter().map(look).collect();
        snapshot.budgets = budgets.iter().map(BudgetFigures::of).collect();
        snapshot
    }

    /// Where the memory of all pools lies that know: the map by address of
    /// [`Page::mapped`](crate::Page::mapped). Stops the caches of each pool in turn and
    /// looks at its free items: for pages and reports, not for loops.
    ///
    /// ```
    /// use millpond_analytics::Registry;
    ///
    /// let registry = Registry::new();
    /// // Register pools, let them work, and then:
    /// for pool in registry.memory_map().pools {
    ///     for region in pool.regions {
    ///         println!("{}: {:#x}, {} items", pool.pool, region.address, region.in_use);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn memory_map(&self) -> MemoryMap {
        let regions = |(name, pool): (String, Live)| PoolRegions::of(name, pool.regions());
        let pools = self.live().into_iter().map(regions);
        MemoryMap {
            pools: pools.filter(|pool| !pool.regions.is_empty()).collect(),
        }
    }

    /// The figures of one pool, with all its holders; `None` if it does not live.
    pub(crate) fn look_at(&self, name: &str) -> Option<PoolSnapshot> {
        let live = self.0.pools.lock().get(name)?.live()?;
        Some(PoolSnapshot::of(name, &*live).with_holders(&*live, usize::MAX))
    }

    /// Every lease that diagnostics know of and that has been out for longer
    /// than `limit`, with its pool, longest first.
    #[must_use]
    pub fn held_longer_than(&self, limit: Duration) -> Vec<(String, HolderFigures)> {
        let mut found = Vec::new();
        for (name, pool) in self.live() {
            let holders = pool.holders();
            let long = holders.iter().filter(|holder| holder.held > limit);
            found.extend(long.map(|holder| (name.clone(), HolderFigures::of(holder))));
        }
        found.sort_by_key(|(_, holder)| std::cmp::Reverse(holder.held_ns));
        found
    }

    /// For how long the longest lease of each pool has been out, as far as
    /// diagnostics know.
    #[cfg(any(feature = "prometheus-client", feature = "metrics"))]
    pub(crate) fn longest_holds(&self) -> Vec<(String, Duration)> {
        let longest = |(name, pool): (String, Live)| {
            let holders = pool.holders();
            let first = holders.first().map(|holder| holder.held);
            (name, first.unwrap_or_default())
        };
        self.live().into_iter().map(longest).collect()
    }

    fn live(&self) -> Vec<(String, Live)> {
        let pools = self.0.pools.lock();
        let live = pools
            .iter()
            .filter_map(|(name, held)| Some((name.clone(), held.live()?)));
        live.collect()
    }
}

fn check_name(name: &str) -> Result<(), RegisterError> {
    match name.len() {
        0 => Err(RegisterError::Nameless),
        bytes if bytes > LONGEST_NAME => Err(RegisterError::TooLong { bytes }),
        _ => Ok(()),
    }
}

/// Milliseconds since 1970; 0 for a clock that is set before.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools = self.0.pools.lock();
        f.debug_struct("Registry")
            .field("pools", &pools.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Why a pool or budget was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// It has no name.
    Nameless,
    /// Its name is too long to be a label.
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Another one of this name lives.
    Taken(String),
    /// There are as many as the registry takes.
    Full {
        /// How many that is.
        most: usize,
    },
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nameless => f.write_str("a pool needs a name to be registered"),
            Self::TooLong { bytes } => write!(
                f,
                "the name has {bytes} bytes; 1 to {LONGEST_NAME} are allowed"
            ),
            Self::Taken(name) => write!(f, "another pool named {name:?} is registered"),
            Self::Full { most } => write!(f, "the registry is full: {most} are allowed"),
        }
    }
}

impl std::error::Error for RegisterError {}
