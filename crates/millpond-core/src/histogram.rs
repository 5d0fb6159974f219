//! How often which size or time occurred: buckets whose width grows with the
//! value.
//!
//! ```text
//!   value      1 2 3 … 16 │ 18 20 22 … 32 │ 36 40 44 … 64 │ …
//!   width      1          │ 2             │ 4             │     at most 1/8 of the value
//! ```
//!
//! Bounds belong to the bucket that they end, so every power of two, and with it
//! every usual size class, is the end of a bucket. Nothing is allocated before
//! the first value; a histogram of sizes up to 64 KiB takes less than a kilobyte,
//! one of all 64-bit values 4 KiB.
//!
//! ```
//! use millpond_core::histogram::Histogram;
//!
//! let mut sizes = Histogram::new();
//! for size in [100, 100, 4096, 5000] {
//!     sizes.record(size);
//! }
//! assert_eq!((sizes.count(), sizes.sum()), (4, 9296));
//! assert_eq!(sizes.quantile(0.5), Some(104)); // 100 counts up to 104.
//! assert_eq!(sizes.buckets().last(), Some((5120, 1)));
//! ```
//!
//! # Cost
//!
//! Recording takes some two nanoseconds. There is one writer: who shares a
//! histogram between threads keeps it behind a lock, off the fast path.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

/// Bits of a value, after the leading one, that a bucket keeps.
///
/// Three bound the error at an eighth. Four double the memory of what is kept
/// for every pool; two blur neighbouring size classes.
const MANTISSA_BITS: u32 = 3;

/// Counts of values in buckets. See the [module](self).
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "Written", from = "Written"))]
pub struct Histogram {
    counts: Vec<u64>,
    sum: u64,
}

impl Histogram {
    /// Nothing recorded. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            counts: Vec::new(),
            sum: 0,
        }
    }

    /// Records one value. Where the system has no memory for the bucket, the
    /// value is not recorded.
    pub fn record(&mut self, value: u64) {
        self.record_many(value, 1);
    }

    /// Records a value that occurred `times` times.
    pub fn record_many(&mut self, value: u64, times: u64) {
        let bucket = bucket_of(value);
        if bucket >= self.counts.len() {
            let more = bucket + 1 - self.counts.len();
            if times == 0 || self.counts.try_reserve(more).is_err() {
                return;
            }
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(times);
        self.sum = self.sum.saturating_add(value.saturating_mul(times));
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum: u64, &count| sum.saturating_add(count))
    }

    /// The sum of all values, exact until it saturates.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|&count| count == 0)
    }

    /// The buckets in which something is, in order: the largest value that the
    /// bucket takes, and how many values it has.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let buckets = self.counts.iter().enumerate();
        buckets
            .filter(|&(_, &count)| count > 0)
            .map(|(bucket, &count)| (bound_of(bucket), count))
    }

    /// The bound below or at which a share `q` of all values lies; `None` if
    /// there are no values. `q` is taken to lie between 0 and 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let total = self.count();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank; casts of floats saturate"
        )]
        let rank = ((total as f64 * q.clamp(0.0, 1.0)) as u64).max(1);
        let mut seen = 0_u64;
        self.buckets().find_map(|(bound, count)| {
            seen = seen.saturating_add(count);
            (seen >= rank.min(total)).then_some(bound)
        })
    }

    /// Adds what another histogram has.
    pub fn merge(&mut self, other: &Self) {
        let sum = self.sum.saturating_add(other.sum);
        for (bound, count) in other.buckets() {
            self.record_many(bound, count);
        }
        self.sum = sum;
    }

    /// What was recorded since `earlier`, a former state of this histogram.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        for (now, before) in self.counts.iter_mut().zip(&earlier.counts) {
            *now = now.saturating_sub(*before);
        }
        self.sum = self.sum.saturating_sub(earlier.sum);
        self
    }

    /// A histogram from what [`Histogram::buckets`] and [`Histogram::sum`] said,
    /// of this process or another.
    #[must_use]
    pub fn from_buckets(buckets: impl IntoIterator<Item = (u64, u64)>, sum: u64) -> Self {
        let mut histogram = Self::new();
        for (bound, count) in buckets {
            histogram.record_many(bound, count);
        }
        // A sum of nothing is nothing, whatever another process says.
        histogram.sum = if histogram.is_empty() { 0 } else { sum };
        histogram
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.sum == other.sum && self.buckets().eq(other.buckets())
    }
}

impl Eq for Histogram {}

/// A histogram as it is written down: the buckets in which something is.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Written {
    sum: u64,
    buckets: Vec<(u64, u64)>,
}

#[cfg(feature = "serde")]
impl From<Histogram> for Written {
    fn from(histogram: Histogram) -> Self {
        Self {
            sum: histogram.sum,
            buckets: histogram.buckets().collect(),
        }
    }
}

#[cfg(feature = "serde")]
impl From<Written> for Histogram {
    fn from(written: Written) -> Self {
        Self::from_buckets(written.buckets, written.sum)
    }
}

/// The bucket of a value: as for size classes, sizes are cut down to their
/// exponent and the bits after it. Subtracting one puts powers of two at the end
/// of their bucket.
fn bucket_of(value: u64) -> usize {
    let last = value.saturating_sub(1);
    let shift = (last | 1).ilog2().saturating_sub(MANTISSA_BITS);
    #[expect(clippy::cast_possible_truncation, reason = "below 16")]
    let top = (last >> shift) as usize;
    ((shift as usize) << MANTISSA_BITS) + top
}

/// The largest value of a bucket.
fn bound_of(bucket: usize) -> u64 {
    let shift = (bucket >> MANTISSA_BITS).saturating_sub(1);
    let top = bucket - (shift << MANTISSA_BITS);
    u64::try_from((top as u128 + 1) << shift).unwrap_or(u64::MAX)
}

// No unsafe code here, and Miri is slow.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A fuzzer found a snapshot that was not the same when it was read again.
    #[test]
    fn a_sum_of_nothing_is_nothing() {
        assert_eq!(Histogram::from_buckets([], 7), Histogram::new());
        assert_eq!(Histogram::from_buckets([(8, 0)], 7).sum(), 0);
    }

    #[test]
    fn buckets_follow_each_other_without_gaps_and_overlap() {
        let last = bucket_of(u64::MAX);
        let mut before = 0;
        for bucket in 0..=last {
            let bound = bound_of(bucket);
            assert!(bound > before);
            assert_eq!(bucket_of(bound), bucket, "the bound belongs to its bucket");
            assert_eq!(
                bucket_of(before + 1),
                bucket,
                "so does what follows the last"
            );
            before = bound;
        }
        assert_eq!(before, u64::MAX);
    }

    #[test]
    fn powers_of_two_end_buckets_and_zero_has_one() {
        for exponent in 0..64 {
            let power = 1_u64 << exponent;
            assert_eq!(bound_of(bucket_of(power)), power);
        }
        assert_eq!(bound_of(bucket_of(0)), 1);
    }

    #[test]
    fn quantiles_of_nothing_and_of_something() {
        let mut times = Histogram::new();
        assert_eq!(times.quantile(0.5), None);
        times.record_many(10, 99);
        times.record(1000);
        assert_eq!(times.quantile(0.0), Some(10));
        assert_eq!(times.quantile(0.99), Some(10));
        assert_eq!(times.quantile(1.0), Some(1024));
        assert_eq!(times.quantile(f64::NAN), Some(10));
    }

    proptest! {
        #[test]
        fn a_bucket_is_off_by_an_eighth_at_most(value in 1..=u64::MAX) {
            let bound = bound_of(bucket_of(value));
            prop_assert!(bound >= value && bound - value <= value / 8 + 1);
        }

        #[test]
        fn merging_and_taking_off_are_inverse(
            some in proptest::collection::vec(any::<u32>(), 0..50),
            more in proptest::collection::vec(any::<u32>(), 0..50),
        ) {
            let record = |values: &[u32]| {
                let mut histogram = Histogram::new();
                values.iter().for_each(|&value| histogram.record(value.into()));
                histogram
            };
            let (earlier, added) = (record(&some), record(&more));
            let mut both = earlier.clone();
            both.merge(&added);
            prop_assert_eq!(both.count(), earlier.count() + added.count());
            let back = both.since(&earlier);
            prop_assert!(back.buckets().eq(added.buckets()));
            prop_assert_eq!(back.sum(), added.sum());
            let copy = Histogram::from_buckets(back.buckets(), back.sum());
            prop_assert!(copy.buckets().eq(added.buckets()));
        }
    }
}
