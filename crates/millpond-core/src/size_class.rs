//! Size classes: which of a few sizes serves a request, and which few sizes
//! serve the requests that were recorded with the least waste.
//!
//! ```
//! use millpond_core::size_class::{SizeClasses, optimise, waste};
//!
//! let classes = SizeClasses::new(&[2048, 4096, 8192])?;
//! assert_eq!(classes.class_of(3000), Some(1));
//! assert_eq!(classes.class_of(8193), None); // Oversize: not the table's business.
//!
//! // 1,000 requests of 2.1 KB waste half of a 4 KiB class each.
//! let recorded = [(2100, 1000), (4000, 50), (8000, 10)];
//! let better = optimise(&recorded, 3)?;
//! assert_eq!(better.sizes(), [2100, 4000, 8000]);
//! assert!(waste(&better, &recorded).wasted_bytes() < waste(&classes, &recorded).wasted_bytes());
//! # Ok::<(), millpond_core::size_class::SizeClassError>(())
//! ```
//!
//! # Lookup
//!
//! Sizes are sorted into *buckets*, and a byte for each bucket routes to the
//! first class that may serve it.
//!
//! Where all classes are multiples of a power of two that is not too small,
//! buckets are steps of that width. No bucket is divided between classes, so the
//! route is the answer; the usual 2, 4, 8, 16, 32 and 64 KiB take 33 bytes.
//!
//! Otherwise a size is cut down to its exponent and the few bits after it. The
//! number of bits is the smallest for which no bucket is divided between more
//! than two classes, so that one comparison more finishes the job:
//!
//! ```text
//!   classes      2048            3000    4096                    8192
//!   ───────────────┴───────────────┴───────┴───────────────────────┴──── size
//!   buckets  …  ──┤       │        ┆      │           │           ├──  …
//!   route          1       1               3           3           4
//!                          └ divided at 3000: class 1, or the next
//! ```
//!
//! # Cost
//!
//! Lookup: a shift, or a leading-zero count and two; two loads that hit in the
//! first-level cache (routes take 4 KB at most) and one or two comparisons.
//! Tables whose neighbours differ by less than 1 in 64 take up to seven
//! comparisons more where they are that close.
//!
//! # What is guaranteed
//!
//! [`SizeClasses::class_of`] returns the smallest class that fits, for every
//! size and every strictly increasing table. [`optimise`] is exact: no table
//! with as many classes wastes less.
//!
//! # What it is not for
//!
//! Alignment. A class is a number of bytes; who owns the memory decides where
//! it may start.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Most classes that a table can have: a class, and "none", fit in a byte.
///
/// The best tables for recorded traffic gain little beyond some 32 classes, and
/// every class is a set of caches.
pub const MAX_CLASSES: usize = u8::MAX as usize;

/// Most bits of a size, after the leading one, that a bucket keeps.
///
/// Six tell apart classes that differ by 1 in 64, which is finer than any table
/// worth having (such classes save at most 1.6 %), and bound the routing table
/// at 64 bytes for each doubling, 3.7 KB in all. Eight were rejected: 15 KB push
/// the caller's data out of the first-level cache.
const MAX_MANTISSA_BITS: u32 = 6;

/// Most bytes of a routing table with buckets of one width.
///
/// A page of routes serves multiples of 64 bytes up to 256 KiB, of which a
/// program touches the few lines that its sizes need. Larger ones were rejected
/// for the reason above.
const MAX_STEPS: usize = 4096;

/// A table of size classes.
///
/// Classes are numbered from 0 in the order of their sizes.
///
/// # Invariants
///
/// 1. `sizes` has 1 to [`MAX_CLASSES`] entries, is strictly increasing, begins
///    above 0 and ends at most at `isize::MAX`.
/// 2. `route[b]` is the first class that fits the smallest size of bucket `b`,
///    or the number of classes if there is none, for every bucket up to one
///    beyond that of the largest class.
#[derive(Clone, PartialEq, Eq)]
pub struct SizeClasses {
    sizes: Box<[usize]>,
    route: Box<[u8]>,
    buckets: Buckets,
}

/// How sizes are sorted into buckets, numbered without gaps and in the order of
/// sizes.
///
/// Sizes 0 and 1 share the first bucket. Subtracting one puts multiples and
/// powers of two at the *end* of their bucket, so that they do not divide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Buckets {
    /// Steps of `1 << shift` bytes.
    Steps { shift: u32 },
    /// The exponent, and so many bits of what follows.
    Exponents { mantissa_bits: u32 },
}

impl Buckets {
    fn for_sizes(sizes: &[usize]) -> Self {
        let all_bits = sizes.iter().fold(0, |bits, &size| bits | size);
        let shift = all_bits.trailing_zeros();
        let largest = sizes.last().map_or(0, |&size| size >> shift);
        if largest < MAX_STEPS {
            return Self::Steps { shift };
        }
        let mantissa_bits = (0..MAX_MANTISSA_BITS)
            .find(|&mantissa_bits| {
                let buckets = Self::Exponents { mantissa_bits };
                !buckets.are_divided_twice(sizes)
            })
            .unwrap_or(MAX_MANTISSA_BITS);
        Self::Exponents { mantissa_bits }
    }

    #[inline]
    const fn of(self, size: usize) -> usize {
        let last = size.saturating_sub(1);
        match self {
            Self::Steps { shift } => last >> shift,
            Self::Exponents { mantissa_bits } => {
                let shift = (last | 1).ilog2().saturating_sub(mantissa_bits);
                ((shift as usize) << mantissa_bits) + (last >> shift)
            }
        }
    }

    /// Whether a bucket contains two sizes at which the answer changes, other
    /// than at its end.
    fn are_divided_twice(self, sizes: &[usize]) -> bool {
        let mut divided = None;
        for &size in sizes {
            let bucket = self.of(size);
            let inside = bucket == self.of(size + 1);
            if inside && divided == Some(bucket) {
                return true;
            }
            if inside {
                divided = Some(bucket);
            }
        }
        false
    }
}

impl SizeClasses {
    /// Makes a table from sizes in bytes, in increasing order.
    ///
    /// # Errors
    ///
    /// [`SizeClassError`] if there is no size, there are more than
    /// [`MAX_CLASSES`], or a size is zero, beyond `isize::MAX`, or not greater
    /// than the one before it; or there is no memory for the table.
    pub fn new(sizes: &[usize]) -> Result<Self, SizeClassError> {
        check(sizes)?;
        let buckets = Buckets::for_sizes(sizes);
        Ok(Self {
            route: routes(sizes, buckets)?,
            sizes: boxed(sizes.len(), sizes.iter().copied())?,
            buckets,
        })
    }

    /// The smallest class that fits `size` bytes; `None` if none does.
    ///
    /// Size 0 is served by the smallest class.
    #[inline]
    #[must_use]
    pub fn class_of(&self, size: usize) -> Option<usize> {
        // By 2 a size beyond the last bucket, or routed to beyond the last
        // class, fits no class: these look-ups fail exactly when they should.
        let first = *self.route.get(self.buckets.of(size))? as usize;
        if size <= *self.sizes.get(first)? {
            return Some(first);
        }
        if size <= *self.sizes.get(first + 1)? {
            return Some(first + 1);
        }
        self.class_of_crowded_slow(size, first + 2)
    }

    /// The rest of a lookup in a bucket that three classes or more share.
    #[cold]
    fn class_of_crowded_slow(&self, size: usize, first: usize) -> Option<usize> {
        let next_bucket = self.buckets.of(size) + 1;
        let beyond = self
            .route
            .get(next_bucket)
            .map_or(self.sizes.len(), |&class| class as usize);
        let rest = self.sizes.get(first..beyond)?;
        let class = first + rest.partition_point(|&class| class < size);
        (class < self.sizes.len()).then_some(class)
    }

    /// The size of the class that serves `size`; `None` if none does.
    #[inline]
    #[must_use]
    pub fn round_up(&self, size: usize) -> Option<usize> {
        self.class_of(size).map(|class| self.sizes[class])
    }

    /// The size of a class, in bytes; `None` if there is no such class.
    #[inline]
    #[must_use]
    pub fn size(&self, class: usize) -> Option<usize> {
        self.sizes.get(class).copied()
    }

    /// All sizes in bytes, in increasing order.
    #[must_use]
    pub const fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// How many classes there are, at least one.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.sizes.len()
    }

    /// The largest size that the table serves, in bytes.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.sizes.last().copied().unwrap_or(0)
    }
}

impl fmt::Debug for SizeClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SizeClasses").field(&self.sizes).finish()
    }
}

fn check(sizes: &[usize]) -> Result<(), SizeClassError> {
    if sizes.is_empty() {
        return Err(SizeClassError::Empty);
    }
    if sizes.len() > MAX_CLASSES {
        return Err(SizeClassError::TooMany { count: sizes.len() });
    }
    let mut previous = 0;
    for (position, &value) in sizes.iter().enumerate() {
        if value == 0 {
            return Err(SizeClassError::Zero { position });
        }
        if value > MAX_SIZE {
            return Err(SizeClassError::TooLarge { position, value });
        }
        if value <= previous {
            return Err(SizeClassError::NotIncreasing {
                position,
                value,
                previous,
            });
        }
        previous = value;
    }
    Ok(())
}

/// The largest object that a program can have, in bytes.
const MAX_SIZE: usize = isize::MAX.unsigned_abs();

/// `count` values in a box; an error, and no abort, if there is no memory.
fn boxed<T>(count: usize, values: impl Iterator<Item = T>) -> Result<Box<[T]>, SizeClassError> {
    let mut all = Vec::new();
    if all.try_reserve_exact(count).is_err() {
        let bytes = count * size_of::<T>();
        return Err(SizeClassError::Memory { bytes });
    }
    all.extend(values);
    Ok(all.into_boxed_slice())
}

fn routes(sizes: &[usize], buckets: Buckets) -> Result<Box<[u8]>, SizeClassError> {
    let last = sizes.last().map_or(0, |&size| buckets.of(size));
    // What lies beyond the largest class is routed to no class.
    let none = class_byte(sizes.len());
    let mut route = boxed(last + 2, core::iter::repeat_n(none, last + 2))?;
    let mut begin = 0;
    for (class, &size) in sizes.iter().enumerate() {
        // This class is the first to fit for the buckets that begin after the
        // class before it and at or before it.
        let end = buckets.of(size) + 1;
        if let Some(stretch) = route.get_mut(begin..end) {
            stretch.fill(class_byte(class));
        }
        begin = begin.max(end);
    }
    Ok(route)
}

fn class_byte(class: usize) -> u8 {
    // By invariant 1 it fits.
    u8::try_from(class).unwrap_or(u8::MAX)
}

/// Why a table of size classes is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SizeClassError {
    /// There is no class.
    Empty,
    /// There are more than [`MAX_CLASSES`].
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A size is zero.
    Zero {
        /// Where in the table, counted from 0.
        position: usize,
    },
    /// A size exceeds `isize::MAX`.
    TooLarge {
        /// Where in the table, counted from 0.
        position: usize,
        /// The size, in bytes.
        value: usize,
    },
    /// A size is not greater than the one before it.
    NotIncreasing {
        /// Where in the table, counted from 0.
        position: usize,
        /// The size, in bytes.
        value: usize,
        /// The size before it, in bytes.
        previous: usize,
    },
    /// There is no memory for the table.
    Memory {
        /// Bytes that were asked for.
        bytes: usize,
    },
}

impl fmt::Display for SizeClassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "no size class; 1 to {MAX_CLASSES} are allowed"),
            Self::TooMany { count } => {
                write!(f, "{count} size classes; 1 to {MAX_CLASSES} are allowed")
            }
            Self::Zero { position } => {
                write!(f, "size class {position} is 0; 1 to {MAX_SIZE} are allowed")
            }
            Self::TooLarge { position, value } => {
                write!(
                    f,
                    "size class {position} is {value}; 1 to {MAX_SIZE} are allowed"
                )
            }
            Self::NotIncreasing {
                position,
                value,
                previous,
            } => write!(
                f,
                "size class {position} is {value}, after {previous}; more than {previous} is allowed"
            ),
            Self::Memory { bytes } => write!(f, "the system refused {bytes} bytes for the table"),
        }
    }
}

impl core::error::Error for SizeClassError {}

/// What a table does with recorded requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Waste {
    /// Bytes asked for by the requests that some class fits.
    pub requested_bytes: u128,
    /// Bytes of the classes that serve them.
    pub granted_bytes: u128,
    /// Requests that no class fits.
    pub oversize: u128,
}

impl Waste {
    /// Bytes granted beyond what was asked for.
    #[must_use]
    pub const fn wasted_bytes(&self) -> u128 {
        self.granted_bytes - self.requested_bytes
    }

    /// Bytes wasted, as a share of bytes granted: 0 for a perfect fit, towards
    /// 1 for classes that are much too large.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.granted_bytes == 0 {
            return 0.0;
        }
        self.wasted_bytes() as f64 / self.granted_bytes as f64
    }
}

/// What `classes` would waste on recorded requests: pairs of a size in bytes
/// and how often it was asked for, in any order.
///
/// Sums saturate far beyond any recording.
///
/// Cost: one lookup for each pair.
#[must_use]
pub fn waste(classes: &SizeClasses, histogram: &[(usize, u64)]) -> Waste {
    let mut total = Waste::default();
    for &(size, count) in histogram {
        let times = |bytes: usize| bytes as u128 * u128::from(count);
        match classes.round_up(size) {
            Some(class) => {
                total.granted_bytes = total.granted_bytes.saturating_add(times(class));
                total.requested_bytes = total.requested_bytes.saturating_add(times(size));
            }
            None => total.oversize += u128::from(count),
        }
    }
    total
}

/// The table of at most `k` classes that wastes least on recorded requests.
///
/// `histogram` is pairs of a size in bytes and how often it was asked for, in
/// any order; equal sizes add up. Every size is served, so leave out what is to
/// be oversize. The table has fewer classes only where there are fewer sizes.
/// For sizes in steps (pages, cache lines), round the sizes of the histogram up
/// to the step first: the answer then is the best among such tables.
///
/// # Algorithm
///
/// A class is best placed at the largest size that it serves, so a table is a
/// division of the sorted sizes into `k` stretches. The waste of a stretch from
/// size *i* + 1 to *j* is `s[j] · (W[j] − W[i])` less what was asked for, where
/// `W` sums the counts. For the best waste `D` with one class more,
///
/// ```text
///   D'[j] = min over i < j of  (D[i] − W[i] · s[j])  +  s[j] · W[j]
/// ```
///
/// the candidates *i* are straight lines in `s[j]`, whose slopes fall with *i*,
/// and the queries `s[j]` rise with *j*: a queue that keeps the lower envelope
/// answers all of them in linear time. This is Brucker, *Efficient algorithms
/// for some path partitioning problems*, Discrete Applied Mathematics 62 (1995);
/// matrix searching (Aggarwal et al., 1987; Wu, 1991) has the same bound and a
/// larger constant. All arithmetic is exact.
///
/// # Cost
///
/// `O(n log n + k n)` time and `8 k n` bytes for `n` different sizes: 100,000
/// sizes and 32 classes take about a tenth of a second.
///
/// # Errors
///
/// [`SizeClassError::Empty`] if `k` is 0 or nothing was recorded,
/// [`SizeClassError::TooMany`] if `k` exceeds [`MAX_CLASSES`], and
/// [`SizeClassError::TooLarge`] if a size exceeds `isize::MAX`, with its
/// position in the histogram.
pub fn optimise(histogram: &[(usize, u64)], k: usize) -> Result<SizeClasses, SizeClassError> {
    if k > MAX_CLASSES {
        return Err(SizeClassError::TooMany { count: k });
    }
    let requests = Requests::new(histogram)?;
    if k >= requests.sizes.len() {
        // A class for each size wastes nothing. No size at all is an error.
        let sizes = if k == 0 { &[] } else { &*requests.sizes };
        return SizeClasses::new(sizes);
    }
    if k == 0 {
        return Err(SizeClassError::Empty);
    }
    SizeClasses::new(&best_division(&requests, k))
}

/// Requests sorted by size.
struct Requests {
    /// Strictly increasing, from 1.
    sizes: Vec<usize>,
    /// `up_to[i]` requests have one of the first `i` sizes. Strictly increasing.
    up_to: Vec<u64>,
}

impl Requests {
    fn new(histogram: &[(usize, u64)]) -> Result<Self, SizeClassError> {
        let too_large = histogram.iter().position(|&(size, _)| size > MAX_SIZE);
        if let Some(position) = too_large {
            let value = histogram[position].0;
            return Err(SizeClassError::TooLarge { position, value });
        }
        // A size of 0 is served by any class; so is 1.
        let recorded = histogram.iter().filter(|&&(_, count)| count > 0);
        let mut sorted: Vec<(usize, u64)> = recorded
            .map(|&(size, count)| (size.max(1), count))
            .collect();
        sorted.sort_unstable();

        // Counts that add up to more than 2^64 are scaled down together, which
        // keeps every sum below within 128 bits. No recording is that long.
        let total: u128 = sorted.iter().map(|&(_, count)| u128::from(count)).sum();
        let excess = (total + sorted.len() as u128) >> u64::BITS;
        let scale = u128::BITS - excess.leading_zeros();

        let mut sizes: Vec<usize> = Vec::with_capacity(sorted.len());
        let mut up_to = Vec::with_capacity(sorted.len() + 1);
        let mut sum = 0_u64;
        up_to.push(sum);
        for (size, count) in sorted {
            if sizes.last() == Some(&size) {
                up_to.pop();
            } else {
                sizes.push(size);
            }
            sum += (count >> scale).max(1);
            up_to.push(sum);
        }
        Ok(Self { sizes, up_to })
    }
}

/// A line of the lower envelope: stopping the classes before after the first
/// `stop` sizes, at a cost so far of `granted`.
struct Candidate {
    stop: usize,
    granted: u128,
    /// Best from this size on, until the next candidate is.
    from: u128,
}

/// The sizes that end the stretches of the best division into exactly `k`
/// stretches, which takes more than `k` sizes.
fn best_division(requests: &Requests, k: usize) -> Vec<usize> {
    let Requests { sizes, up_to } = requests;
    let n = sizes.len();
    // `granted[j]`: the fewest bytes that serve the first `j` sizes with the
    // classes so far. With one class there is no choice.
    let mut granted: Vec<u128> = (0..=n)
        .map(|j| {
            j.checked_sub(1)
                .map_or(0, |last| product(sizes[last], up_to[j]))
        })
        .collect();
    // For each further class and each `j`, where the classes before it stop.
    let mut stops: Vec<Vec<usize>> = Vec::with_capacity(k - 1);
    let mut queue: VecDeque<Candidate> = VecDeque::new();
    for classes in 2..=k {
        let mut next = granted.clone();
        let mut stop_of = vec![0; n + 1];
        queue.clear();
        // Each class serves at least one size.
        for j in classes..=n {
            offer(&mut queue, up_to, j - 1, granted[j - 1]);
            let size = sizes[j - 1];
            while queue
                .get(1)
                .is_some_and(|second| second.from <= size as u128)
            {
                queue.pop_front();
            }
            let Some(best) = queue.front() else { continue };
            next[j] = best.granted + product(size, up_to[j] - up_to[best.stop]);
            stop_of[j] = best.stop;
        }
        granted = next;
        stops.push(stop_of);
    }
    let mut end = n;
    let mut table = vec![sizes[n - 1]];
    for stop_of in stops.iter().rev() {
        end = stop_of[end];
        table.push(sizes[end - 1]);
    }
    table.reverse();
    table
}

/// Adds a candidate, which will win at last as its line is the steepest, and
/// removes those that it leaves no size to win at.
fn offer(queue: &mut VecDeque<Candidate>, up_to: &[u64], stop: usize, granted: u128) {
    let from = loop {
        let Some(last) = queue.back() else { break 0 };
        // From the size at which it is no worse: `granted - last.granted` more
        // bytes are paid back by so many requests that are served smaller. More
        // sizes served cannot cost less, so the difference is not negative.
        let dearer = granted - last.granted;
        let from = dearer.div_ceil(u128::from(up_to[stop] - up_to[last.stop]));
        if from > last.from {
            break from;
        }
        queue.pop_back();
    };
    queue.push_back(Candidate {
        stop,
        granted,
        from,
    });
}

/// Below 2^128, as both are below 2^64.
const fn product(size: usize, count: u64) -> u128 {
    size as u128 * count as u128
}

// No unsafe code here, and Miri is slow.
#[cfg(all(test, not(miri)))]
mod tests;
