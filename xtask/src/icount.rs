//! `cargo xtask icount`: instructions per acquire and release, against the record.
//!
//! Time on a shared machine moves from run to run; the number of instructions does not.
//! So wall time tells the story and this is the gate. Callgrind counts inside the probe's
//! functions only. Two runs of different length are subtracted, which leaves out
//! everything that happens once: the first call, the refill, the exit.
//!
//! A pool that a pond made is compared with the same pool by itself, in the same run.

mod record;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use self::record::{Change, Record};
use crate::{Verdict, command, probe, tool, workspace};

/// Lengths of the two runs. Both are past the first refill, and a thousand calls show
/// a cost that is paid once in a magazine as its share.
const SHORT: u64 = 1_000;
const LONG: u64 = 2_000;

/// Flags of `cargo xtask icount`.
#[derive(Debug, clap::Args)]
pub(crate) struct IcountArgs {
    /// Write what was counted into the record instead of comparing with it.
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(args: &IcountArgs) -> Result<Verdict> {
    ensure!(
        tool::answers("valgrind"),
        "valgrind is missing: it comes with the package `valgrind`"
    );
    let probe = probe::build()?;
    let mut counts = BTreeMap::new();
    for function in probe::FAST_PATHS {
        counts.insert(
            (*function).to_owned(),
            instructions_per_call(&probe, function)?,
        );
    }
    if args.bless {
        Record::of_this_machine(counts)?.write()?;
        println!("wrote {}", record::PATH);
        return Ok(Verdict::Holds);
    }
    let record = Record::read()?;
    println!(
        "record of {} ({}, {})",
        record.recorded, record.compiler, record.cpu
    );
    let changes = record.compare(&counts);
    for change in &changes {
        println!("{change}");
    }
    let facade_holds = compare_facade(&probe)?;
    let record_holds = !changes.iter().any(Change::is_beyond_tolerance);
    Ok(Verdict::from_holds(record_holds && facade_holds))
}

/// Whether a pool of a pond costs what the pool by itself costs.
fn compare_facade(probe: &Path) -> Result<bool> {
    let mut holds = true;
    for (alone, of_a_pond, allowed) in probe::FACADE {
        let by_itself = instructions_per_call(probe, alone)?;
        let through = instructions_per_call(probe, of_a_pond)?;
        let held = through <= by_itself + allowed;
        let verdict = if held { "  ok  " } else { "BROKEN" };
        println!("{verdict} {of_a_pond}: {through:.1}, {alone}: {by_itself:.1}");
        holds &= held;
    }
    Ok(holds)
}

#[allow(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
fn instructions_per_call(probe: &Path, function: &str) -> Result<f64> {
    let long = instructions(probe, function, LONG)?;
    let short = instructions(probe, function, SHORT)?;
    ensure!(
        long > short,
        "{function}: {LONG} calls cost {long}, {SHORT} cost {short}: nothing was counted"
    );
    Ok((long - short) as f64 / (LONG - SHORT) as f64)
}

/// Instructions inside `function`, callees included, when it is called `times` times.
fn instructions(probe: &Path, function: &str, times: u64) -> Result<u64> {
    let out = workspace::target_dir_for("icount").join(format!("{function}.{times}.callgrind"));
    fs::create_dir_all(out.parent().context("the output lies in a directory")?)?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--toggle-collect={function}"));
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(probe).arg(function).arg(times.to_string());
    command::output_of(&mut valgrind)?;
    let profile =
        fs::read_to_string(&out).with_context(|| format!("cannot read {}", out.display()))?;
    total(&profile).with_context(|| format!("{} has no total", out.display()))
}

/// The sum that callgrind writes at the end of its profile.
fn total(profile: &str) -> Option<u64> {
    let line = profile.lines().find_map(|line| {
        line.strip_prefix("totals:")
            .or_else(|| line.strip_prefix("summary:"))
    });
    line?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_a_profile() {
        assert_eq!(
            total("version: 1\nevents: Ir\nsummary: 4321\nfn=(1) f\n"),
            Some(4321)
        );
        assert_eq!(total("events: Ir\nfn=(1) f\n7 8\ntotals: 77\n"), Some(77));
        assert_eq!(total("events: Ir\n"), None);
    }
}
