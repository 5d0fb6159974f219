//! Leases: a row for as long as it is held, and the way back.

use crate::element::Element;
use crate::pool::{DefaultMode, VectorPool};
use core::alloc::Layout;
use core::borrow::{Borrow, BorrowMut};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;
#[cfg(feature = "std")]
use millpond_core::engine::Engine;
use millpond_core::engine::Mode;
use millpond_core::entry::Entry;
#[cfg(feature = "std")]
use millpond_core::home::TRACKED;
use millpond_core::home::{FALLBACK, Home};
use millpond_core::id::{Id, RawId};
use millpond_core::poison;

/// The id of a stored row: eight bytes, `Copy`, and stale once the row is gone.
pub type RowId<E> = Id<E>;

/// A row, borrowed from its pool. Dropping the lease gives the row back, from
/// whatever thread.
///
/// Three words. It is a slice of `dimension` elements; what lies behind them is
/// zero, and can be read through [`RowLease::row_padded`] but not written.
///
/// ```
/// use millpond_vector::VectorPool;
///
/// let pool = VectorPool::<f32>::new(3, 10)?;
/// let mut row = pool.acquire_zeroed()?;
/// row.copy_from_slice(&[1.0, 2.0, 3.0]);
/// assert_eq!(row.iter().sum::<f32>(), 6.0);
/// assert_eq!(row.row_padded().len(), 16); // A line of the cache, with zeros behind.
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. `entry` is a row of the pool at `home`, which outlives `'p`, or one that
///    is noted as its fallback; it is the lease's own, and lies at `row`.
/// 2. As in the pool: initialised, and zero behind the dimension.
#[must_use = "dropping a lease at once gives its row back"]
pub struct RowLease<'p, E: Element, M: Mode = DefaultMode> {
    row: NonNull<E>,
    entry: Entry,
    home: Home<VectorPool<E, M>>,
    _row: PhantomData<(&'p VectorPool<E, M>, &'p mut [E])>,
}

/// Row, entry and home of a lease.
type Parts<E, M> = (NonNull<E>, Entry, Home<VectorPool<E, M>>);

// SAFETY: the row is the lease's own, and may be released on any thread.
#[cfg(feature = "std")]
unsafe impl<E: Element> Send for RowLease<'_, E, millpond_core::engine::Shared> {}
// SAFETY: through `&RowLease` only `&[E]` can be reached; the pool behind it is
// not reachable.
unsafe impl<E: Element, M: Mode> Sync for RowLease<'_, E, M> {}

// What a panic may leave half changed is numbers.
impl<E: Element, M: Mode> core::panic::UnwindSafe for RowLease<'_, E, M> {}
impl<E: Element, M: Mode> core::panic::RefUnwindSafe for RowLease<'_, E, M> {}

impl<'p, E: Element, M: Mode> RowLease<'p, E, M> {
    /// The lease of a row of the pool.
    ///
    /// # Safety
    ///
    /// `entry` was just acquired from `pool`.
    #[inline(always)]
    pub(crate) unsafe fn new(pool: &'p VectorPool<E, M>, entry: Entry) -> Self {
        // SAFETY: by the pool's 1 entries are those of rows that exist.
        let row: NonNull<E> = unsafe { pool.directory.row_at(entry) }.cast();
        // SAFETY: acquired, so the caller's own.
        unsafe { enliven(row, pool.dimension()) };
        Self {
            row,
            entry,
            home: Home::new(NonNull::from(pool)),
            _row: PhantomData,
        }
    }

    /// The lease of a row outside the capacity.
    ///
    /// # Safety
    ///
    /// `entry` is the address of a fallback row of `pool`, zeroed, and the
    /// caller's own.
    pub(crate) unsafe fn outside(pool: &'p VectorPool<E, M>, entry: Entry) -> Self {
        Self {
            row: entry.as_ptr().cast(),
            entry,
            home: Home::new(NonNull::from(pool)).with_notes(FALLBACK),
            _row: PhantomData,
        }
    }

    /// The same lease, with nothing to say how long its pool lives.
    ///
    /// # Safety
    ///
    /// The pool stays at its address until the lease is dropped.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) unsafe fn outliving(self) -> RowLease<'static, E, M> {
        // SAFETY: just suspended; by the caller the pool is there.
        unsafe { RowLease::resume(self.suspend()) }
    }

    /// The parts that [`RowLease::resume`] takes.
    #[inline(always)]
    pub(crate) fn suspend(self) -> Parts<E, M> {
        let lease = ManuallyDrop::new(self);
        (lease.row, lease.entry, lease.home)
    }

    /// The lease that was suspended.
    ///
    /// # Safety
    ///
    /// As the invariants, for any `'p`.
    #[inline(always)]
    pub(crate) unsafe fn resume((row, entry, home): Parts<E, M>) -> Self {
        Self {
            row,
            entry,
            home,
            _row: PhantomData,
        }
    }

    /// The same lease with a note that diagnostics know of it.
    #[cfg(feature = "std")]
    pub(crate) fn tracked(mut self) -> Self {
        self.home = self.home.with_notes(self.home.notes() | TRACKED);
        self
    }

    #[inline(always)]
    pub(crate) fn pool(&self) -> &'p VectorPool<E, M> {
        // SAFETY: by 1 it outlives `'p`.
        unsafe { self.home.pool().as_ref() }
    }

    #[cfg(feature = "std")]
    pub(crate) fn entry(&self) -> Entry {
        self.entry
    }

    /// The number of the row; `None` for one outside the capacity.
    pub(crate) fn number(&self) -> Option<usize> {
        let is_inside = self.home.notes() & FALLBACK == 0;
        is_inside.then(|| self.pool().directory.number_of(self.entry))
    }

    /// The row with its tail, which is zero: whole lanes, so that a kernel needs
    /// no code for the rest. Aligned as the pool says.
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let pool = VectorPool::<f32>::new(100, 8)?;
    /// let mut row = pool.try_acquire()?;
    /// row.fill(1.0);
    /// assert_eq!(row.row_padded().len(), 112);
    /// assert_eq!(row.row_padded().iter().sum::<f32>(), 100.0);
    /// assert_eq!(row.row_padded().as_ptr().addr() % 64, 0);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn row_padded(&self) -> &[E] {
        // SAFETY: by 1 and 2 so many elements, borrowed as long as the lease is.
        unsafe { slice::from_raw_parts(self.row.as_ptr(), self.pool().layout.padded()) }
    }

    /// The norm beside the row, to be read or set; `None` if the pool keeps none,
    /// or the row lies outside the capacity. Of unspecified value at first.
    #[must_use]
    pub fn norm_mut(&mut self) -> Option<&mut f32> {
        let number = self.number()?;
        // SAFETY: by 1 the row exists.
        let (norm, _) = unsafe { self.pool().directory.side(number) };
        // SAFETY: it belongs to the row, and so to the lease.
        norm.map(|mut norm| unsafe { norm.as_mut() })
    }

    /// The external id beside the row, to be read or set; otherwise as
    /// [`RowLease::norm_mut`].
    #[must_use]
    pub fn external_id_mut(&mut self) -> Option<&mut u64> {
        let number = self.number()?;
        // SAFETY: by 1 the row exists.
        let (_, id) = unsafe { self.pool().directory.side(number) };
        // SAFETY: it belongs to the row, and so to the lease.
        id.map(|mut id| unsafe { id.as_mut() })
    }

    /// Stores the row: it stays in the pool under the id until it is removed, and
    /// everybody who has the id may read it from now on.
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let pool = VectorPool::<f32>::new(2, 100)?;
    /// let mut row = pool.try_acquire()?;
    /// row.copy_from_slice(&[3.0, 4.0]);
    /// let id = row.store().expect("inside the capacity");
    /// assert_eq!(pool.row(id), Some(&[3.0, 4.0][..]));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// Costs one ordered store.
    ///
    /// # Errors
    ///
    /// Hands the lease back if the row lies outside the capacity, where rows
    /// have no ids.
    #[inline]
    pub fn store(self) -> Result<RowId<E>, Self> {
        let Some(number) = self.number() else {
            return Err(self);
        };
        // SAFETY: by 1 the lease's own.
        let Some(id) = (unsafe { self.pool().open(number) }) else {
            return Err(self);
        };
        // The pool's own from here on.
        let _ = ManuallyDrop::new(self);
        Ok(Id::from_raw(id))
    }
}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// Makes a row live, and answers its id.
    ///
    /// # Safety
    ///
    /// The row exists, and is the caller's own.
    #[inline]
    pub(crate) unsafe fn open(&self, number: usize) -> Option<RawId> {
        // SAFETY: by the caller.
        let place = unsafe { self.directory.generation_of_existing(number) };
        // Nobody else writes it: the row is the caller's.
        place.open(u32::try_from(number).ok()?)
    }
}

/// Tells memory tools that a row is in use, and gives it numbers where they took
/// them away.
///
/// # Safety
///
/// The row is the caller's own.
#[inline(always)]
pub(crate) unsafe fn enliven<E>(row: NonNull<E>, dimension: usize) {
    let bytes = dimension * size_of::<E>();
    // SAFETY: by the caller.
    unsafe { poison::on_lease(row.cast(), bytes) };
    if poison::BLINDS_PATTERN {
        // SAFETY: by the caller; any bytes are numbers.
        unsafe { poison::fill(row.cast(), bytes) };
    }
}

/// Tells memory tools that nobody uses a row. Its tail stays what it is: zero.
///
/// # Safety
///
/// The row is the caller's own, and is not used afterwards.
#[inline(always)]
pub(crate) unsafe fn lay_to_rest<E>(row: NonNull<E>, dimension: usize) {
    // SAFETY: by the caller.
    unsafe { poison::on_release(row.cast(), dimension * size_of::<E>()) };
}

impl<E: Element, M: Mode> Drop for RowLease<'_, E, M> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.home.pool_if_plain() {
            Some(pool) => {
                // SAFETY: by 1 it outlives the lease.
                let pool = unsafe { pool.as_ref() };
                // SAFETY: ours, and dropped.
                unsafe { lay_to_rest(self.row, pool.dimension()) };
                // SAFETY: ours, and not used afterwards.
                unsafe { pool.release(self.entry) };
            }
            // SAFETY: ours, and dropped.
            None => unsafe { release_noted_slow(self.home, self.row, self.entry) },
        }
    }
}

/// Gives back a row with notes. By value, so that a lease whose address nobody
/// takes stays in registers.
///
/// # Safety
///
/// As the invariants of [`RowLease`]; the row is not used afterwards.
#[cold]
#[inline(never)]
unsafe fn release_noted_slow<E: Element, M: Mode>(
    home: Home<VectorPool<E, M>>,
    #[cfg_attr(
        not(feature = "std"),
        expect(unused_variables, reason = "rows are patterned by diagnostics")
    )]
    row: NonNull<E>,
    entry: Entry,
) {
    // SAFETY: alive by the caller.
    let pool = unsafe { home.pool().as_ref() };
    #[cfg(feature = "std")]
    if home.notes() & TRACKED != 0 {
        // Comes home also if a recorder panics.
        let lease = RowLease {
            row,
            entry,
            home: home.without_notes(TRACKED),
            _row: PhantomData,
        };
        pool.engine.strike(entry);
        // A fallback row gets no pattern: another row may lie there next.
        if home.notes() & FALLBACK == 0 {
            // SAFETY: by the caller.
            unsafe { pool.fill_with_pattern(row, entry) };
        }
        return drop(lease);
    }
    debug_assert_eq!(home.notes(), FALLBACK);
    // SAFETY: noted as a fallback row of this pool, which had this layout.
    unsafe { pool.fallback.free(entry, pool.fallback_layout()) };
}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// The layout of a row outside the capacity.
    pub(crate) fn fallback_layout(&self) -> Layout {
        let (bytes, align) = (self.layout.stride_bytes(), self.layout.alignment().bytes());
        Layout::from_size_align(bytes, align)
            .unwrap_or_else(|_| unreachable!("a stride is at most half of the address space"))
    }

    /// Fills a row that is about to be given back with the pattern, if diagnostics
    /// want that.
    ///
    /// # Safety
    ///
    /// The row is the caller's own, inside the capacity.
    #[cfg(feature = "std")]
    pub(crate) unsafe fn fill_with_pattern(&self, row: NonNull<E>, entry: Entry) {
        if self.engine.should_pattern(entry) {
            // SAFETY: by the caller; the tail is not touched.
            unsafe { poison::fill(row.cast(), self.dimension() * size_of::<E>()) };
        }
    }
}

impl<E: Element, M: Mode> Deref for RowLease<'_, E, M> {
    type Target = [E];

    #[inline(always)]
    fn deref(&self) -> &[E] {
        // SAFETY: by 1 and 2, borrowed as long as the lease is.
        unsafe { slice::from_raw_parts(self.row.as_ptr(), self.pool().dimension()) }
    }
}

impl<E: Element, M: Mode> DerefMut for RowLease<'_, E, M> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [E] {
        // SAFETY: by 1 and 2, borrowed mutably as the lease is; the tail is not
        // part of it.
        unsafe { slice::from_raw_parts_mut(self.row.as_ptr(), self.pool().dimension()) }
    }
}

impl<E: Element, M: Mode> AsRef<[E]> for RowLease<'_, E, M> {
    fn as_ref(&self) -> &[E] {
        self
    }
}

impl<E: Element, M: Mode> AsMut<[E]> for RowLease<'_, E, M> {
    fn as_mut(&mut self) -> &mut [E] {
        self
    }
}

impl<E: Element, M: Mode> Borrow<[E]> for RowLease<'_, E, M> {
    fn borrow(&self) -> &[E] {
        self
    }
}

impl<E: Element, M: Mode> BorrowMut<[E]> for RowLease<'_, E, M> {
    fn borrow_mut(&mut self) -> &mut [E] {
        self
    }
}

impl<E: Element, M: Mode> PartialEq for RowLease<'_, E, M> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<E: Element, M: Mode> PartialEq<[E]> for RowLease<'_, E, M> {
    fn eq(&self, other: &[E]) -> bool {
        **self == *other
    }
}

impl<E: Element, M: Mode> fmt::Debug for RowLease<'_, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
