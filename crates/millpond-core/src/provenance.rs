//! Pointers that lost the right to what lies around their block.
//!
//! Whoever got a block of an allocator may give it back by a pointer that is good for
//! less than the block: turning a box into a raw pointer leaves the right to its value
//! alone. An address is the same and no instruction is different, but by Rust's rules
//! the slot behind the value, or the header in front of it, must not be touched by that
//! pointer. So memory that is lent as blocks is [exposed](expose) once, and a block
//! that comes back is [widened](widen).
//!
//! Miri has strict provenance on, which has no exposing: there a table of what was
//! exposed takes its place, and an access beyond that is an error as always.

use core::ptr::NonNull;

/// Lets [`widen`] reach the `len` bytes at `base`, from now until they are
/// [concealed](conceal).
#[inline]
pub fn expose(base: NonNull<u8>, len: usize) {
    exposed::add(base, len);
}

/// The memory is about to be freed, all of it that was exposed as one.
#[inline]
pub fn conceal(base: NonNull<u8>, len: usize) {
    exposed::remove(base, len);
}

/// A pointer to the same address, with the right to all of the exposed memory around
/// it.
///
/// Costs nothing. Harmless by itself, as every pointer is.
#[inline(always)]
#[must_use]
pub fn widen(block: NonNull<u8>) -> NonNull<u8> {
    exposed::find(block)
}

#[cfg(not(miri))]
mod exposed {
    use core::ptr::{self, NonNull};

    #[inline(always)]
    pub(super) fn add(base: NonNull<u8>, _len: usize) {
        let _address = base.as_ptr().expose_provenance();
    }

    #[inline(always)]
    pub(super) fn remove(_base: NonNull<u8>, _len: usize) {}

    #[inline(always)]
    pub(super) fn find(block: NonNull<u8>) -> NonNull<u8> {
        let wide = ptr::with_exposed_provenance_mut(block.addr().get());
        // SAFETY: the address of a pointer that is not null.
        unsafe { NonNull::new_unchecked(wide) }
    }
}

#[cfg(miri)]
mod exposed {
    use core::ptr::NonNull;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// Ranges that are remembered; beyond them the oldest is forgotten.
    const MOST: usize = 1024;

    #[derive(Clone, Copy)]
    struct Range {
        base: NonNull<u8>,
        len: usize,
    }

    // SAFETY: a name of memory, which is not touched here.
    unsafe impl Send for Range {}

    impl Range {
        fn contains(self, other: Self) -> bool {
            let (start, other_start) = (self.base.addr().get(), other.base.addr().get());
            start <= other_start && other_start + other.len <= start + self.len
        }
    }

    /// Oldest first. Not on the heap: the allocator may be one that a test counts with.
    struct Table {
        ranges: [Option<Range>; MOST],
        len: usize,
    }

    impl Table {
        fn remove(&mut self, place: usize) {
            self.ranges.copy_within(place + 1..self.len, place);
            self.len -= 1;
        }

        /// The newest that fits, and where it is: a block may be exposed inside of
        /// another one.
        fn newest(&self, fits: impl Fn(Range) -> bool) -> Option<(usize, Range)> {
            let known = (0..self.len).rev();
            let mut known = known.filter_map(|place| Some((place, self.ranges[place]?)));
            known.find(|&(_, range)| fits(range))
        }
    }

    static TABLE: Mutex<Table> = Mutex::new(Table {
        ranges: [None; MOST],
        len: 0,
    });

    fn table() -> MutexGuard<'static, Table> {
        TABLE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(base: NonNull<u8>, len: usize) {
        let mut table = table();
        if table.len == MOST {
            table.remove(0);
        }
        let place = table.len;
        table.ranges[place] = Some(Range { base, len });
        table.len += 1;
    }

    pub(super) fn remove(base: NonNull<u8>, len: usize) {
        let mut table = table();
        let gone = Range { base, len };
        if let Some((place, _)) = table.newest(|range| gone.contains(range)) {
            table.remove(place);
        }
    }

    pub(super) fn find(block: NonNull<u8>) -> NonNull<u8> {
        let byte = Range {
            base: block,
            len: 1,
        };
        let table = table();
        let known = table.newest(|range| range.contains(byte));
        let (_, range) = known.expect("exposed memory");
        range.base.with_addr(block.addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_to_a_part_reaches_the_whole_again() {
        let mut block = [0u8; 64];
        let base = NonNull::from(&mut block).cast::<u8>();
        expose(base, 64);
        // SAFETY: inside the block.
        let mut part = unsafe { base.add(8) };
        // SAFETY: as above, and nobody else uses it.
        let narrow = NonNull::from(unsafe { part.as_mut() });
        let wide = widen(narrow);
        assert_eq!(wide, narrow);
        // SAFETY: inside the block, in front of what the narrow one is good for.
        let before = unsafe { wide.sub(8) };
        // SAFETY: inside what was exposed.
        unsafe { before.write(7) };
        conceal(base, 64);
        assert_eq!(block[0], 7);
    }
}
