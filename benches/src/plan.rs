//! What a run consists of: tasks, each one fresh process, with its expected time.
//!
//! Progress, `--list` and the time that a chapter announces all come from the
//! same plan that is carried out, so they cannot disagree with it.

use crate::worker::Request;
use std::time::Duration;

/// How thorough a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A look: every row, few and short rounds.
    Quick,
    /// A judgement: what the bars are decided by.
    Full,
}

impl Mode {
    /// Picks the value that belongs to this mode.
    pub fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    /// The word that reports use.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.pick("quick", "full")
    }
}

/// The build that carries out a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Build {
    /// The default release profile: the one that is judged.
    Release,
    /// Fat link-time optimisation: shown beside it.
    Fat,
    /// The tiny variant binary under another `--cfg`, by name.
    Variant(&'static str),
}

/// One fresh process, and what it measures.
#[derive(Clone, Debug)]
pub struct Task {
    /// What progress shows while it runs.
    pub label: String,
    /// Which build runs it.
    pub build: Build,
    /// What it is asked.
    pub request: Request,
    /// How long it should take.
    pub expected: Duration,
}

/// The sum of what the tasks should take.
#[must_use]
pub fn expected(tasks: &[Task]) -> Duration {
    tasks.iter().map(|task| task.expected).sum()
}
