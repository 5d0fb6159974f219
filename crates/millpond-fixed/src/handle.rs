//! Handles: a pool on the heap that lives as long as somebody needs it.

use crate::pool::FixedPool;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::ptr::NonNull;
use millpond_core::engine::{Released, Shared};
use millpond_core::entry::Entry;
use millpond_core::error::Refused;
use millpond_core::poison;
use millpond_core::shared::SharedEngine;
use std::boxed::Box;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// What handles and owned leases point to.
struct Pond<T> {
    handles: AtomicUsize,
    pool: FixedPool<T, Shared>,
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
pub struct PoolHandle<T> {
    pond: NonNull<Pond<T>>,
    _pond: PhantomData<Pond<T>>,
}

// SAFETY: a handle is a shared reference to a pool, which is Sync and Send; the
// last one may drop it on any thread.
unsafe impl<T: Send> Send for PoolHandle<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for PoolHandle<T> {}

impl<T> FixedPool<T, Shared> {
    /// Moves the pool to the heap, where its leases can outlive the borrow of
    /// it.
    #[must_use]
    pub fn into_handle(self) -> PoolHandle<T> {
        let pond = Box::new(Pond {
            handles: AtomicUsize::new(1),
            pool: self,
        });
        PoolHandle {
            pond: NonNull::from(Box::leak(pond)),
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
    pub fn try_acquire_owned(&self, value: T) -> Result<OwnedLease<T>, Refused<T>> {
        let entry = match self.engine.try_pop() {
            Some(entry) => entry,
            None => match self.engine.acquire_slow(0) {
                Ok(entry) => entry,
                Err(error) => return Err(Refused::new(error, value)),
            },
        };
        let slot = OwnedSlot {
            item: entry.as_ptr().cast::<T>(),
            pond: self.pond,
        };
        // SAFETY: just acquired, so the slot is ours.
        unsafe { poison::on_lease(slot.item.cast(), size_of::<T>()) };
        // SAFETY: as above; it has the layout of `T`.
        unsafe { slot.item.write(value) };
        Ok(OwnedLease {
            slot,
            _value: PhantomData,
        })
    }
}

impl<T> Deref for PoolHandle<T> {
    type Target = FixedPool<T, Shared>;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        // SAFETY: alive by 1.
        unsafe { &(*self.pond.as_ptr()).pool }
    }
}

impl<T> Clone for PoolHandle<T> {
    fn clone(&self) -> Self {
        // SAFETY: alive by 1.
        let handles = unsafe { &(*self.pond.as_ptr()).handles };
        let before = handles.fetch_add(1, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "a pool has too many handles");
        Self {
            pond: self.pond,
            _pond: PhantomData,
        }
    }
}

impl<T> Drop for PoolHandle<T> {
    fn drop(&mut self) {
        // SAFETY: alive by 1.
        let pond = unsafe { self.pond.as_ref() };
        if pond.handles.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // What other handles did happens before the pool goes.
        fence(Ordering::Acquire);
        let engine = NonNull::from(&pond.pool.engine);
        // SAFETY: alive by 1, and freed by whoever is told `Last`.
        if unsafe { SharedEngine::orphan(engine) } == Released::Last {
            // SAFETY: no handle, no lease, and so nobody else.
            drop(unsafe { Box::from_raw(self.pond.as_ptr()) });
        }
    }
}

impl<T> fmt::Debug for PoolHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolHandle").field(&**self).finish()
    }
}

/// A slot whose pool lives at least until it is released.
///
/// # Invariants
///
/// 1. `item` is a slot of the pool at `pond`, used by whoever holds this; so
///    the pool is alive.
struct OwnedSlot<T> {
    item: NonNull<T>,
    pond: NonNull<Pond<T>>,
}

impl<T> Drop for OwnedSlot<T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: ours by 1, and the value is gone.
        unsafe { poison::on_release(self.item.cast(), size_of::<T>()) };
        let entry = Entry::from_ptr(self.item.cast());
        // SAFETY: alive by 1.
        let engine = NonNull::from(unsafe { &(*self.pond.as_ptr()).pool.engine });
        // SAFETY: alive until the item is home; ours to give by 1.
        let released = unsafe { SharedEngine::release_at(engine, entry) };
        if released == Released::Last {
            // SAFETY: `Last` is told to one caller, after everybody else is gone.
            unsafe { free(self.pond) };
        }
    }
}

/// # Safety
///
/// Nobody else uses the pool.
#[cold]
unsafe fn free<T>(pond: NonNull<Pond<T>>) {
    // SAFETY: it came from a box; by the caller nobody else has it.
    drop(unsafe { Box::from_raw(pond.as_ptr()) });
}

/// A value in a slot of a pool that it keeps alive. Otherwise as
/// [`Lease`](crate::Lease).
///
/// # Invariants
///
/// 1. `slot` holds a value, which is the lease's own.
#[must_use = "dropping a lease at once gives its slot back"]
pub struct OwnedLease<T> {
    slot: OwnedSlot<T>,
    _value: PhantomData<T>,
}

// SAFETY: the value goes where the lease goes; the slot may be released, and the
// pool freed, on any thread. Pools hold no values.
unsafe impl<T: Send> Send for OwnedLease<T> {}
// SAFETY: through `&OwnedLease` nothing but `&T` can be reached.
unsafe impl<T: Sync> Sync for OwnedLease<T> {}

impl<T> OwnedLease<T> {
    /// Moves the value out and gives the slot back.
    pub fn into_inner(self) -> T {
        let lease = ManuallyDrop::new(self);
        // SAFETY: the lease is not dropped, so this is the slot's one user.
        let slot = unsafe { core::ptr::read(&raw const lease.slot) };
        // SAFETY: by 1 there is a value, and the lease that owned it is gone.
        unsafe { slot.item.read() }
    }

    /// A lease whose value will not move again.
    pub fn into_pin(self) -> Pin<Self> {
        // SAFETY: slots do not move and are used again only after the value was
        // dropped; see `Lease::into_pin`.
        unsafe { Pin::new_unchecked(self) }
    }
}

impl<T> Drop for OwnedLease<T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: by 1. If it panics, `self.slot` is dropped all the same.
        unsafe { self.slot.item.drop_in_place() };
    }
}

impl<T> Deref for OwnedLease<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: by 1.
        unsafe { self.slot.item.as_ref() }
    }
}

impl<T> DerefMut for OwnedLease<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by 1, and borrowed mutably.
        unsafe { self.slot.item.as_mut() }
    }
}
