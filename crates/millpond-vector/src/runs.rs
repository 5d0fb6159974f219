//! Runs: stored rows that lie side by side, for scans.

use crate::element::Element;
use crate::lease::RowId;
use crate::pool::VectorPool;
use core::fmt;
use core::iter::FusedIterator;
use core::ptr::NonNull;
use core::slice;
use millpond_core::engine::Mode;
use millpond_core::id::{Id, RawId};
use millpond_core::life::Life;

/// Stored rows that lie side by side, as many as there are: the row before the
/// first and the row after the last are not stored, or lie in another slab.
///
/// # Invariants
///
/// 1. Every row of the run is stored, and stays so while the pool is borrowed.
pub struct Run<'p, E> {
    /// All elements from the first row to the last, tails and gaps included.
    elements: &'p [E],
    generations: &'p [Life],
    norms: &'p [f32],
    external_ids: &'p [u64],
    /// The number of the first row.
    number: u32,
    dimension: usize,
    padded: usize,
    stride: usize,
}

impl<'p, E: Element> Run<'p, E> {
    /// How many rows; at least one.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a run is never empty")]
    pub const fn len(&self) -> usize {
        self.generations.len()
    }

    /// Elements from one row to the next.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// All elements from the first row to the end of the last one's tail: row
    /// `at` begins at `at * stride()`. What lies between rows is zero.
    #[must_use]
    pub const fn as_slice(&self) -> &'p [E] {
        self.elements
    }

    /// Row `at`.
    ///
    /// # Panics
    ///
    /// If the run is not that long.
    #[inline]
    #[must_use]
    pub fn row(&self, at: usize) -> &'p [E] {
        &self.elements[self.start(at)..][..self.dimension]
    }

    /// Row `at` with its tail of zeros.
    ///
    /// # Panics
    ///
    /// If the run is not that long.
    #[inline]
    #[must_use]
    pub fn row_padded(&self, at: usize) -> &'p [E] {
        &self.elements[self.start(at)..][..self.padded]
    }

    /// Where row `at` begins.
    #[inline]
    fn start(&self, at: usize) -> usize {
        // Compared before it is multiplied, which may wrap.
        assert!(at < self.len(), "row {at} of a run of {}", self.len());
        at * self.stride
    }

    /// The norms beside the rows; empty if the pool keeps none.
    #[must_use]
    pub const fn norms(&self) -> &'p [f32] {
        self.norms
    }

    /// The external ids beside the rows; empty if the pool keeps none.
    #[must_use]
    pub const fn external_ids(&self) -> &'p [u64] {
        self.external_ids
    }

    /// The id of row `at`; `None` if the run is not that long.
    #[must_use]
    pub fn id(&self, at: usize) -> Option<RowId<E>> {
        let generation = self.generations.get(at)?.generation();
        let number = self.number + u32::try_from(at).ok()?;
        RawId::new(number, generation).map(Id::from_raw)
    }

    /// The rows, in order.
    #[must_use]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'p [E]> + use<'p, E> {
        let dimension = self.dimension;
        // The last row has no gap behind it, so its chunk may be shorter.
        self.elements
            .chunks(self.stride)
            .map(move |row| &row[..dimension])
    }

    /// The rows with their tails, in order.
    #[must_use]
    pub fn rows_padded(&self) -> impl ExactSizeIterator<Item = &'p [E]> + use<'p, E> {
        let padded = self.padded;
        self.elements
            .chunks(self.stride)
            .map(move |row| &row[..padded])
    }
}

impl<E> fmt::Debug for Run<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("first", &self.number)
            .field("len", &self.generations.len())
            .finish_non_exhaustive()
    }
}

/// The runs of a pool, in the order of row numbers; see [`VectorPool::runs`].
pub struct Runs<'p, E: Element, M: Mode> {
    pool: &'p VectorPool<E, M>,
    slab: usize,
    row: usize,
}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// All stored rows, in maximal stretches of rows side by side: the way to
    /// look at everything at the speed of memory.
    ///
    /// Rows that other threads store meanwhile may be seen or not; those that
    /// are seen are complete.
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let mut pool = VectorPool::<f32>::new(4, 100)?;
    /// let ids: Vec<_> = (0..10)
    ///     .map(|i| pool.insert(&[i as f32; 4]))
    ///     .collect::<Result<_, _>>()?;
    /// pool.remove(ids[3]);
    /// let lengths: Vec<_> = pool.runs().map(|run| run.len()).collect();
    /// assert_eq!(lengths, [3, 6]);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub const fn runs(&self) -> Runs<'_, E, M> {
        Runs {
            pool: self,
            slab: 0,
            row: 0,
        }
    }
}

impl<'p, E: Element, M: Mode> Iterator for Runs<'p, E, M> {
    type Item = Run<'p, E>;

    fn next(&mut self) -> Option<Run<'p, E>> {
        let directory = &*self.pool.directory;
        while self.slab < directory.len() {
            let generations = directory.head(self.slab)?.generations();
            let rest = &generations[self.row..];
            let Some(gap) = rest.iter().position(Life::is_live) else {
                self.slab += 1;
                self.row = 0;
                continue;
            };
            let rest = &rest[gap..];
            let len = rest.iter().position(|row| !row.is_live());
            let len = len.unwrap_or(rest.len());
            let first = directory.number(self.slab, self.row + gap);
            self.row += gap + len;
            // SAFETY: found live, with acquire.
            return Some(unsafe { self.pool.run(first, &rest[..len]) });
        }
        None
    }
}

impl<E: Element, M: Mode> FusedIterator for Runs<'_, E, M> {}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// The run that begins with row `first`.
    ///
    /// # Safety
    ///
    /// The rows from `first` on, one for each of `generations`, are stored, and
    /// lie in one slab.
    unsafe fn run<'p>(&'p self, first: usize, generations: &'p [Life]) -> Run<'p, E> {
        let stride = self.layout.stride_bytes() / size_of::<E>();
        let padded = self.layout.padded();
        // SAFETY: a stored row exists.
        let start = unsafe { self.directory.row(first) };
        let len = (generations.len() - 1) * stride + padded;
        // SAFETY: so many elements of one slab, initialised by the pool's 1 and
        // not written to by its 3: the rows are stored, and nobody writes
        // between them.
        let elements = unsafe { slice::from_raw_parts(start.cast().as_ptr(), len) };
        // SAFETY: a stored row exists.
        let (norms, external_ids) = unsafe { self.directory.side(first) };
        // SAFETY: what lies beside stored rows is theirs.
        let norms = unsafe { beside(norms, generations.len()) };
        // SAFETY: as above.
        let external_ids = unsafe { beside(external_ids, generations.len()) };
        Run {
            elements,
            norms,
            external_ids,
            generations,
            #[expect(clippy::cast_possible_truncation, reason = "row numbers have 32 bits")]
            number: first as u32,
            dimension: self.dimension(),
            padded,
            stride,
        }
    }
}

/// The numbers beside `rows` rows, of which the first is at `first`.
///
/// # Safety
///
/// There are so many, initialised, and nobody writes to them during `'p`.
unsafe fn beside<'p, N>(first: Option<NonNull<N>>, rows: usize) -> &'p [N] {
    match first {
        // SAFETY: by the caller.
        Some(first) => unsafe { slice::from_raw_parts(first.as_ptr(), rows) },
        None => &[],
    }
}

impl<E: Element, M: Mode> Clone for Runs<'_, E, M> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<E: Element, M: Mode> fmt::Debug for Runs<'_, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runs")
            .field("slab", &self.slab)
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}
