//! Recording: somebody is shown every acquire and release of the pools that say
//! so, to write them down.
//!
//! A process has one recorder, which is installed once. A pool is recorded while
//! its diagnostics are at [`Diagnosis::Recorded`](crate::diagnostics::Diagnosis):
//! fast paths are then shown a table without caches, so that every operation takes
//! the slow path, comes by here, and goes on with the thread's own cache, without a
//! lock. While they are not, recording costs nothing.

use crate::entry::Entry;
use core::fmt;
use std::sync::OnceLock;

/// Who writes operations down. Called on the thread that acquires or releases,
/// with no lock of the pool held.
pub trait Recorder: Send + Sync {
    /// `pool` gave `item`, of which so many bytes were asked for.
    fn acquired(&'static self, pool: &'static str, item: Entry, bytes: usize);

    /// `item` is about to go home to `pool`.
    fn released(&'static self, pool: &'static str, item: Entry);
}

static RECORDER: OnceLock<&'static dyn Recorder> = OnceLock::new();

/// Installs the recorder of the process.
///
/// # Errors
///
/// If there is one already.
pub fn install(recorder: &'static dyn Recorder) -> Result<(), AlreadyInstalled> {
    RECORDER.set(recorder).map_err(|_| AlreadyInstalled)
}

/// The recorder, if one is installed.
#[inline]
pub(crate) fn recorder() -> Option<&'static dyn Recorder> {
    RECORDER.get().copied()
}

/// The process has a recorder already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyInstalled;

impl fmt::Display for AlreadyInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process has a recorder already")
    }
}

impl core::error::Error for AlreadyInstalled {}
