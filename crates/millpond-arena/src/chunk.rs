//! The arithmetic of bumpalo's chunks, so that a chunk can be charged before it
//! is made.
//!
//! ```text
//!   counted   ┌───────────────────────────────────┬────────┬─────────┐
//!             │ what allocations can have         │ footer │ malloc  │
//!             └───────────────────────────────────┴────────┴─────────┘
//!             └─ bumpalo's `allocated_bytes` ─────┘└─ OVERHEAD ──────┘
//!             └─ a power of two below a page, whole pages above ─────┘
//! ```
//!
//! A chunk is counted with its footer and what a malloc puts beside it: then it
//! is a whole number of pages, and an arena of 256 KiB counts as 256 KiB. The
//! tests compare every figure here with what bumpalo does.
#![forbid(unsafe_code)]

use core::alloc::Layout;

/// The size of a page, as bumpalo assumes it.
pub(crate) const PAGE: usize = 4096;

const FOOTER: usize = (6 * size_of::<usize>()).next_multiple_of(16);

/// Bytes of a counted chunk that allocations cannot have.
pub(crate) const OVERHEAD: usize = (16 + FOOTER).next_multiple_of(16);

/// What bumpalo's smallest chunk offers.
const SMALLEST: usize = 512 - OVERHEAD;

/// Counted bytes of the chunk that bumpalo makes when it wants `goal` usable
/// bytes for a request of `layout`. `None` if that is no number.
fn counted(goal: usize, layout: Layout) -> Option<usize> {
    let align = layout.align().max(16);
    let request = layout.size().checked_next_multiple_of(align)?;
    let goal = goal.max(request).checked_add(OVERHEAD)?;
    if goal - OVERHEAD < PAGE {
        goal.checked_next_power_of_two()
    } else {
        goal.checked_next_multiple_of(PAGE)
    }
}

/// The chunks that bumpalo tries for a request of `layout`, largest first, in
/// counted bytes, after a chunk of `current` counted bytes.
pub(crate) fn candidates(current: usize, layout: Layout) -> impl Iterator<Item = usize> {
    let smallest = layout.size().max(SMALLEST);
    let doubled = current.saturating_sub(OVERHEAD).saturating_mul(2);
    let first = doubled.max(smallest);
    core::iter::successors(Some(first), |goal| Some(goal / 2))
        .take_while(move |&goal| goal >= smallest)
        .filter_map(move |goal| counted(goal, layout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bumpalo::Bump;
    use std::vec::Vec;

    fn layouts() -> Vec<Layout> {
        let sizes = [0, 1, 8, 100, 447, 448, 449, 4000, 4095, 4096, 4097, 70_000];
        let aligns = [1, 8, 16, 64, 4096];
        let layout = |size, align| Layout::from_size_align(size, align).expect("small");
        sizes
            .iter()
            .flat_map(|&size| aligns.iter().map(move |&align| layout(size, align)))
            .collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, of many sizes")]
    fn a_first_chunk_is_what_was_asked_for() {
        for pages in 1..70 {
            let bytes = pages * PAGE;
            let bump = Bump::<8>::with_min_align_and_capacity(bytes - OVERHEAD);
            assert_eq!(bump.allocated_bytes() + OVERHEAD, bytes);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, of many sizes")]
    fn bumpalo_makes_the_candidate_that_the_limit_allows() {
        for layout in layouts() {
            for current in [PAGE, 2 * PAGE, 5 * PAGE, 16 * PAGE] {
                for (nth, candidate) in candidates(current, layout).enumerate() {
                    let bump = Bump::<8>::with_min_align_and_capacity(current - OVERHEAD);
                    bump.alloc_slice_fill_copy(bump.chunk_capacity(), 0u8);
                    let before = bump.allocated_bytes();
                    bump.set_allocation_limit(Some(before + candidate - OVERHEAD));
                    let block = bump.try_alloc_layout(layout);
                    if layout.size() == 0 && bump.allocated_bytes() == before {
                        assert!(block.is_ok(), "nothing fits anywhere");
                        continue;
                    }
                    let made = bump.allocated_bytes() + OVERHEAD - before;
                    assert_eq!(
                        made, candidate,
                        "{layout:?} after {current}, candidate {nth}"
                    );
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, of many sizes")]
    fn nothing_below_the_last_candidate_is_enough() {
        for layout in layouts().into_iter().filter(|layout| layout.size() > 0) {
            let current = 2 * PAGE;
            let bump = Bump::<8>::with_min_align_and_capacity(current - OVERHEAD);
            bump.alloc_slice_fill_copy(bump.chunk_capacity(), 0u8);
            let least = candidates(current, layout).last().expect("there is one");
            bump.set_allocation_limit(Some(bump.allocated_bytes() + least - OVERHEAD - 1));
            assert!(bump.try_alloc_layout(layout).is_err(), "{layout:?}");
        }
    }

    #[test]
    fn requests_beyond_the_address_space_have_no_candidate() {
        let layout = Layout::from_size_align(isize::MAX as usize, 1).expect("the largest");
        assert!(candidates(PAGE, layout).all(|bytes| bytes > isize::MAX as usize));
    }
}
