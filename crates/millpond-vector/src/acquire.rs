//! Acquiring rows: the fast path, and what happens beside it.

use crate::element::Element;
use crate::lease::RowLease;
use crate::pool::VectorPool;
use core::panic::Location;
use millpond_core::engine::{Engine, Mode};
use millpond_core::error::{AcquireError, Limit};
use millpond_core::exhaustion::Exhaustion;

#[cfg(feature = "std")]
use core::time::Duration;
#[cfg(feature = "std")]
use millpond_core::engine::Shared;
#[cfg(feature = "std")]
use millpond_core::event::Event;
#[cfg(feature = "std")]
use millpond_core::poison;

/// How long to try.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// As the pool's policy says.
    Policy,
    /// As the policy says, but inside the capacity: such rows have ids.
    Inside,
    /// This long, waiting in the thread.
    #[cfg(feature = "std")]
    Until(Duration),
}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// Acquires a row if one is free. Its elements are initialised, and of
    /// unspecified value; its tail is zero.
    ///
    /// About 35 instructions; no lock, no atomic read-modify-write.
    ///
    /// # Errors
    ///
    /// The limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self) -> Result<RowLease<'_, E, M>, AcquireError> {
        self.lease(Patience::None)
    }

    /// Acquires a row, doing what the pool's policy says if none is free.
    /// Otherwise as [`VectorPool::try_acquire`].
    ///
    /// # Errors
    ///
    /// The limit that was hit, once the policy is at its end.
    #[inline]
    #[track_caller]
    pub fn acquire(&self) -> Result<RowLease<'_, E, M>, AcquireError> {
        self.lease(Patience::Policy)
    }

    /// As [`VectorPool::acquire`], with every element zero. Costs the writing of
    /// `dimension` elements more.
    ///
    /// # Errors
    ///
    /// As [`VectorPool::acquire`].
    #[inline]
    #[track_caller]
    pub fn acquire_zeroed(&self) -> Result<RowLease<'_, E, M>, AcquireError> {
        let mut row = self.lease(Patience::Policy)?;
        row.fill(E::ZERO);
        Ok(row)
    }

    /// The fast path of every acquire.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn lease(&self, patience: Patience) -> Result<RowLease<'_, E, M>, AcquireError> {
        let parts = match self.engine.try_pop() {
            // SAFETY: just acquired.
            Some(entry) => unsafe { RowLease::new(self, entry) }.suspend(),
            // Taken apart, so that the lease is put together in one place, and in
            // registers: the slow path answers in memory.
            None => self.lease_slow(patience, Location::caller())?.suspend(),
        };
        // SAFETY: just suspended, of this pool.
        Ok(unsafe { RowLease::resume(parts) })
    }

    #[cold]
    #[inline(never)]
    fn lease_slow(
        &self,
        patience: Patience,
        location: &'static Location<'static>,
    ) -> Result<RowLease<'_, E, M>, AcquireError> {
        let room = match patience {
            Patience::None => 0,
            _ => self.policy.room(),
        };
        let entry = match (patience, self.policy) {
            #[cfg(feature = "std")]
            (Patience::Until(timeout), _) => self.engine.acquire_waiting(room, Some(timeout)),
            (Patience::Policy | Patience::Inside, Exhaustion::Block { timeout }) => {
                self.engine.acquire_waiting(room, timeout)
            }
            _ => self.engine.acquire_slow(room),
        };
        let lease = match (entry, patience, self.policy) {
            // SAFETY: just acquired.
            (Ok(entry), ..) => unsafe { RowLease::new(self, entry) },
            (Err(error), Patience::Policy, Exhaustion::Fallback { at_most }) => {
                self.fall_back(at_most, error)?
            }
            (Err(error), ..) => return Err(error),
        };
        Ok(self.inspect(lease, location))
    }

    /// A row outside the capacity, or the error that made it necessary.
    fn fall_back(
        &self,
        at_most: usize,
        error: AcquireError,
    ) -> Result<RowLease<'_, E, M>, AcquireError> {
        if *error.limit() == Limit::Closed {
            return Err(error);
        }
        let layout = self.fallback_layout();
        let allocated = self
            .fallback
            .allocate(layout, at_most)
            .map_err(|limit| error.with_fallback(self.fallback.in_use(), limit));
        let entry = allocated?;
        // SAFETY: allocated for this lease alone, with this size.
        unsafe { entry.as_ptr().cast::<u8>().write_bytes(0, layout.size()) };
        // SAFETY: a fallback row of this pool, and zeroed.
        let lease = unsafe { RowLease::outside(self, entry) };
        #[cfg(feature = "std")]
        self.engine.tell(&Event::FellBack {
            in_use: self.fallback.in_use(),
        });
        Ok(lease)
    }

    /// Finishes a lease that did not come by the fast path: records it, and
    /// looks for damage, if diagnostics are on.
    #[cfg(not(feature = "std"))]
    fn inspect<'p>(
        &self,
        lease: RowLease<'p, E, M>,
        _: &'static Location<'static>,
    ) -> RowLease<'p, E, M> {
        lease
    }

    /// Finishes a lease that did not come by the fast path: records it, and
    /// looks for damage, if diagnostics are on.
    #[cfg(feature = "std")]
    fn inspect<'p>(
        &self,
        lease: RowLease<'p, E, M>,
        location: &'static Location<'static>,
    ) -> RowLease<'p, E, M> {
        let item = lease.entry();
        let Some(patterned) = self.engine.record(item, location) else {
            return lease;
        };
        // Noted before a hook runs, which may panic.
        let lease = lease.tracked();
        if patterned && !poison::BLINDS_PATTERN {
            let row = core::ptr::NonNull::from(&*lease).cast();
            // SAFETY: ours, and filled with the pattern when it came home.
            let damage = unsafe { poison::first_damage(row, size_of_val(&*lease)) };
            if let Some(offset) = damage {
                self.engine.tell(&Event::Damaged { item, offset });
            }
        }
        lease
    }
}

#[cfg(feature = "std")]
impl<E: Element> VectorPool<E, Shared> {
    /// Acquires a row, waiting up to `timeout` for one to be released.
    ///
    /// # Errors
    ///
    /// `Limit::Deadline` when the time is over, or the limit that makes waiting
    /// useless.
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<RowLease<'_, E>, AcquireError> {
        self.lease(Patience::Until(timeout))
    }

    /// Acquires a row, waiting in the task for one to be released. Rows go to
    /// those who wait in the order in which they came; dropping the future
    /// leaves the queue and loses nothing.
    ///
    /// # Errors
    ///
    /// The limit that makes waiting useless.
    #[track_caller]
    pub fn acquire_async(&self) -> impl Future<Output = Result<RowLease<'_, E>, AcquireError>> {
        // Not an `async fn`, which would not know its caller.
        self.lease_async(Location::caller())
    }

    pub(crate) async fn lease_async(
        &self,
        location: &'static Location<'static>,
    ) -> Result<RowLease<'_, E>, AcquireError> {
        let entry = self.engine.acquire_async(self.policy.room()).await?;
        // SAFETY: just acquired.
        let lease = unsafe { RowLease::new(self, entry) };
        Ok(self.inspect(lease, location))
    }
}
