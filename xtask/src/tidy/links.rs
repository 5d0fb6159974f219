//! Links: every relative link in a page resolves, to the file and to the heading.

use super::Violation;
use super::markdown;
use super::tree::{Tree, has_extension};

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let pages = tree.texts().filter(|(path, _)| has_extension(path, "md"));
    pages
        .flat_map(|(path, text)| check_page(tree, path, text))
        .collect()
}

fn check_page(tree: &Tree, page: &str, text: &str) -> Vec<Violation> {
    let broken = |(line, target): (usize, String)| {
        let what = complaint(tree, page, &target)?;
        Some(Violation::new(page, line, what))
    };
    markdown::links(text)
        .into_iter()
        .filter_map(broken)
        .collect()
}

fn complaint(tree: &Tree, page: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file = if path.is_empty() {
        page.to_owned()
    } else {
        resolve(page, path)
    };
    if !tree.has(&file) {
        return Some(format!("`{target}` leads nowhere: there is no {file}"));
    }
    let anchor = anchor?;
    let known = markdown::anchors(tree.text(&file).unwrap_or_default());
    (!known.iter().any(|name| name == anchor))
        .then(|| format!("{file} has no heading for `#{anchor}`"))
}

/// The file that a relative link on `page` means.
fn resolve(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(link: &str) -> usize {
        let page = format!("# One\nSee [it]({link}).\n");
        let other = "# Two words\n";
        check(&Tree::of_files(&[
            ("docs/a.md", &page),
            ("docs/b.md", other),
            ("README.md", ""),
        ]))
        .len()
    }

    #[test]
    fn links_that_resolve_are_fine() {
        for link in [
            "b.md",
            "./b.md#two-words",
            "#one",
            "../README.md",
            "../docs",
            "https://example.org/x#y",
        ] {
            assert_eq!(complaints(link), 0, "{link}");
        }
    }

    #[test]
    fn a_missing_file_and_a_missing_heading_are_found() {
        for link in ["c.md", "../b.md", "b.md#three", "#two-words"] {
            assert_eq!(complaints(link), 1, "{link}");
        }
    }
}
