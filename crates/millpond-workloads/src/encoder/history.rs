//! Earlier documents, to encode the next one against: O(log n) of them.
//!
//! ```text
//!  age      1   2 3   4 … 7   8 … 15   16 … 31   …
//!  kept     1   2     2       2        2          the newer ones of each range
//! ```
//!
//! The window bounds their bytes and adapts: it doubles when a document was copied
//! from the older half of it, and halves when sixteen in a row copied nothing.
//! Encoder and decoder keep the same history, because both know what was copied.

use super::memory::Memory;
use millpond_core::error::AcquireError;
use std::collections::VecDeque;
use std::fmt;

/// A copy is at least this long, and is found by so many bytes at the begin of a line.
pub const ANCHOR: usize = 32;

const SMALLEST_WINDOW: usize = 64 << 10;
const LARGEST_WINDOW: usize = 4 << 20;
/// Documents that copied nothing before the window halves.
const PATIENCE: u32 = 16;
/// Documents of one range of ages.
const EACH: usize = 2;
/// Places that the index knows; newer ones take the place of older ones.
const PLACES: usize = 1 << 14;

/// Where a copy comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// How many documents ago, from 1.
    pub age: u32,
    /// Where in that document.
    pub offset: usize,
    /// How many bytes.
    pub length: usize,
}

struct Kept<T> {
    number: u32,
    text: T,
}

/// A place in the history: document and offset.
#[derive(Clone, Copy, Default)]
struct Place {
    number: u32,
    offset: u32,
}

/// The documents that are kept, newest first.
pub struct History<'m, M: Memory> {
    memory: &'m M,
    kept: VecDeque<Kept<M::Text<'m>>>,
    /// Documents so far; the first has number 1, so that 0 is nobody's.
    count: u32,
    bytes: usize,
    window: usize,
    idle: u32,
    places: Box<[Place]>,
}

impl<M: Memory> fmt::Debug for History<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("documents", &self.kept.len())
            .field("bytes", &self.bytes)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl<'m, M: Memory> History<'m, M> {
    /// Nothing yet.
    pub fn new(memory: &'m M) -> Self {
        Self {
            memory,
            kept: VecDeque::with_capacity(EACH * 32),
            count: 0,
            bytes: 0,
            window: 4 * SMALLEST_WINDOW,
            idle: 0,
            places: vec![Place::default(); PLACES].into(),
        }
    }

    /// The longest known continuation of `text`, if it is worth a copy.
    #[inline]
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Option<Copied> {
        let place = self.places[slot_of(text.first_chunk()?)];
        let document = self.document(place.number)?;
        let offset = place.offset as usize;
        let earlier = document.get(offset..)?;
        let differs = text.iter().zip(earlier).position(|(a, b)| a != b);
        let length = differs.unwrap_or(text.len().min(earlier.len()));
        let age = self.count + 1 - place.number;
        (length >= ANCHOR).then_some(Copied {
            age,
            offset,
            length,
        })
    }

    /// What a copy stands for, if the history has it.
    #[must_use]
    pub fn copied(&self, from: Copied) -> Option<&[u8]> {
        let number = (self.count + 1).checked_sub(from.age)?;
        let end = from.offset.checked_add(from.length)?;
        self.document(number)?.get(from.offset..end)
    }

    fn document(&self, number: u32) -> Option<&[u8]> {
        let found = self.kept.iter().find(|kept| kept.number == number);
        found.filter(|_| number > 0).map(|kept| &*kept.text)
    }

    /// The age from which on documents are the older half of what is kept.
    fn old_age(&self) -> u32 {
        let middle = self.kept.get(self.kept.len() / 2);
        middle.map_or(u32::MAX, |kept| self.count + 1 - kept.number)
    }

    /// Takes a document in; `copies` are its own.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub fn push(&mut self, text: &[u8], copies: &Copies) -> Result<(), AcquireError> {
        self.adapt(text.len(), copies);
        self.count += 1;
        let text = &text[..text.len().min(self.window / 2)];
        let number = self.count;
        for (slot, offset) in anchors(text) {
            self.places[slot] = Place { number, offset };
        }
        self.bytes += text.len();
        let text = self.memory.text(text)?;
        self.kept.push_front(Kept { number, text });
        self.forget();
        Ok(())
    }

    fn adapt(&mut self, length: usize, copies: &Copies) {
        self.idle = if copies.bytes == 0 { self.idle + 1 } else { 0 };
        let from_old = copies.bytes_from(self.old_age());
        if from_old * 10 > length {
            self.window = (self.window * 2).min(LARGEST_WINDOW);
        } else if self.idle >= PATIENCE {
            self.window = (self.window / 2).max(SMALLEST_WINDOW);
            self.idle = 0;
        }
    }

    /// Forgets what the ranges of ages and the window have no room for.
    fn forget(&mut self) {
        let newest = self.count + 1;
        let mut in_range = [0; 32];
        let bytes = &mut self.bytes;
        self.kept.retain(|kept| {
            let range = (newest - kept.number).ilog2() as usize;
            in_range[range] += 1;
            let stays = in_range[range] <= EACH;
            *bytes -= if stays { 0 } else { kept.text.len() };
            stays
        });
        while self.bytes > self.window {
            let Some(oldest) = self.kept.pop_back() else {
                return;
            };
            self.bytes -= oldest.text.len();
        }
    }

    /// Documents that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The bound on their bytes, as it stands.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What one document copied, by the age of where it came from.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    bytes: usize,
    by_age: Vec<(u32, usize)>,
}

impl Copies {
    /// Nothing yet; keeps its memory.
    pub fn clear(&mut self) {
        self.bytes = 0;
        self.by_age.clear();
    }

    /// Notes a copy.
    pub fn note(&mut self, copied: Copied) {
        self.bytes += copied.length;
        let known = self.by_age.iter_mut().find(|(age, _)| *age == copied.age);
        match known {
            Some((_, bytes)) => *bytes += copied.length,
            None => self.by_age.push((copied.age, copied.length)),
        }
    }

    fn bytes_from(&self, age: u32) -> usize {
        let old = self.by_age.iter().filter(|(from, _)| *from >= age);
        old.map(|(_, bytes)| bytes).sum()
    }
}

/// Lines that are long enough to be found again: slot and offset.
fn anchors(text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let begins = std::iter::once(0).chain(ends.map(|(end, _)| end + 1));
    begins.filter_map(|begin| {
        let anchor = text[begin..].first_chunk()?;
        Some((slot_of(anchor), u32::try_from(begin).ok()?))
    })
}

fn slot_of(anchor: &[u8; ANCHOR]) -> usize {
    let (words, _) = anchor.as_chunks::<8>();
    let mixed = words.iter().fold(0_u64, |mixed, word| {
        (mixed.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    (mixed >> 32) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::super::memory::Heap;
    use super::*;

    fn line(n: usize) -> String {
        format!("line {n:6} of a document that is long enough\n")
    }

    #[test]
    fn a_line_is_found_again_with_what_follows_it() {
        let memory = Heap;
        let mut history = History::new(&memory);
        let text = line(1) + &line(2) + &line(3);
        history.push(text.as_bytes(), &Copies::default()).unwrap();
        let next = line(2) + &line(3) + "other";
        let found = history.find(next.as_bytes()).unwrap();
        assert_eq!((found.age, found.offset), (1, line(1).len()));
        let expected = line(2) + &line(3);
        assert_eq!(history.copied(found), Some(expected.as_bytes()));
        assert_eq!(history.find(line(4).as_bytes()), None);
    }

    #[test]
    fn the_history_grows_with_the_logarithm_and_stays_in_its_window() {
        let memory = Heap;
        let mut history = History::new(&memory);
        for n in 1..=10_000 {
            history
                .push(line(n).repeat(40).as_bytes(), &Copies::default())
                .unwrap();
            assert!(history.len() <= EACH * (n.ilog2() as usize + 1));
            assert!(history.bytes() <= history.window());
        }
        // Nothing was ever copied.
        assert_eq!(history.window(), SMALLEST_WINDOW);
        let mut copies = Copies::default();
        copies.note(Copied {
            age: 10_000,
            offset: 0,
            length: 1_000,
        });
        history.push(&[b'x'; 1_000], &copies).unwrap();
        assert_eq!(history.window(), 2 * SMALLEST_WINDOW);
    }

    #[test]
    fn a_copy_that_the_history_does_not_have_is_none() {
        let memory = Heap;
        let mut history = History::new(&memory);
        history
            .push(line(1).as_bytes(), &Copies::default())
            .unwrap();
        for (age, offset, length) in [
            (0, 0, 1),
            (2, 0, 1),
            (9, 0, 1),
            (1, 40, 40),
            (1, usize::MAX, 2),
        ] {
            assert_eq!(
                history.copied(Copied {
                    age,
                    offset,
                    length
                }),
                None
            );
        }
    }
}
