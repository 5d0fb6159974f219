//! How large arenas are built, from what leases used lately.
//!
//! A histogram in powers of two, and one percentile of it: figures that are old
//! lose half of their weight again and again, so a scope follows its traffic in
//! both directions. One lease that ballooned changes nothing, unless it is one of
//! the few that there were; and then the ceiling holds.
#![forbid(unsafe_code)]

use crate::config::Figures;

/// Bins of a histogram of used bytes: 64 bytes and less, then doubling, the last
/// for everything from 256 MiB.
pub(crate) const BINS: usize = 24;

const FIRST_BIN_SHIFT: usize = 6;

/// Leases after which the weight of all that were seen is halved.
///
/// Long enough that a percentile of 99 rests on forty leases, short enough that
/// a service at a hundred requests a second follows in less than a minute.
const HALF_LIFE: u64 = 4096;

/// How often 64 bytes must be doubled to be more than `used`: the bin, if there is
/// one with that number.
#[inline(always)]
pub(crate) const fn doublings(used: usize) -> usize {
    // Of a number that is not 0 the logarithm is one instruction.
    let first = (1 << FIRST_BIN_SHIFT) - 1;
    (used | first).ilog2() as usize + 1 - FIRST_BIN_SHIFT
}

/// The bin of `used` bytes.
pub(crate) const fn bin(used: usize) -> usize {
    let doublings = doublings(used);
    if doublings < BINS {
        doublings
    } else {
        BINS - 1
    }
}

/// The most bytes that fall into `bin`; the last has no end.
pub(crate) const fn bin_end(bin: usize) -> usize {
    if bin + 1 >= BINS {
        usize::MAX
    } else {
        (1 << (bin + FIRST_BIN_SHIFT)) - 1
    }
}

/// What leases of a scope used lately.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    bins: [u64; BINS],
    total: u64,
}

impl Recent {
    /// Adds `count` leases of `bin`.
    pub(crate) fn add(&mut self, bin: usize, count: u64) {
        self.bins[bin] += count;
        self.total += count;
    }

    /// Lets old figures fade.
    pub(crate) fn fade(&mut self) {
        while self.total > 2 * HALF_LIFE {
            for bin in &mut self.bins {
                *bin /= 2;
            }
            self.total = self.bins.iter().sum();
        }
    }

    /// Bytes that were enough for `percent` of the leases; 0 without leases.
    pub(crate) fn percentile(&self, percent: usize) -> usize {
        let wanted = (self.total * percent as u64).div_ceil(100);
        let mut seen = 0;
        let found = self.bins.iter().position(|&count| {
            seen += count;
            seen >= wanted && seen > 0
        });
        found.map_or(0, bin_end)
    }
}

impl Figures {
    /// Bytes to build an arena with, if leases use up to `used`: whole pages, a
    /// power of two unless it is a bound.
    pub(crate) fn target(&self, used: usize) -> usize {
        used.saturating_add(1)
            .checked_next_power_of_two()
            .unwrap_or(usize::MAX)
            .clamp(self.nominal, self.retain)
    }

    /// The largest arena that is worth keeping where `target` is built.
    ///
    /// Twice as large is kept, because rebuilding costs more than the bytes: a
    /// scope at the edge of two powers of two would rebuild at every return.
    pub(crate) fn keep_at_most(&self, target: usize) -> usize {
        target.saturating_mul(2).min(self.retain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ScopeConfig;

    #[test]
    fn bins_end_where_the_next_begins() {
        assert_eq!(bin(0), 0);
        assert_eq!(bin(1 << 40), BINS - 1);
        for number in 0..BINS - 1 {
            assert_eq!(bin(bin_end(number)), number);
            assert_eq!(bin(bin_end(number) + 1), number + 1);
        }
        assert_eq!(bin(usize::MAX), BINS - 1);
    }

    #[test]
    fn a_percentile_is_enough_for_its_share() {
        let mut recent = Recent::default();
        recent.add(bin(1000), 90);
        recent.add(bin(1 << 20), 10);
        assert_eq!(recent.percentile(90), 1023);
        assert_eq!(recent.percentile(91), (1 << 21) - 1);
        assert_eq!(Recent::default().percentile(90), 0);
    }

    #[test]
    fn old_figures_fade() {
        let mut recent = Recent::default();
        recent.add(bin(1 << 20), 2 * HALF_LIFE);
        for _ in 0..8 {
            recent.add(bin(100), HALF_LIFE);
            recent.fade();
        }
        assert_eq!(recent.percentile(90), 127);
        assert!(recent.total <= 2 * HALF_LIFE);
    }

    #[test]
    fn targets_stay_between_nominal_and_ceiling() {
        let figures = ScopeConfig::of(64 << 10).check("x").expect("good");
        for (used, target) in [
            (0, 64 << 10),
            ((64 << 10) - 1, 64 << 10),
            (64 << 10, 128 << 10),
            (200 << 20, 256 << 10),
            (usize::MAX, 256 << 10),
        ] {
            assert_eq!(figures.target(used), target);
            assert!(figures.keep_at_most(target) <= figures.retain);
        }
    }
}
