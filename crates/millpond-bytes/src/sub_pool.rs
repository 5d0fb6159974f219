//! Sub-pools: buffers of one size for one use, with a name, a limit and a rule.

use crate::buf::PoolBuf;
use crate::config::{Config, ConfigError};
use crate::figures::ClassStats;
use crate::pond::lock;
use crate::pool::BytePool;
use millpond_core::error::AcquireError;
use std::vec::Vec;

/// What the buffers of a sub-pool contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Clearing {
    /// Handed out empty; nothing is written.
    #[default]
    None,
    /// Handed out full of zeroes.
    OnAcquire,
    /// Handed out empty, and zeroed when they are released.
    OnRelease,
}

/// Buffers of one size for one use: hashing, archives, input and output.
///
/// It takes its memory from the budget of the pool that it was made from, and is
/// listed by [`BytePool::sub_pools`].
///
/// ```
/// use millpond_bytes::{BytePool, Clearing};
///
/// let pool = BytePool::default();
/// let hash = pool.sub_pool("hash", 64 << 10, 8, Clearing::None)?;
/// let tar = pool.sub_pool("tar", 512, 100, Clearing::OnAcquire)?;
/// assert_eq!(hash.acquire()?.capacity(), 64 << 10);
/// assert_eq!(tar.acquire()?, [0; 512]);
/// assert!(pool.sub_pool("tar", 512, 1, Clearing::None).is_err());
/// assert_eq!(pool.sub_pools().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SubPool {
    pool: BytePool,
    size: usize,
    clearing: Clearing,
}

impl SubPool {
    /// A buffer, cleared as the rule says.
    ///
    /// # Errors
    ///
    /// Which limit was hit: `Limit::Capacity` if as many are out as may be.
    #[inline]
    #[track_caller]
    pub fn acquire(&self) -> Result<PoolBuf, AcquireError> {
        match self.clearing {
            Clearing::OnAcquire => self.pool.acquire_zeroed(self.size),
            Clearing::None | Clearing::OnRelease => self.pool.acquire(self.size),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.pool.name()
    }

    /// Its figures.
    #[must_use]
    pub fn stats(&self) -> ClassStats {
        self.pool.stats().classes[0]
    }

    /// The pool of one class that it is.
    #[must_use]
    pub const fn pool(&self) -> &BytePool {
        &self.pool
    }
}

impl BytePool {
    /// A sub-pool of at most `limit` buffers of `size` bytes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NameTaken`] if there is one of that name, or what is wrong
    /// with the size or the limit.
    pub fn sub_pool(
        &self,
        name: &'static str,
        size: usize,
        limit: usize,
        clearing: Clearing,
    ) -> Result<SubPool, ConfigError> {
        let pond = self.pond();
        let config = Config {
            name,
            sizes: [size].to_vec().into(),
            buffers_per_class: limit,
            pool_min_size: 0,
            wipe_on_release: clearing == Clearing::OnRelease,
            ..pond.config.clone()
        };
        let pool = Self::new(config)?;
        let sub_pool = SubPool {
            pool,
            size,
            clearing,
        };
        let mut known = lock(&pond.sub_pools);
        if known.iter().any(|known| known.name() == name) {
            // The new one must not go with the lock held: its budget would be
            // told.
            drop(known);
            return Err(ConfigError::NameTaken { name });
        }
        let full = ConfigError::Memory {
            bytes: size_of::<SubPool>(),
        };
        if known.try_reserve(1).is_err() {
            drop(known);
            return Err(full);
        }
        known.push(sub_pool.clone());
        Ok(sub_pool)
    }

    /// All sub-pools, in the order in which they were made. They live as long as
    /// this pool at least.
    #[must_use]
    pub fn sub_pools(&self) -> Vec<SubPool> {
        lock(&self.pond().sub_pools).clone()
    }
}
