//! `cargo xtask loom`: every interleaving that loom can reach, for each protocol.
//!
//! The models live in `crates/millpond-core/tests/loom_*.rs`, and those of what the
//! arenas add in `crates/millpond-arena/tests/loom_*.rs`; they compile to nothing
//! without `--cfg millpond_loom`. `--weakened` turns the question round: it removes one
//! protection at a time from a copy and expects the named model to fail.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{Verdict, command, weakened, workspace};

/// Preemptions that loom tries in one execution.
///
/// With two, a small pool shared by three threads took 6 s; with three it did not end in
/// ten times as long (November 2026, 2-core virtual machine, Zen 5). The variable
/// `LOOM_MAX_PREEMPTIONS` of the caller wins.
const MAX_PREEMPTIONS: &str = "2";

/// The engine's shim looks for this cfg. Debug assertions make each model check more.
const RUSTFLAGS: &str = "--cfg millpond_loom -C debug-assertions";

/// Flags of `cargo xtask loom`.
#[derive(Debug, clap::Args)]
pub(crate) struct LoomArgs {
    /// Remove one protection at a time and show that its model fails.
    #[arg(long)]
    weakened: bool,
    /// Run only the models, or weakenings, whose name contains this.
    filter: Option<String>,
}

pub(crate) fn run(args: &LoomArgs) -> Result<Verdict> {
    if args.weakened {
        return weakened::run(args.filter.as_deref());
    }
    let mut cargo = Command::new("cargo");
    cargo.args([
        "test",
        "--release",
        "--package",
        "millpond-core",
        "--package",
        "millpond-arena",
        "--test",
        "loom_*",
    ]);
    cargo.arg("--target-dir").arg(target_dir());
    cargo.args(&args.filter).current_dir(workspace::root());
    configure(&mut cargo);
    Ok(Verdict::from_holds(command::succeeds(&mut cargo)?))
}

/// Where models are built: their flags differ from everybody else's.
pub(crate) fn target_dir() -> PathBuf {
    workspace::target_dir_for("loom")
}

/// The environment that a model is built and run in.
pub(crate) fn configure(cargo: &mut Command) {
    cargo
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", RUSTFLAGS);
    if std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none() {
        cargo.env("LOOM_MAX_PREEMPTIONS", MAX_PREEMPTIONS);
    }
}
