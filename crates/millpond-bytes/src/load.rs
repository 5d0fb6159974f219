//! The load test: what a pool does on this machine, under this traffic.
//!
//! ```
//! use millpond_bytes::BytePool;
//! use millpond_bytes::load::{LoadPlan, run};
//! use std::time::Duration;
//!
//! let plan = LoadPlan {
//!     duration: Duration::from_millis(20),
//!     workers: 2,
//!     ..LoadPlan::default()
//! };
//! let report = run(&BytePool::default(), &plan, None, |_| {})?;
//! assert!(report.operations > 0 && report.hit_rate > 0.9);
//! println!("{report}");
//! # Ok::<(), millpond_bytes::AcquireError>(())
//! ```

use crate::figures::PoolStats;
use crate::pool::BytePool;
use core::fmt;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use millpond_core::error::AcquireError;
use millpond_core::histogram::Histogram;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use std::vec::Vec;

use crate::pond::lock;

/// Operations between two glances at the clock: one of them is timed.
///
/// A clock read costs as much as ten operations; one in 1,024 is 1 % of them.
const CHUNK: u64 = 1024;

/// Pauses between two readings of the resident memory.
const SAMPLE: Duration = Duration::from_millis(100);

/// What is written into each buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Touch {
    /// Its first byte.
    #[default]
    Byte,
    /// A byte of every page.
    Pages,
}

/// The traffic.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// For how long.
    pub duration: Duration,
    /// How many threads work at once, at least 1.
    pub workers: usize,
    /// Sizes asked for, in turn; each worker begins at another.
    pub sizes: Vec<usize>,
    /// How often a buffer is written before it is released.
    pub operations_per_buffer: usize,
    /// What is written.
    pub touch: Touch,
    /// Buffers of each class that are made ahead.
    pub warm_up: usize,
}

impl Default for LoadPlan {
    /// Two seconds, as many workers as there are cores, the default sizes.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(2),
            workers: thread::available_parallelism().map_or(1, usize::from),
            sizes: crate::DEFAULT_SIZES.to_vec(),
            operations_per_buffer: 1,
            touch: Touch::Byte,
            warm_up: 64,
        }
    }
}

/// How far a load test is.
#[derive(Clone, Copy, Debug)]
pub struct LoadProgress {
    /// Time since it began.
    pub elapsed: Duration,
    /// Resident memory of the process, where the system says.
    pub resident_bytes: Option<u64>,
}

/// What came of a load test. `Display` prints it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadReport {
    /// Buffers acquired and released.
    pub operations: u64,
    /// Time that it took.
    pub elapsed: Duration,
    /// Acquires that needed no memory of the system, as a share.
    pub hit_rate: f64,
    /// Heap allocations for each operation, if somebody counted.
    pub allocations_per_operation: Option<f64>,
    /// Nanoseconds of single operations, one in 1,024, the clock's own included.
    pub latency_ns: Histogram,
    /// Resident memory of the process over time, where the system says.
    pub resident: Vec<(Duration, u64)>,
    /// The pool's figures for that time.
    pub stats: PoolStats,
}

impl LoadReport {
    /// Operations in a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn operations_per_second(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantile = |q| self.latency_ns.quantile(q).unwrap_or(0);
        writeln!(
            f,
            "{} operations in {:.2} s: {:.1} million in a second",
            self.operations,
            self.elapsed.as_secs_f64(),
            self.operations_per_second() / 1e6
        )?;
        writeln!(f, "hit rate {:.4} %", self.hit_rate * 100.0)?;
        if let Some(allocations) = self.allocations_per_operation {
            writeln!(f, "heap allocations per operation {allocations:.6}")?;
        }
        writeln!(
            f,
            "single operations, clock included: p50 {} ns, p99 {} ns, p99.9 {} ns",
            quantile(0.5),
            quantile(0.99),
            quantile(0.999)
        )?;
        let resident = self.resident.iter().map(|&(_, bytes)| bytes >> 10);
        if let (Some(low), Some(high)) = (resident.clone().min(), resident.max()) {
            writeln!(f, "resident memory {low} to {high} KiB")?;
        }
        write!(f, "{}", self.stats)
    }
}

/// What the workers share.
struct Shared<'l> {
    pool: &'l BytePool,
    plan: &'l LoadPlan,
    stop: AtomicBool,
    warm: AtomicU64,
    begun: AtomicBool,
    refused: Mutex<Option<AcquireError>>,
}

/// Runs `plan` on `pool`. `allocations` reads a counter of the program's heap
/// allocations, if it has one; `progress` is told ten times a second.
///
/// Workers warm up first; counting begins when all of them have. Resets the
/// pool's statistics.
///
/// # Errors
///
/// The first acquire that was refused ends the test.
///
/// # Panics
///
/// If the plan has no workers or no sizes; if `progress`, `allocations` or a hook of the
/// pool does, when the workers have ended.
pub fn run(
    pool: &BytePool,
    plan: &LoadPlan,
    allocations: Option<&dyn Fn() -> u64>,
    mut progress: impl FnMut(&LoadProgress),
) -> Result<LoadReport, AcquireError> {
    assert!(plan.workers > 0, "workers: 0; 1 or more are allowed");
    assert!(!plan.sizes.is_empty(), "sizes: none; 1 or more are allowed");
    pool.warm_up(plan.warm_up)?;
    let shared = Shared {
        pool,
        plan,
        stop: AtomicBool::new(false),
        warm: AtomicU64::new(0),
        begun: AtomicBool::new(false),
        refused: Mutex::new(None),
    };
    let measured = shared.measure(allocations, &mut progress);
    match lock(&shared.refused).take() {
        Some(error) => Err(error),
        None => Ok(measured.report(pool.stats())),
    }
}

/// Ends the test when it goes: also if somebody panics whom others wait for.
struct Stops<'s>(&'s AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What came of a test.
struct Measured {
    /// Operations of each worker, and what some of them took.
    counts: Vec<(u64, Histogram)>,
    elapsed: Duration,
    /// Heap allocations before and after.
    allocated: Option<(u64, u64)>,
    resident: Vec<(Duration, u64)>,
}

impl Measured {
    fn report(self, stats: PoolStats) -> LoadReport {
        let mut latency_ns = Histogram::new();
        let mut operations = 0;
        for (count, latency) in self.counts {
            operations += count;
            latency_ns.merge(&latency);
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_operation = |(before, after): (u64, u64)| {
            after.saturating_sub(before) as f64 / operations.max(1) as f64
        };
        LoadReport {
            operations,
            elapsed: self.elapsed,
            hit_rate: stats.hit_rate(),
            allocations_per_operation: self.allocated.map(per_operation),
            latency_ns,
            resident: self.resident,
            stats,
        }
    }
}

impl Shared<'_> {
    /// Warms workers up, and lets them work for as long as the plan says.
    fn measure(
        &self,
        allocations: Option<&dyn Fn() -> u64>,
        progress: &mut dyn FnMut(&LoadProgress),
    ) -> Measured {
        let plan = self.plan;
        let mut resident = Vec::new();
        thread::scope(|scope| {
            let stops = Stops(&self.stop);
            let workers: Vec<_> = (0..plan.workers)
                .map(|worker| scope.spawn(move || self.work(worker)))
                .collect();
            while self.warm.load(Ordering::Acquire) < plan.workers as u64 && !self.is_over() {
                thread::yield_now();
            }
            self.pool.reset_stats();
            // Room for the readings, so that they are not counted as the pool's.
            resident.reserve(usize::try_from(plan.duration.as_millis() / 100).unwrap_or(0) + 2);
            let before = allocations.map(|count| count());
            let began = Instant::now();
            self.begun.store(true, Ordering::Release);
            while began.elapsed() < plan.duration && !self.is_over() {
                thread::sleep(SAMPLE.min(plan.duration.saturating_sub(began.elapsed())));
                let (elapsed, resident_bytes) = (began.elapsed(), resident_bytes());
                resident.extend(resident_bytes.map(|bytes| (elapsed, bytes)));
                progress(&LoadProgress {
                    elapsed,
                    resident_bytes,
                });
            }
            drop(stops);
            let ended = workers.into_iter().map(thread::ScopedJoinHandle::join);
            let counts = ended.map(|counts| counts.unwrap_or_else(|panic| resume_unwind(panic)));
            let counts = counts.collect();
            Measured {
                counts,
                elapsed: began.elapsed(),
                allocated: before.zip(allocations.map(|count| count())),
                resident,
            }
        })
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// One worker: operations since the test began, and what some of them took.
    fn work(&self, worker: usize) -> (u64, Histogram) {
        let _stops = Stops(&self.stop);
        let mut latency = Histogram::new();
        // Makes room now, while nobody counts allocations.
        latency.record_many(u64::from(u32::MAX), 1);
        let beyond = latency.clone();
        let mut next = worker;
        let mut warming = 0;
        let mut operations = 0;
        while !self.is_over() {
            let begun = self.begun.load(Ordering::Acquire);
            let Ok(nanos) = self.chunk(&mut next) else {
                break;
            };
            if begun {
                operations += CHUNK;
                latency.record(nanos);
            } else {
                warming += 1;
                if warming == 8 {
                    self.warm.fetch_add(1, Ordering::Release);
                }
            }
        }
        if warming < 8 {
            self.warm.fetch_add(1, Ordering::Release);
        }
        (operations, latency.since(&beyond))
    }

    /// [`CHUNK`] operations; answers the nanoseconds of one of them.
    fn chunk(&self, next: &mut usize) -> Result<u64, ()> {
        let timed = Instant::now();
        self.operate(next)?;
        let nanos = timed.elapsed().as_nanos();
        for _ in 1..CHUNK {
            self.operate(next)?;
        }
        Ok(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    #[inline(always)]
    fn operate(&self, next: &mut usize) -> Result<(), ()> {
        let sizes = &self.plan.sizes;
        *next += 1;
        if *next >= sizes.len() {
            *next = 0;
        }
        match self.pool.acquire(sizes[*next]) {
            Ok(mut buffer) => {
                for round in 0..self.plan.operations_per_buffer {
                    write(&mut buffer, self.plan.touch, round);
                }
                Ok(())
            }
            Err(error) => {
                lock(&self.refused).get_or_insert(error);
                self.stop.store(true, Ordering::Relaxed);
                Err(())
            }
        }
    }
}

/// Bytes of a page.
const PAGE: usize = 4096;

#[inline(always)]
fn write(buffer: &mut crate::buf::PoolBuf, touch: Touch, round: usize) {
    let len = match touch {
        Touch::Byte => buffer.capacity().min(1),
        Touch::Pages => buffer.capacity(),
    };
    let start = buffer.as_mut_ptr();
    for page in (0..len).step_by(PAGE) {
        // SAFETY: below the capacity of a fresh buffer.
        let at = unsafe { start.add(page) };
        #[expect(clippy::cast_possible_truncation, reason = "any byte will do")]
        // SAFETY: as above.
        unsafe {
            at.write(round as u8);
        }
    }
    black_box(start);
}

/// Resident memory of this process.
#[cfg(all(target_os = "linux", not(miri)))]
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE as u64)
}

/// Resident memory of this process.
#[cfg(not(all(target_os = "linux", not(miri))))]
fn resident_bytes() -> Option<u64> {
    None
}
