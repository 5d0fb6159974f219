//! Crate pages: each pool explains itself under the same headings, in the same order.
//!
//! A reader who knows one pool can skim the next. The engine has a smaller list: it
//! says that it is an implementation crate, and what it is not.

use super::Violation;
use super::markdown::{self, Piece};
use super::tree::{Member, Tree};

const POOLS: &[&str] = &[
    "millpond",
    "millpond-fixed",
    "millpond-arena",
    "millpond-vector",
    "millpond-bytes",
];
const POOL_SECTIONS: &[&str] = &[
    "Example",
    "Memory layout",
    "Cost",
    "Guarantees",
    "Running out",
    "Threads",
    "Not for",
];

const ENGINE: &str = "millpond-core";
const ENGINE_SECTIONS: &[&str] = &["What this crate is not"];

/// Sections that hold a fenced block: a picture or a program, not a description of one.
const DRAWN: &[&str] = &["Example", "Memory layout"];

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.members()
        .iter()
        .flat_map(|member| check_member(tree, member))
        .collect()
}

fn check_member(tree: &Tree, member: &Member) -> Vec<Violation> {
    let sections = match member.name.as_str() {
        ENGINE => ENGINE_SECTIONS,
        name if POOLS.contains(&name) => POOL_SECTIONS,
        _ => return Vec::new(),
    };
    let file = format!("{}/src/lib.rs", member.directory);
    let page = crate_page(tree.text(&file).unwrap_or_default());
    let mut complaints = Vec::from_iter(opening(&page));
    complaints.extend(order(&page, sections));
    complaints.extend(undrawn(&page, sections));
    if member.name == ENGINE && !page.contains("implementation crate") {
        complaints.push((
            1,
            "the page does not say that this is an implementation crate".to_owned(),
        ));
    }
    complaints
        .into_iter()
        .map(|(line, what)| Violation::new(file.clone(), line, what))
        .collect()
}

type Complaint = (usize, String);

/// The `//!` lines at the head of a file; line numbers stay those of the file.
fn crate_page(source: &str) -> String {
    let lines = source.lines().map_while(|line| {
        let text = line.strip_prefix("//!");
        text.map(|text| text.strip_prefix(' ').unwrap_or(text))
            .or_else(|| line.trim().is_empty().then_some(""))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The page begins with one sentence that says what the crate is.
fn opening(page: &str) -> Option<Complaint> {
    let paragraph = page.split("\n\n").next().unwrap_or_default();
    let says_it =
        paragraph.starts_with(char::is_alphanumeric) && paragraph.trim_end().ends_with('.');
    (!says_it).then(|| {
        (
            1,
            "the crate page does not begin with a sentence that says what it is".to_owned(),
        )
    })
}

/// Each section stands once, and in this order; other headings may stand between them.
fn order(page: &str, sections: &[&str]) -> Vec<Complaint> {
    let headings = markdown::headings(page);
    let mut complaints = Vec::new();
    let mut last = (0, "the opening");
    for section in sections {
        let found: Vec<_> = headings
            .iter()
            .filter(|(_, title)| title == section)
            .map(|(line, _)| *line)
            .collect();
        match found[..] {
            [line] if line > last.0 => last = (line, section),
            [line] => complaints.push((line, format!("`# {section}` must come after {}", last.1))),
            [] => complaints.push((1, format!("the section `# {section}` is missing"))),
            [_, again, ..] => complaints.push((again, format!("`# {section}` stands here twice"))),
        }
    }
    complaints
}

/// Sections that promise a picture or a program and have no block.
fn undrawn(page: &str, sections: &[&str]) -> Vec<Complaint> {
    let mut open: Option<(usize, &str)> = None;
    let mut complaints = Vec::new();
    let mut close = |section: Option<(usize, &str)>| {
        if let Some((line, section)) = section {
            complaints.push((line, format!("`# {section}` has no fenced block")));
        }
    };
    for piece in markdown::pieces(page) {
        match piece {
            Piece::Line { number, text } if text.starts_with("# ") => {
                let drawn = DRAWN.iter().filter(|name| sections.contains(name));
                let begins = drawn.copied().find(|name| *name == text[2..].trim());
                close(std::mem::replace(
                    &mut open,
                    begins.map(|name| (number, name)),
                ));
            }
            Piece::Block { .. } => open = None,
            Piece::Line { .. } => {}
        }
    }
    close(open);
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "//! Pools of a thing.\n//!\n//! # Example\n//! ```\n//! # hidden\n//! ```\n//! # Memory layout\n//! ```text\n//! box\n//! ```\n//! # Cost\n//! # Guarantees\n//! # Running out\n//! # Threads\n//! # Not for\nfn code() {}\n";

    fn complaints(name: &str, source: &str) -> Vec<String> {
        let file = format!("crates/{name}/src/lib.rs");
        let tree = Tree::of_files(&[(&file, source)]).with_member(name, &[]);
        check(&tree)
            .into_iter()
            .map(|violation| violation.to_string())
            .collect()
    }

    #[test]
    fn a_page_with_all_sections_in_order_is_fine() {
        assert_eq!(complaints("millpond-fixed", GOOD), [""; 0]);
    }

    #[test]
    fn a_missing_section_is_found() {
        let found = complaints("millpond-fixed", &GOOD.replace("//! # Threads\n", ""));
        assert!(
            found.len() == 1 && found[0].contains("# Threads"),
            "{found:?}"
        );
    }

    #[test]
    fn a_section_out_of_order_is_found_with_its_line() {
        let swapped = GOOD.replace("# Cost\n//! # Guarantees", "# Guarantees\n//! # Cost");
        let found = complaints("millpond-fixed", &swapped);
        assert!(
            found.len() == 1 && found[0].contains("lib.rs:11"),
            "{found:?}"
        );
    }

    #[test]
    fn a_layout_without_a_picture_is_found() {
        let found = complaints(
            "millpond-fixed",
            &GOOD.replace("//! ```text\n//! box\n//! ```\n", "//! A box.\n"),
        );
        assert!(
            found.len() == 1 && found[0].contains("no fenced block"),
            "{found:?}"
        );
    }

    #[test]
    fn a_page_that_begins_with_a_heading_is_found() {
        assert_eq!(
            complaints(
                "millpond-fixed",
                &GOOD.replacen("//! Pools of a thing.\n//!\n", "", 1)
            )
            .len(),
            1
        );
    }

    #[test]
    fn the_engine_says_what_it_is_not() {
        let page = "//! The engine, an implementation crate.\n//!\n//! # What this crate is not\n";
        assert_eq!(complaints("millpond-core", page), [""; 0]);
        assert_eq!(complaints("millpond-core", "//! The engine.\n").len(), 2);
    }
}
