//! Document trees in arenas: what a Json scope is for.
//!
//! ```text
//!   input   {"name":"pond","tags":["a\n"]}
//!             ▲       ▲      ▲
//!   tree    entries ──┴──────┘ borrowed from the input      "a⏎" in the arena: it
//!           in the arena                                    had to be unescaped
//! ```
//!
//! A tree is plain references: it is copied as cheaply as a slice, and goes with
//! its lease. While it is built, unfinished arrays and objects lie on a stack,
//! and each is copied into the arena at its exact length when it ends.

use crate::error::ArenaFull;
use crate::lease::Lease;
use crate::vec::ArenaVec;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A value of a document, in an arena or borrowed from the input.
///
/// ```
/// # #[cfg(feature = "serde_json")] {
/// use millpond_arena::{ArenaManager, Scope};
///
/// let manager = ArenaManager::new();
/// let arena = manager.lease(Scope::Json)?;
/// let document = arena.parse_json(br#"{"name":"pond","depth":[1,2.5,-3]}"#)?;
/// assert_eq!(document.get("name").and_then(|name| name.as_str()), Some("pond"));
/// assert_eq!(document.get("depth").and_then(|depth| depth.at(2)?.as_i64()), Some(-3));
///
/// let mut text = Vec::new();
/// document.write_json(&mut text)?;
/// assert_eq!(text, br#"{"name":"pond","depth":[1,2.5,-3]}"#);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Value<'v> {
    /// Nothing.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer that is not negative.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    String(&'v str),
    /// An array.
    Array(&'v [Value<'v>]),
    /// An object: its entries in the order of the document. A key that stands in
    /// it twice is here twice.
    Object(&'v [(&'v str, Value<'v>)]),
}

impl<'v> Value<'v> {
    /// The value of `key` in an object, the last one if there are several. Looks at
    /// the keys one by one.
    ///
    /// ```
    /// # #[cfg(feature = "serde_json")] {
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let value = arena.parse_json(br#"{"depth":3}"#)?;
    /// assert_eq!(value.get("depth").and_then(|depth| depth.as_u64()), Some(3));
    /// assert_eq!(value.get("width"), None);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'v Value<'v>> {
        let Self::Object(entries) = *self else {
            return None;
        };
        let found = entries.iter().rev().find(|(name, _)| *name == key);
        found.map(|(_, value)| value)
    }

    /// The element number `index` of an array.
    ///
    /// ```
    /// # #[cfg(feature = "serde_json")] {
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let value = arena.parse_json(br#"[1,2]"#)?;
    /// assert_eq!(value.at(1).and_then(|second| second.as_u64()), Some(2));
    /// assert_eq!(value.at(2), None);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&'v Value<'v>> {
        match *self {
            Self::Array(elements) => elements.get(index),
            _ => None,
        }
    }

    /// The string.
    ///
    /// ```
    /// use millpond_arena::document::Value;
    ///
    /// assert_eq!(Value::String("pond").as_str(), Some("pond"));
    /// assert_eq!(Value::Null.as_str(), None);
    /// ```
    #[must_use]
    pub fn as_str(&self) -> Option<&'v str> {
        match *self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is in range.
    ///
    /// ```
    /// use millpond_arena::document::Value;
    ///
    /// assert_eq!(Value::Signed(-3).as_i64(), Some(-3));
    /// assert_eq!(Value::Unsigned(u64::MAX).as_i64(), None);
    /// ```
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Unsigned(number) => number.try_into().ok(),
            Self::Signed(number) => Some(number),
            _ => None,
        }
    }

    /// The integer, if it is in range.
    ///
    /// ```
    /// use millpond_arena::document::Value;
    ///
    /// assert_eq!(Value::Unsigned(3).as_u64(), Some(3));
    /// assert_eq!(Value::Signed(-3).as_u64(), None);
    /// ```
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(number) => Some(number),
            Self::Signed(number) => number.try_into().ok(),
            _ => None,
        }
    }

    /// The number, rounded where it must be.
    ///
    /// ```
    /// use millpond_arena::document::Value;
    ///
    /// assert_eq!(Value::Float(2.5).as_f64(), Some(2.5));
    /// assert_eq!(Value::Unsigned(2).as_f64(), Some(2.0));
    /// ```
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "what is asked for")]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Unsigned(number) => Some(number as f64),
            Self::Signed(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            _ => None,
        }
    }

    /// The truth value.
    ///
    /// ```
    /// use millpond_arena::document::Value;
    ///
    /// assert_eq!(Value::Bool(true).as_bool(), Some(true));
    /// assert_eq!(Value::Unsigned(1).as_bool(), None);
    /// ```
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// The elements of an array.
    ///
    /// ```
    /// # #[cfg(feature = "serde_json")] {
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let value = arena.parse_json(br#"[1,2]"#)?;
    /// assert_eq!(value.as_array().map(|elements| elements.len()), Some(2));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_array(&self) -> Option<&'v [Value<'v>]> {
        match *self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries of an object.
    ///
    /// ```
    /// # #[cfg(feature = "serde_json")] {
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let value = arena.parse_json(br#"{"b":1,"a":2}"#)?;
    /// let entries = value.as_object().unwrap_or_default();
    /// assert_eq!((entries[0].0, entries[1].0), ("b", "a"));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_object(&self) -> Option<&'v [(&'v str, Value<'v>)]> {
        match *self {
            Self::Object(entries) => Some(entries),
            _ => None,
        }
    }

    /// Writes the value as JSON. A `bytes::BufMut` is written to by way of its
    /// `writer()`.
    ///
    /// ```
    /// # #[cfg(feature = "serde_json")] {
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let value = arena.parse_json(br#"[1,"two"]"#)?;
    /// let mut text = Vec::new();
    /// value.write_json(&mut text)?;
    /// assert_eq!(text, br#"[1,"two"]"#);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the writer answers.
    #[cfg(feature = "serde_json")]
    pub fn write_json(&self, writer: impl std::io::Write) -> serde_json::Result<()> {
        serde_json::to_writer(writer, self)
    }
}

impl Lease<'_> {
    /// Reads a JSON document into a tree. Strings without escapes are borrowed
    /// from `json`; everything else is in the arena.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let document = arena.parse_json(br#"["one"]"#)?;
    /// assert_eq!(document.at(0).and_then(|first| first.as_str()), Some("one"));
    /// assert!(arena.parse_json(b"[").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where and why `json` is no document; or that a limit was hit.
    #[cfg(feature = "serde_json")]
    pub fn parse_json<'v>(&'v self, json: &'v [u8]) -> serde_json::Result<Value<'v>> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let document = self.document().deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(document)
    }

    /// A seed that reads a document of any self-describing format into a tree.
    ///
    /// ```
    /// # #[cfg(feature = "serde_json")] {
    /// # use millpond_arena::{ArenaManager, Scope};
    /// use serde::de::DeserializeSeed;
    ///
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut json = serde_json::Deserializer::from_str("[1, 2]");
    /// let document = arena.document().deserialize(&mut json)?;
    /// assert_eq!(document.as_array().map(|elements| elements.len()), Some(2));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn document(&self) -> DocumentSeed<'_> {
        DocumentSeed { lease: self }
    }
}

/// Reads a document into an arena; see [`Lease::document`].
#[derive(Clone, Copy, Debug)]
pub struct DocumentSeed<'v> {
    lease: &'v Lease<'v>,
}

impl<'de: 'v, 'v> DeserializeSeed<'de> for DocumentSeed<'v> {
    type Value = Value<'v>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'v>, D::Error> {
        let mut open = Open {
            lease: self.lease,
            elements: self.lease.vec(),
            entries: self.lease.vec(),
        };
        deserializer.deserialize_any(Node(&mut open))
    }
}

/// Elements and entries of arrays and objects that have not ended.
struct Open<'v> {
    lease: &'v Lease<'v>,
    elements: ArenaVec<'v, Value<'v>>,
    entries: ArenaVec<'v, (&'v str, Value<'v>)>,
}

/// What reads one value.
struct Node<'o, 'v>(&'o mut Open<'v>);

impl<'de: 'v, 'v> DeserializeSeed<'de> for Node<'_, 'v> {
    type Value = Value<'v>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'v>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn full<E: Error>(full: ArenaFull) -> E {
    E::custom(full)
}

impl<'de: 'v, 'v> Visitor<'de> for Node<'_, 'v> {
    type Value = Value<'v>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<Value<'v>, E> {
        Ok(Value::Null)
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<Value<'v>, E> {
        Ok(Value::Null)
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'v>, D::Error> {
        deserializer.deserialize_any(self)
    }

    #[inline]
    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value<'v>, E> {
        Ok(Value::Bool(truth))
    }

    #[inline]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'v>, E> {
        Ok(Value::Unsigned(number))
    }

    #[inline]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'v>, E> {
        let unsigned = u64::try_from(number).map(Value::Unsigned);
        Ok(unsigned.unwrap_or(Value::Signed(number)))
    }

    #[inline]
    fn visit_f64<E: Error>(self, number: f64) -> Result<Value<'v>, E> {
        Ok(Value::Float(number))
    }

    #[inline]
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'v>, E> {
        Ok(Value::String(text))
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'v>, E> {
        Ok(Value::String(self.0.lease.alloc_str(text).map_err(full)?))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value<'v>, A::Error> {
        let open = self.0;
        let start = open.elements.len();
        while let Some(element) = sequence.next_element_seed(Node(open))? {
            open.elements.push(element).map_err(full)?;
        }
        let ended = open.lease.alloc_slice_copy(&open.elements[start..]);
        open.elements.truncate(start);
        Ok(Value::Array(ended.map_err(full)?))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'v>, A::Error> {
        let open = self.0;
        let start = open.entries.len();
        while let Some(key) = map.next_key_seed(Key(open.lease))? {
            let value = map.next_value_seed(Node(open))?;
            open.entries.push((key, value)).map_err(full)?;
        }
        let ended = open.lease.alloc_slice_copy(&open.entries[start..]);
        open.entries.truncate(start);
        Ok(Value::Object(ended.map_err(full)?))
    }
}

/// What reads one key.
struct Key<'v>(&'v Lease<'v>);

impl<'de: 'v, 'v> DeserializeSeed<'de> for Key<'v> {
    type Value = &'v str;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'v str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de: 'v, 'v> Visitor<'de> for Key<'v> {
    type Value = &'v str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<&'v str, E> {
        Ok(text)
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<&'v str, E> {
        Ok(self.0.alloc_str(text).map_err(full)?)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(truth),
            Self::Unsigned(number) => serializer.serialize_u64(number),
            Self::Signed(number) => serializer.serialize_i64(number),
            Self::Float(number) => serializer.serialize_f64(number),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}
