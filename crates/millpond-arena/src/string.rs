//! Strings in arenas.

use crate::error::ArenaFull;
use crate::lease::Lease;
use crate::vec::{ArenaVec, UnboundVec};
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt::{self, Write};
use core::hash::{Hash, Hasher};
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
    ///
    /// ```
    /// use millpond_arena::ArenaString;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert!(ArenaString::new_in(&arena).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn new_in(lease: &'l Lease<'_>) -> Self {
        Self {
            bytes: ArenaVec::new_in(lease),
        }
    }

    /// An empty string with room for `capacity` bytes.
    ///
    /// ```
    /// use millpond_arena::ArenaString;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert!(ArenaString::with_capacity_in(100, &arena)?.capacity() >= 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    pub fn with_capacity_in(capacity: usize, lease: &'l Lease<'_>) -> Result<Self, ArenaFull> {
        let bytes = ArenaVec::with_capacity_in(capacity, lease)?;
        Ok(Self { bytes })
    }

    /// A string of what an iterator gives, one behind the other.
    ///
    /// ```
    /// use millpond_arena::ArenaString;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let text = ArenaString::from_iter_in(["one", "-", "two"], &arena)?;
    /// assert_eq!(&*text, "one-two");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; what the iterator gave until then is forgotten.
    pub fn from_iter_in<S: AsRef<str>>(
        texts: impl IntoIterator<Item = S>,
        lease: &'l Lease<'_>,
    ) -> Result<Self, ArenaFull> {
        let mut all = Self::new_in(lease);
        for text in texts {
            all.push_str(text.as_ref())?;
        }
        Ok(all)
    }

    /// Appends a string, at memory speed.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string();
    /// text.push_str("pond")?;
    /// assert_eq!(&*text, "pond");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string();
    /// text.push('ö')?;
    /// assert_eq!(text.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string();
    /// text.push_fmt(format_args!("{}/{}", 1, 2))?;
    /// assert_eq!(&*text, "1/2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; what was appended until then stays.
    ///
    /// # Panics
    ///
    /// If a `Display` of an argument fails without reason, as `format!` does.
    pub fn push_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), ArenaFull> {
        append(arguments, |text| self.push_str(text))
    }

    /// Makes room for at least `more` bytes.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string();
    /// text.try_reserve(50)?;
    /// assert!(text.capacity() >= 50);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the string is as it was.
    pub fn try_reserve(&mut self, more: usize) -> Result<(), ArenaFull> {
        self.bytes.try_reserve(more)
    }

    /// Removes everything and keeps the room.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string();
    /// text.push_str("pond")?;
    /// text.clear();
    /// assert!(text.is_empty() && text.capacity() > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Bytes that there is room for.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert_eq!(arena.string().capacity(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The text, for as long as the lease lasts.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string();
    /// text.push_str("pond")?;
    /// let text: &mut str = text.into_str();
    /// assert_eq!(text, "pond");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_str(self) -> &'l mut str {
        // SAFETY: valid by 1.
        unsafe { core::str::from_utf8_unchecked_mut(self.bytes.into_slice()) }
    }

    /// The bytes.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string();
    /// text.push_str("ab")?;
    /// assert_eq!(text.into_bytes(), [97, 98]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> ArenaVec<'l, u8> {
        self.bytes
    }

    /// The string without its lease: one that may be sent to another thread, and
    /// kept across `.await`. The lease is then passed to what allocates.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    ///
    /// async fn greet(manager: ArenaManager) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
    ///     let arena = manager.lease(Scope::Primitive)?;
    ///     let mut greeting = arena.string().unbind();
    ///     for _ in 0..3 {
    ///         let name = async { "pond" }.await; // `greeting` is kept across this.
    ///         greeting.push_fmt(&arena, format_args!("hello {name} "))?;
    ///     }
    ///     Ok(greeting.len())
    /// }
    ///
    /// fn spawn<F: Future + Send + 'static>(_: F) {}
    /// spawn(greet(ArenaManager::new()));
    /// ```
    #[must_use]
    pub fn unbind(self) -> UnboundString<'l> {
        UnboundString {
            bytes: self.bytes.unbind(),
        }
    }
}

/// An [`ArenaString`] without its lease: `Send`, so a task may keep one across
/// `.await`. What allocates takes the lease; see [`UnboundVec`] for other leases.
///
/// ```
/// # use millpond_arena::{ArenaManager, Scope};
/// # let arena = ArenaManager::new().lease(Scope::Json)?;
/// let mut text = arena.string().unbind();
/// text.push_str(&arena, "kept across `.await`")?;
/// assert!(text.starts_with("kept"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. `bytes` are valid UTF-8.
pub struct UnboundString<'l> {
    bytes: UnboundVec<'l, u8>,
}

impl<'l> UnboundString<'l> {
    /// Appends a string, at memory speed.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string().unbind();
    /// text.push_str(&arena, "pond")?;
    /// assert_eq!(&*text, "pond");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the string is as it was.
    #[inline]
    pub fn push_str(&mut self, lease: &'l Lease<'_>, text: &str) -> Result<(), ArenaFull> {
        self.bytes.extend_from_slice(lease, text.as_bytes())
    }

    /// Appends a character.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string().unbind();
    /// text.push(&arena, 'x')?;
    /// assert_eq!(&*text, "x");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the string is as it was.
    #[inline]
    pub fn push(&mut self, lease: &'l Lease<'_>, character: char) -> Result<(), ArenaFull> {
        self.push_str(lease, character.encode_utf8(&mut [0; 4]))
    }

    /// Appends what is formatted.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string().unbind();
    /// text.push_fmt(&arena, format_args!("{}", 7))?;
    /// assert_eq!(&*text, "7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; what was appended until then stays.
    ///
    /// # Panics
    ///
    /// If a `Display` of an argument fails without reason, as `format!` does.
    pub fn push_fmt(
        &mut self,
        lease: &'l Lease<'_>,
        arguments: fmt::Arguments<'_>,
    ) -> Result<(), ArenaFull> {
        append(arguments, |text| self.push_str(lease, text))
    }

    /// Makes room for at least `more` bytes.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string().unbind();
    /// text.try_reserve(&arena, 50)?;
    /// assert_eq!(text.len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the string is as it was.
    pub fn try_reserve(&mut self, lease: &'l Lease<'_>, more: usize) -> Result<(), ArenaFull> {
        self.bytes.try_reserve(lease, more)
    }

    /// The string with its lease again; `Err` if it is in another arena.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let text = arena.string().unbind();
    /// assert!(text.bind(&arena).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Hands the string back.
    pub fn bind(self, lease: &'l Lease<'_>) -> Result<ArenaString<'l>, Self> {
        match self.bytes.bind(lease) {
            Ok(bytes) => Ok(ArenaString { bytes }),
            Err(bytes) => Err(Self { bytes }),
        }
    }
}

/// Formats by way of `push`, and remembers why that failed, which `fmt::Error`
/// does not.
fn append(
    arguments: fmt::Arguments<'_>,
    push: impl FnMut(&str) -> Result<(), ArenaFull>,
) -> Result<(), ArenaFull> {
    struct Appending<P> {
        push: P,
        full: Option<ArenaFull>,
    }
    impl<P: FnMut(&str) -> Result<(), ArenaFull>> Write for Appending<P> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            (self.push)(text).map_err(|full| {
                self.full = Some(full);
                fmt::Error
            })
        }
    }
    let mut appending = Appending { push, full: None };
    let written = appending.write_fmt(arguments);
    match (appending.full, written) {
        (Some(full), _) => Err(full),
        (None, Ok(())) => Ok(()),
        (None, Err(_)) => panic!("a formatting trait answered an error without reason"),
    }
}

impl Write for ArenaString<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text).map_err(|_| fmt::Error)
    }
}

/// What both forms are to those who read text.
macro_rules! text {
    ($string:ident) => {
        impl Deref for $string<'_> {
            type Target = str;

            #[inline(always)]
            fn deref(&self) -> &str {
                // SAFETY: valid by 1.
                unsafe { core::str::from_utf8_unchecked(&self.bytes) }
            }
        }

        impl DerefMut for $string<'_> {
            #[inline(always)]
            fn deref_mut(&mut self) -> &mut str {
                // SAFETY: valid by 1.
                unsafe { core::str::from_utf8_unchecked_mut(&mut self.bytes) }
            }
        }

        impl AsRef<str> for $string<'_> {
            fn as_ref(&self) -> &str {
                self
            }
        }

        /// A key of a map, found by `&str`.
        impl Borrow<str> for $string<'_> {
            fn borrow(&self) -> &str {
                self
            }
        }

        impl fmt::Debug for $string<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                str::fmt(self, f)
            }
        }

        impl fmt::Display for $string<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                str::fmt(self, f)
            }
        }

        impl<S: AsRef<str> + ?Sized> PartialEq<S> for $string<'_> {
            fn eq(&self, other: &S) -> bool {
                **self == *other.as_ref()
            }
        }

        impl Eq for $string<'_> {}

        impl PartialOrd for $string<'_> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $string<'_> {
            fn cmp(&self, other: &Self) -> Ordering {
                str::cmp(self, other)
            }
        }

        impl Hash for $string<'_> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                str::hash(self, state);
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $string<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self)
            }
        }
    };
}

text!(ArenaString);
text!(UnboundString);

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

impl Extend<char> for ArenaString<'_> {
    /// For code that wants an [`Extend`].
    ///
    /// # Panics
    ///
    /// If a limit was hit, because the trait knows no error; everybody else uses
    /// [`ArenaString::push`].
    fn extend<I: IntoIterator<Item = char>>(&mut self, characters: I) {
        for character in characters {
            if let Err(full) = self.push(character) {
                panic!("{full}");
            }
        }
    }
}
