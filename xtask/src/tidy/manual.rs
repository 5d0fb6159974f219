//! The manual: every page is in the table of contents, every program in it is tested, and
//! no link leads out of it, to what is there in a repository and not in a book.

use super::Violation;
use super::markdown::{self, Piece};
use super::tree::{Tree, has_extension};

const CONTENTS: &str = "docs/SUMMARY.md";
const TESTED: &str = "crates/millpond/src/manual.rs";

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let contents = tree.text(CONTENTS).unwrap_or_default();
    let tested = tree.text(TESTED).unwrap_or_default();
    let pages = tree.texts().filter_map(|(path, text)| {
        let page = path.strip_prefix("docs/")?;
        (has_extension(path, "md") && path != CONTENTS).then_some((page, text))
    });
    let mut violations = Vec::new();
    for (page, text) in pages {
        let path = format!("docs/{page}");
        if !contents.contains(&format!("({page})")) {
            violations.push(Violation::new(&path, 1, format!("not in {CONTENTS}")));
        }
        let outside = markdown::links(text).into_iter();
        let outside = outside.filter(|(_, target)| leads_out(page, target));
        violations.extend(outside.map(|(line, target)| {
            let what = format!("{target} is not in the manual: name the file, or say it here");
            Violation::new(&path, line, what)
        }));
        if has_programs(text) && !tested.contains(&format!("\"{page}\"")) {
            let what = format!("has programs, and is not in {TESTED}");
            violations.push(Violation::new(&path, 1, what));
        }
    }
    violations
}

/// Whether a relative link goes up further than the page lies deep.
fn leads_out(page: &str, target: &str) -> bool {
    let up = target.split('/').take_while(|part| *part == "..");
    up.count() > page.matches('/').count()
}

fn has_programs(page: &str) -> bool {
    let is_program = |piece: &Piece<'_>| match piece {
        Piece::Block { language, .. } => language.starts_with("rust"),
        Piece::Line { .. } => false,
    };
    markdown::pieces(page).iter().any(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "# Page\n\n```rust\nassert!(true);\n```\n";

    #[test]
    fn a_link_out_of_the_manual_is_refused() {
        for (page, link, leads) in [
            ("docs/page.md", "../README.md", 1),
            ("docs/page.md", "deep/page.md", 0),
            ("docs/deep/page.md", "../page.md", 0),
            ("docs/deep/page.md", "../../README.md", 1),
        ] {
            let (text, contents) = (format!("[this]({link})"), format!("({})", &page[5..]));
            let tree = Tree::of_files(&[(page, &text), ("docs/SUMMARY.md", &contents)]);
            assert_eq!(check(&tree).len(), leads, "{page} {link}");
        }
    }

    fn complaints(contents: &str, tested: &str) -> usize {
        let tree = Tree::of_files(&[
            ("docs/page.md", PROGRAM),
            ("docs/SUMMARY.md", contents),
            ("crates/millpond/src/manual.rs", tested),
        ]);
        check(&tree).len()
    }

    #[test]
    fn a_page_that_is_listed_and_tested_is_fine() {
        assert_eq!(complaints("- [Page](page.md)", "Page = \"page.md\","), 0);
    }

    #[test]
    fn a_page_that_nobody_finds_or_tests_is_refused() {
        assert_eq!(complaints("", "Page = \"page.md\","), 1);
        assert_eq!(complaints("- [Page](page.md)", ""), 1);
    }
}
