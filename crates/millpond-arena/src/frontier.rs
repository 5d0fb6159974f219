//! How far the current chunk is used: all that an allocation reads and writes.
//!
//! ```text
//!           floor                finger                     top, in a first chunk
//!             ▼                    ▼                         ▼
//!   chunk   ┌────────────────────┬───┬──────┬───────────────┬────────┐
//!           │        free        │ c │  b   │       a       │ footer │
//!           └────────────────────┴───┴──────┴───────────────┴────────┘
//! ```
//!
//! bumpalo makes chunks, and each is taken from it whole; it is divided here, from
//! its end to its beginning. So an allocation is a subtraction, a comparison and a
//! store, in the line where the arena's other figures lie, and a reset is an addition.

use crate::config::NEVER_LARGE;
use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

/// Everything in an arena is aligned to at least this.
///
/// Words then need no rounding: 0.53 against 0.68 ns an allocation (November
/// 2026, 2-core virtual machine, Zen 5). Strings lose 3.5 bytes each on average.
pub(crate) const MIN_ALIGN: usize = 8;

/// # Invariants
///
/// 1. `finger` may reach all of the current chunk, whose bytes from `floor` to
///    `finger`, which are aligned to [`MIN_ALIGN`], are nobody's. Without a chunk,
///    `floor` is [`NOWHERE`], so that nothing fits.
/// 2. `floor` is at least [`NEVER_LARGE`], so that small sizes can be subtracted from
///    what is above it.
/// 3. `top` less the address of `finger` is the bytes that are used: of the current
///    chunk, and all that others offer. So in a first chunk, and only there, `finger`
///    is `top` when nothing is allocated.
#[derive(Debug)]
pub(crate) struct Frontier {
    finger: Cell<NonNull<u8>>,
    floor: Cell<usize>,
    top: Cell<usize>,
}

/// Below no address less a small size, not even where that wraps.
const NOWHERE: usize = usize::MAX;

const _: () = assert!(NEVER_LARGE % MIN_ALIGN == 0 && MIN_ALIGN.is_power_of_two());

fn round_down(address: usize, align: usize) -> usize {
    address & !(align.max(MIN_ALIGN) - 1)
}

impl Frontier {
    /// That of no chunk.
    pub(crate) const fn closed() -> Self {
        Self {
            finger: Cell::new(NonNull::<u64>::dangling().cast()),
            floor: Cell::new(NOWHERE),
            top: Cell::new(align_of::<u64>()),
        }
    }

    /// Forgets the chunk.
    pub(crate) fn close(&self) {
        let Self { finger, floor, top } = Self::closed();
        self.finger.set(finger.get());
        self.floor.set(floor.get());
        self.top.set(top.get());
    }

    /// Turns to the `len` bytes from `start` on, of which none is used, where `used`
    /// bytes are used elsewhere.
    ///
    /// Stays as it is if they begin in the first bytes of the address space, where no
    /// system has a heap.
    ///
    /// # Safety
    ///
    /// The bytes are nobody's, `start` and `len` are aligned to [`MIN_ALIGN`], and
    /// `start` may reach all of the chunk in which they lie.
    pub(crate) unsafe fn open(&self, start: NonNull<u8>, len: usize, used: usize) {
        let floor = start.addr().get();
        if floor < NEVER_LARGE {
            return;
        }
        // SAFETY: by the caller.
        let end = unsafe { start.add(len) };
        self.finger.set(end);
        self.floor.set(floor);
        self.top.set(end.addr().get().wrapping_add(used));
    }

    /// What was allocated last, if it was not zero bytes; or where the chunk ends.
    #[inline(always)]
    pub(crate) fn finger(&self) -> NonNull<u8> {
        self.finger.get()
    }

    #[inline(always)]
    pub(crate) fn is_last(&self, block: NonNull<u8>) -> bool {
        self.finger.get() == block
    }

    /// Bytes that are used, of this chunk and those before it.
    #[inline(always)]
    pub(crate) fn used_bytes(&self) -> usize {
        self.top.get().wrapping_sub(self.finger.get().addr().get())
    }

    /// Bytes of the chunk that are nobody's.
    pub(crate) fn room(&self) -> usize {
        let finger = self.finger.get().addr().get();
        finger.saturating_sub(self.floor.get())
    }

    /// Whether there is room for a small size, rounded up to [`MIN_ALIGN`].
    #[inline(always)]
    pub(crate) fn fits(&self, size: usize) -> bool {
        debug_assert!(size <= NEVER_LARGE && size % MIN_ALIGN == 0);
        // Without a chunk this may wrap, and is below the floor all the same.
        self.finger.get().addr().get().wrapping_sub(size) >= self.floor.get()
    }

    /// A block of a small size.
    ///
    /// # Safety
    ///
    /// It fits.
    #[inline(always)]
    pub(crate) unsafe fn take_small(&self, size: usize) -> NonNull<u8> {
        // SAFETY: by the caller not below the floor (1), and nothing wrapped (2).
        let block = unsafe { self.finger.get().sub(size) };
        self.finger.set(block);
        block
    }

    /// A block of any size and alignment.
    pub(crate) fn take(&self, layout: Layout) -> Option<NonNull<u8>> {
        let finger = self.finger.get().addr().get();
        let place = round_down(finger.checked_sub(layout.size())?, layout.align());
        self.go_to(place)
    }

    /// Gives the last block, of `size` bytes, another layout, and moves what is in it.
    /// On `None` it is as it was.
    ///
    /// # Safety
    ///
    /// The block was allocated with that size, and what is in it is nobody's else.
    pub(crate) unsafe fn resize_last(&self, size: usize, new: Layout) -> Option<NonNull<u8>> {
        let last = self.finger.get();
        let end = last.addr().get() + size.next_multiple_of(MIN_ALIGN);
        let place = round_down(end.checked_sub(new.size())?, new.align());
        let moved = self.go_to(place)?;
        // SAFETY: the block was that long; it ends where the new one ends or above.
        unsafe { moved.copy_from(last, size.min(new.size())) };
        Some(moved)
    }

    /// Undoes the last block, of `size` bytes.
    ///
    /// # Safety
    ///
    /// It was allocated with that size, and is not used afterwards.
    pub(crate) unsafe fn undo(&self, size: usize) {
        // SAFETY: by the caller the chunk reaches as far.
        let finger = unsafe { self.finger.get().add(size.next_multiple_of(MIN_ALIGN)) };
        self.finger.set(finger);
    }

    /// Undoes all blocks of a first chunk.
    ///
    /// # Safety
    ///
    /// The chunk is the only one, and what was allocated is not used afterwards.
    #[inline(always)]
    pub(crate) unsafe fn rewind(&self) {
        // SAFETY: to where the chunk ends, because there is no other (3).
        let finger = unsafe { self.finger.get().add(self.used_bytes()) };
        self.finger.set(finger);
    }

    /// Moves the finger to an address of the chunk, or below all of it: then not.
    fn go_to(&self, place: usize) -> Option<NonNull<u8>> {
        if place < self.floor.get() {
            return None;
        }
        let place = NonNull::new(self.finger.get().as_ptr().with_addr(place))?;
        self.finger.set(place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const LEN: usize = 4096;

    /// A frontier over `LEN` bytes that `used` bytes of other chunks precede.
    fn frontier(words: &mut Vec<u64>, used: usize) -> Frontier {
        words.resize(LEN / 8, 0);
        let frontier = Frontier::closed();
        let start = NonNull::new(words.as_mut_ptr()).expect("a vector").cast();
        // SAFETY: memory of the test's own.
        unsafe { frontier.open(start, LEN, used) };
        frontier
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("small")
    }

    #[test]
    fn nothing_fits_into_no_chunk() {
        let frontier = Frontier::closed();
        for size in (0..=NEVER_LARGE).step_by(MIN_ALIGN) {
            assert!(!frontier.fits(size));
            assert_eq!(frontier.take(layout(size, 64)), None);
        }
        assert_eq!((frontier.used_bytes(), frontier.room()), (0, 0));
    }

    #[test]
    fn a_chunk_is_divided_to_its_last_byte() {
        let mut words = Vec::new();
        let frontier = frontier(&mut words, 0);
        let blocks = LEN / 64;
        for nth in 1..=blocks {
            assert!(frontier.fits(64));
            // SAFETY: it fits.
            let block = unsafe { frontier.take_small(64) };
            assert!(frontier.is_last(block));
            assert_eq!(frontier.used_bytes(), nth * 64);
        }
        assert_eq!((frontier.room(), frontier.fits(8)), (0, false));
        assert_eq!(frontier.take(layout(usize::MAX / 4, 1)), None);
        assert!(frontier.fits(0));
        // SAFETY: the only chunk, and nobody uses the blocks.
        unsafe { frontier.rewind() };
        assert_eq!((frontier.room(), frontier.used_bytes()), (LEN, 0));
    }

    #[test]
    fn other_chunks_count_as_used() {
        let mut words = Vec::new();
        let frontier = frontier(&mut words, 1 << 20);
        frontier.take(layout(100, 1)).expect("room");
        assert_eq!(frontier.used_bytes(), (1 << 20) + 104);
        frontier.close();
        assert_eq!(frontier.used_bytes(), 0);
    }

    #[test]
    #[cfg_attr(miri, ignore = "alignment by arithmetic")]
    fn the_last_block_moves_and_keeps_its_bytes() {
        let mut words = Vec::new();
        let frontier = frontier(&mut words, 0);
        let block = frontier.take(layout(16, 8)).expect("room");
        // SAFETY: a block of that size.
        unsafe { block.write_bytes(7, 16) };
        let mut size = 16;
        for (new, align) in [(17, 1), (40, 64), (500, 8), (30, 16), (9, 1), (2000, 256)] {
            // SAFETY: the last block, of this size.
            let moved = unsafe { frontier.resize_last(size, layout(new, align)) };
            let moved = moved.expect("room");
            assert_eq!(moved.addr().get() % align, 0);
            assert!(frontier.is_last(moved) && frontier.used_bytes() >= new);
            // SAFETY: nine bytes were kept each time.
            let kept = unsafe { core::slice::from_raw_parts(moved.as_ptr(), 9) };
            assert_eq!(kept, [7; 9]);
            size = new;
        }
        // SAFETY: the last block, of this size.
        let moved = unsafe { frontier.resize_last(size, layout(LEN + 1, 1)) };
        assert_eq!(moved, None);
        let before = frontier.used_bytes();
        frontier.take(layout(13, 1)).expect("room");
        // SAFETY: the last block, of this size.
        unsafe { frontier.undo(13) };
        assert_eq!(frontier.used_bytes(), before);
    }
}
