//! The measured loops. Nothing else is timed.

use super::contenders::{Buffers, Memory};
use millpond_bench::stats::Random;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A page, of which one byte is written where a row says touched.
const PAGE: usize = 4096;

/// Sizes drawn ahead of time; as many as a predictor does not learn.
const DRAWN: usize = 4096;

/// As many as a constant says, so that finding the next one is no division.
pub type Sizes = [usize; DRAWN];

/// Acquire, write one byte, release.
#[inline(always)]
fn once(memory: &mut impl Memory, byte: u8) {
    let start = memory.start();
    // SAFETY: every contender lends at least one byte.
    unsafe { start.write(byte) };
    black_box(start);
}

#[inline(always)]
fn touch(memory: &mut impl Memory, len: usize, byte: u8) {
    let start = memory.start();
    for page in (0..len).step_by(PAGE) {
        // SAFETY: below the length that was asked for.
        let at = unsafe { start.add(page) };
        // SAFETY: as above.
        unsafe { at.write(byte) };
    }
    black_box(start);
}

/// Pairs of one size.
#[inline(never)]
pub fn pair<const LEN: usize, B: Buffers>(buffers: &B, iterations: u64) -> Duration {
    let began = Instant::now();
    for word in 0..iterations {
        let mut buffer = buffers.acquire::<LEN>();
        once(&mut buffer, word as u8);
    }
    began.elapsed()
}

/// Pairs of one size, a byte of every page written.
#[inline(never)]
pub fn touched<const LEN: usize, B: Buffers>(buffers: &B, iterations: u64) -> Duration {
    let began = Instant::now();
    for word in 0..iterations {
        let mut buffer = buffers.acquire::<LEN>();
        touch(&mut buffer, LEN, word as u8);
    }
    began.elapsed()
}

/// Pairs of zeroes.
#[inline(never)]
pub fn zeroed<const LEN: usize, B: Buffers>(buffers: &B, iterations: u64) -> Duration {
    let began = Instant::now();
    for word in 0..iterations {
        let mut buffer = buffers.zeroed::<LEN>();
        once(&mut buffer, word as u8);
    }
    began.elapsed()
}

/// Pairs of sizes that the compiler does not know.
#[inline(never)]
pub fn mixed<B: Buffers>(buffers: &B, sizes: &Sizes, iterations: u64) -> Duration {
    let began = Instant::now();
    for word in 0..iterations {
        let len = sizes[word as usize % DRAWN];
        let mut buffer = buffers.acquire_any(len);
        once(&mut buffer, word as u8);
    }
    began.elapsed()
}

/// The same, a byte of every page written.
#[inline(never)]
pub fn mixed_touched<B: Buffers>(buffers: &B, sizes: &Sizes, iterations: u64) -> Duration {
    let began = Instant::now();
    for word in 0..iterations {
        let len = sizes[word as usize % DRAWN];
        let mut buffer = buffers.acquire_any(len);
        touch(&mut buffer, len, word as u8);
    }
    began.elapsed()
}

/// The six sizes in random order; seeded, so the same for everybody.
pub fn drawn_sizes() -> Box<Sizes> {
    let mut random = Random::new(5);
    let sizes = millpond_bytes::DEFAULT_SIZES;
    Box::new(std::array::from_fn(|_| sizes[random.below(sizes.len())]))
}
