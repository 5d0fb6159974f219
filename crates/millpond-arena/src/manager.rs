//! The manager: scopes, and arenas on loan.

use crate::config::{ConfigError, ScopeConfig};
use crate::error::LeaseError;
use crate::large::Supplier;
use crate::lease::Lease;
use crate::pool::ScopePool;
use crate::scope::{BUILT_IN, Scope};
use crate::stats::ScopeStats;
use core::fmt;
use core::ptr::NonNull;
use millpond_core::budget::{Budget, Membership, Reclaim};
use millpond_core::diagnostics::{Diagnosis, Holder};
use millpond_core::event::EventHook;
use millpond_core::observe::{Class, Observation, Observe, Sampled};
use millpond_core::region::Supply;
use millpond_core::trim::{Level, Trim, TrimReport};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, OnceLock, Weak};
use std::vec::Vec;

/// Lends arenas by scope. A handle: clones are the same manager.
///
/// ```
/// use millpond_arena::{ArenaManager, Scope};
///
/// let manager = ArenaManager::new();
/// let arena = manager.lease(Scope::Primitive)?;
/// let numbers = arena.alloc_slice_copy(&[1, 2, 3])?;
/// numbers[0] = 7;
/// assert_eq!(numbers, [7, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// When the last handle goes, parked arenas are freed at once and leased ones
/// when their leases end.
#[derive(Clone)]
pub struct ArenaManager {
    inner: Arc<Inner>,
}

/// # Invariants
///
/// 1. Pools are alive until this is dropped.
struct Inner {
    built_in: [NonNull<ScopePool>; BUILT_IN],
    own: Vec<NonNull<ScopePool>>,
    /// Through which the budget asks for parked arenas.
    membership: OnceLock<Membership>,
}

// SAFETY: pools are shared between threads: their engine is Send and Sync, and
// what is in an arena moves with its lease.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

// No user code runs while a pool is half changed, so a panic leaves it whole.
impl core::panic::UnwindSafe for ArenaManager {}
impl core::panic::RefUnwindSafe for ArenaManager {}

impl Default for ArenaManager {
    fn default() -> Self {
        Self::new()
    }
}

impl ArenaManager {
    /// A manager with the three built-in scopes and no budget. Builds no arena.
    ///
    /// ```
    /// use millpond_arena::ArenaManager;
    ///
    /// let manager = ArenaManager::new();
    /// assert_eq!(manager.scopes().count(), 3);
    /// ```
    ///
    /// # Panics
    ///
    /// Never: the built-in figures agree.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build().expect("the built-in figures agree")
    }

    /// Begins a manager with scopes of one's own, other figures, or a budget.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope, ScopeConfig};
    ///
    /// let mut builder = ArenaManager::builder();
    /// builder.configure(Scope::Json, ScopeConfig::of(32 << 10));
    /// let manager = builder.build()?;
    /// assert_eq!(manager.lease(Scope::Json)?.held_bytes(), 32 << 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Leases an arena, for as long as the caller likes: the lease may be sent to
    /// another thread, and may outlive the manager.
    ///
    /// O(1) and without a lock if the calling thread, or another, gave one back.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    ///
    /// let manager = ArenaManager::new();
    /// let arena = manager.lease(Scope::Search)?;
    /// drop(manager); // The lease goes on.
    /// assert_eq!(*arena.alloc(7)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no memory or no budget for a new arena, or `scope` was made
    /// by another builder.
    #[inline]
    #[track_caller]
    pub fn lease(&self, scope: Scope) -> Result<Lease<'static>, LeaseError> {
        // SAFETY: by 1.
        match unsafe { self.inner.pool(scope)?.as_ref() }.lend() {
            // SAFETY: lent to this lease.
            Ok(arena) => Ok(unsafe { Lease::of(arena) }),
            Err(error) => Err(error.into()),
        }
    }

    /// Leases an arena that cannot outlive `parent`: for work inside of a request
    /// whose memory should go before the request ends.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    ///
    /// let manager = ArenaManager::new();
    /// let request = manager.lease(Scope::Primitive)?;
    /// let best = {
    ///     let scratch = manager.lease_under(&request, Scope::Search)?;
    ///     let scores = scratch.alloc_slice_fill_with(1000, |n| n % 7)?;
    ///     request.alloc(scores.iter().max().copied())? // The parent stays usable.
    /// };
    /// assert_eq!(*best, Some(6));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ArenaManager::lease`].
    #[inline]
    #[track_caller]
    pub fn lease_under<'p>(
        &self,
        parent: &'p Lease<'_>,
        scope: Scope,
    ) -> Result<Lease<'p>, LeaseError> {
        let _ = parent;
        self.lease(scope)
    }

    /// Runs `work` with an arena that goes home afterwards.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    ///
    /// let manager = ArenaManager::new();
    /// let length = manager.with(Scope::Json, |arena| {
    ///     Ok::<_, millpond_arena::ArenaFull>(arena.alloc_str("a request")?.len())
    /// })??;
    /// assert_eq!(length, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ArenaManager::lease`]; what `work` answers is inside.
    #[inline]
    #[track_caller]
    pub fn with<R>(
        &self,
        scope: Scope,
        work: impl FnOnce(&mut Lease<'static>) -> R,
    ) -> Result<R, LeaseError> {
        let mut lease = self.lease(scope)?;
        Ok(work(&mut lease))
    }

    /// Gives memory back: arenas that nobody leases, in the caches of all threads
    /// and in the depot, as `level` allows. The report says how many are leased.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Level, Scope};
    ///
    /// let manager = ArenaManager::new();
    /// let leased = manager.lease(Scope::Search)?;
    /// drop(manager.lease(Scope::Search)?);
    ///
    /// let report = manager.trim(Level::Full);
    /// assert!(report.freed_bytes >= 1 << 20);
    /// assert_eq!((report.freed_items, report.leased), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::must_use_candidate, reason = "called for its effect")]
    pub fn trim(&self, level: Level) -> TrimReport {
        self.inner.trim(level)
    }

    /// One tick of decay in every scope: frees some of the arenas that nobody
    /// leased since the tick before the last. Call it at intervals, say once a
    /// second; busy scopes tick by themselves as well.
    ///
    /// Looks at every arena. Threads are disturbed only if something is freed.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// drop(manager.lease(Scope::Json)?);
    /// let freed: usize = (0..4).map(|_| manager.maintain().freed_items).sum();
    /// assert_eq!((freed, manager.scope_stats(Scope::Json)?.parked), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::must_use_candidate, reason = "called for its effect")]
    pub fn maintain(&self) -> TrimReport {
        let ticks = self.inner.pools().map(ScopePool::tick);
        ticks.fold(TrimReport::default(), TrimReport::merge)
    }

    /// The figures of a scope.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// drop(manager.lease(Scope::Json)?);
    /// assert_eq!(manager.scope_stats(Scope::Json)?.leases, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If `scope` was made by another builder.
    pub fn scope_stats(&self, scope: Scope) -> Result<ScopeStats, LeaseError> {
        Ok(self.scope(scope)?.stats())
    }

    /// One scope, to be observed and trimmed on its own.
    ///
    /// ```
    /// use millpond_core::observe::Observe;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// let arena = manager.lease(Scope::Json)?;
    /// assert_eq!(manager.scope(Scope::Json)?.observe().in_use, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If `scope` was made by another builder.
    pub fn scope(&self, scope: Scope) -> Result<ScopeView<'_>, LeaseError> {
        // SAFETY: by 1.
        let pool = unsafe { self.inner.pool(scope)?.as_ref() };
        Ok(ScopeView { pool })
    }

    /// The scope of this name, as a configuration that names scopes made it; the
    /// first one of several. Looks at every scope: ask once, and keep the answer.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope, ScopeConfig};
    ///
    /// let mut builder = ArenaManager::builder();
    /// let render = builder.own_scope("render", ScopeConfig::of(512 << 10));
    /// let manager = builder.build()?;
    /// assert_eq!(manager.scope_named("render"), Some(render));
    /// assert_eq!(manager.scope_named("json"), Some(Scope::Json));
    /// assert_eq!(manager.scope_named("rendre"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn scope_named(&self, name: &str) -> Option<Scope> {
        let place = self.inner.pools().position(|pool| pool.name() == name);
        place.and_then(Scope::at)
    }

    /// All scopes.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// let names = manager.scopes().map(|scope| scope.stats().scope);
    /// assert!(names.eq(["primitive", "search", "json"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scopes(&self) -> impl Iterator<Item = ScopeView<'_>> {
        self.inner.pools().map(|pool| ScopeView { pool })
    }

    /// Switches diagnostics of all scopes while the manager is in use; see
    /// [`millpond_core::diagnostics`]. Under `Full` the bytes of arenas that come
    /// home are overwritten with a pattern.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Diagnosis, Scope};
    ///
    /// let manager = ArenaManager::new();
    /// manager.set_diagnosis(Diagnosis::Full);
    /// let arena = manager.lease(Scope::Json)?;
    /// assert_eq!(manager.holders().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_diagnosis(&self, level: Diagnosis) {
        for pool in self.inner.pools() {
            pool.engine.set_diagnosis(level);
        }
    }

    /// Everybody of whom diagnostics have a record, by scope: the leak report.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Diagnosis, Scope};
    ///
    /// let manager = ArenaManager::new();
    /// manager.set_diagnosis(Diagnosis::Full);
    /// let arena = manager.lease(Scope::Json)?;
    /// let holders = manager.holders();
    /// assert_eq!((holders.len(), holders[0].0), (1, "json"));
    /// # drop(arena);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn holders(&self) -> Vec<(&'static str, Holder)> {
        let pools = self.inner.pools();
        pools
            .flat_map(|pool| {
                pool.engine
                    .holders()
                    .into_iter()
                    .map(|it| (pool.name(), it))
            })
            .collect()
    }

    /// Makes the manager usable in the child of a fork of a process with several
    /// threads. Leases of threads that the child does not have stay leased.
    ///
    /// ```no_run
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// // In the child, before anybody there uses the manager.
    /// // SAFETY: as `SharedEngine::after_fork_in_child` asks.
    /// unsafe { manager.after_fork_in_child() };
    /// ```
    ///
    /// # Safety
    ///
    /// See [`millpond_core::shared::SharedEngine::after_fork_in_child`].
    pub unsafe fn after_fork_in_child(&self) {
        for pool in self.inner.pools() {
            // SAFETY: by the caller.
            unsafe { pool.engine.after_fork_in_child() };
        }
    }
}

impl Trim for ArenaManager {
    fn trim(&self, level: Level) -> TrimReport {
        Self::trim(self, level)
    }
}

impl fmt::Debug for ArenaManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.scopes()).finish()
    }
}

impl Inner {
    #[inline(always)]
    fn pool(&self, scope: Scope) -> Result<NonNull<ScopePool>, LeaseError> {
        let index = scope.index();
        match self.built_in.get(index) {
            Some(&pool) => Ok(pool),
            None => match self.own.get(index - BUILT_IN) {
                Some(&pool) => Ok(pool),
                None => Err(self.unknown_slow(scope)),
            },
        }
    }

    #[cold]
    fn unknown_slow(&self, scope: Scope) -> LeaseError {
        LeaseError::UnknownScope {
            scope,
            own_scopes: self.own.len(),
        }
    }

    fn pools(&self) -> impl Iterator<Item = &ScopePool> {
        self.built_in.iter().chain(&self.own).map(|pool| {
            // SAFETY: by 1.
            unsafe { pool.as_ref() }
        })
    }

    fn trim(&self, level: Level) -> TrimReport {
        let trims = self.pools().map(|pool| pool.trim(level));
        trims.fold(TrimReport::default(), TrimReport::merge)
    }
}

impl Reclaim for Inner {
    fn reclaim(&self, _: usize) -> usize {
        self.trim(Level::Moderate).freed_bytes
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for &pool in self.built_in.iter().chain(&self.own) {
            // SAFETY: alive by 1; nobody has the manager any more.
            unsafe { ScopePool::let_go(pool) };
        }
    }
}

/// One scope of a manager.
///
/// ```
/// # use millpond_arena::{ArenaManager, Scope};
/// # let manager = ArenaManager::new();
/// let scope = manager.scope(Scope::Json)?;
/// drop(manager.lease(Scope::Json)?);
/// assert_eq!((scope.stats().parked, scope.stats().live), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct ScopeView<'m> {
    pool: &'m ScopePool,
}

impl ScopeView<'_> {
    /// The figures.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// let arena = manager.lease(Scope::Json)?;
    /// assert_eq!(manager.scope(Scope::Json)?.stats().live, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> ScopeStats {
        self.pool.stats()
    }

    /// One tick of decay in this scope; see [`ArenaManager::maintain`].
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// drop(manager.lease(Scope::Json)?);
    /// let scope = manager.scope(Scope::Json)?;
    /// let freed: usize = (0..4).map(|_| scope.maintain().freed_items).sum();
    /// assert_eq!((freed, scope.stats().parked_bytes), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::must_use_candidate, reason = "called for its effect")]
    pub fn maintain(&self) -> TrimReport {
        self.pool.tick()
    }

    /// Gives memory of this scope back; see [`ArenaManager::trim`].
    ///
    /// ```
    /// use millpond_arena::Level;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// drop(manager.lease(Scope::Json)?);
    /// let report = manager.scope(Scope::Json)?.trim(Level::Full);
    /// assert_eq!((report.freed_items, report.leased), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::must_use_candidate, reason = "called for its effect")]
    pub fn trim(&self, level: Level) -> TrimReport {
        self.pool.trim(level)
    }
}

impl Observe for ScopeView<'_> {
    fn name(&self) -> &str {
        self.pool.name()
    }

    fn observe(&self) -> Observation {
        self.pool.observation()
    }

    fn kind(&self) -> &'static str {
        "arena"
    }

    fn sampled(&self) -> Sampled {
        self.pool.sampled()
    }

    fn holders(&self) -> Vec<Holder> {
        self.pool.engine.holders()
    }
}

/// All scopes, as classes of one pool. The manager has no name of its own: it is
/// registered under one.
impl Observe for ArenaManager {
    fn name(&self) -> &str {
        ""
    }

    fn observe(&self) -> Observation {
        let scopes = self.scopes().map(|scope| scope.observe());
        scopes.reduce(Observation::merge).unwrap_or_default()
    }

    fn kind(&self) -> &'static str {
        "arena"
    }

    fn classes(&self) -> Vec<Class> {
        let class = |scope: ScopeView<'_>| {
            let figures = scope.observe();
            Class::new(scope.pool.name(), figures).with_sampled(scope.sampled())
        };
        self.scopes().map(class).collect()
    }

    fn sampled(&self) -> Sampled {
        let mut sum = Sampled::default();
        for scope in self.scopes() {
            sum.merge(&scope.sampled());
        }
        sum
    }

    fn holders(&self) -> Vec<Holder> {
        let scopes = self.inner.pools();
        let mut all: Vec<Holder> = scopes.flat_map(|pool| pool.engine.holders()).collect();
        all.sort_by_key(|holder| core::cmp::Reverse(holder.held));
        all
    }
}

impl Trim for ScopeView<'_> {
    fn trim(&self, level: Level) -> TrimReport {
        Self::trim(self, level)
    }
}

impl fmt::Debug for ScopeView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

/// Builds an [`ArenaManager`].
///
/// ```
/// use millpond_arena::{ArenaManager, Scope, ScopeConfig};
/// use millpond_core::budget::Budget;
///
/// let pond = Budget::new("pond", 64 << 20);
/// let mut builder = ArenaManager::builder();
/// let render = builder.own_scope("render", ScopeConfig::of(2 << 20).with_prewarm(2));
/// let manager = builder.budget(&pond).build()?;
/// assert!(pond.held() >= 4 << 20);
/// let arena = manager.lease(render)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    scopes: Vec<(&'static str, ScopeConfig)>,
    budget: Option<Budget>,
    supplier: Option<Supplier>,
    hook: Option<EventHook>,
}

impl Builder {
    fn new() -> Self {
        Self {
            scopes: std::vec![
                ("primitive", ScopeConfig::of(256 << 10)),
                ("search", ScopeConfig::of(1 << 20)),
                ("json", ScopeConfig::of(128 << 10)),
            ],
            budget: None,
            supplier: None,
            hook: None,
        }
    }

    /// Sets the figures of a scope.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope, ScopeConfig};
    ///
    /// let mut builder = ArenaManager::builder();
    /// builder.configure(Scope::Search, ScopeConfig::of(4 << 20));
    /// assert_eq!(builder.config(Scope::Search).nominal_bytes, 4 << 20);
    /// ```
    ///
    /// # Panics
    ///
    /// If `scope` was made by another builder.
    pub fn configure(&mut self, scope: Scope, config: ScopeConfig) -> &mut Self {
        let place = self.scopes.get_mut(scope.index());
        place.expect("a scope of this builder").1 = config;
        self
    }

    /// The figures of a scope, as they were set.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    ///
    /// let builder = ArenaManager::builder();
    /// assert_eq!(builder.config(Scope::Json).nominal_bytes, 128 << 10);
    /// ```
    ///
    /// # Panics
    ///
    /// If `scope` was made by another builder.
    #[must_use]
    pub fn config(&self, scope: Scope) -> ScopeConfig {
        let place = self.scopes.get(scope.index());
        place.expect("a scope of this builder").1
    }

    /// The names and figures of all scopes, those of every manager first.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, ScopeConfig};
    ///
    /// let mut builder = ArenaManager::builder();
    /// builder.own_scope("render", ScopeConfig::of(512 << 10));
    /// let names: Vec<&str> = builder.scopes().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["primitive", "search", "json", "render"]);
    /// ```
    pub fn scopes(&self) -> impl Iterator<Item = (&'static str, ScopeConfig)> {
        self.scopes.iter().copied()
    }

    /// The scope of this name, if there is one; see [`ArenaManager::scope_named`].
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    ///
    /// let builder = ArenaManager::builder();
    /// assert_eq!(builder.scope_named("search"), Some(Scope::Search));
    /// assert_eq!(builder.scope_named("serach"), None);
    /// ```
    #[must_use]
    pub fn scope_named(&self, name: &str) -> Option<Scope> {
        let place = self.scopes.iter().position(|(known, _)| *known == name);
        place.and_then(Scope::at)
    }

    /// Adds a scope. The name appears in errors and reports, and is the scope's alone:
    /// [`Builder::build`] refuses a second one.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, ScopeConfig};
    ///
    /// let mut builder = ArenaManager::builder();
    /// let render = builder.own_scope("render", ScopeConfig::of(2 << 20));
    /// let manager = builder.build()?;
    /// assert_eq!(manager.lease(render)?.scope_name(), "render");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// At the 65,536th scope.
    pub fn own_scope(&mut self, name: &'static str, config: ScopeConfig) -> Scope {
        let number = u16::try_from(self.scopes.len() - BUILT_IN).expect("so many scopes?");
        self.scopes.push((name, config));
        Scope::Own(number)
    }

    /// Charges arenas, large objects and machinery to `budget`, leased or parked,
    /// and lets it ask for parked arenas when somebody else needs the bytes.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    /// use millpond_core::budget::Budget;
    ///
    /// let pond = Budget::new("pond", 300 << 10);
    /// let manager = ArenaManager::builder().budget(&pond).build()?;
    /// let arena = manager.lease(Scope::Primitive)?;
    /// assert!(pond.held() >= 256 << 10);
    /// assert!(manager.lease(Scope::Json).is_err(), "no room for 128 KiB more");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn budget(&mut self, budget: &Budget) -> &mut Self {
        self.budget = Some(budget.clone());
        self
    }

    /// Takes large objects from `supplier` where it has memory of that size, and from
    /// the system where it has not. They count towards the limit of their lease, and
    /// are the supplier's in budgets and figures.
    ///
    /// A `BytePool` of `millpond-bytes` is one: large objects of the sizes of its
    /// classes are warm buffers then.
    ///
    /// A supplier that panics in `allocate` refuses with that panic. What it panics with
    /// in `free` is kept until the lease ends or is reset, as panics of destructors
    /// are, and then goes on: everything else is freed, and the arena comes home.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    /// use millpond_core::region::{self, Supply};
    /// use std::alloc::Layout;
    /// use std::ptr::NonNull;
    /// use std::sync::Arc;
    ///
    /// struct Kept;
    ///
    /// // SAFETY: blocks of the process's allocator, the borrower's alone until they are freed.
    /// unsafe impl Supply for Kept {
    ///     fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
    ///         region::allocate(layout)
    ///     }
    ///     unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
    ///         // SAFETY: allocated above with this layout.
    ///         unsafe { region::free(block, layout) }
    ///     }
    /// }
    ///
    /// let mut builder = ArenaManager::builder();
    /// let manager = builder.large_objects_from(Arc::new(Kept)).build()?;
    /// let arena = manager.lease(Scope::Json)?;
    /// assert_eq!(arena.alloc_slice_fill_copy(1 << 20, 7_u8)?[99], 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn large_objects_from(&mut self, supplier: Arc<dyn Supply>) -> &mut Self {
        self.supplier = Some(Supplier(supplier));
        self
    }

    /// Tells `hook` what happens on the slow paths of all scopes, by the scope's
    /// name: what was refused, built, outgrown, discarded, trimmed, damaged. It
    /// runs on the thread to which that happened, with no lock held, and may use
    /// the manager.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    /// use millpond_core::event::{Event, EventHook};
    /// use std::sync::{Arc, Mutex};
    ///
    /// let log: Arc<Mutex<Vec<String>>> = Arc::default();
    /// let told = Arc::clone(&log);
    /// let mut builder = ArenaManager::builder();
    /// builder.on_event(EventHook::new(move |scope, event| {
    ///     if let Event::Outgrown { held_bytes } = event {
    ///         told.lock().unwrap().push(format!("{scope}: {held_bytes}"));
    ///     }
    /// }));
    /// let manager = builder.build()?;
    /// manager.with(Scope::Json, |arena| {
    ///     while arena.used_bytes() < 200 << 10 {
    ///         arena.alloc([0u64; 100])?;
    ///     }
    ///     Ok::<_, millpond_arena::ArenaFull>(())
    /// })??;
    /// assert_eq!(*log.lock().unwrap(), ["json: 393216"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_event(&mut self, hook: EventHook) -> &mut Self {
        self.hook = Some(hook);
        self
    }

    /// Whether the figures of all scopes agree: what [`Builder::build`] looks at
    /// before it builds anything.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope, ScopeConfig};
    ///
    /// let mut builder = ArenaManager::builder();
    /// builder.configure(Scope::Json, ScopeConfig::of(64 << 10).with_percentile(0));
    /// assert_eq!(builder.check().unwrap_err().field, "percentile");
    /// ```
    ///
    /// # Errors
    ///
    /// The first figure that cannot be.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut scopes = self.scopes.iter();
        scopes.try_for_each(|(name, config)| config.check(name).map(drop))
    }

    /// Whoever looks for a scope by its name finds one, so there may be no second.
    fn check_names(&self) -> Result<(), BuildError> {
        let mut seen = HashSet::new();
        let mut names = self.scopes.iter().map(|(name, _)| *name);
        let twice = names.find(|name| !seen.insert(*name));
        twice.map_or(Ok(()), |name| Err(BuildError::Taken(name)))
    }

    /// The manager, with arenas built where that was asked for.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: two scopes of one name, figures that disagree, or no memory for
    /// arenas that should be built at once.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, ScopeConfig};
    ///
    /// let mut builder = ArenaManager::builder();
    /// builder.own_scope("json", ScopeConfig::of(512 << 10));
    /// assert_eq!(
    ///     builder.build().unwrap_err().to_string(),
    ///     "scope `json` was made twice: every scope needs a name of its own, and \
    ///      `primitive`, `search` and `json` are taken"
    /// );
    /// ```
    pub fn build(&self) -> Result<ArenaManager, BuildError> {
        self.check_names()?;
        let mut pools = Vec::new();
        for (name, config) in &self.scopes {
            pools.push((*name, config.check(name)?));
        }
        let mut pools: VecDeque<_> = pools
            .into_iter()
            .map(|(name, figures)| {
                let (budget, supplier) = (self.budget.clone(), self.supplier.clone());
                ScopePool::new(name, figures, budget, supplier, self.hook.clone())
            })
            .collect();
        let built_in = [(); BUILT_IN].map(|()| match pools.pop_front() {
            Some(pool) => pool,
            None => unreachable!("a builder begins with the built-in scopes"),
        });
        let inner = Arc::new(Inner {
            built_in,
            own: pools.into(),
            membership: OnceLock::new(),
        });
        if let Some(budget) = &self.budget {
            let weak: Weak<dyn Reclaim> = Arc::downgrade(&inner) as _;
            let membership = budget.register(weak);
            inner.membership.get_or_init(|| membership);
        }
        let manager = ArenaManager { inner };
        manager.prewarm()?;
        Ok(manager)
    }
}

impl ArenaManager {
    fn prewarm(&self) -> Result<(), LeaseError> {
        for pool in self.inner.pools() {
            let mut leases = Vec::new();
            for _ in 0..pool.figures.prewarm {
                // SAFETY: lent to this lease.
                let lease = unsafe { Lease::of(pool.lend()?) };
                lease.arena().touch();
                leases.push(lease);
            }
        }
        Ok(())
    }
}

/// A manager that could not be built.
///
/// ```
/// use millpond_arena::{ArenaManager, BuildError, Scope, ScopeConfig};
///
/// let mut builder = ArenaManager::builder();
/// builder.configure(Scope::Json, ScopeConfig::of(0));
/// assert!(matches!(builder.build(), Err(BuildError::Config(_))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// Two scopes have this name.
    Taken(&'static str),
    /// Figures of a scope disagree.
    Config(ConfigError),
    /// An arena could not be built in advance.
    Prewarm(LeaseError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(name) => write!(
                f,
                "scope `{name}` was made twice: every scope needs a name of its own, and \
                 `primitive`, `search` and `json` are taken"
            ),
            Self::Config(error) => error.fmt(f),
            Self::Prewarm(error) => write!(f, "building arenas in advance: {error}"),
        }
    }
}

impl core::error::Error for BuildError {}

impl From<ConfigError> for BuildError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<LeaseError> for BuildError {
    fn from(error: LeaseError) -> Self {
        Self::Prewarm(error)
    }
}
