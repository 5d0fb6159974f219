//! Indexes: a page that begins with a section *Index* names each of its other sections there,
//! so that what is added at the end is found from the beginning.

use super::Violation;
use super::markdown;
use super::tree::{Tree, has_extension};

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let pages = tree.texts().filter(|(path, _)| has_extension(path, "md"));
    pages
        .flat_map(|(path, text)| check_page(path, text))
        .collect()
}

fn check_page(page: &str, text: &str) -> Vec<Violation> {
    let (headings, anchors) = (markdown::headings(text), markdown::anchors(text));
    let sections: Vec<_> = headings.iter().zip(anchors).skip(1).collect();
    if sections.first().is_none_or(|(_, anchor)| anchor != "index") {
        return Vec::new();
    }
    let named: Vec<String> = markdown::links(text)
        .into_iter()
        .filter_map(|(_, target)| Some(target.strip_prefix('#')?.to_owned()))
        .collect();
    let missing = sections[1..].iter();
    let missing = missing.filter(|(_, anchor)| !named.contains(anchor));
    missing
        .map(|((line, title), anchor)| {
            let what = format!("not in the index of the page: - [{title}](#{anchor})");
            Violation::new(page, *line, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_the_index_does_not_name_is_found() {
        let index = "# Page\n\n## Index\n\n- [A `b`?](#a-b)\n\n## A `b`?\n";
        assert_eq!(check_page("a.md", index), []);
        let longer = format!("{index}\n## New\n");
        let found = check_page("a.md", &longer);
        assert_eq!((found.len(), found[0].line), (1, 9));
        assert!(found[0].what.ends_with("- [New](#new)"), "{}", found[0]);
    }

    #[test]
    fn a_page_without_an_index_needs_none() {
        assert_eq!(check_page("a.md", "# Page\n\n## A\n\n## B\n"), []);
    }
}
