//! File size: nothing over 400 kB, because a clone carries it for ever. A record of all
//! chapters may have 1 MB: it is what every figure of the manual is made of.

use super::Violation;
use super::tree::Tree;
use crate::figures::RECORDS;

/// The largest text that we write by hand is a tenth of this; a lock file with every
/// peer is a quarter. What is larger is data, and data is made by a command.
const LIMIT_BYTES: u64 = 400_000;

/// The same for a record: a full run of all chapters, of which `--save` keeps the rounds
/// in five digits, is half of this.
const RECORD_LIMIT_BYTES: u64 = 1_000_000;

fn limit_of(path: &str) -> u64 {
    match path.starts_with(RECORDS) {
        true => RECORD_LIMIT_BYTES,
        false => LIMIT_BYTES,
    }
}

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let large = tree
        .files()
        .iter()
        .filter(|file| file.length_bytes > limit_of(&file.path));
    large
        .map(|file| {
            let limit = limit_of(&file.path);
            let what = format!("{} bytes, more than {limit}", file.length_bytes);
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
        let record = Tree::of_files(&[("benches/record/full.json", &over)]);
        assert_eq!(check(&record), []);
    }
}
