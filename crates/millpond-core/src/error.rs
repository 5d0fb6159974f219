//! Why an acquire gave nothing: small errors that name the limit.

#[cfg(feature = "std")]
use crate::budget::BudgetExceeded;
#[cfg(feature = "alloc")]
use crate::capacity::Capacity;
#[cfg(feature = "alloc")]
use alloc::sync::Arc;
use core::fmt;

/// What stood in the way of an acquire, or of more memory for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Every item that the pool may have was leased.
    Capacity,
    /// Creating another item would have exceeded a budget.
    #[cfg(feature = "std")]
    Budget(BudgetExceeded),
    /// The system had no memory for another item, `bytes` of it.
    Memory {
        /// Bytes that were asked for.
        bytes: usize,
    },
    /// A lease may hold no more than `limit_bytes`, and held `held_bytes`.
    Lease {
        /// Bytes that were asked for.
        bytes: usize,
        /// Bytes that the lease held.
        held_bytes: usize,
        /// Bytes that it may hold.
        limit_bytes: usize,
    },
    /// The pool was closed.
    Closed,
    /// No item came free before the deadline.
    Deadline,
}

#[cfg(feature = "std")]
impl Limit {
    /// Whether an item that comes home would help, given that `created` exist.
    pub(crate) fn is_worth_waiting(&self, created: usize) -> bool {
        created > 0 && !matches!(self, Self::Closed)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity => f.write_str("all items are leased"),
            #[cfg(feature = "std")]
            Self::Budget(exceeded) => exceeded.fmt(f),
            Self::Memory { bytes } => write!(f, "the system refused {bytes} bytes"),
            Self::Lease {
                bytes,
                held_bytes,
                limit_bytes,
            } => write!(
                f,
                "the lease, which holds {held_bytes} of {limit_bytes} bytes, has no room for {bytes}"
            ),
            Self::Closed => f.write_str("the pool is closed"),
            Self::Deadline => f.write_str("no item came free before the deadline"),
        }
    }
}

/// An acquire that gave nothing. Running out is ordinary: match on
/// [`AcquireError::limit`] and go on.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use millpond_core::error::{AcquireError, Limit};
///
/// let error = AcquireError::new("frames", Limit::Capacity, 64, 64, 3);
/// assert_eq!(*error.limit(), Limit::Capacity);
/// assert_eq!(
///     error.to_string(),
///     "pool `frames`: all items are leased (64 of 64 in use, 0 cached, 3 waiting)"
/// );
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcquireError {
    pool: &'static str,
    cause: Cause,
    capacity: usize,
    // Halves, so that a value that is handed back with its error is moved and not
    // copied by a call on the fast path.
    in_use: u32,
    cached: u32,
    waiting: u32,
    outside: u32,
}

/// Which limit was hit. A sum is told of a capacity only, and lies where a limit
/// would lie, so that errors stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    Limit(Limit),
    /// [`Limit::Capacity`], of a pool whose capacity is this sum.
    #[cfg(feature = "alloc")]
    Sum(Arc<Capacity>),
}

/// A count of callers or items that is shown to people.
const fn half(count: usize) -> u32 {
    if count > u32::MAX as usize {
        return u32::MAX;
    }
    #[expect(clippy::cast_possible_truncation, reason = "compared above")]
    return count as u32;
}

impl AcquireError {
    /// The error of `pool`, of which `in_use` of `capacity` items were leased
    /// and `waiting` callers stood in the queue.
    #[must_use]
    pub const fn new(
        pool: &'static str,
        limit: Limit,
        capacity: usize,
        in_use: usize,
        waiting: usize,
    ) -> Self {
        Self {
            pool,
            cause: Cause::Limit(limit),
            capacity,
            in_use: half(in_use),
            cached: 0,
            waiting: half(waiting),
            outside: 0,
        }
    }

    /// The same error, of a pool in which `cached` items were free, but not to be
    /// had.
    #[must_use]
    pub const fn with_cached(mut self, cached: usize) -> Self {
        self.cached = half(cached);
        self
    }

    /// The same error, of a pool that has given `outside` items beyond its capacity
    /// and gives no other one because of `limit`.
    #[must_use]
    pub fn with_fallback(mut self, outside: usize, limit: Limit) -> Self {
        self.outside = half(outside);
        // That all may be out which may be says no more than the count.
        if limit != Limit::Capacity {
            self.cause = Cause::Limit(limit);
        }
        self
    }

    /// How many items outside the capacity were leased.
    #[must_use]
    pub const fn outside(&self) -> usize {
        self.outside as usize
    }

    /// The same error, of a pool whose capacity is this sum: told if the capacity is
    /// the limit that was hit.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn with_sum(mut self, sum: Option<Arc<Capacity>>) -> Self {
        if let (Cause::Limit(Limit::Capacity), Some(sum)) = (&self.cause, sum) {
            self.cause = Cause::Sum(sum);
        }
        self
    }

    /// What the capacity is made of, if the pool was told.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn sum(&self) -> Option<&Capacity> {
        match &self.cause {
            Cause::Limit(_) => None,
            Cause::Sum(sum) => Some(sum),
        }
    }

    /// How many items were free, but not to be had: of a pool that is closed, or
    /// whose capacity was lowered.
    #[must_use]
    pub const fn cached(&self) -> usize {
        self.cached as usize
    }

    /// The name of the pool; `""` if it has none.
    #[must_use]
    pub const fn pool(&self) -> &'static str {
        self.pool
    }

    /// Which limit was hit.
    #[must_use]
    pub const fn limit(&self) -> &Limit {
        match &self.cause {
            Cause::Limit(limit) => limit,
            #[cfg(feature = "alloc")]
            Cause::Sum(_) => &Limit::Capacity,
        }
    }

    /// How many items the pool may have.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many items were leased when the acquire failed.
    #[must_use]
    pub const fn in_use(&self) -> usize {
        self.in_use as usize
    }

    /// How many callers were waiting for an item.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting as usize
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pool {
            "" => f.write_str("pool")?,
            pool => write!(f, "pool `{pool}`")?,
        }
        write!(f, ": {} ({} ", self.limit(), self.in_use)?;
        if self.capacity < usize::MAX {
            write!(f, "of {} ", self.capacity)?;
        }
        write!(
            f,
            "in use, {} cached, {} waiting",
            self.cached, self.waiting
        )?;
        if self.outside > 0 {
            write!(f, ", {} outside", self.outside)?;
        }
        #[cfg(feature = "alloc")]
        if let Some(sum) = self.sum() {
            write!(f, "; {} = {sum}", sum.total())?;
        }
        f.write_str(")")
    }
}

impl core::error::Error for AcquireError {}

#[cfg(feature = "std")]
impl From<AcquireError> for std::io::Error {
    fn from(error: AcquireError) -> Self {
        let kind = match error.limit() {
            Limit::Capacity => std::io::ErrorKind::WouldBlock,
            Limit::Deadline => std::io::ErrorKind::TimedOut,
            Limit::Closed => std::io::ErrorKind::NotConnected,
            Limit::Budget(_) | Limit::Memory { .. } | Limit::Lease { .. } => {
                std::io::ErrorKind::OutOfMemory
            }
        };
        Self::new(kind, error)
    }
}

/// An acquire that gave nothing, with the value that could not be stored.
///
/// Nothing is lost: take the value back with [`Refused::into_value`].
#[derive(Clone, PartialEq, Eq)]
pub struct Refused<T> {
    error: AcquireError,
    value: T,
}

impl<T> Refused<T> {
    /// Hands `value` back for the reason `error`.
    #[must_use]
    pub const fn new(error: AcquireError, value: T) -> Self {
        Self { error, value }
    }

    /// Why the value was refused.
    #[must_use]
    pub const fn error(&self) -> &AcquireError {
        &self.error
    }

    /// The value.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }

    /// The reason and the value.
    #[must_use]
    pub fn into_parts(self) -> (AcquireError, T) {
        (self.error, self.value)
    }
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> core::error::Error for Refused<T> {}

impl<T> From<Refused<T>> for AcquireError {
    fn from(refused: Refused<T>) -> Self {
        refused.error
    }
}
