//! Tables for the terminal: our figure, the best peer, and the bars.
//!
//! Every contender of every row would not fit on eighty columns; the page and
//! the Markdown report have them all.

use super::glance::{self, Place};
use super::{Against, Report, view};
use crate::chapter::Section;
use crate::record::{ChapterRecord, Row, Run};
use comfy_table::{ContentArrangement, LineStyle, Table, presets};
use std::fmt::Write;

pub(super) fn render(report: &Report<'_>) -> String {
    let mut text = String::new();
    for chapter in &report.run.chapters {
        let _ = writeln!(text, "\n{}: {}\n", chapter.name, chapter.question);
        for section in Section::ALL {
            push_section(&mut text, chapter, section);
        }
        push_bars(&mut text, chapter);
    }
    if let Some(against) = &report.against {
        push_changes(&mut text, against);
    }
    push_glance(&mut text, report.run);
    push_origin(&mut text, report.run);
    text
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(presets::NOTHING.header_separator(line));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(ToString::to_string).collect::<Vec<_>>());
    table
}

fn push_section(text: &mut String, chapter: &ChapterRecord, section: Section) {
    let rows = chapter
        .rows
        .iter()
        .filter(|row| row.section == section && !row.series.is_empty());
    let rows: Vec<&Row> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "{}", section.heading());
    let table = match section {
        Section::Latency => latency_table(&rows),
        Section::OverTime => course_table(&rows),
        _ => row_table(&rows),
    };
    let _ = writeln!(text, "{table}\n");
}

fn row_table(rows: &[&Row]) -> Table {
    let mut table = table(&["", "millpond", "best peer", "ours ÷ peer", "verdict"]);
    for row in rows {
        let ours = row.series.iter().find(|series| series.ours());
        let peer = view::best_peer(row);
        let ratio = ours.zip(peer).and_then(|(ours, (peer, _))| {
            crate::stats::Estimate::of_ratio(&ours.values, &peer.values)
        });
        let unit = row.unit.symbol();
        table.add_row(vec![
            format!("{} {unit}", row.title),
            view::estimate(ours.and_then(|series| series.estimate)),
            peer.map_or(view::NOTHING.into(), |(series, estimate)| {
                format!("{} {}", view::figure(estimate.median), series.contender)
            }),
            view::estimate(ratio.filter(|ratio| ratio.median.is_finite())),
            view::standing(row),
        ]);
    }
    table
}

fn course_table(rows: &[&Row]) -> Table {
    let mut header = vec![""];
    header.extend(view::COURSE);
    let mut table = table(&header);
    for row in rows {
        for series in &row.series {
            let mut cells = vec![format!("{} {}", row.title, row.unit.symbol())];
            cells.extend(view::course(series));
            table.add_row(cells);
        }
    }
    table
}

fn latency_table(rows: &[&Row]) -> Table {
    let mut header = vec!["ns"];
    header.extend(rows.iter().map(|row| row.title.as_str()));
    let mut table = table(&header);
    for contender in view::contenders(rows) {
        let cell = |row: &&Row| {
            row.series(contender)
                .map_or(view::NOTHING.into(), |series| view::latency(row, series))
        };
        let mut cells = vec![contender.to_owned()];
        cells.extend(rows.iter().map(cell));
        table.add_row(cells);
    }
    table
}

fn push_bars(text: &mut String, chapter: &ChapterRecord) {
    if chapter.bars.is_empty() {
        return;
    }
    let mut table = table(&[
        "bar",
        "against",
        "the reference",
        "limit",
        "measured",
        "fat LTO",
        "verdict",
    ]);
    for bar in &chapter.bars {
        table.add_row(vec![
            bar.what.clone(),
            bar.against.clone(),
            view::claim(bar).to_owned(),
            view::limit(bar),
            view::estimate(bar.measured),
            view::estimate(bar.fat),
            bar.verdict.word().to_owned(),
        ]);
    }
    let _ = writeln!(text, "Bars\n{table}");
}

fn push_changes(text: &mut String, against: &Against<'_>) {
    let mut table = table(&["row", "contender", "then", "now", "now ÷ then", "verdict"]);
    for change in against.changes.iter().filter(|change| change.ours) {
        table.add_row(vec![
            change.row.clone(),
            change.contender.clone(),
            view::with_unit(change.then.median, change.unit),
            view::with_unit(change.now.median, change.unit),
            view::estimate(Some(change.ratio)),
            change.verdict().to_owned(),
        ]);
    }
    let peers = against.changes.iter().filter(|change| !change.ours);
    let moved = peers
        .clone()
        .filter(|change| change.verdict() != "no difference")
        .count();
    let _ = writeln!(
        text,
        "\nAgainst {} ({})\n{table}",
        against.name, against.origin
    );
    let _ = writeln!(
        text,
        "{moved} of {} peer figures moved too: their code did not change, the machine did.",
        peers.count()
    );
}

/// Last, so that it is still there when all has scrolled by.
fn push_glance(text: &mut String, run: &Run) {
    let mut table = table(&["", "ahead", "level", "behind", "bars"]);
    for chapter in &run.chapters {
        let meetings = glance::meetings(chapter);
        let mut cells = vec![chapter.name.clone()];
        cells.extend(Place::ALL.map(|place| glance::count(&meetings, place).to_string()));
        cells.push(glance::tally(chapter));
        table.add_row(cells);
    }
    let _ = writeln!(text, "\nAt a glance: rows, and bars\n{table}");
}

fn push_origin(text: &mut String, run: &Run) {
    let _ = writeln!(text);
    for left_out in &run.left_out {
        let _ = writeln!(text, "left out: {} ({})", left_out.peer, left_out.reason);
    }
    let corpus = &run.corpus;
    let _ = writeln!(
        text,
        "{} run at {} on {}, {}; corpus {} ({} nodes, {} edges)",
        run.mode.word(),
        run.provenance.commit_marked(),
        run.provenance.cpu,
        run.provenance.build.compiler,
        corpus.digest,
        corpus.nodes,
        corpus.edges
    );
}
