//! What the binaries have in common: a memory flag, progress, one clear error.

use crate::corpus::{self, Document};
use crate::memory::Memory;
use anyhow::{Context, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The flag that every binary takes.
#[derive(Clone, Copy, Debug, Args)]
pub struct MemoryArgs {
    /// Where memory comes from
    #[arg(long, value_enum, default_value_t = Memory::Pooled)]
    pub memory: Memory,
}

/// Where the input comes from: a tree, or what every machine has that built this.
#[derive(Clone, Debug, Args)]
pub struct InputArgs {
    /// A file or directory; without it the workspace and its locked dependencies
    #[arg(long, value_name = "PATH")]
    pub input: Option<PathBuf>,
}

impl InputArgs {
    /// Where the corpus lies.
    ///
    /// # Errors
    ///
    /// If the path that was named cannot be read, or `cargo metadata` fails.
    pub fn roots(&self) -> Result<Vec<PathBuf>> {
        let Some(path) = &self.input else {
            return corpus::default_roots();
        };
        path.metadata()
            .with_context(|| format!("--input {}", path.display()))?;
        Ok(vec![path.clone()])
    }

    /// The documents of the corpus, at most `limit_bytes` of them.
    ///
    /// # Errors
    ///
    /// As [`InputArgs::roots`], and if there is no text below the roots.
    pub fn documents(&self, limit_bytes: usize) -> Result<Vec<Document>> {
        corpus::documents(&self.roots()?, limit_bytes)
    }
}

/// Runs a binary's body; an error becomes one line on standard error.
///
/// Exit codes: 0, 1 for what could not be done, and 2 for a command line that was
/// not understood, which `clap` has refused before. A reader that went away, as in
/// `| head`, is no error.
pub fn run(body: impl FnOnce() -> Result<()>) -> ExitCode {
    match body() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    causes
        .into_iter()
        .any(|cause: &io::Error| cause.kind() == ErrorKind::BrokenPipe)
}

/// A bar over `total` bytes on standard error; invisible where that is no terminal.
///
/// # Panics
///
/// Never: the template is a constant that a test builds.
#[must_use]
pub fn progress_bytes(what: &'static str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{msg:>10} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    )
    .expect("the template is valid");
    ProgressBar::new(total).with_style(style).with_message(what)
}

/// Reads a file; the error names it.
///
/// # Errors
///
/// If it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_can_be_built() {
        assert_eq!(progress_bytes("test", 7).length(), Some(7));
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let gone = io::Error::from(ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&anyhow::Error::new(gone).context("writing")));
        assert!(!is_broken_pipe(&anyhow::anyhow!("disk full")));
    }

    #[test]
    fn a_missing_input_is_named() {
        let input = Some(PathBuf::from("/no/such/place"));
        let error = InputArgs { input }.roots().unwrap_err();
        assert!(error.to_string().contains("/no/such/place"));
    }
}
