//! At a glance: in which rows we are ahead, level and behind.
//!
//! Counted are comparisons of one figure with others'. Single operations have a figure
//! for each percentile, courses one for each instant, and the rows of our own mechanisms
//! have no peer.

use super::view;
use crate::bar::Verdict;
use crate::chapter::Section;
use crate::record::{ChapterRecord, Row, Series};
use crate::stats::Estimate;

/// Where we stand in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Our interval lies below everybody else's.
    Ahead,
    /// Our interval and the best peer's share a point.
    Level,
    /// A peer's interval lies below ours.
    Behind,
}

impl Place {
    pub(super) const ALL: [Self; 3] = [Self::Ahead, Self::Level, Self::Behind];

    /// What it is called.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Level => "level",
            Self::Behind => "behind",
        }
    }
}

/// Our best contender of a row and the best of the others.
#[derive(Debug)]
pub(super) struct Meeting<'a> {
    pub(super) row: &'a Row,
    pub(super) place: Place,
    pub(super) ours: (&'a Series, Estimate),
    pub(super) peer: (&'a Series, Estimate),
}

impl<'a> Meeting<'a> {
    /// `None` for a row in which we or all others are missing.
    fn of(row: &'a Row) -> Option<Self> {
        let ranked = view::ranked(row);
        let best = |ours: bool| ranked.iter().find(|(series, _)| series.ours() == ours);
        let (&ours, &peer) = (best(true)?, best(false)?);
        let place = match ours.1.overlaps(&peer.1) {
            true => Place::Level,
            false if ours.1.median < peer.1.median => Place::Ahead,
            false => Place::Behind,
        };
        Some(Self {
            row,
            place,
            ours,
            peer,
        })
    }

    /// Our figure divided by the peer's, round by round.
    pub(super) fn ratio(&self) -> Option<Estimate> {
        let ratio = Estimate::of_ratio(&self.ours.0.values, &self.peer.0.values);
        ratio.filter(|ratio| ratio.median.is_finite())
    }
}

/// The rows of a chapter in which we meet others.
pub(super) fn meetings(chapter: &ChapterRecord) -> Vec<Meeting<'_>> {
    let counted = [Section::Time, Section::RealInput, Section::Space];
    let rows = chapter.rows.iter();
    let rows = rows.filter(|row| counted.contains(&row.section));
    rows.filter_map(Meeting::of).collect()
}

/// In how many of `meetings` we have this place.
pub(super) fn count(meetings: &[Meeting<'_>], place: Place) -> usize {
    meetings.iter().filter(|met| met.place == place).count()
}

/// How many bars of a chapter have each verdict: `15 met, 4 missed`.
pub(super) fn tally(chapter: &ChapterRecord) -> String {
    let with = |verdict| {
        let bars = chapter.bars.iter().filter(|bar| bar.verdict == verdict);
        bars.count()
    };
    let tally: Vec<String> = Verdict::ALL
        .into_iter()
        .filter(|&verdict| with(verdict) > 0)
        .map(|verdict| format!("{} {}", with(verdict), verdict.word()))
        .collect();
    tally.join(", ")
}

/// What the words and signs of a report mean.
pub(super) const WORDS: [(&str, &str); 9] = [
    (
        "figures",
        "medians of rounds in which all contenders took turns; lower is better in every row",
    ),
    (
        "[2.39–2.44]",
        "a 95 % interval: where the median would lie if the rounds were drawn again",
    ),
    (
        "ahead, level, behind",
        "our best figure beside the best of the others: the intervals lie apart, or they touch",
    ),
    (
        "÷ ours",
        "a contender's figure divided by ours, round by round: above 1 it is worse",
    ),
    (
        "bar",
        "a limit that was set before the measurement; it is met or missed if the whole \
         interval is, and undecided if the limit lies inside",
    ),
    (
        "the reference",
        "what the system that the chapter is modelled on says of the same bar",
    ),
    (
        "fat LTO",
        "the same, built with link-time optimisation over all crates; shown, and not judged",
    ),
    (
        "p50, p99, p99.9",
        "percentiles of single operations: so many in a hundred took that long or less",
    ),
    (
        "ns, µs, B, KiB, MiB",
        "billionths and millionths of a second; bytes, 1,024 and 1,048,576 of them",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn row(section: Section, series: &[(&str, f64, f64)]) -> Row {
        let series = series.iter().map(|&(contender, low, high)| Series {
            contender: contender.into(),
            values: vec![low, high],
            estimate: Some(Estimate {
                median: f64::midpoint(low, high),
                low,
                high,
            }),
            ..Series::default()
        });
        let mut row = Row::of_pairs(series.collect());
        row.section = section;
        row
    }

    fn places(rows: Vec<Row>) -> Vec<Place> {
        let chapter = ChapterRecord {
            name: "chapter".into(),
            question: String::new(),
            caveats: Vec::new(),
            rows,
            bars: Vec::new(),
            seconds: 0.0,
        };
        let meetings = meetings(&chapter);
        meetings.iter().map(|met| met.place).collect()
    }

    #[test]
    fn the_best_of_ours_is_put_beside_the_best_of_the_others() {
        let rows = vec![
            row(
                Section::Time,
                &[
                    ("millpond a", 5.0, 6.0),
                    ("millpond b", 1.0, 2.0),
                    ("x", 3.0, 4.0),
                ],
            ),
            row(Section::Space, &[("millpond", 1.0, 3.0), ("x", 2.0, 4.0)]),
            row(
                Section::RealInput,
                &[("millpond", 5.0, 6.0), ("x", 3.0, 4.0), ("y", 9.0, 9.0)],
            ),
        ];
        assert_eq!(places(rows), Place::ALL);
    }

    #[test]
    fn rows_without_peers_and_of_several_figures_are_not_counted() {
        let both = [("millpond", 1.0, 1.0), ("x", 2.0, 2.0)];
        let rows = vec![
            row(Section::Time, &both[..1]),
            row(Section::Time, &both[1..]),
            row(Section::Latency, &both),
            row(Section::OverTime, &both),
            row(Section::Mechanism, &both),
        ];
        assert_eq!(places(rows), []);
    }
}
