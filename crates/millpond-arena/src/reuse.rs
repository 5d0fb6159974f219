//! Blocks that collections left behind when they grew, for others to grow into.
//!
//! ```text
//!   two vectors that grow in turns        ░ left behind
//!
//!   ┌───┬───┬─────┬─────┬─────────┐
//!   │ ░ │ ░ │  ░  │  b  │    a    │       neighbours are merged, and `b` moves
//!   └───┴───┴─────┴─────┴─────────┘       into the merged block at its next
//!   └── one block ────┘                   growth, not into fresh memory
//! ```
//!
//! Without this the two would use 3.3 times their own size. The list is written
//! into the free blocks, lowest address first; it is looked at only when a block
//! must move, and never further than [`LOOKS`].

use core::cell::Cell;
use core::ptr::NonNull;

/// Blocks below this many bytes are forgotten: they are not worth a place.
const SMALLEST: usize = 128;

/// Free blocks that are looked at.
///
/// The list is short where blocks merge, which is the case that it is for. Where
/// they do not, a longer search would make growth quadratic.
const LOOKS: usize = 32;

/// Free blocks of one chunk or several.
///
/// # Invariants
///
/// 1. Each block on the list is memory of the arena that nobody uses, aligned
///    to 8, at least [`SMALLEST`] bytes long, and its pointer may reach all of
///    its chunk.
/// 2. Blocks are in the order of their addresses and do not overlap; no two are
///    neighbours.
#[derive(Debug, Default)]
pub(crate) struct Reuse {
    first: Cell<Option<NonNull<Free>>>,
}

#[derive(Debug)]
struct Free {
    next: Cell<Option<NonNull<Free>>>,
    size: Cell<usize>,
}

impl Reuse {
    /// Forgets all blocks. Looks first, because stores are what a request waits for.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        if self.first.get().is_some() {
            self.first.set(None);
        }
    }

    /// Takes a block in.
    ///
    /// # Safety
    ///
    /// `block` is `size` bytes of a chunk of the arena that nobody uses, aligned
    /// to 8, `size` a multiple of 8; the pointer may reach all of the chunk. The
    /// list is cleared before the chunk goes.
    pub(crate) unsafe fn give(&self, block: NonNull<u8>, size: usize) {
        if size < SMALLEST {
            return;
        }
        let mut before: Option<&Free> = None;
        let mut next = self.first.get();
        for _ in 0..LOOKS {
            match next {
                Some(free) if free.addr() < block.addr() => {
                    // SAFETY: on the list, so free memory with a header (1).
                    let free = unsafe { free.as_ref() };
                    next = free.next.get();
                    before = Some(free);
                }
                _ => {
                    // SAFETY: between its neighbours, by the caller and 2.
                    return unsafe { self.insert(before, block, size, next) };
                }
            }
        }
    }

    /// # Safety
    ///
    /// As [`Reuse::give`]; `before` and `next` are the neighbours on the list.
    unsafe fn insert(
        &self,
        before: Option<&Free>,
        block: NonNull<u8>,
        mut size: usize,
        mut next: Option<NonNull<Free>>,
    ) {
        if let Some(free) = next.filter(|free| free.addr().get() == block.addr().get() + size) {
            // SAFETY: on the list, so free memory with a header (1).
            let free = unsafe { free.as_ref() };
            size += free.size.get();
            next = free.next.get();
        }
        if let Some(before) = before {
            let start = core::ptr::from_ref(before).addr();
            if start + before.size.get() == block.addr().get() {
                before.size.set(before.size.get() + size);
                before.next.set(next);
                return;
            }
        }
        let free = block.cast::<Free>();
        // SAFETY: free memory, large enough and aligned for a header.
        unsafe {
            free.write(Free {
                next: Cell::new(next),
                size: Cell::new(size),
            });
        }
        match before {
            Some(before) => before.next.set(Some(free)),
            None => self.first.set(Some(free)),
        }
    }

    /// A block of `size` bytes, a multiple of 8, if there is one.
    pub(crate) fn take(&self, size: usize) -> Option<NonNull<u8>> {
        let mut before: Option<&Free> = None;
        let mut next = self.first.get();
        for _ in 0..LOOKS {
            let block = next?;
            // SAFETY: on the list, so free memory with a header (1).
            let free = unsafe { block.as_ref() };
            let rest = free.size.get().checked_sub(size);
            match rest {
                Some(rest) if rest >= SMALLEST => {
                    free.size.set(rest);
                    // SAFETY: `rest` is below the size of the block (1).
                    return Some(unsafe { block.cast::<u8>().add(rest) });
                }
                Some(_) => {
                    match before {
                        Some(before) => before.next.set(free.next.get()),
                        None => self.first.set(free.next.get()),
                    }
                    return Some(block.cast());
                }
                None => {
                    before = Some(free);
                    next = free.next.get();
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Memory to play with, aligned to 8.
    fn memory(words: &mut Vec<u64>, bytes: usize) -> NonNull<u8> {
        words.resize(bytes / 8, 0);
        NonNull::new(words.as_mut_ptr()).expect("a vector").cast()
    }

    fn sizes(reuse: &Reuse) -> Vec<usize> {
        let mut sizes = Vec::new();
        let mut next = reuse.first.get();
        while let Some(free) = next {
            // SAFETY: on the list, so alive.
            let free = unsafe { free.as_ref() };
            sizes.push(free.size.get());
            next = free.next.get();
        }
        sizes
    }

    #[test]
    fn neighbours_merge_in_every_order() {
        let orders = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        for order in orders {
            let mut words = Vec::new();
            let base = memory(&mut words, 3 * 256);
            let reuse = Reuse::default();
            for place in order {
                // SAFETY: inside the memory.
                let block = unsafe { base.add(place * 256) };
                // SAFETY: nobody uses it.
                unsafe { reuse.give(block, 256) };
            }
            assert_eq!(sizes(&reuse), [768], "{order:?}");
            assert_eq!(reuse.take(776), None);
            assert_eq!(reuse.take(768), Some(base));
            assert!(sizes(&reuse).is_empty());
        }
    }

    #[test]
    fn a_block_is_cut_from_its_end() {
        let mut words = Vec::new();
        let base = memory(&mut words, 1024);
        let reuse = Reuse::default();
        // SAFETY: nobody uses it.
        unsafe { reuse.give(base, 1024) };
        let piece = reuse.take(512).expect("there is room");
        assert_eq!(piece.addr().get() - base.addr().get(), 512);
        assert_eq!(sizes(&reuse), [512]);
        // A rest that is not worth a place goes with the block.
        assert_eq!(reuse.take(400), Some(base));
        assert!(sizes(&reuse).is_empty());
    }

    #[test]
    fn small_blocks_are_forgotten() {
        let mut words = Vec::new();
        let base = memory(&mut words, 64);
        let reuse = Reuse::default();
        // SAFETY: nobody uses it.
        unsafe { reuse.give(base, 64) };
        assert_eq!(reuse.take(8), None);
    }
}
