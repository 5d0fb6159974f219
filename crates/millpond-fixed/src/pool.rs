//! The pool.

use crate::lease::Lease;
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use millpond_core::engine::{Engine, Local, Mode};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit, Refused};
use millpond_core::exhaustion::{Exhaustion, Fallback};
use millpond_core::home::{FALLBACK, Home};
use millpond_core::observe::{Observation, Observe, Tune};
use millpond_core::poison;
use millpond_core::slab::Slabs;
use millpond_core::trim::{Level, Trim, TrimReport};

#[cfg(feature = "std")]
use millpond_core::engine::Shared;
#[cfg(feature = "std")]
use millpond_core::shared::SharedEngine;

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
/// 1. Entries of `engine` are addresses of slots with the size and alignment of
///    `T`, and hold no value while they are free.
/// 2. A slot is used by the one lease that was made for its entry, until that
///    lease releases it.
pub struct FixedPool<T, M: Mode = DefaultMode> {
    pub(crate) engine: M::Engine<Slabs>,
    pub(crate) fallback: Fallback,
    pub(crate) policy: Exhaustion,
    _values: PhantomData<fn() -> T>,
}

/// The mode of a pool that names none.
#[cfg(feature = "std")]
pub type DefaultMode = Shared;
/// The mode of a pool that names none.
#[cfg(not(feature = "std"))]
pub type DefaultMode = Local;

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
        Self::over(engine)
    }

    pub(crate) const fn over(engine: SharedEngine<Slabs>) -> Self {
        Self {
            engine,
            fallback: Fallback::new(),
            policy: Exhaustion::Fail,
            _values: PhantomData,
        }
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
    pub async fn acquire_async(&self, value: T) -> Result<Lease<'_, T>, Refused<T>> {
        match self.engine.acquire_async(self.policy.room()).await {
            // SAFETY: just acquired.
            Ok(entry) => Ok(unsafe { self.lease(entry, value) }),
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    /// Takes a value in, waiting up to `timeout` for a free slot.
    ///
    /// # Errors
    ///
    /// Hands the value back with `Limit::Deadline` when the time is over, or
    /// `Limit::Closed` if the pool was closed.
    pub fn acquire_timeout(
        &self,
        value: T,
        timeout: core::time::Duration,
    ) -> Result<Lease<'_, T>, Refused<T>> {
        let entry = match self.engine.try_pop() {
            Some(entry) => Ok(entry),
            None => self
                .engine
                .acquire_waiting(self.policy.room(), Some(timeout)),
        };
        match entry {
            // SAFETY: just acquired.
            Ok(entry) => Ok(unsafe { self.lease(entry, value) }),
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    /// Closes the pool: acquires fail from now on, and whoever waits is told.
    /// Leases stay valid and are released as always.
    pub fn close(&self) {
        self.engine.close();
    }

    /// Whether the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.engine.is_closed()
    }
}

impl<T> FixedPool<T, Local> {
    /// A pool of at most `capacity` values, for one thread. Allocates nothing.
    #[must_use]
    pub const fn new_local(capacity: usize) -> Self {
        use millpond_core::local::LocalEngine;

        let slabs = Slabs::new(size_of::<T>(), align_of::<T>());
        Self::over_local(LocalEngine::new(capacity, slabs))
    }

    pub(crate) const fn over_local(engine: millpond_core::local::LocalEngine<Slabs>) -> Self {
        Self {
            engine,
            fallback: Fallback::new(),
            policy: Exhaustion::Fail,
            _values: PhantomData,
        }
    }
}

impl<T, M: Mode> FixedPool<T, M> {
    const LAYOUT: Layout = Layout::new::<T>();

    /// Takes a value in, and never waits or falls back.
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit. `Limit::Capacity`:
    /// at some instant during the call every slot was leased.
    #[inline]
    pub fn try_acquire(&self, value: T) -> Result<Lease<'_, T, M>, Refused<T>> {
        match self.pop() {
            // SAFETY: just acquired.
            Ok(entry) => Ok(unsafe { self.lease(entry, value) }),
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
    pub fn try_acquire_with(
        &self,
        construct: impl FnOnce() -> T,
    ) -> Result<Lease<'_, T, M>, AcquireError> {
        let entry = self.pop()?;
        let slot = Slot {
            item: entry.as_ptr().cast::<T>(),
            home: Home::new(NonNull::from(self)),
        };
        // SAFETY: just acquired, so the slot is this call's own.
        unsafe { slot.fill(construct()) };
        Ok(Lease::new(slot))
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
    pub fn acquire(&self, value: T) -> Result<Lease<'_, T, M>, Refused<T>> {
        if let Some(entry) = self.engine.try_pop() {
            // SAFETY: just acquired.
            return Ok(unsafe { self.lease(entry, value) });
        }
        match self.acquire_by_policy() {
            Ok(slot) => {
                // SAFETY: just acquired, so the slot is this call's own.
                unsafe { slot.fill(value) };
                Ok(Lease::new(slot))
            }
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    #[inline(always)]
    fn pop(&self) -> Result<Entry, AcquireError> {
        match self.engine.try_pop() {
            Some(entry) => Ok(entry),
            None => self.engine.acquire_slow(0),
        }
    }

    #[cold]
    fn acquire_by_policy(&self) -> Result<Slot<T, M>, AcquireError> {
        let room = self.policy.room();
        let entry = match self.policy {
            Exhaustion::Block { timeout } => self.engine.acquire_waiting(room, timeout),
            _ => self.engine.acquire_slow(room),
        };
        let plain = Home::new(NonNull::from(self));
        match (entry, self.policy) {
            (Ok(entry), _) => Ok(Slot {
                item: entry.as_ptr().cast(),
                home: plain,
            }),
            (Err(error), Exhaustion::Fallback { at_most }) if *error.limit() != Limit::Closed => {
                let entry = self.fallback.allocate(Self::LAYOUT, at_most);
                Ok(Slot {
                    item: entry.map_err(|_| error)?.as_ptr().cast(),
                    home: plain.with_notes(FALLBACK),
                })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Makes the lease for `entry`.
    ///
    /// # Safety
    ///
    /// `entry` was just acquired from this pool's engine.
    #[inline(always)]
    pub(crate) unsafe fn lease(&self, entry: Entry, value: T) -> Lease<'_, T, M> {
        let slot = Slot {
            item: entry.as_ptr().cast::<T>(),
            home: Home::new(NonNull::from(self)),
        };
        // SAFETY: by the caller and 2, the slot is this call's own.
        unsafe { slot.fill(value) };
        Lease::new(slot)
    }

    /// How many values the pool may have.
    pub fn capacity(&self) -> usize {
        self.engine.observe().capacity
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
        let mut figures = self.engine.observe();
        figures.fallback_in_use = self.fallback.in_use();
        figures.fallbacks = self.fallback.total() as u64;
        figures.held_bytes += figures.fallback_in_use * size_of::<T>();
        figures
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
        self.engine.trim(level)
    }

    /// Changes the capacity while leases are out. Values beyond a lower one
    /// stay until they are dropped; a trim then gives their slots back.
    pub fn set_capacity(&self, capacity: usize) {
        self.engine.set_capacity(capacity);
    }
}

impl<T, M: Mode> Observe for FixedPool<T, M> {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn observe(&self) -> Observation {
        self.stats()
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
            .field("name", &self.engine.name())
            .field("capacity", &figures.capacity)
            .field("in_use", &figures.in_use)
            .field("created", &figures.created)
            .finish_non_exhaustive()
    }
}

/// A slot in the hands of its user; dropping it brings it home. Holds no value
/// that it would drop.
///
/// # Invariants
///
/// 1. `item` is a slot of the pool at `home`, which is alive, and its user is
///    whoever holds this.
pub(crate) struct Slot<T, M: Mode> {
    pub(crate) item: NonNull<T>,
    pub(crate) home: Home<FixedPool<T, M>>,
}

impl<T, M: Mode> Slot<T, M> {
    /// # Safety
    ///
    /// The slot holds no value.
    #[inline(always)]
    pub(crate) unsafe fn fill(&self, value: T) {
        // SAFETY: ours by 1.
        unsafe { poison::on_lease(self.item.cast(), size_of::<T>()) };
        // SAFETY: by 1 the slot has the layout of `T` and is ours.
        unsafe { self.item.write(value) };
    }

    #[cold]
    #[inline(never)]
    fn release_noted(&self) {
        // SAFETY: by 1 the pool is alive.
        let pool = unsafe { self.home.pool().as_ref() };
        let entry = Entry::from_ptr(self.item.cast());
        if self.home.notes() & FALLBACK != 0 {
            // SAFETY: noted as a fallback item of this pool, and ours (1).
            unsafe { pool.fallback.free(entry, FixedPool::<T, M>::LAYOUT) };
        }
    }
}

impl<T, M: Mode> Drop for Slot<T, M> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: ours by 1, and it holds no value any more.
        unsafe { poison::on_release(self.item.cast(), size_of::<T>()) };
        let Some(pool) = self.home.pool_if_plain() else {
            return self.release_noted();
        };
        // SAFETY: by 1 the pool is alive.
        let pool = unsafe { pool.as_ref() };
        let entry = Entry::from_ptr(self.item.cast());
        // SAFETY: by 1 ours to give, and not used afterwards. Borrowed leases
        // keep the pool from being orphaned, so this is never the last item.
        let _ = unsafe { pool.engine.release(entry) };
    }
}
