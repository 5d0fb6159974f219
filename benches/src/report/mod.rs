//! The report: the same run on the terminal, as Markdown, as JSON, and as one page.
//!
//! All of them show what `view` decides, so that no two of them disagree about
//! a winner. Rules: intervals beside medians; no winner where intervals overlap;
//! every row that was measured is shown, whoever won it.

mod glance;
mod html;
mod markdown;
mod plot;
mod terminal;
mod view;
pub mod write;

use crate::against::Change;
use crate::record::Run;
use anyhow::Result;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A run, and what it was compared with.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// The run.
    #[serde(flatten)]
    pub run: &'a Run,
    /// The record it was compared with, and what changed.
    pub against: Option<Against<'a>>,
}

/// A comparison with an earlier record.
#[derive(Debug, Serialize)]
pub struct Against<'a> {
    /// The record's name.
    pub name: &'a str,
    /// The commit and machine of the record, in one line.
    pub origin: String,
    /// What both runs measured.
    pub changes: Vec<Change>,
}

impl Report<'_> {
    /// Prints the tables on the terminal.
    pub fn print(&self) {
        print!("{}", terminal::render(self));
    }

    /// Writes `index.html`, `report.md` and `report.json`; returns the page's path.
    ///
    /// # Errors
    ///
    /// If a file cannot be written or a plot cannot be drawn.
    pub fn write_to(&self, directory: &Path) -> Result<PathBuf> {
        let page = directory.join("index.html");
        let (html, markdown) = (html::render(self)?, markdown::render(self));
        write::atomically(
            &directory.join("report.json"),
            &serde_json::to_string_pretty(self)?,
        )?;
        write::atomically(&directory.join("report.md"), &markdown)?;
        write::atomically(&page, &html)?;
        Ok(page)
    }
}
