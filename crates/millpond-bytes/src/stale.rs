//! Refusals of stale bytes.

use core::fmt;
use millpond_core::error::AcquireError;

/// Why there is no buffer of stale bytes.
///
/// ```
/// use millpond_bytes::{BytePool, Config, StaleError};
///
/// let pool = BytePool::new(Config::new().with_wipe_on_release(true)).expect("valid");
/// assert_eq!(pool.acquire_stale(100).unwrap_err(), StaleError::Wiping);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StaleError {
    /// The pool wipes on release, so it does not lend old bytes.
    Wiping,
    /// There is no buffer.
    Acquire(AcquireError),
}

impl fmt::Display for StaleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wiping => f.write_str("the pool wipes on release and lends no stale bytes"),
            Self::Acquire(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StaleError {}

impl From<AcquireError> for StaleError {
    fn from(error: AcquireError) -> Self {
        Self::Acquire(error)
    }
}

#[cfg(feature = "std")]
impl From<StaleError> for std::io::Error {
    fn from(error: StaleError) -> Self {
        match error {
            StaleError::Wiping => Self::new(std::io::ErrorKind::InvalidInput, error),
            StaleError::Acquire(error) => error.into(),
        }
    }
}
