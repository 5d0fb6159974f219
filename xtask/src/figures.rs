//! `cargo xtask figures`: the manual's figures, made of the records.
//!
//! ```text
//!  benches/record/icount.json   cargo xtask icount --bless    ┐    docs/figures.md, and what
//!  benches/record/NAME.json     cargo xtask bench --save NAME ┴──► any page quotes of it
//! ```
//!
//! So no figure on the page was typed by anybody. `tidy` compares the pages with what
//! the records say, and fails if either changed alone.

mod quoted;

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::tidy::tree;
use crate::{Verdict, workspace};

/// Where records lie.
pub(crate) const RECORDS: &str = "benches/record/";

/// What is made of them.
pub(crate) const PAGE: &str = "docs/figures.md";

pub(crate) fn run() -> Result<Verdict> {
    write()?;
    Ok(Verdict::Holds)
}

/// Writes the pages that are not what the records say.
pub(crate) fn write() -> Result<()> {
    let files = tree::read_files(workspace::root())?;
    let texts = files.iter();
    let texts = texts.filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)));
    for (path, text) in outdated(&Vec::from_iter(texts))? {
        fs::write(workspace::root().join(path), text)?;
        println!("wrote {path}");
    }
    Ok(())
}

/// The pages that are not what the records say, and what they should be.
pub(crate) fn outdated<'t>(texts: &[(&'t str, &'t str)]) -> Result<Vec<(&'t str, String)>> {
    let of_record = |&(path, text): &(&'t str, &'t str)| {
        let name = path.strip_prefix(RECORDS)?.strip_suffix(".json")?;
        Some((name, text))
    };
    let mut files: Vec<_> = texts.iter().filter_map(of_record).collect();
    files.sort_unstable();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let records = Records::read(&files)?;
    let mut pages = vec![(PAGE, page(&records)?)];
    let markdown = |(path, _): &&(&str, &str)| tree::has_extension(path, "md") && *path != PAGE;
    for &(path, text) in texts.iter().filter(markdown) {
        let quoted = quoted::quote(&records, text);
        pages.push((path, quoted.with_context(|| path.to_owned())?));
    }
    pages.retain(|(path, page)| !texts.contains(&(path, page.as_str())));
    Ok(pages)
}

/// What the records say.
struct Records {
    counted: Option<Counted>,
    /// With their names, in order.
    runs: Vec<(String, Run)>,
}

impl Records {
    /// Of texts with the names of their files.
    fn read(files: &[(&str, &str)]) -> Result<Self> {
        let mut records = Self {
            counted: None,
            runs: Vec::new(),
        };
        for &(name, text) in files {
            let no_record = || format!("{RECORDS}{name}.json is no record");
            if name == "icount" {
                records.counted = Some(serde_json::from_str(text).with_context(no_record)?);
            } else {
                let run = serde_json::from_str(text).with_context(no_record)?;
                records.runs.push((name.to_owned(), run));
            }
        }
        Ok(records)
    }

    /// The latest run that has this chapter.
    fn latest_of(&self, chapter: &str) -> Option<&Run> {
        let runs = self.runs.iter().filter(|(_, run)| run.has(chapter));
        let latest = runs.max_by_key(|(name, run)| (&run.provenance.date, name));
        latest.map(|(_, run)| run)
    }
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
    id: String,
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

/// The page. A chapter that several records have is shown of the latest.
fn page(records: &Records) -> Result<String> {
    let mut page = String::from(
        "# Measured figures\n\n\
         Made by `cargo xtask figures` of the records in `benches/record`; no figure here was\n\
         typed. They are those of one machine on one day: quote ratios, and measure your own with\n\
         `cargo xtask bench`. Figures are medians with 95 % intervals.\n",
    );
    if let Some(record) = &records.counted {
        page += &counted(record)?;
    }
    for (name, run) in &records.runs {
        let is_latest = |chapter: &&Chapter| {
            let latest = records.latest_of(&chapter.name);
            latest.is_some_and(|latest| std::ptr::eq(latest, run))
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

fn counted(record: &Counted) -> Result<String> {
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
        said += "\nAll rows:\n\n| row | who | figure | interval |\n|---|---|---:|---:|\n";
        for row in &chapter.rows {
            rows(&mut said, row)?;
        }
        said += "\nWhat is done:\n\n";
        for Row { title, what, .. } in &chapter.rows {
            writeln!(said, "- {title}: {}", shown(what))?;
        }
        said += "\nNot to be claimed:\n\n";
        for caveat in &chapter.caveats {
            writeln!(said, "- {}", shown(caveat))?;
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
    let unit = unit(&row.unit);
    let mut title = row.title.as_str();
    for Series {
        contender,
        estimate,
    } in &row.series
    {
        if let Some(Estimate { median, low, high }) = estimate {
            let (median, low, high) = (short(*median), short(*low), short(*high));
            let figure = format!("{median} {unit}");
            let contender = shown(contender);
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

/// A unit as it is written behind a figure.
fn unit(name: &str) -> &str {
    match name {
        "nanos" => "ns",
        "micros" => "µs",
        "bytes" => "B",
        "mebibytes" => "MiB",
        "ratio" => "×",
        "count" => "",
        other => other,
    }
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
        let (what, against, verdict) = (&bar.what, shown(&bar.against), &bar.verdict);
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

/// A text as Markdown shows it: outside of code the parameters of a type are no tag.
fn shown(text: &str) -> String {
    let pieces = text.split('`').enumerate().map(|(number, piece)| {
        let is_code = number % 2 == 1;
        if is_code {
            piece.to_owned()
        } else {
            piece.replace('<', "&lt;")
        }
    });
    pieces.collect::<Vec<_>>().join("`")
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

    pub(super) const RUN: &str = r#"{"mode": "full", "provenance": {"date": "d", "commit": "c", "machine": "m",
        "cpu": "p", "cores": 2, "build": {"compiler": "rustc"}}, "chapters": [{"name": "n",
        "question": "How long?", "caveats": ["Nothing."], "rows": [{"id": "pair-1", "title": "pair",
        "what": "One pair.", "unit": "nanos", "series": [
        {"contender": "a", "estimate": {"median": 12.345, "low": 1.0, "high": 200.4}},
        {"contender": "b", "estimate": {"median": 2.5, "low": 2.0, "high": 3.0}},
        {"contender": "absent", "estimate": null}]}], "bars": [{"what": "pair", "against": "b",
        "limit": 15.0, "figure": "nanos", "measured": null, "verdict": "not-measured"}]}]}"#;

    fn page(files: &[(&str, &str)]) -> Result<String> {
        super::page(&Records::read(files)?)
    }

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
    fn parameters_of_types_are_no_tags() {
        let run = RUN.replace(r#""One pair.""#, r#""A Vec<T>, not `Vec<T>`.""#);
        let page = page(&[("some", &run)]).unwrap();
        assert!(page.contains("A Vec&lt;T>, not `Vec<T>`."), "{page}");
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
