//! Scratch buffers: aligned slices of any length, for queries and temporaries.

use crate::element::Element;
use crate::layout::{Alignment, RowLayout, ShapeError, Spread};
use crate::lease::RowLease;
use crate::pool::{DefaultMode, VectorPool};
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};
use millpond_core::engine::{Engine, Local, Mode};
use millpond_core::error::{AcquireError, Limit};
use millpond_core::observe::Observation;
use millpond_core::trim::{Level, TrimReport};

#[cfg(feature = "std")]
use millpond_core::engine::Shared;

/// Bytes of the smallest class: one line of the cache.
const SMALLEST_BYTES: usize = 64;

/// A pool of aligned buffers whose length is chosen at each acquire.
///
/// Lengths are served by classes, each twice as long as the one before and a
/// [`VectorPool`] of its own: a buffer wastes less than half of its class.
///
/// ```
/// use millpond_vector::{ScratchPool, VectorPool, kernel};
///
/// let rows = VectorPool::<f32>::new(100, 1000)?;
/// let scratch = ScratchPool::<f32>::new(4096, 8)?;
///
/// let mut query = scratch.acquire(100)?;
/// query.fill(0.5);
/// let id = rows.insert(&[2.0; 100])?;
/// let row = rows.row_padded(id).expect("stored");
/// // Padded as rows are, so that both have whole lanes.
/// assert_eq!(kernel::dot(query.padded(), row), 100.0);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct ScratchPool<E: Element, M: Mode = DefaultMode> {
    /// Class `i` is for lengths up to `smallest << i`.
    classes: Vec<VectorPool<E, M>>,
}

/// Elements of the smallest class.
const fn smallest<E>() -> usize {
    SMALLEST_BYTES / size_of::<E>()
}

/// The class of a length.
fn class_of<E>(len: usize) -> usize {
    let smallest = smallest::<E>();
    let blocks = len.div_ceil(smallest).max(1);
    // A length beyond half of all numbers has no next power of two, and no class.
    let blocks = blocks.checked_next_power_of_two();
    blocks.map_or(usize::BITS as usize, |blocks| blocks.ilog2() as usize)
}

#[cfg(feature = "std")]
impl<E: Element> ScratchPool<E, Shared> {
    /// Buffers of up to `longest` elements, at most `at_most` of each class, for
    /// any number of threads.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if such buffers cannot be.
    pub fn new(longest: usize, at_most: usize) -> Result<Self, ShapeError> {
        Self::of(longest, |dimension| VectorPool::new(dimension, at_most))
    }
}

impl<E: Element> ScratchPool<E, Local> {
    /// As [`ScratchPool::new`], for one thread.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if such buffers cannot be.
    pub fn new_local(longest: usize, at_most: usize) -> Result<Self, ShapeError> {
        Self::of(longest, |dimension| {
            VectorPool::new_local(dimension, at_most)
        })
    }
}

impl<E: Element, M: Mode> ScratchPool<E, M> {
    fn of(
        longest: usize,
        class: impl Fn(usize) -> Result<VectorPool<E, M>, ShapeError>,
    ) -> Result<Self, ShapeError> {
        // The same checks, and the same words, as for a row of this length.
        RowLayout::new::<E>(longest, Alignment::Bytes64, Spread::Packed)?;
        let classes = (0..=class_of::<E>(longest)).map(|i| class(smallest::<E>() << i));
        Ok(Self {
            classes: classes.collect::<Result<_, _>>()?,
        })
    }

    /// The longest buffer, in elements.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.classes.last().map_or(0, VectorPool::dimension)
    }

    /// Acquires a buffer of `len` elements of unspecified value.
    ///
    /// Costs what [`VectorPool::try_acquire`] costs, and the zeroing of what is
    /// missing to a whole line.
    ///
    /// # Errors
    ///
    /// `Limit::Capacity` if all buffers of its class are leased, `Limit::Memory`
    /// if `len` is beyond [`ScratchPool::longest`].
    #[inline]
    #[track_caller]
    pub fn acquire(&self, len: usize) -> Result<AlignedBuf<'_, E, M>, AcquireError> {
        let Some(class) = self.classes.get(class_of::<E>(len)) else {
            return Err(self.too_long(len));
        };
        let mut row = class.try_acquire()?;
        let padded = len.next_multiple_of(smallest::<E>());
        row[len..padded].fill(E::ZERO);
        Ok(AlignedBuf { row, len, padded })
    }

    /// As [`ScratchPool::acquire`], with every element zero.
    ///
    /// # Errors
    ///
    /// As [`ScratchPool::acquire`].
    #[track_caller]
    pub fn acquire_zeroed(&self, len: usize) -> Result<AlignedBuf<'_, E, M>, AcquireError> {
        let mut buffer = self.acquire(len)?;
        buffer.fill(E::ZERO);
        Ok(buffer)
    }

    #[cold]
    fn too_long(&self, len: usize) -> AcquireError {
        let bytes = len.saturating_mul(size_of::<E>());
        let last = self.classes.last();
        let figures = last.map(|class| class.engine.observe()).unwrap_or_default();
        AcquireError::new(
            "",
            Limit::Memory { bytes },
            figures.capacity,
            figures.in_use,
            0,
        )
    }

    /// The figures of each class, smallest first.
    pub fn stats(&self) -> impl Iterator<Item = (usize, Observation)> {
        self.classes
            .iter()
            .map(|class| (class.dimension(), class.stats()))
    }

    /// Gives memory back, of all classes.
    pub fn trim(&self, level: Level) -> TrimReport {
        let reports = self.classes.iter().map(|class| class.trim(level));
        reports.fold(TrimReport::default(), TrimReport::merge)
    }
}

impl<E: Element, M: Mode> fmt::Debug for ScratchPool<E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScratchPool")
            .field("element", &E::NAME)
            .field("longest", &self.longest())
            .finish_non_exhaustive()
    }
}

/// An aligned buffer, leased: a slice of the length that was asked for, 64-byte
/// aligned. Dropping it gives it back.
///
/// # Invariants
///
/// 1. `len <= padded <= row.len()`, and the elements between `len` and `padded`
///    are zero.
#[must_use = "dropping a buffer at once gives it back"]
pub struct AlignedBuf<'p, E: Element, M: Mode = DefaultMode> {
    row: RowLease<'p, E, M>,
    len: usize,
    padded: usize,
}

impl<E: Element, M: Mode> AlignedBuf<'_, E, M> {
    /// The buffer with zeros up to a whole line, as a row of the same dimension
    /// has them.
    #[inline]
    #[must_use]
    pub fn padded(&self) -> &[E] {
        &self.row[..self.padded]
    }

    /// How long it could be, in elements.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.row.len()
    }
}

impl<E: Element, M: Mode> Deref for AlignedBuf<'_, E, M> {
    type Target = [E];

    #[inline]
    fn deref(&self) -> &[E] {
        &self.row[..self.len]
    }
}

impl<E: Element, M: Mode> DerefMut for AlignedBuf<'_, E, M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [E] {
        &mut self.row[..self.len]
    }
}

impl<E: Element, M: Mode> AsRef<[E]> for AlignedBuf<'_, E, M> {
    fn as_ref(&self) -> &[E] {
        self
    }
}

impl<E: Element, M: Mode> AsMut<[E]> for AlignedBuf<'_, E, M> {
    fn as_mut(&mut self) -> &mut [E] {
        self
    }
}

impl<E: Element, M: Mode> fmt::Debug for AlignedBuf<'_, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
