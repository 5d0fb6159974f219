//! The process-wide pool.

use crate::buf::PoolBuf;
use crate::config::{Config, ConfigError};
use crate::pond::Pond;
use crate::pool::BytePool;
use crate::stale::StaleError;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};
use millpond_core::error::{AcquireError, Limit};

/// The pond of the process, made at its first use and never freed: buffers may
/// outlive every other static.
static POND: AtomicPtr<Pond> = AtomicPtr::new(ptr::null_mut());

/// Configures the process-wide pool: once, before its first use.
///
/// ```
/// use millpond_bytes::{Config, configure};
///
/// configure(Config::for_network().with_name("server"))?;
/// assert!(configure(Config::new()).is_err());
/// # Ok::<(), millpond_bytes::ConfigError>(())
/// ```
///
/// # Errors
///
/// [`ConfigError::AlreadyConfigured`] after that, or what is wrong with the
/// configuration.
pub fn configure(config: Config) -> Result<(), ConfigError> {
    install(config).1
}

/// A handle to the process-wide pool.
///
/// # Panics
///
/// If this is its first use and there is no memory for it; [`configure`] and
/// [`try_acquire`] say so in an error.
#[must_use]
pub fn global() -> BytePool {
    let pool = pool().unwrap_or_else(|error| panic!("the process-wide pool: {error}"));
    BytePool::clone(&pool)
}

/// An empty buffer with room for `len` bytes from the process-wide pool; see
/// [`BytePool::acquire`].
///
/// # Errors
///
/// Which limit was hit.
#[inline]
#[track_caller]
pub fn acquire(len: usize) -> Result<PoolBuf, AcquireError> {
    pool()?.acquire(len)
}

/// As [`acquire`], whatever the policy; see [`BytePool::try_acquire`]. The first use
/// of the process-wide pool fails, too, if there is no memory for it.
///
/// ```
/// let mut buffer = millpond_bytes::try_acquire(3000)?;
/// buffer.extend_from_slice(b"whatever may come")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Which limit was hit.
#[inline]
#[track_caller]
pub fn try_acquire(len: usize) -> Result<PoolBuf, AcquireError> {
    pool()?.try_acquire(len)
}

/// A buffer of `len` zeroes from the process-wide pool; see
/// [`BytePool::acquire_zeroed`].
///
/// # Errors
///
/// Which limit was hit.
#[inline]
#[track_caller]
pub fn acquire_zeroed(len: usize) -> Result<PoolBuf, AcquireError> {
    pool()?.acquire_zeroed(len)
}

/// A buffer of `len` bytes of any value from the process-wide pool; see
/// [`BytePool::acquire_stale`].
///
/// # Errors
///
/// Which limit was hit, or that the pool wipes on release.
#[inline]
#[track_caller]
pub fn acquire_stale(len: usize) -> Result<PoolBuf, StaleError> {
    pool()?.acquire_stale(len)
}

/// The pool, made if this is its first use. Not a handle that is counted: the pond
/// is never freed.
#[inline(always)]
fn pool() -> Result<ManuallyDrop<BytePool>, AcquireError> {
    let pond = match NonNull::new(POND.load(Ordering::Acquire)) {
        Some(pond) => pond,
        None => pond_slow()?,
    };
    // SAFETY: never freed, and never counted down.
    Ok(ManuallyDrop::new(unsafe { BytePool::of(pond) }))
}

#[cold]
#[inline(never)]
fn pond_slow() -> Result<NonNull<Pond>, AcquireError> {
    let (pond, made) = install(Config::new());
    let bytes = match made {
        Err(ConfigError::Memory { bytes }) => bytes,
        _ => size_of::<Pond>(),
    };
    pond.ok_or_else(|| AcquireError::new("", Limit::Memory { bytes }, 0, 0, 0))
}

/// Makes the pool if there is none; answers the one there is, and whether it is
/// the one that was asked for.
fn install(config: Config) -> (Option<NonNull<Pond>>, Result<(), ConfigError>) {
    let taken = |pond| (NonNull::new(pond), Err(ConfigError::AlreadyConfigured));
    let present = POND.load(Ordering::Acquire);
    if !present.is_null() {
        return taken(present);
    }
    let pool = match BytePool::new(config) {
        Ok(pool) => pool,
        Err(error) => return (None, Err(error)),
    };
    let pond = pool.into_pond();
    let won = POND.compare_exchange(
        ptr::null_mut(),
        pond.as_ptr(),
        Ordering::AcqRel,
        Ordering::Acquire,
    );
    match won {
        Ok(_) => (Some(pond), Ok(())),
        Err(present) => {
            // SAFETY: ours, and known to nobody else.
            drop(unsafe { BytePool::of(pond) });
            taken(present)
        }
    }
}
