//! Structure-of-arrays blocks: a few records, stored by column.
//!
//! ```text
//!   Triples8   s │ s0 s1 s2 s3 s4 s5 s6 s7 │   64 bytes, one line, one register
//!   192 bytes  p │ p0 p1 p2 p3 p4 p5 p6 p7 │
//!              o │ o0 o1 o2 o3 o4 o5 o6 o7 │
//!           live │  1  1  1  0  0  0  0  0 │   in the lease, not in the block
//! ```

use crate::element::Element;
use core::fmt;
use core::ops::Index;

/// One column: `LANES` elements on lines of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Column<E, const LANES: usize>(pub [E; LANES]);

/// `FIELDS` columns of `LANES` elements, each 64-byte aligned.
///
/// ```
/// use millpond_vector::{Soa, Triples8};
///
/// assert_eq!(size_of::<Triples8>(), 192);
/// assert_eq!(align_of::<Triples8>(), 64);
/// assert_eq!(size_of::<Soa<f32, 2, 16>>(), 128);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Soa<E, const FIELDS: usize, const LANES: usize> {
    columns: [Column<E, LANES>; FIELDS],
}

/// Eight triples: subjects, predicates and objects, a line each.
pub type Triples8 = Soa<u64, 3, 8>;

impl<E: Element, const FIELDS: usize, const LANES: usize> Soa<E, FIELDS, LANES> {
    /// A block of zeros.
    pub const ZERO: Self = Self {
        columns: [Column([E::ZERO; LANES]); FIELDS],
    };

    /// The elements of a field, one for each lane.
    ///
    /// # Panics
    ///
    /// If there is no such field.
    #[inline]
    #[must_use]
    pub const fn column(&self, field: usize) -> &[E; LANES] {
        &self.columns[field].0
    }

    /// The elements of a field, to be written.
    ///
    /// # Panics
    ///
    /// If there is no such field.
    #[inline]
    #[must_use]
    pub const fn column_mut(&mut self, field: usize) -> &mut [E; LANES] {
        &mut self.columns[field].0
    }

    /// The record in a lane.
    #[inline]
    #[must_use]
    pub fn record(&self, lane: Lane<LANES>) -> [E; FIELDS] {
        core::array::from_fn(|field| self.columns[field].0[lane.index()])
    }

    /// Puts a record into a lane.
    #[inline]
    pub fn set_record(&mut self, lane: Lane<LANES>, record: [E; FIELDS]) {
        for (column, value) in self.columns.iter_mut().zip(record) {
            column.0[lane.index()] = value;
        }
    }

    /// Compares every lane with a pattern at once: bit `i` says that lane `i` has
    /// the wanted element in every field for which one is wanted.
    ///
    /// ```
    /// use millpond_vector::{Lane, Triples8};
    ///
    /// let mut block = Triples8::ZERO;
    /// block.set_record(Lane::new(2)?, [7, 1, 9]);
    /// assert_eq!(block.match_mask([Some(7), None, Some(9)]), 0b100);
    /// # Ok::<(), millpond_vector::LaneError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn match_mask(&self, pattern: [Option<E>; FIELDS]) -> u64 {
        const { assert!(LANES <= 64, "a mask has a bit for each lane") };
        let mut matches = [true; LANES];
        for (column, wanted) in self.columns.iter().zip(pattern) {
            if let Some(wanted) = wanted {
                for (matches, &element) in matches.iter_mut().zip(&column.0) {
                    *matches &= element == wanted;
                }
            }
        }
        let bits = matches.iter().enumerate();
        bits.fold(0, |mask, (lane, &matches)| {
            mask | u64::from(matches) << lane
        })
    }
}

impl<E: Element, const FIELDS: usize, const LANES: usize> Default for Soa<E, FIELDS, LANES> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<E, const FIELDS: usize, const LANES: usize> Index<usize> for Soa<E, FIELDS, LANES> {
    type Output = [E; LANES];

    fn index(&self, field: usize) -> &[E; LANES] {
        &self.columns[field].0
    }
}

/// The index of a lane, of which there are `LANES`.
///
/// ```
/// use millpond_vector::Lane;
///
/// let last = Lane::<8>::new(7)?;
/// assert_eq!((last.index(), last.bit()), (7, 0b1000_0000));
/// assert!(Lane::<8>::new(8).is_err());
/// # Ok::<(), millpond_vector::LaneError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane<const LANES: usize>(u8);

impl<const LANES: usize> Lane<LANES> {
    /// Lane `index`.
    ///
    /// # Errors
    ///
    /// [`LaneError::InvalidSize`] if there is no such lane.
    pub const fn new(index: usize) -> Result<Self, LaneError> {
        const { assert!(LANES <= 64, "a mask has a bit for each lane") };
        if index >= LANES {
            return Err(LaneError::InvalidSize {
                wanted: index.saturating_add(1),
                lanes: LANES,
            });
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 64")]
        return Ok(Self(index as u8));
    }

    /// The index.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The bit of this lane in a mask.
    #[inline]
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self.0
    }
}

/// Why records did not go into a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaneError {
    /// More lanes were asked for than a block has.
    InvalidSize {
        /// How many were asked for.
        wanted: usize,
        /// How many a block has.
        lanes: usize,
    },
    /// Every lane of the block is live.
    Full {
        /// How many a block has.
        lanes: usize,
    },
}

impl fmt::Display for LaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidSize { wanted, lanes } => {
                write!(f, "{wanted} lanes were asked for, but a block has {lanes}")
            }
            Self::Full { lanes } => write!(f, "all {lanes} lanes of the block are live"),
        }
    }
}

impl core::error::Error for LaneError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_lie_on_lines_of_their_own() {
        let block = Soa::<f32, 3, 8>::ZERO;
        for field in 0..3 {
            assert_eq!(block.column(field).as_ptr().addr() % 64, 0);
        }
        assert_eq!(size_of::<Soa<f32, 3, 8>>(), 192);
    }

    #[test]
    fn masks_agree_with_a_comparison_lane_by_lane() {
        let mut block = Triples8::ZERO;
        for lane in 0..8 {
            let number = lane as u64;
            block.set_record(Lane::new(lane).unwrap(), [number % 2, number % 3, number]);
        }
        for s in [None, Some(0), Some(1), Some(9)] {
            for p in [None, Some(0), Some(2)] {
                for o in [None, Some(4)] {
                    let expected = (0..8)
                        .filter(|&lane| {
                            let record = block.record(Lane::new(lane).unwrap());
                            [s, p, o]
                                .iter()
                                .zip(record)
                                .all(|(wanted, is)| wanted.is_none_or(|wanted| wanted == is))
                        })
                        .fold(0, |mask, lane| mask | 1 << lane);
                    assert_eq!(block.match_mask([s, p, o]), expected);
                }
            }
        }
    }

    #[test]
    fn a_ninth_lane_does_not_exist() {
        let refused = Lane::<8>::new(8).unwrap_err();
        let expected = LaneError::InvalidSize {
            wanted: 9,
            lanes: 8,
        };
        assert_eq!(refused, expected);
    }
}
