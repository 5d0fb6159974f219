//! Slots without a value: construction in place, and construction that fails.

use crate::lease::Lease;
use crate::pool::{DefaultMode, FixedPool};
use crate::slot::{Patience, Slot};
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use millpond_core::engine::Mode;
use millpond_core::error::AcquireError;

/// A slot that is leased and holds no value yet. Fill it, or drop it and the slot
/// goes back.
///
/// ```
/// use millpond_fixed::FixedPool;
///
/// let pool = FixedPool::<[u8; 4096]>::new(8);
/// let mut vacant = pool.try_reserve()?;
/// vacant.as_uninit().write([7; 4096]);
/// // SAFETY: written above.
/// let page = unsafe { vacant.assume_init() };
/// assert_eq!(page[4095], 7);
///
/// let parsed = pool.try_reserve()?.try_fill_with(|| "x".parse::<u8>().map(|byte| [byte; 4096]));
/// assert!(parsed.is_err(), "and the slot is back");
/// # drop((page, parsed));
/// assert_eq!(pool.stats().in_use, 0);
/// # Ok::<(), millpond_fixed::AcquireError>(())
/// ```
///
/// # Invariants
///
/// 1. `slot` holds no value that anybody relies on.
#[must_use = "dropping a vacant slot at once gives it back"]
pub struct Vacant<'p, T, M: Mode = DefaultMode> {
    slot: Slot<FixedPool<T, M>>,
    _pool: PhantomData<(T, &'p FixedPool<T, M>)>,
}

// SAFETY: there is no value; the slot may be filled and released on any thread.
#[cfg(feature = "std")]
unsafe impl<T: Send> Send for Vacant<'_, T, millpond_core::engine::Shared> {}
// SAFETY: nothing can be reached through `&Vacant`.
unsafe impl<T, M: Mode> Sync for Vacant<'_, T, M> {}

impl<T, M: Mode> FixedPool<T, M> {
    /// A slot to be filled later, or in place. Never waits or falls back.
    ///
    /// # Errors
    ///
    /// The limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_reserve(&self) -> Result<Vacant<'_, T, M>, AcquireError> {
        // SAFETY: the vacant slot borrows the pool.
        let slot = unsafe { self.slots.slot(NonNull::from(self), Patience::None) }?;
        Ok(Vacant::of(slot))
    }

    /// As [`FixedPool::try_reserve`], doing what the pool's policy says if no
    /// slot is free.
    ///
    /// # Errors
    ///
    /// The limit that was hit, once the policy is at its end.
    #[inline]
    #[track_caller]
    pub fn reserve(&self) -> Result<Vacant<'_, T, M>, AcquireError> {
        // SAFETY: the vacant slot borrows the pool.
        let slot = unsafe { self.slots.slot(NonNull::from(self), Patience::Policy) }?;
        Ok(Vacant::of(slot))
    }
}

impl<'p, T, M: Mode> Vacant<'p, T, M> {
    #[inline(always)]
    fn of(slot: Slot<FixedPool<T, M>>) -> Self {
        Self {
            slot,
            _pool: PhantomData,
        }
    }

    /// Has the system back the slot with memory.
    pub(crate) fn touch(&mut self) {
        if size_of::<T>() > 0 {
            let first = self.as_uninit().as_mut_ptr().cast::<MaybeUninit<u8>>();
            // SAFETY: inside the slot, which is ours, and as uninitialised as before.
            unsafe { first.write_volatile(MaybeUninit::new(0)) };
        }
    }

    /// Moves a value in.
    #[inline]
    pub fn fill(self, value: T) -> Lease<'p, T, M> {
        Lease::of(self.slot, value)
    }

    /// Constructs a value. If the constructor panics, the slot goes back.
    #[inline]
    pub fn fill_with(self, construct: impl FnOnce() -> T) -> Lease<'p, T, M> {
        Lease::of(self.slot, construct())
    }

    /// Constructs a value, or fails to: then the slot goes back.
    ///
    /// # Errors
    ///
    /// What the constructor answers.
    #[inline]
    pub fn try_fill_with<E>(
        self,
        construct: impl FnOnce() -> Result<T, E>,
    ) -> Result<Lease<'p, T, M>, E> {
        let value = construct()?;
        Ok(Lease::of(self.slot, value))
    }

    /// The slot, to be written piece by piece; end with [`Vacant::assume_init`].
    #[inline]
    pub fn as_uninit(&mut self) -> &mut MaybeUninit<T> {
        // SAFETY: the slot has the layout of the value and is ours alone, and
        // bytes that may be uninitialised may be anything.
        unsafe { self.slot.item.cast().as_mut() }
    }

    /// The lease of what was written.
    ///
    /// # Safety
    ///
    /// All of the value was written to [`Vacant::as_uninit`].
    #[inline]
    pub unsafe fn assume_init(self) -> Lease<'p, T, M> {
        // SAFETY: by the caller.
        unsafe { Lease::of_filled(self.slot) }
    }
}

impl<T, M: Mode> fmt::Debug for Vacant<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vacant").finish_non_exhaustive()
    }
}
