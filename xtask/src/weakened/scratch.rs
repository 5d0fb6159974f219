//! A copy of a workspace that may be spoiled, and the models run in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cargo_metadata::Message;

use crate::loom;

/// How long one model may run. Models are run twice here and once more by themselves, so
/// one that takes longer is too large; a weakened one fails early or runs for ever.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// How a model ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Passed,
    /// It failed, and this is the line it failed with.
    Failed(String),
    DidNotCompile,
    TimedOut,
}

/// The copy, and where it builds.
#[derive(Debug)]
pub(super) struct Scratch {
    tree: PathBuf,
    build: PathBuf,
    log: PathBuf,
    packages: Vec<String>,
}

impl Scratch {
    /// Copies everything that cargo needs from `root` to a directory under `place`, to be
    /// built in `build`.
    pub(super) fn copy_of(
        root: &Path,
        place: &Path,
        build: PathBuf,
        packages: &[&str],
    ) -> Result<Self> {
        let scratch = Self {
            tree: place.join("tree"),
            build,
            log: place.join("model.log"),
            packages: packages.iter().map(ToString::to_string).collect(),
        };
        if scratch.tree.exists() {
            fs::remove_dir_all(&scratch.tree)?;
        }
        copy(root, &scratch.tree)?;
        Ok(scratch)
    }

    pub(super) fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.tree.join(file)).with_context(|| format!("cannot read {file}"))
    }

    pub(super) fn write(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.tree.join(file), text).with_context(|| format!("cannot write {file}"))
    }

    /// Builds the test target `model` and runs its function `test`.
    pub(super) fn run_model(&self, model: &str, test: &str) -> Result<Ending> {
        let Some(executable) = self.build(model)? else {
            return Ok(Ending::DidNotCompile);
        };
        let mut command = Command::new(executable);
        command
            .args([test, "--exact", "--nocapture"])
            .current_dir(&self.tree);
        loom::configure(&mut command);
        let log = File::create(&self.log)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let Some(status) = run_within(&mut command, TIME_LIMIT)? else {
            return Ok(Ending::TimedOut);
        };
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        Ok(ending(status, &log))
    }

    fn build(&self, model: &str) -> Result<Option<PathBuf>> {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--release", "--no-run", "--message-format=json"]);
        for package in &self.packages {
            cargo.args(["--package", package]);
        }
        cargo
            .args(["--test", model])
            .arg("--target-dir")
            .arg(&self.build);
        cargo.current_dir(&self.tree).stdin(Stdio::null());
        loom::configure(&mut cargo);
        let output = cargo.output().context("cannot start cargo")?;
        if !output.status.success() {
            return Ok(None);
        }
        let executable =
            Message::parse_stream(&output.stdout[..]).find_map(|message| match message {
                Ok(Message::CompilerArtifact(artifact)) if artifact.target.name == model => {
                    artifact.executable
                }
                _ => None,
            });
        Ok(executable.map(PathBuf::from))
    }
}

/// A model passed only if it ran: a name that matches nothing also exits with success.
fn ending(status: ExitStatus, log: &str) -> Ending {
    if status.success() && !log.contains("test result: ok. 0 passed") {
        return Ending::Passed;
    }
    Ending::Failed(last_words(log).unwrap_or_else(|| status.to_string()))
}

/// The first message of a panic: the line after `panicked at`.
fn last_words(log: &str) -> Option<String> {
    let mut lines = log.lines().skip_while(|line| !line.contains("panicked at"));
    lines.next()?;
    let message = lines.next()?.trim();
    Some(message.chars().take(80).collect())
}

fn run_within(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    let mut child = command.spawn().context("cannot start the model")?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        let destination = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &destination)?;
        } else {
            fs::copy(entry.path(), &destination)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_does_not_end_is_stopped() {
        let mut endless = Command::new("sleep");
        endless.arg("60");
        assert_eq!(
            run_within(&mut endless, Duration::from_millis(30)).unwrap(),
            None
        );
    }

    #[test]
    fn the_words_of_a_panic_are_found() {
        let log = "running 1 test\nthread 'x' panicked at src/a.rs:1:2:\n  deadlock; threads = []\nnote: more\n";
        assert_eq!(last_words(log).as_deref(), Some("deadlock; threads = []"));
        assert_eq!(last_words("killed"), None);
    }
}
