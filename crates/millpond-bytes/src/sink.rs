//! Buffers as what text and iterators are poured into.

use crate::buf::{Full, PoolBuf};
use crate::origin::Origin;
use crate::view::PoolBytes;
use alloc::vec::Vec;
use core::fmt;

impl<O: Origin> PoolBuf<O> {
    /// What `write!` calls: no trait has to be in scope, and it does not matter which
    /// are. Writes all of the text or nothing of it.
    ///
    /// ```
    /// use std::fmt::Write as _;
    /// use std::io::Write as _;
    ///
    /// let mut buffer = millpond_bytes::acquire(100)?;
    /// write!(buffer, "{} {}", 200, "OK")?;
    /// assert_eq!(buffer, "200 OK");
    ///
    /// let full = write!(buffer, "{:3000}", "").expect_err("a buffer of 2,048");
    /// assert_eq!((full.needed, buffer.len()), (3000, 6));
    /// buffer.reserve(full.needed)?;
    /// write!(buffer, "{:3000}", "")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Full`] says how much room the whole text needs, so that it can be
    /// [reserved](PoolBuf::reserve).
    ///
    /// # Panics
    ///
    /// If one of the arguments refuses to be formatted, as `format!` does.
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Result<(), Full> {
        let (before, spare) = (self.len(), self.spare());
        let mut pouring = Pouring {
            buffer: self,
            needed: 0,
        };
        let poured = fmt::Write::write_fmt(&mut pouring, text);
        poured.expect("the arguments of `write!` can be formatted");
        let needed = pouring.needed;
        if needed > spare {
            self.truncate(before);
            return Err(Full { needed, spare });
        }
        Ok(())
    }
}

/// Text on its way into a buffer: once a piece does not fit, the rest is only
/// counted.
struct Pouring<'b, O: Origin> {
    buffer: &'b mut PoolBuf<O>,
    needed: usize,
}

impl<O: Origin> fmt::Write for Pouring<'_, O> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.needed = self.needed.saturating_add(piece.len());
        // What comes behind a piece that did not fit is cut off again.
        let _ = self.buffer.extend_from_slice(piece.as_bytes());
        Ok(())
    }
}

impl From<Full> for fmt::Error {
    fn from(_: Full) -> Self {
        Self
    }
}

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
        let full = write!(buffer, "{}{}-{}", 12, 345, 6).unwrap_err();
        assert_eq!((full.needed, full.spare), (7, 4));
        assert_eq!(buffer.as_slice(), 1234.to_string().as_bytes());
        write!(buffer, "{}{}", 56, 78).unwrap();
        assert_eq!(buffer.as_slice(), b"12345678");
    }

    #[test]
    fn a_panic_of_what_is_formatted_leaves_a_whole_buffer() {
        struct Refuses;
        impl core::fmt::Display for Refuses {
            fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                Err(core::fmt::Error)
            }
        }
        let pool = BytePool::default();
        let mut buffer = pool.acquire(8).unwrap();
        let write = || write!(buffer, "before {Refuses}").is_ok();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(write)).unwrap_err();
        assert_eq!(buffer, b"before ");
    }
}
