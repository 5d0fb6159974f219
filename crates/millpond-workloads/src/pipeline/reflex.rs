//! Hooks: patterns that look at all lanes of a run at once.

use super::run::{LANES, Run};
use std::ops::DerefMut;

/// What a hook asks of the triples that match its pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is there one?
    Ask,
    /// How many are there?
    Count,
    /// Are there at least so many?
    AtLeast(u32),
}

/// A pattern and a question.
///
/// ```
/// use millpond_workloads::pipeline::reflex::{Hook, Question};
/// use millpond_workloads::pipeline::run::Run;
///
/// let knows = Hook::new([None, Some(7), None], Question::Count);
/// let run = Run::load_into(vec![0; 24], &[[1, 7, 2], [1, 8, 2], [2, 7, 1]])?;
/// assert_eq!(knows.lanes(&run), 0b101);
/// assert_eq!(knows.answer(0b101), 2);
/// # Ok::<(), millpond_workloads::pipeline::run::InvalidSize>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    wanted: [u64; 3],
    /// All ones where a column has to be equal, 0 where anything matches.
    care: [u64; 3],
    question: Question,
}

impl Hook {
    /// A hook on triples that equal `pattern` in the columns that it names.
    #[must_use]
    pub fn new(pattern: [Option<u64>; 3], question: Question) -> Self {
        Self {
            wanted: pattern.map(Option::unwrap_or_default),
            care: pattern.map(|id| if id.is_some() { u64::MAX } else { 0 }),
            question,
        }
    }

    /// A bit for each triple of the run that matches. The same instructions for
    /// every pattern, and no branch.
    #[inline]
    pub fn lanes<B: DerefMut<Target = [u64]>>(&self, run: &Run<B>) -> u8 {
        let mut differing = [0_u64; LANES];
        for ((column, wanted), care) in run.columns().iter().zip(self.wanted).zip(self.care) {
            for (differing, number) in differing.iter_mut().zip(column) {
                *differing |= (number ^ wanted) & care;
            }
        }
        let mut lanes = 0;
        for (lane, differing) in differing.iter().enumerate() {
            lanes |= u8::from(*differing == 0) << lane;
        }
        lanes & run.occupied()
    }

    /// The answer for a run in which `lanes` match: 0 or 1, or a number.
    #[inline]
    #[must_use]
    pub fn answer(&self, lanes: u8) -> u32 {
        let count = lanes.count_ones();
        match self.question {
            Question::Ask => u32::from(count > 0),
            Question::Count => count,
            Question::AtLeast(limit) => u32::from(count >= limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Dice;

    #[test]
    fn lanes_are_those_that_a_plain_loop_finds() {
        let mut dice = Dice::new(3);
        for _ in 0..2_000 {
            let mut small = |bound| dice.below(bound) as u64;
            let length = usize::try_from(small(9)).unwrap();
            let triples: Vec<_> = (0..length)
                .map(|_| [small(3) + 1, small(3) + 1, small(3) + 1])
                .collect();
            let pattern = [small(5), small(5), small(5)].map(|id| (id > 1).then(|| id - 1));
            let fits = |triple: &[u64; 3]| {
                triple
                    .iter()
                    .zip(pattern)
                    .all(|(id, wanted)| wanted.is_none_or(|wanted| wanted == *id))
            };
            let expected = triples.iter().enumerate();
            let expected = expected.fold(0, |bits, (lane, triple)| {
                bits | u8::from(fits(triple)) << lane
            });
            let run = Run::load_into(vec![9; 24], &triples).unwrap();
            assert_eq!(Hook::new(pattern, Question::Ask).lanes(&run), expected);
        }
    }

    #[test]
    fn questions_are_answered_from_the_lanes() {
        let answers =
            |question| [0b0, 0b1, 0b1011].map(|lanes| Hook::new([None; 3], question).answer(lanes));
        assert_eq!(answers(Question::Ask), [0, 1, 1]);
        assert_eq!(answers(Question::Count), [0, 1, 3]);
        assert_eq!(answers(Question::AtLeast(2)), [0, 0, 1]);
    }
}
