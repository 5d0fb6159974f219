//! One question: what does a pair cost in this build?
//!
//! `cargo xtask bench` compiles this as shipped, with `--cfg millpond_no_reclaim`
//! and with `--cfg millpond_no_counters`, and runs the three in turn, a fresh
//! process each time. Two builds differ in where code lands as well as in what it
//! does, and at a quarter of a cycle that matters: so the loop exists eight times,
//! each copy shifted by some bytes, and a round is the median of the copies.
//!
//! The chapter that asks decides whose pair: an item of a fixed pool, an arena,
//! or a buffer.
//!
//! Every copy of every round is timed on a core that nobody shares, if there is one.
//!
//! Not to be used to claim: the cost of a pair in a program, or of a mechanism
//! under contention.

use millpond_arena::{ArenaManager, Scope};
use millpond_bytes::BytePool;
use millpond_fixed::FixedPool;
use std::hint::black_box;
use std::io::Read;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// What is acquired and released in turn.
trait Pairs {
    /// One pair.
    fn pair(&self, word: u64);
}

/// 64 bytes, of which an acquire writes the first eight.
#[derive(Clone, Copy)]
struct Item {
    _word: u64,
    _rest: [MaybeUninit<u64>; 7],
}

type Pool = FixedPool<Item>;

impl Pairs for Pool {
    #[inline(always)]
    fn pair(&self, word: u64) {
        if let Ok(lease) = self.try_acquire_with(|| Item::new(word)) {
            black_box(&raw const *lease);
        }
    }
}

impl Pairs for ArenaManager {
    #[inline(always)]
    fn pair(&self, word: u64) {
        if let Ok(arena) = self.lease(Scope::Primitive) {
            let _ = black_box(arena.alloc(word));
        }
    }
}

impl Pairs for BytePool {
    #[inline(always)]
    fn pair(&self, _: u64) {
        if let Ok(mut buffer) = self.try_acquire(black_box(LEN)) {
            black_box(buffer.as_mut_ptr());
        }
    }
}

/// Bytes of a buffer: of no power of two, so that there is waste to count.
const LEN: usize = 3000;

/// Enough that no row depends on the pool's size.
const CAPACITY: usize = 8192;

fn main() {
    let Some((rounds, slice)) = schedule() else {
        eprintln!("usage: millpond-variant worker ROUNDS SLICE_MICROS QUOTIENT PATIENCE_MICROS");
        std::process::exit(2);
    };
    // The request says more than the arguments; one word of it is of interest here.
    let mut request = String::new();
    let _ = std::io::stdin().read_to_string(&mut request);
    let values = if request.contains("\"field-arena\"") {
        measured(&ArenaManager::new(), rounds, slice)
    } else if request.contains("\"field-bytes\"") {
        measured(&BytePool::default(), rounds, slice)
    } else {
        measured(&Pool::new(CAPACITY), rounds, slice)
    };
    let values = values.join(",");
    println!(r#"{{"measurements":[{{"row":"mechanism","contender":"","values":[{values}]}}]}}"#);
}

/// Rounds and slice; what a quiet core is like is passed on.
fn schedule() -> Option<(u64, Duration)> {
    let mut arguments = std::env::args().skip(2);
    let mut next = || arguments.next();
    let rounds = next()?.parse().ok()?;
    let slice = next()?.parse().ok()?;
    let quotient = next()?.parse().ok()?;
    let patience = next()?.parse().ok()?;
    millpond_quiet::expect(quotient, Duration::from_micros(patience));
    Some((rounds, Duration::from_micros(slice)))
}

/// The same loop at eight different places.
fn copies<P: Pairs>() -> [fn(&P, u64) -> Duration; 8] {
    [
        pairs::<P, 0>,
        pairs::<P, 8>,
        pairs::<P, 16>,
        pairs::<P, 24>,
        pairs::<P, 32>,
        pairs::<P, 40>,
        pairs::<P, 48>,
        pairs::<P, 56>,
    ]
}

fn measured<P: Pairs>(pool: &P, rounds: u64, slice: Duration) -> Vec<String> {
    let iterations = calibrate(pool, slice);
    let rounds = (0..rounds).map(|_| round(pool, iterations).to_string());
    rounds.collect()
}

/// Iterations that fill `slice`; warms every copy up on the way.
fn calibrate<P: Pairs>(pool: &P, slice: Duration) -> u64 {
    let mut iterations = 1 << 10;
    loop {
        let elapsed: Duration = copies().iter().map(|copy| copy(pool, iterations)).sum();
        if elapsed >= slice * 4 {
            return iterations;
        }
        iterations *= 2;
    }
}

/// Nanoseconds per pair: the median of the copies.
fn round<P: Pairs>(pool: &P, iterations: u64) -> f64 {
    let mut nanos = copies().map(|copy| {
        let elapsed = millpond_quiet::alone(millpond_quiet::is_shared, || copy(pool, iterations));
        elapsed.as_secs_f64() * 1e9
    });
    nanos.sort_unstable_by(f64::total_cmp);
    f64::midpoint(nanos[3], nanos[4]) / iterations as f64
}

#[inline(never)]
fn pairs<P: Pairs, const SHIFT: usize>(pool: &P, iterations: u64) -> Duration {
    shift::<SHIFT>();
    let began = Instant::now();
    for word in 0..iterations {
        pool.pair(word);
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
