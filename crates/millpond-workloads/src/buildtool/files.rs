//! What is known of files: digests of those that have not changed are not computed
//! again when the next build is created.

use super::checksum::{self, Algorithm, Hex};
use super::intern::{Interner, Key};
use super::memory::Memory;
use anyhow::{Context, Result};
use millpond_core::error::AcquireError;
use millpond_fixed::Clearable;
use std::path::PathBuf;
use std::time::SystemTime;

/// A file as it was when it was last read.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    bytes: u64,
    modified: SystemTime,
    algorithm: Algorithm,
    digest: Hex,
}

/// A file as it is looked at now.
#[derive(Clone, Copy, Debug)]
struct Seen {
    key: Key,
    bytes: u64,
    modified: SystemTime,
    /// Whether its digest has to be computed.
    changed: bool,
}

/// The tables of a [`FileCache`], which a pool recycles as one object.
#[derive(Debug, Default)]
pub struct Tables {
    paths: Interner,
    /// By the keys of their paths.
    known: Vec<Option<Known>>,
    /// The files that were asked about last, and their digests.
    seen: Vec<Seen>,
    digests: Vec<Hex>,
}

impl Tables {
    fn reserve(&mut self, files: usize) {
        let more = files.saturating_sub(self.known.len());
        self.paths.reserve(more);
        self.known.reserve(more);
        self.seen.reserve(files);
        self.digests.reserve(files);
    }

    /// Notes what the file system says of `files` now, and the digests that still hold.
    /// Asked before files are read, so that a change meanwhile is noticed the next time.
    fn look_at(&mut self, files: &[PathBuf], algorithm: Algorithm) -> Result<()> {
        self.seen.clear();
        self.digests.clear();
        for path in files {
            let named = || path.display().to_string();
            let metadata = path.metadata().with_context(named)?;
            let (bytes, modified) = (metadata.len(), metadata.modified().with_context(named)?);
            let key = self.paths.key(&path.to_string_lossy())?;
            if key.index() == self.known.len() {
                self.known.push(None);
            }
            let known = self.known[key.index()].filter(|known| {
                (known.bytes, known.modified, known.algorithm) == (bytes, modified, algorithm)
            });
            self.seen.push(Seen {
                key,
                bytes,
                modified,
                changed: known.is_none(),
            });
            self.digests
                .push(known.map_or(Hex::new(), |known| known.digest));
        }
        Ok(())
    }
}

impl Clearable for Tables {
    fn clear(&mut self) {
        self.paths.clear();
        self.known.clear();
        self.seen.clear();
        self.digests.clear();
    }

    fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.seen.is_empty()
    }

    fn capacity(&self) -> usize {
        self.known.capacity().max(self.seen.capacity())
    }

    fn shrink_to(&mut self, capacity: usize) {
        // Only what is empty shrinks, and then beginning anew is as good.
        *self = Self::default();
        self.reserve(capacity);
    }
}

/// Digests by path, for as long as size and time of the last change stay what they were.
///
/// Like `make`, it does not notice a change that leaves both: one of the same size
/// within the resolution of the file system's clock.
pub struct FileCache<M: Memory> {
    tables: M::Tables,
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
    pub fn new(memory: &M) -> Result<Self, AcquireError> {
        Ok(Self {
            tables: memory.tables()?,
            hits: 0,
            misses: 0,
        })
    }

    /// The digests of `files`, in their order; only those that are not known, or have
    /// changed, are read, on `threads` threads.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn digests(
        &mut self,
        files: &[PathBuf],
        algorithm: Algorithm,
        threads: usize,
        memory: &M,
    ) -> Result<&[Hex]> {
        let tables = &mut *self.tables;
        tables.reserve(files.len());
        tables.look_at(files, algorithm)?;
        let Tables {
            known,
            seen,
            digests,
            ..
        } = tables;
        let places = files.iter().map(PathBuf::as_path).zip(&mut *digests);
        let changed = places.zip(&*seen).filter(|(_, seen)| seen.changed);
        let changed = changed.map(|(place, _)| place);
        checksum::into_places(changed, algorithm, threads, memory, &|_| ())?;
        for (seen, digest) in seen.iter().zip(&*digests) {
            known[seen.key.index()] = Some(Known {
                bytes: seen.bytes,
                modified: seen.modified,
                algorithm,
                digest: *digest,
            });
            *(if seen.changed {
                &mut self.misses
            } else {
                &mut self.hits
            }) += 1;
        }
        Ok(digests)
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
            assert_eq!(*found, *fresh);
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
