//! The build tool: what a container build does with memory.
//!
//! ```text
//!  description ──▶ flags                 flags.rs        strings
//!  image name  ──▶ reference             reference.rs    strings
//!  context     ──▶ digests of files      checksum.rs     buffers for hashing
//!              └─▶ archive, compressed   archive.rs      buffers for archives
//!  progress    ──▶ log, in batches       log.rs          entries
//!  keys, paths ──▶ numbers               intern.rs       a text each once
//!  files       ──▶ what is known         files.rs        digests of what has not changed
//!  runtime     ──▶ connections           runtime.rs      objects, awaited
//! ```
//!
//! A [`Workshop`] does all of it, as builds of services would.

pub mod archive;
mod batched;
pub mod checksum;
pub mod files;
pub mod flags;
pub mod intern;
pub mod log;
pub mod memory;
pub mod reference;
pub mod runtime;

use self::checksum::{Algorithm, Hex};
use self::files::FileCache;
use self::flags::Description;
use self::log::{Level, Log};
use self::memory::Memory;
use self::reference::Reference;
use anyhow::Result;
use millpond_analytics::{Span, Tracker};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A service to be built.
#[derive(Debug)]
pub struct Service<'s> {
    /// Its image.
    pub image: &'s str,
    /// What the build is told.
    pub description: &'s Description,
    /// The directory that the build sees.
    pub context: &'s Path,
    /// The files in it.
    pub files: &'s [PathBuf],
}

/// What a build of a service came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The image's name in full.
    pub image: String,
    /// Flags and values.
    pub flags: usize,
    /// The digest of its context.
    pub context: Hex,
}

/// What builds of services share.
#[derive(Debug)]
pub struct Workshop<'m, M: Memory> {
    memory: &'m M,
    threads: usize,
    files: FileCache<M>,
    tracker: Option<Tracker>,
}

impl<'m, M: Memory> Workshop<'m, M> {
    /// A workshop that computes digests on `threads` threads and knows no file yet.
    ///
    /// # Errors
    ///
    /// If there is no memory.
    pub fn new(memory: &'m M, threads: usize) -> Result<Self> {
        Ok(Self {
            memory,
            threads,
            files: FileCache::new(memory)?,
            tracker: None,
        })
    }

    /// Has every part of a build timed by `tracker`, beside what it did to pools.
    #[must_use]
    pub fn tracked(mut self, tracker: &Tracker) -> Self {
        self.tracker = Some(tracker.clone());
        self
    }

    /// What is known of files.
    #[must_use]
    pub fn files(&self) -> &FileCache<M> {
        &self.files
    }

    fn span(&self, what: &str) -> Option<Span> {
        self.tracker.as_ref().map(|tracker| tracker.span(what))
    }

    /// Prepares the build of a service: flags, name, digest, archive, and a log of it.
    /// `done` is told of the bytes of files as they are archived.
    ///
    /// # Errors
    ///
    /// If the image has no valid name, a file cannot be read, or something not be
    /// written.
    pub fn build<W: Write>(
        &mut self,
        service: &Service<'_>,
        log: &mut Log<'_, M, W>,
        archive: impl Write,
        done: impl FnMut(u64),
    ) -> Result<Built> {
        let memory = self.memory;
        let naming = self.span("name and flags");
        let image = Reference::parse(service.image)?.text_in(memory)?;
        log.entry(Level::Info, format_args!("building {}", &*image))?;
        let flags = service.description.as_flags_in(memory)?;
        for flag in flags.iter() {
            log.entry(Level::Debug, format_args!("flag {flag}"))?;
        }
        drop(naming);
        let hashing = self.span("digests");
        let digests = self
            .files
            .digests(service.files, Algorithm::Sha256, self.threads, memory)?;
        for (file, digest) in service.files.iter().zip(digests) {
            log.entry(Level::Debug, format_args!("{digest}  {}", file.display()))?;
        }
        let context = checksum::combined(service.context, service.files, digests);
        drop(hashing);
        let archiving = self.span("archive");
        archive::tar(service.context, service.files, memory, archive, done)?;
        drop(archiving);
        log.entry(Level::Info, format_args!("context {context}"))?;
        Ok(Built {
            image: image.to_string(),
            flags: flags.iter().count(),
            context,
        })
    }
}
