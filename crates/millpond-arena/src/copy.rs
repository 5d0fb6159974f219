//! Copying at memory speed, short pieces as well.
//!
//! ```text
//!   up to twice a block     ├──── first ────┤
//!                                  ├──── last ─────┤      they overlap
//! ```
//!
//! A `memcpy` of a length that the compiler does not know is a call by way of a
//! table and a choice among ways to copy. For what one appends most often, words
//! and rows of a few dozen bytes, that is more than the copying.

use core::mem::MaybeUninit;

/// Copies `len` values that do not overlap.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of `len` values, which do not
/// overlap.
#[inline(always)]
pub(crate) unsafe fn copy<T: Copy>(from: *const T, to: *mut T, len: usize) {
    let bytes = len * size_of::<T>();
    // SAFETY: the same bytes, by the caller.
    unsafe { copy_bytes(from.cast(), to.cast(), bytes) };
}

/// # Safety
///
/// As [`copy`].
#[inline(always)]
unsafe fn copy_bytes(from: *const u8, to: *mut u8, len: usize) {
    match len {
        // SAFETY: by the caller, here and below.
        16..=32 => unsafe { ends::<16>(from, to, len) },
        // SAFETY: as above.
        33..=64 => unsafe { ends::<32>(from, to, len) },
        // SAFETY: as above.
        65..=128 => unsafe { ends::<64>(from, to, len) },
        // SAFETY: as above.
        _ => unsafe { to.copy_from_nonoverlapping(from, len) },
    }
}

/// Copies the first `N` bytes and the last `N` of `N` to `2 * N`.
///
/// # Safety
///
/// As [`copy`]; `len` is at least `N` and at most twice that.
#[inline(always)]
unsafe fn ends<const N: usize>(from: *const u8, to: *mut u8, len: usize) {
    debug_assert!(N <= len && len <= 2 * N);
    // SAFETY: `len` is at least `N`.
    let first = unsafe { from.cast::<MaybeUninit<[u8; N]>>().read_unaligned() };
    // SAFETY: as above.
    let last = unsafe { from.add(len - N) };
    // SAFETY: the `N` bytes that end where all of them do.
    let last = unsafe { last.cast::<MaybeUninit<[u8; N]>>().read_unaligned() };
    // SAFETY: `len` is at least `N`.
    unsafe { to.cast::<MaybeUninit<[u8; N]>>().write_unaligned(first) };
    // SAFETY: as above.
    let end = unsafe { to.add(len - N) };
    // SAFETY: the `N` bytes that end where all of them do.
    unsafe { end.cast::<MaybeUninit<[u8; N]>>().write_unaligned(last) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn every_length_is_copied_and_nothing_else() {
        for len in 0..300_usize {
            if cfg!(miri) && len > 70 && len % 31 != 0 {
                continue;
            }
            let from: Vec<u8> = (0..len).map(|n| n.to_le_bytes()[0] ^ 0x5C).collect();
            let mut to = std::vec![0_u8; len + 2];
            let place = to[1..].as_mut_ptr();
            // SAFETY: room for a byte more on each side.
            unsafe { copy(from.as_ptr(), place, len) };
            assert_eq!(to[1..=len], from);
            assert_eq!((to[0], to[len + 1]), (0, 0));
        }
    }

    #[test]
    fn values_with_padding_are_copied() {
        let from = [(1_u8, 2_u32); 11];
        let mut to = [(0, 0); 11];
        // SAFETY: as many values.
        unsafe { copy(from.as_ptr(), to.as_mut_ptr(), 11) };
        assert_eq!(from, to);
    }
}
