//! What a pond is made of: the pools' own configurations, named.

use crate::error::PondError;
use crate::pond::Pond;
use core::fmt;
use millpond_core::adaptive::Adaptive;
use millpond_core::event::EventHook;
use millpond_core::exhaustion::Exhaustion;
use millpond_core::region::RegionOptions;
use std::collections::BTreeMap;
use std::string::String;

/// Values that a [`Pond::node_pool`] has room for if nobody says otherwise.
pub const DEFAULT_NODES: usize = 10_000;

/// Values that a [`Pond::result_pool`] has room for if nobody says otherwise.
pub const DEFAULT_RESULTS: usize = 1_000;

/// How a [`Pond`] is made. Begin with [`Pond::builder`], end with
/// [`PondConfig::build`].
///
/// ```
/// use millpond::{Exhaustion, Pond};
///
/// let pond = Pond::builder()
///     .with_name("shop")
///     .with_budget_bytes(256 << 20)
///     .with_exhaustion(Exhaustion::Fail)
///     .with_nodes(50_000)
///     .build()?;
/// assert_eq!(pond.budget().limit(), 256 << 20);
/// # Ok::<(), millpond::PondError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
#[must_use = "a configuration does nothing until a pond is made of it"]
pub struct PondConfig {
    /// The name of the pond and of its budget, in errors and reports.
    pub name: &'static str,
    /// The most bytes that all pools may hold together. Unset: no limit.
    pub budget_bytes: usize,
    /// What pools do when every item is leased. Unset: go on from the heap.
    pub exhaustion: Exhaustion,
    /// Values of a node pool.
    pub nodes: usize,
    /// Values of a result pool.
    pub results: usize,
    /// The scopes of arenas.
    #[cfg(feature = "arena")]
    pub arenas: millpond_arena::Builder,
    /// The size classes of the byte pool.
    #[cfg(feature = "bytes")]
    pub bytes: millpond_bytes::Config,
    /// Buffers of each class that are made with the pond.
    #[cfg(feature = "bytes")]
    pub bytes_warm_up: usize,
    /// Whether large objects of arenas are buffers of the byte pool, where a class
    /// has their size. Unset: they are allocations of their own.
    #[cfg(all(feature = "arena", feature = "bytes"))]
    pub large_objects_from_bytes: bool,
    /// What is said of pools by their names. It comes before what the program says
    /// when it makes them.
    pub pools: BTreeMap<String, PoolConfig>,
    /// Who is told what happens on slow paths.
    pub hook: Option<EventHook>,
}

impl Default for PondConfig {
    fn default() -> Self {
        Self {
            name: "pond",
            budget_bytes: usize::MAX,
            exhaustion: Exhaustion::Fallback {
                at_most: usize::MAX,
            },
            nodes: DEFAULT_NODES,
            results: DEFAULT_RESULTS,
            #[cfg(feature = "arena")]
            arenas: millpond_arena::ArenaManager::builder(),
            #[cfg(feature = "bytes")]
            bytes: millpond_bytes::Config::new().with_name("bytes"),
            #[cfg(feature = "bytes")]
            bytes_warm_up: 0,
            #[cfg(all(feature = "arena", feature = "bytes"))]
            large_objects_from_bytes: false,
            pools: BTreeMap::new(),
            hook: None,
        }
    }
}

impl PondConfig {
    /// The name of the pond and of its budget.
    pub const fn with_name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The most bytes that all pools may hold together.
    pub const fn with_budget_bytes(mut self, bytes: usize) -> Self {
        self.budget_bytes = bytes;
        self
    }

    /// What every pool of the pond does when all its items are leased.
    pub const fn with_exhaustion(mut self, policy: Exhaustion) -> Self {
        self.exhaustion = policy;
        self
    }

    /// Values of a node pool.
    pub const fn with_nodes(mut self, capacity: usize) -> Self {
        self.nodes = capacity;
        self
    }

    /// Values of a result pool.
    pub const fn with_results(mut self, capacity: usize) -> Self {
        self.results = capacity;
        self
    }

    /// The scopes of arenas. Their budget is the pond's.
    #[cfg(feature = "arena")]
    pub fn with_arenas(mut self, arenas: millpond_arena::Builder) -> Self {
        self.arenas = arenas;
        self
    }

    /// The byte pool. Its budget, policy and hook are the pond's.
    #[cfg(feature = "bytes")]
    pub fn with_bytes(mut self, bytes: millpond_bytes::Config) -> Self {
        self.bytes = bytes;
        self
    }

    /// Makes so many buffers of each class with the pond.
    #[cfg(feature = "bytes")]
    pub const fn with_bytes_warm_up(mut self, buffers: usize) -> Self {
        self.bytes_warm_up = buffers;
        self
    }

    /// What holds for the pool of this name, whatever the program says when it makes
    /// it.
    ///
    /// ```
    /// use millpond::{Pond, PoolConfig};
    ///
    /// let pond = Pond::builder()
    ///     .with_pool("sessions", PoolConfig::new().with_capacity(5000).with_warm_up(100))
    ///     .build()?;
    /// # #[cfg(feature = "fixed")] {
    /// let sessions = pond.fixed_pool::<String>("sessions", 1000)?;
    /// let figures = sessions.stats();
    /// assert_eq!(figures.capacity, 5000);
    /// assert!(figures.created >= 100);
    /// # }
    /// # Ok::<(), millpond::PondError>(())
    /// ```
    pub fn with_pool(mut self, name: impl Into<String>, config: PoolConfig) -> Self {
        self.pools.insert(name.into(), config);
        self
    }

    /// Takes large objects of arenas from the byte pool, where a class has their
    /// size: warm buffers in place of allocations, of which a budget and reports
    /// count the buffers.
    #[cfg(all(feature = "arena", feature = "bytes"))]
    pub const fn with_large_objects_from_bytes(mut self, from_bytes: bool) -> Self {
        self.large_objects_from_bytes = from_bytes;
        self
    }

    /// Tells `hook` what happens on the slow paths of every pool.
    pub fn with_hook(mut self, hook: EventHook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// The pond.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration, or that there is no memory for
    /// arenas that should be built in advance.
    pub fn build(self) -> Result<Pond, PondError> {
        Pond::new(self)
    }
}

impl fmt::Debug for PondConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PondConfig")
            .field("name", &self.name)
            .field("budget_bytes", &self.budget_bytes)
            .field("exhaustion", &self.exhaustion)
            .field("nodes", &self.nodes)
            .field("results", &self.results)
            .field("pools", &self.pools)
            .finish_non_exhaustive()
    }
}

/// What a configuration says of one pool of a pond, by its name. What is not set is
/// as the program says when it makes the pool, or as the pond.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[must_use = "a configuration does nothing until it is given to a pond"]
pub struct PoolConfig {
    /// Items that the pool may have.
    pub capacity: Option<usize>,
    /// Items that are made with the pool.
    pub warm_up: usize,
    /// What it does when every item is leased.
    pub exhaustion: Option<Exhaustion>,
    /// Between which bounds the capacity follows demand. Fixed and object pools.
    pub adaptive: Option<Adaptive>,
    /// Whether that capacity is only advised, and applied when the program says so.
    /// Fixed and object pools.
    pub advice_only: bool,
    /// Huge pages, prefaulting, a preferred node.
    pub region: RegionOptions,
    /// How rows are aligned. Pools of rows.
    #[cfg(feature = "vector")]
    pub alignment: Option<millpond_vector::Alignment>,
    /// How rows are spread over a slab. Pools of rows.
    #[cfg(feature = "vector")]
    pub spread: Option<millpond_vector::Spread>,
    /// Numbers that are kept beside each row. Pools of rows.
    #[cfg(feature = "vector")]
    pub side_arrays: millpond_vector::SideArrays,
    /// Bytes of a slab of rows. Pools of rows.
    #[cfg(feature = "vector")]
    pub slab_bytes: Option<usize>,
    /// Free rows that are kept when removals empty slabs. Pools of rows.
    #[cfg(feature = "vector")]
    pub spare_rows: Option<usize>,
}

impl PoolConfig {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Items that the pool may have.
    pub const fn with_capacity(mut self, items: usize) -> Self {
        self.capacity = Some(items);
        self
    }

    /// Items that are made with the pool, so that no early acquire asks the system.
    pub const fn with_warm_up(mut self, items: usize) -> Self {
        self.warm_up = items;
        self
    }

    /// What it does when every item is leased.
    pub const fn with_exhaustion(mut self, policy: Exhaustion) -> Self {
        self.exhaustion = Some(policy);
        self
    }

    /// Between which bounds the capacity of a fixed or object pool follows demand.
    pub const fn with_adaptive(mut self, adaptive: Adaptive) -> Self {
        self.adaptive = Some(adaptive);
        self
    }

    /// Advises the capacity of [`PoolConfig::with_adaptive`] and leaves it to the
    /// program to apply it.
    ///
    /// ```
    /// use millpond::{Adaptive, Pond, PoolConfig};
    ///
    /// let sessions = PoolConfig::new()
    ///     .with_adaptive(Adaptive::between(16, 128))
    ///     .with_advice_only(true);
    /// let pond = Pond::builder().with_pool("sessions", sessions).build()?;
    /// # #[cfg(feature = "fixed")] {
    /// let sessions = pond.fixed_pool::<u64>("sessions", 16)?;
    /// let burst: Vec<_> = (0..100).map(|n| sessions.acquire(n)).collect();
    /// let advice = sessions.advise().expect("84 lie outside");
    /// assert!(advice > 16 && sessions.capacity() == 16);
    /// sessions.apply(advice);
    /// # drop(burst);
    /// # }
    /// # Ok::<(), millpond::PondError>(())
    /// ```
    pub const fn with_advice_only(mut self, only: bool) -> Self {
        self.advice_only = only;
        self
    }

    /// Huge pages, prefaulting, a preferred node.
    pub const fn with_region(mut self, options: RegionOptions) -> Self {
        self.region = options;
        self
    }

    /// How rows are aligned.
    #[cfg(feature = "vector")]
    pub const fn with_alignment(mut self, align: millpond_vector::Alignment) -> Self {
        self.alignment = Some(align);
        self
    }

    /// How rows are spread over a slab.
    #[cfg(feature = "vector")]
    pub const fn with_spread(mut self, spread: millpond_vector::Spread) -> Self {
        self.spread = Some(spread);
        self
    }

    /// Numbers that are kept beside each row.
    ///
    /// ```
    /// use millpond::vector::{SideArrays, Spread};
    /// use millpond::{Pond, PoolConfig};
    ///
    /// let rows = PoolConfig::new()
    ///     .with_spread(Spread::PrefixScan)
    ///     .with_side_arrays(SideArrays::ALL);
    /// let pond = Pond::builder().with_pool("rows", rows).build()?;
    /// let rows = pond.vector_pool::<f32>("rows", 256, 100)?;
    /// assert_eq!(rows.layout().stride_bytes(), 1024 + 64);
    /// # Ok::<(), millpond::PondError>(())
    /// ```
    #[cfg(feature = "vector")]
    pub const fn with_side_arrays(mut self, arrays: millpond_vector::SideArrays) -> Self {
        self.side_arrays = arrays;
        self
    }

    /// Bytes of a slab of rows.
    #[cfg(feature = "vector")]
    pub const fn with_slab_bytes(mut self, bytes: usize) -> Self {
        self.slab_bytes = Some(bytes);
        self
    }

    /// Free rows that are kept when removals empty slabs.
    #[cfg(feature = "vector")]
    pub const fn with_spare_rows(mut self, rows: usize) -> Self {
        self.spare_rows = Some(rows);
        self
    }
}
