//! Bars: limits that we set ourselves, with verdicts computed from intervals.
//!
//! ```text
//!   low ──┼── high │           met:       the whole interval is within the limit
//!         low ──┼──│── high    undecided: the limit lies inside the interval
//!                  │ low ──┼── missed:    the whole interval is beyond the limit
//! ```

use crate::stats::Estimate;
use serde::{Deserialize, Serialize};

/// One bar and what was measured for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bar {
    /// The operation.
    pub what: String,
    /// What it is compared with; names the peer that turned out fastest.
    pub against: String,
    /// What the reference claims of this, in its own figures.
    #[serde(default)]
    pub claim: Option<String>,
    /// The limit: the measured figure must not exceed it.
    pub limit: f64,
    /// What kind of figure limit and measurement are.
    pub figure: Figure,
    /// The measured figure in the default release build.
    pub measured: Option<Estimate>,
    /// The same under fat link-time optimisation, shown beside and not judged.
    pub fat: Option<Estimate>,
    /// Met, missed, undecided, or not measured.
    pub verdict: Verdict,
}

/// What kind of figure a bar limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Our figure divided by the peer's.
    Ratio,
    /// Nanoseconds, or a difference of nanoseconds.
    Nanos,
    /// Ticks of the time-stamp counter.
    Cycles,
    /// A number of things.
    Count,
}

/// What an interval says about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval is within the limit.
    Met,
    /// The whole interval is beyond the limit.
    Missed,
    /// The limit lies inside the interval: more rounds or a quieter machine are needed.
    Undecided,
    /// A contender that the bar needs was not there.
    NotMeasured,
    /// The system refused what the bar presumes, so the figure says nothing of it.
    NotGranted,
}

impl Bar {
    /// Judges `measured` against `limit`.
    pub fn judge(
        what: impl Into<String>,
        against: impl Into<String>,
        (limit, figure): (f64, Figure),
        measured: Option<Estimate>,
        fat: Option<Estimate>,
    ) -> Self {
        let verdict = Verdict::of(measured, limit);
        let (what, against) = (what.into(), against.into());
        Self {
            what,
            against,
            claim: None,
            limit,
            figure,
            measured,
            fat,
            verdict,
        }
    }

    /// The same bar with what the reference claims beside what was measured.
    #[must_use]
    pub fn beside(mut self, claim: impl Into<String>) -> Self {
        self.claim = Some(claim.into());
        self
    }

    /// The same bar, for what it presumes of the system: if that was refused, a
    /// figure beyond the limit says nothing.
    #[must_use]
    pub fn where_granted(mut self, granted: bool) -> Self {
        if !granted && matches!(self.verdict, Verdict::Missed | Verdict::Undecided) {
            self.verdict = Verdict::NotGranted;
        }
        self
    }
}

impl Verdict {
    /// The verdict of an interval on a limit.
    #[must_use]
    pub fn of(measured: Option<Estimate>, limit: f64) -> Self {
        match measured {
            None => Self::NotMeasured,
            Some(estimate) if estimate.high <= limit => Self::Met,
            Some(estimate) if estimate.low > limit => Self::Missed,
            Some(_) => Self::Undecided,
        }
    }

    /// All of them, the best first.
    pub const ALL: [Self; 5] = [
        Self::Met,
        Self::Missed,
        Self::Undecided,
        Self::NotMeasured,
        Self::NotGranted,
    ];

    /// The word that tables show.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Undecided => "undecided",
            Self::NotMeasured => "not measured",
            Self::NotGranted => "not granted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_follow_from_the_interval() {
        let between = |low, high| {
            Some(Estimate {
                median: f64::midpoint(low, high),
                low,
                high,
            })
        };
        for (measured, verdict) in [
            (between(0.5, 0.8), Verdict::Met),
            (between(0.5, 1.0), Verdict::Met),
            (between(0.9, 1.1), Verdict::Undecided),
            (between(1.0, 1.1), Verdict::Undecided),
            (between(1.1, 1.2), Verdict::Missed),
            (None, Verdict::NotMeasured),
        ] {
            assert_eq!(Verdict::of(measured, 1.0), verdict, "{measured:?}");
            let bar = || Bar::judge("", "", (1.0, Figure::Ratio), measured, None);
            assert_eq!(bar().where_granted(true).verdict, verdict);
            let refused = match verdict {
                Verdict::Met | Verdict::NotMeasured => verdict,
                _ => Verdict::NotGranted,
            };
            assert_eq!(bar().where_granted(false).verdict, refused);
        }
    }
}
