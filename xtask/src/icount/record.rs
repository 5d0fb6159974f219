//! The record of instruction counts: what was counted, when, by which compiler.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{command, workspace};

/// Where the record lies, relative to the root.
pub(super) const PATH: &str = "benches/record/icount.json";

/// How far a count may move before the check fails, in instructions.
///
/// One. For one compiler the count is exact; one instruction is what the compiler's
/// placing of registers moves when nearby code changes. A fast path has about thirty, so
/// a share in percent would either be less than one or hide a real test and branch.
const TOLERANCE: f64 = 1.0;

/// Instructions per call, and where they were counted.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Record {
    pub(super) recorded: String,
    pub(super) command: String,
    pub(super) commit: String,
    pub(super) compiler: String,
    pub(super) cpu: String,
    pub(super) tool: String,
    pub(super) counts: BTreeMap<String, f64>,
}

/// One function's count now and then.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    function: String,
    recorded: Option<f64>,
    counted: Option<f64>,
}

impl Record {
    pub(super) fn of_this_machine(counts: BTreeMap<String, f64>) -> Result<Self> {
        let line = |program: &str, args: &[&str]| {
            let output = command::output_of(
                Command::new(program)
                    .args(args)
                    .current_dir(workspace::root()),
            )?;
            Ok::<_, anyhow::Error>(output.lines().next().unwrap_or_default().to_owned())
        };
        Ok(Self {
            recorded: today()?,
            command: "cargo xtask icount --bless".to_owned(),
            commit: line("git", &["describe", "--always", "--dirty"])
                .unwrap_or_else(|_| "unknown".to_owned()),
            compiler: line("rustc", &["--version"])?,
            cpu: cpu(),
            tool: line("valgrind", &["--version"])?,
            counts,
        })
    }

    pub(super) fn read() -> Result<Self> {
        let text = fs::read_to_string(workspace::root().join(PATH)).with_context(|| {
            format!("cannot read {PATH}: write it with `cargo xtask icount --bless`")
        })?;
        serde_json::from_str(&text).with_context(|| format!("{PATH} is not a record"))
    }

    pub(super) fn write(&self) -> Result<()> {
        let path = workspace::root().join(PATH);
        fs::create_dir_all(path.parent().context("the record lies in a directory")?)?;
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }

    /// Every function of the record and of the count, with both figures.
    pub(super) fn compare(&self, counts: &BTreeMap<String, f64>) -> Vec<Change> {
        let mut functions: Vec<&String> = self.counts.keys().chain(counts.keys()).collect();
        functions.sort();
        functions.dedup();
        let change = |function: &String| Change {
            function: function.clone(),
            recorded: self.counts.get(function).copied(),
            counted: counts.get(function).copied(),
        };
        functions.into_iter().map(change).collect()
    }
}

impl Change {
    /// More instructions are a loss; fewer mean that the record no longer says how good
    /// we are. A function that only one side knows is a mistake on the other side.
    pub(super) fn is_beyond_tolerance(&self) -> bool {
        match (self.recorded, self.counted) {
            (Some(recorded), Some(counted)) => (counted - recorded).abs() > TOLERANCE,
            _ => true,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |value: Option<f64>| {
            value.map_or_else(|| "absent".to_owned(), |value| format!("{value:.2}"))
        };
        let verdict = if self.is_beyond_tolerance() {
            "BEYOND TOLERANCE: fix it, or `cargo xtask icount --bless`"
        } else {
            "ok"
        };
        let (recorded, counted) = (figure(self.recorded), figure(self.counted));
        write!(
            f,
            "{:<20} recorded {recorded:>8}  counted {counted:>8}  {verdict}",
            self.function
        )
    }
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(
        || "unknown".to_owned(),
        |name| name.trim_start_matches([' ', '\t', ':']).to_owned(),
    )
}

fn today() -> Result<String> {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?
        .as_secs();
    Ok(date_of(seconds / 86_400))
}

/// The date of a day counted from 1970-01-01, after Howard Hinnant's `civil_from_days`.
fn date_of(day: u64) -> String {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(recorded: Option<f64>, counted: Option<f64>) -> Change {
        Change {
            function: "f".to_owned(),
            recorded,
            counted,
        }
    }

    #[test]
    fn a_count_within_one_instruction_is_fine() {
        for counted in [29.0, 30.0, 30.5, 31.0] {
            assert!(
                !change(Some(30.0), Some(counted)).is_beyond_tolerance(),
                "{counted}"
            );
        }
    }

    #[test]
    fn more_fewer_and_unknown_are_found() {
        let cases = [
            (Some(30.0), Some(31.5)),
            (Some(30.0), Some(28.0)),
            (None, Some(1.0)),
            (Some(1.0), None),
        ];
        for (recorded, counted) in cases {
            assert!(
                change(recorded, counted).is_beyond_tolerance(),
                "{recorded:?} {counted:?}"
            );
        }
    }

    #[test]
    fn both_sides_are_compared() {
        let counts = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 3.0)).collect();
        let text = || "x".to_owned();
        let record = Record {
            recorded: text(),
            command: text(),
            commit: text(),
            compiler: text(),
            cpu: text(),
            tool: text(),
            counts: counts(&["a", "b"]),
        };
        assert_eq!(record.compare(&counts(&["b", "c"])).len(), 3);
    }

    #[test]
    fn days_become_dates() {
        let cases = [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (20_778, "2026-11-21"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ];
        for (day, date) in cases {
            assert_eq!(date_of(day), date);
        }
    }
}
