//! Compaction: stored rows move together, so that slabs become free.

use crate::element::Element;
use crate::lease::{RowId, enliven, lay_to_rest};
use crate::pool::VectorPool;
use alloc::vec::Vec;
use core::panic::Location;
use core::ptr::NonNull;
use millpond_core::engine::{Engine, Mode};
use millpond_core::id::Id;
use millpond_core::life::Life;
use millpond_core::trim::Level;

/// A stored row that moved: its id before, and its id now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved<E> {
    /// Stale now.
    pub from: RowId<E>,
    /// The same row.
    pub to: RowId<E>,
}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// Moves stored rows into the gaps below them, and gives back the slabs that
    /// become free. Answers which ids were replaced by which; rows that are not
    /// named kept theirs. Rows keep their side arrays, not their order.
    ///
    /// Costs a copy of each row that moves, and a list of all free rows. If there
    /// is no memory for the lists nothing moves.
    ///
    /// ```
    /// use millpond_vector::VectorPool;
    ///
    /// let mut pool = VectorPool::<f32>::new(4, 100)?;
    /// let ids: Vec<_> = (0..10)
    ///     .map(|i| pool.insert(&[i as f32; 4]))
    ///     .collect::<Result<_, _>>()?;
    /// pool.remove(ids[0]);
    /// let moved = pool.compact();
    /// assert_eq!((moved.len(), moved[0].from), (1, ids[9]));
    /// assert_eq!(pool.row(moved[0].to), Some(&[9.0; 4][..]));
    /// assert_eq!(pool.runs().count(), 1);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use = "the ids of rows that moved are stale"]
    #[track_caller]
    pub fn compact(&mut self) -> Vec<Moved<E>> {
        // Nobody else uses the pool: afterwards all that is free lies in the
        // depot.
        self.trim(Level::Moderate);
        let Some(mut free) = self.take_free() else {
            return Vec::new();
        };
        free.numbers.sort_unstable();
        let mut moved = Vec::new();
        if moved.try_reserve_exact(free.numbers.len()).is_ok() {
            let mut above = usize::MAX;
            for place in &mut free.numbers {
                let to = *place;
                let highest = self.last_stored(above).filter(|&row| row > to);
                let Some(from) = highest else { break };
                above = from;
                // SAFETY: the pool is borrowed mutably, and the place was acquired.
                let Some(ids) = (unsafe { self.move_row(from, to) }) else {
                    break;
                };
                moved.push(ids);
                // Before a recorder is told, who may panic.
                *place = from;
                self.note_move(from, to, Location::caller());
            }
        }
        drop(free);
        self.trim(Level::Moderate);
        moved
    }

    /// Acquires every free row there is, and makes no new ones.
    pub(crate) fn take_free(&self) -> Option<Free<'_, E, M>> {
        let figures = self.engine.observe();
        let count = figures.created - figures.in_use;
        let mut numbers = Vec::new();
        numbers.try_reserve_exact(count).ok()?;
        let mut free = Free {
            pool: self,
            numbers,
        };
        while free.numbers.len() < count {
            let entry = self.engine.try_pop();
            let Some(entry) = entry.or_else(|| self.engine.acquire_slow(0).ok()) else {
                break;
            };
            free.numbers.push(self.directory.number_of(entry));
        }
        Some(free)
    }

    /// The number of the last stored row below `end`.
    fn last_stored(&self, end: usize) -> Option<usize> {
        let (last, row) = self.directory.split(end);
        let slabs = self.directory.len();
        let (slabs, row) = if last < slabs {
            (last + 1, row)
        } else {
            (slabs, usize::MAX)
        };
        (0..slabs).rev().find_map(|slab| {
            let generations = self.directory.head(slab)?.generations();
            let end = if slab == last { row } else { generations.len() };
            let row = generations[..end].iter().rposition(Life::is_live)?;
            Some(self.directory.number(slab, row))
        })
    }

    /// Moves a stored row to a place; what it leaves is the caller's, as the place was.
    ///
    /// # Safety
    ///
    /// The pool is borrowed mutably, and the place was acquired.
    unsafe fn move_row(&self, from: usize, to: usize) -> Option<Moved<E>> {
        let old = self.live(from)?;
        // SAFETY: by the directory's 3 a live row exists.
        let source: NonNull<E> = unsafe { self.directory.row(from) }.cast();
        // SAFETY: acquired by the caller.
        let target: NonNull<E> = unsafe { self.directory.row(to) }.cast();
        // SAFETY: the caller's own.
        unsafe { enliven(target, self.dimension()) };
        // SAFETY: two rows of one pool, borrowed by nobody; tails stay zero.
        unsafe { target.copy_from_nonoverlapping(source, self.dimension()) };
        // SAFETY: both exist, and are borrowed by nobody.
        unsafe { self.directory.copy_side(from, to) };
        // SAFETY: acquired by the caller.
        let new = unsafe { self.open(to) }?;
        let closed = self.directory.generation(from)?.close();
        debug_assert!(closed.is_some(), "a stored row is live");
        // SAFETY: stored no more, and borrowed by nobody.
        unsafe { lay_to_rest(source, self.dimension()) };
        Some(Moved {
            from: old,
            to: Id::from_raw(new),
        })
    }

    /// Diagnostics find a row that moved at its new place, since now.
    fn note_move(
        &self,
        #[cfg_attr(
            not(feature = "std"),
            expect(unused_variables, reason = "nobody knows of it")
        )]
        from: usize,
        to: usize,
        location: &'static Location<'static>,
    ) {
        #[cfg(feature = "std")]
        self.engine.strike(self.directory.entry(from));
        self.track(to..to + 1, location);
    }
}

/// Free rows that were acquired for a while; dropping them gives them back.
///
/// # Invariants
///
/// 1. Rows with these numbers were acquired from `pool` and are not stored.
pub(crate) struct Free<'p, E: Element, M: Mode> {
    pool: &'p VectorPool<E, M>,
    pub(crate) numbers: Vec<usize>,
}

impl<E: Element, M: Mode> Free<'_, E, M> {
    fn give_back(&mut self) {
        while let Some(number) = self.numbers.pop() {
            let life = self.pool.directory.generation(number);
            if !life.is_some_and(|life| life.generation().is_retired()) {
                // SAFETY: acquired, and not stored (1).
                unsafe { self.pool.release(self.pool.directory.entry(number)) };
            }
        }
    }
}

impl<E: Element, M: Mode> Drop for Free<'_, E, M> {
    fn drop(&mut self) {
        /// What is left when a waker panicked.
        struct Rest<'f, 'p, E: Element, M: Mode>(&'f mut Free<'p, E, M>);

        impl<E: Element, M: Mode> Drop for Rest<'_, '_, E, M> {
            fn drop(&mut self) {
                self.0.give_back();
            }
        }

        Rest(self).0.give_back();
    }
}
