//! The manual: every page is in the table of contents, and every program in it is tested.

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
        if has_programs(text) && !tested.contains(&format!("\"{page}\"")) {
            let what = format!("has programs, and is not in {TESTED}");
            violations.push(Violation::new(&path, 1, what));
        }
    }
    violations
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
