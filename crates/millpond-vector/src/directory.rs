//! The directory: from a row's number to its address and its generation.
//!
//! ```text
//!   row number   ┌───────────────┬───────────────┐
//!                │ slab number   │ row in slab   │       low bits: `shift` of them
//!                └───────┬───────┴───────────────┘
//!                        ▼
//!   segments  ┌───┬───┬───┬ ─ ─     8, 16, 32 … heads; never move, never freed
//!             └─┬─┴─┬─┴───┴ ─ ─
//!               ▼   ▼
//!   heads     ┌──────────────────────┐
//!             │ base ────────────────┼──▶ the slab's rows, while there is a slab
//!             │ generations ─────────┼──▶ one word a row: live or not, how often
//!             └──────────────────────┘
//! ```
//!
//! Generations outlive the slab that they are about, so that an id from before a
//! trim is found to be stale by reading memory that is there. That costs 4 bytes
//! for each row that ever existed at once.
//!
//! Making a row live is one store to its generation, by the lease that owns the
//! row; reading through an id is one load of it. Both are ordered, so that what
//! was written before is seen after. Nothing here locks.

use crate::side::{Side, SideArrays};
use core::alloc::Layout;
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use millpond_core::id::{Generation, RawId};
use millpond_core::region;

/// Heads of the first segment; each further one has twice as many.
const FIRST: usize = 8;

/// Segments for as many slabs as 32 bits of row number can tell apart.
const SEGMENTS: usize = 30;

/// What is known of the slabs that have had one number.
///
/// # Invariants
///
/// 1. `base` is null, or the first row of a slab of `rows` rows.
/// 2. `generations` is null, or `rows` words that live as long as the directory.
///    `rows` is stored before, and neither changes afterwards.
#[derive(Debug)]
pub(crate) struct Head {
    base: AtomicPtr<u8>,
    generations: AtomicPtr<AtomicU32>,
    rows: AtomicUsize,
}

/// See the [module](self).
///
/// # Invariants
///
/// 1. Segment `k` is null, or `FIRST << k` heads that live as long as this.
/// 2. Slab numbers below `len` have a head with generations. Only the source
///    adds slabs, one at a time.
/// 3. A row whose generation is live has a slab under it. A slab is taken away
///    only when all its rows are free or were never handed out.
#[derive(Debug)]
#[repr(C)] // What a lease reads comes first.
pub(crate) struct Directory {
    stride: usize,
    /// Bits of a row number that are the row in its slab, and how many.
    mask: usize,
    shift: u32,
    arrays: SideArrays,
    segments: [AtomicPtr<Head>; SEGMENTS],
    len: AtomicUsize,
    bytes: AtomicUsize,
}

/// The places of the numbers beside a row, of those that the pool keeps.
type Beside = (Option<NonNull<f32>>, Option<NonNull<u64>>);

/// Where a slab number's head is: segment, and place in it.
#[inline(always)]
const fn locate(slab: usize) -> (usize, usize) {
    let place = slab + FIRST;
    // Not `ilog2`, which asks whether there is one: `place` is not 0.
    let segment = (usize::BITS - 1 - FIRST.ilog2()) - place.leading_zeros();
    (segment as usize, place - (FIRST << segment))
}

fn heads_of(segment: usize) -> Option<Layout> {
    Layout::array::<Head>(FIRST << segment).ok()
}

impl Directory {
    /// A directory of slabs of at most `rows` rows, `stride` bytes apart.
    pub(crate) fn new(stride: usize, rows: usize, arrays: SideArrays) -> Self {
        let shift = rows.next_power_of_two().ilog2();
        Self {
            stride,
            mask: (1 << shift) - 1,
            shift,
            arrays,
            segments: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
            len: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// The number of a row.
    pub(crate) const fn number(&self, slab: usize, row: usize) -> usize {
        slab << self.shift | row
    }

    /// Slab number and row in it.
    #[inline(always)]
    pub(crate) const fn split(&self, number: usize) -> (usize, usize) {
        (number >> self.shift, number & self.mask)
    }

    /// How many slabs there may be, so that row numbers fit into 32 bits.
    pub(crate) const fn most_slabs(&self) -> usize {
        (u32::MAX >> self.shift) as usize
    }

    /// How many slab numbers are in use.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Bytes of heads and generations.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The head of a slab number.
    #[inline]
    pub(crate) fn head(&self, slab: usize) -> Option<&Head> {
        if slab >= self.most_slabs() {
            return None;
        }
        let (segment, place) = locate(slab);
        let heads = NonNull::new(self.segments[segment].load(Ordering::Acquire))?;
        // SAFETY: by 1 the segment has more heads than `place`.
        let head = unsafe { heads.add(place) };
        // SAFETY: by 1 it lives as long as `self`; zeroed memory is a head.
        Some(unsafe { head.as_ref() })
    }

    /// The address of a row that exists.
    ///
    /// # Safety
    ///
    /// The row was handed out by the source, and not retired since.
    #[inline(always)]
    pub(crate) unsafe fn row(&self, number: usize) -> NonNull<u8> {
        let (slab, row) = self.split(number);
        // SAFETY: by the caller.
        let head = unsafe { self.head_of_existing(slab) };
        let base = head.base.load(Ordering::Relaxed);
        // SAFETY: by 3 and the head's 1 the slab has the row.
        let row = unsafe { base.add(row * self.stride) };
        // SAFETY: inside a slab, so not null.
        unsafe { NonNull::new_unchecked(row) }
    }

    /// The generation of a row that exists.
    ///
    /// # Safety
    ///
    /// As [`Directory::row`].
    #[inline(always)]
    pub(crate) unsafe fn generation_of_existing(&self, number: usize) -> &AtomicU32 {
        let (slab, row) = self.split(number);
        // SAFETY: by the caller.
        let head = unsafe { self.head_of_existing(slab) };
        let generations = head.generations.load(Ordering::Relaxed);
        // SAFETY: by the head's 2 there is one for each row.
        let generation = unsafe { generations.add(row) };
        // SAFETY: as above; it lives as long as `self`.
        unsafe { &*generation }
    }

    /// The head of a slab with rows that exist.
    ///
    /// # Safety
    ///
    /// As [`Directory::row`], for a row of it.
    #[inline(always)]
    unsafe fn head_of_existing(&self, slab: usize) -> &Head {
        let (segment, place) = locate(slab);
        // SAFETY: a slab number has fewer bits than there are segments.
        let heads = unsafe { self.segments.get_unchecked(segment) };
        // Relaxed: the row came to the caller by way of a lock or a live
        // generation, and the source stored this before.
        let heads = heads.load(Ordering::Relaxed);
        // SAFETY: by 1 the segment has more heads than `place`.
        let head = unsafe { heads.add(place) };
        // SAFETY: by 1 and 2 the slab's head is there, as long as `self`.
        unsafe { &*head }
    }

    /// Where the norm and the external id of a row are, if the pool keeps them.
    /// They belong to whoever the row belongs to.
    ///
    /// # Safety
    ///
    /// As [`Directory::row`].
    pub(crate) unsafe fn side(&self, number: usize) -> Beside {
        let (slab, row) = self.split(number);
        let head = self.head(slab);
        let rows = head.map_or(0, Head::rows);
        let base = head.and_then(|head| NonNull::new(head.base.load(Ordering::Relaxed)));
        let Some(base) = base else {
            return (None, None);
        };
        let side = Side::new(self.stride, rows, self.arrays);
        // SAFETY: the slab holds its side arrays (the source's 1).
        let at = |offset: usize| unsafe { base.add(offset) };
        (
            side.norm(row).map(|offset| at(offset).cast()),
            side.external_id(row).map(|offset| at(offset).cast()),
        )
    }

    /// Copies what lies beside one row to beside another.
    ///
    /// # Safety
    ///
    /// Both rows are the caller's own.
    pub(crate) unsafe fn copy_side(&self, from: usize, to: usize) {
        // SAFETY: by the caller.
        let from = unsafe { self.side(from) };
        // SAFETY: by the caller.
        let to = unsafe { self.side(to) };
        if let (Some(from), Some(to)) = (from.0, to.0) {
            // SAFETY: aligned, initialised, and the caller's.
            unsafe { to.copy_from(from, 1) };
        }
        if let (Some(from), Some(to)) = (from.1, to.1) {
            // SAFETY: as above.
            unsafe { to.copy_from(from, 1) };
        }
    }

    /// The generation of a row, if there ever was a row of that number.
    #[inline]
    pub(crate) fn generation(&self, number: usize) -> Option<&AtomicU32> {
        let (slab, row) = self.split(number);
        self.head(slab)?.generations().get(row)
    }

    /// The row that `id` names, if it is live.
    #[inline]
    pub(crate) fn find(&self, id: RawId) -> Option<NonNull<u8>> {
        let (slab, row) = self.split(id.index() as usize);
        let head = self.head(slab)?;
        let generation = head.generations().get(row)?;
        // Acquire: what was written to the row before it was made live is seen.
        let generation = Generation::from_bits(generation.load(Ordering::Acquire));
        if !generation.is_named_by(id) {
            return None;
        }
        // SAFETY: by 3 a live row has a slab under it.
        Some(unsafe { self.row(id.index() as usize) })
    }

    // ---- The source only --------------------------------------------------

    /// Bytes that [`Directory::add`] would allocate for a next slab.
    pub(crate) fn cost(&self, rows: usize) -> usize {
        let (segment, _) = locate(self.len());
        let is_new = self.segments[segment].load(Ordering::Relaxed).is_null();
        let heads = if is_new {
            (FIRST << segment) * size_of::<Head>()
        } else {
            0
        };
        heads + rows * size_of::<AtomicU32>()
    }

    /// Gives the next slab number generations for `rows` rows, and no slab.
    /// `None` if the system has no memory for them.
    pub(crate) fn add(&self, rows: usize) -> Option<usize> {
        let slab = self.len();
        let (segment, _) = locate(slab);
        if self.segments[segment].load(Ordering::Relaxed).is_null() {
            let heads = region::allocate_zeroed(heads_of(segment)?)?;
            self.segments[segment].store(heads.as_ptr().cast(), Ordering::Release);
            let bytes = (FIRST << segment) * size_of::<Head>();
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        let generations = region::allocate_zeroed(Layout::array::<AtomicU32>(rows).ok()?)?;
        let head = self.head(slab)?;
        head.rows.store(rows, Ordering::Relaxed);
        head.generations
            .store(generations.as_ptr().cast(), Ordering::Release);
        self.bytes
            .fetch_add(rows * size_of::<AtomicU32>(), Ordering::Relaxed);
        self.len.store(slab + 1, Ordering::Release);
        Some(slab)
    }

    /// Puts a slab under a number, or takes it away.
    pub(crate) fn set_base(&self, slab: usize, base: *mut u8) {
        if let Some(head) = self.head(slab) {
            head.base.store(base, Ordering::Release);
        }
    }
}

impl Head {
    /// The generations of the slab's rows.
    #[inline]
    pub(crate) fn generations(&self) -> &[AtomicU32] {
        let generations = self.generations.load(Ordering::Acquire);
        if generations.is_null() {
            return &[];
        }
        let rows = self.rows.load(Ordering::Relaxed);
        // SAFETY: by 2 there are so many, and they live as long as the directory.
        unsafe { slice::from_raw_parts(generations, rows) }
    }

    /// How many rows its slabs have.
    pub(crate) fn rows(&self) -> usize {
        self.generations().len()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        for slab in 0..self.len() {
            let Some(head) = self.head(slab) else { break };
            let generations = NonNull::new(head.generations.load(Ordering::Relaxed));
            let layout = Layout::array::<AtomicU32>(head.rows());
            if let (Some(generations), Ok(layout)) = (generations, layout) {
                // SAFETY: allocated by `add` with this layout, and not used again.
                unsafe { region::free(generations.cast(), layout) };
            }
        }
        for (segment, heads) in self.segments.iter_mut().enumerate() {
            if let (Some(heads), Some(layout)) = (NonNull::new(*heads.get_mut()), heads_of(segment))
            {
                // SAFETY: as above.
                unsafe { region::free(heads.cast(), layout) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slab_number_has_one_place() {
        let mut expected = (0, 0);
        for slab in 0..if cfg!(miri) { 300 } else { 10_000 } {
            assert_eq!(locate(slab), expected);
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }

    #[test]
    fn the_last_slab_number_lies_in_the_last_segment() {
        for rows in [1, 2, 682, 1 << 20] {
            let directory = Directory::new(64, rows, SideArrays::NONE);
            let (segment, _) = locate(directory.most_slabs() - 1);
            assert!(segment < SEGMENTS);
        }
    }

    #[test]
    fn numbers_split_as_they_were_made() {
        for rows in [1, 2, 3, 682, 1024] {
            let directory = Directory::new(64, rows, SideArrays::NONE);
            for slab in [0, 1, 77] {
                for row in [0, rows - 1] {
                    let number = directory.number(slab, row);
                    assert_eq!(directory.split(number), (slab, row));
                }
            }
        }
    }
}
