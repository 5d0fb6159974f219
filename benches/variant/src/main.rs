//! One question: what does a pair cost in this build?
//!
//! `cargo xtask bench` compiles this as shipped, with `--cfg millpond_no_reclaim`
//! and with `--cfg millpond_no_counters`, and runs the three in turn, a fresh
//! process each time. Two builds differ in where code lands as well as in what it
//! does, and at a quarter of a cycle that matters: so the loop exists eight times,
//! each copy shifted by some bytes, and a round is the median of the copies.
//!
//! Not to be used to claim: the cost of a pair in a program, or of a mechanism
//! under contention.

use millpond_fixed::FixedPool;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// 64 bytes, of which an acquire writes the first eight.
#[derive(Clone, Copy)]
struct Item {
    _word: u64,
    _rest: [MaybeUninit<u64>; 7],
}

type Pool = FixedPool<Item>;
type Loop = fn(&Pool, u64) -> Duration;

/// The same loop at eight different places.
const COPIES: [Loop; 8] = [
    pairs::<0>,
    pairs::<8>,
    pairs::<16>,
    pairs::<24>,
    pairs::<32>,
    pairs::<40>,
    pairs::<48>,
    pairs::<56>,
];

/// Enough that no row depends on the pool's size.
const CAPACITY: usize = 8192;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<u64>().ok());
    let (Some(rounds), Some(slice)) = (numbers.next(), numbers.next()) else {
        eprintln!("usage: millpond-variant worker ROUNDS SLICE_MICROS");
        std::process::exit(2);
    };
    let pool = Pool::new(CAPACITY);
    let iterations = calibrate(&pool, Duration::from_micros(slice));
    let values: Vec<String> = (0..rounds)
        .map(|_| round(&pool, iterations).to_string())
        .collect();
    let values = values.join(",");
    println!(r#"{{"measurements":[{{"row":"mechanism","contender":"","values":[{values}]}}]}}"#);
}

/// Iterations that fill `slice`; warms every copy up on the way.
fn calibrate(pool: &Pool, slice: Duration) -> u64 {
    let mut iterations = 1 << 10;
    loop {
        let elapsed: Duration = COPIES.iter().map(|copy| copy(pool, iterations)).sum();
        if elapsed >= slice * 4 {
            return iterations;
        }
        iterations *= 2;
    }
}

/// Nanoseconds per pair: the median of the copies.
fn round(pool: &Pool, iterations: u64) -> f64 {
    let mut nanos = COPIES.map(|copy| copy(pool, iterations).as_secs_f64() * 1e9);
    nanos.sort_unstable_by(f64::total_cmp);
    f64::midpoint(nanos[3], nanos[4]) / iterations as f64
}

#[inline(never)]
fn pairs<const SHIFT: usize>(pool: &Pool, iterations: u64) -> Duration {
    shift::<SHIFT>();
    let began = Instant::now();
    for word in 0..iterations {
        let Ok(lease) = pool.try_acquire_with(|| Item::new(word)) else {
            return Duration::ZERO;
        };
        black_box(&raw const *lease);
    }
    began.elapsed()
}

impl Item {
    #[inline(always)]
    fn new(word: u64) -> Self {
        Self {
            _word: word,
            _rest: [MaybeUninit::uninit(); 7],
        }
    }
}

/// Moves the code that follows by `SHIFT` bytes.
#[inline(always)]
fn shift<const SHIFT: usize>() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: padding with no-operations touches neither memory nor registers.
    unsafe {
        core::arch::asm!(
            ".p2align 6",
            ".skip {shift}, 0x90",
            shift = const SHIFT,
            options(nomem, nostack, preserves_flags)
        );
    }
}
