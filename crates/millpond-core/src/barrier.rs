//! The fence between an owner inside an operation and a reclaimer.
//!
//! The two sides of the protocol are
//!
//! ```text
//!   owner                         reclaimer
//!   store BUSY                    store gate = closed
//!   ── owner() ──                 ── everyone() ──
//!   load gate                     load BUSY
//! ```
//!
//! and at least one of the two loads must see the other side's store. Both
//! sides need a fence for that, always. Where Linux offers `membarrier`, the
//! reclaimer runs one on behalf of every thread of the process and the owner
//! pays a compiler fence, that is, nothing. Everywhere else, and under tools
//! that cannot see into the kernel (Miri, loom, the thread sanitizer), both sides
//! run a real one.
//!
//! Cost (November 2026, 2-core virtual machine, Zen 5): `everyone` takes
//! 0.25 µs when no other thread runs and about 10 µs when one does.

/// Whether the reclaimer fences for everybody.
pub(crate) const ASYMMETRIC: bool = cfg!(all(
    target_os = "linux",
    not(miri),
    not(millpond_loom),
    not(millpond_tsan)
));

/// The owner's half: between its BUSY store and its gate load.
#[inline(always)]
pub(crate) fn owner() {
    if ASYMMETRIC {
        core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    } else {
        symmetric();
    }
}

/// Whether [`everyone`] can be relied upon. Where it cannot, no cache may be
/// opened: the pool then works under its lock.
pub(crate) fn available() -> bool {
    #[cfg(all(target_os = "linux", not(miri), not(millpond_loom), not(millpond_tsan)))]
    return membarrier::registered();
    #[cfg(not(all(target_os = "linux", not(miri), not(millpond_loom), not(millpond_tsan))))]
    true
}

/// The reclaimer's half: between its gate stores and its BUSY loads.
pub(crate) fn everyone() {
    #[cfg(all(target_os = "linux", not(miri), not(millpond_loom), not(millpond_tsan)))]
    membarrier::run();
    #[cfg(not(all(target_os = "linux", not(miri), not(millpond_loom), not(millpond_tsan))))]
    symmetric();
}

#[cfg(not(millpond_tsan))]
#[inline(always)]
fn symmetric() {
    crate::sync::fence(crate::sync::Ordering::SeqCst);
}

/// ThreadSanitizer does not understand bare fences; a read-modify-write of one
/// shared word orders the same accesses in a way that it does.
#[cfg(millpond_tsan)]
#[inline(always)]
fn symmetric() {
    use core::sync::atomic::{AtomicU64, Ordering};
    static MEETING_POINT: AtomicU64 = AtomicU64::new(0);
    MEETING_POINT.fetch_add(1, Ordering::SeqCst);
}

#[cfg(all(target_os = "linux", not(miri), not(millpond_loom), not(millpond_tsan)))]
mod membarrier {
    use std::sync::OnceLock;

    /// Registers the process once and remembers the answer. A forked child
    /// inherits the registration.
    pub(super) fn registered() -> bool {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(|| command(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0)
    }

    pub(super) fn run() {
        // Without a registration no cache was ever opened, so there is nobody
        // to wait for.
        if registered() && command(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0 {
            // The kernel has withdrawn the promise that open caches rest on.
            // Unwinding would leave a pool that believes itself stopped, and
            // hands items out twice.
            std::process::abort();
        }
    }

    fn command(command: libc::c_int) -> libc::c_long {
        // SAFETY: membarrier takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
    }
}
