//! Specimens: values that carry a stamp in every byte, so that damage shows.

use crate::dice::mix;

/// A value made from a number, that can be compared with the number later.
///
/// The pattern fills the whole value, so that an overlap of two leases, a write
/// after release or a value that was moved in part shows as damage at an
/// offset.
pub trait Specimen: Sized + Send + 'static {
    /// The value for a stamp.
    fn stamped(stamp: u64) -> Self;

    /// The offset of the first byte that is not as [`Specimen::stamped`] made
    /// it.
    fn damage(&self, stamp: u64) -> Option<usize>;
}

/// Eight bytes of the pattern of a stamp, by their number: no two stamps share
/// them at the same place, and no two places of a stamp do.
const fn word(stamp: u64, number: usize) -> [u8; 8] {
    let step = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mix(stamp.wrapping_add(1)).wrapping_add(step).to_le_bytes()
}

/// The words of a value that carry the pattern: all of them. Under Miri, where
/// each costs microseconds, the first and last eight.
fn carriers(bytes: usize) -> impl Iterator<Item = usize> {
    let words = bytes.div_ceil(8);
    let edge = if cfg!(miri) { 8 } else { words };
    (0..words.min(edge)).chain(words.saturating_sub(edge).max(edge)..words)
}

/// Fills bytes with the pattern of a stamp.
pub fn stamp_bytes(bytes: &mut [u8], stamp: u64) {
    for number in carriers(bytes.len()) {
        let end = bytes.len().min(number * 8 + 8);
        let chunk = &mut bytes[number * 8..end];
        chunk.copy_from_slice(&word(stamp, number)[..chunk.len()]);
    }
}

/// The offset of the first byte that [`stamp_bytes`] would not have left.
#[must_use]
pub fn damage_in(bytes: &[u8], stamp: u64) -> Option<usize> {
    let damaged = |number: &usize| {
        let chunk = &bytes[number * 8..bytes.len().min(number * 8 + 8)];
        *chunk != word(stamp, *number)[..chunk.len()]
    };
    let number = carriers(bytes.len()).find(damaged)?;
    let (found, expected) = (&bytes[number * 8..], word(stamp, number));
    let inside = found
        .iter()
        .zip(expected)
        .position(|(&found, expected)| found != expected)?;
    Some(number * 8 + inside)
}

impl Specimen for () {
    fn stamped(_stamp: u64) -> Self {}

    fn damage(&self, _stamp: u64) -> Option<usize> {
        None
    }
}

impl Specimen for u8 {
    fn stamped(stamp: u64) -> Self {
        let mut byte = [0];
        stamp_bytes(&mut byte, stamp);
        byte[0]
    }

    fn damage(&self, stamp: u64) -> Option<usize> {
        damage_in(&[*self], stamp)
    }
}

impl Specimen for u64 {
    fn stamped(stamp: u64) -> Self {
        Self::from_le_bytes(Specimen::stamped(stamp))
    }

    fn damage(&self, stamp: u64) -> Option<usize> {
        damage_in(&self.to_le_bytes(), stamp)
    }
}

impl<const N: usize> Specimen for [u8; N] {
    fn stamped(stamp: u64) -> Self {
        let mut bytes = [0; N];
        stamp_bytes(&mut bytes, stamp);
        bytes
    }

    fn damage(&self, stamp: u64) -> Option<usize> {
        damage_in(self, stamp)
    }
}

/// Owns heap memory of a length that depends on the stamp.
impl Specimen for String {
    fn stamped(stamp: u64) -> Self {
        let bytes = (0..10).flat_map(|number| word(stamp, number));
        let letters = bytes.map(|byte| char::from(b'a' + byte % 26));
        letters.take(usize::from(u8::stamped(stamp)) % 80).collect()
    }

    fn damage(&self, stamp: u64) -> Option<usize> {
        let expected = Self::stamped(stamp);
        let (found, expected) = (self.as_bytes(), expected.as_bytes());
        (0..found.len().max(expected.len()))
            .find(|&offset| found.get(offset) != expected.get(offset))
    }
}

macro_rules! wrapped_specimen {
    ($(#[$attribute:meta])* $name:ident, $len:literal) => {
        $(#[$attribute])*
        #[derive(Debug, Clone)]
        pub struct $name([u8; $len]);

        impl Specimen for $name {
            fn stamped(stamp: u64) -> Self {
                Self(Specimen::stamped(stamp))
            }

            fn damage(&self, stamp: u64) -> Option<usize> {
                let misplaced = std::ptr::from_ref(self).addr() % align_of::<Self>() != 0;
                if misplaced { Some(0) } else { self.0.damage(stamp) }
            }
        }
    };
}

wrapped_specimen! {
    /// 96 bytes in 128, at a multiple of 64: what a cache line wants.
    #[repr(align(64))]
    Aligned, 96
}

wrapped_specimen! {
    /// One page, at a multiple of its size.
    #[repr(align(4096))]
    Page, 4096
}

wrapped_specimen! {
    /// 64 KiB: larger than the stretches that most machinery moves at once.
    Large, 65536
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_notices<T: Specimen>() {
        for stamp in 0..20 {
            let value = T::stamped(stamp);
            assert_eq!(value.damage(stamp), None);
        }
        let unlike = (1..20).filter(|&stamp| T::stamped(0).damage(stamp).is_some());
        assert!(size_of::<T>() == 0 || unlike.count() >= 15);
    }

    #[test]
    fn specimen_is_whole_for_its_own_stamp_only() {
        assert_notices::<()>();
        assert_notices::<u8>();
        assert_notices::<u64>();
        assert_notices::<[u8; 24]>();
        assert_notices::<String>();
        assert_notices::<Aligned>();
        assert_notices::<Page>();
        if !cfg!(miri) {
            assert_notices::<Large>();
        }
    }

    #[test]
    fn damage_names_the_first_wrong_byte() {
        let mut bytes = [0; 100];
        stamp_bytes(&mut bytes, 9);
        assert_eq!(damage_in(&bytes, 9), None);
        bytes[99] ^= 1;
        assert_eq!(damage_in(&bytes, 9), Some(99));
        bytes[41] ^= 1;
        assert_eq!(damage_in(&bytes, 9), Some(41));
    }
}
