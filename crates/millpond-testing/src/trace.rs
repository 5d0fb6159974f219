//! Traces: what was done to a pool, as text that can be pasted into a test.

use std::fmt;
use std::str::FromStr;

use crate::dice::Dice;

/// One thing to do to a pool.
///
/// Numbers choose a lease among those that exist, modulo how many there are, so
/// that a trace stays meaningful when steps are cut out of it. Without leases
/// such a step does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Acquire an item.
    Acquire,
    /// Compare a lease with the model.
    Read(usize),
    /// Write a new pattern.
    Write(usize),
    /// Compare a lease, and give it back.
    Release(usize),
    /// Trim the pool, then compare all leases.
    Trim,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acquire => write!(f, "A"),
            Self::Read(lease) => write!(f, "R{lease}"),
            Self::Write(lease) => write!(f, "W{lease}"),
            Self::Release(lease) => write!(f, "D{lease}"),
            Self::Trim => write!(f, "T"),
        }
    }
}

impl FromStr for Op {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        let error = || TraceError {
            word: text.to_owned(),
        };
        let mut letters = text.chars();
        let letter = letters.next().ok_or_else(error)?;
        let rest = letters.as_str();
        let lease = || rest.parse().map_err(|_| error());
        match (letter, rest) {
            ('A', "") => Ok(Self::Acquire),
            ('T', "") => Ok(Self::Trim),
            ('R', _) => lease().map(Self::Read),
            ('W', _) => lease().map(Self::Write),
            ('D', _) => lease().map(Self::Release),
            _ => Err(error()),
        }
    }
}

/// A sequence of operations: `A A R0 W1 D0 T`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The operations, in order.
    pub ops: Vec<Op>,
}

impl Trace {
    /// A random trace. It fills and empties the pool by turns, because the
    /// edges are where pools go wrong.
    #[must_use]
    pub fn random(seed: u64, steps: usize) -> Self {
        let mut dice = Dice::new(seed);
        let mut ops = Vec::with_capacity(steps);
        let mut acquires = 50;
        for step in 0..steps {
            // Eight phases, each with its own lust to acquire.
            if step % (steps / 8).max(1) == 0 {
                acquires = [20, 35, 50, 65, 80][dice.below(5)];
            }
            // Small numbers make small traces readable; they reach every lease.
            let lease = dice.below(10_000);
            let op = match dice.below(100) {
                0 => Op::Trim,
                1..10 => Op::Read(lease),
                10..20 => Op::Write(lease),
                _ if dice.chance(acquires) => Op::Acquire,
                _ => Op::Release(lease),
            };
            ops.push(op);
        }
        Self { ops }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, op) in self.ops.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{op}")?;
        }
        Ok(())
    }
}

impl FromStr for Trace {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        let ops: Result<_, _> = text.split_ascii_whitespace().map(str::parse).collect();
        Ok(Self { ops: ops? })
    }
}

/// A word that is not an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceError {
    word: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is none of A, R0, W0, D0 and T", self.word)
    }
}

impl std::error::Error for TraceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_survives_being_printed() {
        for seed in 0..3 {
            let trace = Trace::random(seed, 100);
            assert_eq!(trace.to_string().parse(), Ok(trace));
        }
        for word in ["", "X", "A1", "R", "Rx", "D-1", "T0"] {
            assert!(word.parse::<Op>().is_err(), "{word}");
        }
    }

    #[test]
    fn random_trace_does_everything() {
        let trace = Trace::random(3, 1000).to_string();
        for letter in ["A", "R", "W", "D", "T"] {
            assert!(trace.contains(letter));
        }
    }
}
