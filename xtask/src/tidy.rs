//! `cargo xtask tidy`: the repository's own rules, so that reviews can be about design.
//!
//! Each rule is a function from the [`Tree`] to a list of [`Violation`]s, in a file of
//! its own with a test that shows it failing. The rules look at text and at
//! `cargo metadata`; none of them builds anything, so the whole word takes a second.

mod crate_page;
mod facade;
mod figures;
mod file_names;
mod file_size;
mod index;
mod inheritance;
mod layers;
mod links;
mod machine_paths;
mod manual;
mod markdown;
mod readme;
pub(crate) mod tree;
mod unsafe_ledger;

use std::fmt;
use std::path::Path;

use anyhow::Result;

use self::tree::Tree;
use crate::{Verdict, workspace};

/// Flags of `cargo xtask tidy`.
#[derive(Debug, clap::Args)]
pub(crate) struct TidyArgs {
    /// Rewrite the counts of the unsafe ledger from the files, and the figures of the
    /// manual from the records.
    #[arg(long)]
    bless: bool,
}

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    /// Counted from 1; a violation of the file as a whole stands on line 1.
    line: usize,
    what: String,
}

impl Violation {
    fn new(file: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

type Rule = fn(&Tree) -> Vec<Violation>;

const RULES: &[(&str, Rule)] = &[
    ("layers: edges go strictly down", layers::check),
    (
        "inheritance: members inherit version, edition and lints",
        inheritance::check,
    ),
    (
        "unsafe ledger: files and counts match",
        unsafe_ledger::check,
    ),
    ("crate pages: same sections, same order", crate_page::check),
    ("file names: no drawer for odds and ends", file_names::check),
    ("links: every relative link resolves", links::check),
    ("index: it names every section of its page", index::check),
    (
        "machine paths: nothing of one machine",
        machine_paths::check,
    ),
    ("facade: shows what the crates show", facade::check),
    (
        "manual: pages are listed, tested, and lead nowhere else",
        manual::check,
    ),
    ("figures: pages say what the records say", figures::check),
    ("file size: nothing over 400 kB", file_size::check),
    ("readme: exactly two commands", readme::check),
];

pub(crate) fn run(args: &TidyArgs) -> Result<Verdict> {
    if args.bless {
        unsafe_ledger::bless(&Tree::read(workspace::root())?)?;
        figures::bless()?;
    }
    let tree = Tree::read(workspace::root())?;
    let mut broken = 0;
    for (name, rule) in RULES {
        let mut violations = rule(&tree);
        violations.sort();
        println!(
            "{} {name}",
            if violations.is_empty() {
                "  ok  "
            } else {
                "BROKEN"
            }
        );
        for violation in &violations {
            println!("       {violation}");
        }
        broken += violations.len();
    }
    println!(
        "{} rules, {} files, {broken} violations",
        RULES.len(),
        tree.files().len()
    );
    Ok(Verdict::from_holds(broken == 0))
}

/// Whether any Rust file under a directory has unsafe code.
pub(crate) fn has_unsafe(directory: &Path) -> Result<bool> {
    let files = tree::read_files(directory)?;
    let rust = files
        .iter()
        .filter(|file| tree::has_extension(&file.path, "rs"));
    Ok(rust
        .filter_map(|file| file.text.as_deref())
        .any(unsafe_ledger::is_unsafe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let tree = Tree::read(workspace::root()).unwrap();
        let violations: Vec<_> = RULES.iter().flat_map(|(_, rule)| rule(&tree)).collect();
        let listed: Vec<_> = violations.iter().map(ToString::to_string).collect();
        assert!(listed.is_empty(), "\n{}", listed.join("\n"));
    }
}
