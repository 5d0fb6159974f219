//! `cargo xtask load`: the load test of byte pools, in the release profile.

use std::process::Command;

use anyhow::Result;

use crate::{Verdict, command, workspace};

/// Flags of `cargo xtask load`: the program's own, see `cargo xtask load -- --help`.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Passed on: `--seconds`, `--workers`, `--sizes`, `--operations`, `--touch`, `--warm-up`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<String>,
}

pub(crate) fn run(args: &LoadArgs) -> Result<Verdict> {
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "millpond-load",
            "--",
        ])
        .args(&args.flags)
        .current_dir(workspace::root());
    Ok(Verdict::from_holds(command::succeeds(&mut cargo)?))
}
