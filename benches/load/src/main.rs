//! The load test of byte pools, as a program.
//!
//! `cargo xtask load` builds this in the release profile and passes its flags on.

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use millpond_bench::counting::{self, Counting};
use millpond_bytes::load::{self, LoadPlan, Touch};
use millpond_bytes::{BytePool, Config};
use std::alloc::System;
use std::time::Duration;

/// Counts what the pool takes from the heap.
#[global_allocator]
static HEAP: Counting<System> = Counting::new(System);

/// Acquires and releases pooled buffers as fast as this machine can.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask load")]
struct Arguments {
    /// For how many seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Threads that work at once; the number of cores if not given
    #[arg(long)]
    workers: Option<usize>,
    /// Bytes asked for, in turn
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<usize>,
    /// How often a buffer is written before it is released
    #[arg(long, default_value_t = 1)]
    operations: usize,
    /// What is written
    #[arg(long, value_enum, default_value_t = What::Byte)]
    touch: What,
    /// Buffers of each class that are made ahead
    #[arg(long, default_value_t = 64)]
    warm_up: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The first byte
    Byte,
    /// A byte of every page
    Pages,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let plan = plan(&arguments)?;
    let millis = u64::try_from(plan.duration.as_millis())?;
    let bar = ProgressBar::new(millis);
    bar.set_style(ProgressStyle::with_template("{bar:40} {elapsed} {msg}")?);
    let pool = BytePool::new(Config::new().with_name("load"))?;
    let report = load::run(&pool, &plan, Some(&counting::allocations), |progress| {
        bar.set_position(u64::try_from(progress.elapsed.as_millis()).unwrap_or(millis));
        if let Some(bytes) = progress.resident_bytes {
            bar.set_message(format!("{} MiB resident", bytes >> 20));
        }
    })?;
    bar.finish_and_clear();
    println!("{} workers, sizes {:?}", plan.workers, plan.sizes);
    println!("{report}");
    Ok(())
}

fn plan(arguments: &Arguments) -> Result<LoadPlan> {
    let mut plan = LoadPlan::default();
    ensure!(
        arguments.seconds > 0.0 && arguments.seconds <= 86_400.0,
        "--seconds {}: more than 0 and up to 86400 are allowed",
        arguments.seconds
    );
    plan.duration = Duration::from_secs_f64(arguments.seconds);
    if let Some(workers) = arguments.workers {
        ensure!(
            (1..=1024).contains(&workers),
            "--workers {workers}: 1 to 1024 are allowed"
        );
        plan.workers = workers;
    }
    if !arguments.sizes.is_empty() {
        plan.sizes.clone_from(&arguments.sizes);
    }
    plan.operations_per_buffer = arguments.operations;
    plan.touch = match arguments.touch {
        What::Byte => Touch::Byte,
        What::Pages => Touch::Pages,
    };
    plan.warm_up = arguments.warm_up;
    Ok(plan)
}
