//! Batches: several rows side by side, acquired at once.

use crate::element::Element;
use crate::lease::{RowId, RowLease, enliven};
use crate::pool::{DefaultMode, VectorPool};
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Range;
use core::panic::Location;
use core::ptr::NonNull;
use core::slice;
use millpond_core::engine::{Engine, Mode};
use millpond_core::error::{AcquireError, Limit};
use millpond_core::id::Id;
use millpond_core::trim::Level;

/// Rows side by side, borrowed from their pool. Dropping the batch gives them
/// back, one by one.
///
/// # Invariants
///
/// 1. Rows `number` to `number + len` exist, lie in one slab from `first` on,
///    and are the batch's own.
#[must_use = "dropping a batch at once gives its rows back"]
pub struct RowBatch<'p, E: Element, M: Mode = DefaultMode> {
    pool: &'p VectorPool<E, M>,
    first: NonNull<E>,
    number: usize,
    len: usize,
    /// Whether diagnostics know of the rows.
    tracked: bool,
    _rows: PhantomData<&'p mut [E]>,
}

// SAFETY: the rows are the batch's own, and may be released on any thread.
#[cfg(feature = "std")]
unsafe impl<E: Element> Send for RowBatch<'_, E, millpond_core::engine::Shared> {}
// SAFETY: through `&RowBatch` only `&[E]` can be reached.
unsafe impl<E: Element, M: Mode> Sync for RowBatch<'_, E, M> {}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// The longest batch, which is the number of rows of a slab of full size.
    #[must_use]
    pub const fn longest_batch(&self) -> usize {
        self.most_batch
    }

    /// Acquires `rows` rows side by side: fresh ones if the capacity allows it,
    /// else free ones that happen to be neighbours. Their elements are as those
    /// of [`VectorPool::try_acquire`].
    ///
    /// A slow path: it takes the pool's lock, and trims before it looks for
    /// neighbours among free rows.
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let pool = VectorPool::<f32>::new(100, 64)?;
    /// let mut batch = pool.acquire_batch(10)?;
    /// for (i, row) in batch.rows_mut().enumerate() {
    ///     row.fill(i as f32);
    /// }
    /// assert_eq!(batch.as_slice().len(), 10 * 112);
    /// let ids = batch.store();
    /// assert_eq!(pool.row(ids[9]).map(|row| row[0]), Some(9.0));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Limit::Capacity` if there are not so many rows left, or not side by side
    /// (then [`VectorPool::compact`] helps); `Limit::Memory` if the batch is
    /// longer than [`VectorPool::longest_batch`].
    #[track_caller]
    pub fn acquire_batch(&self, rows: usize) -> Result<RowBatch<'_, E, M>, AcquireError> {
        let batch = self.carve(rows).or_else(|error| {
            if *error.limit() != Limit::Capacity {
                return Err(error);
            }
            // Free slabs go, so that there is room for a fresh one.
            self.trim(Level::Moderate);
            self.carve(rows)
                .or_else(|error| self.neighbours(rows).ok_or(error))
        });
        let mut batch = batch?;
        for at in 0..rows {
            // SAFETY: the batch's own.
            unsafe { enliven(batch.place(at), self.dimension()) };
        }
        batch.tracked = self.track(batch.number..batch.number + rows, Location::caller());
        Ok(batch)
    }

    /// The batch of `len` rows from `number` on.
    ///
    /// # Safety
    ///
    /// They lie in one slab, and were acquired.
    unsafe fn batch(&self, number: usize, len: usize) -> RowBatch<'_, E, M> {
        let first = match len {
            0 => NonNull::dangling(),
            // SAFETY: by the caller the row exists.
            _ => unsafe { self.directory.row(number) }.cast(),
        };
        RowBatch {
            pool: self,
            first,
            number,
            len,
            tracked: false,
            _rows: PhantomData,
        }
    }

    /// Puts rows that did not come as leases on the record, as far as diagnostics
    /// want that, which may change meanwhile; answers whether there are some.
    #[cfg(feature = "std")]
    pub(crate) fn track(&self, rows: Range<usize>, location: &'static Location<'static>) -> bool {
        rows.fold(false, |tracked, number| {
            let entry = self.directory.entry(number);
            tracked | self.engine.record(entry, location).is_some()
        })
    }

    /// As above, where there are no diagnostics.
    #[cfg(not(feature = "std"))]
    pub(crate) fn track(&self, _: Range<usize>, _: &'static Location<'static>) -> bool {
        false
    }

    /// Rows that were never handed out.
    fn carve(&self, rows: usize) -> Result<RowBatch<'_, E, M>, AcquireError> {
        if rows == 0 {
            // SAFETY: none.
            return Ok(unsafe { self.batch(0, 0) });
        }
        if rows > self.most_batch {
            let bytes = rows.saturating_mul(self.layout.stride_bytes());
            let (figures, limit) = (self.engine.observe(), Limit::Memory { bytes });
            let (capacity, in_use) = (figures.capacity, figures.in_use);
            return Err(AcquireError::new(
                self.engine.name(),
                limit,
                capacity,
                in_use,
                0,
            ));
        }
        let create = |source: &mut crate::rows::Rows| source.carve(rows);
        // SAFETY: `carve` hands out exactly so many rows, or none.
        let number = unsafe { self.engine.acquire_created(rows, create) }?;
        // SAFETY: acquired above, and side by side.
        Ok(unsafe { self.batch(number, rows) })
    }

    /// Free rows side by side, if there are some.
    fn neighbours(&self, rows: usize) -> Option<RowBatch<'_, E, M>> {
        let mut free = self.take_free()?;
        let numbers = &mut free.numbers;
        numbers.sort_unstable();
        // Slabs do not touch: the last number of one is not the next one's first
        // less one, unless a slab is full to its last number.
        let side_by_side = |window: &[usize]| {
            let (first, last) = (window[0], window[rows - 1]);
            last - first == rows - 1
                && self.directory.split(first).0 == self.directory.split(last).0
        };
        let at = numbers.windows(rows).position(side_by_side)?;
        let first = numbers[at];
        numbers.drain(at..at + rows);
        // SAFETY: free rows that were acquired, side by side in one slab.
        Some(unsafe { self.batch(first, rows) })
    }
}

impl<'p, E: Element, M: Mode> RowBatch<'p, E, M> {
    /// How many rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Elements from one row to the next.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.pool.layout.stride_bytes() / size_of::<E>()
    }

    /// The place of row `at`, which is below the length.
    fn place(&self, at: usize) -> NonNull<E> {
        debug_assert!(at < self.len);
        // SAFETY: by 1 inside the slab.
        unsafe { self.first.add(at * self.stride()) }
    }

    /// All elements from the first row to the end of the last one's tail.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        let len = match self.len {
            0 => 0,
            len => (len - 1) * self.stride() + self.pool.layout.padded(),
        };
        // SAFETY: by 1, initialised as all rows are, tails and gaps too.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), len) }
    }

    /// Row `at`.
    ///
    /// # Panics
    ///
    /// If the batch is not that long.
    #[must_use]
    pub fn row(&self, at: usize) -> &[E] {
        assert!(at < self.len, "row {at} of a batch of {}", self.len);
        // SAFETY: by 1, borrowed as the batch is.
        unsafe { slice::from_raw_parts(self.place(at).as_ptr(), self.pool.dimension()) }
    }

    /// Row `at`, to be written.
    ///
    /// # Panics
    ///
    /// If the batch is not that long.
    #[must_use]
    pub fn row_mut(&mut self, at: usize) -> &mut [E] {
        assert!(at < self.len, "row {at} of a batch of {}", self.len);
        // SAFETY: by 1, borrowed mutably as the batch is; the tail is no part.
        unsafe { slice::from_raw_parts_mut(self.place(at).as_ptr(), self.pool.dimension()) }
    }

    /// The rows, to be written, in order.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [E]> {
        let dimension = self.pool.dimension();
        (0..self.len).map(move |at| {
            // SAFETY: by 1, borrowed mutably as the batch is; rows do not
            // overlap, and each is given once.
            unsafe { slice::from_raw_parts_mut(self.place(at).as_ptr(), dimension) }
        })
    }

    /// Stores all rows; answers their ids in order.
    pub fn store(self) -> Vec<RowId<E>> {
        // The pool's own from here on; if the list cannot be made, they are
        // stored, and found through `runs`.
        let batch = ManuallyDrop::new(self);
        let ids = (0..batch.len).filter_map(|at| {
            // SAFETY: by 1 the batch's own.
            unsafe { batch.pool.open(batch.number + at) }
        });
        ids.map(Id::from_raw).collect()
    }
}

impl<'p, E: Element, M: Mode> RowBatch<'p, E, M> {
    /// The last row, as a lease of its own.
    fn pop(&mut self) -> Option<RowLease<'p, E, M>> {
        self.len = self.len.checked_sub(1)?;
        let entry = self.pool.directory.entry(self.number + self.len);
        // SAFETY: by 1 the batch's own until now, which is as just acquired.
        let row = unsafe { RowLease::new(self.pool, entry) };
        #[cfg(feature = "std")]
        if self.tracked {
            return Some(row.tracked());
        }
        Some(row)
    }

    fn give_back(&mut self) {
        while let Some(row) = self.pop() {
            drop(row);
        }
    }
}

impl<E: Element, M: Mode> Drop for RowBatch<'_, E, M> {
    fn drop(&mut self) {
        /// What is left when a waker or a recorder panicked.
        struct Rest<'b, 'p, E: Element, M: Mode>(&'b mut RowBatch<'p, E, M>);

        impl<E: Element, M: Mode> Drop for Rest<'_, '_, E, M> {
            fn drop(&mut self) {
                self.0.give_back();
            }
        }

        Rest(self).0.give_back();
    }
}

impl<E: Element, M: Mode> fmt::Debug for RowBatch<'_, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowBatch")
            .field("len", &self.len)
            .field("dimension", &self.pool.dimension())
            .finish_non_exhaustive()
    }
}
