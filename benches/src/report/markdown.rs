//! The report as Markdown, with every contender of every row.

use super::glance::{self, Place};
use super::{Against, Report, view};
use crate::chapter::Section;
use crate::record::{ChapterRecord, Row, Run};
use std::fmt::Write;

pub(super) fn render(report: &Report<'_>) -> String {
    let run = report.run;
    let mut text = format!("# millpond, measured ({} run)\n\n", run.mode.word());
    for (label, value) in run.provenance.facts() {
        let _ = writeln!(text, "- {label}: {value}");
    }
    let corpus = &run.corpus;
    let _ = writeln!(
        text,
        "- corpus: {}, {} nodes, {} edges, digest `{}`",
        corpus.origin, corpus.nodes, corpus.edges, corpus.digest
    );
    for left_out in &run.left_out {
        let _ = writeln!(
            text,
            "- left out: {}, because {}",
            left_out.peer, left_out.reason
        );
    }
    push_glance(&mut text, run);
    for chapter in &run.chapters {
        push_chapter(&mut text, chapter);
    }
    if let Some(against) = &report.against {
        push_changes(&mut text, against);
    }
    text
}

fn push_glance(text: &mut String, run: &Run) {
    let _ = writeln!(text, "\n## At a glance\n");
    push_line(text, &["chapter", "ahead", "level", "behind", "bars"]);
    push_line(text, &["---", "---:", "---:", "---:", "---"]);
    for chapter in &run.chapters {
        let meetings = glance::meetings(chapter);
        let counts = Place::ALL.map(|place| glance::count(&meetings, place).to_string());
        let [ahead, level, behind] = counts.each_ref().map(String::as_str);
        push_line(
            text,
            &[&chapter.name, ahead, level, behind, &glance::tally(chapter)],
        );
    }
    let _ = writeln!(text);
    for (word, meaning) in glance::WORDS {
        let _ = writeln!(text, "- {word}: {meaning}");
    }
}

fn push_chapter(text: &mut String, chapter: &ChapterRecord) {
    let _ = writeln!(text, "\n## {}\n\n{}\n", chapter.name, chapter.question);
    push_bars(text, chapter);
    for section in Section::ALL {
        let rows = chapter.rows.iter().filter(|row| row.section == section);
        let rows: Vec<&Row> = rows.filter(|row| !row.series.is_empty()).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "### {}\n", section.heading());
        match section {
            Section::Latency => push_latency(text, &rows),
            Section::OverTime => rows.iter().for_each(|row| push_course(text, row)),
            _ => rows.iter().for_each(|row| push_row(text, row)),
        }
    }
    let _ = writeln!(text, "### What may not be claimed\n");
    for caveat in &chapter.caveats {
        let _ = writeln!(text, "- {caveat}");
    }
}

fn push_bars(text: &mut String, chapter: &ChapterRecord) {
    if chapter.bars.is_empty() {
        return;
    }
    let _ = writeln!(text, "### Bars\n");
    push_line(
        text,
        &[
            "bar",
            "against",
            "the reference",
            "limit",
            "measured",
            "fat LTO",
            "verdict",
        ],
    );
    push_line(text, &["---"; 7]);
    for bar in &chapter.bars {
        let (limit, measured) = (view::limit(bar), view::estimate(bar.measured));
        let (fat, verdict) = (view::estimate(bar.fat), bar.verdict.word());
        push_line(
            text,
            &[
                &bar.what,
                &bar.against,
                view::claim(bar),
                &limit,
                &measured,
                &fat,
                verdict,
            ],
        );
    }
    let _ = writeln!(text);
}

fn push_row(text: &mut String, row: &Row) {
    let _ = writeln!(
        text,
        "**{}.** {} {}.\n",
        row.title,
        row.what,
        view::standing(row)
    );
    let unit = format!("{} [95 %]", row.unit.symbol());
    push_line(text, &["contender", unit.trim_start(), "÷ ours", "fat LTO"]);
    push_line(text, &["---", "---:", "---:", "---:"]);
    for series in &row.series {
        let ratio = view::estimate(view::against_ours(row, series));
        let (own, fat) = (
            view::estimate(series.estimate),
            view::estimate(series.fat_estimate),
        );
        push_line(text, &[&series.contender, &own, &ratio, &fat]);
    }
    let _ = writeln!(text);
    for (contender, note) in view::notes(row) {
        let _ = writeln!(
            text,
            "<details><summary>{contender}, as it reports itself</summary>\n\n```text\n{note}\n```\n\n</details>\n"
        );
    }
}

/// A row whose values are instants.
fn push_course(text: &mut String, row: &Row) {
    let unit = row.unit.symbol();
    let _ = writeln!(text, "**{} ({unit}).** {}\n", row.title, row.what);
    push_line(text, &view::COURSE);
    push_line(text, &["---", "---:", "---:", "---:"]);
    for series in &row.series {
        let cells = view::course(series);
        push_line(text, &cells.each_ref().map(String::as_str));
    }
    let _ = writeln!(text);
}

fn push_latency(text: &mut String, rows: &[&Row]) {
    let mut header = vec!["ns"];
    header.extend(rows.iter().map(|row| row.title.as_str()));
    push_line(text, &header);
    push_line(text, &vec!["---:"; header.len()]);
    for contender in view::contenders(rows) {
        let cells: Vec<String> = rows
            .iter()
            .map(|row| {
                row.series(contender)
                    .map_or(view::NOTHING.into(), |s| view::latency(row, s))
            })
            .collect();
        let mut line = vec![contender];
        line.extend(cells.iter().map(String::as_str));
        push_line(text, &line);
    }
    let _ = writeln!(text);
}

fn push_changes(text: &mut String, against: &Against<'_>) {
    let _ = writeln!(
        text,
        "\n## Against {}\n\n{}\n",
        against.name, against.origin
    );
    push_line(
        text,
        &["row", "contender", "then", "now", "now ÷ then", "verdict"],
    );
    push_line(text, &["---", "---", "---:", "---:", "---:", "---"]);
    for change in &against.changes {
        let (then, now) = (
            view::figure(change.then.median),
            view::figure(change.now.median),
        );
        let ratio = view::estimate(Some(change.ratio));
        push_line(
            text,
            &[
                &change.row,
                &change.contender,
                &then,
                &now,
                &ratio,
                change.verdict(),
            ],
        );
    }
}

fn push_line(text: &mut String, cells: &[&str]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}
