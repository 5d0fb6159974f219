//! Interning: a text that occurs again is the same number, and is kept once.

use super::memory::Memory;
use anyhow::{Context, Result};
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::fmt::Write;
use std::hash::BuildHasher;
use std::ops::Deref;

/// A text that an [`Interner`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u32);

impl Key {
    /// Keys are numbered from 0, in the order in which they were first seen.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Texts, each kept once, one behind the other in one string of a memory.
///
/// ```
/// use millpond_workloads::buildtool::intern::Interner;
/// use millpond_workloads::buildtool::memory::Pooled;
///
/// let pools = Pooled::new()?;
/// let mut keys = Interner::new(&pools)?;
/// let title = keys.key("org.opencontainers.image.title")?;
/// assert_eq!(keys.key("org.opencontainers.image.title")?, title);
/// assert_ne!(keys.key("org.opencontainers.image.version")?, title);
/// assert_eq!(keys.text(title), "org.opencontainers.image.title");
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Interner<M: Memory> {
    texts: M::Text,
    /// Where each text ends in `texts`.
    ends: Vec<u32>,
    known: HashTable<Key>,
}

impl<M: Memory> std::fmt::Debug for Interner<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interner")
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

/// Bytes of text for which there is room at first.
const SOME_BYTES: usize = 2048;

impl<M: Memory> Interner<M> {
    /// Knows nothing yet.
    ///
    /// # Errors
    ///
    /// If there is no memory.
    pub fn new(memory: &M) -> Result<Self> {
        Ok(Self {
            texts: memory.text(SOME_BYTES)?,
            ends: Vec::new(),
            known: HashTable::new(),
        })
    }

    /// The key of `text`, which is copied if it is new.
    ///
    /// # Errors
    ///
    /// If there is no memory, or there are 4 GiB of texts.
    pub fn key(&mut self, text: &str) -> Result<Key> {
        let Self { texts, ends, known } = self;
        let hash = |text: &str| FxBuildHasher.hash_one(text);
        let wanted = hash(text);
        if let Some(key) = known.find(wanted, |key| part(texts, ends, *key) == text) {
            return Ok(*key);
        }
        let end = u32::try_from(texts.len() + text.len()).context("4 GiB of texts")?;
        texts.write_str(text).context("no memory for a text")?;
        let key = Key(u32::try_from(ends.len()).context("2³² texts")?);
        ends.push(end);
        known.insert_unique(wanted, key, |key| hash(part(texts, ends, *key)));
        Ok(key)
    }

    /// The text of a key of this interner.
    ///
    /// # Panics
    ///
    /// If the key is another interner's, and this one has fewer.
    #[must_use]
    pub fn text(&self, key: Key) -> &str {
        part(&self.texts, &self.ends, key)
    }

    /// How many texts it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

fn part<'t>(texts: &'t impl Deref<Target = str>, ends: &[u32], key: Key) -> &'t str {
    let begin = key.index().checked_sub(1).map_or(0, |before| ends[before]);
    &texts[begin as usize..ends[key.index()] as usize]
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Heap, Pooled};
    use super::*;

    fn distinct<M: Memory>(memory: &M) -> usize {
        let mut interner = Interner::new(memory).unwrap();
        let text = |n: usize| format!("org.example.{}", n % 700);
        let keys: Vec<Key> = (0..2_000)
            .map(|n| interner.key(&text(n)).unwrap())
            .collect();
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(interner.text(*key), text(n));
            assert_eq!(key.index(), n % 700);
        }
        let nothing = interner.key("").unwrap();
        assert_eq!(interner.text(nothing), "");
        interner.len()
    }

    #[test]
    fn a_text_is_kept_once_however_often_and_in_whichever_class_it_lands() {
        assert_eq!(distinct(&Heap), 701);
        assert_eq!(distinct(&Pooled::new().unwrap()), 701);
    }
}
