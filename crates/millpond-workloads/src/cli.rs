//! What the binaries have in common: a memory flag, progress, one clear error.

mod named;

pub use named::{Named, create, output};

use crate::corpus::{self, Document};
use crate::memory::Memory;
use anyhow::{Context, Result, anyhow};
use clap::error::ErrorKind as Kind;
use clap::{Args, Parser};
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The flag that every binary takes.
#[derive(Clone, Copy, Debug, Args)]
pub struct MemoryArgs {
    /// Where memory comes from
    #[arg(long, value_enum, default_value_t = Memory::Pooled, global = true)]
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
            note(format_args!("error: {}", one_line(&format!("{error:#}"))));
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

/// One line that a terminal only shows: damaged input may have brought codes along.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let escape = |char: char| match char {
        char if char.is_control() => char.escape_default().to_string(),
        char => char.to_string(),
    };
    lines.join(" ").chars().map(escape).collect()
}

/// Writes a line on standard error. Nobody may be left to read it, which is no error.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// `1 file`, `2 files`.
#[must_use]
pub fn counted(count: impl Display, thing: &str) -> String {
    let count = count.to_string();
    let ending = if count == "1" { "" } else { "s" };
    format!("{count} {thing}{ending}")
}

/// The first address that `HOST:PORT` stands for, to be given to a flag.
///
/// # Errors
///
/// What was expected, if it stands for none.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text
        .to_socket_addrs()
        .map_err(|error| format!("expected HOST:PORT, as in 127.0.0.1:8080 ({error})"))?;
    let none = || "there is no address of that name".to_owned();
    found.next().ok_or_else(none)
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

/// Reads a file, or standard input if the path is `-`; answers what it is called, too.
///
/// # Errors
///
/// If it cannot be read; the error names it.
pub fn read(path: &Path) -> Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        let name = "standard input".to_owned();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        read.with_context(|| name.clone())?;
        return Ok((name, bytes));
    }
    let name = path.display().to_string();
    bytes = std::fs::read(path).with_context(|| name.clone())?;
    Ok((name, bytes))
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
        assert_eq!(one_line("a\u{1b}[2Jb\0é"), "a\\u{1b}[2Jb\\u{0}é");
    }

    #[test]
    fn one_thing_has_no_s() {
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(counted(0, "file"), "0 files");
        assert_eq!(counted(21, "file"), "21 files");
    }

    #[test]
    fn addresses_have_numbers_or_names() {
        assert_eq!(address("127.0.0.1:7").unwrap().port(), 7);
        assert!(
            address(&format!("{}:7", "localhost"))
                .unwrap()
                .ip()
                .is_loopback()
        );
        assert!(address("localhost").unwrap_err().contains("HOST:PORT"));
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
