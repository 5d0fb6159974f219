//! A run as it is kept: every round of every contender, with provenance.
//!
//! Records live in `benches/record/NAME.json`. They hold the rounds themselves,
//! not only medians, so that a later run can be compared with intervals; those of the
//! release build, which is what is compared, in as many digits as mean something. A
//! clone carries them for ever.

use crate::bar::Bar;
use crate::chapter::{Chapter, Section, Unit};
use crate::corpus::CorpusNote;
use crate::plan::{Build, Mode};
use crate::provenance::Provenance;
use crate::refusal::Refusal;
use crate::stats::Estimate;
use crate::worker::Measurement;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Raised when the meaning of a record changes; other numbers are refused.
const FORMAT: u32 = 1;

/// Our own contenders' names begin with this word.
pub const OURS: &str = "millpond";

/// One run of some chapters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The record's format.
    pub format: u32,
    /// Quick or full.
    pub mode: Mode,
    /// Where the figures come from.
    pub provenance: Provenance,
    /// The real input.
    pub corpus: CorpusNote,
    /// Peers that are not in this run, and why.
    pub left_out: Vec<LeftOut>,
    /// The chapters that were run.
    pub chapters: Vec<ChapterRecord>,
}

/// A peer that is not in a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeftOut {
    /// The peer's name.
    pub peer: String,
    /// Why it is not there.
    pub reason: String,
}

/// A chapter's figures and verdicts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChapterRecord {
    /// The chapter's name.
    pub name: String,
    /// What it answers.
    pub question: String,
    /// What its answers may not be used to claim.
    pub caveats: Vec<String>,
    /// Its rows, in order.
    pub rows: Vec<Row>,
    /// Its bars, judged.
    pub bars: Vec<Bar>,
    /// How long it took.
    pub seconds: f64,
}

/// One row: the same work by several contenders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Its id, for example `pair-64`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What is done.
    pub what: String,
    /// The unit of its figures.
    pub unit: Unit,
    /// Where it is shown.
    pub section: Section,
    /// The contenders, in the order in which they were listed.
    pub series: Vec<Series>,
}

/// One contender's figures in one row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Series {
    /// The contender's name.
    pub contender: String,
    /// Release build; index = round, shared with the row's other series.
    pub values: Vec<f64>,
    /// Median and interval of `values`.
    pub estimate: Option<Estimate>,
    /// Fat link-time optimisation, the same way.
    pub fat: Vec<f64>,
    /// Median and interval of `fat`.
    pub fat_estimate: Option<Estimate>,
    /// A text beside the figures, shown folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Series {
    /// Whether this is one of our pools.
    #[must_use]
    pub fn ours(&self) -> bool {
        self.contender.starts_with(OURS)
    }
}

impl Row {
    /// The series of `contender`, if it took part.
    #[must_use]
    pub fn series(&self, contender: &str) -> Option<&Series> {
        self.series
            .iter()
            .find(|series| series.contender == contender)
    }

    fn series_mut(&mut self, contender: &str) -> &mut Series {
        let known = self
            .series
            .iter()
            .position(|series| series.contender == contender);
        let index = known.unwrap_or_else(|| {
            self.series.push(Series {
                contender: contender.to_owned(),
                ..Series::default()
            });
            self.series.len() - 1
        });
        &mut self.series[index]
    }
}

#[cfg(test)]
impl Row {
    /// A row of times, for tests.
    pub(crate) fn of_pairs(series: Vec<Series>) -> Self {
        Self {
            id: "pair".into(),
            title: "pair".into(),
            what: String::new(),
            unit: Unit::Nanos,
            section: Section::Time,
            series,
        }
    }
}

impl ChapterRecord {
    /// A chapter before its first measurement.
    #[must_use]
    pub fn new(chapter: &Chapter) -> Self {
        let rows = chapter.rows.iter().map(|spec| Row {
            id: spec.id.to_owned(),
            title: spec.title.to_owned(),
            what: spec.what.to_owned(),
            unit: spec.unit,
            section: spec.section,
            series: Vec::new(),
        });
        Self {
            name: chapter.name.to_owned(),
            question: chapter.question.to_owned(),
            caveats: chapter
                .caveats
                .iter()
                .map(|&caveat| caveat.to_owned())
                .collect(),
            rows: rows.collect(),
            bars: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Adds what one process measured.
    ///
    /// # Errors
    ///
    /// If the chapter has no such row: a figure must not vanish.
    pub fn add(&mut self, build: &Build, measured: Measurement) -> Result<()> {
        let row = self.rows.iter_mut().find(|row| row.id == measured.row);
        let row = row.with_context(|| format!("no row {} in {}", measured.row, self.name))?;
        let series = row.series_mut(&measured.contender);
        if series.note.is_none() {
            series.note = measured.note;
        }
        let values = if *build == Build::Fat {
            &mut series.fat
        } else {
            &mut series.values
        };
        values.extend(measured.values);
        Ok(())
    }

    /// Computes estimates and bars once everything has been measured.
    pub fn conclude(&mut self, chapter: &Chapter) {
        for series in self.rows.iter_mut().flat_map(|row| &mut row.series) {
            series.estimate = Estimate::of(&series.values);
            series.fat_estimate = Estimate::of(&series.fat);
        }
        self.bars = (chapter.bars)(self);
    }

    /// The row with this id.
    #[must_use]
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }
}

impl Run {
    /// A run without chapters.
    #[must_use]
    pub fn new(
        mode: Mode,
        provenance: Provenance,
        corpus: CorpusNote,
        left_out: Vec<LeftOut>,
    ) -> Self {
        Self {
            format: FORMAT,
            mode,
            provenance,
            corpus,
            left_out,
            chapters: Vec::new(),
        }
    }

    /// Reads the record `name` below `directory`.
    ///
    /// # Errors
    ///
    /// A refusal if there is none, or if it is not one of ours.
    pub fn load(directory: &Path, name: &str) -> Result<Self> {
        let path = path_of(directory, name)?;
        let refuse = |why: String| Refusal::because(format!("record {name}: {why}"));
        let text = std::fs::read_to_string(&path)
            .map_err(|error| refuse(format!("{error}; there is {}", names(directory))))?;
        let run: Self = serde_json::from_str(&text)
            .map_err(|error| refuse(format!("not a record of this version ({error})")))?;
        if run.format != FORMAT {
            return Err(refuse(format!(
                "format {}, this version reads {FORMAT}",
                run.format
            )));
        }
        Ok(run)
    }

    /// Keeps this run as the record `name` below `directory`: without the rounds under
    /// fat link-time optimisation, of which the estimates stay, and with rounds in
    /// five digits.
    ///
    /// # Errors
    ///
    /// A refusal if `name` is no plain name; otherwise what writing said.
    pub fn save(&self, directory: &Path, name: &str) -> Result<PathBuf> {
        let path = path_of(directory, name)?;
        let mut kept = self.clone();
        for series in kept.series_mut() {
            series.fat.clear();
            series
                .values
                .iter_mut()
                .for_each(|value| *value = rounded(*value));
        }
        let json = numbers_in_rows(&serde_json::to_string_pretty(&kept)?);
        crate::report::write::atomically(&path, &json)?;
        Ok(path)
    }

    fn series_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        let rows = self
            .chapters
            .iter_mut()
            .flat_map(|chapter| &mut chapter.rows);
        rows.flat_map(|row| &mut row.series)
    }

    /// Refuses to be compared with a run over another corpus.
    ///
    /// # Errors
    ///
    /// A refusal in one line if the digests differ.
    pub fn require_same_corpus(&self, corpus: &CorpusNote) -> Result<()> {
        if self.corpus.digest == corpus.digest {
            return Ok(());
        }
        let (then, now) = (&self.corpus, corpus);
        Err(Refusal::because(format!(
            "the corpus differs: the record has {} ({} nodes, {} edges), this run {} ({} nodes, {} edges)",
            then.digest, then.nodes, then.edges, now.digest, now.nodes, now.edges
        )))
    }
}

/// Digits of a round that a record keeps. What is measured repeats in two or three; the
/// comparison calls a hundredth no difference.
const DIGITS: usize = 5;

fn rounded(value: f64) -> f64 {
    let text = format!("{value:.*e}", DIGITS - 1);
    text.parse().unwrap_or(value)
}

/// JSON with one line for each list of numbers, in place of one for each number.
fn numbers_in_rows(pretty: &str) -> String {
    let mut rows = String::with_capacity(pretty.len());
    let mut after_number = false;
    for line in pretty.lines() {
        let word = line.trim().trim_end_matches(',');
        let number = word.parse::<f64>().is_ok();
        let joins =
            (number && (after_number || rows.ends_with('['))) || (after_number && word == "]");
        if !joins {
            rows.push('\n');
            rows.push_str(line);
        } else {
            rows.push_str(line.trim());
        }
        after_number = number;
    }
    rows.trim_start().to_owned()
}

/// Where the record `name` lives; names are plain words, not paths.
///
/// # Errors
///
/// A refusal if `name` is empty or holds anything but letters, digits, `-`, `_`, `.`.
pub fn path_of(directory: &Path, name: &str) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Refusal::because(format!(
            "record name {name:?}: use letters, digits, '-', '_' and '.'"
        )));
    }
    Ok(directory.join(format!("{name}.json")))
}

/// The runs that a directory keeps, in order.
fn names(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_run = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        text.is_ok_and(|text| text.contains("\"chapters\""))
    };
    let mut names: Vec<String> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|known| known == "json"))
        .filter(is_run)
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort_unstable();
    match names.is_empty() {
        true => "none".into(),
        false => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_names_cannot_leave_their_directory() {
        for bad in ["", "../up", "a/b", ".hidden", "with space"] {
            assert!(
                path_of(Path::new("record"), bad)
                    .unwrap_err()
                    .is::<Refusal>(),
                "{bad:?}"
            );
        }
        assert!(path_of(Path::new("record"), "2026-11-21_a.1").is_ok());
    }

    #[test]
    fn rounds_are_kept_in_the_digits_that_mean_something() {
        assert_eq!(rounded(57.086_920_227_920_23), 57.087);
        assert_eq!(rounded(1_636_087.25), 1_636_100.0);
        assert_eq!(rounded(0.000_123_456_78), 0.000_123_46);
        assert_eq!(rounded(0.0), 0.0);
        assert!(rounded(f64::NAN).is_nan());
    }

    #[test]
    fn lists_of_numbers_are_one_line_each_and_mean_the_same() {
        let value =
            serde_json::json!({"a": [1.5, -2e9, 3], "b": {"c": 1, "d": [], "e": [[1, 2], "3"]}});
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let rows = numbers_in_rows(&pretty);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&rows).unwrap(),
            value
        );
        assert!(rows.contains("\"a\": [1.5,-2000000000.0,3]"), "{rows}");
    }

    #[test]
    fn missing_and_unreadable_records_are_refused_in_one_line() {
        let directory =
            std::env::temp_dir().join(format!("millpond-record-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("broken.json"), "{ half").unwrap();
        for name in ["absent", "broken"] {
            let error = Run::load(&directory, name).unwrap_err();
            assert!(
                error.is::<Refusal>() && error.to_string().lines().count() == 1,
                "{error}"
            );
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
