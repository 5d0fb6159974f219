//! String builders: text in pooled buffers.

use crate::buf::PoolBuf;
use crate::config::{Config, ConfigError};
use crate::pool::BytePool;
use crate::view::PoolBytes;
use core::borrow::Borrow;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;
use core::str::{self, Utf8Error};
use millpond_core::error::AcquireError;

/// Text in a pooled buffer, which grows into larger classes as it is written.
///
/// ```
/// use millpond_bytes::{StringPool, StringSize};
/// use std::fmt::Write;
///
/// let strings = StringPool::new()?;
/// let mut flag = strings.acquire(StringSize::Small)?;
/// write!(flag, "--label {}={}", "stage", "test")?;
/// assert_eq!(flag, *"--label stage=test");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. `bytes` are UTF-8.
pub struct PoolString {
    bytes: PoolBuf,
}

impl PoolString {
    /// Takes a buffer as text.
    ///
    /// # Errors
    ///
    /// Hands the buffer back with what is wrong if it is not UTF-8.
    pub fn from_utf8(bytes: PoolBuf) -> Result<Self, (PoolBuf, Utf8Error)> {
        match str::from_utf8(&bytes) {
            Ok(_) => Ok(Self { bytes }),
            Err(error) => Err((bytes, error)),
        }
    }

    /// The text.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        // SAFETY: by 1.
        unsafe { str::from_utf8_unchecked(&self.bytes) }
    }

    /// How many bytes there is room for before it has to grow.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends text, in a larger buffer if need be.
    ///
    /// # Errors
    ///
    /// Which limit was hit. Nothing is appended then.
    #[inline]
    #[track_caller]
    pub fn push_str(&mut self, text: &str) -> Result<(), AcquireError> {
        if text.len() > self.bytes.spare() {
            self.bytes.reserve(text.len())?;
        }
        let appended = self.bytes.extend_from_slice(text.as_bytes());
        debug_assert!(appended.is_ok());
        Ok(())
    }

    /// Appends a character.
    ///
    /// # Errors
    ///
    /// As [`PoolString::push_str`].
    #[track_caller]
    pub fn push(&mut self, character: char) -> Result<(), AcquireError> {
        self.push_str(character.encode_utf8(&mut [0; 4]))
    }

    /// Cuts off what is behind the first `len` bytes, if there are more.
    ///
    /// # Panics
    ///
    /// If that is in the middle of a character.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            assert!(
                self.is_char_boundary(len),
                "{len} is in the middle of a character"
            );
            self.bytes.truncate(len);
        }
    }

    /// Removes all text.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The bytes.
    pub fn into_bytes(self) -> PoolBuf {
        self.bytes
    }

    /// The bytes, shared from here on.
    #[must_use]
    pub fn freeze(self) -> PoolBytes {
        self.bytes.freeze()
    }
}

impl fmt::Write for PoolString {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text).map_err(|_| fmt::Error)
    }
}

impl Deref for PoolString {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for PoolString {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for PoolString {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Display for PoolString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for PoolString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<S: AsRef<str> + ?Sized> PartialEq<S> for PoolString {
    fn eq(&self, other: &S) -> bool {
        self.as_str() == other.as_ref()
    }
}

impl Eq for PoolString {}

impl Hash for PoolString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// How long a string is going to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StringSize {
    /// A flag, a name: 256 bytes.
    Small,
    /// A line, a path, a reference: 2 KiB.
    Medium,
    /// A page: 16 KiB.
    Large,
}

/// A pool of strings in three sizes. Longer ones are allocated directly.
///
/// ```
/// use millpond_bytes::{StringPool, StringSize};
/// use std::fmt::Write;
///
/// let strings = StringPool::new()?;
/// let mut line = strings.acquire(StringSize::Medium)?;
/// write!(line, "{} {}", "GET", "/index.html")?;
/// assert_eq!(&*line, "GET /index.html");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StringPool {
    pool: BytePool,
    sizes: [usize; 3],
}

impl StringPool {
    /// A pool of the usual sizes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Memory`].
    pub fn new() -> Result<Self, ConfigError> {
        Self::with_sizes(Config::new(), [256, 2 << 10, 16 << 10])
    }

    /// A pool of three other sizes, configured as the rest of `config` says.
    ///
    /// # Errors
    ///
    /// As [`BytePool::new`].
    pub fn with_sizes(config: Config, sizes: [usize; 3]) -> Result<Self, ConfigError> {
        let pool = BytePool::new(config.with_sizes(&sizes))?;
        Ok(Self { pool, sizes })
    }

    /// An empty string.
    ///
    /// # Errors
    ///
    /// As [`BytePool::acquire`].
    #[inline]
    #[track_caller]
    pub fn acquire(&self, size: StringSize) -> Result<PoolString, AcquireError> {
        let len = self.sizes[size as usize];
        let bytes = self.pool.acquire(len)?;
        Ok(PoolString { bytes })
    }

    /// The pool behind it, for its figures.
    #[must_use]
    pub const fn pool(&self) -> &BytePool {
        &self.pool
    }
}

impl BytePool {
    /// An empty string with room for `len` bytes.
    ///
    /// # Errors
    ///
    /// As [`BytePool::acquire`].
    #[inline]
    #[track_caller]
    pub fn acquire_string(&self, len: usize) -> Result<PoolString, AcquireError> {
        let bytes = self.acquire(len)?;
        Ok(PoolString { bytes })
    }
}
