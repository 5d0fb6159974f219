//! What a pond is made of: the pools' own configurations, named.

use crate::error::PondError;
use crate::pond::Pond;
use core::fmt;
use millpond_core::event::EventHook;
use millpond_core::exhaustion::Exhaustion;

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
            .finish_non_exhaustive()
    }
}
