//! The fast paths under their own names, to be disassembled and counted.
//!
//! ```text
//!  cargo xtask asm      reads the machine code of each function below
//!  cargo xtask icount   runs `millpond-probe NAME TIMES` under callgrind
//! ```
//!
//! The question is what one acquire and one release compile to, and how many
//! instructions that is when nothing goes wrong. The answer may not be used to claim a
//! time. A package of its own, so that building it does not build the reports.

use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use millpond_fixed::{FixedPool, LocalFixedPool};

/// Sixty-four bytes: one line, copied in by two instructions with wide registers and by
/// four without.
type Item = [u64; 8];

const CAPACITY: usize = 64;

/// Acquire and release of a pool that threads share.
#[inline(never)]
#[unsafe(no_mangle)]
fn fast_shared_pair(pool: &FixedPool<Item>, value: &Item) -> bool {
    pool.try_acquire(*value).is_ok()
}

/// Acquire and release of a pool for one thread.
#[inline(never)]
#[unsafe(no_mangle)]
fn fast_local_pair(pool: &LocalFixedPool<Item>, value: &Item) -> bool {
    pool.try_acquire(*value).is_ok()
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(Ok(times)) = arguments.next().map(|times| times.parse::<u64>()) else {
        return usage();
    };
    let value = black_box([7; 8]);
    let shared = FixedPool::<Item>::new(CAPACITY);
    let local = LocalFixedPool::<Item>::new(CAPACITY);
    let all_given = match name.as_str() {
        "fast_shared_pair" => (0..times).all(|_| fast_shared_pair(&shared, &value)),
        "fast_local_pair" => (0..times).all(|_| fast_local_pair(&local, &value)),
        _ => return usage(),
    };
    assert!(all_given, "a pool with one lease at a time ran out");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: millpond-probe fast_shared_pair|fast_local_pair TIMES");
    ExitCode::from(2)
}
