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

/// Lets [`widen`] reach the `len` bytes at `base`, from now until they are freed.
#[inline]
pub fn expose(base: NonNull<u8>, len: usize) {
    exposed::add(base, len);
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
    pub(super) fn find(block: NonNull<u8>) -> NonNull<u8> {
        let wide = ptr::with_exposed_provenance_mut(block.addr().get());
        // SAFETY: the address of a pointer that is not null.
        unsafe { NonNull::new_unchecked(wide) }
    }
}

#[cfg(miri)]
mod exposed {
    use core::ptr::NonNull;
    use std::sync::{Mutex, PoisonError};
    use std::vec::Vec;

    struct Range(NonNull<u8>, usize);

    // SAFETY: a name of memory, which is not touched here.
    unsafe impl Send for Range {}

    /// The newest last: a block may be exposed inside of another one, and the
    /// addresses of one that was freed again.
    static RANGES: Mutex<Vec<Range>> = Mutex::new(Vec::new());

    pub(super) fn add(base: NonNull<u8>, len: usize) {
        let mut ranges = RANGES.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, end) = (base.addr().get(), base.addr().get() + len);
        let is_inside = |&Range(base, len): &Range| {
            start <= base.addr().get() && base.addr().get() + len <= end
        };
        ranges.retain(|range| !is_inside(range));
        ranges.push(Range(base, len));
    }

    pub(super) fn find(block: NonNull<u8>) -> NonNull<u8> {
        let ranges = RANGES.lock().unwrap_or_else(PoisonError::into_inner);
        let contains = |&&Range(base, len): &&Range| {
            block.addr() >= base.addr() && block.addr().get() - base.addr().get() < len
        };
        let Range(base, _) = ranges.iter().rfind(contains).expect("exposed memory");
        base.with_addr(block.addr())
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
        assert_eq!(block[0], 7);
    }
}
