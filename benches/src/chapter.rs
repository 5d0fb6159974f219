//! A chapter: one question about one pool, with its rows, tasks and bars.
//!
//! Chapters are tables of constants and functions, so that a new pool adds one
//! module and one line. Which figures a chapter collects is decided by
//! [`Chapter::tasks`]; where they appear, by [`Chapter::rows`].

use crate::bar::Bar;
use crate::plan::{Mode, Task};
use crate::record::ChapterRecord;
use crate::worker::{Measurement, Request};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// One chapter of the report.
#[derive(Debug)]
pub struct Chapter {
    /// The name that `--chapter` takes.
    pub name: &'static str,
    /// What it answers, in one line.
    pub question: &'static str,
    /// What its answers may not be used to claim.
    pub caveats: &'static [&'static str],
    /// Its rows, in the order of the report.
    pub rows: &'static [RowSpec],
    /// The processes to run.
    pub tasks: fn(Mode) -> Vec<Task>,
    /// What a worker does when it is asked.
    pub work: fn(&Request) -> Result<Vec<Measurement>>,
    /// The bars, judged from what was measured.
    pub bars: fn(&ChapterRecord) -> Vec<Bar>,
}

/// A row before it is measured.
#[derive(Clone, Copy, Debug)]
pub struct RowSpec {
    /// Its id in records, for example `pair-64`.
    pub id: &'static str,
    /// Its title in tables.
    pub title: &'static str,
    /// What is done, in one line.
    pub what: &'static str,
    /// The unit of its figures.
    pub unit: Unit,
    /// Where the report shows it.
    pub section: Section,
}

impl RowSpec {
    /// A row of any kind.
    #[must_use]
    pub const fn new(
        id: &'static str,
        title: &'static str,
        what: &'static str,
        unit: Unit,
        section: Section,
    ) -> Self {
        Self {
            id,
            title,
            what,
            unit,
            section,
        }
    }

    /// A row of [`Section::Time`], in nanoseconds.
    #[must_use]
    pub const fn time(id: &'static str, title: &'static str, what: &'static str) -> Self {
        Self::new(id, title, what, Unit::Nanos, Section::Time)
    }

    /// A row of [`Section::Space`].
    #[must_use]
    pub const fn space(
        id: &'static str,
        title: &'static str,
        what: &'static str,
        unit: Unit,
    ) -> Self {
        Self::new(id, title, what, unit, Section::Space)
    }
}

/// The unit of a row's figures. Smaller is better in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Nanoseconds.
    Nanos,
    /// Microseconds.
    Micros,
    /// Ticks of the time-stamp counter.
    Cycles,
    /// Bytes.
    Bytes,
    /// Mebibytes.
    Mebibytes,
    /// A number of things.
    Count,
    /// One figure divided by another.
    Ratio,
}

impl Unit {
    /// The unit as it is written after a figure.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Nanos => "ns",
            Self::Micros => "µs",
            Self::Cycles => "cycles",
            Self::Bytes => "B",
            Self::Mebibytes => "MiB",
            Self::Count => "",
            Self::Ratio => "×",
        }
    }
}

/// The parts of a chapter, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Time per operation.
    Time,
    /// Percentiles of single operations.
    Latency,
    /// Memory and allocations.
    Space,
    /// One process each, looked at again and again: values are instants.
    OverTime,
    /// What our own mechanisms cost, the same code with and without.
    Mechanism,
    /// The workspace's own data.
    RealInput,
}

impl Section {
    /// All sections, in order.
    pub const ALL: [Self; 6] = [
        Self::Time,
        Self::RealInput,
        Self::Latency,
        Self::Space,
        Self::OverTime,
        Self::Mechanism,
    ];

    /// The section's heading.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Time => "Time",
            Self::Latency => "Single operations",
            Self::Space => "Space",
            Self::OverTime => "Over time",
            Self::Mechanism => "What our own mechanisms cost",
            Self::RealInput => "Real input",
        }
    }
}
