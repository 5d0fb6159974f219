//! Shared leases: one value, many holders, the last of whom ends the lease.
//!
//! ```text
//!   slot    ┌─────────┬───────┐
//!           │ holders │ value │ ◀── SharedLease, SharedLease, …
//!           └─────────┴───────┘
//! ```

use crate::forward::{forward_shown, forward_value};
use crate::handle::{Pond, PoolHandle};
use crate::pool::{DefaultMode, FixedPool};
use crate::slot::{Patience, Slot};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use millpond_core::engine::{Mode, Shared};
use millpond_core::error::Refused;
use millpond_core::sharing::Sharing;

/// What the slots of a pool of shared values are laid out for: a value, and a
/// count of those who hold it.
#[derive(Debug)]
pub struct Counted<T> {
    sharing: Sharing,
    value: T,
}

impl<T> Counted<T> {
    fn new(value: T) -> Self {
        let sharing = Sharing::new();
        Self { sharing, value }
    }
}

impl<T, M: Mode> FixedPool<Counted<T>, M> {
    /// Takes a value in, to be held by as many as there are clones of the lease.
    /// Never waits or falls back.
    ///
    /// ```
    /// use millpond_fixed::{Counted, FixedPool};
    ///
    /// let pool = FixedPool::<Counted<String>>::new(8);
    /// let one = pool.try_acquire_shared(String::from("both"))?;
    /// let two = one.clone();
    /// drop(one);
    /// assert_eq!(*two, "both");
    /// assert_eq!(pool.stats().in_use, 1);
    /// # Ok::<(), millpond_fixed::Refused<String>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire_shared(&self, value: T) -> Result<SharedLease<'_, T, M>, Refused<T>> {
        // SAFETY: the lease borrows the pool.
        match unsafe { self.slots.slot(NonNull::from(self), Patience::None) } {
            Ok(slot) => Ok(SharedLease::of(slot, value)),
            Err(error) => Err(Refused::new(error, value)),
        }
    }

    /// As [`FixedPool::try_acquire_shared`], doing what the pool's policy says if
    /// no slot is free.
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit, once the policy is at
    /// its end.
    #[inline]
    #[track_caller]
    pub fn acquire_shared(&self, value: T) -> Result<SharedLease<'_, T, M>, Refused<T>> {
        // SAFETY: the lease borrows the pool.
        match unsafe { self.slots.slot(NonNull::from(self), Patience::Policy) } {
            Ok(slot) => Ok(SharedLease::of(slot, value)),
            Err(error) => Err(Refused::new(error, value)),
        }
    }
}

impl<T> PoolHandle<Counted<T>> {
    /// As [`FixedPool::try_acquire_shared`], for leases that keep the pool alive
    /// by themselves.
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire_shared_owned(&self, value: T) -> Result<SharedOwnedLease<T>, Refused<T>> {
        // SAFETY: the pond lives while an item of its pool is leased.
        match unsafe { self.slots.slot(self.pond, Patience::None) } {
            Ok(slot) => Ok(SharedOwnedLease::of(slot, value)),
            Err(error) => Err(Refused::new(error, value)),
        }
    }
}

/// One of the holders of a value in a slot of a pool, borrowed from it. Clones
/// hold the same value; the last one to go drops it and gives the slot back.
///
/// # Cost
///
/// A clone and its drop are an atomic read-modify-write each, and none in a local
/// pool.
///
/// # Invariants
///
/// 1. `slot` holds a value, which lives while anybody is counted, and this lease
///    is. Nobody has it mutably, but a holder who is alone.
#[must_use = "dropping the last holder gives the slot back"]
pub struct SharedLease<'p, T, M: Mode = DefaultMode> {
    slot: ManuallyDrop<Slot<FixedPool<Counted<T>, M>>>,
    _value: PhantomData<(T, &'p FixedPool<Counted<T>, M>)>,
}

/// One of the holders of a value in a slot of a pool that its leases keep alive.
/// Otherwise as [`SharedLease`].
///
/// # Invariants
///
/// 1. As of [`SharedLease`].
#[must_use = "dropping the last holder gives the slot back"]
pub struct SharedOwnedLease<T> {
    slot: ManuallyDrop<Slot<Pond<FixedPool<Counted<T>>>>>,
    _value: PhantomData<T>,
}

// SAFETY: holders on several threads share `&T`, and the last one, on any thread,
// drops the `T`: both bounds, as for `Arc`.
unsafe impl<T: Send + Sync> Send for SharedLease<'_, T, Shared> {}
// SAFETY: as above: a clone can be made through `&SharedLease`.
unsafe impl<T: Send + Sync> Sync for SharedLease<'_, T, Shared> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for SharedOwnedLease<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for SharedOwnedLease<T> {}

macro_rules! shared_lease {
    ([$($generics:tt)*] $lease:ty, $keeper:ty, $mode:ty) => {
        impl<$($generics)*> $lease {
            #[inline(always)]
            fn of(slot: Slot<$keeper>, value: T) -> Self {
                // SAFETY: a slot that was just acquired holds no value.
                unsafe { slot.fill(Counted::new(value)) };
                Self {
                    slot: ManuallyDrop::new(slot),
                    _value: PhantomData,
                }
            }

            #[inline(always)]
            fn counted(&self) -> &Counted<T> {
                // SAFETY: by 1 there is a value while this holder is counted.
                unsafe { self.slot.item.as_ref() }
            }

            /// Holders of the value at some instant.
            pub fn holders(this: &Self) -> u64 {
                this.counted().sharing.holders()
            }

            /// The value, to be changed, if nobody else holds it.
            pub fn get_mut(this: &mut Self) -> Option<&mut T> {
                if !this.counted().sharing.is_alone() {
                    return None;
                }
                // SAFETY: alone, and borrowed mutably, so nobody becomes another
                // holder meanwhile.
                let counted = unsafe { this.slot.item.as_mut() };
                Some(&mut counted.value)
            }

            /// Moves the value out if nobody else holds it.
            ///
            /// # Errors
            ///
            /// The lease, if somebody does.
            pub fn try_into_inner(this: Self) -> Result<T, Self> {
                let lease = ManuallyDrop::new(this);
                if !lease.counted().sharing.is_alone() {
                    return Err(ManuallyDrop::into_inner(lease));
                }
                // SAFETY: alone, and this holder is not dropped.
                let slot = unsafe { core::ptr::read(&raw const lease.slot) };
                let slot = ManuallyDrop::into_inner(slot);
                // SAFETY: by 1 there is a value, of which nobody else is left.
                let counted = unsafe { slot.item.read() };
                Ok(counted.value)
            }
        }

        impl<$($generics)*> Clone for $lease {
            #[inline]
            fn clone(&self) -> Self {
                self.counted().sharing.retain::<$mode>();
                Self {
                    // SAFETY: a second one for a second holder, who is counted;
                    // the last of them drops it.
                    slot: unsafe { core::ptr::read(&raw const self.slot) },
                    _value: PhantomData,
                }
            }
        }

        impl<$($generics)*> Drop for $lease {
            #[inline]
            fn drop(&mut self) {
                if !self.counted().sharing.release::<$mode>() {
                    return;
                }
                // SAFETY: the last holder; not used afterwards. Dropped after
                // the value, and also if its destructor panics.
                let slot = unsafe { ManuallyDrop::take(&mut self.slot) };
                // SAFETY: by 1 there is a value, of which nobody else is left.
                unsafe { slot.item.drop_in_place() };
            }
        }

        forward_value!([$($generics)*] $lease);

        impl<$($generics)*> Deref for $lease {
            type Target = T;

            #[inline(always)]
            fn deref(&self) -> &T {
                &self.counted().value
            }
        }

        // Holders point to their value, so moving them does not move it.
        impl<$($generics)*> Unpin for $lease {}
        impl<$($generics)*> core::panic::UnwindSafe for $lease where
            T: core::panic::RefUnwindSafe
        {
        }
        impl<$($generics)*> core::panic::RefUnwindSafe for $lease where
            T: core::panic::RefUnwindSafe
        {
        }
    };
}

shared_lease!(['p, T, M: Mode] SharedLease<'p, T, M>, FixedPool<Counted<T>, M>, M);
shared_lease!([T] SharedOwnedLease<T>, Pond<FixedPool<Counted<T>>>, Shared);
