//! Terms as numbers: each distinct term has a 64-bit id, in order of appearance.
//!
//! All texts lie in one string and the table holds positions in it, so a term
//! costs its bytes, eight for where it ends, and an entry of the table.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// A dictionary of terms; ids begin at 1, so that 0 can mean "no term".
///
/// ```
/// use millpond_workloads::pipeline::terms::Terms;
///
/// let mut terms = Terms::new();
/// let id = terms.id_of("<urn:a>");
/// assert_eq!((terms.id_of("<urn:a>"), terms.text_of(id)), (id, Some("<urn:a>")));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Terms {
    texts: String,
    /// Where the text of each term ends in `texts`.
    ends: Vec<usize>,
    table: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl Terms {
    /// A dictionary without terms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of `term`, a new one if it has none. O(1); allocates only while the
    /// dictionary grows.
    pub fn id_of(&mut self, term: &str) -> u64 {
        let Self {
            texts,
            ends,
            table,
            hasher,
        } = self;
        let same = |&index: &usize| text_at(texts, ends, index) == term;
        if let Some(&index) = table.find(hasher.hash_one(term), same) {
            return index as u64 + 1;
        }
        let index = ends.len();
        texts.push_str(term);
        ends.push(texts.len());
        let hash_of = |&index: &usize| hasher.hash_one(text_at(texts, ends, index));
        table.insert_unique(hasher.hash_one(term), index, hash_of);
        index as u64 + 1
    }

    /// The term with this id.
    #[must_use]
    pub fn text_of(&self, id: u64) -> Option<&str> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        (index < self.ends.len()).then(|| text_at(&self.texts, &self.ends, index))
    }

    /// The id of `term`, if it was seen.
    #[must_use]
    pub fn find(&self, term: &str) -> Option<u64> {
        let same = |&index: &usize| text_at(&self.texts, &self.ends, index) == term;
        let found = self.table.find(self.hasher.hash_one(term), same);
        found.map(|&index| index as u64 + 1)
    }

    /// How many distinct terms were seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no term was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

fn text_at<'t>(texts: &'t str, ends: &[usize], index: usize) -> &'t str {
    let begin = if index == 0 { 0 } else { ends[index - 1] };
    &texts[begin..ends[index]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dense_and_lead_back_to_their_terms() {
        let mut terms = Terms::new();
        let names: Vec<String> = (0..5000).map(|n| format!("<urn:{n}>")).collect();
        for round in 0..2 {
            for (name, id) in names.iter().zip(1..) {
                assert_eq!(terms.id_of(name), id, "round {round}");
            }
        }
        assert_eq!(terms.len(), 5000);
        assert!(
            names
                .iter()
                .zip(1..)
                .all(|(n, id)| terms.text_of(id) == Some(n))
        );
        assert_eq!((terms.text_of(0), terms.text_of(5001)), (None, None));
        assert_eq!(
            (terms.find("<urn:7>"), terms.find("<urn:x>")),
            (Some(8), None)
        );
    }
}
