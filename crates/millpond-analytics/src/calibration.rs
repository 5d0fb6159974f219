//! Calibration: what the allocator and the pools cost on this machine.

use millpond_core::diagnostics::Diagnosis;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Sizes of the allocations that are timed.
const SIZES: [usize; 9] = [16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];

/// For how long each thing is timed. Ten rounds of it fit into a blink, and the
/// best of ten is within a few per cent from run to run.
const ROUND: Duration = Duration::from_micros(500);
const ROUNDS: usize = 10;

/// What things cost on the machine on which it was measured.
///
/// ```
/// use millpond_analytics::Calibration;
///
/// let machine = Calibration::measure();
/// assert!(machine.heap_ns(4096).is_some());
/// assert!(machine.heap_ns(usize::MAX).is_none()); // Not measured, so not known.
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Calibration {
    /// Bytes of an allocation, and the nanoseconds that it takes to allocate
    /// them, write to the first, and free them again. In order of size.
    pub heap: Vec<(usize, f64)>,
    /// Nanoseconds of an acquire and a release on the fast path.
    pub hit_ns: f64,
    /// Nanoseconds of an acquire and a release that both take the lock.
    pub miss_ns: f64,
}

impl Calibration {
    /// Measures, on the calling thread, in some 60 milliseconds. On a quiet
    /// machine it says what is lost to allocation at least: the allocator is
    /// timed in its best case, one size again and again.
    #[must_use]
    pub fn measure() -> Self {
        let heap = SIZES.map(|bytes| (bytes, best(|times| allocate(bytes, times))));
        let pool = SharedEngine::new(64, 64, Slabs::new(64, 8));
        pool.set_diagnosis(Diagnosis::Off);
        let hit_ns = best(|times| pool.exercise(times).unwrap_or_default());
        Self {
            heap: heap.to_vec(),
            hit_ns,
            miss_ns: under_the_lock(&pool),
        }
    }

    /// Nanoseconds of an allocation of so many bytes, with its release: measured,
    /// or between two that were. `None` beyond what was measured.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "sizes of allocations")]
    pub fn heap_ns(&self, bytes: usize) -> Option<f64> {
        let above = self.heap.iter().position(|&(size, _)| size >= bytes)?;
        let (size, ns) = self.heap[above];
        let Some(below) = above.checked_sub(1) else {
            return Some(ns);
        };
        let (smaller, less) = self.heap[below];
        let share = (bytes - smaller) as f64 / (size - smaller) as f64;
        Some(less + (ns - less) * share)
    }
}

fn allocate(bytes: usize, times: u32) {
    for _ in 0..times {
        let mut memory: Vec<u8> = Vec::with_capacity(black_box(bytes));
        memory.push(1);
        drop(black_box(memory));
    }
}

/// Pairs that are timed after a pool was stopped: fewer than the calm releases
/// after which its caches open again.
const STOPPED_PAIRS: u32 = 48;

/// Stops after which such pairs are timed: some 10 ms of them.
const STOPS: u32 = 2000;

/// Nanoseconds of a pair that takes the lock twice, in the best of many rounds.
fn under_the_lock(pool: &SharedEngine<Slabs>) -> f64 {
    let rounds = (0..STOPS).map(|_| {
        pool.set_diagnosis(Diagnosis::Full); // Stops the pool,
        pool.set_diagnosis(Diagnosis::Off); // which opens by and by.
        let begin = Instant::now();
        pool.exercise(STOPPED_PAIRS).unwrap_or_default();
        begin.elapsed().as_secs_f64() * 1e9 / f64::from(STOPPED_PAIRS)
    });
    rounds.fold(f64::INFINITY, f64::min)
}

/// Nanoseconds that one of `run`'s times takes, in the best of several rounds:
/// what disturbs a round only ever makes it longer.
fn best(run: impl Fn(u32)) -> f64 {
    run(100); // Warm.
    let mut times = 64;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        loop {
            let begin = Instant::now();
            run(times);
            let took = begin.elapsed();
            if took >= ROUND || times >= 1 << 24 {
                best = best.min(took.as_secs_f64() * 1e9 / f64::from(times));
                break;
            }
            times *= 2;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_lie_between_neighbours_and_end_with_what_was_measured() {
        let machine = Calibration {
            heap: vec![(64, 10.0), (128, 30.0)],
            hit_ns: 2.0,
            miss_ns: 20.0,
        };
        assert_eq!(machine.heap_ns(1), Some(10.0));
        assert_eq!(machine.heap_ns(96), Some(20.0));
        assert_eq!(machine.heap_ns(128), Some(30.0));
        assert_eq!(machine.heap_ns(129), None);
    }

    #[test]
    fn this_machine_can_be_measured() {
        let machine = Calibration::measure();
        assert_eq!(machine.heap.len(), SIZES.len());
        for ns in machine
            .heap
            .iter()
            .map(|&(_, ns)| ns)
            .chain([machine.hit_ns])
        {
            assert!(ns.is_finite() && ns > 0.0, "{machine:?}");
        }
        assert!(
            machine.miss_ns > machine.hit_ns,
            "a lock costs: {machine:?}"
        );
    }
}
