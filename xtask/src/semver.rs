//! `cargo xtask semver`: what changed for users since a commit, as semantic versions see
//! it.
//!
//! ```text
//!  each published crate ─┬─ was there at the commit ──► cargo-semver-checks, crate by crate
//!                        └─ was not                 ──► "new": nothing can have broken
//! ```
//!
//! Not a step of `.ci/run`: it builds the documentation of both sides of every crate, and
//! before the first release nothing is promised. It is typed before a version is chosen.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::Package;

use crate::{Verdict, command, tool, workspace};

/// Where a tool is looked for, beside the path: `cargo install` puts it there if told.
const TOOLS: &str = "target/tools";

/// Flags of `cargo xtask semver`.
#[derive(Debug, clap::Args)]
pub(crate) struct SemverArgs {
    /// The commit or tag that users have
    #[arg(value_name = "REVISION")]
    baseline: String,
    /// Look at this crate only; may be repeated
    #[arg(long = "package", value_name = "NAME")]
    packages: Vec<String>,
}

pub(crate) fn run(args: &SemverArgs) -> Result<Verdict> {
    let checker = checker()?;
    let commit = command::output_of(
        git(&["rev-parse", "--verify", "--quiet"]).arg(format!("{}^{{commit}}", args.baseline)),
    )
    .with_context(|| format!("{:?} is no commit of this repository", args.baseline))?;
    let mut broken = Vec::new();
    for package in published(&args.packages)? {
        let name = package.name.to_string();
        if !was_there(commit.trim(), &package)? {
            println!(
                "{name}: new since {}, so nothing can have broken",
                args.baseline
            );
            continue;
        }
        println!("{name}:");
        let mut check = Command::new(&checker);
        check.args(["semver-checks", "check-release", "--package", &name]);
        check.args(["--baseline-rev", commit.trim()]);
        if !command::succeeds(check.current_dir(workspace::root()))? {
            broken.push(name);
        }
    }
    match broken.as_slice() {
        [] => println!("nothing that users have was broken"),
        names => println!("needs another version than it has: {}", names.join(", ")),
    }
    Ok(Verdict::from_holds(broken.is_empty()))
}

/// The program, from `target/tools` or the path.
fn checker() -> Result<String> {
    let local = workspace::root()
        .join(TOOLS)
        .join("bin/cargo-semver-checks");
    let local = local.to_string_lossy().into_owned();
    let found = [local, "cargo-semver-checks".to_owned()];
    let found = found.into_iter().find(|program| tool::answers(program));
    found.context(
        "cargo-semver-checks is missing, and cargo builds it in some minutes: \
         `cargo install cargo-semver-checks --locked --root target/tools`; it needs a newer \
         compiler than the crates do",
    )
}

/// The crates that are published, or those of them that were asked for.
fn published(asked: &[String]) -> Result<Vec<Package>> {
    let packages = workspace::metadata()?;
    let packages = packages.workspace_packages().into_iter().cloned();
    // `None`: anywhere. An empty list: nowhere.
    let published: Vec<Package> = packages.filter(|it| it.publish.is_none()).collect();
    let names: Vec<&str> = published.iter().map(|it| it.name.as_str()).collect();
    for name in asked {
        ensure!(
            names.contains(&name.as_str()),
            "{name} is not published; these are: {}",
            names.join(", ")
        );
    }
    let wanted = |it: &Package| asked.is_empty() || asked.iter().any(|name| *name == *it.name);
    Ok(published.into_iter().filter(wanted).collect())
}

/// Whether the crate's manifest lay where it lies now.
fn was_there(commit: &str, package: &Package) -> Result<bool> {
    let root = fs::canonicalize(workspace::root())?;
    let manifest = fs::canonicalize(&package.manifest_path)?;
    let manifest = manifest.strip_prefix(&root)?.to_string_lossy().into_owned();
    let found = command::output_of(git(&["ls-tree", "--name-only", commit, "--"]).arg(&manifest))?;
    Ok(!found.trim().is_empty())
}

fn git(words: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.args(words).current_dir(workspace::root());
    git
}
