//! The pool.

use crate::directory::Directory;
use crate::element::Element;
use crate::layout::{RowLayout, ShapeError};
use crate::rows::{Plan, Rows};
use crate::spare::Spare;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use millpond_core::engine::{Engine, Local, Mode, Released};
use millpond_core::entry::Entry;
use millpond_core::exhaustion::{Exhaustion, Fallback};
#[cfg(feature = "std")]
use millpond_core::observe::RegionFigures;
use millpond_core::observe::{Observation, Observe, Sampled, Tune};
use millpond_core::trim::{Level, Trim, TrimReport};

#[cfg(feature = "std")]
use millpond_core::budget::Membership;
#[cfg(feature = "std")]
use millpond_core::diagnostics::{Diagnosis, Holder};
#[cfg(feature = "std")]
use millpond_core::engine::Shared;

/// A pool of rows of numbers: aligned, padded with zeros, never moved.
///
/// `M` says who uses it: [`Shared`](crate::Shared), any number of threads, or
/// [`Local`], one.
///
/// ```
/// use millpond_vector::VectorPool;
///
/// let mut pool = VectorPool::<f32>::new(3, 1000)?;
///
/// // A lease is a row for as long as it is held.
/// let mut query = pool.try_acquire()?;
/// query.copy_from_slice(&[1.0, 2.0, 3.0]);
/// assert_eq!(query.row_padded().len(), 16); // The rest is zero.
/// drop(query);
///
/// // A stored row stays until it is removed by its id.
/// let id = pool.insert(&[4.0, 5.0, 6.0])?;
/// assert_eq!(pool.row(id), Some(&[4.0, 5.0, 6.0][..]));
/// assert!(pool.remove(id));
/// assert_eq!(pool.row(id), None);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. Entries of `engine` are those of rows of `directory`, which lie in
///    slabs of `layout`: initialised, aligned, and zero behind `dimension`.
/// 2. A row is used by one lease, from its acquire to its release; or it is
///    *stored*, and its generation is live; or it is free, and nobody's.
/// 3. A stored row is written to, or ceases to be stored, through `&mut self`
///    only.
pub struct VectorPool<E: Element, M: Mode = DefaultMode> {
    pub(crate) engine: M::Engine<Rows>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) layout: RowLayout,
    pub(crate) most_batch: usize,
    pub(crate) policy: Exhaustion,
    pub(crate) fallback: Fallback,
    spare: Spare,
    /// Through which the budget asks a pool that is shared to trim.
    #[cfg(feature = "std")]
    pub(crate) member: Option<Membership>,
    _rows: PhantomData<fn() -> E>,
}

/// The mode of a pool that names none.
#[cfg(feature = "std")]
pub(crate) type DefaultMode = Shared;
/// The mode of a pool that names none.
#[cfg(not(feature = "std"))]
pub(crate) type DefaultMode = Local;

/// A pool for one thread: the same interface, and no atomic operation to acquire
/// and release.
///
/// ```
/// use millpond_vector::LocalVectorPool;
///
/// let pool = LocalVectorPool::<u8>::new_local(100, 16)?;
/// assert!(pool.acquire_zeroed()?.iter().all(|&code| code == 0));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub type LocalVectorPool<E> = VectorPool<E, Local>;

// A panic of the user's leaves a row half written at worst, and rows are plain
// numbers.
impl<E: Element, M: Mode> core::panic::UnwindSafe for VectorPool<E, M> {}
impl<E: Element, M: Mode> core::panic::RefUnwindSafe for VectorPool<E, M> {}

#[cfg(feature = "std")]
impl<E: Element> VectorPool<E, Shared> {
    /// A pool of at most `capacity` rows of `dimension` elements, 64-byte
    /// aligned, for any number of threads. [`VectorPool::builder`] has more
    /// choices.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if such rows cannot be.
    pub fn new(dimension: usize, capacity: usize) -> Result<Self, ShapeError> {
        Self::builder(dimension).capacity(capacity).build()
    }

    /// Switches diagnostics while the pool is in use; see
    /// [`millpond_core::diagnostics`] for the levels and what they cost.
    pub fn set_diagnosis(&self, level: Diagnosis) {
        self.engine.set_diagnosis(level);
    }

    /// Everybody of whom diagnostics have a record, longest holder first. Rows
    /// that were stored by a lease stay on record until they are removed.
    pub fn holders(&self) -> Vec<Holder> {
        self.engine.holders()
    }
}

impl<E: Element> VectorPool<E, Local> {
    /// A pool of at most `capacity` rows of `dimension` elements, 64-byte
    /// aligned, for one thread. [`VectorPool::local_builder`] has more choices.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if such rows cannot be.
    pub fn new_local(dimension: usize, capacity: usize) -> Result<Self, ShapeError> {
        Self::local_builder(dimension)
            .capacity(capacity)
            .build_local()
    }
}

impl<E: Element, M: Mode> VectorPool<E, M> {
    pub(crate) fn over(
        engine: M::Engine<Rows>,
        directory: Arc<Directory>,
        plan: &Plan,
        policy: Exhaustion,
        fallback: Fallback,
    ) -> Self {
        Self {
            engine,
            directory,
            layout: plan.layout,
            most_batch: plan.full_rows(),
            policy,
            fallback,
            spare: plan.spare(),
            #[cfg(feature = "std")]
            member: None,
            _rows: PhantomData,
        }
    }

    /// Elements of a row.
    #[inline(always)]
    #[must_use]
    pub const fn dimension(&self) -> usize {
        self.layout.dimension()
    }

    /// Where the elements of a row are, and where the next row begins.
    #[must_use]
    pub const fn layout(&self) -> &RowLayout {
        &self.layout
    }

    /// Makes up to `count` rows ahead of traffic, stored and leased ones not
    /// included, and answers how many are ready. While it runs others find those
    /// rows leased. Pages are touched at their first use, unless the pool
    /// [prefaults](crate::Builder::prefault).
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let pool = VectorPool::<f32>::new(768, 100)?;
    /// assert_eq!(pool.warm_up(80), 80);
    /// assert_eq!(pool.warm_up(1000), 100);
    /// assert_eq!(pool.stats().in_use, 0);
    /// # Ok::<(), millpond_vector::ShapeError>(())
    /// ```
    pub fn warm_up(&self, count: usize) -> usize {
        let mut ready = Vec::new();
        let count = count.min(self.capacity());
        if ready.try_reserve(count).is_err() {
            return 0;
        }
        while ready.len() < count {
            let Ok(row) = self.try_acquire() else { break };
            ready.push(row);
        }
        ready.len()
    }

    /// How many rows the pool may have.
    pub fn capacity(&self) -> usize {
        self.engine.observe().capacity
    }

    /// All figures. `in_use` counts leased and stored rows.
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let pool = VectorPool::<f32>::new(768, 100)?;
    /// let lease = pool.try_acquire()?;
    /// pool.insert(&[0.5; 768])?;
    /// let stats = pool.stats();
    /// assert_eq!(stats.in_use, 2);
    /// assert_eq!(stats.used_bytes, 2 * 768 * 4);
    /// # drop(lease);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Observation {
        let mut figures = self.engine.observe();
        let stride = self.layout.stride_bytes();
        figures.fallback_in_use = self.fallback.in_use();
        figures.fallbacks = self.fallback.total() as u64;
        figures.held_bytes += figures.fallback_in_use * stride;
        figures.used_bytes =
            (figures.in_use + figures.fallback_in_use) * self.dimension() * size_of::<E>();
        let rows = (figures.created + figures.fallback_in_use) * stride;
        figures.wasted_bytes = figures.held_bytes.saturating_sub(rows);
        figures.machinery_bytes += self.directory.bytes();
        figures
    }

    /// Gives memory back: slabs whose rows are all free, wherever those are
    /// cached. Ids of such rows stay stale.
    ///
    /// ```
    /// use millpond_vector::{Level, VectorPool};
    ///
    /// let pool = VectorPool::<f32>::new(768, 1000)?;
    /// let burst: Vec<_> = (0..1000).map(|_| pool.try_acquire()).collect();
    /// drop(burst);
    /// assert_eq!(pool.trim(Level::Full).freed_items, 1000);
    /// assert_eq!(pool.stats().held_bytes, 0);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn trim(&self, level: Level) -> TrimReport {
        self.engine.trim(level)
    }

    /// After a removal: gives slabs back that emptied, but for the spare rows.
    #[inline]
    pub(crate) fn count_removal(&mut self) {
        if self.spare.is_time() {
            self.give_back_surplus();
        }
    }

    #[cold]
    #[inline(never)]
    fn give_back_surplus(&mut self) {
        let figures = self.engine.observe();
        let in_use = figures.in_use;
        let mut free = figures.created.saturating_sub(in_use);
        if let Some(left) = self.spare.to_leave(free, in_use) {
            let leaving = self.directory.leave(left);
            free -= self.trim(Level::Moderate).freed_items.min(free);
            drop(leaving);
        }
        self.spare.look_later(free, in_use);
    }

    /// Changes the capacity while rows are out. Rows beyond a lower one stay
    /// until they are released; a trim then gives them back.
    pub fn set_capacity(&self, rows: usize) {
        self.engine.set_capacity(rows);
    }

    /// Gives a row back to the engine.
    ///
    /// # Safety
    ///
    /// The row is the caller's, and is not used afterwards.
    #[inline(always)]
    pub(crate) unsafe fn release(&self, entry: Entry) {
        // SAFETY: alive as long as `self` is borrowed; ours by the caller.
        let released = unsafe { Engine::release(&raw const self.engine, entry) };
        debug_assert_eq!(released, Released::Home, "a borrowed pool is no orphan");
    }
}

impl<E: Element, M: Mode> Drop for VectorPool<E, M> {
    /// Takes the stored and the retired rows off the engine's books, which keeps
    /// all memory if it misses an item. They are counted and not released one by
    /// one: that was a fifth of the life of a store of a million rows.
    fn drop(&mut self) {
        let slabs = (0..self.directory.len()).filter_map(|slab| self.directory.head(slab));
        let kept = slabs.flat_map(|head| head.generations()).filter(|place| {
            let generation = place.generation();
            generation.is_live() || generation.is_retired()
        });
        let kept = kept.count();
        // SAFETY: stored and retired rows are the pool's own, and borrowed by
        // nobody: it is dropped.
        unsafe { self.engine.disown(kept) };
    }
}

impl<E: Element, M: Mode> Observe for VectorPool<E, M> {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn observe(&self) -> Observation {
        self.stats()
    }

    fn kind(&self) -> &'static str {
        "vector"
    }

    fn sampled(&self) -> Sampled {
        self.engine.sampled()
    }

    #[cfg(feature = "std")]
    fn holders(&self) -> Vec<Holder> {
        Engine::holders(&self.engine)
    }

    #[cfg(feature = "std")]
    fn regions(&self) -> Vec<RegionFigures> {
        Engine::regions(&self.engine)
    }
}

impl<E: Element, M: Mode> Trim for VectorPool<E, M> {
    fn trim(&self, level: Level) -> TrimReport {
        Self::trim(self, level)
    }
}

impl<E: Element, M: Mode> Tune for VectorPool<E, M> {
    fn set_capacity(&self, capacity: usize) {
        Self::set_capacity(self, capacity);
    }
}

impl<E: Element, M: Mode> fmt::Debug for VectorPool<E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.stats();
        f.debug_struct("VectorPool")
            .field("name", &self.engine.name())
            .field("element", &E::NAME)
            .field("layout", &self.layout)
            .field("capacity", &figures.capacity)
            .field("in_use", &figures.in_use)
            .field("created", &figures.created)
            .finish_non_exhaustive()
    }
}
