//! What is running, and how long is left.
//!
//! On a terminal a bar on standard error; elsewhere (continuous integration,
//! a pipe) one line at each tenth, so that a log shows life without drowning.

use crate::plan::{Task, expected};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Progress through a plan of tasks.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
    began: Instant,
    done: Duration,
    total: Duration,
    tenth: u128,
}

impl Progress {
    /// Progress through `tasks`, of which none has begun.
    #[must_use]
    pub fn through(tasks: &[Task]) -> Self {
        let total = expected(tasks);
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(millis(total)), target);
        let template = "{spinner} [{bar:16}] {percent:>3} %  {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            terminal,
            began: Instant::now(),
            done: Duration::ZERO,
            total,
            tenth: 0,
        }
    }

    /// Announces the task that begins now.
    pub fn begin(&mut self, chapter: &str, label: &str) {
        let left = spoken(self.left());
        self.bar
            .set_message(format!("{left} left  {chapter}: {label}"));
        let tenth = self.done.as_millis() * 10 / self.total.as_millis().max(1);
        if !self.terminal && (tenth > self.tenth || self.done.is_zero()) {
            eprintln!("{:>3} %  {left} left  {chapter}: {label}", tenth * 10);
            self.tenth = tenth;
        }
    }

    /// Notes that a task which should have taken `expected` is over.
    pub fn finish(&mut self, expected: Duration) {
        self.done += expected;
        self.bar.set_position(millis(self.done));
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// What is left of the plan, at the speed that this machine has shown so far.
    fn left(&self) -> Duration {
        let planned = self.total.saturating_sub(self.done);
        if self.done < Duration::from_secs(2) {
            return planned;
        }
        planned.mul_f64(self.began.elapsed().as_secs_f64() / self.done.as_secs_f64())
    }
}

/// A duration as one says it: "about 40 s", "about 4 min".
#[must_use]
pub fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..=99 => format!("about {} s", seconds.max(1)),
        seconds => format!("about {} min", seconds.div_ceil(60)),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
