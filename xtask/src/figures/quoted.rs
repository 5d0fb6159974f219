//! Figures in prose: what stands in a `data` element of a Markdown page is from a record.
//!
//! ```text
//!  <data value="icount/fast_shared_pair">53</data>                      instructions
//!  <data value="field-fixed/pair-1/opool">19.1 ns</data>                a median
//!  <data value="field-fixed/pair-1/opool ÷ object-pool">1.95</data>     of two medians
//!  <data value="field-fixed/pair-1/opool − object-pool">9.28 ns</data>  of two medians
//!  <data value="encoder/allocation-share/heap in %">1.43 %</data>       a ratio in hundredths
//! ```
//!
//! Chapter, row and contender are those of the record. A page shows the figure and not
//! where it is from, which is for whoever edits the page.

use super::{Records, Run, short, unit};
use anyhow::{Context, Result, bail};

const OPEN: &str = "<data value=\"";
const CLOSE: &str = "</data>";

/// The page with the figures that the records have.
pub(super) fn quote(records: &Records, page: &str) -> Result<String> {
    let mut quoted = String::new();
    let mut rest = page;
    while let Some(at) = rest.find(OPEN) {
        let (before, from) = rest.split_at(at + OPEN.len());
        quoted += before;
        let line = quoted.lines().count();
        let unclosed = || format!("line {line}: a data element has no end");
        let (reference, from) = from.split_once("\">").with_context(unclosed)?;
        let (_, after) = from.split_once(CLOSE).with_context(unclosed)?;
        let figure = figure(records, reference);
        let figure = figure.with_context(|| format!("line {line}: {reference:?}"))?;
        quoted += &format!("{reference}\">{figure}{CLOSE}");
        rest = after;
    }
    Ok(quoted + rest)
}

fn figure(records: &Records, reference: &str) -> Result<String> {
    // Paragraphs are wrapped, references in them too.
    let reference: Vec<&str> = reference.split_whitespace().collect();
    let reference = reference.join(" ");
    let mut parts = reference.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("icount"), Some(function), None) => {
            let counted = records.counted.as_ref();
            let count = counted.and_then(|counted| counted.counts.get(function));
            Ok(count.context("no such function was counted")?.to_string())
        }
        (Some(chapter), Some(row), Some(who)) => {
            let run = records.latest_of(chapter);
            measured(
                run.context("no record has this chapter")?,
                chapter,
                row,
                who,
            )
        }
        _ => bail!("CHAPTER/ROW/WHO and icount/FUNCTION are allowed"),
    }
}

fn measured(run: &Run, chapter: &str, row: &str, who: &str) -> Result<String> {
    let chapter = run.chapters.iter().find(|known| known.name == chapter);
    let mut rows = chapter.into_iter().flat_map(|chapter| &chapter.rows);
    let row = rows.find(|known| known.id == row);
    let row = row.context("the chapter has no such row")?;
    let median = |who: &str| {
        let mut series = row.series.iter();
        let found = series.find(|known| known.contender == who);
        let estimate = found.and_then(|found| found.estimate.as_ref());
        let estimate = estimate.with_context(|| format!("the row has no figure of {who:?}"));
        estimate.map(|estimate| estimate.median)
    };
    if let Some((who, other)) = who.split_once(" ÷ ") {
        return Ok(short(median(who)? / median(other)?));
    }
    if let Some(who) = who.strip_suffix(" in %") {
        return Ok(format!("{} %", short(100.0 * median(who)?)));
    }
    let figure = match who.split_once(" − ") {
        Some((who, other)) => median(who)? - median(other)?,
        None => median(who)?,
    };
    let unit = if row.unit == "ratio" {
        ""
    } else {
        unit(&row.unit)
    };
    Ok(format!("{} {unit}", short(figure)).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: &str = r#"{"recorded": "d", "command": "c", "compiler": "r", "cpu": "p",
        "counts": {"fast": 7.0}}"#;

    fn quoted(reference: &str) -> Result<String> {
        let run = super::super::tests::RUN;
        let records = Records::read(&[("icount", COUNTED), ("full", run)]).unwrap();
        let page = format!("One\n<data value=\"{reference}\">typed</data> two.");
        quote(&records, &page)
    }

    #[test]
    fn figures_are_those_of_the_records() {
        for (reference, figure) in [
            ("icount/fast", "7"),
            ("n/pair-1/a", "12.3 ns"),
            ("n/pair-1/a ÷ b", "4.94"),
            ("n/pair-1/a\n− b", "9.85 ns"),
            ("n/pair-1/b in %", "250 %"),
        ] {
            let expected = format!("One\n<data value=\"{reference}\">{figure}</data> two.");
            assert_eq!(quoted(reference).unwrap(), expected);
        }
    }

    #[test]
    fn what_no_record_has_is_refused_with_its_line() {
        for reference in [
            "icount/slow",
            "icount",
            "m/pair-1/a",
            "n/pair-2/a",
            "n/pair-1/c",
            "n/pair-1/absent",
            "n/pair-1/a ÷ c",
        ] {
            let error = quoted(reference).unwrap_err().to_string();
            assert!(error.starts_with("line 2: "), "{reference}: {error}");
        }
    }
}
