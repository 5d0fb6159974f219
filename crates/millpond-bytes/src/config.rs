//! What a pool is made of: sizes, limits, habits.

use crate::slot::MAX_BYTES;
use alloc::borrow::Cow;
use core::fmt;
#[cfg(feature = "std")]
use millpond_core::budget::Budget;
#[cfg(feature = "std")]
use millpond_core::event::EventHook;
use millpond_core::exhaustion::{Exhaustion, Fallback};
use millpond_core::region::RegionOptions;
use millpond_core::size_class::SizeClassError;

/// The sizes that a pool has if nobody chooses others: 2 to 64 KiB, doubling.
pub const DEFAULT_SIZES: [usize; 6] = [2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];

/// How a [`BytePool`](crate::BytePool) is made.
///
/// ```
/// use millpond_bytes::{BytePool, Config};
///
/// let pool = BytePool::new(Config::for_network().with_name("connections"))?;
/// let odd = BytePool::new(Config::new().with_sizes(&[1500, 9000]))?;
/// assert_eq!(odd.acquire(1400)?.capacity(), 1500);
///
/// let error = BytePool::new(Config::new().with_sizes(&[4096, 4096])).unwrap_err();
/// assert!(error.to_string().starts_with("sizes: size class 1 is 4096"));
/// # drop(pool);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until a pool is made of it"]
pub struct Config {
    pub(crate) name: &'static str,
    pub(crate) sizes: Cow<'static, [usize]>,
    pub(crate) buffers_per_class: usize,
    pub(crate) pool_min_size: usize,
    pub(crate) wipe_on_release: bool,
    pub(crate) exhaustion: Exhaustion,
    pub(crate) region: RegionOptions,
    #[cfg(feature = "std")]
    pub(crate) budget: Option<Budget>,
    #[cfg(feature = "std")]
    pub(crate) hook: Option<EventHook>,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// [`DEFAULT_SIZES`], as many buffers as are asked for, nothing wiped.
    pub const fn new() -> Self {
        Self {
            name: "",
            sizes: Cow::Borrowed(&DEFAULT_SIZES),
            buffers_per_class: usize::MAX,
            pool_min_size: 0,
            wipe_on_release: false,
            exhaustion: Exhaustion::Fail,
            region: RegionOptions::new(),
            #[cfg(feature = "std")]
            budget: None,
            #[cfg(feature = "std")]
            hook: None,
        }
    }

    /// For connections: [`DEFAULT_SIZES`]; requests under 256 bytes, which
    /// allocators serve from memory that is in the cache anyway, are not pooled.
    pub fn for_network() -> Self {
        Self::new().with_pool_min_size(256)
    }

    /// For files and databases: whole pages, 4 KiB to 1 MiB in steps of four.
    pub fn for_storage() -> Self {
        Self::new().with_sizes(&[4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20])
    }

    /// For archives and pipelines, few buffers and large: 64 KiB, 512 KiB, 4 MiB.
    pub fn for_archive() -> Self {
        Self::new().with_sizes(&[64 << 10, 512 << 10, 4 << 20])
    }

    /// The name that errors and reports use.
    pub const fn with_name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Bytes of the classes, in increasing order: 1 to 255 of them.
    pub fn with_sizes(mut self, sizes: &[usize]) -> Self {
        self.sizes = Cow::Owned(sizes.to_vec());
        self
    }

    /// Buffers that each class may have. Default: no limit but memory and the
    /// budget.
    pub const fn with_buffers_per_class(mut self, buffers: usize) -> Self {
        self.buffers_per_class = buffers;
        self
    }

    /// Requests of fewer bytes are allocated directly, and counted as oversize.
    /// [`measure_pool_min_size`](crate::measure_pool_min_size) proposes a value.
    pub const fn with_pool_min_size(mut self, bytes: usize) -> Self {
        self.pool_min_size = bytes;
        self
    }

    /// Zeroes every buffer when it is released: for secrets. Costs a memset of
    /// the whole capacity.
    pub const fn with_wipe_on_release(mut self, wipe: bool) -> Self {
        self.wipe_on_release = wipe;
        self
    }

    /// What an acquire does when its class has no buffer left: fail (the
    /// default), allocate outside the class, or wait.
    pub const fn with_exhaustion(mut self, policy: Exhaustion) -> Self {
        self.exhaustion = policy;
        self
    }

    /// Huge pages, prefaulting, a preferred node.
    pub const fn with_region(mut self, options: RegionOptions) -> Self {
        self.region = options;
        self
    }

    #[cfg(feature = "std")]
    /// Charges all memory of the pool, oversize buffers included, to `budget`.
    pub fn with_budget(mut self, budget: &Budget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    #[cfg(feature = "std")]
    /// Tells `hook` what happens on the slow paths.
    pub fn with_hook(mut self, hook: EventHook) -> Self {
        self.hook = Some(hook);
        self
    }
}

/// What was said, for those who write it down.
impl Config {
    /// The name that errors and reports use.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Bytes of the classes.
    #[must_use]
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Buffers that each class may have; `usize::MAX` for no limit.
    #[must_use]
    pub const fn buffers_per_class(&self) -> usize {
        self.buffers_per_class
    }

    /// Requests of fewer bytes are not pooled.
    #[must_use]
    pub const fn pool_min_size(&self) -> usize {
        self.pool_min_size
    }

    /// Whether buffers are zeroed when they are released.
    #[must_use]
    pub const fn wipes_on_release(&self) -> bool {
        self.wipe_on_release
    }

    /// Huge pages, prefaulting, a preferred node.
    #[must_use]
    pub const fn region(&self) -> RegionOptions {
        self.region
    }
}

/// A configuration of which no pool can be made. Its message begins with the
/// field that is wrong.
///
/// ```
/// use millpond_bytes::{BytePool, Config};
///
/// let error = BytePool::new(Config::new().with_sizes(&[4096, 2048])).unwrap_err();
/// assert!(error.to_string().starts_with("sizes"), "{error}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The sizes are no table of classes.
    Sizes(SizeClassError),
    /// A size, with the header of its slot, is more than can be allocated.
    SizeTooLarge {
        /// Where in the table, counted from 0.
        position: usize,
        /// The size, in bytes.
        value: usize,
    },
    /// No request would be pooled.
    PoolMinSize {
        /// The smallest size to be pooled, in bytes.
        value: usize,
        /// The largest class, in bytes.
        largest: usize,
    },
    /// Classes may have no buffers.
    NoBuffers,
    /// There is no memory for the pool itself.
    Memory {
        /// Bytes that were asked for.
        bytes: usize,
    },
    /// The pool has had this many different tables; see [`BytePool::apply`](crate::BytePool::apply).
    TooManyTables {
        /// The most that are allowed.
        limit: usize,
    },
    /// As [`ConfigError::TooManyTables`], of classes.
    TooManyClasses {
        /// The most that are allowed.
        limit: usize,
    },
    /// The process-wide pool is in use, or was configured before.
    AlreadyConfigured,
    /// The pool has a sub-pool of this name.
    NameTaken {
        /// The name.
        name: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sizes(error) => write!(f, "sizes: {error}"),
            Self::SizeTooLarge { position, value } => write!(
                f,
                "sizes: size class {position} is {value}; 1 to {MAX_BYTES} are allowed"
            ),
            Self::PoolMinSize { value, largest } => write!(
                f,
                "pool_min_size: {value} is more than the largest class; 0 to {largest} are allowed"
            ),
            Self::NoBuffers => f.write_str("buffers_per_class: 0; 1 or more are allowed"),
            Self::Memory { bytes } => write!(f, "the system refused {bytes} bytes for the pool"),
            Self::TooManyTables { limit } => {
                write!(f, "sizes: the pool had {limit} tables; no more are allowed")
            }
            Self::TooManyClasses { limit } => {
                write!(
                    f,
                    "sizes: the pool had {limit} classes; no more are allowed"
                )
            }
            Self::NameTaken { name } => {
                write!(f, "name: there is a sub-pool {name:?}; names are used once")
            }
            Self::AlreadyConfigured => f.write_str(
                "the process-wide pool is in use: configure it once, before its first use",
            ),
        }
    }
}

impl core::error::Error for ConfigError {}

impl From<SizeClassError> for ConfigError {
    fn from(error: SizeClassError) -> Self {
        if let SizeClassError::Memory { bytes } = error {
            return Self::Memory { bytes };
        }
        Self::Sizes(error)
    }
}

impl Config {
    /// What allocates buffers outside the classes.
    pub(crate) fn outside(&self) -> Fallback {
        let items = Fallback::new();
        #[cfg(feature = "std")]
        if let Some(budget) = &self.budget {
            return items.charged_to(budget.clone());
        }
        items
    }

    /// Checks what the table of classes does not check itself.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(position) = self.sizes.iter().position(|&size| size > MAX_BYTES) {
            return Err(ConfigError::SizeTooLarge {
                position,
                value: self.sizes[position],
            });
        }
        let largest = self.sizes.last().copied().unwrap_or(0);
        if self.pool_min_size > largest && largest > 0 {
            return Err(ConfigError::PoolMinSize {
                value: self.pool_min_size,
                largest,
            });
        }
        if self.buffers_per_class == 0 {
            return Err(ConfigError::NoBuffers);
        }
        Ok(())
    }
}
