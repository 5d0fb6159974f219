//! Figures: the page of measured figures, and what pages quote, is what the records say.

use super::Violation;
use super::tree::Tree;
use crate::figures::{RECORDS, outdated};

/// Writes the pages anew.
pub(crate) fn bless() -> anyhow::Result<()> {
    crate::figures::write()
}

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let texts: Vec<_> = tree.texts().collect();
    match outdated(&texts) {
        Err(error) => vec![Violation::new(RECORDS, 1, format!("{error:#}"))],
        Ok(pages) => pages
            .iter()
            .map(|(path, page)| not_it(tree, path, page))
            .collect(),
    }
}

/// Says where a page begins to be another one.
fn not_it(tree: &Tree, path: &str, page: &str) -> Violation {
    let text = tree.text(path).unwrap_or_default();
    let same = text
        .lines()
        .zip(page.lines())
        .take_while(|(one, other)| one == other);
    let what = "not what the records say: `cargo xtask tidy --bless` writes it";
    Violation::new(path, same.count() + 1, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::PAGE;

    const RECORD: &str = r#"{"recorded": "d", "command": "c", "compiler": "r", "cpu": "p",
        "counts": {"fast": 7.0}}"#;

    #[test]
    fn figures_that_somebody_typed_are_refused_where_they_stand() {
        let record = ("benches/record/icount.json", RECORD);
        let made = outdated(&[record]).unwrap();
        let [(PAGE, made)] = &made[..] else {
            panic!("{made:?}")
        };
        let complaints = |figures: &str, page: &str| {
            let files = [record, (PAGE, figures), ("docs/page.md", page)];
            let found = check(&Tree::of_files(&files));
            let places = found.into_iter().map(|found| (found.file, found.line));
            places.collect::<Vec<_>>()
        };
        let page = "# Page\n\n<data value=\"icount/fast\">7</data> instructions.\n";
        assert_eq!(complaints(made, page), []);
        let typed = (made.replace("| 7", "| 6"), page.replace('7', "6"));
        assert_eq!(complaints(&typed.0, page).len(), 1);
        assert_eq!(complaints(made, &typed.1), [("docs/page.md".to_owned(), 3)]);
        let unknown = page.replace("fast", "slow");
        assert_eq!(complaints(made, &unknown), [(RECORDS.to_owned(), 1)]);
        let broken = Tree::of_files(&[("benches/record/icount.json", "{}")]);
        assert_eq!(check(&broken).len(), 1);
    }
}
