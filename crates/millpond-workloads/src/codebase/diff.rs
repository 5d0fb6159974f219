//! What changed between two versions of a text, by lines.
//!
//! Common lines at both ends are set aside; the rest goes through Myers' greedy
//! algorithm up to `FARTHEST` edits. Versions that are farther apart than that
//! are recorded as one replacement: a reader would see a rewrite too.

use super::memory::{Full, List, Scope};
use super::words;

/// Lines that may differ before a change is recorded as one replacement. The
/// trace of the search takes FARTHEST² × 4 bytes: 64 KiB.
const FARTHEST: usize = 128;

/// Lines of the old version replaced by lines of the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// First old line, from 0.
    pub old: u32,
    /// How many old lines go.
    pub removed: u32,
    /// First new line, from 0.
    pub new: u32,
    /// How many new lines come.
    pub added: u32,
}

/// The edits that turn `old` into `new`, in the order of lines.
///
/// # Errors
///
/// If the scope has no room left.
pub fn edits<'s, S: Scope>(scope: &'s S, old: &str, new: &str) -> Result<S::List<'s, Edit>, Full> {
    let (old, new) = (lines(scope, old)?, lines(scope, new)?);
    let ahead = old
        .iter()
        .zip(new.iter())
        .take_while(|(a, b)| a == b)
        .count();
    let (rest_old, rest_new) = (&old[ahead..], &new[ahead..]);
    let behind = rest_old
        .iter()
        .rev()
        .zip(rest_new.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (rest_old, rest_new) = (
        &rest_old[..rest_old.len() - behind],
        &rest_new[..rest_new.len() - behind],
    );
    let mut edits = scope.list(4)?;
    middle(scope, rest_old, rest_new, ahead, &mut edits)?;
    Ok(edits)
}

fn lines<'s, S: Scope>(scope: &'s S, text: &str) -> Result<S::List<'s, u64>, Full> {
    let mut hashes = scope.list(text.len() / 32)?;
    for line in text.split_inclusive('\n') {
        hashes.push(words::hash(line.as_bytes()))?;
    }
    Ok(hashes)
}

fn middle<S: Scope>(
    scope: &S,
    old: &[u64],
    new: &[u64],
    offset: usize,
    edits: &mut impl List<Edit>,
) -> Result<(), Full> {
    if old.is_empty() && new.is_empty() {
        return Ok(());
    }
    let whole = edit(offset, old.len(), offset, new.len());
    if old.is_empty() || new.is_empty() {
        return edits.push(whole);
    }
    // `trace` holds, for each number of edits, how far each diagonal reached.
    let mut trace = scope.list::<i32>(0)?;
    let Some(distance) = search(old, new, &mut trace)? else {
        return edits.push(whole);
    };
    let began = edits.len();
    walk_back(
        old.len(),
        new.len(),
        distance,
        &trace,
        |x, y, is_removal| merge(edits, began, offset, x, y, is_removal),
    )?;
    edits[began..].reverse();
    Ok(())
}

/// Where the reach of `distance` edits lies in the trace: 2d + 1 diagonals each.
fn row(distance: usize) -> usize {
    distance * distance
}

fn reach(trace: &[i32], distance: usize, diagonal: i32) -> i32 {
    let centre = i32::try_from(distance).expect("bounded by FARTHEST");
    if diagonal.abs() > centre {
        return -1;
    }
    trace[row(distance) + usize::try_from(diagonal + centre).expect("not negative")]
}

/// The number of edits, if it is at most [`FARTHEST`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "line numbers are below 2³¹, and x and y never negative"
)]
fn search(old: &[u64], new: &[u64], trace: &mut impl List<i32>) -> Result<Option<usize>, Full> {
    for distance in 0..=FARTHEST {
        trace.fill(2 * distance + 1, -1)?;
        let centre = distance as i32;
        for diagonal in (-centre..=centre).step_by(2) {
            let mut x = start(trace, distance, diagonal);
            let mut y = x - diagonal;
            if x > old.len() as i32 || y > new.len() as i32 || x < 0 || y < 0 {
                continue;
            }
            while (x as usize) < old.len()
                && (y as usize) < new.len()
                && old[x as usize] == new[y as usize]
            {
                x += 1;
                y += 1;
            }
            trace[row(distance) + (diagonal + centre) as usize] = x;
            if x as usize == old.len() && y as usize == new.len() {
                return Ok(Some(distance));
            }
        }
    }
    Ok(None)
}

/// Where a diagonal begins: one edit away from the better neighbour.
fn start(trace: &[i32], distance: usize, diagonal: i32) -> i32 {
    let Some(before) = distance.checked_sub(1) else {
        return 0;
    };
    let (insert, remove) = (
        reach(trace, before, diagonal + 1),
        reach(trace, before, diagonal - 1),
    );
    if remove >= insert && remove >= 0 {
        remove + 1
    } else {
        insert
    }
}

/// Calls `each` with every edit from the last to the first: (x, y, removal?).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "line numbers are below 2³¹"
)]
fn walk_back(
    old: usize,
    new: usize,
    distance: usize,
    trace: &[i32],
    mut each: impl FnMut(usize, usize, bool) -> Result<(), Full>,
) -> Result<(), Full> {
    let (mut x, mut y) = (old as i32, new as i32);
    for step in (1..=distance).rev() {
        let diagonal = x - y;
        let remove = reach(trace, step - 1, diagonal - 1);
        let insert = reach(trace, step - 1, diagonal + 1);
        let is_removal = remove >= insert && remove >= 0;
        (x, y) = if is_removal {
            (remove, remove - (diagonal - 1))
        } else {
            (insert, insert - (diagonal + 1))
        };
        each(x as usize, y as usize, is_removal)?;
    }
    Ok(())
}

/// Joins an edit with the one behind it, which was found before it.
fn merge(
    edits: &mut impl List<Edit>,
    began: usize,
    offset: usize,
    x: usize,
    y: usize,
    is_removal: bool,
) -> Result<(), Full> {
    let found = edit(
        x + offset,
        usize::from(is_removal),
        y + offset,
        usize::from(!is_removal),
    );
    if edits.len() > began {
        let behind = edits.last_mut().expect("not empty");
        if found.old + found.removed == behind.old && found.new + found.added == behind.new {
            behind.old = found.old;
            behind.new = found.new;
            behind.removed += found.removed;
            behind.added += found.added;
            return Ok(());
        }
    }
    edits.push(found)
}

fn edit(old: usize, removed: usize, new: usize, added: usize) -> Edit {
    let number = |n: usize| u32::try_from(n).expect("texts are below 4 GiB");
    Edit {
        old: number(old),
        removed: number(removed),
        new: number(new),
        added: number(added),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebase::heap::Heap;
    use proptest::prelude::*;

    /// Builds the new version from the old one and the edits.
    fn apply(old: &str, new: &str, edits: &[Edit]) -> String {
        let (old, new): (Vec<_>, Vec<_>) = (
            old.split_inclusive('\n').collect(),
            new.split_inclusive('\n').collect(),
        );
        let mut made = String::new();
        let mut at = 0;
        for edit in edits {
            assert!(edit.old as usize >= at, "{edits:?}");
            made.extend(old[at..edit.old as usize].iter().copied());
            made.extend(
                new[edit.new as usize..][..edit.added as usize]
                    .iter()
                    .copied(),
            );
            at = (edit.old + edit.removed) as usize;
        }
        made.extend(old[at..].iter().copied());
        made
    }

    proptest! {
        #[test]
        fn edits_turn_the_old_version_into_the_new_one(
            old in "([abc]\n){0,40}", new in "([abc]\n){0,40}[abc]?",
        ) {
            let found = edits(&Heap, &old, &new).unwrap();
            prop_assert_eq!(apply(&old, &new, &found), new);
        }
    }

    #[test]
    fn one_line_is_one_edit() {
        let found = edits(&Heap, "a\nb\nc\n", "a\nx\nc\n").unwrap();
        assert_eq!(
            found,
            [Edit {
                old: 1,
                removed: 1,
                new: 1,
                added: 1
            }]
        );
        assert!(edits(&Heap, "a\n", "a\n").unwrap().is_empty());
    }

    #[test]
    fn a_rewrite_is_one_replacement() {
        let many = |from: u32| {
            (from..from + 500)
                .map(|n| format!("{n}\n"))
                .collect::<String>()
        };
        let found = edits(&Heap, &many(0), &many(1000)).unwrap();
        assert_eq!(
            found,
            [Edit {
                old: 0,
                removed: 500,
                new: 0,
                added: 500
            }]
        );
    }
}
