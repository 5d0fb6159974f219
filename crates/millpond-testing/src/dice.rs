//! Dice: numbers that look random and come again with the same seed.

/// A seeded generator (`SplitMix64`): small, fast and good enough for tests.
///
/// ```
/// use millpond_testing::Dice;
///
/// let mut dice = Dice::new(7);
/// let mut again = Dice::new(7);
/// assert_eq!(dice.below(100), again.below(100));
/// ```
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Dice for a seed; equal seeds give equal throws.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    ///
    /// The bias towards small numbers is below 2^-32 for the bounds of tests.
    pub const fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        let bits = self.bits() as u128;
        // The product shifted down is below `bound`.
        #[allow(clippy::cast_possible_truncation, reason = "below `bound`")]
        let number = ((bits * bound as u128) >> 64) as usize;
        number
    }

    /// Whether an event of this chance, in percent, happens.
    pub const fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Spreads every bit of a word over all of it.
pub(crate) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_stay_below_their_bound_and_reach_every_number() {
        let mut dice = Dice::new(1);
        assert_eq!(dice.below(0), 0);
        let mut seen = [0; 6];
        for _ in 0..6000 {
            seen[dice.below(6)] += 1;
        }
        assert!(
            seen.iter().all(|&count| (800..1200).contains(&count)),
            "{seen:?}"
        );
    }
}
