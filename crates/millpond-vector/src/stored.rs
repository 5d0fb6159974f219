//! Stored rows: what stays in the pool under an id.
//!
//! A row is stored through `&self`, by any thread, and read through `&self`
//! while others store more. It is written to and removed through `&mut self`
//! only, so that no reference can be left behind; nothing is counted or locked.

use crate::acquire::Patience;
use crate::element::Element;
use crate::lease::{RowId, lay_to_rest};
use crate::pool::VectorPool;
use core::fmt;
use core::ptr::NonNull;
use core::slice;
#[cfg(feature = "std")]
use millpond_core::engine::Engine;
use millpond_core::engine::Mode;
use millpond_core::entry::Entry;
use millpond_core::error::AcquireError;
use millpond_core::id::{Id, RawId};

/// Why a row could not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertError {
    /// There was no row for it.
    Acquire(AcquireError),
    /// It has another dimension than the pool.
    Dimension {
        /// Elements of the pool's rows.
        expected: usize,
        /// Elements that were given.
        given: usize,
    },
}

impl fmt::Display for InsertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acquire(error) => error.fmt(f),
            Self::Dimension { expected, given } => {
                write!(f, "rows of this pool have {expected} elements, not {given}")
            }
        }
    }
}

impl core::error::Error for InsertError {}

impl From<AcquireError> for InsertError {
    fn from(error: AcquireError) -> Self {
        Self::Acquire(error)
    }
}

#[cfg(feature = "std")]
impl From<InsertError> for std::io::Error {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::Acquire(error) => error.into(),
            InsertError::Dimension { .. } => Self::new(std::io::ErrorKind::InvalidInput, error),
        }
    }
}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// Copies `values` into a row that stays until it is removed.
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let pool = VectorPool::<f32>::new(768, 1000)?;
    /// let id = pool.insert(&[0.25; 768])?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert_eq!(pool.row(id), Some(&[0.25; 768][..])));
    /// });
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InsertError::Dimension`] if `values` has another length than the pool's
    /// rows, [`InsertError::Acquire`] if no row was free and the policy is at its
    /// end. A policy that falls back gives nothing here: rows outside the
    /// capacity have no ids.
    #[inline]
    #[track_caller]
    pub fn insert(&self, values: &[E]) -> Result<RowId<E>, InsertError> {
        if values.len() != self.dimension() {
            return Err(InsertError::Dimension {
                expected: self.dimension(),
                given: values.len(),
            });
        }
        let mut row = self.lease(Patience::Inside)?;
        row.copy_from_slice(values);
        let id = row.store();
        Ok(id.unwrap_or_else(|_| unreachable!("inside the capacity, and not retired")))
    }

    /// The stored row that `id` names; `None` if it is gone. No lock, no count:
    /// one load and one comparison more than an index.
    #[inline]
    #[must_use]
    pub fn row(&self, id: RowId<E>) -> Option<&[E]> {
        let row = self.directory.find(id.raw())?;
        // SAFETY: by the pool's 1 and 3, a stored row, borrowed as the pool is.
        Some(unsafe { slice::from_raw_parts(row.cast().as_ptr(), self.dimension()) })
    }

    /// As [`VectorPool::row`], with the tail of zeros: whole lanes, for kernels.
    #[inline]
    #[must_use]
    pub fn row_padded(&self, id: RowId<E>) -> Option<&[E]> {
        let row = self.directory.find(id.raw())?;
        // SAFETY: by the pool's 1 and 3, a stored row, borrowed as the pool is.
        Some(unsafe { slice::from_raw_parts(row.cast().as_ptr(), self.layout.padded()) })
    }

    /// The stored row that `id` names, to be changed; `None` if it is gone.
    #[inline]
    #[must_use]
    pub fn row_mut(&mut self, id: RowId<E>) -> Option<&mut [E]> {
        let row = self.directory.find(id.raw())?;
        // SAFETY: by the pool's 1 and 3, a stored row, borrowed mutably as the
        // pool is; the tail is not part of it.
        Some(unsafe { slice::from_raw_parts_mut(row.cast().as_ptr(), self.dimension()) })
    }

    /// The norm beside the row that `id` names; `None` if the row is gone or the
    /// pool keeps no norms.
    ///
    /// ```
    /// use millpond_vector::{SideArrays, VectorPool};
    ///
    /// let pool = VectorPool::<f32>::builder(2)
    ///     .side_arrays(SideArrays::ALL)
    ///     .build()?;
    /// let mut row = pool.acquire()?;
    /// row.copy_from_slice(&[3.0, 4.0]);
    /// *row.norm_mut().expect("kept") = 5.0;
    /// *row.external_id_mut().expect("kept") = 4711;
    /// let id = row.store().expect("inside the capacity");
    /// assert_eq!(pool.norm(id), Some(5.0));
    /// assert_eq!(pool.external_id(id), Some(4711));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub fn norm(&self, id: RowId<E>) -> Option<f32> {
        self.directory.find(id.raw())?;
        // SAFETY: found, so the row exists.
        let (norm, _) = unsafe { self.directory.side(id.raw().index() as usize) };
        // SAFETY: it belongs to a stored row, to which nobody writes.
        norm.map(|norm| unsafe { norm.read() })
    }

    /// The external id beside the row that `id` names; otherwise as
    /// [`VectorPool::norm`].
    #[must_use]
    pub fn external_id(&self, id: RowId<E>) -> Option<u64> {
        self.directory.find(id.raw())?;
        // SAFETY: found, so the row exists.
        let (_, external) = unsafe { self.directory.side(id.raw().index() as usize) };
        // SAFETY: it belongs to a stored row, to which nobody writes.
        external.map(|external| unsafe { external.read() })
    }

    /// Sets the norm beside a stored row; `false` if the row is gone or the pool
    /// keeps none.
    pub fn set_norm(&mut self, id: RowId<E>, norm: f32) -> bool {
        if !self.contains(id) {
            return false;
        }
        // SAFETY: found, so the row exists.
        let (place, _) = unsafe { self.directory.side(id.raw().index() as usize) };
        // SAFETY: it belongs to a stored row, borrowed by nobody.
        place.map(|place| unsafe { place.write(norm) }).is_some()
    }

    /// Sets the external id beside a stored row; otherwise as
    /// [`VectorPool::set_norm`].
    pub fn set_external_id(&mut self, id: RowId<E>, external: u64) -> bool {
        if !self.contains(id) {
            return false;
        }
        // SAFETY: found, so the row exists.
        let (_, place) = unsafe { self.directory.side(id.raw().index() as usize) };
        // SAFETY: it belongs to a stored row, borrowed by nobody.
        place
            .map(|place| unsafe { place.write(external) })
            .is_some()
    }

    /// Whether `id` names a stored row.
    #[must_use]
    pub fn contains(&self, id: RowId<E>) -> bool {
        self.directory.find(id.raw()).is_some()
    }

    /// Removes the row that `id` names; `false` if it is gone already. All copies
    /// of the id are stale from here on. Slabs that empty go back to the system,
    /// but for [some](crate::Builder::spare_rows).
    pub fn remove(&mut self, id: RowId<E>) -> bool {
        let Some(row) = self.directory.find(id.raw()) else {
            return false;
        };
        self.close(id.raw().index() as usize, row.cast());
        self.count_removal();
        true
    }

    /// Removes all stored rows, and keeps their slabs for the next ones;
    /// [`VectorPool::trim`] gives them back. Leases are not affected: there are
    /// none, for they borrow the pool.
    pub fn clear(&mut self) {
        for slab in 0..self.directory.len() {
            for row in 0..self.directory.head(slab).map_or(0, |head| head.rows()) {
                let number = self.directory.number(slab, row);
                if self.live(number).is_some() {
                    // SAFETY: by the directory's 3 a live row exists.
                    let row = unsafe { self.directory.row(number) };
                    self.close(number, row.cast());
                }
            }
        }
    }

    /// How many rows are stored. Reads the generations of all rows: 4 bytes each.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.runs().map(|run| run.len()).sum()
    }

    /// The stored rows with their ids, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (RowId<E>, &[E])> {
        self.runs()
            .flat_map(|run| (0..run.len()).filter_map(move |at| Some((run.id(at)?, run.row(at)))))
    }

    /// The id of a row that is live now.
    pub(crate) fn live(&self, number: usize) -> Option<RowId<E>> {
        let generation = self.directory.generation(number)?.generation();
        RawId::new(u32::try_from(number).ok()?, generation).map(Id::from_raw)
    }

    /// Makes the id of a live row stale and gives the row back, or retires it if
    /// that was its last life.
    fn close(&mut self, number: usize, row: NonNull<E>) {
        let Some(place) = self.directory.generation(number) else {
            return;
        };
        let Some(generation) = place.close() else {
            unreachable!("a live row can be closed");
        };
        let gone = Gone {
            pool: self,
            row,
            entry: self.directory.entry(number),
            reusable: !generation.is_retired(),
        };
        #[cfg(feature = "std")]
        {
            gone.pool.engine.strike(gone.entry);
            // SAFETY: by the pool's 2 and 3, with `&mut self`, nobody's any more.
            unsafe { gone.pool.fill_with_pattern(row, gone.entry) };
        }
        drop(gone);
    }
}

/// A row that was removed, on its way back: also if a recorder panics.
///
/// # Invariants
///
/// 1. The row is nobody's any more, and not used afterwards.
struct Gone<'p, E: Element, M: Mode> {
    pool: &'p VectorPool<E, M>,
    row: NonNull<E>,
    entry: Entry,
    reusable: bool,
}

impl<E: Element, M: Mode> Drop for Gone<'_, E, M> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: by 1.
        unsafe { lay_to_rest(self.row, self.pool.dimension()) };
        if self.reusable {
            // SAFETY: by 1.
            unsafe { self.pool.release(self.entry) };
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering};
    use millpond_core::budget::Budget;
    use millpond_core::trim::Level;

    /// The generation of a vacant row that has one life left.
    const ONE_LEFT: u32 = u32::MAX - 3;

    /// Three rows of a pool, of which the last was stored for its last time.
    fn one_in_its_last_life(budget: &Budget) -> (VectorPool<u8>, [RowId<u8>; 3]) {
        let builder = VectorPool::<u8>::builder(3).capacity(3).budget(budget);
        let mut pool = builder.build().expect("a small row");
        let ids = [1, 2, 3].map(|value| pool.insert(&[value; 3]).expect("room"));
        assert!(pool.remove(ids[2]));
        let number = ids[2].raw().index();
        let life = pool.directory.generation(number as usize);
        let life = life.expect("a row that exists");
        // SAFETY: a life is a word of this type and nothing else.
        let word = unsafe { &*core::ptr::from_ref(life).cast::<AtomicU32>() };
        word.store(ONE_LEFT, Ordering::Relaxed);
        let last = pool.insert(&[3; 3]).expect("one life is left");
        assert_eq!(last.raw().index(), number);
        (pool, [ids[0], ids[1], last])
    }

    #[test]
    fn a_row_is_not_used_again_after_its_last_life() {
        let budget = Budget::new("rows", usize::MAX);
        let (mut pool, [first, .., last]) = one_in_its_last_life(&budget);
        assert!(pool.remove(last));
        assert_eq!(pool.row(last), None);
        assert_eq!(pool.stats().in_use, 3, "it is out for good");
        assert!(pool.insert(&[4; 3]).is_err());
        assert!(pool.remove(first));
        let again = pool.insert(&[4; 3]).expect("another row");
        assert_eq!(again.raw().index(), first.raw().index());
        pool.clear();
        pool.trim(Level::Full);
        assert_eq!(pool.row(last), None);
        assert_eq!(pool.stats().in_use, 1);
        drop(pool);
        assert_eq!(budget.held(), 0, "its memory goes with the pool");
    }

    #[test]
    fn a_row_that_moves_after_its_last_life_leaves_a_place_that_is_not_used() {
        let budget = Budget::new("rows", usize::MAX);
        let (mut pool, [first, second, last]) = one_in_its_last_life(&budget);
        assert!(pool.remove(first));
        let moved = pool.compact();
        assert_eq!(moved.len(), 1);
        assert_eq!(moved[0].from, last);
        assert_eq!(pool.row(moved[0].to), Some(&[3; 3][..]));
        assert_eq!(pool.row(second), Some(&[2; 3][..]));
        assert!(pool.insert(&[4; 3]).is_err(), "the place was the last one");
        assert_eq!(pool.compact(), []);
        drop(pool);
        assert_eq!(budget.held(), 0);
    }
}
