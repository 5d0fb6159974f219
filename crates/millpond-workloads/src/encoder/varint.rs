//! Numbers in as few bytes as they need, seven bits each, low ones first.

use super::FormatError;

/// Appends `value`.
pub fn write(out: &mut Vec<u8>, value: u64) {
    let (bytes, length) = encoded(value);
    out.extend_from_slice(&bytes[..length]);
}

/// The bytes of `value`, and how many of them count.
#[must_use]
pub fn encoded(mut value: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    for (length, byte) in (1..).zip(&mut bytes) {
        let low = u8::try_from(value & 0x7F).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            *byte = low;
            return (bytes, length);
        }
        *byte = low | 0x80;
    }
    (bytes, 10)
}

/// The value at `at`, and where it ends.
///
/// # Errors
///
/// If it is cut off or longer than 64 bits.
pub fn read(bytes: &[u8], at: usize) -> Result<(u64, usize), FormatError> {
    let mut value = 0_u64;
    for (index, shift) in (at..).zip((0..64).step_by(7)) {
        let what = "a number is cut off";
        let byte = *bytes.get(index).ok_or(FormatError { at, what })?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    let what = "a number is longer than 64 bits";
    Err(FormatError { at, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, 1 << 35, u64::MAX] {
            let mut bytes = vec![9];
            write(&mut bytes, value);
            assert_eq!(read(&bytes, 1), Ok((value, bytes.len())));
            assert!(read(&bytes[..bytes.len() - 1], 1).is_err());
        }
        assert!(read(&[0xFF; 11], 0).is_err());
    }
}
