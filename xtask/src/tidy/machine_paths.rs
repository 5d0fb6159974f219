//! Machine paths: what one machine looks like stays out of the repository.
//!
//! Absolute paths of somebody's home, addresses of somebody's mirror: they work for
//! one person and mislead everybody else. Lock files name the public registry only.

use super::Violation;
use super::tree::{Tree, has_extension};

/// Beginnings that belong to one machine. Written apart, or this file would find itself.
const PLACES: &[&[&str]] = &[
    &["/ro", "ot/"],
    &["/ho", "me/"],
    &["/Us", "ers/"],
    &["/wo", "rk/"],
    &["C:\\", "Users"],
    &["file", ":///"],
    &["repla", "ce-with"],
    &["spar", "se+http"],
    &["local", "host:"],
];

const PUBLIC_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.texts()
        .flat_map(|(path, text)| check_text(path, text))
        .collect()
}

fn check_text(path: &str, text: &str) -> Vec<Violation> {
    let is_lock = has_extension(path, "lock");
    let complaint = |line: &str| place(line).or_else(|| if is_lock { source(line) } else { None });
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(index, line)| Some(Violation::new(path, index + 1, complaint(line)?)))
        .collect()
}

fn place(line: &str) -> Option<String> {
    let needles = PLACES.iter().map(|parts| parts.concat());
    needles
        .into_iter()
        .find(|needle| starts_a_word(line, needle))
        .map(|needle| format!("`{needle}` belongs to one machine"))
}

/// A path is absolute only where nothing that could be its parent precedes it.
fn starts_a_word(line: &str, needle: &str) -> bool {
    let inside_a_word = |c: char| c.is_alphanumeric() || "._-/*}".contains(c);
    line.match_indices(needle)
        .any(|(at, _)| !line[..at].ends_with(inside_a_word))
}

fn source(line: &str) -> Option<String> {
    let value = line.strip_prefix("source = ")?.trim_matches('"');
    (value != PUBLIC_REGISTRY).then(|| format!("`{value}` is not the public registry"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_found_with_its_line() {
        for parts in PLACES {
            let text = format!("first line\nsee {}x\n", parts.concat());
            let found = check(&Tree::of_files(&[("docs/a.md", &text)]));
            assert_eq!(found.len(), 1, "{parts:?}");
            assert_eq!(found[0].line, 2);
        }
    }

    #[test]
    fn a_relative_path_that_reads_alike_is_fine() {
        let text = format!(
            "see docs{}x and work/{}x",
            ["/ro", "ot/"].concat(),
            ["ho", "me/"].concat()
        );
        assert_eq!(check(&Tree::of_files(&[("docs/a.md", &text)])), []);
    }

    #[test]
    fn a_lock_file_names_the_public_registry_only() {
        let text = format!(
            "source = \"{PUBLIC_REGISTRY}\"\nsource = \"registry+https://mirror.example/index\"\n"
        );
        let found = check(&Tree::of_files(&[("Cargo.lock", &text)]));
        assert_eq!(
            found
                .iter()
                .map(|violation| violation.line)
                .collect::<Vec<_>>(),
            [2]
        );
    }
}
