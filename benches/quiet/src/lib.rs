//! Measures while nobody else is busy on our core.
//!
//! A core with two hyperthreads does less for each while both are busy. On a virtual
//! machine the other one may belong to a stranger: neither load average nor stolen time
//! shows it, it comes and goes within milliseconds, and code that fills the core's units
//! takes 1.3 to 1.7 times as long meanwhile. Code that waits for its own results does
//! not, and that tells the two apart:
//!
//! ```text
//!               chain of multiplications    independent additions    additions ÷ chain
//!  alone                 1.0                        1.0                  constant
//!  shared                1.0                     1.2 to 1.9              rises with it
//! ```
//!
//! Both loops are short, touch no memory, and scale with the core's clock, so their
//! quotient depends on the kind of core only. Slices of other code that were measured
//! between two probes of a quiet core agree with each other as on an idle machine.
//!
//! [`alone`] waits for a quiet core, lets the work measure itself, and repeats it if the
//! core was shared at its end. The decision never looks at what was measured. Patience
//! is limited: once it is used up, whatever is measured counts, and is counted.
//!
//! Processors other than x86-64 are taken for quiet.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The quotient of a core that nobody shares, as bits; 0 until [`expect`] is called.
static ALONE: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds that may still be waited.
static PATIENCE: AtomicU64 = AtomicU64::new(0);
static SLICES: AtomicU64 = AtomicU64::new(0);
static SHARED: AtomicU64 = AtomicU64::new(0);

/// A quotient this much above a quiet core's is a shared one's. Quiet cores stay within
/// 0.02 of each other, shared ones begin at 1.2.
const TOLERANCE: f64 = 1.08;

/// How long [`calibrate`] looks for a quiet core. Neighbours pause within that time.
const CALIBRATION: Duration = Duration::from_millis(300);

/// Slices that were measured, and how many of them beside a busy neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tally {
    /// Slices that count.
    pub slices: u64,
    /// Those of them that were measured on a shared core, because patience was used up.
    pub shared: u64,
}

/// The quotient of a core that nobody shares, for [`expect`]; takes 0.3 s.
#[must_use]
pub fn calibrate() -> f64 {
    let began = Instant::now();
    let mut quotients = Vec::new();
    while began.elapsed() < CALIBRATION {
        quotients.push(probe::quotient());
    }
    quotients.sort_unstable_by(f64::total_cmp);
    // The very lowest are slips of the clock.
    quotients[quotients.len() / 100]
}

/// From now on [`alone`] waits for a core like this one, for `patience` in all.
pub fn expect(quotient: f64, patience: Duration) {
    ALONE.store(quotient.to_bits(), Relaxed);
    let nanos = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
    PATIENCE.store(nanos, Relaxed);
}

/// Whether somebody else is busy on the core of the calling thread.
#[must_use]
pub fn is_shared() -> bool {
    let alone = f64::from_bits(ALONE.load(Relaxed));
    let limit = alone * TOLERANCE;
    // Twice: an interrupt in the middle of a loop looks like a neighbour, once.
    alone > 0.0 && probe::quotient() > limit && probe::quotient() > limit
}

/// What `work` returns when the core was quiet before and after it.
///
/// `shared` says whether the cores that the work runs on are shared; [`is_shared`] does
/// for work on the calling thread. Without [`expect`] the work is done once.
pub fn alone<T>(shared: impl Fn() -> bool, mut work: impl FnMut() -> T) -> T {
    loop {
        let waiting = Instant::now();
        while shared() && has_patience(waiting) {}
        spend(waiting);
        let working = Instant::now();
        let result = work();
        let disturbed = shared();
        if disturbed && has_patience(working) {
            spend(working);
            continue;
        }
        SLICES.fetch_add(1, Relaxed);
        SHARED.fetch_add(u64::from(disturbed), Relaxed);
        return result;
    }
}

/// What [`alone`] has measured in this process.
#[must_use]
pub fn tally() -> Tally {
    Tally {
        slices: SLICES.load(Relaxed),
        shared: SHARED.load(Relaxed),
    }
}

fn nanos_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn has_patience(since: Instant) -> bool {
    nanos_since(since) < PATIENCE.load(Relaxed)
}

fn spend(since: Instant) {
    let left = PATIENCE.load(Relaxed);
    PATIENCE.store(left.saturating_sub(nanos_since(since)), Relaxed);
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod probe {
    use std::arch::asm;
    use std::time::{Duration, Instant};

    /// Turns of a loop: a few microseconds, far above the clock's resolution.
    const TURNS: u32 = 400;

    /// The time of independent additions divided by that of a chain of multiplications;
    /// of each the shortest of three, which no interrupt met.
    pub(super) fn quotient() -> f64 {
        let shortest = |timed: fn() -> Duration| (0..3).map(|_| timed()).min();
        let seconds = |timed| shortest(timed).map_or(0.0, |time| time.as_secs_f64());
        seconds(additions) / seconds(chain)
    }

    /// Each multiplication waits for the one before it: three cycles, whoever else is busy.
    fn chain() -> Duration {
        let began = Instant::now();
        // SAFETY: counts one register down and multiplies another; touches no memory and
        // no stack.
        unsafe {
            asm!(
                ".p2align 6",
                "2:",
                ".rept 8", "imul {word}, {word}", ".endr",
                "dec {turns:e}",
                "jnz 2b",
                turns = inout(reg) TURNS => _,
                word = inout(reg) 3_u64 => _,
                options(nomem, nostack)
            );
        }
        began.elapsed()
    }

    /// Eight sums that do not wait for each other: as many in a cycle as the core has adders.
    fn additions() -> Duration {
        let began = Instant::now();
        // SAFETY: counts one register down and adds to eight others; touches no memory and
        // no stack.
        unsafe {
            asm!(
                ".p2align 6",
                "2:",
                ".rept 6",
                "add {a}, 1", "add {b}, 1", "add {c}, 1", "add {d}, 1",
                "add {e}, 1", "add {f}, 1", "add {g}, 1", "add {h}, 1",
                ".endr",
                "dec {turns:e}",
                "jnz 2b",
                turns = inout(reg) TURNS => _,
                a = inout(reg) 0_u64 => _, b = inout(reg) 0_u64 => _,
                c = inout(reg) 0_u64 => _, d = inout(reg) 0_u64 => _,
                e = inout(reg) 0_u64 => _, f = inout(reg) 0_u64 => _,
                g = inout(reg) 0_u64 => _, h = inout(reg) 0_u64 => _,
                options(nomem, nostack)
            );
        }
        began.elapsed()
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
mod probe {
    /// The same for every core: none is told from another.
    pub(super) fn quotient() -> f64 {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    // One test: the expectation is the process's.
    #[test]
    fn work_is_repeated_until_the_core_was_quiet_or_patience_is_used_up() {
        let done = Cell::new(0);
        let work = || {
            done.set(done.get() + 1);
            done.get()
        };
        assert_eq!(alone(|| true, work), 1, "nothing is expected yet");
        assert_eq!(
            tally(),
            Tally {
                slices: 1,
                shared: 1
            }
        );

        // Shared before the second time, quiet, shared after it, quiet from then on.
        expect(1.0, Duration::from_secs(60));
        let answers = Cell::new(0b101_u32);
        let shared = || {
            let shared = answers.get() & 1 == 1;
            answers.set(answers.get() >> 1);
            shared
        };
        assert_eq!(alone(shared, work), 3);
        assert_eq!(
            tally(),
            Tally {
                slices: 2,
                shared: 1
            }
        );

        expect(1.0, Duration::from_millis(2));
        assert!(alone(|| true, work) > 3, "ends, shared or not");
        assert_eq!(
            tally(),
            Tally {
                slices: 3,
                shared: 2
            }
        );
        assert_eq!(PATIENCE.load(Relaxed), 0);

        expect(calibrate(), Duration::ZERO);
        assert!(
            (0..1_000_000).any(|_| !is_shared()),
            "a core is quiet at times"
        );
        expect(f64::MIN_POSITIVE, Duration::ZERO);
        assert!(is_shared(), "every core is far above that");
    }
}
