//! The build tool: what a container build does with memory.
//!
//! ```text
//!  description ──▶ flags                 flags.rs        strings
//!  image name  ──▶ reference             reference.rs    strings
//!  context     ──▶ digests of files      checksum.rs     buffers for hashing
//!              └─▶ archive, compressed   archive.rs      buffers for archives
//!  progress    ──▶ log, in batches       log.rs          entries
//! ```
//!
//! [`service`] does all of it, as a build of one service would.

pub mod archive;
pub mod checksum;
pub mod flags;
pub mod log;
pub mod memory;
pub mod reference;

use self::checksum::{Algorithm, Hex};
use self::flags::Description;
use self::log::{Level, Log};
use self::memory::Memory;
use self::reference::Reference;
use anyhow::Result;
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

/// Prepares the build of a service: flags, name, digest, archive, and a log of it.
///
/// # Errors
///
/// If the image has no valid name, a file cannot be read, or something not be
/// written.
pub fn service<M: Memory, W: Write>(
    service: &Service<'_>,
    memory: &M,
    threads: usize,
    log: &mut Log<'_, M, W>,
    archive: impl Write,
) -> Result<Built> {
    let image = Reference::parse(service.image)?.text_in(memory)?;
    log.entry(Level::Info, format_args!("building {}", &*image))?;
    let flags = service.description.as_flags_in(memory)?;
    for flag in flags.iter() {
        log.entry(Level::Debug, format_args!("flag {flag}"))?;
    }
    let digests = checksum::files(service.files, Algorithm::Sha256, threads, memory)?;
    for (file, digest) in service.files.iter().zip(&digests) {
        log.entry(Level::Debug, format_args!("{digest}  {}", file.display()))?;
    }
    let context = checksum::combined(service.files, &digests);
    archive::tar(service.context, service.files, memory, archive)?;
    log.entry(Level::Info, format_args!("context {context}"))?;
    Ok(Built {
        image: image.to_string(),
        flags: flags.iter().count(),
        context,
    })
}
