//! Building a pool with more than a capacity.

use crate::object::ObjectPool;
use crate::place::{Place, Places};
use crate::pool::FixedPool;
use crate::recycle::Recycle;
use crate::slot::Slots;
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use millpond_core::capacity::Capacity;
use millpond_core::engine::{Local, Mode};
use millpond_core::exhaustion::{Exhaustion, Fallback};
use millpond_core::local::LocalEngine;
use millpond_core::region::{RegionOptions, Supply};
use millpond_core::slab::Slabs;
use millpond_core::source::Source;

#[cfg(feature = "std")]
use crate::adapting::Adapting;
#[cfg(feature = "std")]
use millpond_core::adaptive::Adaptive;
#[cfg(feature = "std")]
use millpond_core::budget::Budget;
#[cfg(feature = "std")]
use millpond_core::engine::Shared;
#[cfg(feature = "std")]
use millpond_core::event::EventHook;
#[cfg(feature = "std")]
use millpond_core::shared::SharedEngine;

/// Builds a [`FixedPool`] or an [`ObjectPool`](crate::ObjectPool).
///
/// ```
/// use millpond_core::budget::Budget;
/// use millpond_fixed::{Exhaustion, FixedPool, Limit};
///
/// let budget = Budget::new("frames", 64 * 1024);
/// let pool = FixedPool::<[u8; 4096]>::builder(1000)
///     .name("frames")
///     .budget(&budget)
///     .exhaustion(Exhaustion::Fail)
///     .build();
///
/// let mut frames = Vec::new();
/// let refused = loop {
///     match pool.acquire([0; 4096]) {
///         Ok(frame) => frames.push(frame),
///         Err(refused) => break refused,
///     }
/// };
/// assert!(matches!(refused.error().limit(), Limit::Budget(_)));
/// assert!(budget.held() <= budget.limit());
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct Builder<T> {
    pub(crate) capacity: Capacity,
    name: &'static str,
    pub(crate) policy: Exhaustion,
    #[cfg(feature = "std")]
    adaptive: Option<Adaptive>,
    #[cfg(feature = "std")]
    adapts: bool,
    pub(crate) region: RegionOptions,
    pub(crate) supplier: Option<Arc<dyn Supply>>,
    #[cfg(feature = "std")]
    pub(crate) budget: Option<Budget>,
    #[cfg(feature = "std")]
    hook: Option<EventHook>,
    _values: PhantomData<fn() -> T>,
}

#[cfg(feature = "std")]
impl<T> FixedPool<T, Shared> {
    /// Begins a pool of at most `capacity` values; end with [`Builder::build`].
    /// The capacity is a number, or a [`Capacity`] that says what it is a sum of.
    ///
    /// ```
    /// use millpond_fixed::{Capacity, FixedPool};
    ///
    /// let capacity = Capacity::of("receive", 1).and("in flight", 1);
    /// let pool = FixedPool::builder(capacity).name("frames").build();
    /// let held = (pool.try_acquire(1), pool.try_acquire(2));
    /// assert_eq!(
    ///     pool.try_acquire(3).unwrap_err().to_string(),
    ///     "pool `frames`: all items are leased \
    ///      (2 of 2 in use, 0 cached, 0 waiting; 2 = receive 1 + in flight 1)",
    /// );
    /// ```
    pub fn builder(capacity: impl Into<Capacity>) -> Builder<T> {
        Builder::new(capacity)
    }
}

impl<T> FixedPool<T, Local> {
    /// Begins a pool of at most `capacity` values; end with
    /// [`Builder::build_local`].
    pub fn local_builder(capacity: impl Into<Capacity>) -> Builder<T> {
        Builder::new(capacity)
    }
}

impl<T> Builder<T> {
    pub(crate) fn new(capacity: impl Into<Capacity>) -> Self {
        Self {
            capacity: capacity.into(),
            name: "",
            policy: Exhaustion::Fail,
            #[cfg(feature = "std")]
            adaptive: None,
            #[cfg(feature = "std")]
            adapts: false,
            region: RegionOptions::new(),
            supplier: None,
            #[cfg(feature = "std")]
            budget: None,
            #[cfg(feature = "std")]
            hook: None,
            _values: PhantomData,
        }
    }

    /// The name that errors and reports use.
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// What `acquire` does when every slot is leased. Default: fail.
    pub const fn exhaustion(mut self, policy: Exhaustion) -> Self {
        self.policy = policy;
        self
    }

    /// Has the pool set its capacity by itself, on its slow paths, from how often
    /// it ran out in the last hundred acquires. Advice without applying it:
    /// [`millpond_core::adaptive`].
    ///
    /// ```
    /// use millpond_fixed::{Adaptive, Exhaustion, FixedPool};
    ///
    /// let pool = FixedPool::builder(16)
    ///     .exhaustion(Exhaustion::Fallback { at_most: 1000 })
    ///     .adaptive(Adaptive::between(16, 128))
    ///     .build();
    /// for _ in 0..20 {
    ///     let burst: Vec<_> = (0..100).map(|i| pool.acquire(i)).collect();
    ///     assert!(burst.iter().all(Result::is_ok));
    /// }
    /// // Not to all of a burst: up to 5 % of it may overflow.
    /// assert!(pool.capacity() >= 80, "it has grown to the bursts");
    /// ```
    #[cfg(feature = "std")]
    pub const fn adaptive(mut self, adaptive: Adaptive) -> Self {
        self.adaptive = Some(adaptive);
        self.adapts = true;
        self
    }

    /// Has the pool know which capacity would suit what happened lately: one call
    /// gives the advice, another one applies it.
    ///
    /// ```
    /// use millpond_fixed::{Adaptive, Exhaustion, FixedPool};
    ///
    /// let pool = FixedPool::builder(16)
    ///     .exhaustion(Exhaustion::Fallback { at_most: 1000 })
    ///     .advised(Adaptive::between(16, 128).for_share_of_peaks(990))
    ///     .build();
    /// let burst: Vec<_> = (0..100).map(|i| pool.acquire(i)).collect();
    /// let advice = pool.advise().expect("84 lie outside");
    /// assert_eq!((advice, pool.capacity()), (100, 16));
    /// pool.apply(advice);
    /// assert_eq!(pool.capacity(), 100);
    /// # drop(burst);
    /// ```
    #[cfg(feature = "std")]
    pub const fn advised(mut self, adaptive: Adaptive) -> Self {
        self.adaptive = Some(adaptive);
        self.adapts = false;
        self
    }

    /// Huge pages, prefaulting, a preferred node.
    pub const fn region(mut self, options: RegionOptions) -> Self {
        self.region = options;
        self
    }

    /// Charges slots, machinery and fallback values to `budget`.
    #[cfg(feature = "std")]
    pub fn budget(mut self, budget: &Budget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    /// Takes slabs from `supplier` instead of the process's allocator and the
    /// system. Fallback values and machinery stay where they are.
    ///
    /// With the feature `allocator-api2` any allocator of that crate that is
    /// `Send + Sync` supplies.
    pub fn supplier(mut self, supplier: Arc<dyn Supply>) -> Self {
        self.supplier = Some(supplier);
        self
    }

    /// Tells `hook` what happens on the slow paths of the pool.
    #[cfg(feature = "std")]
    pub fn on_event(mut self, hook: EventHook) -> Self {
        self.hook = Some(hook);
        self
    }

    fn slabs<I>(&self) -> Slabs {
        let mut slabs = Slabs::new(size_of::<I>(), align_of::<I>()).with_options(self.region);
        if let Some(supplier) = &self.supplier {
            slabs = slabs.supplied_by(Arc::clone(supplier));
        }
        #[cfg(feature = "std")]
        if let Some(budget) = &self.budget {
            return slabs.charged_to(budget.clone());
        }
        slabs
    }

    fn fallback(&self) -> Fallback {
        #[cfg(feature = "std")]
        if let Some(budget) = &self.budget {
            return Fallback::new().charged_to(budget.clone());
        }
        Fallback::new()
    }

    /// The pool, for any number of threads.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn build(self) -> FixedPool<T, Shared> {
        FixedPool::of(self.shared_slots::<T, _>(self.slabs::<T>()))
    }

    /// The pool, for one thread. Its stack of free slots, 8 bytes a slot, is
    /// not charged.
    #[must_use]
    pub fn build_local(self) -> FixedPool<T, Local> {
        FixedPool::of(self.local_slots::<T, _>(self.slabs::<T>()))
    }

    /// A pool of objects, which `recycle` makes and takes care of, for any
    /// number of threads.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn build_objects<R: Recycle<T>>(self, recycle: R) -> ObjectPool<T, R, Shared> {
        let recycle = Arc::new(recycle);
        let places = Places::new(self.slabs::<Place<T>>(), Arc::clone(&recycle));
        ObjectPool::of(self.shared_slots::<Place<T>, _>(places), recycle)
    }

    /// A pool of objects, which `recycle` makes and takes care of, for one
    /// thread.
    #[must_use]
    pub fn build_local_objects<R: Recycle<T>>(self, recycle: R) -> ObjectPool<T, R, Local> {
        let recycle = Arc::new(recycle);
        let places = Places::new(self.slabs::<Place<T>>(), Arc::clone(&recycle));
        ObjectPool::of(self.local_slots::<Place<T>, _>(places), recycle)
    }

    /// Slots for an `I` each, out of `source`.
    #[cfg(feature = "std")]
    fn shared_slots<I, S: Source>(&self, source: S) -> Slots<S, Shared> {
        self.slots(self.shared_engine(size_of::<I>(), source))
    }

    fn local_slots<I, S: Source>(&self, source: S) -> Slots<S, Local> {
        self.slots(self.local_engine(size_of::<I>(), source))
    }

    #[cfg(feature = "std")]
    pub(crate) fn shared_engine<S: Source>(&self, item_bytes: usize, source: S) -> SharedEngine<S> {
        let mut engine =
            SharedEngine::new(self.capacity.total(), item_bytes, source).named(self.name);
        if let Some(budget) = &self.budget {
            engine = engine.charged_to(budget.clone());
        }
        if let Some(hook) = &self.hook {
            engine = engine.told_to(hook.clone());
        }
        engine
    }

    pub(crate) fn local_engine<S: Source>(&self, item_bytes: usize, source: S) -> LocalEngine<S> {
        let engine = LocalEngine::new(self.capacity.total(), source)
            .named(self.name)
            .sized(item_bytes);
        #[cfg(feature = "std")]
        if let Some(hook) = &self.hook {
            return engine.told_to(hook.clone());
        }
        engine
    }

    /// What the capacity is made of, if it says so.
    pub(crate) fn sum(&self) -> Option<Arc<Capacity>> {
        self.capacity.is_named().then(|| Arc::new(self.capacity))
    }

    /// What knows which capacity suits, if that is wanted.
    #[cfg(feature = "std")]
    pub(crate) fn adapting(&self) -> Option<Adapting> {
        let adaptive = self.adaptive?;
        Some(Adapting::new(adaptive, self.adapts))
    }

    fn slots<S: Source, M: Mode>(&self, engine: M::Engine<S>) -> Slots<S, M> {
        let mut slots = Slots::over(engine);
        slots.policy = self.policy;
        slots.sum = self.sum();
        slots.fallback = self.fallback();
        #[cfg(feature = "std")]
        {
            slots.adaptive = self.adapting();
        }
        slots
    }
}

impl<T> Clone for Builder<T> {
    fn clone(&self) -> Self {
        Self {
            #[cfg(feature = "std")]
            budget: self.budget.clone(),
            #[cfg(feature = "std")]
            hook: self.hook.clone(),
            supplier: self.supplier.clone(),
            ..*self
        }
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
