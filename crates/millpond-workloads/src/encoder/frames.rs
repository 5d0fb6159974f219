//! Context frames: words that a text used lately and the dictionary does not know.
//!
//! ```text
//!  fn outer() {  let lease = …;        frame 1: outer
//!      if full {  let magazine = …; }  frame 2: lease, full      frame 3: magazine
//!  }                                   a brace opens a frame, its end forgets it
//! ```
//!
//! Encoder and decoder look at the same text, so both have the same frames at the
//! same place, and a word that is in one of them costs two bytes.

use super::dictionary::{Dictionary, in_word};
use super::memory::Memory;
use millpond_core::error::AcquireError;
use std::ops::Range;

/// Words in a frame; the oldest makes room.
const WORDS: u8 = 64;
/// Deeper braces share the innermost frame.
const DEEPEST: usize = 32;
/// How far out a word is looked for; as many codes are reserved.
pub const REACH: usize = 8;
/// Shorter words cost as much as a reference.
const SHORTEST: usize = 4;
const LONGEST: usize = super::dictionary::LONGEST;

/// One scope's words: a hash each to look for, and where they stand in the text.
#[derive(Debug)]
pub struct Frame {
    hashes: [u32; WORDS as usize],
    begins: [u32; WORDS as usize],
    lengths: [u8; WORDS as usize],
    used: u8,
    next: u8,
}

impl Frame {
    /// A frame without words.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            hashes: [0; WORDS as usize],
            begins: [0; WORDS as usize],
            lengths: [0; WORDS as usize],
            used: 0,
            next: 0,
        }
    }

    fn add(&mut self, hash: u32, begin: usize, length: usize) {
        let (Ok(begin), Ok(length)) = (u32::try_from(begin), u8::try_from(length)) else {
            return;
        };
        let index = usize::from(self.next);
        self.hashes[index] = hash;
        self.begins[index] = begin;
        self.lengths[index] = length;
        self.next = (self.next + 1) % WORDS;
        self.used = (self.used + 1).min(WORDS);
    }

    fn place(&self, index: usize) -> Range<usize> {
        let begin = self.begins[index] as usize;
        begin..begin + usize::from(self.lengths[index])
    }

    fn find(&self, hash: u32, word: &[u8], text: &[u8]) -> Option<u8> {
        let hashes = &self.hashes[..usize::from(self.used)];
        let same =
            |index: usize| hashes[index] == hash && text.get(self.place(index)) == Some(word);
        let found = (0..hashes.len()).find(|&index| same(index))?;
        u8::try_from(found).ok()
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

/// The frames that are open at a place in a text.
pub struct Frames<'m, M: Memory> {
    memory: &'m M,
    open: Vec<M::Frame<'m>>,
    /// Braces that are open beyond the deepest frame.
    beyond: usize,
    /// Where the word began that the place is in.
    word: Option<usize>,
}

impl<M: Memory> std::fmt::Debug for Frames<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames")
            .field("open", &self.open.len())
            .field("beyond", &self.beyond)
            .finish_non_exhaustive()
    }
}

impl<'m, M: Memory> Frames<'m, M> {
    /// No frame yet.
    pub fn new(memory: &'m M) -> Self {
        Self {
            memory,
            open: Vec::with_capacity(DEEPEST),
            beyond: 0,
            word: None,
        }
    }

    /// Begins a text: one frame is open, and empty.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub fn begin(&mut self) -> Result<(), AcquireError> {
        self.open.clear();
        (self.beyond, self.word) = (0, None);
        self.open.push(self.memory.frame()?);
        Ok(())
    }

    /// Ends a text: no frame is open.
    pub fn end(&mut self) {
        self.open.clear();
    }

    /// Where `word` is: how many frames out, and its number there.
    #[inline]
    #[must_use]
    pub fn find(&self, word: &[u8], text: &[u8]) -> Option<(u8, u8)> {
        if !(SHORTEST..=LONGEST).contains(&word.len()) {
            return None;
        }
        let hash = hash_of(word);
        let reachable = self.open.iter().rev().take(REACH).zip(0..);
        reachable
            .into_iter()
            .find_map(|(frame, out)| Some((out, frame.find(hash, word, text)?)))
    }

    /// Where in the text the word with this number stands, so many frames out.
    #[must_use]
    pub fn word(&self, out: u8, number: u8) -> Option<Range<usize>> {
        let frame = self.open.iter().rev().nth(usize::from(out))?;
        (number < frame.used).then(|| frame.place(usize::from(number)))
    }

    /// Takes note of `text[from..]`.
    ///
    /// # Errors
    ///
    /// If there is no memory for a frame.
    #[inline]
    pub fn observe(
        &mut self,
        dictionary: &Dictionary,
        text: &[u8],
        from: usize,
    ) -> Result<(), AcquireError> {
        for (at, &byte) in text.iter().enumerate().skip(from) {
            if in_word(byte) {
                self.word.get_or_insert(at);
                continue;
            }
            if let Some(begin) = self.word.take() {
                self.remember(dictionary, text, begin, at);
            }
            match byte {
                b'{' => self.open()?,
                b'}' => self.close(),
                _ => {}
            }
        }
        Ok(())
    }

    fn remember(&mut self, dictionary: &Dictionary, text: &[u8], begin: usize, end: usize) {
        let word = &text[begin..end];
        let length = word.len();
        if !(SHORTEST..=LONGEST).contains(&length)
            || dictionary.code_of(word).is_some()
            || self.find(word, text).is_some()
        {
            return;
        }
        if let Some(frame) = self.open.last_mut() {
            frame.add(hash_of(word), begin, length);
        }
    }

    fn open(&mut self) -> Result<(), AcquireError> {
        if self.open.len() == DEEPEST {
            self.beyond += 1;
        } else {
            self.open.push(self.memory.frame()?);
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else if self.open.len() > 1 {
            self.open.pop();
        }
    }
}

fn hash_of(word: &[u8]) -> u32 {
    word.iter().fold(0x811c_9dc5, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
