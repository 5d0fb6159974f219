//! Numbers of variable length: seven bits to the byte, the low ones first.

/// Most bytes of a number.
pub(super) const LONGEST: usize = 10;

/// Appends a number.
pub(super) fn push(bytes: &mut Vec<u8>, number: u64) {
    let mut place = [0; LONGEST];
    let len = put(&mut place, number);
    bytes.extend_from_slice(&place[..len]);
}

/// Writes a number to the front of `place`, which has room for it; answers its
/// length.
#[inline]
pub(super) fn put(place: &mut [u8], mut number: u64) -> usize {
    let mut len = 0;
    while number >= 0x80 {
        place[len] = number.to_le_bytes()[0] | 0x80;
        number >>= 7;
        len += 1;
    }
    place[len] = number.to_le_bytes()[0];
    len + 1
}

/// Bits of the numbers that [`spread`] takes.
pub(super) const SPREAD_BITS: u32 = 28;

/// All bytes of a number but the last say that another one follows.
const MORE: [u32; 4] = [0, 0x80, 0x8080, 0x0080_8080];

/// A number of up to [`SPREAD_BITS`] bits, as the bytes of a word, low ones first, and
/// how many of them it has: what [`put`] writes, without a branch.
#[inline(always)]
pub(super) const fn spread(number: u64) -> (u32, usize) {
    let groups = number & 0x7f
        | (number & 0x3f80) << 1
        | (number & 0x001f_c000) << 2
        | (number & 0x0fe0_0000) << 3;
    let bits = u64::BITS - (number | 1).leading_zeros();
    // Sevenths, rounded up, for as many bits as there can be.
    let len = ((bits * 9 + 64) / 64) as usize;
    #[expect(clippy::cast_possible_truncation, reason = "four bytes of seven bits")]
    let groups = groups as u32;
    (groups | MORE[len - 1], len)
}

/// A number with a sign as one without: small ones of either sign are small.
pub(super) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// Takes a number off the front; `None` if there is none, or none that fits.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// As [`take`], of what [`zigzag`] made.
pub(super) fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let number = take(bytes)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<u64>(), signed in any::<i64>()) {
            let mut bytes = Vec::new();
            push(&mut bytes, number);
            push(&mut bytes, zigzag(signed));
            push(&mut bytes, zigzag(i64::MIN));
            let mut rest = &bytes[..];
            prop_assert_eq!(take(&mut rest), Some(number));
            prop_assert_eq!(take_signed(&mut rest), Some(signed));
            prop_assert_eq!(take_signed(&mut rest), Some(i64::MIN));
            prop_assert_eq!(take(&mut rest), None);
        }
    }

    #[test]
    fn what_is_spread_is_what_is_put() {
        let mut number = 0;
        while number < 1 << SPREAD_BITS {
            let (spread, len) = spread(number);
            let mut place = [0; LONGEST];
            assert_eq!(put(&mut place, number), len, "{number}");
            assert_eq!(place[..len], spread.to_le_bytes()[..len], "{number}");
            number = number * 9 / 8 + 1;
        }
        let most = (1 << SPREAD_BITS) - 1;
        assert_eq!(spread(most), (0x7fff_ffff, 4));
    }

    #[test]
    fn what_is_too_long_is_none() {
        assert_eq!(take(&mut &[0xff; 10][..]), None);
        assert_eq!(take(&mut &[0x80; 20][..]), None);
    }
}
