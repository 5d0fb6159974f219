//! What all reports say in the same words: figures, standings, comparisons.

use crate::bar::{Bar, Figure};
use crate::chapter::Unit;
use crate::percentiles;
use crate::record::{Row, Series};
use crate::stats::Estimate;

/// Shown where nothing was measured.
pub(super) const NOTHING: &str = "–";

/// A figure with as many digits as mean something.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        // Not "-0.00".
        v if v < 0.005 => "0.00".into(),
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

/// A median with its interval: `2.41 [2.39–2.44]`.
pub(super) fn estimate(estimate: Option<Estimate>) -> String {
    let Some(Estimate { median, low, high }) = estimate else {
        return NOTHING.into();
    };
    if low.total_cmp(&high).is_eq() {
        return figure(median);
    }
    format!("{} [{}–{}]", figure(median), figure(low), figure(high))
}

/// What is shown of a course where there is no room to draw it.
pub(super) const COURSE: [&str; 4] = ["contender", "first", "most", "last"];

/// The cells of [`COURSE`].
pub(super) fn course(series: &Series) -> [String; 4] {
    let shown = |value: Option<f64>| value.map_or(NOTHING.into(), figure);
    let most = series.values.iter().copied().reduce(f64::max);
    [
        series.contender.clone(),
        shown(series.values.first().copied()),
        shown(most),
        shown(series.values.last().copied()),
    ]
}

/// A median with its unit: `2.41 ns`.
pub(super) fn with_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => grouped(value) + " B",
        _ => format!("{} {}", figure(value), unit.symbol())
            .trim_end()
            .to_owned(),
    }
}

/// A whole number with groups of three, so that 15900 is not read as 1590.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Each process calibrates its clock anew; within this they read the same tick.
const CALIBRATION: f64 = 1.02;

/// A single-operation figure, or "≤ timer" where the timer hides it.
pub(super) fn latency(row: &Row, series: &Series) -> String {
    let Some(own) = series.estimate else {
        return NOTHING.into();
    };
    let timer = row
        .series(percentiles::EMPTY)
        .and_then(|empty| empty.estimate);
    match timer {
        Some(timer)
            if series.contender != percentiles::EMPTY
                && own.median <= timer.median * CALIBRATION =>
        {
            "≤ timer".into()
        }
        _ => figure(own.median),
    }
}

/// The contenders of a row that compete in it, best first.
pub(super) fn ranked(row: &Row) -> Vec<(&Series, Estimate)> {
    let measured = row.series.iter().filter(|series| !is_reference(series));
    let mut ranked: Vec<_> = measured
        .filter_map(|series| Some((series, series.estimate?)))
        .collect();
    ranked.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
    ranked
}

/// Yardsticks are shown but win nothing.
pub(super) fn is_reference(series: &Series) -> bool {
    yardsticks().contains(&series.contender.as_str())
}

/// The names of what is measured only to measure by.
pub(super) fn yardsticks() -> [&'static str; 2] {
    [percentiles::EMPTY, crate::runner::ARITHMETIC]
}

/// Who is best in a row, or between whom the intervals do not decide.
pub(super) fn standing(row: &Row) -> String {
    let ranked = ranked(row);
    let Some(((best, estimate), rest)) = ranked.split_first() else {
        return NOTHING.into();
    };
    let level: Vec<&str> = rest
        .iter()
        .filter(|(_, other)| other.overlaps(estimate))
        .map(|(series, _)| series.contender.as_str())
        .collect();
    match level.len() {
        _ if rest.is_empty() => NOTHING.into(),
        0 => format!("best: {}", best.contender),
        1..=2 => format!("no winner: {}, {}", best.contender, level.join(", ")),
        more => format!("no winner: {} and {more} others", best.contender),
    }
}

/// A contender's figure divided by ours, round by round.
pub(super) fn against_ours(row: &Row, series: &Series) -> Option<Estimate> {
    let ours = row.series.iter().find(|series| series.ours())?;
    Estimate::of_ratio(&series.values, &ours.values).filter(|ratio| ratio.median.is_finite())
}

/// The texts beside a row's figures, each with whose it is.
pub(super) fn notes(row: &Row) -> impl Iterator<Item = (&str, &str)> {
    let series = row.series.iter();
    series.filter_map(|series| Some((&*series.contender, series.note.as_deref()?)))
}

/// The best peer of a row.
pub(super) fn best_peer(row: &Row) -> Option<(&Series, Estimate)> {
    ranked(row).into_iter().find(|(series, _)| !series.ours())
}

/// What the reference says of a bar.
pub(super) fn claim(bar: &Bar) -> &str {
    bar.claim.as_deref().unwrap_or(NOTHING)
}

/// A bar's limit in words: `≤ 0.18 ×`.
pub(super) fn limit(bar: &Bar) -> String {
    let unit = match bar.figure {
        Figure::Ratio => " ×",
        Figure::Nanos => " ns",
        Figure::Cycles => " cycles",
        Figure::Count => "",
    };
    let limit = if bar.limit.fract() == 0.0 {
        format!("{:.0}", bar.limit)
    } else {
        figure(bar.limit)
    };
    format!("≤ {limit}{unit}")
}

/// Joins contenders that appear in any of `rows`, in order of first appearance.
pub(super) fn contenders<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for series in rows.iter().flat_map(|row| &row.series) {
        if !names.contains(&series.contender.as_str()) {
            names.push(&series.contender);
        }
    }
    names
}

/// Rows in which mostly the same contenders meet, together: a table of rows that
/// have none in common would be made of dashes.
pub(super) fn kinds<'a>(rows: &[&'a Row]) -> Vec<Vec<&'a Row>> {
    let mut kinds: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        match kinds.iter_mut().find(|kind| is_of_a_kind(kind[0], row)) {
            Some(kind) => kind.push(row),
            None => kinds.push(vec![row]),
        }
    }
    kinds
}

/// Whether at least half of the contenders of one row are in the other one too.
fn is_of_a_kind(first: &Row, other: &Row) -> bool {
    let here = |name: &str| first.series(name).is_some();
    let shared = other.series.iter().filter(|series| here(&series.contender));
    2 * shared.count() >= first.series.len().min(other.series.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(series: &[(&str, f64, f64)]) -> Row {
        let series = series.iter().map(|&(contender, low, high)| Series {
            contender: contender.into(),
            estimate: Some(Estimate {
                median: f64::midpoint(low, high),
                low,
                high,
            }),
            ..Series::default()
        });
        Row::of_pairs(series.collect())
    }

    #[test]
    fn no_winner_is_named_where_intervals_overlap() {
        let decided = row(&[("millpond", 1.0, 1.2), ("peer", 2.0, 2.2)]);
        assert_eq!(standing(&decided), "best: millpond");
        let level = row(&[("millpond", 1.0, 2.1), ("peer", 2.0, 2.2)]);
        assert_eq!(standing(&level), "no winner: millpond, peer");
    }

    #[test]
    fn a_note_is_shown_with_whose_it_is() {
        let mut noted = row(&[("millpond", 1.0, 1.2), ("peer", 2.0, 2.2)]);
        noted.series[0].note = Some("{}".into());
        assert_eq!(notes(&noted).collect::<Vec<_>>(), [("millpond", "{}")]);
    }

    #[test]
    fn a_lost_row_names_the_peer() {
        assert_eq!(
            standing(&row(&[("millpond", 3.0, 3.1), ("peer", 2.0, 2.2)])),
            "best: peer"
        );
    }

    #[test]
    fn rows_whose_contenders_meet_share_a_table() {
        let three = row(&[("a", 1.0, 1.0), ("b", 1.0, 1.0), ("c", 1.0, 1.0)]);
        let some = row(&[("c", 1.0, 1.0), ("b", 1.0, 1.0)]);
        let others = row(&[("a", 1.0, 1.0), ("x", 1.0, 1.0), ("y", 1.0, 1.0)]);
        let rows = [&three, &others, &some];
        let tables: Vec<usize> = kinds(&rows).iter().map(Vec::len).collect();
        assert_eq!(tables, [2, 1]);
        assert!(std::ptr::eq(kinds(&rows)[0][1], &raw const some));
    }

    #[test]
    fn a_yardstick_wins_nothing() {
        let timed = row(&[
            (percentiles::EMPTY, 1.0, 1.0),
            ("a", 2.0, 2.0),
            ("b", 3.0, 3.0),
        ]);
        assert_eq!(standing(&timed), "best: a");
    }

    #[test]
    fn what_the_timer_hides_is_not_a_figure() {
        let row = row(&[
            (percentiles::EMPTY, 9.0, 9.0),
            ("a", 8.0, 8.0),
            ("b", 12.0, 12.0),
        ]);
        assert_eq!(latency(&row, &row.series[0]), "9.00");
        assert_eq!(latency(&row, &row.series[1]), "≤ timer");
        assert_eq!(latency(&row, &row.series[2]), "12.0");
    }

    #[test]
    fn figures_keep_the_digits_that_mean_something() {
        for (value, text) in [
            (0.0, "0"),
            (-0.004, "0.00"),
            (2.414, "2.41"),
            (31.27, "31.3"),
            (15_900.4, "15,900"),
        ] {
            assert_eq!(figure(value), text);
        }
    }
}
