//! Which files contain the words of a query: BM25 over an inverted index.

use super::memory::{Full, List, Scope};
use rustc_hash::FxHashMap;

/// How fast repetitions of a word stop counting, and how much long files are held
/// back: the values that most engines ship with.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// How often a word occurs in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Posting {
    file: u32,
    count: u32,
}

/// Words, and the files that contain them.
#[derive(Debug, Default)]
pub struct TextIndex {
    /// Sorted by file. A list that became empty stays, with its room.
    postings: FxHashMap<u64, Vec<Posting>>,
    /// Words in each file; 0 for one that is not there.
    lengths: Vec<u32>,
    words: u64,
    files: u32,
}

/// A word's hash, and how often it occurs.
pub type Term = (u64, u32);

/// Sorts hashes of words and counts equal ones.
///
/// # Errors
///
/// If the list has no room left.
pub fn count_terms(hashes: &mut [u64], into: &mut impl List<Term>) -> Result<(), Full> {
    hashes.sort_unstable();
    for run in hashes.chunk_by(|a, b| a == b) {
        into.push((run[0], u32::try_from(run.len()).unwrap_or(u32::MAX)))?;
    }
    Ok(())
}

impl TextIndex {
    /// Adds a file that is not in the index.
    pub fn add(&mut self, file: u32, terms: &[Term]) {
        if self.lengths.len() <= file as usize {
            self.lengths.resize(file as usize + 1, 0);
        }
        let length = length_of(terms);
        self.lengths[file as usize] = length;
        self.words += u64::from(length);
        self.files += 1;
        for &(word, count) in terms {
            let postings = self.postings.entry(word).or_default();
            let at = postings.partition_point(|posting| posting.file < file);
            postings.insert(at, Posting { file, count });
        }
    }

    /// Removes a file that was added with these terms.
    pub fn remove(&mut self, file: u32, terms: &[Term]) {
        self.words -= u64::from(self.lengths[file as usize]);
        self.lengths[file as usize] = 0;
        self.files -= 1;
        for &(word, _) in terms {
            let Some(postings) = self.postings.get_mut(&word) else {
                continue;
            };
            if let Ok(at) = postings.binary_search_by_key(&file, |posting| posting.file) {
                postings.remove(at);
            }
        }
    }

    /// Adds each file's score for the words of a query to `scores`, by file number.
    ///
    /// # Errors
    ///
    /// If the scope has no room left.
    pub fn score<'s, S: Scope>(
        &self,
        scope: &'s S,
        words: &[u64],
    ) -> Result<S::List<'s, f32>, Full> {
        let mut scores = scope.list(self.lengths.len())?;
        scores.fill(self.lengths.len(), 0.0)?;
        let average = self.words as f32 / self.files.max(1) as f32;
        for word in words {
            let Some(postings) = self.postings.get(word) else {
                continue;
            };
            let (all, with) = (self.files as f32, postings.len() as f32);
            let rarity = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
            for posting in postings {
                let length = self.lengths[posting.file as usize] as f32;
                let count = posting.count as f32;
                let held_back = K1 * (1.0 - B + B * length / average);
                scores[posting.file as usize] += rarity * count * (K1 + 1.0) / (count + held_back);
            }
        }
        Ok(scores)
    }

    /// Different words that were ever in the index.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.postings.len()
    }
}

fn length_of(terms: &[Term]) -> u32 {
    terms.iter().map(|&(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebase::heap::Heap;

    fn terms(words: &[u64]) -> Vec<Term> {
        let mut counted = Vec::new();
        count_terms(&mut words.to_vec(), &mut counted).unwrap();
        counted
    }

    #[test]
    fn rare_words_and_short_files_count_more() {
        let mut index = TextIndex::default();
        index.add(0, &terms(&[1, 2]));
        index.add(1, &terms(&[1, 3, 3, 4]));
        index.add(2, &terms(&[1, 2, 5, 6, 7, 8, 9]));
        let scores = index.score(&Heap, &[2]).unwrap();
        assert!(
            scores[0] > scores[2] && scores[2] > 0.0 && scores[1] == 0.0,
            "{scores:?}"
        );
        let common = index.score(&Heap, &[1]).unwrap();
        assert!(scores[0] > common[0]);
    }

    #[test]
    fn what_was_removed_is_not_found_and_may_come_back() {
        let mut index = TextIndex::default();
        index.add(0, &terms(&[1, 2]));
        index.add(1, &terms(&[2, 3]));
        let before = index.score(&Heap, &[2, 3]).unwrap();
        index.remove(1, &terms(&[2, 3]));
        assert_eq!(index.score(&Heap, &[2, 3]).unwrap()[1], 0.0);
        index.add(1, &terms(&[2, 3]));
        assert_eq!(index.score(&Heap, &[2, 3]).unwrap(), before);
    }
}
