//! As much of Markdown as the rules need: headings, links, fenced blocks.

/// A line outside of fenced blocks, or a whole fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Line {
        number: usize,
        text: &'a str,
    },
    Block {
        number: usize,
        language: &'a str,
        lines: Vec<&'a str>,
    },
}

/// Splits a page into its lines and its fenced blocks.
pub(crate) fn pieces(page: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((text, number)) = lines.next() {
        let Some(language) = text.trim_start().strip_prefix("```") else {
            found.push(Piece::Line { number, text });
            continue;
        };
        let inside = lines
            .by_ref()
            .map(|(line, _)| line)
            .take_while(|line| !line.trim_start().starts_with("```"));
        found.push(Piece::Block {
            number,
            language: language.trim(),
            lines: inside.collect(),
        });
    }
    found
}

/// A heading with its line, without the marks.
pub(crate) fn headings(page: &str) -> Vec<(usize, String)> {
    let heading = |piece: Piece<'_>| match piece {
        Piece::Line { number, text } if text.starts_with('#') => {
            let title = text.trim_start_matches('#');
            title
                .starts_with(' ')
                .then(|| (number, title.trim().to_owned()))
        }
        _ => None,
    };
    pieces(page).into_iter().filter_map(heading).collect()
}

/// The anchors of a page, as forges make them from headings.
pub(crate) fn anchors(page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, title) in headings(page) {
        let plain = anchor(&title);
        let repeated = (1..).map(|count| format!("{plain}-{count}"));
        let name = std::iter::once(plain.clone())
            .chain(repeated)
            .find(|name| !found.contains(name));
        found.extend(name);
    }
    found
}

fn anchor(title: &str) -> String {
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The targets of `[text](target)` with their lines, outside of code.
pub(crate) fn links(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for piece in pieces(page) {
        let Piece::Line { number, text } = piece else {
            continue;
        };
        let prose = without_code(text);
        let targets = prose.match_indices("](").filter_map(|(at, open)| {
            let target = &prose[at + open.len()..];
            Some(target[..target.find(')')?].to_owned())
        });
        found.extend(targets.map(|target| (number, target)));
    }
    found
}

/// The line with what stands between backticks taken out.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Why `N` means N?\nSee [it](a.md#b) and `[no](code)`.\n```sh\n# not a heading [x](y)\n```\n## End\n## End\n";

    #[test]
    fn headings_inside_blocks_do_not_count() {
        let titles: Vec<_> = headings(PAGE)
            .into_iter()
            .map(|(line, title)| format!("{line} {title}"))
            .collect();
        assert_eq!(titles, ["1 Why `N` means N?", "6 End", "7 End"]);
    }

    #[test]
    fn anchors_are_lower_case_without_marks_and_numbered_when_repeated() {
        assert_eq!(anchors(PAGE), ["why-n-means-n", "end", "end-1"]);
    }

    #[test]
    fn links_inside_code_do_not_count() {
        assert_eq!(links(PAGE), [(2, "a.md#b".to_owned())]);
    }

    #[test]
    fn a_block_knows_its_language_and_lines() {
        let block = pieces(PAGE)
            .into_iter()
            .find(|piece| matches!(piece, Piece::Block { .. }));
        let expected = Piece::Block {
            number: 3,
            language: "sh",
            lines: vec!["# not a heading [x](y)"],
        };
        assert_eq!(block, Some(expected));
    }
}
