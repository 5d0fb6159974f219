//! Replays a recorded trace: would pools help the program that it comes from?
//!
//! Every acquire of the trace is an allocation of its size from each allocator
//! that was compiled in, from other crates with buffers, and from byte pools with
//! the usual classes, with those that are advised for the trace, and with any that
//! are asked for, as a table or as the configuration of a pond. Where every acquire
//! has the same size, pools of one type take part: ours, and those of other crates.
//! The first byte, or word, of each is written.
//!
//! The answer may not be used to claim anything about several threads: one does
//! it all.

#[path = "../../contender.rs"]
#[allow(dead_code, reason = "shared with the chapters")]
mod contender;
#[path = "../../contenders/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the chapters")]
mod contenders;
mod one_size;

use clap::Parser;
use millpond::Settings;
use millpond_analytics::{Advisor, Trace, count_sizes};
use millpond_bench::replay::Steps;
use millpond_bench::runner::{Contest, Schedule, Timed};
use millpond_bench::stats::Estimate;
use millpond_bytes::{BytePool, Config};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// Alignment of what is allocated: what allocators give without being asked.
const ALIGNMENT: usize = 16;

const SCHEDULE: Schedule = Schedule {
    rounds: 15,
    slice: Duration::from_millis(50),
};

/// How long a replay may wait in all for a core that nobody shares.
const PATIENCE: Duration = Duration::from_secs(60);

/// Replays a recorded trace against allocators and byte pools.
#[derive(Debug, Parser)]
struct Arguments {
    /// The trace.
    trace: PathBuf,
    /// Replay what this pool did only.
    #[arg(long)]
    pool: Option<String>,
    /// A table of size classes to try too.
    #[arg(long = "classes")]
    tables: Vec<String>,
    /// The byte pool of a pond's configuration to try too: TOML, as advice is.
    #[arg(long = "config")]
    configurations: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let trace = read(arguments)?;
    let steps = Steps::of(&trace, arguments.pool.as_deref());
    let name = arguments.trace.display();
    anyhow::ensure!(steps.count() > 0, "{name}: nothing was recorded");
    let pools = pools(arguments, &trace)?;
    println!(
        "{} operations, at most {} items out, {} events lost",
        steps.count(),
        steps.most_out(),
        trace.lost
    );

    millpond_quiet::expect(millpond_quiet::calibrate(), PATIENCE);
    let zeropool = zeropool::ZeroPool::new().track_stats(false);
    let mut contest = Contest::new();
    enter_allocators(&mut contest, &steps);
    enter_buffers(&mut contest, &steps, &zeropool);
    enter_pools(&mut contest, &steps, &pools);
    match one_size::enter(&mut contest, &steps) {
        Some(bytes) => println!("every acquire has one size: pools of one type hold {bytes} bytes"),
        None => println!(
            "sizes differ, so pools of one type do not take part; --pool takes one of {}",
            trace.pools.join(", ")
        ),
    }
    show(&contest.run(SCHEDULE), steps.count());
    for (name, pool) in &pools {
        let stats = pool.stats();
        println!(
            "{name}: hit rate {:.2} %, {} requests too large for it",
            stats.hit_rate() * 100.0,
            stats.oversize
        );
    }
    Ok(())
}

/// The trace, in which the pool that was asked for is.
fn read(arguments: &Arguments) -> anyhow::Result<Trace> {
    let name = arguments.trace.display();
    let file = File::open(&arguments.trace).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    let trace = Trace::read(file).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    if let Some(pool) = &arguments.pool {
        let known = trace.pools.join(", ");
        let is_known = trace.pools.contains(pool);
        anyhow::ensure!(is_known, "{name}: no pool {pool:?}; there is {known}");
    }
    Ok(trace)
}

fn enter_allocators<'s>(contest: &mut Contest<'s>, steps: &'s Steps) {
    for (name, allocator) in allocators() {
        contest.add(name, move |times| {
            timed(steps, times, |bytes| Allocated::new(allocator, bytes))
        });
    }
}

/// Buffers of other crates.
fn enter_buffers<'s>(
    contest: &mut Contest<'s>,
    steps: &'s Steps,
    zeropool: &'s zeropool::ZeroPool,
) {
    contest.add("zeropool", move |times| {
        timed(steps, times, |bytes| {
            let mut buffer = zeropool.alloc_uninit(bytes.max(1));
            buffer.as_uninit_mut()[0].write(1);
            Some(buffer)
        })
    });
    contest.add("bytes::BytesMut", move |times| {
        timed(steps, times, |bytes| {
            let mut buffer = bytes::BytesMut::with_capacity(bytes.max(1));
            buffer.extend_from_slice(&[1]);
            Some(buffer)
        })
    });
}

fn enter_pools<'s>(contest: &mut Contest<'s>, steps: &'s Steps, pools: &'s [(String, BytePool)]) {
    for (name, pool) in pools {
        contest.add(name, move |times| {
            timed(steps, times, |bytes| {
                let mut buffer = pool.try_acquire(bytes).ok()?;
                // Zero bytes have no first.
                let _ = buffer.push(1);
                Some(buffer)
            })
        });
    }
}

/// Byte pools with the usual classes, with the best for the trace, and with those
/// that were asked for.
fn pools(arguments: &Arguments, trace: &Trace) -> anyhow::Result<Vec<(String, BytePool)>> {
    let mut pools = vec![(
        "millpond-bytes, usual classes".to_owned(),
        BytePool::new(Config::new())?,
    )];
    let sizes = trace.events.iter().filter_map(|event| event.bytes);
    if let Some(advice) = Advisor::new().class_table(&count_sizes(sizes), &[]) {
        let name = format!("millpond-bytes, advised {:?}", advice.sizes);
        pools.push((
            name,
            BytePool::new(Config::new().with_sizes(&advice.sizes))?,
        ));
    }
    for table in &arguments.tables {
        let sizes: Result<Vec<usize>, _> = table.split(',').map(str::parse).collect();
        let sizes = sizes.map_err(|error| anyhow::anyhow!("--classes {table:?}: {error}"))?;
        let pool = BytePool::new(Config::new().with_sizes(&sizes));
        let pool = pool.map_err(|error| anyhow::anyhow!("--classes {table:?}: {error}"))?;
        pools.push((format!("millpond-bytes, {sizes:?}"), pool));
    }
    for file in &arguments.configurations {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let config = Settings::new().toml(&name, &text)?.config()?;
        pools.push((
            format!("millpond-bytes, {name}"),
            BytePool::new(config.bytes)?,
        ));
    }
    Ok(pools)
}

fn allocators() -> Vec<(&'static str, &'static (dyn GlobalAlloc + Sync))> {
    vec![
        ("system allocator", &System),
        #[cfg(feature = "mimalloc")]
        ("mimalloc", &mimalloc::MiMalloc),
        #[cfg(feature = "jemalloc")]
        ("jemalloc", &tikv_jemallocator::Jemalloc),
        #[cfg(feature = "snmalloc")]
        ("snmalloc", &snmalloc_rs::SnMalloc),
    ]
}

fn timed<T>(steps: &Steps, times: u64, mut acquire: impl FnMut(usize) -> Option<T>) -> Duration {
    let begin = Instant::now();
    for _ in 0..times {
        black_box(steps.run(&mut acquire));
    }
    begin.elapsed()
}

/// The rows, each divided by the first.
fn show(timed: &[Timed], operations: usize) {
    let Some(first) = timed.first() else { return };
    println!(
        "{:<60} {:>10} {:>26}",
        "contender", "ns each", "÷ first (95 % interval)"
    );
    for contender in timed {
        let each: Vec<f64> = contender
            .nanos
            .iter()
            .map(|ns| ns / operations as f64)
            .collect();
        let ratio = Estimate::of_ratio(&contender.nanos, &first.nanos);
        if let (Some(each), Some(ratio)) = (Estimate::of(&each), ratio) {
            println!(
                "{:<60} {:>10.2} {:>10.2} ({:.2} to {:.2})",
                contender.name, each.median, ratio.median, ratio.low, ratio.high
            );
        }
    }
}

/// Bytes of an allocator.
///
/// # Invariants
///
/// 1. `at` came from `allocator` with `layout`, and is freed by this alone.
struct Allocated {
    allocator: &'static (dyn GlobalAlloc + Sync),
    at: NonNull<u8>,
    layout: Layout,
}

impl Allocated {
    fn new(allocator: &'static (dyn GlobalAlloc + Sync), bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()?;
        // SAFETY: the size is not 0.
        let at = NonNull::new(unsafe { allocator.alloc(layout) })?;
        // SAFETY: at least one byte of fresh memory.
        unsafe { at.as_ptr().write_volatile(1) };
        Some(Self {
            allocator,
            at,
            layout,
        })
    }
}

impl Drop for Allocated {
    fn drop(&mut self) {
        // SAFETY: by 1.
        unsafe { self.allocator.dealloc(self.at.as_ptr(), self.layout) };
    }
}
