//! What is counted in an arena, by whoever holds it.
//!
//! One lease is one addition: the bin of what it used. Everything else is derived
//! from the bins, or counted where something rare happens.
#![forbid(unsafe_code)]

use crate::retention::{BINS, bin, doublings};
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Leases in one bin after which its arena tells the scope.
///
/// Telling takes a lock and a look at all bins, some 60 ns: at 256 that is a
/// quarter of a nanosecond a lease (November 2026, 2-core virtual machine, Zen 5).
/// A scope hears at once of leases that outgrew their arena.
const TELL_EVERY: u64 = if cfg!(millpond_loom) {
    2
} else if cfg!(miri) {
    4
} else {
    256
};

/// Whether the scope is told when so many leases are in a bin.
#[inline(always)]
const fn is_due(leases: u64) -> bool {
    leases % TELL_EVERY == 0
}

/// A counter that its holder writes and anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// For the one writer: no read-modify-write. Answers the sum.
    #[inline(always)]
    pub(crate) fn add(&self, more: u64) -> u64 {
        let sum = self.0.load(Relaxed).wrapping_add(more);
        self.0.store(sum, Relaxed);
        sum
    }
}

/// The counters of one arena.
///
/// Written by the lease's holder only; an arena changes hands by way of the
/// engine, which orders one holder after the other.
#[derive(Debug, Default)]
#[repr(C)] // The mark lies in the line of what else a lease touches.
pub(crate) struct Tally {
    high_water: AtomicUsize,
    /// Leases that ended, by the bytes that they used of the chunks.
    used: [Counter; BINS],
    /// Of those, what the scope was told of.
    told: [Cell<u64>; BINS],
    pub(crate) large_objects: Counter,
    pub(crate) large_bytes: Counter,
}

/// Sums over arenas.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) used: [u64; BINS],
    pub(crate) high_water: usize,
    pub(crate) large_objects: u64,
    pub(crate) large_bytes: u64,
}

impl Tally {
    /// Counts a lease that ends, unless there is more to be done about it: then
    /// [`Tally::count_slow`] counts it.
    ///
    /// A dozen instructions: what is rare is a branch that is not taken, before
    /// anything is stored, so that it leaves nothing in the common way.
    #[inline(always)]
    pub(crate) fn count(&self, used: usize) -> bool {
        if cfg!(millpond_no_counters) {
            return true;
        }
        let Some(counter) = self.used.get(doublings(used)) else {
            return false;
        };
        let sum = counter.get().wrapping_add(1);
        if used > self.high_water.load(Relaxed) || is_due(sum) {
            return false;
        }
        counter.0.store(sum, Relaxed);
        true
    }

    /// Counts a lease that ends. Answers whether the scope should be told.
    pub(crate) fn count_slow(&self, used: usize) -> bool {
        if cfg!(millpond_no_counters) {
            return false;
        }
        self.note_peak(used);
        is_due(self.used[bin(used)].add(1))
    }

    /// Raises the high-water mark.
    pub(crate) fn note_peak(&self, used: usize) {
        if used > self.high_water.load(Relaxed) {
            self.high_water.store(used, Relaxed);
        }
    }

    /// Calls `hear` with each bin and the leases in it that were not told yet.
    pub(crate) fn tell(&self, mut hear: impl FnMut(usize, u64)) {
        for (bin, (used, told)) in self.used.iter().zip(&self.told).enumerate() {
            let sum = used.get();
            let fresh = sum - told.replace(sum);
            if fresh > 0 {
                hear(bin, fresh);
            }
        }
    }

    /// Leases that ended.
    pub(crate) fn leases(&self) -> u64 {
        self.used.iter().map(Counter::get).sum()
    }
}

impl Totals {
    /// Adds the counters of one arena.
    pub(crate) fn add(&mut self, tally: &Tally) {
        for (sum, counter) in self.used.iter_mut().zip(&tally.used) {
            *sum += counter.get();
        }
        self.high_water = self.high_water.max(tally.high_water.load(Relaxed));
        self.large_objects += tally.large_objects.get();
        self.large_bytes += tally.large_bytes.get();
    }

    /// Leases that ended.
    pub(crate) fn leases(&self) -> u64 {
        self.used.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lease_is_told_of_once() {
        let tally = Tally::default();
        let mut told = 0;
        let mut due = 0;
        for lease in 0..1000 {
            if !tally.count(lease) && tally.count_slow(lease) {
                due += 1;
                tally.tell(|_, fresh| told += fresh);
            }
        }
        tally.tell(|_, fresh| told += fresh);
        assert_eq!(told, 1000);
        assert_eq!(tally.leases(), 1000);
        assert!(due > 0);
        let mut totals = Totals::default();
        totals.add(&tally);
        assert_eq!((totals.leases(), totals.high_water), (1000, 999));
    }
}
