//! Where the slots of an id pool are: chunks that do not move, found by an index.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use millpond_core::id::{Id, RawId};
use millpond_core::tenancy::Tenancy;

/// Slots of the smallest first chunk; each further chunk is as long as all before
/// it and this. A power of two, so that chunk and place follow from the highest
/// bit.
pub(super) const LEAST: usize = if cfg!(miri) { 4 } else { 64 };

/// Chunks that an index of 32 bits can lie in.
pub(super) const CHUNKS: usize = (u32::BITS - LEAST.ilog2()) as usize;

/// Slots that ids can name.
pub(super) const MOST: usize = (LEAST << (CHUNKS - 1)) - LEAST;

/// A slot.
///
/// # Invariants
///
/// 1. `value` is initialised while `tenancy` is occupied, and touched as its table
///    of states says.
pub(super) struct Cell<T> {
    pub(super) tenancy: Tenancy,
    pub(super) value: UnsafeCell<MaybeUninit<T>>,
}

/// Where the chunks are.
///
/// # Invariants
///
/// 1. A chunk that is not null has room for `first << k` cells and stays while the
///    pool is shared: it is taken away through `&mut` only.
/// 2. Cells below `carved` are initialised and lie in chunks that are there.
///    `flat` is `carved`, but at most `first`.
/// 3. `first` is a power of two, at least `LEAST`, and does not change once a
///    chunk was there.
pub(super) struct Directory<T> {
    pub(super) flat: AtomicU32,
    carved: AtomicU32,
    pub(super) first: AtomicU32,
    pub(super) chunks: [AtomicPtr<Cell<T>>; CHUNKS],
}

impl<T> Directory<T> {
    pub(super) const fn new() -> Self {
        Self {
            flat: AtomicU32::new(0),
            carved: AtomicU32::new(0),
            #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
            first: AtomicU32::new(LEAST as u32),
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
        }
    }

    /// The cell of slot `index`, if it was ever given out.
    #[inline(always)]
    pub(super) fn cell(&self, index: u32) -> Option<&Cell<T>> {
        // Acquire: whoever sees the length sees the chunk and its cells.
        if index < self.flat.load(Ordering::Acquire) {
            let base = self.chunks[0].load(Ordering::Relaxed);
            // SAFETY: below `flat`, so inside the first chunk (2).
            let cell = unsafe { base.add(index as usize) };
            // SAFETY: initialised by 2, and alive as long as the borrow.
            return Some(unsafe { &*cell });
        }
        self.cell_beyond(index)
    }

    /// As [`Directory::cell`], for one that may lie in a later chunk.
    #[inline]
    pub(super) fn cell_beyond(&self, index: u32) -> Option<&Cell<T>> {
        if index >= self.carved.load(Ordering::Acquire) {
            return None;
        }
        let first = self.first.load(Ordering::Relaxed);
        let (chunk, place) = place_of(index, first);
        let base = self.chunks.get(chunk)?.load(Ordering::Relaxed);
        // SAFETY: below `carved`, so inside a chunk that is there (2).
        let cell = unsafe { base.add(place) };
        // SAFETY: initialised by 2, and alive as long as the borrow.
        Some(unsafe { &*cell })
    }

    /// All cells that there are, with their indices.
    pub(super) fn cells(&self) -> impl Iterator<Item = (u32, &Cell<T>)> {
        (0u32..).map_while(|index| Some((index, self.cell(index)?)))
    }

    /// Publishes that the cells below `carved` are initialised, or that those from
    /// there on are not there any more.
    pub(super) fn publish(&self, carved: usize) {
        let carved = u32::try_from(carved).expect("at most MOST slots");
        let first = self.first.load(Ordering::Relaxed);
        self.carved.store(carved, Ordering::Release);
        self.flat.store(carved.min(first), Ordering::Release);
    }
}

/// The chunk that slot `index` lies in, and where, if the first chunk has `first`
/// slots, a power of two.
#[inline(always)]
pub(super) fn place_of(index: u32, first: u32) -> (usize, usize) {
    let (index, first) = (index as usize, first as usize);
    // At least 1 without the last bit too, which saves the test for a logarithm of 0.
    let chunk = ((index + first) >> first.trailing_zeros() | 1).ilog2() as usize;
    (chunk, index + first - (first << chunk))
}

/// Slots in the first `chunks` chunks, of which the first has `first`.
pub(super) const fn slots_in(chunks: usize, first: usize) -> usize {
    (first << chunks) - first
}

/// All live cells, with the ids of what is in them.
pub(super) fn live<T>(directory: &Directory<T>) -> impl Iterator<Item = (Id<T>, &Cell<T>)> {
    directory.cells().filter_map(|(index, cell)| {
        let id = RawId::new(index, cell.tenancy.generation())?;
        // One that ends has no name any more.
        cell.tenancy
            .is_named_by(id)
            .then_some((Id::from_raw(id), cell))
    })
}
