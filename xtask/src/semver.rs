//! `cargo xtask semver`: what changed for users since a commit, as semantic versions see
//! it.
//!
//! Not a step of `.ci/run`: it builds the documentation of both sides of every crate, and
//! before the first release nothing is promised. It is typed before a version is chosen.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{Verdict, command, tool, workspace};

/// Flags of `cargo xtask semver`.
#[derive(Debug, clap::Args)]
pub(crate) struct SemverArgs {
    /// The commit or tag that users have
    #[arg(value_name = "REVISION")]
    baseline: String,
}

pub(crate) fn run(args: &SemverArgs) -> Result<Verdict> {
    ensure!(
        tool::answers("cargo-semver-checks"),
        "cargo-semver-checks is missing: `cargo install cargo-semver-checks --locked`"
    );
    let mut cargo = Command::new("cargo");
    cargo.args(["semver-checks", "check-release", "--baseline-rev"]);
    cargo.arg(&args.baseline).current_dir(workspace::root());
    for package in workspace::metadata()?.workspace_packages() {
        // `None`: anywhere. An empty list: nowhere.
        if package.publish.is_none() {
            cargo.args(["--package", &package.name]);
        }
    }
    Ok(Verdict::from_holds(command::succeeds(&mut cargo)?))
}
