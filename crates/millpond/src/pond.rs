//! The pond: pools of every kind under one budget.

use crate::config::{PondConfig, PoolConfig};
use crate::error::PondError;
use crate::leak::{Leak, LeakReport};
use crate::member::{Adopted, Controls, Member};
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use millpond_core::budget::Budget;
use millpond_core::diagnostics::{Diagnosis, Holder};
use millpond_core::event::EventHook;
use millpond_core::exhaustion::Exhaustion;
use millpond_core::observe::{Class, Observation, Observe, RegionFigures};
use millpond_core::trim::{Level, Trim, TrimReport};
use std::collections::BTreeMap;
use std::string::String;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use std::vec::Vec;

/// How often a closing pond looks whether leases came home.
const LOOK: Duration = Duration::from_millis(1);

/// Pools of every kind under one budget. A handle: clones are the same pond.
///
/// ```
/// use millpond::Pond;
/// use std::time::Duration;
///
/// # #[cfg(feature = "fixed")] {
/// let pond = Pond::builder().with_budget_bytes(1 << 20).build()?;
/// let nodes = pond.node_pool::<[u32; 4]>("nodes")?;
/// let node = nodes.acquire_owned([1, 2, 3, 4])?;
///
/// let leaks = pond.close(Duration::ZERO); // Too early.
/// assert_eq!(leaks.leased(), 1);
/// drop(node);
/// assert!(pond.close(Duration::ZERO).is_empty());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The pond owns its pools: they live until its last handle goes, and items that
/// are leased then until their leases end. For a pool that should go earlier,
/// make it yourself and give it [`Pond::budget`].
// The pools behind fast paths are in the handle and not in what it leads to, so
// that a pond's way to them is as long as that of their own handles.
#[derive(Clone)]
pub struct Pond {
    inner: Arc<Inner>,
    #[cfg(feature = "arena")]
    arenas: millpond_arena::ArenaManager,
    #[cfg(feature = "bytes")]
    bytes: millpond_bytes::BytePool,
}

struct Inner {
    name: &'static str,
    budget: Budget,
    #[cfg_attr(
        not(any(feature = "fixed", feature = "vector")),
        expect(dead_code, reason = "told to the pools that there are")
    )]
    hook: Option<EventHook>,
    exhaustion: Exhaustion,
    #[cfg_attr(not(feature = "fixed"), expect(dead_code, reason = "of fixed pools"))]
    nodes: usize,
    #[cfg_attr(not(feature = "fixed"), expect(dead_code, reason = "of fixed pools"))]
    results: usize,
    pools: BTreeMap<String, Planned>,
    closed: AtomicBool,
    members: Mutex<Vec<Arc<Member>>>,
    #[cfg(feature = "analytics")]
    registry: millpond_analytics::Registry,
}

/// What the configuration says of a pool by its name.
struct Planned {
    #[cfg_attr(
        not(any(feature = "fixed", feature = "vector")),
        expect(dead_code, reason = "told to the pools that there are")
    )]
    config: PoolConfig,
    /// Whether the program made a pool of this name.
    made: AtomicBool,
}

impl From<PoolConfig> for Planned {
    fn from(config: PoolConfig) -> Self {
        Self {
            config,
            made: AtomicBool::new(false),
        }
    }
}

// The list of members is whole at every instant, and pools say themselves that they are.
impl core::panic::UnwindSafe for Pond {}
impl core::panic::RefUnwindSafe for Pond {}

impl Pond {
    /// Begins a pond; end with [`PondConfig::build`].
    pub fn builder() -> PondConfig {
        PondConfig::default()
    }

    #[cfg_attr(
        not(any(feature = "arena", feature = "bytes")),
        expect(clippy::unnecessary_wraps, reason = "the pools may refuse theirs")
    )]
    pub(crate) fn new(config: PondConfig) -> Result<Self, PondError> {
        let budget = Budget::new(config.name, config.budget_bytes);
        #[cfg(feature = "bytes")]
        let bytes = {
            let mut bytes = config.bytes.with_budget(&budget);
            bytes = bytes.with_exhaustion(config.exhaustion);
            if let Some(hook) = &config.hook {
                bytes = bytes.with_hook(hook.clone());
            }
            let bytes = millpond_bytes::BytePool::new(bytes)?;
            bytes
                .warm_up(config.bytes_warm_up)
                .map_err(PondError::WarmUp)?;
            bytes
        };
        #[cfg(feature = "arena")]
        let arenas = {
            let mut arenas = config.arenas;
            if let Some(hook) = &config.hook {
                arenas.on_event(hook.clone());
            }
            #[cfg(feature = "bytes")]
            if config.large_objects_from_bytes {
                arenas.large_objects_from(Arc::new(bytes.clone()));
            }
            arenas.budget(&budget).build()?
        };
        let inner = Inner {
            name: config.name,
            budget,
            hook: config.hook,
            exhaustion: config.exhaustion,
            nodes: config.nodes,
            results: config.results,
            pools: config
                .pools
                .into_iter()
                .map(|(name, config)| (name, Planned::from(config)))
                .collect(),
            closed: AtomicBool::new(false),
            members: Mutex::new(Vec::new()),
            #[cfg(feature = "analytics")]
            registry: millpond_analytics::Registry::new(),
        };
        let pond = Self {
            inner: Arc::new(inner),
            #[cfg(feature = "arena")]
            arenas,
            #[cfg(feature = "bytes")]
            bytes,
        };
        #[cfg(feature = "analytics")]
        pond.inner.registry.register_budget(&pond.inner.budget)?;
        #[cfg(feature = "arena")]
        pond.enter("arenas", &Arc::new(pond.arenas.clone()))?;
        #[cfg(feature = "bytes")]
        pond.enter("bytes", &Arc::new(pond.bytes.clone()))?;
        Ok(pond)
    }

    /// The name of the pond.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// The budget to which all pools of the pond are charged. Pools that were
    /// made elsewhere may be charged to it too.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.inner.budget
    }

    /// What the pond's pools do when every item is leased.
    #[must_use]
    pub fn exhaustion(&self) -> Exhaustion {
        self.inner.exhaustion
    }

    /// Takes a pool in that was made elsewhere: it is observed, trimmed and
    /// reported with the others, and lives as long as the pond.
    ///
    /// # Errors
    ///
    /// If another pool of the pond has its name, or the pond is closed.
    pub fn adopt<P>(&self, pool: &Arc<P>) -> Result<(), PondError>
    where
        P: Observe + Trim + Send + Sync + 'static,
    {
        self.enter(pool.name(), &Arc::new(Adopted(Arc::clone(pool))))
    }

    fn enter<P>(&self, name: &str, pool: &Arc<P>) -> Result<(), PondError>
    where
        P: Observe + Controls + 'static,
    {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(PondError::Closed);
        }
        let mut members = self.lock();
        if members.iter().any(|member| member.name == name) {
            return Err(PondError::Taken(String::from(name)));
        }
        #[cfg(feature = "analytics")]
        self.inner.registry.register_as(name, pool)?;
        members.push(Arc::new(Member::new(name, pool)));
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Member>>> {
        // A panic leaves the list whole.
        self.inner
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the configuration says of the pool of this name.
    #[cfg(any(feature = "fixed", feature = "vector"))]
    fn config_of(&self, name: &str) -> PoolConfig {
        let Some(planned) = self.inner.pools.get(name) else {
            return PoolConfig::default();
        };
        planned.made.store(true, Ordering::Relaxed);
        planned.config.clone()
    }

    /// The names of pools of which the configuration speaks, and that the program did
    /// not make so far: a name that was misspelt in a file is found here.
    ///
    /// ```
    /// use millpond::{Pond, PoolConfig};
    ///
    /// let pond = Pond::builder()
    ///     .with_pool("sesions", PoolConfig::new().with_capacity(5000))
    ///     .build()?;
    /// # #[cfg(feature = "fixed")] {
    /// let sessions = pond.fixed_pool::<String>("sessions", 1000)?;
    /// assert_eq!(pond.unmade_pools().collect::<Vec<_>>(), ["sesions"]);
    /// # }
    /// # Ok::<(), millpond::PondError>(())
    /// ```
    pub fn unmade_pools(&self) -> impl Iterator<Item = &str> {
        let planned = self.inner.pools.iter();
        let unmade = planned.filter(|(_, planned)| !planned.made.load(Ordering::Relaxed));
        unmade.map(|(name, _)| name.as_str())
    }

    /// The members, to be looked at with no lock held.
    fn members(&self) -> Vec<Arc<Member>> {
        self.lock().clone()
    }

    /// Maintenance: call it now and then, every minute say. Arenas that nobody
    /// needs go by and by; a pool of which nothing was acquired since the last
    /// tick gives back what is free.
    pub fn tick(&self) -> TrimReport {
        let reports = self.members();
        let report = reports
            .iter()
            .map(|member| member.tick())
            .fold(TrimReport::default(), TrimReport::merge);
        #[cfg(feature = "arena")]
        let report = report.merge(self.arenas.maintain());
        report
    }

    /// Gives back what `level` allows, of every pool.
    pub fn trim(&self, level: Level) -> TrimReport {
        let members = self.members();
        let reports = members.iter().map(|member| member.controls.trim(level));
        reports.fold(TrimReport::default(), TrimReport::merge)
    }

    /// Switches the diagnostics of every pool that the pond made.
    pub fn set_diagnosis(&self, level: Diagnosis) {
        for member in self.members() {
            member.controls.diagnose(level);
        }
    }

    /// Closes the pond: makes no pool any more, refuses acquires and new
    /// memory, waits for up to `grace` until leases come home, gives all free
    /// memory back, and says who still had what.
    ///
    /// Fixed pools refuse at once. Others give out what is free in a slab that a
    /// lease keeps alive, and no new memory. May be called again, to see what is
    /// left.
    pub fn close(&self, grace: Duration) -> LeakReport {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.budget.set_limit(0);
        let members = self.members();
        for member in &members {
            member.controls.close();
        }
        let began = Instant::now();
        let is_leased = |member: &Arc<Member>| leased(&member.figures.observe()) > 0;
        while began.elapsed() < grace && members.iter().any(is_leased) {
            std::thread::sleep(LOOK.min(grace.saturating_sub(began.elapsed())));
        }
        for member in &members {
            member.controls.trim(Level::Full);
        }
        LeakReport {
            waited: began.elapsed(),
            leaks: members.iter().filter_map(leak).collect(),
        }
    }

    /// What is leased now, of every pool, and by whom as far as diagnostics know:
    /// the report of [`Pond::close`] without closing.
    pub fn leaks(&self) -> LeakReport {
        LeakReport {
            waited: Duration::ZERO,
            leaks: self.members().iter().filter_map(leak).collect(),
        }
    }

    /// Whether the pond was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire)
    }
}

/// Items that are out, in and outside the capacity.
fn leased(figures: &Observation) -> usize {
    figures.in_use + figures.fallback_in_use + figures.oversize_in_use
}

fn leak(member: &Arc<Member>) -> Option<Leak> {
    let figures = member.figures.observe();
    let leased = leased(&figures);
    (leased > 0).then(|| Leak {
        pool: member.name.clone(),
        kind: member.figures.kind(),
        leased,
        leased_bytes: figures.used_bytes,
        holders: member.figures.holders(),
    })
}

/// Arenas, by scope.
#[cfg(feature = "arena")]
impl Pond {
    /// The arenas.
    #[must_use]
    pub fn arenas(&self) -> &millpond_arena::ArenaManager {
        &self.arenas
    }

    /// Leases an arena; see [`ArenaManager::lease`](millpond_arena::ArenaManager::lease).
    ///
    /// # Errors
    ///
    /// If there is no memory or no budget for a new arena.
    #[inline]
    #[track_caller]
    pub fn arena(
        &self,
        scope: millpond_arena::Scope,
    ) -> Result<millpond_arena::Lease<'static>, millpond_arena::LeaseError> {
        self.arenas.lease(scope)
    }
}

/// Byte buffers.
#[cfg(feature = "bytes")]
impl Pond {
    /// The byte pool.
    #[must_use]
    pub fn bytes(&self) -> &millpond_bytes::BytePool {
        &self.bytes
    }

    /// An empty buffer with room for `len` bytes; see
    /// [`BytePool::acquire`](millpond_bytes::BytePool::acquire).
    ///
    /// # Errors
    ///
    /// Which limit was hit.
    #[inline]
    #[track_caller]
    pub fn buffer(
        &self,
        len: usize,
    ) -> Result<millpond_bytes::PoolBuf, millpond_core::error::AcquireError> {
        self.bytes.acquire(len)
    }
}

/// Pools of one type.
#[cfg(feature = "fixed")]
impl Pond {
    /// A pool of the nodes of a graph: room for as many as the configuration
    /// says ([`DEFAULT_NODES`](crate::DEFAULT_NODES) if it says nothing).
    ///
    /// # Errors
    ///
    /// If another pool of the pond has this name, or the pond is closed.
    pub fn node_pool<T: Send + 'static>(
        &self,
        name: &'static str,
    ) -> Result<millpond_fixed::PoolHandle<T>, PondError> {
        self.fixed_pool(name, self.inner.nodes)
    }

    /// A pool of results: room for as many as the configuration says
    /// ([`DEFAULT_RESULTS`](crate::DEFAULT_RESULTS) if it says nothing).
    ///
    /// # Errors
    ///
    /// If another pool of the pond has this name, or the pond is closed.
    pub fn result_pool<T: Send + 'static>(
        &self,
        name: &'static str,
    ) -> Result<millpond_fixed::PoolHandle<T>, PondError> {
        self.fixed_pool(name, self.inner.results)
    }

    /// A pool of at most `capacity` values, which does what the pond's policy
    /// says when all are leased.
    ///
    /// # Errors
    ///
    /// If another pool of the pond has this name, or the pond is closed.
    pub fn fixed_pool<T: Send + 'static>(
        &self,
        name: &'static str,
        capacity: usize,
    ) -> Result<millpond_fixed::PoolHandle<T>, PondError> {
        let pool = self.builder_of(name, capacity).build().into_handle();
        self.enter(name, &Arc::new(pool.clone()))?;
        pool.warm_up(self.config_of(name).warm_up);
        Ok(pool)
    }

    /// A pool of at most `capacity` objects, which are not dropped between two
    /// users but made ready by `recycle`.
    ///
    /// ```
    /// use millpond::Pond;
    /// use millpond::fixed::Clear;
    ///
    /// let pond = Pond::builder().build()?;
    /// let lines = pond.object_pool::<String, _>("lines", 16, Clear::rejecting_above(1024))?;
    /// lines.acquire_owned()?.push_str("one line");
    /// assert!(lines.acquire_owned()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If another pool of the pond has this name, or the pond is closed.
    pub fn object_pool<T, R>(
        &self,
        name: &'static str,
        capacity: usize,
        recycle: R,
    ) -> Result<millpond_fixed::ObjectHandle<T, R>, PondError>
    where
        T: Send + 'static,
        R: millpond_fixed::Recycle<T> + Send + Sync + 'static,
    {
        let builder = self.builder_of::<T>(name, capacity);
        let pool = builder.build_objects(recycle).into_handle();
        self.enter(name, &Arc::new(pool.clone()))?;
        pool.warm_up(self.config_of(name).warm_up);
        Ok(pool)
    }

    fn builder_of<T>(&self, name: &'static str, capacity: usize) -> millpond_fixed::Builder<T> {
        let config = self.config_of(name);
        let mut builder = millpond_fixed::FixedPool::builder(config.capacity.unwrap_or(capacity))
            .name(name)
            .budget(&self.inner.budget)
            .exhaustion(config.exhaustion.unwrap_or(self.inner.exhaustion))
            .region(config.region);
        builder = match config.adaptive {
            Some(adaptive) if config.advice_only => builder.advised(adaptive),
            Some(adaptive) => builder.adaptive(adaptive),
            None => builder,
        };
        match &self.inner.hook {
            Some(hook) => builder.on_event(hook.clone()),
            None => builder,
        }
    }
}

/// Pools of rows.
#[cfg(feature = "vector")]
impl Pond {
    /// A pool of at most `capacity` rows of `dimension` numbers. Alignment, spread,
    /// pages and side arrays are those of the [`PoolConfig`] of this name.
    ///
    /// # Errors
    ///
    /// If such rows cannot be, another pool of the pond has this name, or the
    /// pond is closed.
    pub fn vector_pool<E: millpond_vector::Element>(
        &self,
        name: &'static str,
        dimension: usize,
        capacity: usize,
    ) -> Result<Arc<millpond_vector::VectorPool<E>>, PondError> {
        let builder = self.vector_builder(name, dimension, capacity);
        let pool = builder.build()?.into_shared();
        self.enter(name, &pool)?;
        pool.warm_up(self.config_of(name).warm_up);
        Ok(pool)
    }

    /// As [`Pond::vector_pool`], for a pool that the program owns: whoever removes rows
    /// needs it mutably. It is charged to the pond's budget, and is not among the pools
    /// that the pond observes and trims.
    ///
    /// ```
    /// use millpond::{Pond, PoolConfig};
    ///
    /// let rows = PoolConfig::new().with_slab_bytes(64 << 10).with_spare_rows(0);
    /// let pond = Pond::builder().with_pool("rows", rows).build()?;
    /// let mut rows = pond.vector_builder::<f32>("rows", 1024, 1000).build()?;
    /// let id = rows.insert(&[1.0; 1024])?;
    /// assert!(pond.budget().held() > 64 << 10);
    /// assert!(rows.remove(id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn vector_builder<E: millpond_vector::Element>(
        &self,
        name: &'static str,
        dimension: usize,
        capacity: usize,
    ) -> millpond_vector::Builder<E> {
        let config = self.config_of(name);
        let mut builder = millpond_vector::VectorPool::<E>::builder(dimension)
            .capacity(config.capacity.unwrap_or(capacity))
            .name(name)
            .budget(&self.inner.budget)
            .exhaustion(config.exhaustion.unwrap_or(self.inner.exhaustion))
            .huge_pages(config.region.huge_pages)
            .prefault(config.region.prefault)
            .numa_node(config.region.numa_node)
            .side_arrays(config.side_arrays);
        if let Some(align) = config.alignment {
            builder = builder.alignment(align);
        }
        if let Some(spread) = config.spread {
            builder = builder.spread(spread);
        }
        if let Some(bytes) = config.slab_bytes {
            builder = builder.slab_bytes(bytes);
        }
        if let Some(rows) = config.spare_rows {
            builder = builder.spare_rows(rows);
        }
        match &self.inner.hook {
            Some(hook) => builder.on_event(hook.clone()),
            None => builder,
        }
    }
}

/// What it does, shown.
#[cfg(feature = "analytics")]
impl Pond {
    /// The registry of the pond's pools and its budget, from which snapshots,
    /// reports and metrics are made.
    #[must_use]
    pub fn analytics(&self) -> &millpond_analytics::Registry {
        &self.inner.registry
    }

    /// What the pools spared a plain allocator: allocations avoided, bytes
    /// reused for each that was allocated. Counted, not assumed.
    #[must_use]
    pub fn efficiency(&self) -> millpond_analytics::Savings {
        millpond_analytics::Savings::of(&self.inner.registry.snapshot(), None)
    }

    /// All figures as JSON, to be read by programs and compared later.
    #[must_use]
    pub fn report_json(&self) -> String {
        self.inner.registry.snapshot().to_json()
    }
}

/// A pond is observed as a pool of which every pool is a class.
impl Observe for Pond {
    fn name(&self) -> &str {
        self.inner.name
    }

    fn observe(&self) -> Observation {
        let members = self.members();
        let figures = members.iter().map(|member| member.figures.observe());
        let mut sum = figures.fold(Observation::default(), Observation::merge);
        sum.item_bytes = 0;
        sum
    }

    fn kind(&self) -> &'static str {
        "pond"
    }

    fn classes(&self) -> Vec<Class> {
        let class = |member: Arc<Member>| {
            Class::new(member.name.clone(), member.figures.observe())
                .with_sampled(member.figures.sampled())
        };
        self.members().into_iter().map(class).collect()
    }

    fn holders(&self) -> Vec<Holder> {
        let members = self.members();
        let mut holders: Vec<Holder> = members
            .iter()
            .flat_map(|member| member.figures.holders())
            .collect();
        holders.sort_by_key(|holder| core::cmp::Reverse(holder.held));
        holders
    }

    fn regions(&self) -> Vec<RegionFigures> {
        let members = self.members();
        let regions = members.iter().flat_map(|member| member.figures.regions());
        regions.collect()
    }
}

impl Trim for Pond {
    fn trim(&self, level: Level) -> TrimReport {
        Self::trim(self, level)
    }
}

impl fmt::Debug for Pond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.members();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        f.debug_struct("Pond")
            .field("name", &self.inner.name)
            .field("budget", &self.inner.budget)
            .field("pools", &names)
            .finish_non_exhaustive()
    }
}
