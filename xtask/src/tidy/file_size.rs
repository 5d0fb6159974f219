//! File size: nothing over 400 kB, because a clone carries it for ever.

use super::Violation;
use super::tree::Tree;

/// The largest text that we write by hand is a tenth of this; a lock file with every
/// peer is a quarter. What is larger is data, and data is made by a command.
const LIMIT_BYTES: u64 = 400_000;

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let large = tree
        .files()
        .iter()
        .filter(|file| file.length_bytes > LIMIT_BYTES);
    large
        .map(|file| {
            let what = format!("{} bytes, more than {LIMIT_BYTES}", file.length_bytes);
            Violation::new(file.path.clone(), 1, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_found_and_the_limit_itself_is_fine() {
        let limit = usize::try_from(LIMIT_BYTES).unwrap();
        let (full, over) = ("x".repeat(limit), "x".repeat(limit + 1));
        let tree = Tree::of_files(&[("full.txt", &full), ("over.txt", &over)]);
        let found: Vec<_> = check(&tree)
            .into_iter()
            .map(|violation| violation.file)
            .collect();
        assert_eq!(found, ["over.txt"]);
    }
}
