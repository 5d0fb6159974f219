//! Object pools: what is released is made ready for the next user, not dropped.
//!
//! ```text
//!   slot    ┌────────────────┬───────┐
//!           │ object, or not │ holds │     an object stays in its slot while it is
//!           └────────────────┴───────┘     free: first use constructs, later uses find
//!
//!   acquire   holds? ── yes ─► is_valid? ─ yes ─► lease
//!               └ no ──► construct ◄─ no ─┘ evict
//!   release   recycle ── keep ─► home
//!                └ evict ─► hook ─► home, empty
//! ```

use crate::builder::Builder;
use crate::dyn_lease::DynLease;
use crate::forward::{forward_shown, forward_value};
#[cfg(feature = "std")]
use crate::handle::{Handle, Pond};
use crate::place::{Place, Places, clean_noted_slow, make_clean, make_ready};
use crate::pool::DefaultMode;
use crate::recycle::Recycle;
use crate::slot::{Keeper, Patience, Pooled, Slot, Slots};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use millpond_core::engine::{Engine, Local, Mode};
use millpond_core::error::AcquireError;
use millpond_core::observe::{Observation, Observe, Sampled, Tune};
use millpond_core::trim::{Level, Trim, TrimReport};

#[cfg(feature = "std")]
use core::panic::Location;
#[cfg(feature = "std")]
use millpond_core::diagnostics::{Diagnosis, Holder};
#[cfg(feature = "std")]
use millpond_core::engine::Shared;
#[cfg(feature = "std")]
use millpond_core::observe::RegionFigures;

/// A pool of at most a set number of objects that are recycled: constructed by
/// the first acquire of their slot, reset by each release, kept until a trim.
///
/// ```
/// use millpond_fixed::{Clear, ObjectPool};
///
/// let pool = ObjectPool::<Vec<u32>, _>::new(16, Clear::keeping_all());
/// let mut scratch = pool.try_acquire()?;
/// scratch.extend(0..1000);
/// let address = scratch.as_ptr();
/// drop(scratch);
///
/// let scratch = pool.try_acquire()?;
/// assert!(scratch.is_empty() && scratch.capacity() >= 1000);
/// assert_eq!(scratch.as_ptr(), address, "the same memory");
/// # Ok::<(), millpond_fixed::AcquireError>(())
/// ```
///
/// # Invariants
///
/// 1. Entries of `slots` are addresses of cleared places for a `T`.
/// 2. A place is used by the one lease that was made for its entry, until that
///    lease releases it; fallback places alike.
pub struct ObjectPool<T, R: Recycle<T>, M: Mode = DefaultMode> {
    slots: Slots<Places<T, R>, M>,
    recycle: Arc<R>,
}

/// A pool of objects for one thread.
pub type LocalObjectPool<T, R> = ObjectPool<T, R, Local>;

// No user code runs while a pool is half changed, so a panic leaves it whole.
impl<T, R: Recycle<T>, M: Mode> core::panic::UnwindSafe for ObjectPool<T, R, M> {}
impl<T, R: Recycle<T>, M: Mode> core::panic::RefUnwindSafe for ObjectPool<T, R, M> {}

#[cfg(feature = "std")]
impl<T, R: Recycle<T>> ObjectPool<T, R, Shared> {
    /// A pool of at most `capacity` objects, for any number of threads.
    /// [`FixedPool::builder`](crate::FixedPool::builder) has more choices; end it
    /// with [`Builder::build_objects`].
    #[must_use]
    pub fn new(capacity: usize, recycle: R) -> Self {
        Builder::new(capacity).build_objects(recycle)
    }

    /// Moves the pool to the heap, where its leases can outlive the borrow of it.
    #[must_use]
    pub fn into_handle(self) -> ObjectHandle<T, R> {
        Handle::of(self)
    }

    /// Acquires an object, waiting up to `timeout` for a free one.
    ///
    /// # Errors
    ///
    /// `Limit::Deadline` when the time is over, or `Limit::Closed`.
    #[track_caller]
    pub fn acquire_timeout(
        &self,
        timeout: core::time::Duration,
    ) -> Result<ObjectLease<'_, T, R>, AcquireError> {
        // SAFETY: the lease borrows the pool.
        let slot = unsafe {
            self.slots
                .slot(NonNull::from(self), Patience::Until(timeout))
        }?;
        Ok(ObjectLease::of(slot))
    }

    /// Acquires an object, waiting in the task for a free one, in order of
    /// arrival.
    ///
    /// # Errors
    ///
    /// If the pool is or becomes closed, or could never give an object.
    #[track_caller]
    pub fn acquire_async(
        &self,
    ) -> impl Future<Output = Result<ObjectLease<'_, T, R>, AcquireError>> {
        let location = Location::caller();
        async move {
            let entry = self
                .slots
                .engine
                .acquire_async(self.slots.policy.room())
                .await?;
            // SAFETY: just acquired; the lease borrows the pool.
            let slot = unsafe { Slot::new(entry, NonNull::from(self)) };
            Ok(ObjectLease::of(self.slots.inspect(slot, location)))
        }
    }

    /// Closes the pool: acquires fail from now on, and whoever waits is told.
    pub fn close(&self) {
        self.slots.engine.close();
    }

    /// Whether the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.slots.engine.is_closed()
    }
}

impl<T, R: Recycle<T>> ObjectPool<T, R, Local> {
    /// A pool of at most `capacity` objects, for one thread.
    #[must_use]
    pub fn new_local(capacity: usize, recycle: R) -> Self {
        Builder::new(capacity).build_local_objects(recycle)
    }
}

impl<T, R: Recycle<T>, M: Mode> ObjectPool<T, R, M> {
    /// Switches diagnostics while the pool is in use: who holds what. Slots are
    /// not patterned, for there are objects in them.
    #[cfg(feature = "std")]
    pub fn set_diagnosis(&self, level: Diagnosis) {
        self.slots.engine.set_diagnosis(level);
    }

    /// Everybody of whom diagnostics have a record, longest holder first.
    #[cfg(feature = "std")]
    pub fn holders(&self) -> Vec<Holder> {
        self.slots.engine.holders()
    }

    pub(crate) const fn of(slots: Slots<Places<T, R>, M>, recycle: Arc<R>) -> Self {
        Self { slots, recycle }
    }

    /// Acquires an object, and never waits or falls back.
    ///
    /// # Errors
    ///
    /// The limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self) -> Result<ObjectLease<'_, T, R, M>, AcquireError> {
        // SAFETY: the lease borrows the pool.
        let slot = unsafe { self.slots.slot(NonNull::from(self), Patience::None) }?;
        Ok(ObjectLease::of(slot))
    }

    /// Acquires an object, and does what the pool's policy says if none is free.
    ///
    /// # Errors
    ///
    /// The limit that was hit, once the policy is at its end.
    #[inline]
    #[track_caller]
    pub fn acquire(&self) -> Result<ObjectLease<'_, T, R, M>, AcquireError> {
        // SAFETY: the lease borrows the pool.
        let slot = unsafe { self.slots.slot(NonNull::from(self), Patience::Policy) }?;
        Ok(ObjectLease::of(slot))
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

    /// Constructs up to `count` objects ahead of traffic, and answers how many
    /// there are ready. While it runs others find those objects leased.
    pub fn warm_up(&self, count: usize) -> usize {
        let mut leases = Vec::new();
        if leases.try_reserve(count.min(self.capacity())).is_err() {
            return 0;
        }
        while leases.len() < leases.capacity().min(count) {
            let Ok(lease) = self.try_acquire() else { break };
            leases.push(lease);
        }
        leases.len()
    }

    /// How many objects the pool may have.
    pub fn capacity(&self) -> usize {
        self.slots.engine.observe().capacity
    }

    /// All figures. Bytes are those of the slots, not what objects own beyond.
    pub fn stats(&self) -> Observation {
        self.slots.stats(size_of::<Place<T>>())
    }

    /// Gives memory back: slabs whose slots are all free, wherever those are
    /// cached. Their objects are evicted.
    pub fn trim(&self, level: Level) -> TrimReport {
        self.slots.engine.trim(level)
    }

    /// Changes the capacity while leases are out. Objects beyond a lower one go
    /// with the next trim after they come home.
    pub fn set_capacity(&self, capacity: usize) {
        self.slots.engine.set_capacity(capacity);
    }
}

impl<T, R: Recycle<T>, M: Mode> Observe for ObjectPool<T, R, M> {
    fn name(&self) -> &str {
        self.slots.engine.name()
    }

    fn observe(&self) -> Observation {
        self.stats()
    }

    fn kind(&self) -> &'static str {
        "object"
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

impl<T, R: Recycle<T>, M: Mode> Trim for ObjectPool<T, R, M> {
    fn trim(&self, level: Level) -> TrimReport {
        Self::trim(self, level)
    }
}

impl<T, R: Recycle<T>, M: Mode> Tune for ObjectPool<T, R, M> {
    fn set_capacity(&self, capacity: usize) {
        Self::set_capacity(self, capacity);
    }
}

impl<T, R: Recycle<T>, M: Mode> fmt::Debug for ObjectPool<T, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.stats();
        f.debug_struct("ObjectPool")
            .field("name", &self.slots.engine.name())
            .field("capacity", &figures.capacity)
            .field("in_use", &figures.in_use)
            .field("created", &figures.created)
            .finish_non_exhaustive()
    }
}

// SAFETY: slots are a field, and by 1 entries are addresses of places for `T`.
unsafe impl<T, R: Recycle<T>, M: Mode> Pooled for ObjectPool<T, R, M> {
    type Item = Place<T>;
    type Source = Places<T, R>;
    type Mode = M;
    const KEEPS: bool = true;

    #[inline(always)]
    unsafe fn slots(pool: *const Self) -> *const Slots<Places<T, R>, M> {
        // SAFETY: alive by the caller.
        unsafe { &raw const (*pool).slots }
    }

    unsafe fn prepare(place: NonNull<Place<T>>) {
        // SAFETY: by the caller.
        unsafe { Place::clear(place) };
    }
}

/// A handle to a pool of objects; see [`Handle`].
#[cfg(feature = "std")]
pub type ObjectHandle<T, R> = Handle<ObjectPool<T, R, Shared>>;

#[cfg(feature = "std")]
impl<T, R: Recycle<T>> ObjectHandle<T, R> {
    /// Acquires an object for a lease that keeps the pool alive by itself. Never
    /// waits or falls back.
    ///
    /// # Errors
    ///
    /// The limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire_owned(&self) -> Result<OwnedObjectLease<T, R>, AcquireError> {
        // SAFETY: the pond lives while an item of its pool is leased.
        let slot = unsafe { self.slots.slot(self.pond, Patience::None) }?;
        Ok(OwnedObjectLease::of(slot))
    }

    /// As [`ObjectHandle::try_acquire_owned`], doing what the pool's policy says
    /// if none is free.
    ///
    /// # Errors
    ///
    /// The limit that was hit, once the policy is at its end.
    #[inline]
    #[track_caller]
    pub fn acquire_owned(&self) -> Result<OwnedObjectLease<T, R>, AcquireError> {
        // SAFETY: the pond lives while an item of its pool is leased.
        let slot = unsafe { self.slots.slot(self.pond, Patience::Policy) }?;
        Ok(OwnedObjectLease::of(slot))
    }

    /// Acquires an object, waiting in the task for a free one.
    ///
    /// # Errors
    ///
    /// As [`ObjectPool::acquire_async`].
    #[track_caller]
    pub fn acquire_owned_async(
        &self,
    ) -> impl Future<Output = Result<OwnedObjectLease<T, R>, AcquireError>> {
        let location = Location::caller();
        async move {
            let room = self.slots.policy.room();
            let entry = self.slots.engine.acquire_async(room).await?;
            // SAFETY: just acquired; the pond lives while an item is leased.
            let slot = unsafe { Slot::new(entry, self.pond) };
            Ok(OwnedObjectLease::of(self.slots.inspect(slot, location)))
        }
    }
}

/// The recycling of the pool that `keeper` keeps.
///
/// # Safety
///
/// The pool outlives what is done with the answer, because one of its slots is
/// out.
#[inline(always)]
unsafe fn recycle_of<'s, K, T, R, M>(keeper: NonNull<K>) -> &'s R
where
    T: 's,
    K: Keeper<Pool = ObjectPool<T, R, M>>,
    R: Recycle<T> + 's,
    M: Mode,
{
    // SAFETY: alive, by the caller.
    let pool = unsafe { K::pool(keeper) };
    // SAFETY: alive, by the caller for as long as the answer is used.
    unsafe { &(*pool).recycle }
}

/// An object on loan, borrowed from its pool. Dropping the lease recycles the
/// object.
///
/// ```
/// use millpond_fixed::{Clear, ObjectPool};
///
/// let pool = ObjectPool::<String, _>::new(1, Clear::keeping_all());
/// let mut text = pool.try_acquire()?;
/// text.push_str("a line");
/// drop(text);
/// let text = pool.try_acquire()?;
/// assert!(text.is_empty() && text.capacity() >= 6); // The same string, cleared.
/// # Ok::<(), millpond_fixed::AcquireError>(())
/// ```
///
/// # Invariants
///
/// 1. The place in `slot` holds an object, which is the lease's own.
#[must_use = "dropping a lease at once gives its object back"]
pub struct ObjectLease<'p, T, R: Recycle<T>, M: Mode = DefaultMode> {
    slot: Slot<ObjectPool<T, R, M>>,
    _object: PhantomData<(T, &'p ObjectPool<T, R, M>)>,
}

// SAFETY: the object goes where the lease goes, and is recycled there by hooks
// that may be used from any thread.
#[cfg(feature = "std")]
unsafe impl<T: Send, R: Recycle<T> + Send + Sync> Send for ObjectLease<'_, T, R, Shared> {}
// SAFETY: through `&ObjectLease` nothing but `&T` can be reached.
unsafe impl<T: Sync, R: Recycle<T>, M: Mode> Sync for ObjectLease<'_, T, R, M> {}

/// An object on loan from a pool that the lease keeps alive. Otherwise as
/// [`ObjectLease`].
///
/// # Invariants
///
/// 1. The place in `slot` holds an object, which is the lease's own.
#[cfg(feature = "std")]
#[must_use = "dropping a lease at once gives its object back"]
pub struct OwnedObjectLease<T, R: Recycle<T>> {
    slot: Slot<Pond<ObjectPool<T, R>>>,
    _object: PhantomData<T>,
}

// SAFETY: as for a borrowed lease; the pool may be freed on any thread.
#[cfg(feature = "std")]
unsafe impl<T: Send, R: Recycle<T> + Send + Sync> Send for OwnedObjectLease<T, R> {}
// SAFETY: through `&OwnedObjectLease` nothing but `&T` can be reached.
#[cfg(feature = "std")]
unsafe impl<T: Sync, R: Recycle<T>> Sync for OwnedObjectLease<T, R> {}

/// What both kinds of lease are: a place with an object in it.
macro_rules! object_lease {
    ([$($generics:tt)*] $lease:ty, $keeper:ty, $mode:ty) => {
        impl<$($generics)*> $lease {
            #[inline(always)]
            fn of(slot: Slot<$keeper>) -> Self {
                // SAFETY: the slot is out until this returns.
                let recycle = unsafe { recycle_of(slot.keeper()) };
                // SAFETY: the slot is ours, and its place was cleared by 1 of
                // the pool.
                unsafe { make_ready(slot.item, recycle) };
                Self {
                    slot,
                    _object: PhantomData,
                }
            }

            /// Takes the object out of the pool for good. The next user of its
            /// slot gets a new one.
            pub fn into_inner(self) -> T {
                let lease = ManuallyDrop::new(self);
                // SAFETY: the lease is not dropped, so this is the slot's one user.
                let slot = unsafe { core::ptr::read(&raw const lease.slot) };
                // SAFETY: ours.
                let object = unsafe { Place::take(slot.item) };
                object.expect("by 1 a lease has an object")
            }

            /// A lease of the object as something that it is, or has: mostly a
            /// `dyn Trait`.
            pub fn coerce<'u, U: ?Sized>(
                mut self,
                coerce: impl for<'v> FnOnce(&'v mut T) -> &'v mut U,
            ) -> DynLease<'u, U, $mode>
            where
                Self: 'u,
                T: Send,
                R: Send + Sync,
            {
                // The lease is whole until `coerce` has returned.
                let object = NonNull::from(coerce(&mut self));
                DynLease::new(self, object)
            }
        }

        impl<$($generics)*> Drop for $lease {
            #[inline(always)]
            fn drop(&mut self) {
                // The slot goes home when `self.slot` is dropped, right after
                // this, and also if a hook panics.
                let place = self.slot.item;
                let Some(keeper) = self.slot.plain_keeper() else {
                    // SAFETY: the slot is out until then.
                    let recycle = unsafe { recycle_of(self.slot.keeper()) };
                    let is_fallback = self.slot.is_fallback();
                    // SAFETY: by 1 there is an object, and the lease that lent it
                    // is at its end.
                    return unsafe { clean_noted_slow(place, recycle, is_fallback) };
                };
                // SAFETY: the slot is out until then.
                let recycle = unsafe { recycle_of(keeper) };
                // SAFETY: by 1 there is an object, and the lease that lent it is
                // at its end.
                unsafe { make_clean(place, recycle) };
            }
        }

        forward_value!([$($generics)*] $lease);

        impl<$($generics)*> Deref for $lease {
            type Target = T;

            #[inline(always)]
            fn deref(&self) -> &T {
                // SAFETY: by 1 there is an object; ours, borrowed as long as the lease is.
                unsafe { Place::object(self.slot.item) }
            }
        }

        impl<$($generics)*> DerefMut for $lease {
            #[inline(always)]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: by 1 there is an object; ours, borrowed mutably as the lease is.
                unsafe { Place::object_mut(self.slot.item) }
            }
        }

        impl<$($generics)*> AsMut<T> for $lease {
            fn as_mut(&mut self) -> &mut T {
                self
            }
        }
    };
}

object_lease!(['p, T, R: Recycle<T>, M: Mode] ObjectLease<'p, T, R, M>, ObjectPool<T, R, M>, M);
#[cfg(feature = "std")]
object_lease!([T, R: Recycle<T>] OwnedObjectLease<T, R>, Pond<ObjectPool<T, R>>, Shared);
