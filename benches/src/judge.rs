//! Bars from rows: the comparisons that chapters make, each judged as a [`Bar`].
//!
//! A contender that did not take part gives a bar that says "not measured"; a row
//! that does not exist is a mistake in the chapter.

use crate::bar::{Bar, Figure};
use crate::record::{ChapterRecord, Row, Series};
use crate::stats::{Estimate, difference_of_medians, median};

impl ChapterRecord {
    /// The row that a bar is about.
    ///
    /// # Panics
    ///
    /// If the chapter has no such row: a limit must not vanish with a spelling.
    #[must_use]
    pub fn judged(&self, row: &str) -> &Row {
        let found = self.row(row);
        found.unwrap_or_else(|| panic!("no row {row} in {}", self.name))
    }
}

impl Row {
    /// `own`'s figure must not exceed `limit`.
    #[must_use]
    pub fn at_most(&self, own: &str, against: &str, limit: (f64, Figure)) -> Bar {
        let own = self.series(own);
        let measured = own.and_then(|series| series.estimate);
        let fat = own.and_then(|series| series.fat_estimate);
        Bar::judge(&self.title, against, limit, measured, fat)
    }

    /// `own`'s figure divided by `peer`'s of the same round must not exceed `limit`.
    #[must_use]
    pub fn ratio(&self, own: &str, peer: &str, limit: f64) -> Bar {
        let of = |pick: fn(&Series) -> &[f64]| {
            let values = |name| self.series(name).map_or(&[][..], pick);
            Estimate::of_ratio(values(own), values(peer))
        };
        Bar::judge(
            &self.title,
            peer,
            (limit, Figure::Ratio),
            of(|series| &series.values),
            of(|series| &series.fat),
        )
    }

    /// The same against whichever of `peers` had the lowest median in this run.
    #[must_use]
    pub fn ratio_to_fastest(&self, own: &str, peers: &[&str], limit: f64) -> Bar {
        let present = peers.iter().filter_map(|name| self.series(name));
        let fastest = present
            .filter(|series| !series.values.is_empty())
            .min_by(|a, b| median(&a.values).total_cmp(&median(&b.values)));
        let fastest = fastest.map_or(peers[0], |series| &series.contender);
        self.ratio(own, fastest, limit)
    }

    /// What a mechanism costs: the medians of the code `with` it and `without` may
    /// differ by `nanos` at most.
    #[must_use]
    pub fn cost_of(&self, what: &str, with: &str, without: &str, nanos: f64) -> Bar {
        let values = |name| {
            self.series(name)
                .map_or(&[][..], |series| &series.values[..])
        };
        let measured = difference_of_medians(values(with), values(without));
        let against = format!("the same code {without}");
        Bar::judge(what, against, (nanos, Figure::Nanos), measured, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::Verdict;

    fn row(series: &[(&str, [f64; 3])]) -> Row {
        let series = series.iter().map(|(contender, values)| Series {
            contender: (*contender).to_owned(),
            values: values.to_vec(),
            estimate: Estimate::of(values),
            fat: Vec::new(),
            fat_estimate: None,
            note: None,
        });
        Row::of_pairs(series.collect())
    }

    #[test]
    fn ratios_are_taken_within_a_round_and_against_the_fastest_that_was_there() {
        let row = row(&[
            ("ours", [1.0, 2.0, 3.0]),
            ("slow", [9.0, 9.0, 9.0]),
            ("fast", [2.0, 4.0, 6.0]),
        ]);
        let bar = row.ratio_to_fastest("ours", &["slow", "absent", "fast"], 0.5);
        let measured = bar.measured.expect("both took part");
        assert_eq!((bar.against.as_str(), measured.median), ("fast", 0.5));
        assert_eq!(bar.verdict, Verdict::Met);
        assert_eq!(row.ratio("ours", "slow", 0.2).verdict, Verdict::Undecided);
    }

    #[test]
    fn who_was_not_there_is_not_judged() {
        let row = row(&[("ours", [1.0, 1.0, 1.0])]);
        let limit = (1.0, Figure::Nanos);
        for bar in [
            row.ratio("ours", "absent", 1.0),
            row.ratio_to_fastest("ours", &["absent"], 1.0),
            row.at_most("absent", "", limit),
            row.cost_of("counters", "ours", "absent", 1.0),
        ] {
            assert_eq!(bar.verdict, Verdict::NotMeasured, "{}", bar.against);
        }
        assert_eq!(row.at_most("ours", "", limit).verdict, Verdict::Met);
        assert_eq!(
            row.cost_of("counters", "ours", "ours", -1.0).verdict,
            Verdict::Missed
        );
    }
}
