//! `cargo xtask figures`: the manual's page of measured figures, made of the records.
//!
//! ```text
//!  benches/record/icount.json   cargo xtask icount --bless    ┐
//!  benches/record/NAME.json     cargo xtask bench --save NAME ┴──► docs/figures.md
//! ```
//!
//! So no figure on the page was typed by anybody. `tidy` compares the page with what
//! the records say, and fails if either changed alone.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::{Verdict, workspace};

/// Where records lie.
pub(crate) const RECORDS: &str = "benches/record/";

/// What is made of them.
pub(crate) const PAGE: &str = "docs/figures.md";

pub(crate) fn run() -> Result<Verdict> {
    write()?;
    println!("wrote {PAGE}");
    Ok(Verdict::Holds)
}

/// Writes the page of the records that there are.
pub(crate) fn write() -> Result<()> {
    let directory = workspace::root().join(RECORDS);
    let mut records = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let name = path.file_stem().unwrap_or_default();
            records.push((
                name.to_string_lossy().into_owned(),
                fs::read_to_string(&path)?,
            ));
        }
    }
    records.sort();
    let records: Vec<_> = records
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    fs::write(workspace::root().join(PAGE), page(&records)?)?;
    Ok(())
}

/// Instructions of the fast paths.
#[derive(Deserialize)]
struct Counted {
    recorded: String,
    command: String,
    compiler: String,
    cpu: String,
    counts: BTreeMap<String, f64>,
}

/// A run of chapters, as far as the page shows it.
#[derive(Deserialize)]
struct Run {
    mode: String,
    provenance: Provenance,
    chapters: Vec<Chapter>,
}

#[derive(Deserialize)]
struct Provenance {
    date: String,
    commit: String,
    machine: String,
    cpu: String,
    cores: usize,
    build: Build,
}

#[derive(Deserialize)]
struct Build {
    compiler: String,
}

#[derive(Deserialize)]
struct Chapter {
    name: String,
    question: String,
    caveats: Vec<String>,
    rows: Vec<Row>,
    bars: Vec<Bar>,
}

#[derive(Deserialize)]
struct Row {
    title: String,
    what: String,
    unit: String,
    series: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    contender: String,
    estimate: Option<Estimate>,
}

#[derive(Deserialize)]
struct Bar {
    what: String,
    against: String,
    limit: f64,
    figure: String,
    measured: Option<Estimate>,
    verdict: String,
}

#[derive(Deserialize)]
struct Estimate {
    median: f64,
    low: f64,
    high: f64,
}

/// The page, of records with their names, in order. A chapter that several records have
/// is shown of the latest.
pub(crate) fn page(records: &[(&str, &str)]) -> Result<String> {
    let mut page = String::from(
        "# Measured figures\n\n\
         Made by `cargo xtask figures` of the records in `benches/record`; no figure here was\n\
         typed. They are those of one machine on one day: quote ratios, and measure your own with\n\
         `cargo xtask bench`. Figures are medians with 95 % intervals.\n",
    );
    let mut runs = Vec::new();
    for &(name, text) in records {
        let no_record = || format!("{RECORDS}{name}.json is no record");
        if name == "icount" {
            page += &counted(text).with_context(no_record)?;
        } else {
            let run: Run = serde_json::from_str(text).with_context(no_record)?;
            runs.push((name, run));
        }
    }
    for (name, run) in &runs {
        let is_latest = |chapter: &&Chapter| {
            let others = runs.iter().filter(|(other, _)| other != name);
            let mut has_it = others.filter(|(_, other)| other.has(&chapter.name));
            let date = &run.provenance.date;
            has_it.all(|(other, its)| (&its.provenance.date, other) < (date, name))
        };
        let chapters: Vec<&Chapter> = run.chapters.iter().filter(is_latest).collect();
        page += &measured(name, run, &chapters)?;
    }
    Ok(page)
}

impl Run {
    fn has(&self, chapter: &str) -> bool {
        self.chapters.iter().any(|other| other.name == chapter)
    }
}

fn counted(text: &str) -> Result<String> {
    let record: Counted = serde_json::from_str(text)?;
    let Counted {
        recorded,
        command,
        compiler,
        cpu,
        counts,
    } = record;
    let mut said = format!(
        "\n## Instructions of the fast paths\n\n\
         `{command}`, {recorded}, {compiler}, {cpu}.\n\n| function | instructions |\n|---|---:|\n"
    );
    for (function, count) in counts {
        writeln!(said, "| `{function}` | {count} |")?;
    }
    Ok(said)
}

fn measured(name: &str, run: &Run, chapters: &[&Chapter]) -> Result<String> {
    let mut said = String::new();
    for chapter in chapters {
        let (question, of) = (&chapter.question, &chapter.name);
        write!(said, "\n## {question}\n\nChapter `{of}`, ")?;
        provenance(&mut said, name, run)?;
        bars(&mut said, &chapter.bars)?;
        said += "\n| row | who | figure | interval |\n|---|---|---:|---:|\n";
        for row in &chapter.rows {
            rows(&mut said, row)?;
        }
        said += "\nWhat is done:\n\n";
        for Row { title, what, .. } in &chapter.rows {
            writeln!(said, "- {title}: {what}")?;
        }
        said += "\nNot to be claimed:\n\n";
        for caveat in &chapter.caveats {
            writeln!(said, "- {caveat}")?;
        }
    }
    Ok(said)
}

fn provenance(said: &mut String, name: &str, run: &Run) -> Result<()> {
    let Provenance {
        date,
        commit,
        machine,
        cpu,
        cores,
        build,
    } = &run.provenance;
    let (mode, compiler) = (&run.mode, &build.compiler);
    writeln!(
        said,
        "{mode} run kept as `{name}`: commit {commit}, {date}, {compiler}, {machine}, \
         {cores} × {cpu}."
    )?;
    Ok(())
}

/// A line for each contender that was measured; the row is named on its first.
fn rows(said: &mut String, row: &Row) -> Result<()> {
    let unit = match row.unit.as_str() {
        "nanos" => "ns",
        "micros" => "µs",
        "bytes" => "B",
        "mebibytes" => "MiB",
        "ratio" => "×",
        "count" => "",
        other => other,
    };
    let mut title = row.title.as_str();
    for Series {
        contender,
        estimate,
    } in &row.series
    {
        if let Some(Estimate { median, low, high }) = estimate {
            let (median, low, high) = (short(*median), short(*low), short(*high));
            let figure = format!("{median} {unit}");
            writeln!(
                said,
                "| {title} | {contender} | {} | {low}–{high} |",
                figure.trim()
            )?;
            title = "";
        }
    }
    Ok(())
}

fn bars(said: &mut String, bars: &[Bar]) -> Result<()> {
    if bars.is_empty() {
        return Ok(());
    }
    *said += "\n| bar | against | at most | measured | verdict |\n|---|---|---:|---:|---|\n";
    for bar in bars {
        let unit = match bar.figure.as_str() {
            "ratio" => " ×",
            "nanos" => " ns",
            "cycles" => " cycles",
            _ => "",
        };
        let (what, against, verdict) = (&bar.what, &bar.against, &bar.verdict);
        let measured = match &bar.measured {
            Some(estimate) => format!("{}{unit}", short(estimate.median)),
            None => "–".to_owned(),
        };
        let limit = short(bar.limit);
        let verdict = verdict.replace('-', " ");
        writeln!(
            said,
            "| {what} | {against} | {limit}{unit} | {measured} | {verdict} |"
        )?;
    }
    Ok(())
}

/// Three digits that count.
fn short(figure: f64) -> String {
    let digits = match figure.abs() {
        large if large >= 100.0 => 0,
        large if large >= 10.0 => 1,
        _ => 2,
    };
    format!("{figure:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = r#"{"mode": "full", "provenance": {"date": "d", "commit": "c", "machine": "m",
        "cpu": "p", "cores": 2, "build": {"compiler": "rustc"}}, "chapters": [{"name": "n",
        "question": "How long?", "caveats": ["Nothing."], "rows": [{"title": "pair",
        "what": "One pair.", "unit": "nanos", "series": [
        {"contender": "a", "estimate": {"median": 12.345, "low": 1.0, "high": 200.4}},
        {"contender": "absent", "estimate": null}]}], "bars": [{"what": "pair", "against": "b",
        "limit": 15.0, "figure": "nanos", "measured": null, "verdict": "not-measured"}]}]}"#;

    #[test]
    fn what_was_measured_is_shown_and_what_was_not_is_not() {
        let page = page(&[("some", RUN)]).unwrap();
        assert!(page.contains("| pair | a | 12.3 ns | 1.00–200 |"), "{page}");
        assert!(!page.contains("absent"));
        assert!(
            page.contains("| pair | b | 15.0 ns | – | not measured |"),
            "{page}"
        );
        let (bars, rows) = (page.find("| bar |"), page.find("| row |"));
        assert!(bars < rows, "verdicts first: {page}");
    }

    #[test]
    fn a_chapter_is_shown_once_of_the_latest_record() {
        let later = RUN
            .replace(r#""date": "d""#, r#""date": "e""#)
            .replace("12.345", "99.9");
        let twice = page(&[("a", RUN), ("b", RUN)]).unwrap();
        assert_eq!(twice.matches("kept as `b`").count(), 1, "{twice}");
        for records in [[("a", RUN), ("b", &later)], [("a", &later), ("b", RUN)]] {
            let page = page(&records).unwrap();
            assert_eq!(page.matches("## How long?").count(), 1, "{page}");
            assert!(page.contains("99.9") && !page.contains("12.3"), "{page}");
        }
    }

    #[test]
    fn what_is_no_record_is_named() {
        let error = page(&[("icount", "{}")]).unwrap_err();
        assert!(format!("{error:#}").starts_with("benches/record/icount.json is no record"));
    }
}
