//! The workspace's own commands, typed as `cargo xtask <word>`.
//!
//! Everything that is worth remembering about this repository is a word here, and
//! `.ci/run` only calls the words that you can type yourself:
//!
//! ```text
//!  bench      the main job: measure, compare, report
//!  replay     a program's own recorded traffic, against allocators and configurations
//!  tidy       the repository's own rules
//!  loom       the models of the protocols; --weakened removes one protection at a time
//!  miri       the tests of the unsafe crates under the interpreter
//!  icount     instruction counts of the fast paths against the record
//!  load       how many buffers a second this machine's byte pools move
//!  trial      what a stranger does first, in an empty crate
//!  figures    the figures of the manual, from the records
//!  semver     what changed for users since a commit
//!  asm        the machine code of the fast paths: no lock, no fence, no stray call
//! ```
//!
//! Exit codes: 0 all is well, 1 a check failed, 2 the command could not be understood
//! or could not be carried out.

mod asm;
mod bench;
mod command;
mod figures;
mod icount;
mod load;
mod loom;
mod miri;
mod probe;
mod semver;
mod tidy;
mod tool;
mod trial;
mod weakened;
mod workspace;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The workspace's own commands"
)]
struct Cli {
    #[command(subcommand)]
    word: Word,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Measure the pools against what you would otherwise use, and write a report.
    Bench(bench::BenchArgs),
    /// Replay a recorded trace against the allocators and against byte pools.
    Replay(bench::ReplayArgs),
    /// Check the repository's own rules.
    Tidy(tidy::TidyArgs),
    /// Run the loom models, or show that each fails when its protection is removed.
    Loom(loom::LoomArgs),
    /// Run the tests of the unsafe crates under Miri.
    Miri(miri::MiriArgs),
    /// Count the instructions of the fast paths and compare with the record.
    Icount(icount::IcountArgs),
    /// Run the load test of byte pools.
    Load(load::LoadArgs),
    /// Build and run the README's program in an empty crate, as a stranger would.
    Trial,
    /// Write the figures of the manual from the records.
    Figures,
    /// Say what changed for users since a commit, as semantic versions see it.
    Semver(semver::SemverArgs),
    /// Disassemble the fast paths and look for what must not be there.
    Asm,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let outcome = match cli.word {
        Word::Bench(args) => return bench::run(&args),
        Word::Replay(args) => return bench::replay(&args),
        Word::Tidy(args) => tidy::run(&args),
        Word::Loom(args) => loom::run(&args),
        Word::Miri(args) => miri::run(&args),
        Word::Icount(args) => icount::run(&args),
        Word::Load(args) => load::run(&args),
        Word::Trial => trial::run(),
        Word::Figures => figures::run(),
        Word::Semver(args) => semver::run(&args),
        Word::Asm => asm::run(),
    };
    match outcome {
        Ok(Verdict::Holds) => ExitCode::SUCCESS,
        Ok(Verdict::Broken) => ExitCode::from(1),
        Err(error) => cannot(&error),
    }
}

/// What a check found. An `Err` beside it means that the check could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    Broken,
}

impl Verdict {
    fn from_holds(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Broken }
    }
}

/// Help goes out as clap writes it; a mistake is one line.
fn not_understood(error: &clap::Error) -> ExitCode {
    let wants_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if wants_help || !error.use_stderr() {
        error.exit();
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or("error: bad command line");
    eprintln!("{line}");
    ExitCode::from(2)
}

fn cannot(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_page_for_contributors_has_every_word() {
        let page = workspace::root().join("CONTRIBUTING.md");
        let page = std::fs::read_to_string(page).unwrap();
        for word in Cli::command().get_subcommands() {
            let row = format!("| `cargo xtask {}", word.get_name());
            assert!(page.contains(&row), "{row}");
        }
    }
}
