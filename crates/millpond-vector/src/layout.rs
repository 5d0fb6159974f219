//! Row layout: plain arithmetic, so that it can be tested for every input.
//!
//! ```text
//!   0            dimension       padded          stride
//!   ├────────────────┼───────────────┼───────────────┤
//!   │ the user's     │ tail: zero    │ gap: zero,    │ next row
//!   │                │               │ prefix scans  │
//!   ├────────────────┴───────────────┴───────────────┤
//!   ▲ a multiple of the alignment                    ▲
//! ```
#![forbid(unsafe_code)]

use core::fmt;

/// The alignment of every row, in bytes.
///
/// 64 is a line of the processor's cache and a register of AVX-512: rows that
/// start elsewhere cost such kernels 6 to 7 % (November 2026, 2-core virtual
/// machine, Zen 5). Smaller alignments save padding for small dimensions.
///
/// With the feature `serde` it is written as that number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "usize", try_from = "usize"))]
#[non_exhaustive]
pub enum Alignment {
    /// 16 bytes: SSE, NEON.
    Bytes16,
    /// 32 bytes: AVX2.
    Bytes32,
    /// 64 bytes: AVX-512, a line.
    #[default]
    Bytes64,
    /// 128 bytes: two lines, which many processors fetch together.
    Bytes128,
}

impl Alignment {
    /// All of them, smallest first.
    pub const ALL: [Self; 4] = [Self::Bytes16, Self::Bytes32, Self::Bytes64, Self::Bytes128];

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Bytes16 => 16,
            Self::Bytes32 => 32,
            Self::Bytes64 => 64,
            Self::Bytes128 => 128,
        }
    }
}

impl From<Alignment> for usize {
    fn from(align: Alignment) -> Self {
        align.bytes()
    }
}

impl TryFrom<usize> for Alignment {
    type Error = ShapeError;

    fn try_from(bytes: usize) -> Result<Self, ShapeError> {
        let mut known = Self::ALL.into_iter();
        known
            .find(|known| known.bytes() == bytes)
            .ok_or(ShapeError::Alignment { bytes })
    }
}

/// How rows are spread over a slab.
///
/// With the feature `serde` it is written `packed` or `prefix_scan`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Spread {
    /// One after the other: best for full rows.
    #[default]
    Packed,
    /// With a gap of one alignment, at least 64 bytes, after rows whose stride
    /// is a multiple of 1,024. Such rows begin in few sets of the processor's
    /// cache, so reading only the first lines of each (truncated embeddings,
    /// early abandoning) was 3 to 8 times slower without the gap, at 384 rows and
    /// one line each. Full rows do not care.
    PrefixScan,
}

/// Strides that are a multiple of this fall into few sets of a cache.
const ALIASING_BYTES: usize = 1024;

/// The largest stride: half of what an offset can be.
const LARGEST_STRIDE: usize = isize::MAX as usize / 2;

/// Where the numbers of a row are, and where the next row begins.
///
/// ```
/// use millpond_vector::{Alignment, RowLayout, Spread};
///
/// let layout = RowLayout::new::<f32>(100, Alignment::Bytes64, Spread::Packed)?;
/// assert_eq!((layout.dimension(), layout.padded()), (100, 112));
/// assert_eq!(layout.stride_bytes(), 448);
/// # Ok::<(), millpond_vector::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowLayout {
    dimension: usize,
    padded: usize,
    stride: usize,
    align: Alignment,
}

impl RowLayout {
    /// The layout of rows of `dimension` elements of type `E`.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Empty`] for dimension 0, [`ShapeError::TooLarge`] if a row
    /// would exceed half of the address space.
    pub const fn new<E>(
        dimension: usize,
        align: Alignment,
        spread: Spread,
    ) -> Result<Self, ShapeError> {
        if dimension == 0 {
            return Err(ShapeError::Empty);
        }
        let too_large = Err(ShapeError::TooLarge { dimension });
        let Some(bytes) = dimension.checked_mul(size_of::<E>()) else {
            return too_large;
        };
        if bytes > LARGEST_STRIDE {
            return too_large;
        }
        let padded_bytes = bytes.next_multiple_of(align.bytes());
        let gap = match spread {
            Spread::PrefixScan if padded_bytes % ALIASING_BYTES == 0 => {
                if align.bytes() < 64 {
                    64
                } else {
                    align.bytes()
                }
            }
            _ => 0,
        };
        Ok(Self {
            dimension,
            padded: padded_bytes / size_of::<E>(),
            stride: padded_bytes + gap,
            align,
        })
    }

    /// Elements of a row.
    #[must_use]
    pub const fn dimension(&self) -> usize {
        self.dimension
    }

    /// Elements of a row with its tail, which is zero: whole lanes.
    #[must_use]
    pub const fn padded(&self) -> usize {
        self.padded
    }

    /// Bytes from one row to the next.
    #[must_use]
    pub const fn stride_bytes(&self) -> usize {
        self.stride
    }

    /// The alignment of every row.
    #[must_use]
    pub const fn alignment(&self) -> Alignment {
        self.align
    }
}

/// Why rows of such a shape cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// The dimension is 0.
    Empty,
    /// A row would exceed half of the address space.
    TooLarge {
        /// The dimension that was asked for.
        dimension: usize,
    },
    /// Rows are not aligned to so many bytes.
    Alignment {
        /// The bytes that were asked for.
        bytes: usize,
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a row has at least one element, but the dimension is 0"),
            Self::TooLarge { dimension } => write!(
                f,
                "a row of {dimension} elements exceeds the {LARGEST_STRIDE} bytes that one may have"
            ),
            Self::Alignment { bytes } => write!(
                f,
                "rows are aligned to 16, 32, 64 or 128 bytes, but {bytes} were asked for"
            ),
        }
    }
}

impl core::error::Error for ShapeError {}

#[cfg(feature = "std")]
impl From<ShapeError> for std::io::Error {
    fn from(error: ShapeError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMENSIONS: usize = if cfg!(miri) { 40 } else { 2000 };

    #[test]
    fn rows_are_whole_lanes_and_strides_whole_alignments() {
        for align in Alignment::ALL {
            for dimension in 1..DIMENSIONS {
                let layout = RowLayout::new::<f32>(dimension, align, Spread::Packed).unwrap();
                assert_eq!(layout.padded() % (align.bytes() / 4), 0);
                assert!(layout.padded() >= dimension);
                assert!(layout.padded() - dimension < align.bytes() / 4);
                assert_eq!(layout.stride_bytes(), layout.padded() * 4);
            }
        }
    }

    #[test]
    fn prefix_scans_get_a_gap_at_aliasing_strides_only() {
        for align in Alignment::ALL {
            for dimension in 1..DIMENSIONS {
                let packed = RowLayout::new::<f32>(dimension, align, Spread::Packed).unwrap();
                let spread = RowLayout::new::<f32>(dimension, align, Spread::PrefixScan).unwrap();
                let aliases = packed.stride_bytes() % ALIASING_BYTES == 0;
                assert_eq!(spread.stride_bytes() > packed.stride_bytes(), aliases);
                assert_eq!(spread.stride_bytes() % align.bytes(), 0);
                assert!(spread.stride_bytes() % ALIASING_BYTES != 0);
                assert_eq!(spread.padded(), packed.padded());
            }
        }
    }

    #[test]
    fn impossible_rows_are_refused() {
        let layout =
            |dimension| RowLayout::new::<f64>(dimension, Alignment::Bytes128, Spread::PrefixScan);
        assert_eq!(layout(0), Err(ShapeError::Empty));
        for dimension in [usize::MAX, usize::MAX / 8 + 1, LARGEST_STRIDE / 8 + 1] {
            assert_eq!(layout(dimension), Err(ShapeError::TooLarge { dimension }));
        }
        assert!(layout(LARGEST_STRIDE / 8).is_ok());
    }
}
