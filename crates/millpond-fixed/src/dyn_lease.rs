//! Leases whose type is forgotten: what they lend is seen as a `dyn Trait`.

use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use millpond_core::engine::Mode;

#[cfg(feature = "std")]
use millpond_core::engine::Shared;

/// Room for a lease: every lease of this crate is two words.
type Room = [MaybeUninit<*mut ()>; 2];

/// A lease seen as a `U`, made by [`Lease::coerce`](crate::Lease::coerce) and
/// its like. Dropping it ends the lease that it was made of.
///
/// `Send` if `U` is, in the shared mode, for it is made of values that are.
///
/// # Invariants
///
/// 1. `lease` holds a lease, of the type that `end` ends.
/// 2. `value` is what that lease lends, or a part of it, and nobody else reaches
///    it while this exists.
#[must_use = "dropping a lease at once gives its slot back"]
pub struct DynLease<'p, U: ?Sized, M: Mode = crate::pool::DefaultMode> {
    value: NonNull<U>,
    lease: Room,
    end: unsafe fn(&mut Room),
    _pool: PhantomData<&'p ()>,
    _mode: PhantomData<fn() -> M>,
}

// SAFETY: `coerce` asks for values that may be sent, and in the shared mode a
// slot may be released on any thread.
#[cfg(feature = "std")]
unsafe impl<U: ?Sized + Send> Send for DynLease<'_, U, Shared> {}
// SAFETY: through `&DynLease` nothing but `&U` can be reached.
unsafe impl<U: ?Sized + Sync, M: Mode> Sync for DynLease<'_, U, M> {}

impl<U: ?Sized, M: Mode> DynLease<'_, U, M> {
    /// Forgets the type of `lease`, through which alone `value` is reached.
    pub(crate) fn new<L>(lease: L, value: NonNull<U>) -> Self {
        const {
            assert!(size_of::<L>() == size_of::<Room>() && align_of::<L>() == align_of::<Room>());
        }

        /// # Safety
        ///
        /// The room holds an `L`, which is not used afterwards.
        unsafe fn end<L>(room: &mut Room) {
            // SAFETY: by the caller.
            unsafe { core::ptr::from_mut(room).cast::<L>().drop_in_place() };
        }

        let lease = ManuallyDrop::new(lease);
        let mut room: Room = [MaybeUninit::uninit(); 2];
        // SAFETY: as large and as aligned as the room, and not dropped here.
        unsafe { (&raw mut room).cast::<ManuallyDrop<L>>().write(lease) };
        Self {
            value,
            lease: room,
            end: end::<L>,
            _pool: PhantomData,
            _mode: PhantomData,
        }
    }
}

impl<U: ?Sized, M: Mode> Drop for DynLease<'_, U, M> {
    fn drop(&mut self) {
        // SAFETY: by 1; the room is not used afterwards.
        unsafe { (self.end)(&mut self.lease) };
    }
}

impl<U: ?Sized, M: Mode> Deref for DynLease<'_, U, M> {
    type Target = U;

    #[inline(always)]
    fn deref(&self) -> &U {
        // SAFETY: by 2, borrowed as long as this is.
        unsafe { self.value.as_ref() }
    }
}

impl<U: ?Sized, M: Mode> DerefMut for DynLease<'_, U, M> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: by 2, borrowed mutably as this is.
        unsafe { self.value.as_mut() }
    }
}

impl<U: ?Sized + fmt::Debug, M: Mode> fmt::Debug for DynLease<'_, U, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        U::fmt(self, f)
    }
}

impl<U: ?Sized + fmt::Display, M: Mode> fmt::Display for DynLease<'_, U, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        U::fmt(self, f)
    }
}

// As the leases that it is made of; what a panic may leave half changed is the
// value.
impl<U: ?Sized, M: Mode> Unpin for DynLease<'_, U, M> {}
impl<U: ?Sized + core::panic::UnwindSafe, M: Mode> core::panic::UnwindSafe for DynLease<'_, U, M> {}
impl<U: ?Sized + core::panic::RefUnwindSafe, M: Mode> core::panic::RefUnwindSafe
    for DynLease<'_, U, M>
{
}
