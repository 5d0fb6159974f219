//! Figures: the page of measured figures says what the records say.

use super::Violation;
use super::tree::Tree;
use crate::figures::{PAGE, RECORDS, page};

/// Writes the page anew.
pub(crate) fn bless() -> anyhow::Result<()> {
    crate::figures::write()
}

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let mut records: Vec<_> = tree
        .texts()
        .filter_map(|(path, text)| {
            let file = path.strip_prefix(RECORDS)?;
            Some((file.strip_suffix(".json")?, text))
        })
        .collect();
    records.sort_unstable();
    if records.is_empty() {
        return Vec::new();
    }
    match page(&records) {
        Err(error) => vec![Violation::new(RECORDS, 1, format!("{error:#}"))],
        Ok(page) if tree.text(PAGE) == Some(&page) => Vec::new(),
        Ok(_) => {
            let what = "not what the records say: `cargo xtask tidy --bless` writes it";
            vec![Violation::new(PAGE, 1, what)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"recorded": "d", "command": "c", "compiler": "r", "cpu": "p",
        "counts": {"fast": 7.0}}"#;

    #[test]
    fn a_page_that_somebody_typed_is_refused() {
        let record = ("benches/record/icount.json", RECORD);
        let made = page(&[("icount", RECORD)]).unwrap();
        let tree = |text: &str| Tree::of_files(&[record, (PAGE, text)]);
        assert_eq!(check(&tree(&made)), []);
        assert_eq!(check(&tree(&made.replace('7', "6"))).len(), 1);
        let broken = Tree::of_files(&[("benches/record/icount.json", "{}")]);
        assert_eq!(check(&broken).len(), 1);
    }
}
