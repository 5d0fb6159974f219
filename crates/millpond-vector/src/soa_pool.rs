//! Pools of structure-of-arrays blocks.

use crate::element::Element;
use crate::layout::ShapeError;
use crate::lease::RowLease;
use crate::pool::{DefaultMode, VectorPool};
use crate::soa::{Column, Lane, LaneError, Soa};
use core::fmt;
use core::ops::Deref;
use millpond_core::engine::{Local, Mode};
use millpond_core::error::AcquireError;
use millpond_core::observe::Observation;

#[cfg(feature = "std")]
use millpond_core::engine::Shared;

/// Blocks of a pool that says nothing else: 128 records in flight at 8 lanes.
pub const DEFAULT_BLOCKS: usize = 16;

/// A pool of [`Soa`] blocks, last in, first out. Its blocks are rows of a
/// [`VectorPool`], so every column is 64-byte aligned.
///
/// ```
/// use millpond_vector::Triples8Pool;
///
/// let pool = Triples8Pool::new()?;
/// let mut run = pool.try_acquire()?;
/// run.push([1, 2, 3])?;
/// run.push([1, 5, 3])?;
/// assert_eq!(run.match_mask([Some(1), None, Some(3)]), 0b11);
/// assert_eq!(run.match_mask([Some(0), None, None]), 0, "unused lanes do not match");
/// assert_eq!(pool.capacity_usage().to_string(), "1 of 16 in use");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct SoaPool<E: Element, const FIELDS: usize, const LANES: usize, M: Mode = DefaultMode> {
    rows: VectorPool<E, M>,
}

/// A pool of blocks of eight triples.
pub type Triples8Pool<M = DefaultMode> = SoaPool<u64, 3, 8, M>;

/// A leased block of eight triples.
pub type Triples8Lease<'p, M = DefaultMode> = SoaLease<'p, u64, 3, 8, M>;

/// How much of a capacity is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityUsage {
    /// Items in use.
    pub in_use: usize,
    /// Items that there may be.
    pub total: usize,
}

impl fmt::Display for CapacityUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} in use", self.in_use, self.total)
    }
}

/// Elements of a block, padding of columns included.
const fn elements<E, const FIELDS: usize, const LANES: usize>() -> usize {
    FIELDS * (size_of::<Column<E, LANES>>() / size_of::<E>())
}

#[cfg(feature = "std")]
impl<E: Element, const FIELDS: usize, const LANES: usize> SoaPool<E, FIELDS, LANES, Shared> {
    /// A pool of 16 blocks for any number of threads.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Empty`] if a block has no elements.
    pub fn new() -> Result<Self, ShapeError> {
        Self::with_capacity(DEFAULT_BLOCKS)
    }

    /// A pool of `blocks` blocks for any number of threads.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if such blocks cannot be.
    pub fn with_capacity(blocks: usize) -> Result<Self, ShapeError> {
        let rows = VectorPool::new(elements::<E, FIELDS, LANES>(), blocks)?;
        Ok(Self { rows })
    }
}

impl<E: Element, const FIELDS: usize, const LANES: usize> SoaPool<E, FIELDS, LANES, Local> {
    /// A pool of `blocks` blocks for one thread.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if such blocks cannot be.
    pub fn new_local(blocks: usize) -> Result<Self, ShapeError> {
        let rows = VectorPool::new_local(elements::<E, FIELDS, LANES>(), blocks)?;
        Ok(Self { rows })
    }
}

impl<E: Element, const FIELDS: usize, const LANES: usize, M: Mode> SoaPool<E, FIELDS, LANES, M> {
    /// Acquires a block of zeros without live lanes.
    ///
    /// # Errors
    ///
    /// The limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self) -> Result<SoaLease<'_, E, FIELDS, LANES, M>, AcquireError> {
        let mut row = self.rows.try_acquire()?;
        row.fill(E::ZERO);
        Ok(SoaLease { row, live: 0 })
    }

    /// Acquires a block and puts `records` into it.
    ///
    /// # Errors
    ///
    /// [`LoadError::Lanes`] for more records than a block has lanes, before a
    /// block is acquired; [`LoadError::Acquire`] if there is none.
    #[track_caller]
    pub fn try_load(
        &self,
        records: &[[E; FIELDS]],
    ) -> Result<SoaLease<'_, E, FIELDS, LANES, M>, LoadError> {
        if records.len() > LANES {
            return Err(LoadError::Lanes(LaneError::InvalidSize {
                wanted: records.len(),
                lanes: LANES,
            }));
        }
        let mut block = self.try_acquire().map_err(LoadError::Acquire)?;
        for &record in records {
            block.push(record).map_err(LoadError::Lanes)?;
        }
        Ok(block)
    }

    /// How many blocks are leased, of how many.
    pub fn capacity_usage(&self) -> CapacityUsage {
        let figures = self.stats();
        CapacityUsage {
            in_use: figures.in_use,
            total: figures.capacity,
        }
    }

    /// All figures.
    pub fn stats(&self) -> Observation {
        self.rows.stats()
    }

    /// The rows that the blocks are.
    pub const fn rows(&self) -> &VectorPool<E, M> {
        &self.rows
    }
}

impl<E: Element, const FIELDS: usize, const LANES: usize, M: Mode> fmt::Debug
    for SoaPool<E, FIELDS, LANES, M>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoaPool")
            .field("element", &E::NAME)
            .field("fields", &FIELDS)
            .field("lanes", &LANES)
            .field("usage", &self.capacity_usage())
            .finish()
    }
}

/// Why a block could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// There are more records than lanes.
    Lanes(LaneError),
    /// There was no block.
    Acquire(AcquireError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lanes(error) => error.fmt(f),
            Self::Acquire(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LoadError {}

/// A leased block, and which of its lanes are live. Dropping it gives the block
/// back. The block can be read through it; lanes change by [`SoaLease::push`] and
/// [`SoaLease::remove`], so that those that are not live are zero.
#[must_use = "dropping a block at once gives it back"]
pub struct SoaLease<'p, E: Element, const FIELDS: usize, const LANES: usize, M: Mode = DefaultMode>
{
    row: RowLease<'p, E, M>,
    live: u64,
}

impl<E: Element, const FIELDS: usize, const LANES: usize, M: Mode>
    SoaLease<'_, E, FIELDS, LANES, M>
{
    /// All lanes.
    const ALL: u64 = u64::MAX >> (64 - LANES);

    /// How many lanes are live.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.live.count_ones() as usize
    }

    /// Whether no lane is live.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// A bit for each live lane.
    #[inline]
    #[must_use]
    pub const fn live(&self) -> u64 {
        self.live
    }

    /// Puts a record into the first lane that is not live; answers which.
    ///
    /// # Errors
    ///
    /// [`LaneError::Full`] if all lanes are live.
    #[inline]
    pub fn push(&mut self, record: [E; FIELDS]) -> Result<Lane<LANES>, LaneError> {
        let free = !self.live & Self::ALL;
        if free == 0 {
            return Err(LaneError::Full { lanes: LANES });
        }
        let lane = Lane::new(free.trailing_zeros() as usize)?;
        self.block_mut().set_record(lane, record);
        self.live |= lane.bit();
        Ok(lane)
    }

    /// The record in a lane, if it is live.
    #[inline]
    #[must_use]
    pub fn get(&self, lane: Lane<LANES>) -> Option<[E; FIELDS]> {
        (self.live & lane.bit() != 0).then(|| self.record(lane))
    }

    /// Takes the record out of a lane; the lane is zero afterwards.
    pub fn remove(&mut self, lane: Lane<LANES>) -> Option<[E; FIELDS]> {
        let record = self.get(lane)?;
        self.block_mut().set_record(lane, [E::ZERO; FIELDS]);
        self.live &= !lane.bit();
        Some(record)
    }

    /// Takes all records out.
    pub fn clear(&mut self) {
        // The row, and not the block: a copy of a block leaves what lies between
        // columns undefined, and rows are numbers throughout.
        self.row.fill(E::ZERO);
        self.live = 0;
    }

    /// As [`Soa::match_mask`], over live lanes only.
    #[inline]
    #[must_use]
    pub fn match_mask(&self, pattern: [Option<E>; FIELDS]) -> u64 {
        (**self).match_mask(pattern) & self.live
    }

    /// The block, of which single elements may be written.
    fn block_mut(&mut self) -> &mut Soa<E, FIELDS, LANES> {
        debug_assert_eq!(size_of_val(&*self.row), size_of::<Soa<E, FIELDS, LANES>>());
        let block = self.row.as_mut_ptr().cast();
        // SAFETY: the row is 64-byte aligned, as long as a block, and of the
        // block's elements. Callers write columns and not whole blocks, so that
        // what lies between columns stays initialised.
        unsafe { &mut *block }
    }
}

impl<E: Element, const FIELDS: usize, const LANES: usize, M: Mode> Deref
    for SoaLease<'_, E, FIELDS, LANES, M>
{
    type Target = Soa<E, FIELDS, LANES>;

    #[inline]
    fn deref(&self) -> &Soa<E, FIELDS, LANES> {
        let block = self.row.as_ptr().cast();
        // SAFETY: as in `block_mut`.
        unsafe { &*block }
    }
}

impl<E: Element, const FIELDS: usize, const LANES: usize, M: Mode> fmt::Debug
    for SoaLease<'_, E, FIELDS, LANES, M>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = (0..LANES).filter_map(|lane| self.get(Lane::new(lane).ok()?));
        f.debug_list().entries(lanes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of blocks are rows like all others: every byte of them is a number.
    #[test]
    fn what_lies_between_columns_stays_initialised() {
        let pool = SoaPool::<u8, 2, 3, Local>::new_local(1).expect("a small block");
        let mut block = pool.try_load(&[[1, 2]; 3]).expect("free");
        block.clear();
        block.push([3, 4]).expect("cleared");
        let expected = |at: usize| [3, 4].get(at / 64).copied().filter(|_| at % 64 == 0);
        for (at, &number) in block.row.iter().enumerate() {
            assert_eq!(number, expected(at).unwrap_or(0));
        }
    }
}
