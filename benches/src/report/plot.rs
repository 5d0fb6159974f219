//! One row as horizontal bars with whiskers, or as lines over time, in SVG that
//! follows the page's colours.

use super::view;
use crate::record::{Row, Series};
use crate::stats::Estimate;
use anyhow::{Result, anyhow};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Drawn for a phone: on a desktop the page scales it up.
const WIDTH: i32 = 420;
/// Room on the left for names, at least and at most.
const LABELS: (i32, i32) = (142, 210);
/// What a letter of a name takes of it, on average.
const LETTER: f64 = 5.9;
/// Room on the right for the figure behind the longest bar.
const FIGURES: i32 = 64;
const LINE: i32 = 24;

/// plotters writes colours as numbers; these stand for the page's own, which
/// differ by day and night, and are replaced after drawing.
const PALETTE: [(RGBColor, &str); 4] = [
    (INK, "var(--ink)"),
    (QUIET, "var(--quiet)"),
    (OURS, "var(--ours)"),
    (PEER, "var(--peer)"),
];
const INK: RGBColor = RGBColor(1, 1, 1);
const QUIET: RGBColor = RGBColor(2, 2, 2);
const OURS: RGBColor = RGBColor(3, 3, 3);
const PEER: RGBColor = RGBColor(4, 4, 4);

/// The SVG of `row`, or `None` where nothing was measured.
pub(super) fn of_row(row: &Row) -> Result<Option<String>> {
    let measured: Vec<&Series> = row
        .series
        .iter()
        .filter(|series| series.estimate.is_some())
        .collect();
    let largest = |pick: fn(Estimate) -> f64| {
        measured
            .iter()
            .filter_map(|series| series.estimate)
            .map(pick)
            .fold(0.0, f64::max)
    };
    // One disturbed contender must not flatten the others: whiskers end at the edge.
    let furthest = largest(|estimate| estimate.high).min(1.3 * largest(|e| e.median));
    if furthest <= 0.0 {
        return Ok(None);
    }
    let letters = measured
        .iter()
        .map(|series| series.contender.chars().count());
    let longest = f64::from(u32::try_from(letters.max().unwrap_or_default())?);
    let labels = pixels(longest * LETTER).clamp(LABELS.0, LABELS.1);
    let scale = f64::from(WIDTH - labels - FIGURES) / furthest;
    let mut svg = String::new();
    draw(&mut svg, &measured, labels, scale)
        .map_err(|error| anyhow!("cannot draw {}: {error}", row.id))?;
    Ok(Some(themed(&svg)))
}

fn draw(svg: &mut String, measured: &[&Series], labels: i32, scale: f64) -> Result<(), String> {
    let lines = i32::try_from(measured.len()).map_err(|error| error.to_string())?;
    let size = (WIDTH.unsigned_abs(), (lines * LINE + 4).unsigned_abs());
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    for (index, series) in (0..).zip(measured) {
        draw_line(&area, series, 2 + index * LINE, (labels, scale))
            .map_err(|error| error.to_string())?;
    }
    area.present().map_err(|error| error.to_string())
}

/// Height of a plot over time, without its legend.
const HEIGHT: i32 = 150;
/// Room on the left for the figures of the axis.
const AXIS: i32 = 40;

/// The SVG of a row whose values are instants, or `None` where there are fewer than
/// two.
pub(super) fn over_time(row: &Row) -> Result<Option<String>> {
    let drawn = row.series.iter().filter(|series| series.values.len() > 1);
    let drawn: Vec<&Series> = drawn.collect();
    let values = drawn.iter().flat_map(|series| &series.values);
    let most = values.copied().fold(0.0, f64::max);
    if most <= 0.0 {
        return Ok(None);
    }
    let mut svg = String::new();
    draw_over_time(&mut svg, &drawn, most)
        .map_err(|error| anyhow!("cannot draw {}: {error}", row.id))?;
    Ok(Some(themed(&svg)))
}

fn draw_over_time(svg: &mut String, drawn: &[&Series], most: f64) -> Result<(), String> {
    let lines = i32::try_from(drawn.len()).map_err(|error| error.to_string())?;
    let size = (WIDTH.unsigned_abs(), (HEIGHT + lines * LINE).unsigned_abs());
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    draw_axis(&area, most).map_err(|error| error.to_string())?;
    // Ours last, so that it lies above the others.
    let mut order: Vec<_> = (0..).zip(drawn).collect();
    order.sort_by_key(|(_, series)| series.ours());
    let mut dashes = [0, 12, 6, 3, 24, 1].into_iter().cycle();
    for (line, series) in order {
        let dash = match series.ours() {
            true => dashes.next().unwrap_or_default(),
            false => 0,
        };
        draw_course(&area, series, line, most, dash).map_err(|error| error.to_string())?;
    }
    area.present().map_err(|error| error.to_string())
}

/// Where a value lies, from the top.
fn depth(value: f64, most: f64) -> i32 {
    let room = f64::from(HEIGHT - LINE);
    LINE / 2 + pixels(room - room * value / most)
}

fn draw_axis(area: &Area<'_>, most: f64) -> Result<(), Box<dyn std::error::Error>> {
    for value in [0.0, most / 2.0, most] {
        let depth = depth(value, most);
        let rule = vec![(AXIS, depth), (WIDTH, depth)];
        area.draw(&PathElement::new(rule, QUIET.stroke_width(1)))?;
        let figure = text_style(QUIET, HPos::Right);
        area.draw(&Text::new(view::figure(value), (AXIS - 4, depth), figure))?;
    }
    Ok(())
}

/// A line, and its name below. Peers are told apart by the width of their lines, and
/// ours by the length of their dashes: 0 for none.
fn draw_course(
    area: &Area<'_>,
    series: &Series,
    line: i32,
    most: f64,
    dash: i32,
) -> Result<(), Box<dyn std::error::Error>> {
    let style = match series.ours() {
        true => OURS.stroke_width(3),
        false => PEER.stroke_width(1 + line.unsigned_abs()),
    };
    let last = f64::from(u32::try_from(series.values.len() - 1)?);
    let step = f64::from(WIDTH - AXIS - 4) / last;
    let instants = (0_u32..).zip(&series.values);
    let course: Vec<_> = instants
        .map(|(at, &value)| (AXIS + pixels(f64::from(at) * step), depth(value, most)))
        .collect();
    let middle = HEIGHT + line * LINE + LINE / 2;
    let sample = vec![(AXIS, middle), (AXIS + 24, middle)];
    for points in [course, sample] {
        match dash {
            0 => area.draw(&PathElement::new(points, style))?,
            dash => area.draw(&DashedPathElement::new(points, dash, 4, style))?,
        }
    }
    let name = text_style(INK, HPos::Left);
    area.draw(&Text::new(
        series.contender.clone(),
        (AXIS + 32, middle),
        name,
    ))?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_line(
    area: &Area<'_>,
    series: &Series,
    top: i32,
    (labels, scale): (i32, f64),
) -> Result<(), Box<dyn std::error::Error>> {
    let Some(estimate) = series.estimate else {
        return Ok(());
    };
    let at = |value: f64| (labels + pixels(value * scale)).min(WIDTH - FIGURES);
    let middle = top + LINE / 2;
    let colour = if series.ours() { OURS } else { PEER };
    let bar = [
        (labels, top + 5),
        (at(estimate.median).max(labels + 1), top + LINE - 5),
    ];
    area.draw(&Rectangle::new(bar, colour.filled()))?;
    if pixels((estimate.high - estimate.low) * scale) >= 2 {
        let whisker = vec![(at(estimate.low), middle), (at(estimate.high), middle)];
        area.draw(&PathElement::new(whisker, INK.stroke_width(2)))?;
    }
    let label = text_style(
        if view::is_reference(series) {
            QUIET
        } else {
            INK
        },
        HPos::Right,
    );
    area.draw(&Text::new(
        series.contender.clone(),
        (labels - 6, middle),
        label,
    ))?;
    let figure = text_style(INK, HPos::Left);
    let place = (at(estimate.high.max(estimate.median)) + 5, middle);
    area.draw(&Text::new(view::figure(estimate.median), place, figure))?;
    Ok(())
}

fn text_style(colour: RGBColor, side: HPos) -> TextStyle<'static> {
    ("sans-serif", 12)
        .into_font()
        .color(&colour)
        .pos(Pos::new(side, VPos::Center))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float-to-integer cast saturates"
)]
fn pixels(length: f64) -> i32 {
    length.round() as i32
}

fn themed(svg: &str) -> String {
    PALETTE
        .iter()
        .fold(svg.to_owned(), |svg, (RGBColor(r, g, b), name)| {
            svg.replace(&format!("#{r:02X}{g:02X}{b:02X}"), name)
        })
}
