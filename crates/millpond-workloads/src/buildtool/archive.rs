//! Archives: a directory as a tar file, the same bytes each time, compressed if asked.

use super::batched::Batched;
use super::memory::{Memory, Purpose};
use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use tar::{Builder, Header};

/// Writes `files`, which lie below `root`, as a tar archive; returns its writer.
///
/// Owner, mode and time are the same for all files, so that equal contents give
/// equal archives. `done` is told the bytes of each file.
///
/// # Errors
///
/// If a file cannot be read, or `out` not written.
pub fn tar<M: Memory, W: Write>(
    root: &Path,
    files: &[PathBuf],
    memory: &M,
    out: W,
    mut done: impl FnMut(u64),
) -> Result<W> {
    let buffer = memory.buffer(Purpose::Archive)?;
    let mut batched = Batched::new(buffer, out);
    let mut builder = Builder::new(&mut batched);
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(0);
    for path in files {
        let named = || path.display().to_string();
        let file = File::open(path).with_context(named)?;
        let bytes = file.metadata().with_context(named)?.len();
        header.set_size(bytes);
        let below = path
            .strip_prefix(root)
            .ok()
            .filter(|path| !path.as_os_str().is_empty());
        let name = below.or(path.file_name().map(Path::new)).unwrap_or(path);
        builder
            .append_data(&mut header, name, file)
            .with_context(named)?;
        done(bytes);
    }
    builder.finish()?;
    drop(builder);
    batched.flush()?;
    Ok(batched.into_inner())
}

/// The same through gzip.
///
/// # Errors
///
/// As [`tar()`].
pub fn tar_gz<M: Memory, W: Write>(
    root: &Path,
    files: &[PathBuf],
    memory: &M,
    out: W,
    done: impl FnMut(u64),
) -> Result<W> {
    let compressed = GzEncoder::new(out, Compression::fast());
    Ok(tar(root, files, memory, compressed, done)?.finish()?)
}
