//! JSON in memory of the moment: what primitives are asked with.
//!
//! Text without escapes is borrowed from the message.

use super::memory::{Full, List, Scope, Text};
use super::record::put;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// A JSON value.
pub enum Json<'s, S: Scope> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(Words<'s, S>),
    /// An array.
    Array(S::List<'s, Json<'s, S>>),
    /// An object; if a key is there twice, the last one counts.
    Object(S::List<'s, (Words<'s, S>, Json<'s, S>)>),
}

/// A text: borrowed from the message if nothing in it was escaped.
pub enum Words<'s, S: Scope> {
    /// As it stands in the message.
    Borrowed(&'s str),
    /// Unescaped.
    Owned(S::Text<'s>),
}

impl<'s, S: Scope> Words<'s, S> {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

/// Why a message could not be read.
#[derive(Debug)]
pub enum ParseError {
    /// It is not JSON, or nested too deeply.
    Malformed(String),
    /// The scope had no room left.
    Full,
}

impl From<Full> for ParseError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl<'s, S: Scope> Json<'s, S> {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// If it is not JSON, nested deeper than 128 levels, or the scope has no room left.
    pub fn parse(scope: &'s S, message: &'s str) -> Result<Self, ParseError> {
        let full = Cell::new(false);
        let mut reader = serde_json::Deserializer::from_str(message);
        let value = Seed { scope, full: &full }.deserialize(&mut reader);
        let value = value.and_then(|value| reader.end().map(|()| value));
        value.map_err(|error| {
            if full.get() {
                ParseError::Full
            } else {
                ParseError::Malformed(error.to_string())
            }
        })
    }

    /// The value of a key, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(entries) = self else {
            return None;
        };
        entries
            .iter()
            .rev()
            .find(|(name, _)| name.as_str() == key)
            .map(|(_, value)| value)
    }

    /// The first of these keys that is there twice.
    pub fn twice<'n>(&self, keys: &[&'n str]) -> Option<&'n str> {
        let Self::Object(entries) = self else {
            return None;
        };
        let times = |key| entries.iter().filter(move |(name, _)| name.as_str() == key);
        keys.iter()
            .copied()
            .find(|&key| times(key).nth(1).is_some())
    }

    /// What this is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Writes a text as JSON, quotes included.
///
/// # Errors
///
/// If the scope has no room left.
pub fn quote(into: &mut impl Text, text: &str) -> Result<(), Full> {
    into.push_str("\"")?;
    let mut rest = text;
    loop {
        let at = plain(rest.as_bytes());
        into.push_str(&rest[..at])?;
        let Some(escaped) = rest.as_bytes().get(at) else {
            return into.push_str("\"");
        };
        match escaped {
            b'"' => into.push_str("\\\"")?,
            b'\\' => into.push_str("\\\\")?,
            b'\n' => into.push_str("\\n")?,
            b'\r' => into.push_str("\\r")?,
            b'\t' => into.push_str("\\t")?,
            control => put(into, format_args!("\\u{control:04x}"))?,
        }
        rest = &rest[at + 1..];
    }
}

/// How many of the first bytes can be in a string as they are.
///
/// Looked at in blocks, so that the compiler compares all bytes of one at once.
fn plain(bytes: &[u8]) -> usize {
    const BLOCK: usize = 16;
    let escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let blocks = bytes.chunks_exact(BLOCK);
    let blocks = blocks.take_while(|block| {
        let found = block.iter().map(|&byte| escaped(byte));
        !found.fold(false, |any, found| any | found)
    });
    let at = BLOCK * blocks.count();
    let rest = &bytes[at..];
    let here = rest.iter().position(|&byte| escaped(byte));
    at + here.unwrap_or(rest.len())
}

impl<S: Scope> fmt::Debug for Json<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl<S: Scope> fmt::Debug for Words<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

struct Seed<'s, 'f, S> {
    scope: &'s S,
    full: &'f Cell<bool>,
}

impl<S> Clone for Seed<'_, '_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Seed<'_, '_, S> {}

impl<'s, S: Scope> Seed<'s, '_, S> {
    /// Turns a lack of room into an error that serde carries outwards.
    fn room<T, E: de::Error>(&self, result: Result<T, Full>) -> Result<T, E> {
        result.map_err(|Full| {
            self.full.set(true);
            E::custom("no room")
        })
    }

    fn owned<E: de::Error>(&self, text: &str) -> Result<Words<'s, S>, E> {
        let mut owned = self.room(self.scope.text(text.len()))?;
        self.room(owned.push_str(text))?;
        Ok(Words::Owned(owned))
    }
}

impl<'s, S: Scope> DeserializeSeed<'s> for Seed<'s, '_, S> {
    type Value = Json<'s, S>;

    fn deserialize<D: de::Deserializer<'s>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'s, S: Scope> Visitor<'s> for Seed<'s, '_, S> {
    type Value = Json<'s, S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Json::Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_borrowed_str<E>(self, text: &'s str) -> Result<Self::Value, E> {
        Ok(Json::Text(Words::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(self.owned(text)?))
    }

    fn visit_seq<A: SeqAccess<'s>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = self.room(self.scope.list(4))?;
        while let Some(item) = items.next_element_seed(self)? {
            self.room(list.push(item))?;
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'s>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut list = self.room(self.scope.list(4))?;
        while let Some(key) = entries.next_key_seed(Key(self))? {
            let value = entries.next_value_seed(self)?;
            self.room(list.push((key, value)))?;
        }
        Ok(Json::Object(list))
    }
}

struct Key<'s, 'f, S>(Seed<'s, 'f, S>);

impl<'s, S: Scope> DeserializeSeed<'s> for Key<'s, '_, S> {
    type Value = Words<'s, S>;

    fn deserialize<D: de::Deserializer<'s>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'s, S: Scope> Visitor<'s> for Key<'s, '_, S> {
    type Value = Words<'s, S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'s str) -> Result<Self::Value, E> {
        Ok(Words::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.0.owned(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebase::heap::Heap;
    use proptest::prelude::*;

    fn write(json: &Json<'_, Heap>) -> serde_json::Value {
        match json {
            Json::Null => serde_json::Value::Null,
            Json::Bool(b) => (*b).into(),
            Json::Number(n) => (*n).into(),
            Json::Text(t) => t.as_str().into(),
            Json::Array(items) => items.iter().map(write).collect(),
            Json::Object(entries) => entries
                .iter()
                .map(|(k, v)| (k.as_str().to_owned(), write(v)))
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn quoted_text_comes_back(text in any::<String>()) {
            let mut quoted = String::new();
            quote(&mut quoted, &text).unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text.clone());
            let parsed = Json::parse(&Heap, &quoted).unwrap();
            prop_assert!(matches!(&parsed, Json::Text(t) if t.as_str() == text));
        }
    }

    #[test]
    fn a_message_is_what_serde_json_says_it_is() {
        let message = r#" {"a": [1, -2.5, true, null, "x\ny"], "b": {"c": {}}, "a\u0041": "z"} "#;
        let parsed = Json::parse(&Heap, message).unwrap();
        let expected: serde_json::Value = serde_json::from_str(message).unwrap();
        assert_eq!(write(&parsed)["b"], expected["b"]);
        assert_eq!(write(&parsed)["aA"], "z");
        assert!(matches!(parsed.get("a"), Some(Json::Array(items)) if items.len() == 5));
    }

    #[test]
    fn malformed_and_endless_messages_are_refused() {
        for message in ["", "{", "[1,]", "{} x", "\"\\q\"", &"[".repeat(100_000)] {
            assert!(matches!(
                Json::parse(&Heap, message),
                Err(ParseError::Malformed(_))
            ));
        }
    }
}
