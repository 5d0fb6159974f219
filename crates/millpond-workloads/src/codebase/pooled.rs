//! The pooled mode: arenas, fixed pools, a vector pool and a byte pool.

use super::memory::{Full, Hold, List, Memory, Purpose, Rows, Scope, Text};
use millpond_analytics::{Registry, Savings};
use millpond_arena::{ArenaFull, ArenaManager, ArenaString, ArenaVec, Lease};
use millpond_bytes::{BytePool, PoolBuf};
use millpond_core::observe::{Observation, Observe};
use millpond_fixed::{Exhaustion, FixedPool, OwnedLease, PoolHandle};
use millpond_vector::{RowId, VectorPool};
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Items by which a fixed pool may grow beyond what it was made for: all that an
/// index of 32-bit places can name.
const GROWTH: usize = 1 << 31;

impl From<ArenaFull> for Full {
    fn from(_: ArenaFull) -> Self {
        Self
    }
}

impl Scope for Lease<'static> {
    type List<'s, T: 's> = ArenaVec<'s, T>;
    type Text<'s> = ArenaString<'s>;

    fn list<T>(&self, capacity: usize) -> Result<ArenaVec<'_, T>, Full> {
        Ok(ArenaVec::with_capacity_in(capacity, self)?)
    }

    fn text(&self, capacity: usize) -> Result<ArenaString<'_>, Full> {
        Ok(ArenaString::with_capacity_in(capacity, self)?)
    }
}

impl<T> List<T> for ArenaVec<'_, T> {
    #[inline]
    fn push(&mut self, value: T) -> Result<(), Full> {
        Ok(ArenaVec::push(self, value)?)
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        ArenaVec::pop(self)
    }

    fn truncate(&mut self, len: usize) {
        ArenaVec::truncate(self, len);
    }

    fn fill(&mut self, count: usize, value: T) -> Result<(), Full>
    where
        T: Copy,
    {
        Ok(self.try_extend(std::iter::repeat_n(value, count))?)
    }

    fn extend(&mut self, values: &[T]) -> Result<(), Full>
    where
        T: Copy,
    {
        Ok(self.extend_from_slice(values)?)
    }
}

impl Text for ArenaString<'_> {
    #[inline]
    fn push_str(&mut self, text: &str) -> Result<(), Full> {
        Ok(ArenaString::push_str(self, text)?)
    }
}

impl<T: Send + Sync> Hold<T> for PoolHandle<T> {
    type Held = OwnedLease<T>;

    fn hold(&self, value: T) -> OwnedLease<T> {
        let held = self.acquire_owned(value);
        held.unwrap_or_else(|refused| panic!("no memory for a node: {}", refused.error()))
    }
}

/// Rows of a vector pool.
pub struct PooledRows(VectorPool<f32>);

impl Rows for PooledRows {
    type Id = RowId<f32>;

    fn put(&mut self, row: &[f32]) -> RowId<f32> {
        let stored = self.0.insert(row);
        stored.unwrap_or_else(|error| panic!("no memory for an embedding: {error}"))
    }

    #[inline]
    fn get(&self, id: RowId<f32>) -> &[f32] {
        self.0.row(id).expect("a stored row")
    }

    fn take(&mut self, id: RowId<f32>) {
        self.0.remove(id);
    }
}

/// A message in a buffer of the byte pool, which moves to a larger class as it grows.
#[derive(Debug)]
pub struct Message(PoolBuf);

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Message {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl io::Write for Message {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let short = |why: String| io::Error::new(io::ErrorKind::OutOfMemory, why);
        self.0
            .reserve(bytes.len())
            .map_err(|error| short(error.to_string()))?;
        self.0
            .extend_from_slice(bytes)
            .map_err(|error| short(error.to_string()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The figures of rows, whose pool belongs to an index, for as long as it takes to
/// report them.
struct Seen(Observation);

impl Observe for Seen {
    fn name(&self) -> &str {
        EMBEDDINGS
    }

    fn observe(&self) -> Observation {
        self.0
    }

    fn kind(&self) -> &'static str {
        "vector"
    }
}

const EMBEDDINGS: &str = "embeddings";

/// Millpond pools: arenas by scope, fixed pools for nodes, a vector pool for
/// embeddings, a byte pool for messages.
pub struct Pooled {
    arenas: Arc<ArenaManager>,
    bytes: Arc<BytePool>,
    registry: Registry,
    /// Keeps the pools of objects in the registry.
    pools: Mutex<Vec<Arc<dyn Observe + Send + Sync>>>,
    fell_back: AtomicU64,
}

impl Default for Pooled {
    fn default() -> Self {
        Self::with_arenas(ArenaManager::default())
    }
}

impl Pooled {
    /// Pools that have lent nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Pools whose scopes are `arenas`.
    #[must_use]
    pub fn with_arenas(arenas: ArenaManager) -> Self {
        let (arenas, bytes) = (Arc::new(arenas), Arc::new(BytePool::default()));
        let registry = Registry::new();
        let named = registry
            .register_as("scopes", &arenas)
            .and_then(|()| registry.register_as("messages", &bytes));
        debug_assert!(named.is_ok(), "an empty registry has room for two");
        Self {
            arenas,
            bytes,
            registry,
            pools: Mutex::default(),
            fell_back: AtomicU64::new(0),
        }
    }

    /// The pools of objects, for their figures.
    #[must_use]
    pub fn pools(&self) -> Vec<Arc<dyn Observe + Send + Sync>> {
        let pools = self.pools.lock();
        pools.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Operations that were carried out on the heap, for want of room in a scope.
    pub fn fallbacks(&self) -> u64 {
        self.fell_back.load(Ordering::Relaxed)
    }
}

impl Memory for Pooled {
    const NAME: &'static str = "pooled";

    type Scope = Lease<'static>;
    type Pool<T: Send + Sync + 'static> = PoolHandle<T>;
    type Rows = PooledRows;
    type Buffer = Message;

    #[inline]
    fn scope(&self, purpose: Purpose) -> Option<Lease<'static>> {
        let scope = match purpose {
            Purpose::Primitive => millpond_arena::Scope::Primitive,
            Purpose::Search => millpond_arena::Scope::Search,
            Purpose::Json => millpond_arena::Scope::Json,
        };
        self.arenas.lease(scope).ok()
    }

    fn pool<T: Send + Sync + 'static>(&self, name: &'static str, capacity: usize) -> PoolHandle<T> {
        let builder = FixedPool::<T>::builder(capacity).name(name);
        let pool = builder
            .exhaustion(Exhaustion::Grow { extra: GROWTH })
            .build()
            .into_handle();
        let observed = Arc::new(pool.clone());
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        // A second index on the same memory has names with numbers.
        let numbered = || format!("{name} {}", pools.len());
        let named = self.registry.register_as(name, &observed);
        let named = named.or_else(|_| self.registry.register_as(&numbered(), &observed));
        debug_assert!(named.is_ok(), "names differ by their numbers");
        pools.push(observed);
        pool
    }

    fn rows(&self, dimension: usize) -> PooledRows {
        let pool = VectorPool::builder(dimension).name(EMBEDDINGS).build();
        PooledRows(pool.expect("a dimension that rows can have"))
    }

    fn buffer(&self, capacity: usize) -> Message {
        let buffer = self.bytes.acquire(capacity);
        Message(buffer.unwrap_or_else(|error| panic!("no memory for a message: {error}")))
    }

    fn fell_back(&self) {
        self.fell_back.fetch_add(1, Ordering::Relaxed);
    }

    fn report(&self, rows: &PooledRows) -> serde_json::Value {
        let rows = Arc::new(Seen(rows.0.stats()));
        let named = self.registry.register(&rows);
        debug_assert!(named.is_ok(), "those of the last report are gone");
        let snapshot = self.registry.snapshot();
        let savings = Savings::of(&snapshot, None);
        serde_json::json!({
            "memory": Self::NAME,
            "fallbacks": self.fallbacks(),
            "reuse_ratio": savings.reuse_ratio(),
            "savings": savings,
            "snapshot": snapshot,
        })
    }
}

impl std::fmt::Debug for PooledRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PooledRows").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Pooled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pooled")
            .field("fallbacks", &self.fallbacks())
            .finish_non_exhaustive()
    }
}
