//! Notes: what a pool counts about its acquires, beside that they happened.
//!
//! A pool of which acquires ask for different amounts (bytes, rows) sorts the
//! amounts into a few bins, and notes with each acquire the bin and what it gave
//! beyond the amount. Notes lie in the spare room of the thread's own cache, whose
//! lines the acquire has just touched, and have that thread as their single
//! writer: an addition to memory each.

use core::sync::atomic::{AtomicU64, Ordering};

/// How many bins there are: what fits beside the cache in its two lines.
pub const BINS: usize = 8;

/// Notes of one pool: how many acquires fell into each bin, and what they were
/// given beyond what they asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Acquires in each bin.
    pub bins: [u64; BINS],
    /// The sum of what was given beyond what was asked for.
    pub excess: u64,
}

impl Noted {
    /// The sum of two.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (bin, more) in self.bins.iter_mut().zip(other.bins) {
            *bin += more;
        }
        self.excess += other.excess;
        self
    }

    /// The same without what was noted before `earlier`.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        for (bin, before) in self.bins.iter_mut().zip(earlier.bins) {
            *bin = bin.saturating_sub(before);
        }
        self.excess = self.excess.saturating_sub(earlier.excess);
        self
    }
}

/// The counters. Not of the shim that models use: they order nothing, and a
/// model would only take longer.
#[derive(Debug)]
pub(crate) struct Notes {
    bins: [AtomicU64; BINS],
    excess: AtomicU64,
}

impl Notes {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "an initial value, copied on purpose"
    )]
    pub(crate) const NONE: Self = Self {
        bins: [const { AtomicU64::new(0) }; BINS],
        excess: AtomicU64::new(0),
    };

    /// Notes an acquire. By the one writer of these notes.
    #[inline(always)]
    pub(crate) fn note(&self, bin: usize, excess: usize) {
        if cfg!(millpond_no_counters) {
            return;
        }
        add(&self.bins[bin % BINS], 1);
        add(&self.excess, excess as u64);
    }

    /// Notes an acquire, among several writers.
    pub(crate) fn note_among_many(&self, bin: usize, excess: usize) {
        self.bins[bin % BINS].fetch_add(1, Ordering::Relaxed);
        self.excess.fetch_add(excess as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Noted {
        Noted {
            bins: core::array::from_fn(|bin| self.bins[bin].load(Ordering::Relaxed)),
            excess: self.excess.load(Ordering::Relaxed),
        }
    }
}

/// Adds to a counter that has one writer.
#[inline(always)]
fn add(counter: &AtomicU64, more: u64) {
    let before = counter.load(Ordering::Relaxed);
    counter.store(before.wrapping_add(more), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_writers_add_up() {
        let notes = Notes::NONE;
        notes.note(0, 10);
        notes.note(7, 0);
        notes.note_among_many(7, 5);
        let noted = notes.read();
        assert_eq!(noted.bins, [1, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(noted.excess, 15);
        assert_eq!(noted.since(&noted), Noted::default());
        let twice = noted.merge(noted);
        assert_eq!((twice.bins[7], twice.excess), (4, 30));
    }
}
