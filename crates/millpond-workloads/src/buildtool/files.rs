//! What is known of files: digests of those that have not changed are not computed
//! again when the next build is created.

use super::checksum::{self, Algorithm, Hex};
use super::intern::{Interner, Key};
use super::memory::Memory;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file as it was when it was last read.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    bytes: u64,
    modified: SystemTime,
    algorithm: Algorithm,
    digest: Hex,
}

/// Digests by path, for as long as size and time of the last change stay what they were.
///
/// Like `make`, it does not notice a change that leaves both: one of the same size
/// within the resolution of the file system's clock.
pub struct FileCache<M: Memory> {
    paths: Interner<M>,
    known: Vec<Option<Known>>,
    hits: u64,
    misses: u64,
}

impl<M: Memory> std::fmt::Debug for FileCache<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileCache")
            .field("hits", &self.hits)
            .field("misses", &self.misses)
            .finish_non_exhaustive()
    }
}

impl<M: Memory> FileCache<M> {
    /// Knows no file.
    ///
    /// # Errors
    ///
    /// If there is no memory.
    pub fn new(memory: &M) -> Result<Self> {
        Ok(Self {
            paths: Interner::new(memory)?,
            known: Vec::new(),
            hits: 0,
            misses: 0,
        })
    }

    /// The digests of `files`, in their order; only those that are not known, or have
    /// changed, are read, on `threads` threads.
    ///
    /// # Errors
    ///
    /// The first file's that cannot be read.
    pub fn digests(
        &mut self,
        files: &[PathBuf],
        algorithm: Algorithm,
        threads: usize,
        memory: &M,
    ) -> Result<Vec<Hex>> {
        let mut digests = vec![Hex::new(); files.len()];
        let (mut changed, mut places) = (Vec::new(), Vec::new());
        for (place, path) in files.iter().enumerate() {
            let (key, bytes, modified) = self.look_at(path)?;
            let known = self.known[key.index()].filter(|known| {
                (known.bytes, known.modified, known.algorithm) == (bytes, modified, algorithm)
            });
            if let Some(known) = known {
                digests[place] = known.digest;
                self.hits += 1;
            } else {
                changed.push(path);
                places.push((place, key, bytes, modified));
                self.misses += 1;
            }
        }
        let computed = checksum::files(&changed, algorithm, threads, memory, &|_| ())?;
        for ((place, key, bytes, modified), digest) in places.into_iter().zip(computed) {
            digests[place] = digest;
            self.known[key.index()] = Some(Known {
                bytes,
                modified,
                algorithm,
                digest,
            });
        }
        Ok(digests)
    }

    /// The key of a path, and what the file system says of it now. Asked before the
    /// file is read, so that a change meanwhile is noticed the next time.
    fn look_at(&mut self, path: &Path) -> Result<(Key, u64, SystemTime)> {
        let named = || path.display().to_string();
        let metadata = path.metadata().with_context(named)?;
        let modified = metadata.modified().with_context(named)?;
        let key = self.paths.key(&path.to_string_lossy())?;
        if key.index() == self.known.len() {
            self.known.push(None);
        }
        Ok((key, metadata.len(), modified))
    }

    /// Files whose digests were known, and files that were read.
    #[must_use]
    pub fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Heap, Pooled};
    use super::*;

    fn changed_files_are_read_again<M: Memory>(memory: &M) {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = (0..5).map(|n| folder.path().join(format!("{n}"))).collect();
        let write = |n: usize, text: &str| std::fs::write(&files[n], text).unwrap();
        (0..5).for_each(|n| write(n, "first"));
        let mut cache = FileCache::new(memory).unwrap();
        let mut digests = |algorithm| {
            let found = cache.digests(&files, algorithm, 2, memory).unwrap();
            let fresh = checksum::files(&files, algorithm, 1, memory, &|_| ()).unwrap();
            assert_eq!(found, fresh);
            cache.hits_and_misses()
        };
        assert_eq!(digests(Algorithm::Sha256), (0, 5));
        assert_eq!(digests(Algorithm::Sha256), (5, 5));
        write(3, "another length");
        assert_eq!(digests(Algorithm::Sha256), (9, 6));
        assert_eq!(digests(Algorithm::Xxh3), (9, 11));
    }

    #[test]
    fn a_changed_file_is_read_again_and_no_other() {
        changed_files_are_read_again(&Heap);
        changed_files_are_read_again(&Pooled::new().unwrap());
    }

    #[test]
    fn a_file_that_is_gone_is_named() {
        let mut cache = FileCache::new(&Heap).unwrap();
        let files = [PathBuf::from("/no/such/file")];
        let error = cache
            .digests(&files, Algorithm::Sha256, 1, &Heap)
            .unwrap_err();
        assert!(error.to_string().contains("/no/such/file"), "{error}");
    }
}
