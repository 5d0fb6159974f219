//! One local pool on each thread, beside one pool that all threads share.
//!
//! `cargo run --release --example thread_per_core -p millpond-bytes`

use millpond_bytes::{AcquireError, BytePool, LocalBytePool};
use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Buffers that each thread takes and gives back.
const ROUNDS: u32 = if cfg!(debug_assertions) {
    500_000
} else {
    5_000_000
};

fn main() -> Result<(), Box<dyn Error>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    println!("{threads} threads, {ROUNDS} buffers of 3,000 bytes each.");
    if cfg!(debug_assertions) {
        println!("This build is not optimised: times say nothing. Run it with --release.");
    }

    let shared = BytePool::default();
    let nanos = on_threads(threads, || {
        time(|| shared.try_acquire(black_box(3000)).map(drop))
    })?;
    println!("one shared pool:          {nanos:.2} ns a buffer");

    let nanos = on_threads(threads, || {
        let own = LocalBytePool::default();
        time(|| own.try_acquire(black_box(3000)).map(drop))
    })?;
    println!("a local pool on each:     {nanos:.2} ns a buffer");
    println!("\nA local buffer stays on its thread: the compiler sees to that.");
    Ok(())
}

/// The mean of what each thread measured.
fn on_threads(
    threads: usize,
    work: impl Fn() -> Result<f64, AcquireError> + Sync,
) -> Result<f64, Box<dyn Error>> {
    let measured = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        let done = workers.into_iter().map(thread::ScopedJoinHandle::join);
        done.collect::<Result<Vec<_>, _>>()
    });
    let nanos = measured.map_err(|_| "a thread panicked")?;
    let sum = nanos.into_iter().sum::<Result<f64, _>>()?;
    Ok(sum / f64::from(u32::try_from(threads)?))
}

/// Nanoseconds for one of many calls.
fn time(call: impl Fn() -> Result<(), AcquireError>) -> Result<f64, AcquireError> {
    let began = Instant::now();
    for _ in 0..ROUNDS {
        call()?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS))
}
