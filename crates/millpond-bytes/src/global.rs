//! The process-wide pool.

use crate::buf::PoolBuf;
use crate::class::Patience;
use crate::config::{Config, ConfigError};
use crate::pond::Pond;
use crate::pool::{BytePool, StaleError, acquire as acquire_from};
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
/// If this is its first use and there is no memory for it; [`configure`] says so
/// in an error.
#[must_use]
pub fn global() -> BytePool {
    let pond = pond().unwrap_or_else(|error| panic!("the process-wide pool: {error}"));
    // SAFETY: never freed.
    unsafe { Pond::retain(pond) };
    // SAFETY: alive, and counted above.
    unsafe { BytePool::of(pond) }
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
    let pond = pond()?;
    // SAFETY: never freed.
    unsafe { acquire_from(pond, len, Patience::Policy) }
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
    Ok(acquire(len)?.zeroed(len))
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
    let pond = pond()?;
    // SAFETY: never freed.
    if unsafe { pond.as_ref() }.config.wipe_on_release {
        return Err(StaleError::Wiping);
    }
    // SAFETY: never freed.
    Ok(unsafe { acquire_from(pond, len, Patience::Policy) }?.stale(len))
}

#[inline(always)]
fn pond() -> Result<NonNull<Pond>, AcquireError> {
    match NonNull::new(POND.load(Ordering::Acquire)) {
        Some(pond) => Ok(pond),
        None => pond_slow(),
    }
}

#[cold]
#[inline(never)]
fn pond_slow() -> Result<NonNull<Pond>, AcquireError> {
    match install(Config::new()) {
        (Some(pond), _) => Ok(pond),
        (None, _) => {
            let bytes = size_of::<Pond>();
            let limit = Limit::Memory { bytes };
            Err(AcquireError::new("", limit, 0, 0, 0))
        }
    }
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
