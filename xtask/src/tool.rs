//! Tools that a fresh machine may lack, and how each is had through its ordinary client.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::command;

/// The toolchain that Miri lives in.
pub(crate) const NIGHTLY: &str = "nightly";

/// Whether a program answers to `--version`.
pub(crate) fn answers(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Makes sure that nightly has Miri and the library source that Miri interprets.
///
/// # Errors
///
/// When they are missing and rustup cannot fetch them.
pub(crate) fn nightly_with_miri() -> Result<()> {
    if has_miri() {
        return Ok(());
    }
    let mut install = Command::new("rustup");
    install.args(["toolchain", "install", NIGHTLY, "--profile", "minimal"]);
    install.args(["--component", "miri", "--component", "rust-src"]);
    let installed = command::succeeds(&mut install)?;
    (installed && has_miri())
        .then_some(())
        .context("Miri cannot be had: rustup did not install it on the nightly toolchain")
}

fn has_miri() -> bool {
    let components = command::output_of(Command::new("rustup").args([
        "component",
        "list",
        "--installed",
        "--toolchain",
        NIGHTLY,
    ]));
    components.is_ok_and(|list| {
        let has = |name: &str| list.lines().any(|line| line.starts_with(name));
        has("miri") && has("rust-src")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_answers_and_an_unknown_program_does_not() {
        assert!(answers("cargo"));
        assert!(!answers("no-such-program-anywhere"));
    }
}
