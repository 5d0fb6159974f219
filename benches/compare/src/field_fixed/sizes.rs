//! Sizes of a pool under demand that steps: fixed ones, and those it sets itself.
//!
//! Nothing is timed, and nothing is left to chance: one process is enough.

use super::rows;
use millpond_bench::worker::Measurement;
use millpond_fixed::{Adaptive, Exhaustion, FixedPool};
use std::hint::black_box;

/// A page, of which a pool of 16 and one of 128 differ visibly.
type Page = [u8; 4096];

/// Pages out at once, one after another.
const DEMAND: [usize; 4] = [16, 64, 24, 128];

/// Rounds of each demand: in a round so many are acquired, then released.
const ROUNDS: usize = 200;

/// Rounds between two points of a course.
const POINT: usize = 10;

/// Pages that may lie outside of a pool: as many as are ever asked for.
const OUTSIDE: usize = 128;

const FIXED: [(&str, usize); 4] = [
    ("millpond FixedPool of 16", 16),
    ("millpond FixedPool of 32", 32),
    ("millpond FixedPool of 64", 64),
    ("millpond FixedPool of 128", 128),
];

const ADAPTIVE: [(&str, Adaptive); 2] = [
    (
        "millpond, 16–128 by overflow rate",
        Adaptive::between(16, 128),
    ),
    (
        "millpond, 16–128 by 99 % of peaks",
        Adaptive::between(16, 128).for_share_of_peaks(990),
    ),
];

/// What is asked for, in the plot.
const ASKED: &str = "pages asked for";

pub fn measure() -> Vec<Measurement> {
    let policy = Exhaustion::Fallback { at_most: OUTSIDE };
    let builder = |size: usize| FixedPool::<Page>::builder(size).exhaustion(policy);
    let fixed = FIXED.map(|(name, size)| (name, builder(size).build()));
    let adaptive = ADAPTIVE.map(|(name, rule)| (name, builder(16).adaptive(rule).build()));
    let mut measured = Vec::new();
    for (name, pool) in fixed.into_iter().chain(adaptive) {
        let course = Course::of(&pool);
        let stats = pool.stats();
        let asked = DEMAND.iter().sum::<usize>() * ROUNDS;
        let rate = stats.fallbacks as f64 / asked as f64;
        let held = course.held_bytes.iter().sum::<f64>() / course.held_bytes.len() as f64;
        measured.extend([
            Measurement::new(rows::STEPPED_OVERFLOW, name, vec![rate]),
            Measurement::new(rows::STEPPED_HELD, name, vec![held]),
            Measurement::new(rows::STEPPED_CAPACITY, name, course.capacities),
        ]);
    }
    let asked = DEMAND
        .iter()
        .flat_map(|&pages| [pages as f64; ROUNDS / POINT]);
    measured.push(Measurement::new(
        rows::STEPPED_CAPACITY,
        ASKED,
        asked.collect(),
    ));
    measured
}

/// A pool's figures, instant after instant, with no page out.
struct Course {
    capacities: Vec<f64>,
    held_bytes: Vec<f64>,
}

impl Course {
    fn of(pool: &FixedPool<Page>) -> Self {
        let (mut capacities, mut held_bytes) = (Vec::new(), Vec::new());
        for demand in DEMAND {
            for round in 1..=ROUNDS {
                let page = || pool.acquire([1; 4096]).expect("room outside of the pool");
                let held: Vec<_> = (0..demand).map(|_| page()).collect();
                drop(black_box(held));
                if round % POINT == 0 {
                    capacities.push(pool.capacity() as f64);
                    held_bytes.push(pool.stats().held_bytes as f64);
                }
            }
        }
        Self {
            capacities,
            held_bytes,
        }
    }
}
