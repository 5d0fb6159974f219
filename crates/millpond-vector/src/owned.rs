//! Owned rows: leases that keep their pool alive, for tasks and threads.

use crate::acquire::Patience;
use crate::element::Element;
use crate::lease::{RowId, RowLease};
use crate::pool::VectorPool;
use alloc::sync::{Arc, Weak};
use core::borrow::{Borrow, BorrowMut};
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::panic::Location;
use millpond_core::budget::Reclaim;
use millpond_core::engine::Shared;
use millpond_core::error::AcquireError;
use millpond_core::trim::Level;

/// A row that keeps its pool alive by itself: `'static`, to be moved into tasks,
/// threads and other crates' buffers. Dropping it gives the row back.
///
/// Costs a counted reference more than [`RowLease`]: two atomic
/// read-modify-writes, which is little beside filling a row.
///
/// ```
/// use millpond_vector::VectorPool;
/// use std::sync::Arc;
///
/// let pool = Arc::new(VectorPool::<f32>::new(768, 8)?);
/// let mut row = pool.try_acquire_owned()?;
/// drop(pool);
/// let filled = std::thread::spawn(move || {
///     row.fill(1.0);
///     row
/// });
/// assert_eq!(filled.join().unwrap()[767], 1.0);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. `lease` is of the pool behind `pool`, and is dropped before it: fields are
///    dropped in the order of their declaration. It is not lent mutably, or two
///    rows could exchange theirs.
#[must_use = "dropping a row at once gives it back"]
pub struct OwnedRow<E: Element> {
    lease: RowLease<'static, E>,
    pool: Arc<VectorPool<E>>,
}

impl<E: Element> VectorPool<E, Shared> {
    /// Shares the pool, and lets its budget, if it has one, ask it to give back
    /// what is free when somebody else's charge would be refused.
    ///
    /// The budget knows the pool by a weak reference, so that
    /// [`Arc::get_mut`] answers `None` for a pool that has one. Where stored rows
    /// are to be removed, keep the pool in a lock instead.
    ///
    /// ```
    /// use millpond_core::budget::Budget;
    /// use millpond_vector::{Level, VectorPool};
    ///
    /// let budget = Budget::new("all", 3 << 20);
    /// let pool = VectorPool::<f32>::builder(768).budget(&budget).build()?.into_shared();
    /// let burst: Vec<_> = (0..600).map(|_| pool.try_acquire_owned()).collect();
    /// drop(burst);
    /// assert!(pool.stats().held_bytes > 1 << 20);
    /// // The charge would be refused, if the rows were not given back.
    /// let other = budget.try_charge(2 << 20)?;
    /// assert_eq!(pool.stats().held_bytes, 0);
    /// # drop(other);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_shared(self) -> Arc<Self> {
        let Some(budget) = self.engine.budget().cloned() else {
            return Arc::new(self);
        };
        Arc::new_cyclic(|pool| {
            let pool: Weak<dyn Reclaim> = Weak::clone(pool) as _;
            let mut this = self;
            this.member = Some(budget.register(pool));
            this
        })
    }

    /// As [`VectorPool::try_acquire`], for a row that keeps the pool alive.
    ///
    /// # Errors
    ///
    /// The limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire_owned(self: &Arc<Self>) -> Result<OwnedRow<E>, AcquireError> {
        self.own(Patience::None)
    }

    /// As [`VectorPool::acquire`], for a row that keeps the pool alive.
    ///
    /// # Errors
    ///
    /// The limit that was hit, once the policy is at its end.
    #[inline]
    #[track_caller]
    pub fn acquire_owned(self: &Arc<Self>) -> Result<OwnedRow<E>, AcquireError> {
        self.own(Patience::Policy)
    }

    /// As [`VectorPool::acquire_async`], for a row that keeps the pool alive.
    ///
    /// # Errors
    ///
    /// The limit that makes waiting useless.
    #[track_caller]
    pub fn acquire_owned_async(
        self: &Arc<Self>,
    ) -> impl Future<Output = Result<OwnedRow<E>, AcquireError>> + use<E> {
        let (pool, location) = (Arc::clone(self), Location::caller());
        async move {
            let lease = pool.lease_async(location).await?;
            // SAFETY: a lease of this pool.
            Ok(unsafe { OwnedRow::new(lease, &pool) })
        }
    }

    #[inline]
    #[track_caller]
    fn own(self: &Arc<Self>, patience: Patience) -> Result<OwnedRow<E>, AcquireError> {
        let lease = self.lease(patience)?;
        // SAFETY: a lease of this pool.
        Ok(unsafe { OwnedRow::new(lease, self) })
    }
}

impl<E: Element> Reclaim for VectorPool<E, Shared> {
    fn reclaim(&self, _: usize) -> usize {
        self.trim(Level::Moderate).freed_bytes
    }
}

impl<E: Element> OwnedRow<E> {
    /// # Safety
    ///
    /// The lease is of the pool.
    #[inline]
    unsafe fn new(lease: RowLease<'_, E>, pool: &Arc<VectorPool<E>>) -> Self {
        Self {
            // SAFETY: what the lease borrows is the pool, which lives at its
            // address as long as the reference that is kept beside it.
            lease: unsafe { lease.outliving() },
            pool: Arc::clone(pool),
        }
    }

    /// The pool.
    #[must_use]
    pub const fn pool(&self) -> &Arc<VectorPool<E>> {
        &self.pool
    }

    /// As [`RowLease::row_padded`].
    #[inline]
    #[must_use]
    pub fn row_padded(&self) -> &[E] {
        self.lease.row_padded()
    }

    /// As [`RowLease::norm_mut`].
    #[must_use]
    pub fn norm_mut(&mut self) -> Option<&mut f32> {
        self.lease.norm_mut()
    }

    /// As [`RowLease::external_id_mut`].
    #[must_use]
    pub fn external_id_mut(&mut self) -> Option<&mut u64> {
        self.lease.external_id_mut()
    }

    /// Stores the row; see [`RowLease::store`].
    ///
    /// # Errors
    ///
    /// As [`RowLease::store`].
    pub fn store(self) -> Result<RowId<E>, Self> {
        let Self { lease, pool } = self;
        lease.store().map_err(|lease| Self { lease, pool })
    }
}

impl<E: Element> Deref for OwnedRow<E> {
    type Target = [E];

    #[inline]
    fn deref(&self) -> &[E] {
        &self.lease
    }
}

impl<E: Element> DerefMut for OwnedRow<E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [E] {
        &mut self.lease
    }
}

impl<E: Element> AsRef<[E]> for OwnedRow<E> {
    fn as_ref(&self) -> &[E] {
        self
    }
}

impl<E: Element> AsMut<[E]> for OwnedRow<E> {
    fn as_mut(&mut self) -> &mut [E] {
        self
    }
}

impl<E: Element> Borrow<[E]> for OwnedRow<E> {
    fn borrow(&self) -> &[E] {
        self
    }
}

impl<E: Element> BorrowMut<[E]> for OwnedRow<E> {
    fn borrow_mut(&mut self) -> &mut [E] {
        self
    }
}

impl<E: Element> PartialEq for OwnedRow<E> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<E: Element> PartialEq<[E]> for OwnedRow<E> {
    fn eq(&self, other: &[E]) -> bool {
        **self == *other
    }
}

impl<E: Element> fmt::Debug for OwnedRow<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
