//! Where buffers and request-scoped memory come from: the heap, or pools.

use crate::codebase;
use bytes::BufMut;
use millpond_analytics::{Exporter, Registry};
use millpond_arena::{ArenaManager, Lease, Scope};
use millpond_bytes::{BytePool, Config, PoolBuf, PoolStats};
use millpond_core::budget::Budget;
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Neither pool nor budget has memory left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// A buffer that is written at its end and read from its front.
pub trait Buffer: BufMut + Debug + Deref<Target = [u8]> + 'static {
    /// Bytes that still fit.
    fn spare(&self) -> usize;

    /// Forgets the first `count` bytes and makes their room usable.
    fn discard_front(&mut self, count: usize);
}

/// Lends memory; dropping what it lent gives it back.
pub trait Memory: Clone + Debug + Send + 'static {
    /// Bytes of requests and answers.
    type Buffer: Buffer;
    /// Memory for as long as one request is worked on.
    type Scope: codebase::Scope;

    /// An empty buffer with room for `bytes` at least.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    fn buffer(&self, bytes: usize) -> Result<Self::Buffer, NoMemory>;

    /// Memory for one request, or `None` if none is left.
    fn scope(&self, purpose: codebase::Purpose) -> Option<Self::Scope>;

    /// Notes that a request outgrew its scope and was worked on on the heap.
    fn fell_back(&self);

    /// What `/metrics` shows.
    fn exporter(&self) -> &Exporter;
}

impl Buffer for Vec<u8> {
    fn spare(&self) -> usize {
        self.capacity() - self.len()
    }

    fn discard_front(&mut self, count: usize) {
        self.drain(..count);
    }
}

impl Buffer for PoolBuf {
    fn spare(&self) -> usize {
        PoolBuf::spare(self)
    }

    fn discard_front(&mut self, count: usize) {
        self.consume_front(count);
        self.compact();
    }
}

/// The heap: `Vec`, of the capacity that was asked for.
#[derive(Clone, Debug)]
pub struct Heap {
    exporter: Exporter,
}

impl Default for Heap {
    fn default() -> Self {
        let exporter = Exporter::new(&Registry::new());
        Self { exporter }
    }
}

impl Memory for Heap {
    type Buffer = Vec<u8>;
    type Scope = codebase::Heap;

    fn buffer(&self, bytes: usize) -> Result<Vec<u8>, NoMemory> {
        Ok(Vec::with_capacity(bytes))
    }

    fn scope(&self, _: codebase::Purpose) -> Option<codebase::Heap> {
        Some(codebase::Heap)
    }

    fn fell_back(&self) {}

    fn exporter(&self) -> &Exporter {
        &self.exporter
    }
}

/// Pools: buffers in six size classes, and arenas for requests.
#[derive(Clone, Debug)]
pub struct Pooled(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    bytes: Arc<BytePool>,
    arenas: Arc<ArenaManager>,
    fallbacks: AtomicU64,
    exporter: Exporter,
}

impl Pooled {
    /// Pools that together hold no more than the budget, if there is one.
    ///
    /// # Errors
    ///
    /// If there is no memory for their tables.
    pub fn new(budget: Option<&Budget>) -> anyhow::Result<Self> {
        let (mut config, mut arenas) = (Config::for_network(), ArenaManager::builder());
        if let Some(budget) = budget {
            config = config.with_budget(budget);
            arenas.budget(budget);
        }
        let bytes = Arc::new(BytePool::new(config.with_name("bytes"))?);
        let arenas = Arc::new(arenas.build()?);
        let registry = Registry::new();
        registry.register_as("bytes", &bytes)?;
        registry.register_as("arenas", &arenas)?;
        Ok(Self(Arc::new(Pools {
            bytes,
            arenas,
            fallbacks: AtomicU64::new(0),
            exporter: Exporter::new(&registry),
        })))
    }

    /// Makes so many buffers of each class ahead of the traffic.
    ///
    /// # Errors
    ///
    /// If there is no memory for them.
    pub fn warm_up(&self, buffers: usize) -> anyhow::Result<()> {
        self.0.bytes.warm_up(buffers)?;
        Ok(())
    }

    /// Buffers and arenas that are not at home.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        let stats = self.stats();
        let arenas: usize = self.0.arenas.scopes().map(|scope| scope.stats().live).sum();
        stats.outstanding() + stats.oversize_outstanding + stats.fallback_outstanding + arenas
    }

    /// The figures of the byte pool.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.0.bytes.stats()
    }

    /// Requests that outgrew their arena.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        self.0.fallbacks.load(Ordering::Relaxed)
    }
}

impl Memory for Pooled {
    type Buffer = PoolBuf;
    type Scope = Lease<'static>;

    #[inline]
    fn buffer(&self, bytes: usize) -> Result<PoolBuf, NoMemory> {
        self.0.bytes.acquire(bytes).map_err(|_| NoMemory)
    }

    #[inline]
    fn scope(&self, _: codebase::Purpose) -> Option<Lease<'static>> {
        self.0.arenas.lease(Scope::Json).ok()
    }

    fn fell_back(&self) {
        self.0.fallbacks.fetch_add(1, Ordering::Relaxed);
    }

    fn exporter(&self) -> &Exporter {
        &self.0.exporter
    }
}
