//! Handles: a pool on the heap that lives as long as somebody needs it.

use crate::lease::OwnedLease;
use crate::pool::FixedPool;
use crate::slot::{Keeper, Patience, Pooled, Slot, Slots};
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::panic::Location;
use core::ptr::NonNull;
use millpond_core::diagnostics::Holder;
use millpond_core::engine::{Released, Shared};
use millpond_core::error::Refused;
use millpond_core::member::{Joined, Member};
use millpond_core::observe::{Observation, Observe, RegionFigures, Sampled};
use millpond_core::shared::SharedEngine;
use millpond_core::sharing::Sharing;
use millpond_core::trim::Level;
use std::boxed::Box;
use std::vec::Vec;

/// What handles and owned leases point to.
pub(crate) struct Pond<P> {
    /// Handles, and fallback items with owned leases.
    handles: Sharing,
    /// Through which the pool's budget asks it to trim.
    member: Option<Member>,
    pool: P,
}

// SAFETY: a pond is freed by the last handle or lease, and who joins is a handle.
unsafe impl<P: Pooled<Mode = Shared>> Joined for Pond<P> {
    unsafe fn join(pond: NonNull<Self>) -> bool {
        // SAFETY: by the caller.
        unsafe { &(*pond.as_ptr()).handles }.join()
    }

    fn give_back(&self) -> usize {
        self.slots().engine.trim(Level::Moderate).freed_bytes
    }

    unsafe fn leave(pond: NonNull<Self>) {
        // SAFETY: by the caller.
        unsafe { Keeper::let_go(pond) };
    }
}

impl<P: Pooled<Mode = Shared>> Pond<P> {
    fn slots(&self) -> &Slots<P::Source, Shared> {
        // SAFETY: the pool is alive.
        let slots = unsafe { P::slots(&raw const self.pool) };
        // SAFETY: a place inside of it.
        unsafe { &*slots }
    }
}

/// A shared pool on the heap: clones are the same pool, and its leases need not
/// borrow it.
///
/// When the last handle goes, the pool is closed: what is home is freed with it
/// if every lease has ended, and otherwise by the last lease that ends. No
/// reference is counted per lease.
///
/// ```
/// use millpond_fixed::FixedPool;
///
/// let pool = FixedPool::new(8).into_handle();
/// let lease = pool.try_acquire_owned(String::from("outlives the handle"))?;
/// drop(pool);
/// std::thread::spawn(move || assert!(lease.ends_with("handle")))
///     .join()
///     .unwrap();
/// # Ok::<(), millpond_fixed::Refused<String>>(())
/// ```
///
/// # Invariants
///
/// 1. `pond` came from a box, and is alive while `handles` is not zero or an
///    item is leased.
pub struct Handle<P: Pooled<Mode = Shared>> {
    pub(crate) pond: NonNull<Pond<P>>,
    _pond: PhantomData<Pond<P>>,
}

/// A handle to a pool of values; see [`Handle`].
pub type PoolHandle<T> = Handle<FixedPool<T>>;

// SAFETY: a handle is a shared reference to a pool, which is Sync and Send; the
// last one may drop it on any thread.
unsafe impl<P: Pooled<Mode = Shared> + Send + Sync> Send for Handle<P> {}
// SAFETY: as above.
unsafe impl<P: Pooled<Mode = Shared> + Send + Sync> Sync for Handle<P> {}

// As the pool itself.
impl<P: Pooled<Mode = Shared>> core::panic::UnwindSafe for Handle<P> {}
impl<P: Pooled<Mode = Shared>> core::panic::RefUnwindSafe for Handle<P> {}

impl<T> FixedPool<T, Shared> {
    /// Moves the pool to the heap, where its leases can outlive the borrow of
    /// it, and where its budget, if it has one, can ask it to trim when somebody
    /// else's charge would be refused.
    #[must_use]
    pub fn into_handle(self) -> PoolHandle<T> {
        Handle::of(self)
    }
}

impl<P: Pooled<Mode = Shared>> Handle<P> {
    pub(crate) fn of(pool: P) -> Self {
        let mut pond = Box::new(Pond {
            handles: Sharing::new(),
            member: None,
            pool,
        });
        pond.member = pond.slots().engine.budget().map(Member::of);
        let pond = NonNull::from(Box::leak(pond));
        // SAFETY: just made.
        if let Some(member) = unsafe { &pond.as_ref().member } {
            // SAFETY: a shared pool, on the heap, forgotten before it goes.
            unsafe { member.know(pond) };
        }
        Self {
            pond,
            _pond: PhantomData,
        }
    }
}

impl<T> PoolHandle<T> {
    /// Takes a value in, for a lease that keeps the pool alive by itself.
    ///
    /// Costs what [`FixedPool::try_acquire`] costs.
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire_owned(&self, value: T) -> Result<OwnedLease<T>, Refused<T>> {
        // SAFETY: the pond lives while an item of its pool is leased.
        match unsafe { self.slots.slot(self.pond, Patience::None) } {
            Ok(slot) => Ok(OwnedLease::of(slot, value)),
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    /// As [`PoolHandle::try_acquire_owned`], doing what the pool's policy says
    /// if no slot is free.
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit, once the policy is at
    /// its end.
    #[inline]
    #[track_caller]
    pub fn acquire_owned(&self, value: T) -> Result<OwnedLease<T>, Refused<T>> {
        // SAFETY: the pond lives while an item of its pool is leased.
        match unsafe { self.slots.slot(self.pond, Patience::Policy) } {
            Ok(slot) => Ok(OwnedLease::of(slot, value)),
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    /// Waits in the task for a free slot; see [`FixedPool::acquire_async`].
    ///
    /// # Errors
    ///
    /// As [`FixedPool::acquire_async`].
    #[track_caller]
    pub fn acquire_owned_async(
        &self,
        value: T,
    ) -> impl Future<Output = Result<OwnedLease<T>, Refused<T>>> {
        let location = Location::caller();
        async move {
            match self
                .slots
                .engine
                .acquire_async(self.slots.policy.room())
                .await
            {
                Ok(entry) => {
                    // SAFETY: just acquired; the pond lives while an item is leased.
                    let slot = unsafe { Slot::new(entry, self.pond) };
                    Ok(OwnedLease::of(self.slots.inspect(slot, location), value))
                }
                Err(error) => Err(Refused::new(error, value)),
            }
        }
    }
}

impl<P: Pooled<Mode = Shared> + Observe> Observe for Handle<P> {
    fn name(&self) -> &str {
        Observe::name(&**self)
    }

    fn observe(&self) -> Observation {
        Observe::observe(&**self)
    }

    fn kind(&self) -> &'static str {
        Observe::kind(&**self)
    }

    fn sampled(&self) -> Sampled {
        Observe::sampled(&**self)
    }

    fn holders(&self) -> Vec<Holder> {
        Observe::holders(&**self)
    }

    fn regions(&self) -> Vec<RegionFigures> {
        Observe::regions(&**self)
    }
}

impl<P: Pooled<Mode = Shared>> Deref for Handle<P> {
    type Target = P;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        // SAFETY: alive by 1.
        unsafe { &(*self.pond.as_ptr()).pool }
    }
}

impl<P: Pooled<Mode = Shared>> Clone for Handle<P> {
    fn clone(&self) -> Self {
        // SAFETY: alive by 1.
        unsafe { Pond::retain(self.pond) };
        Self {
            pond: self.pond,
            _pond: PhantomData,
        }
    }
}

impl<P: Pooled<Mode = Shared>> Drop for Handle<P> {
    fn drop(&mut self) {
        // SAFETY: counted when this handle was made.
        unsafe { Pond::let_go(self.pond) };
    }
}

impl<P: Pooled<Mode = Shared> + fmt::Debug> fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&**self).finish()
    }
}

// SAFETY: it is the pool inside.
unsafe impl<P: Pooled<Mode = Shared>> Keeper for Pond<P> {
    type Pool = P;

    #[inline(always)]
    unsafe fn pool(keeper: NonNull<Self>) -> *const P {
        // SAFETY: alive by the caller.
        unsafe { &raw const (*keeper.as_ptr()).pool }
    }

    #[cold]
    unsafe fn free_slow(keeper: NonNull<Self>) {
        // SAFETY: it came from a box; by the caller nobody else has it.
        drop(unsafe { Box::from_raw(keeper.as_ptr()) });
    }

    unsafe fn retain(keeper: NonNull<Self>) {
        // SAFETY: alive by the caller.
        unsafe { &(*keeper.as_ptr()).handles }.retain::<Shared>();
    }

    unsafe fn let_go(keeper: NonNull<Self>) {
        // SAFETY: alive by the caller.
        let pond = unsafe { &*keeper.as_ptr() };
        if !pond.handles.release::<Shared>() {
            return;
        }
        if let Some(member) = &pond.member {
            member.forget();
        }
        // SAFETY: alive; no handle is left to call it.
        if unsafe { SharedEngine::orphan(&raw const pond.slots().engine) } == Released::Last {
            // SAFETY: no handle and no lease is left, and so nobody else.
            unsafe { Self::free_slow(keeper) };
        }
    }
}
