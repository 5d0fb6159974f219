//! Adaptation: classes that fit what is asked for, changed while buffers are out.

use crate::config::ConfigError;
use crate::pond::Pond;
use crate::pool::BytePool;
use crate::slot::MAX_BYTES;
use core::hint::black_box;
use millpond_core::size_class::{SizeClassError, SizeClasses, Waste, optimise, waste};
use std::time::{Duration, Instant};
use std::vec::Vec;

/// What [`BytePool::advise`] proposes.
///
/// ```
/// let pool = millpond_bytes::BytePool::default();
/// for _ in 0..100 {
///     drop(pool.acquire(2100)?); // In a buffer of 4,096.
/// }
/// let advice = pool.advise(2, 64 << 10)?;
/// assert!(advice.waste_then.granted_bytes < advice.waste_now.granted_bytes);
/// pool.apply(&advice.sizes)?;
/// assert!(pool.acquire(2100)?.capacity() < 2500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Advice {
    /// The table that wastes least.
    pub sizes: SizeClasses,
    /// For each class of it, how many buffers were needed at once, at most: what
    /// to warm up.
    pub depths: Vec<usize>,
    /// What the present table does with the requests that were recorded, each as if it
    /// were the largest that its eighth of a class may be.
    pub waste_now: Waste,
    /// What the proposed one would do with them.
    pub waste_then: Waste,
}

impl BytePool {
    /// The table of at most `classes` classes that wastes least on what was asked
    /// for since the last [`BytePool::reset_stats`]. Requests above `largest`
    /// bytes stay oversize.
    ///
    /// ```
    /// let pool = millpond_bytes::BytePool::default();
    /// for _ in 0..100 {
    ///     pool.acquire(2500)?;
    ///     pool.acquire(17_000)?;
    /// }
    /// let advice = pool.advise(2, 1 << 20)?;
    /// assert_eq!(advice.sizes.sizes(), [2560, 18432]);
    /// assert!(advice.waste_then.share() < 0.1 && advice.waste_now.share() > 0.4);
    ///
    /// let held = pool.acquire(2500)?;
    /// pool.apply(&advice.sizes)?;
    /// assert_eq!(held.capacity(), 4096); // It goes home to its old class.
    /// assert_eq!(pool.acquire(2500)?.capacity(), 2560);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SizeClassError`] if nothing was recorded, or `classes` is no number of
    /// classes.
    pub fn advise(&self, classes: usize, largest: usize) -> Result<Advice, SizeClassError> {
        let recorded = sizes_of(self.requested_sizes().buckets(), largest);
        let sizes = optimise(&recorded, classes)?;
        let now = self.pond().table().sizes();
        Ok(Advice {
            depths: self.depths(&sizes),
            waste_now: waste(now, &recorded),
            waste_then: waste(&sizes, &recorded),
            sizes,
        })
    }

    /// How many buffers of each class of `sizes` were needed at once: each of the
    /// present classes is shared out as its requests would be.
    fn depths(&self, sizes: &SizeClasses) -> Vec<usize> {
        let mut depths = std::vec![0_u128; sizes.count()];
        let observed = millpond_core::observe::Observe::classes(self);
        for class in observed {
            let requests = &class.sampled.sizes;
            let all = u128::from(requests.count().max(1));
            let peak = class.figures.high_water as u128;
            for (size, count) in sizes_of(requests.buckets(), usize::MAX) {
                if let Some(served_by) = sizes.class_of(size) {
                    // Rounded up once for all, below: here in units of 1/all.
                    depths[served_by] += (peak * u128::from(count)).div_ceil(all);
                }
            }
        }
        let whole = |depth| usize::try_from(depth).unwrap_or(usize::MAX);
        depths.into_iter().map(whole).collect()
    }

    /// Makes `sizes` the table of classes. Buffers that are out keep their
    /// capacity and go home to their class; classes that are in the table no more
    /// give their memory back, now or when the last of their buffers is home and
    /// the pool is trimmed.
    ///
    /// Readers of the table take no lock, so tables that were replaced stay until
    /// the pool goes: some 2.5 KiB each, and 1 KiB for a class. A pool has
    /// 64 different tables in its life, and 1,024 classes; going back to an earlier
    /// table costs nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong; the table is as it was then.
    /// [`ConfigError::TooManyTables`] and [`ConfigError::TooManyClasses`]: go on with
    /// the present table, or with a new pool.
    pub fn apply(&self, sizes: &SizeClasses) -> Result<(), ConfigError> {
        let too_large = sizes.sizes().iter().position(|&size| size > MAX_BYTES);
        if let Some(position) = too_large {
            return Err(ConfigError::SizeTooLarge {
                position,
                value: sizes.sizes()[position],
            });
        }
        let pool_min_size = self.pond().config.pool_min_size;
        if pool_min_size > sizes.largest() {
            return Err(ConfigError::PoolMinSize {
                value: pool_min_size,
                largest: sizes.largest(),
            });
        }
        let sizes = SizeClasses::new(sizes.sizes())?;
        // SAFETY: alive while this handle is.
        unsafe { Pond::install(self.pond_place(), sizes) }
    }
}

/// Buckets up to `largest` as the size classes want them.
fn sizes_of(buckets: impl Iterator<Item = (u64, u64)>, largest: usize) -> Vec<(usize, u64)> {
    buckets
        .filter_map(|(size, count)| Some((usize::try_from(size).ok()?, count)))
        .filter(|&(size, _)| size <= largest)
        .collect()
}

/// How long each size is measured on each side, three times.
const SLICE: Duration = Duration::from_micros(200);

/// Measures on this machine from which size on a pool is faster than the global
/// allocator, and proposes it for
/// [`Config::with_pool_min_size`](crate::Config::with_pool_min_size). Takes some
/// ten milliseconds; on a busy machine ask more than once.
///
/// Sizes are tried from 64 bytes to 64 KiB, doubling; the answer is the smallest
/// from which on the pool was never slower, and 64 KiB if it always was.
///
/// # Errors
///
/// [`ConfigError::Memory`].
pub fn measure_pool_min_size() -> Result<usize, ConfigError> {
    const LARGEST: usize = 64 << 10;
    let pool = BytePool::new(crate::Config::new())?;
    let mut proposal = LARGEST;
    let mut size = LARGEST;
    while size >= 64 {
        let pooled = best_of(|| drop(black_box(pool.try_acquire(black_box(size)))));
        let direct = best_of(|| drop(black_box(Vec::<u8>::with_capacity(black_box(size)))));
        if pooled > direct {
            break;
        }
        proposal = size;
        size /= 2;
    }
    Ok(proposal)
}

/// The best of three measurements, in picoseconds a run.
fn best_of(mut run: impl FnMut()) -> u128 {
    let mut best = u128::MAX;
    for _ in 0..3 {
        let (began, mut runs) = (Instant::now(), 0_u128);
        while began.elapsed() < SLICE {
            for _ in 0..64 {
                run();
            }
            runs += 64;
        }
        best = best.min(began.elapsed().as_nanos() * 1000 / runs.max(1));
    }
    best
}
