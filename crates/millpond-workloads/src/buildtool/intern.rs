//! Interning: a text that occurs again is the same number, and is kept once.

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

/// Texts, each kept once, one behind the other in one string, of a pool or of its own.
///
/// ```
/// use millpond_bytes::{StringPool, StringSize};
/// use millpond_workloads::buildtool::intern::Interner;
///
/// let mut keys = Interner::new(StringPool::new()?.acquire(StringSize::Medium)?);
/// let title = keys.key("org.opencontainers.image.title")?;
/// assert_eq!(keys.key("org.opencontainers.image.title")?, title);
/// assert_ne!(keys.key("org.opencontainers.image.version")?, title);
/// assert_eq!(keys.text(title), "org.opencontainers.image.title");
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Interner<T = String> {
    texts: T,
    /// Where each text ends in `texts`.
    ends: Vec<u32>,
    known: HashTable<Key>,
}

/// Bytes of a text for which room is made when nothing is known of it.
const SOME_BYTES: usize = 64;

impl Interner<String> {
    /// Makes room for so many more texts.
    pub fn reserve(&mut self, texts: usize) {
        let Self {
            texts: all,
            ends,
            known,
        } = self;
        all.reserve(texts * SOME_BYTES);
        ends.reserve(texts);
        known.reserve(texts, |key| hash(part(all, ends, *key)));
    }

    /// Forgets all texts and keeps the memory.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.ends.clear();
        self.known.clear();
    }
}

impl<T: Write + Deref<Target = str>> Interner<T> {
    /// Knows nothing yet, and keeps its texts in `texts`, which is empty.
    pub fn new(texts: T) -> Self {
        Self {
            texts,
            ends: Vec::new(),
            known: HashTable::new(),
        }
    }

    /// The key of `text`, which is copied if it is new.
    ///
    /// # Errors
    ///
    /// If there is no memory, or there are 4 GiB of texts.
    pub fn key(&mut self, text: &str) -> Result<Key> {
        let Self { texts, ends, known } = self;
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

fn hash(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
}

fn part<'t>(texts: &'t str, ends: &[u32], key: Key) -> &'t str {
    let begin = key.index().checked_sub(1).map_or(0, |before| ends[before]);
    &texts[begin as usize..ends[key.index()] as usize]
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Heap, Memory, Pooled};
    use super::*;

    fn text(n: usize) -> String {
        format!("org.example.{}", n % 700)
    }

    fn a_text_is_kept_once<T: Write + Deref<Target = str>>(interner: &mut Interner<T>) {
        let mut key = |text: &str| interner.key(text).unwrap();
        let keys: Vec<Key> = (0..2_000).map(|n| key(&text(n))).collect();
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(interner.text(*key), text(n));
            assert_eq!(key.index(), n % 700);
        }
        let nothing = interner.key("").unwrap();
        assert_eq!(interner.text(nothing), "");
        assert_eq!(interner.len(), 701);
    }

    #[test]
    fn a_text_is_kept_once_however_often_and_in_whichever_class_it_lands() {
        let pools = Pooled::new().unwrap();
        a_text_is_kept_once(&mut Interner::new(Heap.text(10).unwrap()));
        a_text_is_kept_once(&mut Interner::new(pools.text(10).unwrap()));
    }

    #[test]
    fn what_was_cleared_knows_nothing_and_learns_again() {
        let mut interner = Interner::default();
        for reserved in [0, 100, 1_000] {
            interner.reserve(reserved);
            a_text_is_kept_once(&mut interner);
            interner.clear();
            assert!(interner.is_empty());
        }
    }
}
