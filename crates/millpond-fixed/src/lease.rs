//! Leases: values in slots, and the way back.

use crate::dyn_lease::DynLease;
use crate::forward::{forward_shown, forward_value};
#[cfg(feature = "std")]
use crate::handle::Pond;
use crate::pool::FixedPool;
use crate::slot::Slot;
use core::borrow::BorrowMut;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::ptr::NonNull;
use millpond_core::engine::Mode;

/// A value in a slot of a pool, borrowed from it. Dropping the lease drops the
/// value and gives the slot back, from whatever thread.
///
/// Two words. A lease is `Send` if `T` is, `Sync` if `T` is. The lease of a
/// static pool is `'static`; for an owned lease of a pool that is not, see
/// [`PoolHandle`](crate::PoolHandle).
///
/// ```
/// use millpond_fixed::FixedPool;
///
/// let pool = FixedPool::<String>::new(1);
/// let mut lease = pool.try_acquire(String::from("mill"))?;
/// lease.push_str("pond"); // A lease is its value,
/// std::thread::scope(|scope| {
///     // goes where it is sent, and gives its slot back where it ends.
///     scope.spawn(move || assert_eq!(*lease, "millpond"));
/// });
/// assert_eq!(pool.stats().in_use, 0);
/// # Ok::<(), millpond_fixed::Refused<String>>(())
/// ```
///
/// # Invariants
///
/// 1. `slot` holds a value, which is the lease's own.
#[must_use = "dropping a lease at once gives its slot back"]
pub struct Lease<'p, T, M: Mode = crate::pool::DefaultMode> {
    slot: Slot<FixedPool<T, M>>,
    _value: PhantomData<(T, &'p FixedPool<T, M>)>,
}

// SAFETY: the value is the lease's own, and goes where the lease goes. The slot
// may be released on any thread in the shared mode.
#[cfg(feature = "std")]
unsafe impl<T: Send> Send for Lease<'_, T, millpond_core::engine::Shared> {}
// SAFETY: through `&Lease` nothing but `&T` can be reached. The pool behind it
// is not reachable.
unsafe impl<T: Sync, M: Mode> Sync for Lease<'_, T, M> {}

impl<T, M: Mode> Lease<'_, T, M> {
    /// A lease of the value that `slot` holds.
    ///
    /// # Safety
    ///
    /// There is one, and nobody else has it.
    #[inline(always)]
    pub(crate) unsafe fn of_filled(slot: Slot<FixedPool<T, M>>) -> Self {
        Self {
            slot,
            _value: PhantomData,
        }
    }
}

/// What both kinds of lease are: a slot with a value in it. Traits see through
/// to the value.
macro_rules! lease {
    ([$($generics:tt)*] $lease:ty, $keeper:ty, $mode:ty) => {
        impl<$($generics)*> $lease {
            /// A lease of `value` in `slot`, which holds none.
            #[inline(always)]
            pub(crate) fn of(slot: Slot<$keeper>, value: T) -> Self {
                // SAFETY: a slot that was just acquired holds no value.
                unsafe { slot.fill(value) };
                Self {
                    slot,
                    _value: PhantomData,
                }
            }

            /// Moves the value out and gives the slot back.
            ///
            /// ```
            /// let pool = millpond_fixed::FixedPool::new(1);
            /// let lease = pool.try_acquire(String::from("kept"))?;
            /// assert_eq!(lease.into_inner(), "kept");
            /// # Ok::<(), millpond_fixed::Refused<String>>(())
            /// ```
            pub fn into_inner(self) -> T {
                let lease = ManuallyDrop::new(self);
                // SAFETY: the lease is not dropped, so this is the slot's one user.
                let slot = unsafe { core::ptr::read(&raw const lease.slot) };
                // SAFETY: by 1 there is a value, and the lease that owned it is gone.
                unsafe { slot.item.read() }
            }

            /// A lease of the value as something that it is, or has: mostly a
            /// `dyn Trait`. Five words instead of two; the value stays where it
            /// is.
            ///
            /// ```
            /// use std::fmt::Display;
            /// let pool = millpond_fixed::FixedPool::new(1);
            /// let lease = pool.try_acquire(7)?.coerce(|value| value as &mut dyn Display);
            /// assert_eq!(lease.to_string(), "7");
            /// # Ok::<(), millpond_fixed::Refused<i32>>(())
            /// ```
            pub fn coerce<'u, U: ?Sized>(
                mut self,
                coerce: impl for<'v> FnOnce(&'v mut T) -> &'v mut U,
            ) -> DynLease<'u, U, $mode>
            where
                Self: 'u,
                T: Send,
            {
                // The lease is whole until `coerce` has returned.
                let value = NonNull::from(coerce(&mut self));
                DynLease::new(self, value)
            }

            /// A lease whose value will not move again.
            pub fn into_pin(self) -> Pin<Self> {
                // SAFETY: a slot does not move and is used again only after the
                // value was dropped; if the lease is forgotten instead, the
                // slot never comes home, and a pool that misses one leaves its
                // slabs alone. Moving the value out takes the lease, which a
                // pin of an `!Unpin` value does not give.
                unsafe { Pin::new_unchecked(self) }
            }
        }

        // What a panic may leave half changed is the value, not the way back.
        impl<$($generics)*> core::panic::UnwindSafe for $lease where
            T: core::panic::UnwindSafe
        {
        }
        impl<$($generics)*> core::panic::RefUnwindSafe for $lease where
            T: core::panic::RefUnwindSafe
        {
        }

        // A lease points to its value, so moving the lease does not move it.
        impl<$($generics)*> Unpin for $lease {}

        impl<$($generics)*> Drop for $lease {
            #[inline(always)]
            fn drop(&mut self) {
                // The slot goes back when `self.slot` is dropped, right after
                // this, and also if the destructor panics.
                // SAFETY: by 1 there is a value, and it is the lease's own.
                unsafe { self.slot.item.drop_in_place() };
            }
        }

        forward_value!([$($generics)*] $lease);

        impl<$($generics)*> Deref for $lease {
            type Target = T;

            #[inline(always)]
            fn deref(&self) -> &T {
                // SAFETY: by 1 there is a value, borrowed as long as the lease is.
                unsafe { self.slot.item.as_ref() }
            }
        }

        impl<$($generics)*> DerefMut for $lease {
            #[inline(always)]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: by 1 there is a value, borrowed mutably as the lease is.
                unsafe { self.slot.item.as_mut() }
            }
        }

        impl<$($generics)*> AsMut<T> for $lease {
            fn as_mut(&mut self) -> &mut T {
                self
            }
        }

        impl<$($generics)*> BorrowMut<T> for $lease {
            fn borrow_mut(&mut self) -> &mut T {
                self
            }
        }
    };
}

/// A value in a slot of a pool that it keeps alive. Otherwise as [`Lease`].
///
/// ```
/// use millpond_fixed::{FixedPool, OwnedLease};
///
/// fn greeting() -> Result<OwnedLease<&'static str>, millpond_fixed::Refused<&'static str>> {
///     let pool = FixedPool::new(8).into_handle();
///     pool.try_acquire_owned("hello") // The handle goes, the pool stays.
/// }
///
/// assert_eq!(*greeting()?, "hello");
/// # Ok::<(), millpond_fixed::Refused<&str>>(())
/// ```
///
/// # Invariants
///
/// 1. `slot` holds a value, which is the lease's own.
#[cfg(feature = "std")]
#[must_use = "dropping a lease at once gives its slot back"]
pub struct OwnedLease<T> {
    slot: Slot<Pond<FixedPool<T>>>,
    _value: PhantomData<T>,
}

// SAFETY: the value goes where the lease goes; the slot may be released, and the
// pool freed, on any thread. Pools hold no values.
#[cfg(feature = "std")]
unsafe impl<T: Send> Send for OwnedLease<T> {}
// SAFETY: through `&OwnedLease` nothing but `&T` can be reached.
#[cfg(feature = "std")]
unsafe impl<T: Sync> Sync for OwnedLease<T> {}

lease!(['p, T, M: Mode] Lease<'p, T, M>, FixedPool<T, M>, M);
#[cfg(feature = "std")]
lease!([T] OwnedLease<T>, Pond<FixedPool<T>>, millpond_core::engine::Shared);
