//! Side arrays: a number beside each row, where it does not disturb the rows.
//!
//! A norm in the row itself would move every row off its alignment, or waste a
//! lane. Here norms lie beside norms, so that a scan reads them in order.
#![forbid(unsafe_code)]

/// Which numbers a pool keeps beside its rows.
///
/// With the feature `serde`, fields that are not written are `false`, and fields
/// of other names an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct SideArrays {
    /// An `f32` for each row: its norm, or whatever the user stores.
    pub norms: bool,
    /// A `u64` for each row: its name in the user's world.
    pub external_ids: bool,
}

impl SideArrays {
    /// None.
    pub const NONE: Self = Self {
        norms: false,
        external_ids: false,
    };

    /// Both.
    pub const ALL: Self = Self {
        norms: true,
        external_ids: true,
    };

    /// Bytes for each row.
    pub(crate) const fn bytes_each(self) -> usize {
        (if self.norms { size_of::<f32>() } else { 0 })
            + (if self.external_ids {
                size_of::<u64>()
            } else {
                0
            })
    }
}

/// Side arrays begin on a line of their own.
const LINE: usize = 64;

/// Where the side arrays of a slab are: offsets in bytes from its base, `None`
/// if an array does not exist or nothing of that size can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Side {
    norms: Option<usize>,
    external_ids: Option<usize>,
    end: Option<usize>,
}

impl Side {
    /// For a slab of `rows` rows, `stride` bytes apart.
    pub(crate) fn new(stride: usize, rows: usize, arrays: SideArrays) -> Self {
        let mut end = stride.checked_mul(rows);
        let mut array = |exists: bool, each: usize| {
            if !exists {
                return None;
            }
            let start = end.and_then(|end| end.checked_next_multiple_of(LINE));
            end = start.and_then(|start| start.checked_add(rows.checked_mul(each)?));
            start
        };
        Self {
            norms: array(arrays.norms, size_of::<f32>()),
            external_ids: array(arrays.external_ids, size_of::<u64>()),
            end,
        }
    }

    /// Bytes of the slab; `None` if no address space could hold it.
    pub(crate) const fn end(self) -> Option<usize> {
        self.end
    }

    /// Offset of the norm of `row`.
    pub(crate) fn norm(self, row: usize) -> Option<usize> {
        self.norms.map(|start| start + row * size_of::<f32>())
    }

    /// Offset of the external id of `row`.
    pub(crate) fn external_id(self, row: usize) -> Option<usize> {
        self.external_ids
            .map(|start| start + row * size_of::<u64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_follow_the_rows_and_do_not_overlap() {
        for rows in [1, 3, 16, 682] {
            let side = Side::new(48, rows, SideArrays::ALL);
            let norms = side.norm(0).expect("there is one");
            let ids = side.external_id(0).expect("there is one");
            assert!(norms >= 48 * rows && norms % LINE == 0);
            assert!(ids >= norms + 4 * rows && ids % LINE == 0);
            assert_eq!(side.end(), Some(ids + 8 * rows));
        }
    }

    #[test]
    fn arrays_that_are_not_there_take_nothing() {
        let side = Side::new(48, 10, SideArrays::NONE);
        assert_eq!(side.end(), Some(480));
        assert_eq!((side.norm(0), side.external_id(0)), (None, None));
    }

    #[test]
    fn slabs_beyond_the_address_space_have_no_end() {
        assert_eq!(Side::new(usize::MAX / 2, 3, SideArrays::ALL).end(), None);
        assert_eq!(Side::new(usize::MAX, 1, SideArrays::ALL).end(), None);
    }
}
