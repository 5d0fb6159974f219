//! Before and after: what pools change in a code database, measured here and now.
//!
//! ```text
//! cargo run --release -p millpond-workloads --example memory_pool_demo
//! ```
//!
//! Prints saves, searches and JSON primitives on the heap and on pools, in turn, and
//! the combined figure. `cargo xtask bench --chapter codebase` measures the same with
//! intervals, beside mimalloc; this is a look.

use anyhow::{Result, ensure};
use millpond_workloads::codebase::work::{Done, Work};
use millpond_workloads::codebase::{Heap, Memory, Pooled, Store};
use millpond_workloads::corpus;
use std::time::{Duration, Instant};

const SOME_BYTES: usize = 1_000_000;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(20);

/// A kind of operation, on either memory.
struct Kind {
    name: &'static str,
    heap: fn(&mut Work<Heap>) -> Done,
    pooled: fn(&mut Work<Pooled>) -> Done,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "database",
        heap: Work::save,
        pooled: Work::save,
    },
    Kind {
        name: "search",
        heap: |work| work.search(),
        pooled: |work| work.search(),
    },
    Kind {
        name: "primitive",
        heap: |work| work.retrieve(),
        pooled: |work| work.retrieve(),
    },
];

fn main() -> Result<()> {
    let documents = corpus::documents(&corpus::default_roots()?, SOME_BYTES)?;
    let mut heap = Work::new(|| Heap, &documents, Store::in_memory()?)?;
    let mut pooled = Work::new(Pooled::new, &documents, Store::in_memory()?)?;
    println!(
        "A code database of {} documents; an operation, median of {ROUNDS} rounds:",
        documents.len()
    );
    println!("{:<10} {:>12} {:>12} {:>8}", "", "heap", "pools", "faster");
    let mut sum = [0.0; 2];
    for kind in KINDS {
        let results = ((kind.heap)(&mut heap), (kind.pooled)(&mut pooled));
        ensure!(results.0 == results.1, "{}: the modes disagree", kind.name);
        let mut micros = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            micros[0].push(timed(&mut heap, kind.heap));
            micros[1].push(timed(&mut pooled, kind.pooled));
        }
        let [before, after] = micros.map(median);
        line(kind.name, before, after);
        sum = [sum[0] + before, sum[1] + after];
    }
    line("combined", sum[0], sum[1]);
    println!(
        "
What its pools did, as the database reports it (all of it: `codebase --stats`):"
    );
    let mut report = pooled.report();
    if let Some(report) = report.as_object_mut() {
        report.remove("snapshot");
    }
    println!("{report:#}");
    Ok(())
}

/// Microseconds an operation, over a round.
fn timed<M: Memory>(work: &mut Work<M>, operation: fn(&mut Work<M>) -> Done) -> f64 {
    let (began, mut operations) = (Instant::now(), 0);
    while began.elapsed() < ROUND {
        operations += operation(work).operations;
    }
    began.elapsed().as_secs_f64() * 1e6 / operations as f64
}

fn median(mut micros: Vec<f64>) -> f64 {
    micros.sort_unstable_by(f64::total_cmp);
    micros[micros.len() / 2]
}

fn line(name: &str, before: f64, after: f64) {
    let faster = (1.0 - after / before) * 100.0;
    println!("{name:<10} {before:>9.2} µs {after:>9.2} µs {faster:>6.1} %");
}
