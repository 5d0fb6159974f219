//! The finest clock that the machine offers, for timing single operations.
//!
//! On x86-64 that is the time-stamp counter between serialising instructions,
//! on `AArch64` the virtual counter, elsewhere [`Instant`]. Reading it costs more
//! than the operations that we time, which is why [`crate::percentiles`] always
//! shows the histogram of an empty measurement beside the real one.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Ticks before an operation: earlier work has finished, later work has not begun.
#[inline(always)]
#[must_use]
pub fn start() -> u64 {
    imp::start()
}

/// Ticks after an operation: the operation has finished.
#[inline(always)]
#[must_use]
pub fn stop() -> u64 {
    imp::stop()
}

/// Nanoseconds per tick, calibrated once against the monotonic clock.
#[must_use]
pub fn nanos_per_tick() -> f64 {
    static NANOS: OnceLock<f64> = OnceLock::new();
    *NANOS.get_or_init(calibrate)
}

/// Long enough that the monotonic clock's own resolution is below 10⁻⁵ of it.
const CALIBRATION: Duration = Duration::from_millis(40);

fn calibrate() -> f64 {
    let (began, first) = (Instant::now(), start());
    while began.elapsed() < CALIBRATION {
        std::hint::spin_loop();
    }
    let (last, elapsed) = (stop(), began.elapsed());
    elapsed.as_secs_f64() * 1e9 / last.wrapping_sub(first).max(1) as f64
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod imp {
    use core::arch::x86_64::{__rdtscp, _mm_lfence, _rdtsc};

    #[inline(always)]
    pub(super) fn start() -> u64 {
        // SAFETY: every x86-64 has SSE2, and with it LFENCE.
        unsafe { _mm_lfence() };
        // SAFETY: every x86-64 has a time-stamp counter, and Linux, macOS and
        // Windows let user code read it.
        let ticks = unsafe { _rdtsc() };
        // SAFETY: as above.
        unsafe { _mm_lfence() };
        ticks
    }

    #[inline(always)]
    pub(super) fn stop() -> u64 {
        let mut core = 0;
        // SAFETY: `core` is a valid place for the processor's number, and every
        // x86-64 that runs a current system has RDTSCP.
        let ticks = unsafe { __rdtscp(&raw mut core) };
        // SAFETY: every x86-64 has SSE2, and with it LFENCE.
        unsafe { _mm_lfence() };
        ticks
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod imp {
    use core::arch::asm;

    #[inline(always)]
    pub(super) fn start() -> u64 {
        let ticks: u64;
        // SAFETY: reads the virtual counter, which user code may read on every
        // system that we build for; ISB orders it; no memory is touched.
        unsafe { asm!("isb", "mrs {}, cntvct_el0", "isb", out(reg) ticks, options(nostack)) };
        ticks
    }

    #[inline(always)]
    pub(super) fn stop() -> u64 {
        start()
    }
}

#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
mod imp {
    use std::sync::OnceLock;
    use std::time::Instant;

    pub(super) fn start() -> u64 {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        let nanos = BEGAN.get_or_init(Instant::now).elapsed().as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    pub(super) fn stop() -> u64 {
        start()
    }
}
