//! Percentiles of single operations, beside those of an empty measurement.
//!
//! An average of a million operations hides the one that took a microsecond.
//! Timing each operation shows it, but the timer costs more than the operation:
//! so the same loop is run around nothing, and whatever is not above that prints
//! as "≤ timer". Nothing is subtracted: the two costs overlap in the processor.

use crate::clock;
use crate::worker::Measurement;
use hdrhistogram::Histogram;

/// The yardstick's name in latency rows.
pub const EMPTY: &str = "empty measurement";

/// A histogram of ticks; keeps three significant digits up to an hour.
#[derive(Debug)]
pub struct Latencies {
    ticks: Histogram<u32>,
}

/// The percentiles that the report shows.
pub const SHOWN: [(&str, f64); 3] = [("p50", 0.50), ("p99", 0.99), ("p99.9", 0.999)];

impl Latencies {
    /// An empty histogram.
    ///
    /// # Panics
    ///
    /// Never: three digits are a precision that the histogram accepts.
    #[must_use]
    pub fn new() -> Self {
        // Resized ahead, so that recording never allocates.
        let ticks = Histogram::new_with_max(1 << 42, 3).expect("three digits are valid");
        Self { ticks }
    }

    /// Times one operation and passes its result on.
    #[inline(always)]
    pub fn time<T>(&mut self, operation: impl FnOnce() -> T) -> T {
        let before = clock::start();
        let result = std::hint::black_box(operation());
        let after = clock::stop();
        self.ticks.saturating_record(after.wrapping_sub(before));
        result
    }

    /// The percentile `quantile` (0 to 1) in nanoseconds.
    #[must_use]
    pub fn nanos_at(&self, quantile: f64) -> f64 {
        self.ticks.value_at_quantile(quantile) as f64 * clock::nanos_per_tick()
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// The percentiles that are shown of `contender`'s acquires and releases, for rows
/// called `acquire-p50` and so on.
pub fn of_pairs<'a>(
    contender: &'a str,
    acquires: &'a Latencies,
    releases: &'a Latencies,
) -> impl Iterator<Item = Measurement> + 'a {
    let operations = [("acquire", acquires), ("release", releases)];
    operations
        .into_iter()
        .flat_map(move |(operation, latencies)| {
            SHOWN.map(|(percentile, quantile)| {
                let row = format!("{operation}-{percentile}");
                Measurement::new(row, contender, vec![latencies.nanos_at(quantile)])
            })
        })
}

/// The histogram of timing nothing, `samples` times.
#[must_use]
pub fn empty_measurement(samples: u64) -> Latencies {
    let mut latencies = Latencies::new();
    for sample in 0..samples {
        latencies.time(|| std::hint::black_box(sample));
    }
    latencies
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_slow_operation_is_above_the_timer() {
        let mut slow = Latencies::new();
        for _ in 0..20 {
            slow.time(|| {
                let began = Instant::now();
                while began.elapsed() < Duration::from_micros(50) {}
            });
        }
        assert!(slow.nanos_at(0.5) > empty_measurement(1_000).nanos_at(0.5));
        assert!(slow.nanos_at(0.5) > 40_000.0);
    }
}
