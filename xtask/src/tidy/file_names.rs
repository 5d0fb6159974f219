//! File names: a file carries the name of its concept.
//!
//! A file called `utils` says that the concept has not been found yet, and it grows.

use super::Violation;
use super::tree::Tree;

const BANNED: &[&str] = &["util", "utils", "helper", "helpers", "misc", "common"];

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.files()
        .iter()
        .filter_map(|file| complaint(&file.path))
        .collect()
}

fn complaint(path: &str) -> Option<Violation> {
    let banned = path
        .split('/')
        .map(stem)
        .find(|stem| BANNED.contains(stem))?;
    Some(Violation::new(
        path,
        1,
        format!("`{banned}` names no concept: say what is inside"),
    ))
}

fn stem(part: &str) -> &str {
    part.split_once('.').map_or(part, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawer_is_found_as_file_and_as_directory() {
        let paths = ["a/src/utils.rs", "a/src/common/mod.rs", "docs/misc.md"];
        let tree = Tree::of_files(&paths.map(|path| (path, "")));
        assert_eq!(check(&tree).len(), paths.len());
    }

    #[test]
    fn a_word_inside_a_name_is_fine() {
        let tree = Tree::of_files(&[("a/src/utilisation.rs", ""), ("a/src/common_prefix.rs", "")]);
        assert_eq!(check(&tree), []);
    }
}
