//! The dictionary: frequent pieces of text, learned from samples, each with a code.
//!
//! ```text
//!  code       what it stands for                                     bytes
//!  00 … BF    one of the 192 pieces that save most                   1
//!  C0 … EF    one of 12,288 more, with the byte that follows         2
//! ```
//!
//! What is not a piece is a literal, so any text can be encoded. Learning is
//! deterministic: the same samples give the same dictionary.

use super::FormatError;
use super::varint;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::ops::Range;

/// Pieces with a code of one byte.
pub const SHORT: usize = 0xC0;
/// Pieces with a code of two bytes.
pub const LONG: usize = 0x30 << 8;
/// No piece is longer.
pub const LONGEST: usize = 64;
/// Pieces inside of words are no longer: a match costs a look-up for each length.
const LONGEST_INSIDE: usize = 6;

/// Pieces and their codes.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    codes: HashMap<Box<[u8]>, u16>,
}

impl Dictionary {
    /// Learns the pieces that save most in `samples`.
    ///
    /// ```
    /// use millpond_workloads::encoder::dictionary::Dictionary;
    ///
    /// let sample = "the cat and the dog and the bird ".repeat(100);
    /// let dictionary = Dictionary::learn([sample.as_str()]);
    /// assert!(dictionary.code_of(b" the").is_some());
    /// assert!(dictionary.code_of(b"zebra").is_none());
    /// ```
    #[must_use]
    pub fn learn<'t>(samples: impl IntoIterator<Item = &'t str>) -> Self {
        let mut counts: HashMap<&[u8], u64> = HashMap::new();
        let mut singles = [0_u64; 256];
        for sample in samples {
            let mut rest = sample.as_bytes();
            while let Some(token) = token(rest) {
                *counts.entry(token).or_default() += 1;
                rest = &rest[token.len()..];
            }
        }
        count_inside(&mut counts, &mut singles);
        Self::of_pieces(&chosen(&counts, &singles))
    }

    fn of_pieces<P: AsRef<[u8]>>(pieces: &[P]) -> Self {
        let mut dictionary = Self {
            codes: HashMap::with_capacity(pieces.len()),
            ..Self::default()
        };
        for (piece, code) in pieces.iter().zip(0..) {
            let piece = piece.as_ref();
            dictionary.bytes.extend_from_slice(piece);
            let end = u32::try_from(dictionary.bytes.len()).unwrap_or(u32::MAX);
            dictionary.ends.push(end);
            dictionary.codes.insert(piece.into(), code);
        }
        dictionary
    }

    /// The code of exactly this piece.
    #[inline]
    #[must_use]
    pub fn code_of(&self, piece: &[u8]) -> Option<u16> {
        self.codes.get(piece).copied()
    }

    /// The longest piece that `text` begins with, as its code and its length.
    #[inline]
    #[must_use]
    pub fn longest_at(&self, text: &[u8]) -> Option<(u16, usize)> {
        let lengths = (1..=LONGEST_INSIDE.min(text.len())).rev();
        lengths
            .map(|length| (self.code_of(&text[..length]), length))
            .find_map(|(code, length)| Some((code?, length)))
    }

    /// The piece with this code.
    #[inline]
    #[must_use]
    pub fn piece(&self, code: u16) -> Option<&[u8]> {
        let index = usize::from(code);
        let end = *self.ends.get(index)? as usize;
        let begin = if index == 0 {
            0
        } else {
            self.ends[index - 1] as usize
        };
        self.bytes.get(begin..end)
    }

    /// How many pieces it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has no piece; everything is a literal then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Writes the dictionary so that [`Dictionary::read`] reads it.
    pub fn write(&self, out: &mut Vec<u8>) {
        varint::write(out, self.len() as u64);
        let mut begin = 0;
        for &end in &self.ends {
            out.push(u8::try_from(end - begin).unwrap_or(u8::MAX));
            begin = end;
        }
        out.extend_from_slice(&self.bytes);
    }

    /// Reads a dictionary and says how long it was.
    ///
    /// # Errors
    ///
    /// If it is cut off, or has more pieces than there are codes.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), FormatError> {
        let wrong = |at, what| FormatError { at, what };
        let (count, begin) = varint::read(bytes, 0)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > SHORT + LONG {
            return Err(wrong(0, "more pieces than there are codes"));
        }
        let lengths = bytes.get(begin..begin + count);
        let lengths = lengths.ok_or(wrong(begin, "the lengths of pieces are cut off"))?;
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(count);
        let mut at = begin + count;
        for &length in lengths {
            let place = place(at, length);
            let piece = bytes.get(place.clone());
            pieces.push(piece.ok_or(wrong(at, "a piece is cut off"))?);
            at = place.end;
        }
        Ok((Self::of_pieces(&pieces), at))
    }
}

fn place(at: usize, length: u8) -> Range<usize> {
    at..at + usize::from(length)
}

/// What `text` begins with: a word with the space before it, white space, or signs.
#[inline]
#[must_use]
pub fn token(text: &[u8]) -> Option<&[u8]> {
    let first = *text.first()?;
    let spaced = usize::from(first == b' ' && text.get(1).copied().is_some_and(in_word));
    let limit = text.len().min(LONGEST);
    let run = |kind: fn(u8) -> bool, from: usize| {
        let end = text[from..limit].iter().position(|&byte| !kind(byte));
        &text[..end.map_or(limit, |end| from + end)]
    };
    Some(if spaced == 1 || in_word(first) {
        run(in_word, spaced)
    } else if first.is_ascii_whitespace() {
        run(|byte| byte.is_ascii_whitespace(), 0)
    } else {
        let signs = run(|byte| !in_word(byte) && !byte.is_ascii_whitespace(), 0);
        &signs[..signs.len().min(4)]
    })
}

/// Letters, digits, and all of what is not ASCII.
#[inline]
#[must_use]
pub fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Counts what lies inside of tokens: single bytes, and pieces of long words.
fn count_inside(counts: &mut HashMap<&[u8], u64>, singles: &mut [u64; 256]) {
    let tokens: Vec<(&[u8], u64)> = counts
        .iter()
        .map(|(token, count)| (*token, *count))
        .collect();
    // Fewer than there will be, so that the table grows only in the end.
    counts.reserve(4 * tokens.len());
    for (token, count) in tokens {
        token
            .iter()
            .for_each(|&byte| singles[usize::from(byte)] += count);
        // A word that is frequent becomes a piece itself; its insides help others.
        let share = count.min(4);
        for length in 2..=LONGEST_INSIDE.min(token.len().saturating_sub(1)) {
            token
                .windows(length)
                .for_each(|piece| *counts.entry(piece).or_default() += share);
        }
    }
}

/// The pieces in the order of their codes: what saves most has the short codes.
fn chosen<'t>(counts: &HashMap<&'t [u8], u64>, singles: &[u64; 256]) -> Vec<&'t [u8]> {
    // A literal of one byte costs three.
    let single = BYTES.chunks_exact(1).zip(singles);
    let single = single.filter(|(_, count)| **count > 0);
    let single = single.map(|(byte, count)| (Reverse(count * 2), byte));
    let several = counts
        .iter()
        .filter(|(piece, count)| piece.len() > 1 && **count > 2);
    let several = several.map(|(piece, count)| (Reverse(count * (piece.len() as u64 - 1)), *piece));
    let mut ranked: Vec<(Reverse<u64>, &[u8])> = single.chain(several).collect();
    // Most are not chosen, and need not be sorted.
    if ranked.len() > SHORT + LONG {
        ranked.select_nth_unstable(SHORT + LONG);
        ranked.truncate(SHORT + LONG);
    }
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, piece)| piece).collect()
}

/// Every byte, as a piece of one.
static BYTES: [u8; 256] = {
    let (mut bytes, mut byte) = ([0; 256], 0_u8);
    while byte < u8::MAX {
        byte += 1;
        bytes[byte as usize] = byte;
    }
    bytes
};

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "fn main() {\n    let answer = 42;\n    println!(\"{answer} é\");\n}\n";

    #[test]
    fn tokens_cover_the_text_without_gaps() {
        let mut rest = SAMPLE.as_bytes();
        let mut tokens = Vec::new();
        while let Some(token) = token(rest) {
            tokens.push(String::from_utf8_lossy(token).into_owned());
            rest = &rest[token.len()..];
        }
        assert_eq!(tokens.concat(), SAMPLE);
        assert_eq!(tokens[..5], ["fn", " main", "()", " ", "{"]);
    }

    #[test]
    fn a_dictionary_is_read_as_it_was_written() {
        let learned = Dictionary::learn([SAMPLE; 3]);
        let mut bytes = Vec::new();
        learned.write(&mut bytes);
        let (read, length) = Dictionary::read(&bytes).unwrap();
        assert_eq!(length, bytes.len());
        assert!(!read.is_empty() && read.len() == learned.len());
        for code in 0..u16::try_from(learned.len()).unwrap() {
            let piece = learned.piece(code);
            assert_eq!(read.piece(code), piece);
            assert_eq!(read.code_of(piece.unwrap()), Some(code));
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let mut bytes = Vec::new();
        Dictionary::learn([SAMPLE; 3]).write(&mut bytes);
        for length in 0..bytes.len() {
            assert!(Dictionary::read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_frequent_has_a_short_code() {
        let dictionary = Dictionary::learn([&*" lorem".repeat(100), SAMPLE]);
        assert_eq!(dictionary.code_of(b" lorem"), Some(0));
    }
}
