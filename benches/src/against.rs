//! Two runs compared: what changed, with intervals.
//!
//! The runs did not share rounds, so machine drift is not cancelled. That is
//! why peers are compared too: a peer whose code did not change but whose figure
//! did has measured the machine, and our own rows moved for the same reason.

use crate::chapter::Unit;
use crate::record::{Row, Run};
use crate::stats::{Estimate, ratio_of_medians};
use serde::Serialize;

/// Changes below this are no difference, however narrow the interval.
///
/// Ticks of a clock and pages of memory make some figures nearly equal in every
/// round; an interval of no width then calls the calibration of the clock a change.
const RESOLUTION: f64 = 0.01;

/// One figure then and now.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The row's title.
    pub row: String,
    /// The contender.
    pub contender: String,
    /// Whether it is one of ours.
    pub ours: bool,
    /// The unit of both figures.
    pub unit: Unit,
    /// The record's figure.
    pub then: Estimate,
    /// This run's figure.
    pub now: Estimate,
    /// Now divided by then, with an interval from both runs' rounds.
    pub ratio: Estimate,
}

impl Change {
    /// What the interval says; all our units are better when smaller.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        if self.ratio.contains(1.0) || (self.ratio.median - 1.0).abs() < RESOLUTION {
            "no difference"
        } else if self.ratio.median > 1.0 {
            "worse"
        } else {
            "better"
        }
    }
}

/// Every figure that both runs have, ours first within each row.
#[must_use]
pub fn changes(then: &Run, now: &Run) -> Vec<Change> {
    let mut found = Vec::new();
    for chapter in &now.chapters {
        let earlier = then
            .chapters
            .iter()
            .find(|earlier| earlier.name == chapter.name);
        for row in &chapter.rows {
            if let Some(before) = earlier.and_then(|earlier| earlier.row(&row.id)) {
                found.extend(changes_of_row(before, row));
            }
        }
    }
    found
}

fn changes_of_row<'a>(then: &'a Row, now: &'a Row) -> impl Iterator<Item = Change> + 'a {
    now.series.iter().filter_map(move |series| {
        let before = then.series(&series.contender)?;
        Some(Change {
            row: now.title.clone(),
            contender: series.contender.clone(),
            ours: series.ours(),
            unit: now.unit,
            then: before.estimate?,
            now: series.estimate?,
            ratio: ratio_of_medians(&series.values, &before.values)
                .filter(|ratio| ratio.median.is_finite())?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(low: f64, high: f64) -> Change {
        let estimate = |low, high| Estimate {
            median: f64::midpoint(low, high),
            low,
            high,
        };
        Change {
            row: "pair".into(),
            contender: "millpond".into(),
            ours: true,
            unit: Unit::Nanos,
            then: estimate(1.0, 1.0),
            now: estimate(low, high),
            ratio: estimate(low, high),
        }
    }

    #[test]
    fn a_change_needs_an_interval_without_one_and_a_hundredth_to_show() {
        for (low, high, verdict) in [
            (0.9, 1.1, "no difference"),
            (1.0001, 1.0002, "no difference"),
            (1.1, 1.3, "worse"),
            (0.7, 0.9, "better"),
        ] {
            assert_eq!(change(low, high).verdict(), verdict, "{low} to {high}");
        }
    }
}
