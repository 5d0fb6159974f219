//! Buffers as collections of bytes.

use crate::buf::PoolBuf;
use crate::origin::Origin;

/// Appends, in a larger buffer if need be.
///
/// ```
/// let mut buffer = millpond_bytes::acquire(100)?;
/// buffer.extend(b"abc".iter().map(u8::to_ascii_uppercase));
/// buffer.extend(b"def");
/// assert_eq!(buffer, b"ABCdef");
/// # Ok::<(), millpond_bytes::AcquireError>(())
/// ```
///
/// # Panics
///
/// If the buffer is full and its pool refuses a larger one: `Extend` cannot say so.
/// Where limits are hit in good order, use [`PoolBuf::reserve`] and
/// [`PoolBuf::extend_from_slice`].
impl<O: Origin> Extend<u8> for PoolBuf<O> {
    #[track_caller]
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        let bytes = bytes.into_iter();
        make_room(self, bytes.size_hint().0);
        for byte in bytes {
            if self.push(byte).is_err() {
                make_room(self, 1);
                let pushed = self.push(byte);
                debug_assert!(pushed.is_ok());
            }
        }
    }
}

/// As for bytes by value.
impl<'b, O: Origin> Extend<&'b u8> for PoolBuf<O> {
    #[track_caller]
    fn extend<I: IntoIterator<Item = &'b u8>>(&mut self, bytes: I) {
        self.extend(bytes.into_iter().copied());
    }
}

#[track_caller]
fn make_room<O: Origin>(buffer: &mut PoolBuf<O>, additional: usize) {
    if let Err(error) = buffer.reserve(additional) {
        panic!("a buffer cannot be extended by {additional} bytes: {error}");
    }
}

impl<'b, O: Origin> IntoIterator for &'b PoolBuf<O> {
    type Item = &'b u8;
    type IntoIter = core::slice::Iter<'b, u8>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
