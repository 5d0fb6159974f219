//! `cargo xtask trial`: what a stranger does first, done in an empty crate.
//!
//! The program on the facade's README is copied as it stands, the facade is its one
//! dependency, everything is built from nothing, and it runs. So the page is known to
//! be enough, and the first build is known to be short.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{Verdict, command, workspace};

/// The longest first build, on two cores, of the facade with its default features.
const LONGEST_BUILD: Duration = Duration::from_secs(20);

/// Lines of a page.
const PAGE: usize = 60;

/// What shows that a kind of pool is in use.
const KINDS: [(&str, &str); 4] = [
    ("fixed", "fixed_pool"),
    ("arena", ".arena("),
    ("vector", "vector_pool"),
    ("bytes", ".buffer("),
];

pub(crate) fn run() -> Result<Verdict> {
    let page = fs::read_to_string(workspace::root().join("crates/millpond/README.md"))?;
    let program = first_program(&page).context("the README has no program")?;
    let lines = program.lines().count();
    ensure!(
        lines <= PAGE,
        "the README's program has {lines} lines; {PAGE} are a page"
    );
    for (kind, used) in KINDS {
        ensure!(
            program.contains(used),
            "the README's program uses no {kind} pool"
        );
    }
    let empty = EmptyCrate::create(&program)?;
    // What is downloaded is not what is built.
    ensure!(empty.cargo("fetch")?, "the dependencies cannot be had");
    let began = Instant::now();
    ensure!(empty.cargo("build")?, "the README's program does not build");
    let took = began.elapsed();
    ensure!(empty.cargo("run")?, "the README's program fails");
    let cores = std::thread::available_parallelism()?;
    println!(
        "built from nothing in {:.1} s on {cores} cores",
        took.as_secs_f64()
    );
    println!("at most {} s are allowed", LONGEST_BUILD.as_secs());
    Ok(Verdict::from_holds(took <= LONGEST_BUILD))
}

/// The first block of Rust on a page, as somebody would copy it.
fn first_program(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("```rust\n")?;
    let (program, _) = rest.split_once("```")?;
    Some(program.to_owned())
}

/// A crate with nothing but a dependency and a program.
struct EmptyCrate(PathBuf);

impl EmptyCrate {
    fn create(program: &str) -> Result<Self> {
        let place = workspace::target_dir_for("trial");
        if place.exists() {
            fs::remove_dir_all(&place).context("an earlier trial cannot be removed")?;
        }
        fs::create_dir_all(place.join("src"))?;
        fs::write(place.join("src/main.rs"), program)?;
        fs::write(place.join("Cargo.toml"), manifest(workspace::root()))?;
        // The versions that everything else here is tested with.
        fs::copy(
            workspace::root().join("Cargo.lock"),
            place.join("Cargo.lock"),
        )?;
        Ok(Self(place))
    }

    fn cargo(&self, word: &str) -> Result<bool> {
        let mut cargo = Command::new("cargo");
        cargo.args([word, "--quiet"]).current_dir(&self.0);
        cargo.env("CARGO_TARGET_DIR", self.0.join("target"));
        cargo.env_remove("RUSTFLAGS");
        command::succeeds(&mut cargo)
    }
}

fn manifest(root: &Path) -> String {
    let facade = root.join("crates/millpond").display().to_string();
    format!(
        "[package]\nname = \"trial\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nmillpond = {{ path = {facade:?} }}\n\n[workspace]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_copied_as_it_stands() {
        let page = "# A\n\n```sh\nls\n```\n\n```rust\nfn main() {}\n```\n\n```rust\nno\n```\n";
        assert_eq!(first_program(page).as_deref(), Some("fn main() {}\n"));
        assert_eq!(first_program("no program"), None);
    }
}
