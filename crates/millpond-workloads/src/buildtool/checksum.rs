//! Checksums of trees: every file, then one digest over paths and digests.
//!
//! Streaming alone makes nothing faster; files in parallel do, and so does an
//! algorithm that is not cryptographic where nobody attacks.

use super::memory::{Memory, Purpose};
use crate::corpus;
use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::File;
use std::hash::Hasher;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use twox_hash::XxHash3_64;

/// How a file is digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Algorithm {
    /// SHA-256, as `sha256sum`
    Sha256,
    /// BLAKE3, cryptographic
    Blake3,
    /// `XXH3` with 64 bits, for caches: not against attackers
    Xxh3,
}

/// A digest in hexadecimal digits.
pub type Hex = arrayvec::ArrayString<64>;

enum State {
    Sha256(Sha256),
    Blake3(Box<blake3::Hasher>),
    Xxh3(Box<XxHash3_64>),
}

impl State {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::Xxh3 => Self::Xxh3(Box::new(XxHash3_64::with_seed(0))),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(bytes),
            Self::Blake3(state) => drop(state.update(bytes)),
            Self::Xxh3(state) => state.write(bytes),
        }
    }

    fn finish(self) -> Hex {
        match self {
            Self::Sha256(state) => hex(&state.finalize()),
            Self::Blake3(state) => hex(state.finalize().as_bytes()),
            Self::Xxh3(state) => hex(&state.finish().to_be_bytes()),
        }
    }
}

fn hex(bytes: &[u8]) -> Hex {
    let mut hex = Hex::new();
    for byte in bytes {
        // Two digits for each of at most 32 bytes fit.
        let written = write!(hex, "{byte:02x}");
        debug_assert!(written.is_ok());
    }
    hex
}

/// The digest of one file, read through a buffer of `memory`.
///
/// # Errors
///
/// If the file cannot be read, or there is no memory.
pub fn file<M: Memory>(path: &Path, algorithm: Algorithm, memory: &M) -> Result<Hex> {
    Ok(digest(path, algorithm, memory)?.0)
}

/// A file's digest, and how many bytes it had.
fn digest<M: Memory>(path: &Path, algorithm: Algorithm, memory: &M) -> Result<(Hex, u64)> {
    let named = || path.display().to_string();
    let mut file = File::open(path).with_context(named)?;
    let mut buffer = memory.buffer(Purpose::Hash)?;
    let (mut state, mut bytes) = (State::new(algorithm), 0);
    loop {
        match file.read(&mut buffer).with_context(named)? {
            0 => return Ok((state.finish(), bytes)),
            length => {
                state.update(&buffer[..length]);
                bytes += length as u64;
            }
        }
    }
}

/// The digests of `files`, in their order, on `threads` threads; `done` is told the
/// bytes of each file.
///
/// # Errors
///
/// As [`into_places`].
pub fn files<M: Memory>(
    files: &[impl AsRef<Path> + Sync],
    algorithm: Algorithm,
    threads: usize,
    memory: &M,
    done: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Hex>> {
    let mut digests = vec![Hex::new(); files.len()];
    let places = files.iter().map(AsRef::as_ref).zip(&mut digests);
    into_places(places, algorithm, threads, memory, done)?;
    Ok(digests)
}

/// Puts the digest of each file into the place beside it, on `threads` threads; `done`
/// is told the bytes of each file. One thread allocates nothing.
///
/// # Errors
///
/// If a file cannot be read, or there is no memory; of several the first thread's.
pub fn into_places<'f, M: Memory>(
    files: impl Iterator<Item = (&'f Path, &'f mut Hex)> + Send,
    algorithm: Algorithm,
    threads: usize,
    memory: &M,
    done: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let next = Mutex::new(files);
    let work = || {
        loop {
            let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((path, place)) = taken else {
                return Ok(());
            };
            let (digest, bytes) = digest(path, algorithm, memory)?;
            *place = digest;
            done(bytes);
        }
    };
    if threads <= 1 {
        return work();
    }
    thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        helpers.into_iter().fold(work(), |found, helper| {
            let panicked = |_| Err(anyhow!("a worker panicked"));
            let its = helper.join().unwrap_or_else(panicked);
            found.and(its)
        })
    })
}

/// One digest over all paths below `root`, and the digests of their files: the same
/// wherever the tree lies.
#[must_use]
pub fn combined(root: &Path, paths: &[PathBuf], digests: &[Hex]) -> Hex {
    let mut state = Sha256::new();
    for (path, digest) in paths.iter().zip(digests) {
        state.update(corpus::below(root, path).as_os_str().as_encoded_bytes());
        state.update([0]);
        state.update(digest.as_bytes());
    }
    hex(&state.finalize())
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Heap, Pooled};
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn known(algorithm: Algorithm, text: &str) -> String {
        let mut state = State::new(algorithm);
        text.as_bytes()
            .chunks(2)
            .for_each(|part| state.update(part));
        state.finish().to_string()
    }

    #[test]
    fn known_answers() {
        assert!(known(Algorithm::Sha256, "abc").starts_with("ba7816bf8f01cfea414140de5dae2223"));
        assert!(known(Algorithm::Blake3, "abc").starts_with("6437b3ac38465133ffb63b75273a8db5"));
        assert_eq!(known(Algorithm::Xxh3, ""), "2d06800538d394c2");
    }

    #[test]
    fn modes_and_threads_make_no_difference() {
        let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
        let paths = crate::corpus::files(sources);
        let pools = Pooled::new().unwrap();
        for algorithm in [Algorithm::Sha256, Algorithm::Blake3, Algorithm::Xxh3] {
            let one = files(&paths, algorithm, 1, &Heap, &|_| ()).unwrap();
            let total = AtomicU64::new(0);
            let done = |bytes| {
                total.fetch_add(bytes, Ordering::Relaxed);
            };
            assert_eq!(files(&paths, algorithm, 3, &pools, &done).unwrap(), one);
            let sizes = paths.iter().map(|path| path.metadata().unwrap().len());
            assert_eq!(total.into_inner(), sizes.sum::<u64>());
            assert!(one.len() > 20 && one[0] != one[1]);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let paths = [PathBuf::from("/no/such/file")];
        let error = files(&paths, Algorithm::Xxh3, 2, &Heap, &|_| ()).unwrap_err();
        assert!(error.to_string().contains("/no/such/file"));
    }
}
