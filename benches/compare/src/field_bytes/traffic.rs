//! Real input, and servers that are simulated.

use super::contenders::{Buffers, Memory, OURS, Visitor, visit_all};
use super::rows;
use crate::field_fixed::into_measurements;
use anyhow::{Result, ensure};
use millpond_bench::counting;
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::stats::Random;
use millpond_bench::worker::{Measurement, Request};
use millpond_bytes::{BytePool, DEFAULT_SIZES, PoolBuf};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The workspace's own files.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What of it is read.
const DIRECTORIES: [&str; 4] = ["crates", "benches", "docs", "xtask"];

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
    for directory in DIRECTORIES {
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

/// Every file opened and read into a buffer of its size.
pub fn corpus_read(request: &Request) -> Result<Vec<Measurement>> {
    struct Entering(Rc<Vec<Found>>, Contest<'static>);
    impl Visitor for Entering {
        fn visit<B: Buffers>(&mut self) {
            if !B::MIXED {
                return;
            }
            let (buffers, files) = (B::new(), Rc::clone(&self.0));
            self.1.add(B::NAME, move |n| read_all(&buffers, &files, n));
        }
    }
    let mut files = Vec::new();
    for directory in DIRECTORIES {
        find_files(&Path::new(ROOT).join(directory), &mut files)?;
    }
    ensure!(!files.is_empty(), "the workspace has files");
    let mut entering = Entering(Rc::new(files), Contest::new());
    visit_all(&mut entering);
    let timed = entering.1.run(Schedule {
        rounds: request.rounds,
        slice: Duration::from_micros(request.slice_micros),
    });
    Ok(into_measurements(rows::READ, timed))
}

/// A file of the corpus.
struct Found {
    path: PathBuf,
    bytes: usize,
}

fn find_files(directory: &Path, files: &mut Vec<Found>) -> Result<()> {
    for path in files_below(directory)? {
        let bytes = usize::try_from(path.metadata()?.len())?;
        files.extend((bytes > 0).then_some(Found { path, bytes }));
    }
    Ok(())
}

#[inline(never)]
fn read_all<B: Buffers>(buffers: &B, files: &[Found], iterations: u64) -> Duration {
    let began = Instant::now();
    let mut sum = 0;
    for file in files.iter().cycle().take(iterations as usize) {
        let mut buffer = buffers.acquire_any(file.bytes);
        sum += read_into(&file.path, buffer.start(), file.bytes);
    }
    std::hint::black_box(sum);
    began.elapsed()
}

/// Reads a file to `start`; answers how many bytes came. No safe reader takes memory
/// that is not initialised, and nobody's is here but for zeroing it first.
#[cfg(unix)]
fn read_into(path: &Path, start: *mut u8, bytes: usize) -> usize {
    use std::os::fd::AsRawFd;

    let file = std::fs::File::open(path).expect("it was there");
    // SAFETY: the contender lends as many bytes as were asked for.
    let read = unsafe { libc::read(file.as_raw_fd(), start.cast(), bytes) };
    usize::try_from(read).expect("it can be read")
}

#[cfg(not(unix))]
fn read_into(path: &Path, start: *mut u8, bytes: usize) -> usize {
    use std::io::Read;

    // SAFETY: the contender lends as many bytes as were asked for.
    unsafe { start.write_bytes(0, bytes) };
    // SAFETY: just initialised.
    let room = unsafe { std::slice::from_raw_parts_mut(start, bytes) };
    let mut file = std::fs::File::open(path).expect("it was there");
    file.read(room).expect("it can be read")
}

fn read_files(directory: &Path, files: &mut Vec<Vec<u8>>) -> Result<()> {
    for path in files_below(directory)? {
        let contents = std::fs::read(path)?;
        files.extend((!contents.is_empty()).then_some(contents));
    }
    Ok(())
}

/// All files below, in the order of their names.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if !entry.file_type()?.is_dir() {
            files.push(entry.path());
        } else if entry.file_name() != "target" {
            files.extend(files_below(&entry.path())?);
        }
    }
    Ok(files)
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

/// The planning table: misses per million requests, and what each warm pool holds.
pub fn planning() -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    let rows = rows::MISSES.into_iter().zip(rows::HELD);
    for ((workers, warm), (misses_row, held_row)) in LEVELS.into_iter().zip(rows) {
        let pool = BytePool::default();
        pool.warm_up(warm)?;
        let held = held_bytes(&pool) as f64 / f64::from(1 << 20);
        serve(&pool, workers)?;
        let stats = pool.stats();
        let misses: u64 = stats.classes.iter().map(|class| class.misses).sum();
        let per_million = misses as f64 * 1e6 / stats.acquires() as f64;
        measured.push(Measurement::new(misses_row, OURS, vec![per_million]));
        measured.push(Measurement::new(held_row, OURS, vec![held]));
    }
    Ok(measured)
}

fn held_bytes(pool: &BytePool) -> usize {
    let stats = pool.stats();
    stats.classes.iter().map(|class| class.held_bytes).sum()
}

/// Buffers held at once where allocations of a cold pool are counted, and how many
/// are asked for.
const AT_ONCE: usize = 8;
const ASKED: u64 = 1_000_000;

/// What direct allocation is called.
const DIRECT: &str = "direct allocation";

/// Allocations for a million buffers of each size, without warming up.
pub fn cold() -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for (row, size) in rows::COLD.into_iter().zip(DEFAULT_SIZES) {
        let pool = BytePool::default();
        let mut held: [Option<PoolBuf>; AT_ONCE] = [const { None }; AT_ONCE];
        for turn in 0..ASKED {
            held[turn as usize % AT_ONCE] = Some(pool.acquire(size)?);
        }
        let misses: u64 = pool.stats().classes.iter().map(|class| class.misses).sum();
        measured.push(Measurement::new(row, OURS, vec![misses as f64]));

        let before = counting::allocations();
        let mut held: [Option<Vec<u8>>; AT_ONCE] = [const { None }; AT_ONCE];
        for turn in 0..ASKED {
            let fresh = std::hint::black_box(Vec::with_capacity(size));
            held[turn as usize % AT_ONCE] = Some(fresh);
        }
        let allocated = counting::allocations() - before;
        measured.push(Measurement::new(row, DIRECT, vec![allocated as f64]));
    }
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
