//! Kernels: dot product, distance and cosine over padded rows.
//!
//! They are here to show that the layout pays, not to compete with libraries of
//! kernels. Rows are whole lanes and their tails are zero, so the loop over
//! blocks of lanes is all there is; slices that are not whole lanes are summed
//! correctly too, their rest as one more block with zeros behind it. No loop of
//! theirs handles one number at a time: `cargo xtask asm` reads the machine code.
//!
//! With the feature `multiversion` each is compiled for AVX-512, for AVX2 and for
//! the processor that the program was built for, and the best is chosen at the
//! first call. That feature needs Rust 1.89, the first that knows AVX-512.
//!
//! ```
//! use millpond_vector::{VectorPool, kernel};
//!
//! let pool = VectorPool::<f32>::new(100, 10)?;
//! let ones = pool.insert(&[1.0; 100])?;
//! let twos = pool.insert(&[2.0; 100])?;
//! let (a, b) = (pool.row_padded(ones).unwrap(), pool.row_padded(twos).unwrap());
//! assert_eq!(kernel::dot(a, b), 200.0);
//! assert_eq!(kernel::l2_squared(a, b), 100.0);
//! assert!((kernel::cosine(a, b) - 1.0).abs() < 1e-6);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "multiversion")]
use multiversion::multiversion;

/// Numbers that are added up side by side, so that one addition need not wait for
/// the one before: four registers of AVX-512, or eight of SSE, which has sixteen
/// and needs some for the numbers themselves.
const LANES: usize = if cfg!(feature = "multiversion") {
    64
} else {
    32
};

/// One register of AVX-512: what a padded row is a multiple of.
const LEAST: usize = 16;

/// The sum of `term(a, b)` over two slices.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32 + Copy) -> f32 {
    assert_eq!(a.len(), b.len(), "kernels take rows of one length");
    let mut sums = [0.0; LANES];
    let (long_a, long_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (rest_a, rest_b) = (long_a.remainder(), long_b.remainder());
    for (a, b) in long_a.zip(long_b) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    let (short_a, short_b) = (rest_a.chunks_exact(LEAST), rest_b.chunks_exact(LEAST));
    let (last_a, last_b) = (short_a.remainder(), short_b.remainder());
    for (a, b) in short_a.zip(short_b) {
        for lane in 0..LEAST {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    if !last_a.is_empty() {
        let (a, b) = (padded(last_a), padded(last_b));
        for lane in 0..LEAST {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    fold(sums)
}

/// Less than a block, with zeros behind it.
#[inline(always)]
fn padded(rest: &[f32]) -> [f32; LEAST] {
    let mut block = [0.0; LEAST];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Adds up lanes pairwise, as registers do.
#[inline(always)]
fn fold(mut sums: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// The dot product of two rows.
///
/// # Panics
///
/// If they differ in length.
#[must_use]
#[cfg_attr(
    feature = "multiversion",
    multiversion(targets("x86_64+avx512f", "x86_64+avx2"))
)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |a, b| a * b)
}

/// The squared Euclidean distance of two rows.
///
/// # Panics
///
/// If they differ in length.
#[must_use]
#[cfg_attr(
    feature = "multiversion",
    multiversion(targets("x86_64+avx512f", "x86_64+avx2"))
)]
pub fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |a, b| (a - b) * (a - b))
}

/// The cosine of the angle between two rows; 0 if one of them is zero.
///
/// Three passes over rows that are in the cache after the first. Where norms are
/// kept beside rows, divide [`dot`] by them instead.
///
/// # Panics
///
/// If they differ in length.
#[must_use]
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    // A product of two roots rather than a root of a product, which overflows.
    let norms = root(dot(a, a)) * root(dot(b, b));
    if norms == 0.0 { 0.0 } else { dot(a, b) / norms }
}

/// The square root. `core` has none in the oldest compiler that is supported.
#[cfg(feature = "std")]
fn root(number: f32) -> f32 {
    number.sqrt()
}

/// As above, by Newton's method from a first guess that halves the exponent.
#[cfg(not(feature = "std"))]
fn root(number: f32) -> f32 {
    if number <= 0.0 || !number.is_finite() {
        return if number == 0.0 { 0.0 } else { number };
    }
    let mut root = f32::from_bits((number.to_bits() >> 1) + 0x1FBD_1DF5);
    for _ in 0..4 {
        root = 0.5 * (root + number / root);
    }
    root
}
