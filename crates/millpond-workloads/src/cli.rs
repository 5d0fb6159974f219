//! What the binaries have in common: a memory flag, progress, one clear error.

use crate::corpus::{self, Document};
use crate::memory::Memory;
use anyhow::{Context, Result, anyhow};
use clap::error::ErrorKind as Kind;
use clap::{Args, Parser};
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

/// The exit code of a request that cannot be carried out: bad flags, files that are
/// not there, broken input.
pub const REFUSED: u8 = 2;

/// Reads the command line and carries it out. What is wrong becomes one line on
/// standard error, and [`REFUSED`] the exit code. A reader that went away, as in
/// `| head`, is no error.
pub fn run<A: Parser>(body: impl FnOnce(A) -> Result<()>) -> ExitCode {
    match parsed().and_then(body) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(&format!("{error:#}")));
            ExitCode::from(REFUSED)
        }
    }
}

fn parsed<A: Parser>() -> Result<A> {
    A::try_parse().map_err(|error| match error.kind() {
        Kind::DisplayHelp | Kind::DisplayVersion => error.exit(),
        Kind::DisplayHelpOnMissingArgumentOrSubcommand => anyhow!("no command; --help lists them"),
        _ => anyhow!("{}", complaint(&error.to_string())),
    })
}

/// What clap says, without the usage: up to the first empty line.
fn complaint(said: &str) -> String {
    let lines = said
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty());
    let words: Vec<&str> = lines.collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    causes
        .into_iter()
        .any(|cause: &io::Error| cause.kind() == ErrorKind::BrokenPipe)
}

/// A bar over the bytes of `files`; those that cannot be looked at count for nothing.
#[must_use]
pub fn progress_files(what: &'static str, files: &[PathBuf]) -> ProgressBar {
    let bytes = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
    progress_bytes(what, files.iter().map(bytes).sum())
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
    fn what_clap_says_becomes_one_line() {
        let said = "error: a value is required\n  [possible values: heap, pooled]\n\nUsage: x\n";
        assert_eq!(
            complaint(said),
            "a value is required [possible values: heap, pooled]"
        );
        assert_eq!(one_line("first\n   second\n"), "first second");
    }

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
