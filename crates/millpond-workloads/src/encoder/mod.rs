//! The encoder: text to a stream of glyph codes and back, against earlier documents.
//!
//! ```text
//!  code        what follows                      what it stands for
//!  00 … BF                                       a piece of the dictionary
//!  C0 … EF     a byte                            another piece
//!  F0          length, bytes                     a literal
//!  F1          age, offset, length               a copy from an earlier document
//!  F8 … FF     number                            a word of the frame 0 … 7 scopes out
//! ```
//!
//! ```
//! use millpond_workloads::encoder::{Decoder, Dictionary, Encoder, memory::Heap};
//!
//! let text = "pub fn acquire(&self) -> Lease { self.slots.pop() }\n".repeat(20);
//! let dictionary = Dictionary::learn([text.as_str()]);
//!
//! let mut pages = Vec::new();
//! Encoder::new(&dictionary, &Heap).encode(&text, &mut pages)?;
//! let coded: Vec<u8> = pages.iter().flat_map(|page| page.iter().copied()).collect();
//! assert!(coded.len() * 2 < text.len());
//!
//! let mut decoded = Vec::new();
//! Decoder::new(&dictionary, &Heap).decode(&coded, &mut decoded)?;
//! assert_eq!(decoded, text.as_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Output goes into pages of 4 KiB, scopes into [context frames](frames), earlier
//! documents into a [history]. All three come from a [`memory::Memory`].

pub mod archive;
pub mod dictionary;
pub mod frames;
pub mod history;
pub mod memory;
pub mod sizing;
pub mod varint;

pub use self::dictionary::Dictionary;

use self::frames::{Frames, REACH};
use self::history::{ANCHOR, Copied, Copies, History};
use self::memory::{Memory, Page};
use millpond_core::error::AcquireError;
use std::error::Error;
use std::fmt;
use std::ops::DerefMut;

const LONG: u8 = 0xC0;
const LITERAL: u8 = 0xF0;
const COPY: u8 = 0xF1;
const WORD: u8 = 0xF8;

const _: () = assert!(WORD as usize + REACH == 0x100);
const _: () = assert!(LONG as usize == dictionary::SHORT);

/// Bytes that are not what an encoder writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Where, in bytes.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.what)
    }
}

impl Error for FormatError {}

/// Why something was not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes are not what an encoder writes.
    Format(FormatError),
    /// There was no memory.
    Memory(AcquireError),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl Error for DecodeError {}

impl From<FormatError> for DecodeError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<AcquireError> for DecodeError {
    fn from(error: AcquireError) -> Self {
        Self::Memory(error)
    }
}

/// Pages that are written one after the other.
struct Output<'o, 'm, M: Memory> {
    memory: &'m M,
    full: &'o mut Vec<M::Page<'m>>,
    page: M::Page<'m>,
}

impl<'o, 'm, M: Memory> Output<'o, 'm, M> {
    fn new(memory: &'m M, full: &'o mut Vec<M::Page<'m>>) -> Result<Self, AcquireError> {
        let page = memory.page()?;
        Ok(Self { memory, full, page })
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) -> Result<(), AcquireError> {
        if self.page.try_extend_from_slice(bytes).is_ok() {
            return Ok(());
        }
        self.push_over_the_edge(bytes)
    }

    fn push_over_the_edge(&mut self, bytes: &[u8]) -> Result<(), AcquireError> {
        let (here, there) = bytes.split_at(self.page.remaining_capacity().min(bytes.len()));
        append(&mut self.page, here);
        let next = self.memory.page()?;
        self.full.push(std::mem::replace(&mut self.page, next));
        append(&mut self.page, there);
        Ok(())
    }

    fn finish(self) {
        self.full.push(self.page);
    }
}

fn append(page: &mut impl DerefMut<Target = Page>, bytes: &[u8]) {
    let room = page.try_extend_from_slice(bytes);
    debug_assert!(room.is_ok(), "codes are shorter than a page");
}

/// Encodes documents one after the other, each against those before it.
pub struct Encoder<'m, M: Memory> {
    dictionary: &'m Dictionary,
    memory: &'m M,
    frames: Frames<'m, M>,
    history: History<'m, M>,
    copies: Copies,
}

impl<M: Memory> fmt::Debug for Encoder<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}

impl<'m, M: Memory> Encoder<'m, M> {
    /// An encoder without history.
    pub fn new(dictionary: &'m Dictionary, memory: &'m M) -> Self {
        Self {
            dictionary,
            memory,
            frames: Frames::new(memory),
            history: History::new(memory),
            copies: Copies::default(),
        }
    }

    /// What it remembers.
    #[must_use]
    pub fn history(&self) -> &History<'m, M> {
        &self.history
    }

    /// Encodes `text` into new pages at the end of `out`; all but the last are full.
    ///
    /// # Errors
    ///
    /// If there was no memory. The encoder is then at the end of its use: what was
    /// written is incomplete.
    pub fn encode(&mut self, text: &str, out: &mut Vec<M::Page<'m>>) -> Result<(), AcquireError> {
        let text = text.as_bytes();
        let mut output = Output::new(self.memory, out)?;
        self.copies.clear();
        self.frames.begin()?;
        let mut at = 0;
        while at < text.len() {
            let length = match self.copy_at(text, at) {
                Some(copied) => self.write_copy(copied, &mut output)?,
                None => self.write_token(text, at, &mut output)?,
            };
            self.frames
                .observe(self.dictionary, &text[..at + length], at)?;
            at += length;
        }
        output.finish();
        self.frames.end();
        self.history.push(text, &self.copies)?;
        self.memory.encoded();
        Ok(())
    }

    fn copy_at(&self, text: &[u8], at: usize) -> Option<Copied> {
        let line_begins = at == 0 || text[at - 1] == b'\n';
        if !line_begins || text.len() - at < ANCHOR {
            return None;
        }
        self.history.find(&text[at..])
    }

    fn write_copy(
        &mut self,
        copied: Copied,
        output: &mut Output<'_, 'm, M>,
    ) -> Result<usize, AcquireError> {
        self.copies.note(copied);
        output.push(&[COPY])?;
        for number in [
            u64::from(copied.age),
            copied.offset as u64,
            copied.length as u64,
        ] {
            let (bytes, length) = varint::encoded(number);
            output.push(&bytes[..length])?;
        }
        Ok(copied.length)
    }

    /// Writes the token at `at`, or a first part of it; its length.
    fn write_token(
        &self,
        text: &[u8],
        at: usize,
        output: &mut Output<'_, 'm, M>,
    ) -> Result<usize, AcquireError> {
        let token = dictionary::token(&text[at..]).unwrap_or_default();
        if let Some(code) = self.dictionary.code_of(token) {
            write_piece(code, output)?;
            return Ok(token.len());
        }
        if let Some((frame, number)) = self.frames.find(token, &text[..at]) {
            output.push(&[WORD + frame, number])?;
            return Ok(token.len());
        }
        // The space before a word is a piece of its own, so that the word alone can
        // be looked up next.
        let reach = if token[0] == b' ' { &token[..1] } else { token };
        self.write_inside(reach, output)
    }

    /// The first piece of a token that has no code; what follows is looked at anew,
    /// except for the rest of a word, which would not be found either.
    fn write_inside(
        &self,
        token: &[u8],
        output: &mut Output<'_, 'm, M>,
    ) -> Result<usize, AcquireError> {
        let mut at = 0;
        while at < token.len() {
            if let Some((code, length)) = self.dictionary.longest_at(&token[at..]) {
                write_piece(code, output)?;
                at += length;
            } else {
                let rest = &token[at..];
                let known = |from: &usize| self.dictionary.longest_at(&rest[*from..]).is_some();
                let length = (1..rest.len()).find(known).unwrap_or(rest.len());
                let short = u8::try_from(length).unwrap_or(u8::MAX);
                output.push(&[LITERAL, short])?;
                output.push(&rest[..usize::from(short)])?;
                at += usize::from(short);
            }
        }
        Ok(token.len())
    }
}

#[inline]
fn write_piece<M: Memory>(code: u16, output: &mut Output<'_, '_, M>) -> Result<(), AcquireError> {
    let [high, low] = code.wrapping_sub(u16::from(LONG)).to_be_bytes();
    match u8::try_from(code) {
        Ok(short) if short < LONG => output.push(&[short]),
        _ => output.push(&[LONG + high, low]),
    }
}

/// Decodes what an [`Encoder`] encoded, document by document in the same order.
pub struct Decoder<'m, M: Memory> {
    dictionary: &'m Dictionary,
    frames: Frames<'m, M>,
    history: History<'m, M>,
    copies: Copies,
}

impl<M: Memory> fmt::Debug for Decoder<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}

impl<'m, M: Memory> Decoder<'m, M> {
    /// A decoder without history.
    pub fn new(dictionary: &'m Dictionary, memory: &'m M) -> Self {
        Self {
            dictionary,
            frames: Frames::new(memory),
            history: History::new(memory),
            copies: Copies::default(),
        }
    }

    /// Decodes one document into `text`, of which the earlier contents go.
    ///
    /// # Errors
    ///
    /// Where the bytes are not what the encoder writes. The decoder is then at the
    /// end of its use.
    pub fn decode(&mut self, coded: &[u8], text: &mut Vec<u8>) -> Result<(), DecodeError> {
        text.clear();
        self.copies.clear();
        self.frames.begin()?;
        let mut at = 0;
        while at < coded.len() {
            let from = text.len();
            at = self.code(coded, at, text)?;
            self.frames.observe(self.dictionary, text, from)?;
        }
        self.frames.end();
        self.history.push(text, &self.copies)?;
        Ok(())
    }

    /// Decodes the code at `at`; where it ends.
    fn code(&mut self, coded: &[u8], at: usize, text: &mut Vec<u8>) -> Result<usize, FormatError> {
        let wrong = |what| FormatError { at, what };
        let cut = wrong("a code is cut off");
        match coded[at] {
            LITERAL => {
                let length = usize::from(*coded.get(at + 1).ok_or(cut)?);
                let bytes = coded.get(at + 2..at + 2 + length).ok_or(cut)?;
                text.extend_from_slice(bytes);
                Ok(at + 2 + length)
            }
            COPY => self.copy(coded, at, text),
            first @ WORD.. => {
                let number = *coded.get(at + 1).ok_or(cut)?;
                // A frame knows words of this text only, so the place is in it.
                let word = self.frames.word(first - WORD, number);
                text.extend_from_within(word.ok_or(wrong("no frame has this word"))?);
                Ok(at + 2)
            }
            first if first < LONG => self.piece(u16::from(first), text, at, at + 1),
            first if first < LITERAL => {
                let second = *coded.get(at + 1).ok_or(cut)?;
                let code = u16::from_be_bytes([first - LONG, second]) + u16::from(LONG);
                self.piece(code, text, at, at + 2)
            }
            _ => Err(wrong("no such code")),
        }
    }

    fn piece(
        &self,
        code: u16,
        text: &mut Vec<u8>,
        at: usize,
        end: usize,
    ) -> Result<usize, FormatError> {
        let what = "the dictionary has no such piece";
        let piece = self.dictionary.piece(code);
        text.extend_from_slice(piece.ok_or(FormatError { at, what })?);
        Ok(end)
    }

    fn copy(&mut self, coded: &[u8], at: usize, text: &mut Vec<u8>) -> Result<usize, FormatError> {
        let (age, next) = varint::read(coded, at + 1)?;
        let (offset, next) = varint::read(coded, next)?;
        let (length, next) = varint::read(coded, next)?;
        let copied = Copied {
            age: u32::try_from(age).unwrap_or(u32::MAX),
            offset: usize::try_from(offset).unwrap_or(usize::MAX),
            length: usize::try_from(length).unwrap_or(usize::MAX),
        };
        let what = "the history has no such text";
        let earlier = self.history.copied(copied);
        text.extend_from_slice(earlier.ok_or(FormatError { at, what })?);
        self.copies.note(copied);
        Ok(next)
    }
}
