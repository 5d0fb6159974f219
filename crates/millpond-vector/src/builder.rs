//! Building a pool with more than a dimension and a capacity.

use crate::element::Element;
use crate::layout::{Alignment, RowLayout, ShapeError, Spread};
use crate::pool::VectorPool;
use crate::rows::{Plan, Rows, SLAB_BYTES};
use crate::side::SideArrays;
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use millpond_core::engine::Local;
use millpond_core::exhaustion::{Exhaustion, Fallback};
use millpond_core::local::LocalEngine;
use millpond_core::region::{HugePages, RegionOptions, Supply};

#[cfg(feature = "std")]
use millpond_core::budget::Budget;
#[cfg(feature = "std")]
use millpond_core::engine::Shared;
#[cfg(feature = "std")]
use millpond_core::event::EventHook;
#[cfg(feature = "std")]
use millpond_core::shared::SharedEngine;

/// Builds a [`VectorPool`].
///
/// ```
/// use millpond_vector::{Alignment, HugePages, SideArrays, VectorPool};
///
/// let pool = VectorPool::<f32>::builder(768)
///     .capacity(100_000)
///     .alignment(Alignment::Bytes64)
///     .huge_pages(HugePages::Transparent)
///     .side_arrays(SideArrays::ALL)
///     .name("embeddings")
///     .build()?;
/// let row = pool.acquire_zeroed()?;
/// assert_eq!(row.len(), 768);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct Builder<E> {
    dimension: usize,
    capacity: usize,
    name: &'static str,
    align: Alignment,
    spread: Spread,
    side: SideArrays,
    slab_bytes: usize,
    spare: Option<usize>,
    policy: Exhaustion,
    region: RegionOptions,
    supplier: Option<Arc<dyn Supply>>,
    #[cfg(feature = "std")]
    budget: Option<Budget>,
    #[cfg(feature = "std")]
    hook: Option<EventHook>,
    _rows: PhantomData<fn() -> E>,
}

#[cfg(feature = "std")]
impl<E: Element> VectorPool<E, Shared> {
    /// Begins a pool of rows of `dimension` elements; end with
    /// [`Builder::build`].
    pub fn builder(dimension: usize) -> Builder<E> {
        Builder::new(dimension)
    }
}

impl<E: Element> VectorPool<E, Local> {
    /// Begins a pool of rows of `dimension` elements for one thread; end with
    /// [`Builder::build_local`].
    pub fn local_builder(dimension: usize) -> Builder<E> {
        Builder::new(dimension)
    }
}

impl<E: Element> Builder<E> {
    fn new(dimension: usize) -> Self {
        Self {
            dimension,
            capacity: usize::MAX,
            name: "",
            align: Alignment::default(),
            spread: Spread::default(),
            side: SideArrays::NONE,
            slab_bytes: SLAB_BYTES,
            spare: None,
            policy: Exhaustion::Fail,
            region: RegionOptions::new(),
            supplier: None,
            #[cfg(feature = "std")]
            budget: None,
            #[cfg(feature = "std")]
            hook: None,
            _rows: PhantomData,
        }
    }

    /// At most this many rows. Default: no limit.
    pub const fn capacity(mut self, rows: usize) -> Self {
        self.capacity = rows;
        self
    }

    /// The name that errors and reports use.
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The alignment of every row. Default: 64 bytes.
    pub const fn alignment(mut self, align: Alignment) -> Self {
        self.align = align;
        self
    }

    /// How rows are spread over a slab. Default: one after the other.
    pub const fn spread(mut self, spread: Spread) -> Self {
        self.spread = spread;
        self
    }

    /// Numbers to keep beside each row. Default: none.
    pub const fn side_arrays(mut self, side: SideArrays) -> Self {
        self.side = side;
        self
    }

    /// Bytes of a slab of full size. Default: 2 MiB, one huge page.
    ///
    /// A slab is the largest stretch of rows side by side, so it bounds a batch
    /// and a run; and one leased row keeps all of it.
    pub const fn slab_bytes(mut self, bytes: usize) -> Self {
        self.slab_bytes = bytes;
        self
    }

    /// Free rows that the pool keeps when removals empty its slabs; those beyond
    /// twice as many, and beyond a quarter of the rows in use, go back to the
    /// system by themselves. `usize::MAX`: only when it is trimmed. Default: the
    /// rows of two slabs.
    ///
    /// Leases come home to be leased again: a pool of which rows were leased, and
    /// none removed, gives back when it is trimmed and when its budget is short.
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let mut pool = VectorPool::<f32>::builder(1024)
    ///     .slab_bytes(64 << 10)
    ///     .spare_rows(32)
    ///     .build()?;
    /// let ids: Vec<_> = (0..1000).map(|_| pool.insert(&[1.0; 1024])).collect::<Result<_, _>>()?;
    /// assert!(pool.stats().held_bytes >= 1000 * 4096);
    /// assert!(ids.into_iter().all(|id| pool.remove(id)));
    /// assert!(pool.stats().held_bytes <= 64 * 4096);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub const fn spare_rows(mut self, rows: usize) -> Self {
        self.spare = Some(rows);
        self
    }

    /// What `acquire` does when every row is leased. Default: fail.
    pub const fn exhaustion(mut self, policy: Exhaustion) -> Self {
        self.policy = policy;
        self
    }

    /// Which pages to ask the system for. Default: whatever it does by itself.
    /// With huge pages every slab has its full size from the beginning.
    pub const fn huge_pages(mut self, pages: HugePages) -> Self {
        self.region = self.region.with_huge_pages(pages);
        self
    }

    /// Whether to touch every page when a slab is made, so that no first use of
    /// a row faults. Default: no.
    pub const fn prefault(mut self, prefault: bool) -> Self {
        self.region = self.region.with_prefault(prefault);
        self
    }

    /// The NUMA node whose memory to prefer. Default: none.
    pub const fn numa_node(mut self, node: Option<u32>) -> Self {
        self.region = self.region.with_numa_node(node);
        self
    }

    /// Charges slabs, generations, machinery and fallback rows to `budget`.
    #[cfg(feature = "std")]
    pub fn budget(mut self, budget: &Budget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    /// Takes slabs from `supplier` instead of the process's allocator and the
    /// system.
    pub fn supplier(mut self, supplier: Arc<dyn Supply>) -> Self {
        self.supplier = Some(supplier);
        self
    }

    /// Tells `hook` what happens on the slow paths of a shared pool.
    #[cfg(feature = "std")]
    pub fn on_event(mut self, hook: EventHook) -> Self {
        self.hook = Some(hook);
        self
    }

    fn plan(&self) -> Result<Plan, ShapeError> {
        Ok(Plan {
            layout: RowLayout::new::<E>(self.dimension, self.align, self.spread)?,
            side: self.side,
            slab_bytes: self.slab_bytes,
            spare: self.spare,
            options: self.region,
            supplier: self.supplier.clone(),
            #[cfg(feature = "std")]
            budget: self.budget.clone(),
        })
    }

    fn fallback(&self) -> Fallback {
        #[cfg(feature = "std")]
        if let Some(budget) = &self.budget {
            return Fallback::new().charged_to(budget.clone());
        }
        Fallback::new()
    }

    /// The pool, for any number of threads. Rows are made by the acquires that
    /// need them.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if such rows cannot be.
    #[cfg(feature = "std")]
    pub fn build(self) -> Result<VectorPool<E, Shared>, ShapeError> {
        let plan = self.plan()?;
        let rows = Rows::new(plan.clone());
        let directory = Arc::clone(rows.directory());
        let item_bytes = plan.layout.stride_bytes();
        let mut engine = SharedEngine::new(self.capacity, item_bytes, rows).named(self.name);
        if let Some(budget) = &self.budget {
            engine = engine.charged_to(budget.clone());
        }
        if let Some(hook) = &self.hook {
            engine = engine.told_to(hook.clone());
        }
        let fallback = self.fallback();
        Ok(VectorPool::over(
            engine,
            directory,
            &plan,
            self.policy,
            fallback,
        ))
    }

    /// The pool, for one thread. Its stack of free rows, 8 bytes a row, is not
    /// charged.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if such rows cannot be.
    pub fn build_local(self) -> Result<VectorPool<E, Local>, ShapeError> {
        let plan = self.plan()?;
        let rows = Rows::new(plan.clone());
        let directory = Arc::clone(rows.directory());
        let engine = LocalEngine::new(self.capacity, rows).named(self.name);
        let fallback = self.fallback();
        Ok(VectorPool::over(
            engine,
            directory,
            &plan,
            self.policy,
            fallback,
        ))
    }
}

impl<E> Clone for Builder<E> {
    fn clone(&self) -> Self {
        Self {
            supplier: self.supplier.clone(),
            #[cfg(feature = "std")]
            budget: self.budget.clone(),
            #[cfg(feature = "std")]
            hook: self.hook.clone(),
            ..*self
        }
    }
}

impl<E: Element> fmt::Debug for Builder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("element", &E::NAME)
            .field("dimension", &self.dimension)
            .field("capacity", &self.capacity)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
