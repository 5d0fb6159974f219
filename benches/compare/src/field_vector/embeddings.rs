//! Real input: the files of the corpus as embeddings of hashed n-grams.
//!
//! An embedding counts the windows of four bytes of a file in 256 places, by
//! hash, and is scaled to length 1: deterministic, and no model. Every contender
//! stores all of them, finds the nearest other file of some, and must find the
//! same ones.

use super::rows;
use super::store::{Store, Visitor, visit_all};
use crate::field_fixed::into_measurements;
use anyhow::{Context, Result, ensure};
use millpond_bench::corpus::Corpus;
use millpond_bench::runner::{Contest, Schedule};
use millpond_bench::worker::{Measurement, Request};
use millpond_vector::kernel;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Elements of an embedding.
const DIMENSION: usize = 256;

/// Bytes of a window.
const WINDOW: usize = 4;

/// Larger files are data rather than text.
const LARGEST_BYTES: u64 = 256 << 10;

/// Files whose nearest neighbour is looked for.
const QUERIES: usize = 32;

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub fn measure(request: &Request) -> Result<Vec<Measurement>> {
    let corpus = request
        .corpus
        .as_ref()
        .context("embeddings need the corpus")?;
    let most = usize::try_from(request.count).unwrap_or(usize::MAX);
    let embeddings: Rc<[[f32; DIMENSION]]> = files(corpus, most)
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .map(|bytes| embed(&bytes))
        .collect();
    ensure!(
        embeddings.len() > QUERIES,
        "no files of the corpus were found"
    );
    let mut entering = Entering {
        embeddings,
        contest: Contest::new(),
        found: Vec::new(),
    };
    visit_all(&mut entering);
    let timed = entering.contest.run(Schedule {
        rounds: request.rounds,
        slice: Duration::from_micros(request.slice_micros),
    });
    let found: Vec<u64> = entering.found.iter().map(|found| found.get()).collect();
    ensure!(
        found.iter().all(|&sum| sum == found[0] && sum != 0),
        "contenders found different neighbours: {found:x?}"
    );
    let mut measured = into_measurements(rows::EMBEDDINGS, timed);
    let values = measured.iter_mut().flat_map(|m| &mut m.values);
    values.for_each(|nanos| *nanos /= 1e3);
    Ok(measured)
}

struct Entering {
    embeddings: Rc<[[f32; DIMENSION]]>,
    contest: Contest<'static>,
    found: Vec<Rc<Cell<u64>>>,
}

impl Visitor for Entering {
    fn visit<S: Store>(&mut self) {
        let embeddings = Rc::clone(&self.embeddings);
        let found = Rc::new(Cell::new(0));
        self.found.push(Rc::clone(&found));
        self.contest.add(S::name(), move |n| {
            let began = Instant::now();
            for _ in 0..n {
                found.set(life::<S>(&embeddings));
            }
            began.elapsed()
        });
    }
}

/// Stores all embeddings, finds neighbours, drops the store; answers a digest of
/// what was found.
#[inline(never)]
fn life<S: Store>(embeddings: &[[f32; DIMENSION]]) -> u64 {
    let mut store = S::new(DIMENSION, embeddings.len());
    embeddings.iter().for_each(|row| store.push(row));
    let step = embeddings.len() / QUERIES;
    (0..QUERIES).fold(0xcbf2_9ce4_8422_2325, |digest, query| {
        let query = query * step;
        let (mut best, mut nearest) = (f32::MIN, 0);
        store.scan(|number, row| {
            let likeness = kernel::dot(&embeddings[query], row);
            if likeness > best && number != query {
                (best, nearest) = (likeness, number);
            }
        });
        (digest ^ nearest as u64).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The embedding of a text.
fn embed(text: &[u8]) -> [f32; DIMENSION] {
    let mut counts = [0.0_f32; DIMENSION];
    for window in text.windows(WINDOW) {
        let hash = window.iter().fold(0x811c_9dc5_u32, |hash, &byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        counts[(hash >> 24) as usize] += 1.0;
    }
    let length = kernel::dot(&counts, &counts).sqrt().max(1.0);
    counts.map(|count| count / length)
}

/// Files of the workspace, then of the packages of the corpus where their sources
/// are, in order of their names; at most `most`.
fn files(corpus: &Corpus, most: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in ["crates", "benches", "docs", "xtask"] {
        walk(&Path::new(WORKSPACE).join(directory), &mut found, most);
    }
    for package in &corpus.nodes {
        for registry in registries() {
            walk(&registry.join(package.replace(' ', "-")), &mut found, most);
        }
    }
    found
}

/// Where cargo keeps the sources of packages.
fn registries() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let sources = home.map(|home| home.join("registry/src"));
    let entries = sources.and_then(|sources| std::fs::read_dir(sources).ok());
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>, most: usize) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if found.len() >= most {
            return;
        }
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != "target" => {
                walk(&path, found, most);
            }
            Ok(kind) if kind.is_file() && is_text(&path) => found.push(path),
            _ => {}
        }
    }
}

fn is_text(path: &Path) -> bool {
    let known = path.extension().is_some_and(|extension| {
        ["rs", "md", "toml", "c", "h", "txt"]
            .iter()
            .any(|known| extension == *known)
    });
    known
        && path
            .metadata()
            .is_ok_and(|data| data.len() <= LARGEST_BYTES)
}
