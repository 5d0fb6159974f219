//! The protocol between the parent and its workers: one line of JSON each way.
//!
//! The parent writes a [`Request`] to the worker's standard input and closes it;
//! the worker prints an [`Outcome`] and exits. Rounds, slice and what a quiet core is
//! like are arguments too, for a worker so small that it reads no JSON. A worker that fails ends the run
//! loudly: a row that silently went missing would read as "not interesting".

use crate::corpus::Corpus;
use anyhow::{Context, Result, bail};
use millpond_quiet::Tally;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The argument that turns the binary into a worker.
pub const ARGUMENT: &str = "worker";

/// What a worker is asked to measure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Request {
    /// The chapter that the task belongs to.
    pub chapter: String,
    /// The task's name within the chapter.
    pub task: String,
    /// One contender, for tasks that give each a process of its own.
    pub contender: String,
    /// Rounds to measure in this process.
    pub rounds: u32,
    /// Microseconds that one contender gets in one round.
    pub slice_micros: u64,
    /// Objects, operations or samples, as the task defines.
    pub count: u64,
    /// What a core is like that nobody shares.
    pub quiet: Quiet,
    /// The real input, for tasks that work on it.
    pub corpus: Option<Corpus>,
}

/// What to wait for before something is timed, and for how long: see [`millpond_quiet`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Quiet {
    /// The quotient of a core that nobody shares; 0 if none is to be waited for.
    pub quotient: f64,
    /// Microseconds that the process may wait, in all.
    pub patience_micros: u64,
}

/// What a worker found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Figures; index = round, so that series of one row can be compared round by round.
    pub measurements: Vec<Measurement>,
    /// How many slices were timed, and how many of them on a shared core.
    #[serde(default)]
    pub slices: Tally,
}

/// A series of figures of one contender in one row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// The row's id within its chapter.
    pub row: String,
    /// The contender's name.
    pub contender: String,
    /// The figures, in the row's unit.
    pub values: Vec<f64>,
    /// A text that the report shows with them, folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Measurement {
    /// A series of `contender` for `row`.
    pub fn new(row: impl Into<String>, contender: impl Into<String>, values: Vec<f64>) -> Self {
        Self {
            row: row.into(),
            contender: contender.into(),
            values,
            note: None,
        }
    }

    /// The same series with a text that the report shows with it, folded; of several
    /// processes' the first.
    #[must_use]
    pub fn with_note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }
}

/// Starts `binary` as a worker, hands it `request` and waits for the outcome.
///
/// # Errors
///
/// If the process cannot be started, fails, or prints something else.
pub fn ask(binary: &Path, request: &Request) -> Result<Outcome> {
    let text = serde_json::to_vec(request)?;
    let mut child = Command::new(binary)
        .arg(ARGUMENT)
        .args([request.rounds.to_string(), request.slice_micros.to_string()])
        .args([
            request.quiet.quotient.to_string(),
            request.quiet.patience_micros.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    // A worker that dies before it has read its request says why by its status.
    let taken = child
        .stdin
        .take()
        .map_or(Ok(()), |mut stdin| stdin.write_all(&text));
    let output = child.wait_with_output()?;
    if taken.is_err() || !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("no message");
        let (task, contender, status) = (&request.task, &request.contender, output.status);
        bail!("task {task}/{contender} failed: {line} ({status})");
    }
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said).with_context(|| format!("task {} said: {said}", request.task))
}

/// The worker's half: reads the request, does the work, prints the outcome.
///
/// # Errors
///
/// If the request cannot be read or the work fails.
pub fn serve(work: impl FnOnce(&Request) -> Result<Vec<Measurement>>) -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let request: Request = serde_json::from_str(&text).context("unreadable request")?;
    let Quiet {
        quotient,
        patience_micros,
    } = request.quiet;
    millpond_quiet::expect(quotient, Duration::from_micros(patience_micros));
    let measurements = work(&request)?;
    let outcome = Outcome {
        measurements,
        slices: millpond_quiet::tally(),
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}
