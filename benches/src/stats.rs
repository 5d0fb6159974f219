//! Medians and bootstrap intervals: the only two numbers that a report quotes.
//!
//! A median shrugs off the round in which the machine did something else. The
//! interval says how far the median would move if the same rounds were drawn
//! again, which is what decides whether two contenders differ.

use serde::{Deserialize, Serialize};

/// Resamples per interval.
///
/// Two thousand put the 2.5 % and 97.5 % points within a few per cent of their
/// limit; more only costs time while a user waits for the report.
const RESAMPLES: usize = 2_000;

/// Every interval starts from the same seed, so that a report can be recomputed
/// from its record to the last digit.
const SEED: u64 = 0x6d69_6c6c_706f_6e64;

/// A median with its 95 % bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The median of the samples.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// The median of `samples` and how far it may be trusted.
    ///
    /// Returns `None` for no samples: nothing was measured, so nothing is said.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Self> {
        if samples.is_empty() {
            return None;
        }
        let mut medians = resampled_medians(samples);
        medians.sort_unstable_by(f64::total_cmp);
        Some(Self {
            median: median(samples),
            low: medians[RESAMPLES * 25 / 1_000],
            high: medians[RESAMPLES - 1 - RESAMPLES * 25 / 1_000],
        })
    }

    /// The per-round ratio of two contenders measured in the same rounds.
    #[must_use]
    pub fn of_ratio(numerator: &[f64], denominator: &[f64]) -> Option<Self> {
        Self::of(&per_round(numerator, denominator, |a, b| a / b))
    }

    /// The per-round difference of two contenders measured in the same rounds.
    #[must_use]
    pub fn of_difference(minuend: &[f64], subtrahend: &[f64]) -> Option<Self> {
        Self::of(&per_round(minuend, subtrahend, |a, b| a - b))
    }

    /// Whether the two intervals share a point, in which case nobody won.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// Whether `value` lies inside the interval.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// The ratio of two medians whose rounds were *not* shared: two runs, two builds.
///
/// Both sides are resampled independently; the interval is therefore wider than
/// the one from shared rounds, as it should be.
#[must_use]
pub fn ratio_of_medians(numerator: &[f64], denominator: &[f64]) -> Option<Estimate> {
    of_medians(numerator, denominator, |a, b| a / b)
}

/// The difference of two medians whose rounds were not shared.
#[must_use]
pub fn difference_of_medians(minuend: &[f64], subtrahend: &[f64]) -> Option<Estimate> {
    of_medians(minuend, subtrahend, |a, b| a - b)
}

/// The middle sample, or the mean of the two middle ones; 0 for no samples.
#[must_use]
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// Combines two series round by round; a round that only one of them has is dropped.
pub fn per_round(a: &[f64], b: &[f64], combine: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, &b)| combine(a, b)).collect()
}

fn of_medians(a: &[f64], b: &[f64], combine: impl Fn(f64, f64) -> f64) -> Option<Estimate> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let mut drawn = per_round(
        &resampled_medians(a),
        &shifted(resampled_medians(b)),
        &combine,
    );
    drawn.sort_unstable_by(f64::total_cmp);
    Some(Estimate {
        median: combine(median(a), median(b)),
        low: drawn[RESAMPLES * 25 / 1_000],
        high: drawn[RESAMPLES - 1 - RESAMPLES * 25 / 1_000],
    })
}

/// Both sides are drawn from one seed; rotating one of them unpairs the draws.
fn shifted(mut medians: Vec<f64>) -> Vec<f64> {
    medians.rotate_left(RESAMPLES / 3);
    medians
}

fn resampled_medians(samples: &[f64]) -> Vec<f64> {
    let mut random = Random::new(SEED);
    let mut drawn = vec![0.0; samples.len()];
    (0..RESAMPLES)
        .map(|_| {
            drawn.fill_with(|| samples[random.below(samples.len())]);
            median(&drawn)
        })
        .collect()
}

/// A small seeded generator (`SplitMix64`), for draws that anybody can repeat.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator whose whole sequence is decided by `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be 0.
    ///
    /// The modulo bias is below 2⁻³² for every bound that we use.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        let drawn = self.next_u64() % bound as u64;
        usize::try_from(drawn).unwrap_or(0)
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_ignores_one_disturbed_round() {
        assert_eq!(median(&[2.0, 2.1, 900.0]), 2.1);
        assert_eq!(median(&[1.0, 2.0, 3.0, 4.0]), 2.5);
    }

    #[test]
    fn interval_holds_the_median_and_narrows_to_a_point_for_equal_rounds() {
        let equal = Estimate::of(&[3.0; 15]).unwrap();
        assert_eq!((equal.low, equal.median, equal.high), (3.0, 3.0, 3.0));
        let spread: Vec<f64> = (0..21).map(f64::from).collect();
        let estimate = Estimate::of(&spread).unwrap();
        assert!(estimate.low < estimate.median && estimate.median < estimate.high);
    }

    #[test]
    fn nothing_measured_gives_no_estimate() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of_ratio(&[], &[1.0]), None);
        assert_eq!(ratio_of_medians(&[1.0], &[]), None);
    }

    #[test]
    fn shared_rounds_cancel_a_drift_that_both_contenders_saw() {
        let drift: Vec<f64> = (1..=15).map(f64::from).collect();
        let twice: Vec<f64> = drift.iter().map(|t| t * 2.0).collect();
        let ratio = Estimate::of_ratio(&twice, &drift).unwrap();
        assert_eq!((ratio.low, ratio.high), (2.0, 2.0));
        let apart = ratio_of_medians(&twice, &drift).unwrap();
        assert!(apart.low < 2.0 && apart.high > 2.0);
    }

    #[test]
    fn an_interval_is_the_same_each_time_it_is_computed() {
        let samples: Vec<f64> = (0..30).map(|i| f64::from(i * i % 17)).collect();
        assert_eq!(Estimate::of(&samples), Estimate::of(&samples));
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..64).collect();
        Random::new(7).shuffle(&mut items);
        assert_ne!(items, (0..64).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..64).collect::<Vec<_>>());
    }
}
