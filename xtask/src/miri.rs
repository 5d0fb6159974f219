//! `cargo xtask miri`: the tests of the unsafe crates, interpreted.
//!
//! Three passes. Stacked borrows and tree borrows each accept programs that the other
//! refuses, so both run; then the test targets named `concurrency…` run under many seeds,
//! because one seed is one schedule.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use cargo_metadata::{Package, TargetKind};

use crate::tidy;
use crate::{Verdict, command, tool, workspace};

/// Pointers keep their provenance, and alignment may not hold by luck.
const STRICT: &str = "-Zmiri-strict-provenance -Zmiri-symbolic-alignment-check";

/// Property tests write no files, which Miri forbids, and try few cases, for it is slow.
const PROPERTIES: &str =
    "-Zmiri-env-set=PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 -Zmiri-env-set=PROPTEST_CASES=4";

const CONCURRENCY: &str = "concurrency";

/// Flags of `cargo xtask miri`.
#[derive(Debug, clap::Args)]
pub(crate) struct MiriArgs {
    /// How many schedules the concurrency tests are run under.
    #[arg(long, default_value_t = 16)]
    seeds: u32,

    /// Under tree borrows, run the concurrency tests only, and those under many
    /// schedules.
    #[arg(long)]
    brief: bool,
}

pub(crate) fn run(args: &MiriArgs) -> Result<Verdict> {
    let metadata = workspace::metadata()?;
    let mut packages = Vec::new();
    for package in metadata.workspace_packages() {
        let published = package
            .publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty());
        if published && has_unsafe(package)? {
            packages.push(package);
        }
    }
    ensure!(
        !packages.is_empty(),
        "no published package has unsafe code: then what is Miri for?"
    );
    tool::nightly_with_miri()?;

    let names: Vec<&str> = packages
        .iter()
        .flat_map(|package| ["--package", package.name.as_str()])
        .collect();
    let everything = [&names[..], &["--lib", "--tests"]].concat();
    let stacked = interpret(STRICT, &everything)?;
    let concurrency = concurrency_targets(&packages)?;
    let tree = format!("{STRICT} -Zmiri-tree-borrows");
    let seeds = format!("-Zmiri-many-seeds=0..{}", args.seeds);
    if args.brief {
        let schedules = interpret(&format!("{tree} {seeds}"), &concurrency)?;
        return Ok(Verdict::from_holds(stacked && schedules));
    }
    let tree = interpret(&tree, &everything)?;
    let schedules = interpret(&format!("{STRICT} {seeds}"), &concurrency)?;
    Ok(Verdict::from_holds(stacked && tree && schedules))
}

fn interpret(flags: &str, selection: &[&str]) -> Result<bool> {
    let mut cargo = Command::new("cargo");
    cargo
        .arg(format!("+{}", tool::NIGHTLY))
        .args(["miri", "test", "--no-fail-fast"])
        .args(selection);
    cargo
        .arg("--target-dir")
        .arg(workspace::target_dir_for("miri"));
    cargo
        .env("MIRIFLAGS", format!("{flags} {PROPERTIES}"))
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC");
    command::succeeds(cargo.current_dir(workspace::root()))
}

/// Selects the test targets that share one pool between threads.
fn concurrency_targets<'a>(packages: &[&'a Package]) -> Result<Vec<&'a str>> {
    let mut selection = Vec::new();
    for package in packages {
        let tests = package
            .targets
            .iter()
            .filter(|target| target.kind.contains(&TargetKind::Test));
        let named = tests.filter(|target| target.name.starts_with(CONCURRENCY));
        let flags: Vec<&str> = named
            .flat_map(|target| ["--test", target.name.as_str()])
            .collect();
        if !flags.is_empty() {
            selection.extend(["--package", package.name.as_str()]);
            selection.extend(flags);
        }
    }
    ensure!(
        !selection.is_empty(),
        "no test target is named `{CONCURRENCY}…`: nothing to run under many seeds"
    );
    Ok(selection)
}

fn has_unsafe(package: &Package) -> Result<bool> {
    let directory = package
        .manifest_path
        .parent()
        .map_or(Path::new(""), |parent| parent.as_std_path());
    tidy::has_unsafe(&directory.join("src"))
}
