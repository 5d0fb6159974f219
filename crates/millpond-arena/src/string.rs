//! Strings in arenas.

use crate::error::ArenaFull;
use crate::lease::Lease;
use crate::vec::ArenaVec;
use core::fmt::{self, Write};
use core::ops::{Deref, DerefMut};

/// A growable string in an arena: an [`ArenaVec`] of valid UTF-8.
///
/// ```
/// use millpond_arena::{ArenaManager, Scope};
///
/// let manager = ArenaManager::new();
/// let arena = manager.lease(Scope::Json)?;
/// let mut text = arena.string();
/// text.push_str("mill")?;
/// text.push('p')?;
/// text.push_fmt(format_args!("on{}", "d"))?;
/// assert_eq!(text, "millpond");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. `bytes` are valid UTF-8.
pub struct ArenaString<'l> {
    bytes: ArenaVec<'l, u8>,
}

impl<'l> ArenaString<'l> {
    /// An empty string; allocates nothing.
    #[must_use]
    #[inline]
    pub fn new_in(lease: &'l Lease<'_>) -> Self {
        Self {
            bytes: ArenaVec::new_in(lease),
        }
    }

    /// An empty string with room for `capacity` bytes.
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    pub fn with_capacity_in(capacity: usize, lease: &'l Lease<'_>) -> Result<Self, ArenaFull> {
        let bytes = ArenaVec::with_capacity_in(capacity, lease)?;
        Ok(Self { bytes })
    }

    /// Appends a string, at memory speed.
    ///
    /// # Errors
    ///
    /// If a limit was hit; the string is as it was.
    #[inline]
    pub fn push_str(&mut self, text: &str) -> Result<(), ArenaFull> {
        self.bytes.extend_from_slice(text.as_bytes())
    }

    /// Appends a character.
    ///
    /// # Errors
    ///
    /// If a limit was hit; the string is as it was.
    #[inline]
    pub fn push(&mut self, character: char) -> Result<(), ArenaFull> {
        self.push_str(character.encode_utf8(&mut [0; 4]))
    }

    /// Appends what is formatted.
    ///
    /// # Errors
    ///
    /// If a limit was hit; what was appended until then stays.
    ///
    /// # Panics
    ///
    /// If a `Display` of an argument fails without reason, as `format!` does.
    pub fn push_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), ArenaFull> {
        let mut appending = Appending {
            text: self,
            full: None,
        };
        let written = appending.write_fmt(arguments);
        match (appending.full, written) {
            (Some(full), _) => Err(full),
            (None, Ok(())) => Ok(()),
            (None, Err(_)) => panic!("a formatting trait answered an error without reason"),
        }
    }

    /// Makes room for at least `more` bytes.
    ///
    /// # Errors
    ///
    /// If a limit was hit; the string is as it was.
    pub fn try_reserve(&mut self, more: usize) -> Result<(), ArenaFull> {
        self.bytes.try_reserve(more)
    }

    /// Removes everything and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Bytes that there is room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The text, for as long as the lease lasts.
    #[must_use]
    pub fn into_str(self) -> &'l mut str {
        // SAFETY: valid by 1.
        unsafe { core::str::from_utf8_unchecked_mut(self.bytes.into_slice()) }
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> ArenaVec<'l, u8> {
        self.bytes
    }
}

/// Remembers why an append failed, which `fmt::Error` does not.
struct Appending<'s, 'l> {
    text: &'s mut ArenaString<'l>,
    full: Option<ArenaFull>,
}

impl Write for Appending<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text).map_err(|full| {
            self.full = Some(full);
            fmt::Error
        })
    }
}

impl Write for ArenaString<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text).map_err(|_| fmt::Error)
    }
}

impl Deref for ArenaString<'_> {
    type Target = str;

    #[inline(always)]
    fn deref(&self) -> &str {
        // SAFETY: valid by 1.
        unsafe { core::str::from_utf8_unchecked(&self.bytes) }
    }
}

impl DerefMut for ArenaString<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut str {
        // SAFETY: valid by 1.
        unsafe { core::str::from_utf8_unchecked_mut(&mut self.bytes) }
    }
}

impl AsRef<str> for ArenaString<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Debug for ArenaString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        str::fmt(self, f)
    }
}

impl fmt::Display for ArenaString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        str::fmt(self, f)
    }
}

impl<S: AsRef<str> + ?Sized> PartialEq<S> for ArenaString<'_> {
    fn eq(&self, other: &S) -> bool {
        **self == *other.as_ref()
    }
}

impl<'t> Extend<&'t str> for ArenaString<'_> {
    /// For code that wants an [`Extend`].
    ///
    /// # Panics
    ///
    /// If a limit was hit, because the trait knows no error; everybody else uses
    /// [`ArenaString::push_str`].
    fn extend<I: IntoIterator<Item = &'t str>>(&mut self, texts: I) {
        for text in texts {
            if let Err(full) = self.push_str(text) {
                panic!("{full}");
            }
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ArenaString<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}
