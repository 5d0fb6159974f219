//! Real input, and servers that are simulated.

use super::contenders::{Buffers, Memory, OURS, Visitor, visit_all};
use super::rows;
use crate::field_fixed::into_measurements;
use anyhow::{Result, ensure};
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::stats::Random;
use millpond_bench::worker::{Measurement, Request};
use millpond_bytes::{BytePool, DEFAULT_SIZES, PoolBuf};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The workspace's own files.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Every file copied through a buffer of its size.
pub fn corpus(request: &Request) -> Result<Vec<Measurement>> {
    struct Entering(Rc<Vec<Vec<u8>>>, Contest<'static>);
    impl Visitor for Entering {
        fn visit<B: Buffers>(&mut self) {
            if !B::MIXED {
                return;
            }
            let (buffers, files) = (B::new(), Rc::clone(&self.0));
            self.1.add(B::NAME, move |n| copy_all(&buffers, &files, n));
        }
    }
    let mut files = Vec::new();
    for directory in ["crates", "benches", "docs", "xtask"] {
        read_files(&Path::new(ROOT).join(directory), &mut files)?;
    }
    ensure!(!files.is_empty(), "the workspace has files");
    let mut entering = Entering(Rc::new(files), Contest::new());
    visit_all(&mut entering);
    let timed = entering.1.run(Schedule {
        rounds: request.rounds,
        slice: Duration::from_micros(request.slice_micros),
    });
    Ok(into_measurements(rows::CORPUS, timed))
}

fn read_files(directory: &Path, files: &mut Vec<Vec<u8>>) -> Result<()> {
    let mut entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                read_files(&entry.path(), files)?;
            }
        } else {
            let contents = std::fs::read(entry.path())?;
            files.extend((!contents.is_empty()).then_some(contents));
        }
    }
    Ok(())
}

#[inline(never)]
fn copy_all<B: Buffers>(buffers: &B, files: &[Vec<u8>], iterations: u64) -> Duration {
    let began = Instant::now();
    let mut sum = 0_u64;
    for file in files.iter().cycle().take(iterations as usize) {
        let mut buffer = buffers.acquire_any(file.len());
        let start = buffer.start();
        // SAFETY: the buffer has room for the file, and is not it.
        unsafe { start.copy_from_nonoverlapping(file.as_ptr(), file.len()) };
        // SAFETY: written above.
        let copied = unsafe { std::slice::from_raw_parts(start, file.len()) };
        sum += u64::from(copied[file.len() / 2]);
    }
    std::hint::black_box(sum);
    began.elapsed()
}

/// The reference's traffic levels: workers, and buffers of each class that are
/// warmed up.
const LEVELS: [(usize, usize); 4] = [(50, 100), (200, 1000), (1000, 5000), (4000, 10_000)];

/// Requests that are simulated at each level.
const REQUESTS: u64 = 200_000;

/// The planning table: misses per million requests, and what the warm pool holds.
pub fn planning() -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    let mut held = 0;
    for ((workers, warm), row) in LEVELS.into_iter().zip(rows::MISSES) {
        let pool = BytePool::default();
        pool.warm_up(warm)?;
        serve(&pool, workers)?;
        let stats = pool.stats();
        let misses: u64 = stats.classes.iter().map(|class| class.misses).sum();
        let per_million = misses as f64 * 1e6 / stats.gets() as f64;
        measured.push(Measurement::new(row, OURS, vec![per_million]));
        held += stats
            .classes
            .iter()
            .map(|class| class.held_bytes)
            .sum::<usize>();
    }
    let mebibytes = held as f64 / f64::from(1 << 20);
    measured.push(Measurement::new(rows::HELD, OURS, vec![mebibytes]));
    Ok(measured)
}

/// A size by Zipf's law: half as many requests for the second, a third for the
/// third.
fn drawn(random: &mut Random) -> usize {
    let mut rest = random.below(WEIGHTS.iter().sum());
    let class = WEIGHTS.iter().position(|&weight| {
        let here = rest < weight;
        rest = rest.saturating_sub(weight);
        here
    });
    DEFAULT_SIZES[class.unwrap_or(0)]
}

/// 1, 1/2, … 1/6 of 60.
const WEIGHTS: [usize; 6] = [60, 30, 20, 15, 12, 10];

/// Workers at random take up a request, with a buffer of a random size, small
/// ones more often, or finish the one that they have.
fn serve(pool: &BytePool, workers: usize) -> Result<()> {
    let mut random = Random::new(9);
    let mut busy: Vec<Option<PoolBuf>> = Vec::new();
    busy.resize_with(workers, || None);
    let mut begun = 0;
    while begun < REQUESTS {
        let worker = &mut busy[random.below(workers)];
        *worker = match worker.take() {
            Some(_) => None,
            None => {
                begun += 1;
                Some(pool.acquire(drawn(&mut random))?)
            }
        };
    }
    Ok(())
}
