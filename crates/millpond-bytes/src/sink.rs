//! Buffers as what text and iterators are poured into.

use crate::buf::PoolBuf;
use crate::origin::Origin;
use crate::view::PoolBytes;
use alloc::vec::Vec;
use core::fmt;

/// Appends what fits: text of more is an error, and nothing of it is written. For
/// text that grows there is `PoolString`.
impl<O: Origin> fmt::Write for PoolBuf<O> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend_from_slice(text.as_bytes())
            .map_err(|_full| fmt::Error)
    }
}

/// Grows as [`PoolBuf::reserve`] does.
///
/// # Panics
///
/// If the pool refuses a larger buffer, for the trait knows no error. Who must not
/// panic reserves, and appends with [`PoolBuf::extend_from_slice`].
impl<O: Origin> Extend<u8> for PoolBuf<O> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        let bytes = bytes.into_iter();
        make_room(self, bytes.size_hint().0);
        for byte in bytes {
            if self.extend_from_slice(&[byte]).is_err() {
                make_room(self, 1);
                let appended = self.extend_from_slice(&[byte]);
                debug_assert!(appended.is_ok());
            }
        }
    }
}

/// As for bytes.
impl<'b, O: Origin> Extend<&'b u8> for PoolBuf<O> {
    fn extend<I: IntoIterator<Item = &'b u8>>(&mut self, bytes: I) {
        self.extend(bytes.into_iter().copied());
    }
}

fn make_room<O: Origin>(buffer: &mut PoolBuf<O>, bytes: usize) {
    if let Err(refused) = buffer.reserve(bytes) {
        panic!(
            "a buffer of {} bytes cannot grow: {refused}",
            buffer.capacity()
        );
    }
}

impl<'b, O: Origin> IntoIterator for &'b PoolBuf<O> {
    type Item = &'b u8;
    type IntoIter = core::slice::Iter<'b, u8>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A copy.
impl<O: Origin> From<PoolBytes<O>> for Vec<u8> {
    fn from(bytes: PoolBytes<O>) -> Self {
        bytes.as_slice().into()
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use crate::{BytePool, Config};
    use std::string::ToString;

    #[test]
    fn a_buffer_that_is_extended_grows_through_its_pool() {
        let pool = BytePool::default();
        let mut buffer = pool.acquire(2048).unwrap();
        buffer.extend((0..5000_u32).map(|n| n.to_le_bytes()[0]));
        buffer.extend(&[1, 2, 3]);
        assert_eq!((buffer.len(), buffer.capacity()), (5003, 8192));
        assert_eq!(buffer[4999..], [4999_u32.to_le_bytes()[0], 1, 2, 3]);
    }

    #[test]
    #[should_panic(expected = "cannot grow")]
    fn a_buffer_that_cannot_grow_says_so() {
        let budget = millpond_core::budget::Budget::new("little", 1 << 20);
        let config = Config::new().with_sizes(&[64]).with_budget(&budget);
        let pool = BytePool::new(config).unwrap();
        pool.acquire(64).unwrap().extend((0..1 << 21).map(|_| 0));
    }

    #[test]
    fn text_is_written_whole_or_not_at_all() {
        use core::fmt::Write;
        let pool = BytePool::new(Config::new().with_sizes(&[8])).unwrap();
        let mut buffer = pool.acquire(8).unwrap();
        write!(buffer, "{}", 1234).unwrap();
        buffer.write_str("12345").unwrap_err();
        assert_eq!(buffer.as_slice(), 1234.to_string().as_bytes());
    }
}
