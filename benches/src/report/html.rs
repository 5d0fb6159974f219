//! The report as one page: no network, no script, readable on a phone and at night.

use super::glance::{self, Meeting, Place};
use super::{Against, Report, plot, view};
use crate::bar::Bar;
use crate::chapter::{Section, Unit};
use crate::record::{ChapterRecord, Row, Run, Series};
use crate::stats::Estimate;
use anyhow::Result;
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

pub(super) fn render(report: &Report<'_>) -> Result<String> {
    let run = report.run;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>millpond, measured</title>\n<style>\n{STYLE}</style>\n<body>\n\
         <header><h1>millpond, measured</h1>\n<p>{} run of {}, commit {}</p></header>\n<main>\n",
        escape(run.mode.word()),
        escape(&run.provenance.date),
        escape(&run.provenance.commit_marked()),
    );
    push_contents(&mut page, report);
    push_glance(&mut page, run);
    for chapter in &run.chapters {
        push_chapter(&mut page, chapter)?;
    }
    if let Some(against) = &report.against {
        push_changes(&mut page, against);
    }
    push_words(&mut page);
    push_provenance(&mut page, run);
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(page)
}

fn push_contents(page: &mut String, report: &Report<'_>) {
    page.push_str("<nav>");
    for chapter in &report.run.chapters {
        let name = escape(&chapter.name);
        let _ = write!(page, "<a href=\"#{name}\">{name}</a>");
    }
    if report.against.is_some() {
        page.push_str("<a href=\"#against\">what changed</a>");
    }
    page.push_str("<a href=\"#words\">what the words mean</a>");
    page.push_str("<a href=\"#provenance\">where the figures come from</a></nav>\n");
}

/// The first thing to be seen: where we are ahead, and where not.
fn push_glance(page: &mut String, run: &Run) {
    page.push_str(
        "<section id=\"glance\"><h2>At a glance</h2>\n<p>Lower is better in every row. Ahead and \
         behind: our best figure and the best of the others differ by more than chance (95 %). \
         A bar is a limit that was set before. <a href=\"#words\">All words</a></p>\n",
    );
    push_head(
        page,
        "glance",
        &["chapter", "ahead", "level", "behind", "bars"],
    );
    let chapters: Vec<(&ChapterRecord, Vec<Meeting<'_>>)> = run
        .chapters
        .iter()
        .map(|chapter| (chapter, glance::meetings(chapter)))
        .collect();
    for (chapter, meetings) in &chapters {
        let name = escape(&chapter.name);
        let mut cells = vec![format!("<a href=\"#{name}\">{name}</a>")];
        cells.extend(Place::ALL.map(|place| glance::count(meetings, place).to_string()));
        cells.push(glance::tally(chapter));
        push_cells(page, "", &cells);
    }
    page.push_str("</table></div>\n");
    for place in [Place::Behind, Place::Ahead] {
        push_meetings(page, &chapters, place);
    }
    page.push_str("</section>\n");
}

/// The rows in which we are ahead, or behind, with both figures.
fn push_meetings(page: &mut String, chapters: &[(&ChapterRecord, Vec<Meeting<'_>>)], place: Place) {
    let all = chapters.iter().map(|(_, met)| glance::count(met, place));
    let all: usize = all.sum();
    if all == 0 {
        return;
    }
    let word = place.word();
    // What we lose is not to be looked for.
    let open = match place {
        Place::Behind => " open",
        _ => "",
    };
    let _ = writeln!(
        page,
        "<details{open}><summary>{word} in {all} rows</summary>"
    );
    push_head(
        page,
        "",
        &["row", "ours ÷ theirs", "ours", "best of the others"],
    );
    for (chapter, meetings) in chapters {
        for met in meetings.iter().filter(|met| met.place == place) {
            let cells = [
                with_note(&met.row.title, &chapter.name),
                view::estimate(met.ratio()),
                named(met.ours, met.row.unit),
                named(met.peer, met.row.unit),
            ];
            push_cells(page, "", &cells);
        }
    }
    page.push_str("</table></div></details>\n");
}

/// A figure with the contender that it is of.
fn named((series, estimate): (&Series, Estimate), unit: Unit) -> String {
    with_note(&view::with_unit(estimate.median, unit), &series.contender)
}

/// Text with a quiet line below it.
fn with_note(text: &str, note: &str) -> String {
    format!(
        "{} <small class=\"of\">{}</small>",
        escape(text),
        escape(note)
    )
}

fn push_words(page: &mut String) {
    page.push_str("<section id=\"words\"><h2>What the words mean</h2>\n<dl>");
    for (word, meaning) in glance::WORDS {
        let _ = write!(
            page,
            "<dt>{}</dt><dd>{}</dd>",
            escape(word),
            escape(meaning)
        );
    }
    page.push_str("</dl></section>\n");
}

fn push_chapter(page: &mut String, chapter: &ChapterRecord) -> Result<()> {
    let name = escape(&chapter.name);
    let _ = writeln!(page, "<section id=\"{name}\"><h2>{name}</h2>");
    let _ = writeln!(
        page,
        "<p class=\"question\">{}</p>",
        escape(&chapter.question)
    );
    push_bars(page, chapter);
    push_overview(page, chapter);
    for section in Section::ALL {
        push_section(page, chapter, section)?;
    }
    page.push_str("<h3>What may not be claimed</h3>\n<ul class=\"caveats\">");
    for caveat in &chapter.caveats {
        let _ = write!(page, "<li>{}</li>", escape(caveat));
    }
    page.push_str("</ul>\n</section>\n");
    Ok(())
}

fn push_bars(page: &mut String, chapter: &ChapterRecord) {
    if chapter.bars.is_empty() {
        return;
    }
    let _ = writeln!(page, "<h3>Bars: {}</h3>", glance::tally(chapter));
    // A column of dashes says nothing.
    let claimed = chapter.bars.iter().any(|bar| bar.claim.is_some());
    let mut head = vec!["bar", "verdict", "measured", "limit", "fat LTO"];
    head.extend(claimed.then_some("the reference"));
    push_head(page, "bars", &head);
    for bar in &chapter.bars {
        let mut cells = bar_cells(bar).to_vec();
        cells.extend(claimed.then(|| escape(view::claim(bar))));
        push_cells(page, "", &cells);
    }
    page.push_str("</table></div>\n");
}

/// What it is about and beside whom, the verdict, and the figures.
fn bar_cells(bar: &Bar) -> [String; 5] {
    let word = bar.verdict.word();
    let class = word.replace(' ', "-");
    let what = match bar.against.as_str() {
        "" => escape(&bar.what),
        against => with_note(&bar.what, &format!("beside {against}")),
    };
    [
        what,
        format!("<span class=\"verdict {class}\">{word}</span>"),
        view::estimate(bar.measured),
        view::limit(bar),
        view::estimate(bar.fat),
    ]
}

/// Time and space side by side, in a table for each kind of row.
fn push_overview(page: &mut String, chapter: &ChapterRecord) {
    let rows: Vec<&Row> = chapter.rows.iter().filter(|row| in_overview(row)).collect();
    page.push_str("<h3>Time and space side by side</h3>\n");
    page.push_str("<p class=\"quiet\">Medians; intervals and verdicts are below.</p>\n");
    for rows in view::kinds(&rows) {
        push_kind(page, &rows);
    }
}

/// One line a contender, one column a row.
fn push_kind(page: &mut String, rows: &[&Row]) {
    let mut header = vec![String::new()];
    header.extend(rows.iter().map(|row| {
        let title = escape(&row.title);
        format!("{title} <small>{}</small>", row.unit.symbol())
    }));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    push_head(page, "overview", &header);
    let yardsticks = view::yardsticks();
    let contenders = view::contenders(rows);
    for contender in contenders
        .into_iter()
        .filter(|name| !yardsticks.contains(name))
    {
        let mut cells = vec![escape(contender)];
        cells.extend(rows.iter().map(|row| median_of(row, contender)));
        push_cells(page, class_of(contender), &cells);
    }
    page.push_str("</table></div>\n");
}

/// Rows of the wide table: those in which more than a pair of contenders meet.
fn in_overview(row: &Row) -> bool {
    let wanted = [Section::Time, Section::RealInput, Section::Space];
    wanted.contains(&row.section) && row.series.len() > 2
}

fn median_of(row: &Row, contender: &str) -> String {
    let estimate = row.series(contender).and_then(|series| series.estimate);
    estimate.map_or(view::NOTHING.into(), |estimate| {
        view::figure(estimate.median)
    })
}

fn push_section(page: &mut String, chapter: &ChapterRecord, section: Section) -> Result<()> {
    let rows = chapter
        .rows
        .iter()
        .filter(|row| row.section == section && !row.series.is_empty());
    let rows: Vec<&Row> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    let _ = writeln!(page, "<h3>{}</h3>", section.heading());
    if section == Section::Latency {
        push_latency(page, &rows);
        return Ok(());
    }
    page.push_str("<div class=\"rows\">\n");
    for row in rows {
        match section {
            Section::OverTime => push_course(page, row)?,
            _ => push_row(page, row)?,
        }
    }
    page.push_str("</div>\n");
    Ok(())
}

/// A row whose values are instants.
fn push_course(page: &mut String, row: &Row) -> Result<()> {
    let (title, what) = (escape(&row.title), escape(&row.what));
    let unit = row.unit.symbol();
    let _ = writeln!(
        page,
        "<article><h4>{title} <small>{unit}</small></h4><p>{what}</p>"
    );
    if let Some(svg) = plot::over_time(row)? {
        let _ = writeln!(
            page,
            "<figure role=\"img\" aria-label=\"{title}\">{svg}</figure>"
        );
    }
    page.push_str("<details><summary>figures</summary>\n");
    push_head(page, "", &view::COURSE);
    for series in &row.series {
        let cells = view::course(series).map(|cell| escape(&cell));
        push_cells(page, class_of(&series.contender), &cells);
    }
    page.push_str("</table></div></details></article>\n");
    Ok(())
}

fn push_row(page: &mut String, row: &Row) -> Result<()> {
    let (title, what) = (escape(&row.title), escape(&row.what));
    let standing = escape(&view::standing(row));
    let unit = row.unit.symbol();
    let _ = writeln!(
        page,
        "<article><h4>{title} <small>{unit}</small></h4><p>{what}</p>"
    );
    if let Some(svg) = plot::of_row(row)? {
        let _ = writeln!(
            page,
            "<figure role=\"img\" aria-label=\"{title}\">{svg}</figure>"
        );
    }
    let _ = writeln!(page, "<p class=\"standing\">{standing}</p>");
    page.push_str("<details><summary>figures with intervals</summary>\n");
    push_head(
        page,
        "",
        &["contender", &format!("{unit} [95 %]"), "÷ ours", "fat LTO"],
    );
    for series in &row.series {
        let cells = [
            escape(&series.contender),
            view::estimate(series.estimate),
            view::estimate(view::against_ours(row, series)),
            view::estimate(series.fat_estimate),
        ];
        push_cells(page, class_of(&series.contender), &cells);
    }
    page.push_str("</table></div></details>\n");
    for (contender, note) in view::notes(row) {
        let (contender, note) = (escape(contender), escape(note));
        let _ = writeln!(
            page,
            "<details><summary>{contender}, as it reports itself</summary><pre>{note}</pre></details>"
        );
    }
    page.push_str("</article>\n");
    Ok(())
}

fn push_latency(page: &mut String, rows: &[&Row]) {
    page.push_str(
        "<p class=\"quiet\">Nanoseconds, each operation timed alone. What is not above \
                   the same percentile of an empty measurement reads ≤ timer.</p>\n",
    );
    let mut header = vec![""];
    header.extend(rows.iter().map(|row| row.title.as_str()));
    push_head(page, "overview", &header);
    for contender in view::contenders(rows) {
        let mut cells = vec![escape(contender)];
        cells.extend(rows.iter().map(|row| {
            row.series(contender)
                .map_or(view::NOTHING.into(), |series| view::latency(row, series))
        }));
        push_cells(page, class_of(contender), &cells);
    }
    page.push_str("</table></div>\n");
}

fn push_changes(page: &mut String, against: &Against<'_>) {
    let _ = writeln!(
        page,
        "<section id=\"against\"><h2>Against {}</h2><p>{}. Peers are compared too: where a peer \
         moved, the machine did.</p>",
        escape(against.name),
        escape(&against.origin)
    );
    push_head(
        page,
        "",
        &["row", "contender", "then", "now", "now ÷ then", "verdict"],
    );
    for change in &against.changes {
        let cells = [
            escape(&change.row),
            escape(&change.contender),
            view::with_unit(change.then.median, change.unit),
            view::with_unit(change.now.median, change.unit),
            view::estimate(Some(change.ratio)),
            change.verdict().to_owned(),
        ];
        push_cells(page, class_of(&change.contender), &cells);
    }
    page.push_str("</table></div></section>\n");
}

fn push_provenance(page: &mut String, run: &Run) {
    page.push_str("<section id=\"provenance\"><h2>Where the figures come from</h2>\n<dl>");
    let corpus = &run.corpus;
    let mut facts = run.provenance.facts();
    facts.push((
        "corpus",
        format!(
            "{}: {} nodes, {} edges, digest {}",
            corpus.origin, corpus.nodes, corpus.edges, corpus.digest
        ),
    ));
    for (label, value) in facts {
        let _ = write!(page, "<dt>{label}</dt><dd>{}</dd>", escape(&value));
    }
    for left_out in &run.left_out {
        let (peer, reason) = (escape(&left_out.peer), escape(&left_out.reason));
        let _ = write!(page, "<dt>left out</dt><dd>{peer}: {reason}</dd>");
    }
    page.push_str("</dl></section>\n");
}

fn push_head(page: &mut String, class: &str, titles: &[&str]) {
    let _ = write!(page, "<div class=\"scroll\"><table class=\"{class}\"><tr>");
    for title in titles {
        let _ = write!(page, "<th scope=\"col\">{title}</th>");
    }
    page.push_str("</tr>\n");
}

/// One line of a table; the first cell is its heading. Cells are HTML already.
fn push_cells(page: &mut String, class: &str, cells: &[String]) {
    let _ = write!(page, "<tr class=\"{class}\">");
    for (index, cell) in cells.iter().enumerate() {
        let _ = match index {
            0 => write!(page, "<th scope=\"row\">{cell}</th>"),
            _ => write!(page, "<td>{cell}</td>"),
        };
    }
    page.push_str("</tr>\n");
}

fn class_of(contender: &str) -> &'static str {
    if contender.starts_with(crate::record::OURS) {
        "ours"
    } else {
        ""
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
