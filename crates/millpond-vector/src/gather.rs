//! Gathering: rows by a list of ids, each fetched before it is needed.

use crate::element::Element;
use crate::lease::RowId;
use crate::pool::VectorPool;
use core::fmt;
use core::iter::FusedIterator;
use core::slice;
use millpond_core::engine::Mode;

/// Rows that are asked of memory before the one that is being looked at.
///
/// Reading 768 floats takes some 50 ns from the cache and some 300 from memory,
/// so a few rows under way hide most of that.
const AHEAD: usize = 4;

/// Bytes of a row that are asked for; the processor guesses the rest itself.
const FETCHED_BYTES: usize = 4096;

/// Bytes that are fetched at once.
const LINE: usize = 64;

/// The rows of a list of ids; see [`VectorPool::gather`].
pub struct Gather<'p, 'i, E: Element, M: Mode> {
    pool: &'p VectorPool<E, M>,
    /// Ids whose rows have not been asked for.
    ids: slice::Iter<'i, RowId<E>>,
    /// Rows that have been, in a circle.
    under_way: [Option<&'p [E]>; AHEAD],
    first: usize,
    len: usize,
}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// The stored rows that `ids` name, with their tails of zeros, in that order;
    /// `None` for those that are gone. Rows further on in the list are fetched
    /// into the processor's cache meanwhile.
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let mut pool = VectorPool::<f32>::new(100, 10)?;
    /// let ids: Vec<_> = (0..10)
    ///     .map(|i| pool.insert(&[i as f32; 100]))
    ///     .collect::<Result<_, _>>()?;
    /// pool.remove(ids[4]);
    /// let firsts: Vec<_> = pool.gather(&ids).map(|row| row.map(|row| row[0])).collect();
    /// assert_eq!(firsts[3..6], [Some(3.0), None, Some(5.0)]);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn gather<'p, 'i>(&'p self, ids: &'i [RowId<E>]) -> Gather<'p, 'i, E, M> {
        let mut gather = Gather {
            pool: self,
            ids: ids.iter(),
            under_way: [None; AHEAD],
            first: 0,
            len: 0,
        };
        while gather.len < AHEAD {
            let Some(row) = gather.ask() else { break };
            gather.under_way[gather.len] = row;
            gather.len += 1;
        }
        gather
    }
}

impl<'p, E: Element, M: Mode> Gather<'p, '_, E, M> {
    /// Asks memory for the next row.
    #[inline]
    fn ask(&mut self) -> Option<Option<&'p [E]>> {
        let row = self.pool.row_padded(*self.ids.next()?);
        if let Some(row) = row {
            fetch(row);
        }
        Some(row)
    }
}

/// Asks for the lines of a row.
#[inline]
fn fetch<E>(row: &[E]) {
    let bytes = size_of_val(row).min(FETCHED_BYTES);
    for offset in (0..bytes).step_by(LINE) {
        prefetch(row.as_ptr().cast::<u8>().wrapping_add(offset));
    }
}

#[inline(always)]
fn prefetch(_line: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch is a hint: it faults on no address and changes nothing
    // that a program can see.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(_line.cast());
    }
}

impl<'p, E: Element, M: Mode> Iterator for Gather<'p, '_, E, M> {
    type Item = Option<&'p [E]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.len == 0 {
            return None;
        }
        let place = self.first;
        self.first = (place + 1) % AHEAD;
        let row = self.under_way[place];
        match self.ask() {
            Some(next) => self.under_way[place] = next,
            None => self.len -= 1,
        }
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len + self.ids.len();
        (left, Some(left))
    }
}

impl<E: Element, M: Mode> ExactSizeIterator for Gather<'_, '_, E, M> {}
impl<E: Element, M: Mode> FusedIterator for Gather<'_, '_, E, M> {}

impl<E: Element, M: Mode> fmt::Debug for Gather<'_, '_, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("left", &(self.len + self.ids.len()))
            .finish_non_exhaustive()
    }
}
