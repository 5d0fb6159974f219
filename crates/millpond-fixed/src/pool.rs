//! The pool.

use crate::lease::Lease;
#[cfg(feature = "std")]
use crate::slot::Slot;
use crate::slot::{Patience, Pooled, Slots};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use millpond_core::engine::{Engine, Local, Mode};
use millpond_core::error::{AcquireError, Refused};
#[cfg(feature = "std")]
use millpond_core::observe::RegionFigures;
use millpond_core::observe::{Observation, Observe, Sampled, Tune};
use millpond_core::slab::Slabs;
use millpond_core::trim::{Level, Trim, TrimReport};

#[cfg(feature = "std")]
use core::panic::Location;
#[cfg(feature = "std")]
use millpond_core::diagnostics::{Diagnosis, Holder};
#[cfg(feature = "std")]
use millpond_core::engine::Shared;
#[cfg(feature = "std")]
use millpond_core::shared::SharedEngine;
#[cfg(feature = "std")]
use std::boxed::Box;
#[cfg(feature = "std")]
use std::sync::OnceLock;
#[cfg(feature = "std")]
use std::vec::Vec;

/// A pool of at most a set number of values of type `T`.
///
/// `M` says who uses it: [`Shared`](crate::Shared), any number of threads, or
/// [`Local`], one.
///
/// ```
/// use millpond_fixed::FixedPool;
///
/// let pool = FixedPool::new(2);
/// let one = pool.try_acquire(String::from("one"))?;
/// let two = pool.try_acquire(String::from("two"))?;
///
/// let refused = pool.try_acquire(String::from("three")).unwrap_err();
/// assert_eq!(refused.into_value(), "three");
///
/// drop(one);
/// assert!(pool.try_acquire(String::from("three")).is_ok());
/// # Ok::<(), millpond_fixed::Refused<String>>(())
/// ```
///
/// # Invariants
///
/// 1. Entries of `slots` are addresses of slots with the size and alignment of
///    `T`, and hold no value while they are free.
/// 2. A slot is used by the one lease that was made for its entry, until that
///    lease releases it.
pub struct FixedPool<T, M: Mode = DefaultMode> {
    pub(crate) slots: Slots<Slabs, M>,
    /// Whose turn it is to gather a batch and wait for what is missing.
    #[cfg(feature = "std")]
    pub(crate) turn: OnceLock<Box<FixedPool<(), Shared>>>,
    /// What was allocated from the pool and is no slot of it.
    #[cfg(all(feature = "allocator-api2", feature = "std"))]
    pub(crate) outside: crate::blocks::Outside,
    _values: PhantomData<fn() -> T>,
}

/// The mode of a pool that names none.
#[cfg(feature = "std")]
pub(crate) type DefaultMode = Shared;
/// The mode of a pool that names none.
#[cfg(not(feature = "std"))]
pub(crate) type DefaultMode = Local;

/// A pool for one thread: the same interface, and no atomics.
///
/// ```
/// use millpond_fixed::LocalFixedPool;
///
/// let pool = LocalFixedPool::new_local(16);
/// let lease = pool.try_acquire([1u64; 4])?;
/// assert_eq!(lease.iter().sum::<u64>(), 4);
/// # Ok::<(), millpond_fixed::Refused<[u64; 4]>>(())
/// ```
pub type LocalFixedPool<T> = FixedPool<T, Local>;

// SAFETY: by 1 and 2 the pool itself holds no value; what threads share of it is
// the engine, which is Send and Sync. Values reach other threads by way of
// leases, which carry their own bounds; `T: Send` here keeps pools of values
// that must not move between threads from being shared at all.
#[cfg(feature = "std")]
unsafe impl<T: Send> Sync for FixedPool<T, Shared> {}
// SAFETY: as above.
#[cfg(feature = "std")]
unsafe impl<T: Send> Send for FixedPool<T, Shared> {}
// SAFETY: as above; with no lease alive (they borrow the pool) one thread after
// the other may use it.
unsafe impl<T: Send> Send for FixedPool<T, Local> {}

// No user code runs while a pool is half changed, so a panic leaves it whole.
impl<T, M: Mode> core::panic::UnwindSafe for FixedPool<T, M> {}
impl<T, M: Mode> core::panic::RefUnwindSafe for FixedPool<T, M> {}

#[cfg(feature = "std")]
impl<T> FixedPool<T, Shared> {
    /// A pool of at most `capacity` values, for any number of threads.
    ///
    /// Allocates nothing, so it can be a static; slabs are made by the acquires
    /// that need them.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        let slabs = Slabs::new(size_of::<T>(), align_of::<T>());
        let engine = SharedEngine::new(capacity, size_of::<T>(), slabs);
        Self::of(Slots::over(engine))
    }

    /// Takes a value in, waiting in the task for a free slot. Slots go to those
    /// who wait in the order in which they came; dropping the future leaves the
    /// queue and loses nothing but the value inside it.
    ///
    /// ```
    /// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// use millpond_fixed::FixedPool;
    ///
    /// let pool = FixedPool::new(1);
    /// let first = pool.try_acquire(1)?;
    ///
    /// let mut second = pin!(pool.acquire_async(2));
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(second.as_mut().poll(&mut context).is_pending());
    ///
    /// drop(first); // Handed to the task that waits.
    /// assert!(second.as_mut().poll(&mut context).is_ready());
    /// # Ok::<(), millpond_fixed::Refused<i32>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Hands the value back if the pool is or becomes closed, or could never
    /// give a slot.
    #[track_caller]
    pub fn acquire_async(
        &self,
        value: T,
    ) -> impl Future<Output = Result<Lease<'_, T>, Refused<T>>> {
        // Not an `async fn`, which would not know its caller.
        let location = Location::caller();
        async move {
            match self
                .slots
                .engine
                .acquire_async(self.slots.policy.room())
                .await
            {
                Ok(entry) => {
                    // SAFETY: just acquired; the lease borrows the pool.
                    let slot = unsafe { Slot::new(entry, NonNull::from(self)) };
                    Ok(Lease::of(self.slots.inspect(slot, location), value))
                }
                Err(error) => Err(Refused::new(error, value)),
            }
        }
    }

    /// Takes a value in, waiting up to `timeout` for a free slot.
    ///
    /// # Errors
    ///
    /// Hands the value back with `Limit::Deadline` when the time is over, or
    /// `Limit::Closed` if the pool was closed.
    #[track_caller]
    pub fn acquire_timeout(
        &self,
        value: T,
        timeout: core::time::Duration,
    ) -> Result<Lease<'_, T>, Refused<T>> {
        // SAFETY: the lease borrows the pool.
        match unsafe {
            self.slots
                .slot(NonNull::from(self), Patience::Until(timeout))
        } {
            Ok(slot) => Ok(Lease::of(slot, value)),
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    /// Makes the pool usable in the child of a fork of a process with several
    /// threads. Leases of threads that the child does not have stay leased.
    ///
    /// # Safety
    ///
    /// See [`SharedEngine::after_fork_in_child`].
    pub unsafe fn after_fork_in_child(&self) {
        // SAFETY: by the caller.
        unsafe { self.slots.engine.after_fork_in_child() };
    }

    /// Closes the pool: acquires fail from now on, and whoever waits is told.
    /// Leases stay valid and are released as always.
    pub fn close(&self) {
        self.slots.engine.close();
    }

    /// Whether the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.slots.engine.is_closed()
    }
}

impl<T> FixedPool<T, Local> {
    /// A pool of at most `capacity` values, for one thread. Allocates nothing.
    #[must_use]
    pub const fn new_local(capacity: usize) -> Self {
        use millpond_core::local::LocalEngine;

        let slabs = Slabs::new(size_of::<T>(), align_of::<T>());
        let engine = LocalEngine::new(capacity, slabs).sized(size_of::<T>());
        Self::of(Slots::over(engine))
    }
}

impl<T, M: Mode> FixedPool<T, M> {
    pub(crate) const fn of(slots: Slots<Slabs, M>) -> Self {
        Self {
            slots,
            #[cfg(feature = "std")]
            turn: OnceLock::new(),
            #[cfg(all(feature = "allocator-api2", feature = "std"))]
            outside: crate::blocks::Outside::new(),
            _values: PhantomData,
        }
    }

    /// Takes a value in, and never waits or falls back.
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit. `Limit::Capacity`:
    /// at some instant during the call every slot was leased.
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self, value: T) -> Result<Lease<'_, T, M>, Refused<T>> {
        // SAFETY: the lease borrows the pool.
        match unsafe { self.slots.slot(NonNull::from(self), Patience::None) } {
            Ok(slot) => Ok(Lease::of(slot, value)),
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    /// Constructs a value in a slot. The constructor runs only if there is one;
    /// if it panics, the slot goes back.
    ///
    /// # Errors
    ///
    /// The limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire_with(
        &self,
        construct: impl FnOnce() -> T,
    ) -> Result<Lease<'_, T, M>, AcquireError> {
        // SAFETY: the lease borrows the pool.
        let slot = unsafe { self.slots.slot(NonNull::from(self), Patience::None) }?;
        Ok(Lease::of(slot, construct()))
    }

    /// Takes a value in, and does what the pool's policy says if no slot is
    /// free.
    ///
    /// ```
    /// use millpond_fixed::{Exhaustion, FixedPool};
    ///
    /// let pool = FixedPool::builder(1)
    ///     .exhaustion(Exhaustion::Fallback { at_most: 10 })
    ///     .build();
    /// let inside = pool.acquire("in a slot")?;
    /// let outside = pool.acquire("on the heap")?;
    /// assert_eq!(pool.stats().fallback_in_use, 1);
    /// # Ok::<(), millpond_fixed::Refused<&str>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit, once the policy is at
    /// its end.
    #[inline]
    #[track_caller]
    pub fn acquire(&self, value: T) -> Result<Lease<'_, T, M>, Refused<T>> {
        // SAFETY: the lease borrows the pool.
        match unsafe { self.slots.slot(NonNull::from(self), Patience::Policy) } {
            Ok(slot) => Ok(Lease::of(slot, value)),
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    /// Switches diagnostics while the pool is in use; see
    /// [`millpond_core::diagnostics`] for the levels and what they cost.
    ///
    /// ```
    /// use millpond_fixed::{Diagnosis, FixedPool};
    ///
    /// let pool = FixedPool::new(10);
    /// pool.set_diagnosis(Diagnosis::Full);
    /// let lease = pool.try_acquire(1)?;
    /// let holders = pool.holders();
    /// assert_eq!(holders.len(), 1);
    /// assert!(holders[0].location.file().ends_with(".rs"));
    /// # drop(lease);
    /// # Ok::<(), millpond_fixed::Refused<i32>>(())
    /// ```
    #[cfg(feature = "std")]
    pub fn set_diagnosis(&self, level: Diagnosis) {
        self.slots.engine.set_diagnosis(level);
    }

    /// Everybody of whom diagnostics have a record, longest holder first: the
    /// leak report of a pool whose leases should have ended.
    #[cfg(feature = "std")]
    pub fn holders(&self) -> Vec<Holder> {
        self.slots.engine.holders()
    }

    /// The capacity that suits what happened since this was last asked, if it is
    /// another one, of a pool that was built to [know](crate::Builder::advised).
    /// Costs what [`stats`](Self::stats) costs.
    #[cfg(feature = "std")]
    pub fn advise(&self) -> Option<usize> {
        self.slots.advise()
    }

    /// Sets the capacity while leases are out, and gives back what is free beyond
    /// it.
    #[cfg(feature = "std")]
    pub fn apply(&self, advice: usize) {
        self.slots.resize(advice);
    }

    /// Makes up to `count` slots ahead of traffic and touches them, and answers how
    /// many are ready. While it runs others find those slots leased.
    ///
    /// ```
    /// use millpond_fixed::FixedPool;
    ///
    /// let pool = FixedPool::<u64>::new(100);
    /// assert_eq!(pool.warm_up(80), 80);
    /// assert_eq!(pool.warm_up(1000), 100);
    /// assert_eq!(pool.stats().in_use, 0);
    /// ```
    pub fn warm_up(&self, count: usize) -> usize {
        let mut ready = alloc::vec::Vec::new();
        let count = count.min(self.capacity());
        if ready.try_reserve(count).is_err() {
            return 0;
        }
        while ready.len() < count {
            let Ok(mut vacant) = self.try_reserve() else {
                break;
            };
            vacant.touch();
            ready.push(vacant);
        }
        ready.len()
    }

    /// How many values the pool may have.
    pub fn capacity(&self) -> usize {
        self.slots.engine.observe().capacity
    }

    /// All figures: what is leased, cached and held, and what happened so far.
    ///
    /// ```
    /// use millpond_fixed::FixedPool;
    ///
    /// let pool = FixedPool::new(100);
    /// let lease = pool.try_acquire(1)?;
    /// let stats = pool.stats();
    /// assert_eq!((stats.in_use, stats.acquires), (1, 1));
    /// # drop(lease);
    /// # Ok::<(), millpond_fixed::Refused<i32>>(())
    /// ```
    pub fn stats(&self) -> Observation {
        self.slots.stats(size_of::<T>())
    }

    /// Gives memory back: slabs whose slots are all free, wherever those are
    /// cached.
    ///
    /// ```
    /// use millpond_fixed::{FixedPool, Level};
    ///
    /// let pool = FixedPool::new(10_000);
    /// let burst: Vec<_> = (0..10_000u64).map(|i| pool.try_acquire(i)).collect();
    /// drop(burst);
    /// assert_eq!(pool.trim(Level::Full).freed_items, 10_000);
    /// assert_eq!(pool.stats().held_bytes, 0);
    /// ```
    pub fn trim(&self, level: Level) -> TrimReport {
        self.slots.engine.trim(level)
    }

    /// Changes the capacity while leases are out. Values beyond a lower one
    /// stay until they are dropped; a trim then gives their slots back.
    pub fn set_capacity(&self, capacity: usize) {
        self.slots.engine.set_capacity(capacity);
    }
}

impl<T, M: Mode> Observe for FixedPool<T, M> {
    fn name(&self) -> &str {
        self.slots.engine.name()
    }

    fn observe(&self) -> Observation {
        self.stats()
    }

    fn kind(&self) -> &'static str {
        "fixed"
    }

    fn sampled(&self) -> Sampled {
        self.slots.engine.sampled()
    }

    #[cfg(feature = "std")]
    fn holders(&self) -> Vec<Holder> {
        self.slots.engine.holders()
    }

    #[cfg(feature = "std")]
    fn regions(&self) -> Vec<RegionFigures> {
        self.slots.engine.regions()
    }
}

impl<T, M: Mode> Trim for FixedPool<T, M> {
    fn trim(&self, level: Level) -> TrimReport {
        Self::trim(self, level)
    }
}

impl<T, M: Mode> Tune for FixedPool<T, M> {
    fn set_capacity(&self, capacity: usize) {
        Self::set_capacity(self, capacity);
    }
}

impl<T> Default for FixedPool<T, Local> {
    /// A local pool without a limit.
    fn default() -> Self {
        Self::new_local(usize::MAX)
    }
}

impl<T, M: Mode> fmt::Debug for FixedPool<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.stats();
        f.debug_struct("FixedPool")
            .field("name", &self.slots.engine.name())
            .field("capacity", &figures.capacity)
            .field("in_use", &figures.in_use)
            .field("created", &figures.created)
            .finish_non_exhaustive()
    }
}

// SAFETY: slots are a field, and by 1 entries are addresses of slots for `T`.
unsafe impl<T, M: Mode> Pooled for FixedPool<T, M> {
    type Item = T;
    type Source = Slabs;
    type Mode = M;
    const KEEPS: bool = false;

    #[inline(always)]
    unsafe fn slots(pool: *const Self) -> *const Slots<Slabs, M> {
        // SAFETY: alive by the caller.
        unsafe { &raw const (*pool).slots }
    }
}
