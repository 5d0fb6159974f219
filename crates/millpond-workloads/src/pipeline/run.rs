//! Runs: up to eight triples as three columns, three cache lines in all.
//!
//! ```text
//!   ┌──────────────────────────┬──────────────────────────┬──────────────────────────┐
//!   │ subject 0 … subject 7    │ predicate 0 … 7          │ object 0 … 7             │
//!   └──────────────────────────┴──────────────────────────┴──────────────────────────┘
//!   lanes that hold no triple are 0, which is nobody's id
//! ```
//!
//! A hook looks at all lanes at once, because lane `i` of each column belongs to
//! triple `i`. [`Run::load_into`] fills a buffer that it is handed.

use std::error::Error;
use std::fmt;
use std::ops::DerefMut;

/// Triples in a run.
pub const LANES: usize = 8;

/// Numbers in the buffer of a run.
pub const WORDS: usize = 3 * LANES;

/// A triple of term ids: subject, predicate, object.
pub type Triple = [u64; 3];

/// More triples than a run has lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSize {
    /// How many there were.
    pub triples: usize,
}

impl fmt::Display for InvalidSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let triples = self.triples;
        write!(
            f,
            "invalid size: {triples} triples, a run has {LANES} lanes"
        )
    }
}

impl Error for InvalidSize {}

/// Some triples in a buffer of [`WORDS`] numbers.
#[derive(Debug)]
pub struct Run<B> {
    buffer: B,
    length: usize,
}

impl<B: DerefMut<Target = [u64]>> Run<B> {
    /// Loads `triples` into `buffer`, and allocates nothing.
    ///
    /// ```
    /// use millpond_workloads::pipeline::run::Run;
    ///
    /// let run = Run::load_into(vec![0; 24], &[[1, 2, 3], [4, 5, 6]])?;
    /// assert_eq!(run.columns()[1][..3], [2, 5, 0]);
    /// assert!(Run::load_into(vec![0; 24], &[[1, 2, 3]; 9]).is_err());
    /// # Ok::<(), millpond_workloads::pipeline::run::InvalidSize>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there are more triples than lanes.
    ///
    /// # Panics
    ///
    /// If the buffer is shorter than [`WORDS`]: it is not one for runs.
    #[inline]
    pub fn load_into(mut buffer: B, triples: &[Triple]) -> Result<Self, InvalidSize> {
        let length = triples.len();
        if length > LANES {
            return Err(InvalidSize { triples: length });
        }
        let words: &mut [u64; WORDS] = buffer.first_chunk_mut().expect("a buffer for runs");
        if length < LANES {
            words.fill(0);
        }
        for (lane, triple) in triples.iter().enumerate() {
            for (column, id) in triple.iter().enumerate() {
                words[column * LANES + lane] = *id;
            }
        }
        Ok(Self { buffer, length })
    }

    /// Subjects, predicates and objects.
    ///
    /// # Panics
    ///
    /// Never: [`Run::load_into`] has looked at the buffer's length.
    #[inline]
    pub fn columns(&self) -> &[[u64; LANES]; 3] {
        let (columns, _) = self.buffer.as_chunks();
        columns.first_chunk().expect("three columns")
    }

    /// How many triples it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no triple.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A bit for each lane that holds a triple.
    #[inline]
    pub fn occupied(&self) -> u8 {
        // A shift by all eight bits is no shift at all in u8.
        u8::try_from((1_u16 << self.length) - 1).unwrap_or(u8::MAX)
    }

    /// A digest of the triples and their order.
    ///
    /// Lanes are mixed side by side and folded at the end, so that the
    /// multiplications do not wait for each other.
    #[inline]
    pub fn digest(&self) -> u64 {
        const ODD: [u64; 3] = [
            0x9e37_79b9_7f4a_7c15,
            0xbf58_476d_1ce4_e5b9,
            0x94d0_49bb_1331_11eb,
        ];
        let [subjects, predicates, objects] = self.columns();
        let mut folded = self.length as u64;
        for lane in 0..LANES {
            let mixed = subjects[lane].wrapping_mul(ODD[0])
                ^ predicates[lane].wrapping_mul(ODD[1]).rotate_left(21)
                ^ objects[lane].wrapping_mul(ODD[2]).rotate_left(42);
            folded = folded.rotate_left(7) ^ mixed;
        }
        folded ^ (folded >> 29)
    }

    /// The buffer, to be handed on.
    pub fn into_buffer(self) -> B {
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(triples: &[Triple]) -> Run<Vec<u64>> {
        // A buffer that was used before.
        Run::load_into(vec![77; WORDS], triples).unwrap()
    }

    #[test]
    fn every_length_fills_its_lanes_and_clears_the_others() {
        for length in 0..=LANES {
            let triples: Vec<Triple> = (0..length as u64)
                .map(|n| [n + 1, n + 10, n + 20])
                .collect();
            let run = run(&triples);
            assert_eq!(run.occupied().count_ones() as usize, length);
            for (column, numbers) in run.columns().iter().enumerate() {
                let wanted = triples.iter().map(|triple| triple[column]);
                assert!(numbers.iter().copied().eq(wanted.chain([0; 8]).take(8)));
            }
        }
    }

    #[test]
    fn a_ninth_triple_is_an_invalid_size() {
        let error = Run::load_into(vec![0; WORDS], &[[1, 1, 1]; 9]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid size: 9 triples, a run has 8 lanes"
        );
    }

    #[test]
    fn digests_tell_order_length_and_columns_apart() {
        let digests = [
            run(&[[1, 2, 3], [4, 5, 6]]).digest(),
            run(&[[4, 5, 6], [1, 2, 3]]).digest(),
            run(&[[1, 2, 3]]).digest(),
            run(&[[2, 1, 3]]).digest(),
            run(&[]).digest(),
        ];
        let distinct: std::collections::HashSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
        assert_eq!(run(&[[1, 2, 3]]).digest(), digests[2]);
    }
}
