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
//!             │ generations ─────────┼──▶ one word a row: live or not, how often
//!             └──────────────────────┘
//!
//!   entry        ┌───────────────┬───────────────┐
//!                │ slab number   │ offset ÷ 16   │     what the engine moves
//!                └───────┬───────┴───────┬───────┘
//!                        ▼               │
//!   bases     ┌───┬───┬─ ─ ─ ─┐          │           one table; the one before is
//!             │   │ base ─────┼──▶ slab ─┴─▶ row     kept for whoever reads it
//!             └───┴───┴─ ─ ─ ─┘
//! ```
//!
//! The way from an entry to its row is two loads and an addition, because every
//! acquire takes it. With a multiplication and the segments of the heads on it a
//! lease took 3.2 ns instead of 2.7 (November 2026, 2-core virtual machine, Zen 5,
//! not quiet).
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
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use millpond_core::entry::Entry;
use millpond_core::id::RawId;
use millpond_core::life::Life;
use millpond_core::region;

/// Heads of the first segment; each further one has twice as many.
const FIRST: usize = 8;

/// Segments for as many slabs as 32 bits of row number can tell apart.
const SEGMENTS: usize = 30;

/// What is known of the slabs that have had one number.
///
/// # Invariants
///
/// 1. `generations` is null, or `rows` words that live as long as the directory.
///    `rows` is stored before, and neither changes afterwards.
#[derive(Debug)]
pub(crate) struct Head {
    generations: AtomicPtr<Life>,
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
/// 4. `bases` is the longest of `tables`. Table `k` is null, or has
///    `FIRST << (k + 1)` places, enough for the segments up to `k`, and lives as
///    long as this; place `i` of each is null, or the first row of slab `i`. A slab
///    that has rows out is in `bases`, and stays there in tables that were current
///    before.
#[derive(Debug)]
#[repr(C)] // What a lease reads comes first.
pub(crate) struct Directory {
    bases: AtomicPtr<Base>,
    stride: usize,
    /// What the odd part of the stride is multiplied with to give 1, modulo the
    /// words of this machine: every row that is stored is found by it, and a
    /// division took three times as long.
    inverse: usize,
    /// Bits of a row number that are the row in its slab, and how many.
    mask: usize,
    shift: u32,
    arrays: SideArrays,
    segments: [AtomicPtr<Head>; SEGMENTS],
    tables: [AtomicPtr<Base>; SEGMENTS],
    len: AtomicUsize,
    bytes: AtomicUsize,
    /// Free rows that the source leaves when it retires slabs.
    to_leave: AtomicUsize,
}

/// While it lives, the source leaves free rows.
#[derive(Debug)]
#[must_use = "dropped at once, it says nothing"]
pub(crate) struct Leaving<'d>(&'d Directory);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.to_leave.store(0, Ordering::Relaxed);
    }
}

/// Where a slab begins; null if there is none.
type Base = AtomicPtr<u8>;

/// Bits of an entry that are the offset of its row, in units.
const OFFSET_BITS: u32 = if usize::BITS >= 64 { 32 } else { 20 };

/// Offsets are multiples of the smallest alignment.
const UNIT: usize = 16;

/// Bytes that a slab of more than one row may have, so that offsets fit.
pub(crate) const LARGEST_SLAB_BYTES: usize = (UNIT << (OFFSET_BITS - 1)) * 2 - UNIT;

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

/// The inverse of an odd number, modulo the words of this machine.
const fn inverse(odd: usize) -> usize {
    // An odd number is its own inverse in its last three bits, and each step
    // doubles the bits that are right.
    let mut inverse = odd;
    let mut right = 3;
    while right < usize::BITS {
        inverse = inverse.wrapping_mul(2_usize.wrapping_sub(odd.wrapping_mul(inverse)));
        right *= 2;
    }
    inverse
}

fn heads_of(segment: usize) -> Option<Layout> {
    Layout::array::<Head>(FIRST << segment).ok()
}

fn bases_of(segment: usize) -> Option<Layout> {
    Layout::array::<Base>(FIRST << (segment + 1)).ok()
}

/// Bytes of a segment of heads and the table that comes with it.
const fn segment_bytes(segment: usize) -> usize {
    (FIRST << segment) * (size_of::<Head>() + 2 * size_of::<Base>())
}

impl Directory {
    /// A directory of slabs of at most `rows` rows, `stride` bytes apart.
    pub(crate) fn new(stride: usize, rows: usize, arrays: SideArrays) -> Self {
        let shift = rows.next_power_of_two().ilog2();
        Self {
            bases: AtomicPtr::new(ptr::null_mut()),
            stride,
            inverse: inverse(stride >> stride.trailing_zeros()),
            mask: (1 << shift) - 1,
            shift,
            arrays,
            segments: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
            tables: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
            len: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            to_leave: AtomicUsize::new(0),
        }
    }

    /// How many free rows the source leaves when it retires slabs: none, unless
    /// the pool said so.
    pub(crate) fn to_leave(&self) -> usize {
        // Relaxed: it guards nothing.
        self.to_leave.load(Ordering::Relaxed)
    }

    /// Tells the source how many free rows to leave, as long as the answer lives:
    /// a trim runs the user's hook, which may panic.
    pub(crate) fn leave(&self, rows: usize) -> Leaving<'_> {
        self.to_leave.store(rows, Ordering::Relaxed);
        Leaving(self)
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

    /// How many slabs there may be, so that row numbers fit into 32 bits, and
    /// entries into a word.
    pub(crate) const fn most_slabs(&self) -> usize {
        let (numbers, entries) = ((u32::MAX >> self.shift) as usize, usize::MAX >> OFFSET_BITS);
        if numbers < entries { numbers } else { entries }
    }

    /// What the engine moves for a row.
    #[inline]
    pub(crate) const fn entry(&self, number: usize) -> Entry {
        let (slab, row) = self.split(number);
        Entry::from_index((slab << OFFSET_BITS) | (row * self.stride / UNIT))
    }

    /// The slab of an entry.
    #[inline(always)]
    pub(crate) fn slab_of(entry: Entry) -> usize {
        entry.as_index() >> OFFSET_BITS
    }

    /// The offset of an entry's row in its slab, in bytes.
    #[inline(always)]
    fn offset_of(entry: Entry) -> usize {
        (entry.as_index() & ((1 << OFFSET_BITS) - 1)) * UNIT
    }

    /// The number of an entry's row.
    #[inline]
    pub(crate) fn number_of(&self, entry: Entry) -> usize {
        // Divided by the stride, of which an offset is a multiple.
        let offset = Self::offset_of(entry) >> self.stride.trailing_zeros();
        self.number(Self::slab_of(entry), offset.wrapping_mul(self.inverse))
    }

    /// Where a slab with rows that exist begins.
    ///
    /// # Safety
    ///
    /// As [`Directory::row`], for a row of it.
    #[inline(always)]
    unsafe fn base(&self, slab: usize) -> NonNull<u8> {
        // Acquire: another thread may have just put a longer table here.
        let bases = self.bases.load(Ordering::Acquire);
        // SAFETY: by 4 the table has a place for the slab.
        let base = unsafe { bases.add(slab) };
        // SAFETY: by 4 it lives as long as `self`.
        let base = unsafe { &*base };
        // Relaxed: the row came to the caller by way of a lock or a live
        // generation, and the source stored this before.
        let base = base.load(Ordering::Relaxed);
        // SAFETY: by 4 it is the beginning of a slab.
        unsafe { NonNull::new_unchecked(base) }
    }

    /// The address of an entry's row.
    ///
    /// # Safety
    ///
    /// The source handed the row out, and did not retire it since.
    #[inline(always)]
    pub(crate) unsafe fn row_at(&self, entry: Entry) -> NonNull<u8> {
        // SAFETY: by the caller.
        let base = unsafe { self.base(Self::slab_of(entry)) };
        // SAFETY: inside the slab.
        unsafe { base.add(Self::offset_of(entry)) }
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
        let base = unsafe { self.base(slab) };
        // SAFETY: inside the slab.
        unsafe { base.add(row * self.stride) }
    }

    /// The generation of a row that exists.
    ///
    /// # Safety
    ///
    /// As [`Directory::row`].
    #[inline(always)]
    pub(crate) unsafe fn generation_of_existing(&self, number: usize) -> &Life {
        let (slab, row) = self.split(number);
        // SAFETY: by the caller.
        let head = unsafe { self.head_of_existing(slab) };
        let generations = head.generations.load(Ordering::Relaxed);
        // SAFETY: by the head's 1 there is one for each row.
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
        let rows = self.head(slab).map_or(0, Head::rows);
        // SAFETY: by the caller.
        let base = unsafe { self.base(slab) };
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
    pub(crate) fn generation(&self, number: usize) -> Option<&Life> {
        let (slab, row) = self.split(number);
        self.head(slab)?.generations().get(row)
    }

    /// The row that `id` names, if it is live.
    #[inline]
    pub(crate) fn find(&self, id: RawId) -> Option<NonNull<u8>> {
        let (slab, row) = self.split(id.index() as usize);
        let head = self.head(slab)?;
        if !head.generations().get(row)?.is_named_by(id) {
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
        let per_segment = if is_new { segment_bytes(segment) } else { 0 };
        per_segment + rows * size_of::<Life>()
    }

    /// Gives the next slab number generations for `rows` rows, and no slab.
    /// `None` if the system has no memory for them.
    pub(crate) fn add(&self, rows: usize) -> Option<usize> {
        let slab = self.len();
        let (segment, _) = locate(slab);
        if self.segments[segment].load(Ordering::Relaxed).is_null() {
            self.add_segment(segment)?;
        }
        let generations = region::allocate_zeroed(Layout::array::<Life>(rows).ok()?)?;
        let head = self.head(slab)?;
        head.rows.store(rows, Ordering::Relaxed);
        head.generations
            .store(generations.as_ptr().cast(), Ordering::Release);
        self.bytes
            .fetch_add(rows * size_of::<Life>(), Ordering::Relaxed);
        self.len.store(slab + 1, Ordering::Release);
        Some(slab)
    }

    /// A segment of heads, and a table of bases that has a place for them.
    fn add_segment(&self, segment: usize) -> Option<()> {
        let (heads_layout, bases_layout) = (heads_of(segment)?, bases_of(segment)?);
        let heads = region::allocate_zeroed(heads_layout)?;
        let Some(bases) = region::allocate_zeroed(bases_layout) else {
            // SAFETY: allocated above with this layout.
            unsafe { region::free(heads, heads_layout) };
            return None;
        };
        let bases: *mut Base = bases.as_ptr().cast();
        for slab in 0..self.len() {
            // SAFETY: by 4 there is a shorter table with a place for the slab.
            let from = unsafe { self.bases.load(Ordering::Relaxed).add(slab) };
            // SAFETY: the new table is longer.
            let to = unsafe { bases.add(slab) };
            // SAFETY: live by 4; zeroed memory is a base.
            let base = unsafe { &*from }.load(Ordering::Relaxed);
            // SAFETY: known to nobody else.
            unsafe { to.write(AtomicPtr::new(base)) };
        }
        self.segments[segment].store(heads.as_ptr().cast(), Ordering::Release);
        self.tables[segment].store(bases, Ordering::Relaxed);
        self.bases.store(bases, Ordering::Release);
        self.bytes
            .fetch_add(segment_bytes(segment), Ordering::Relaxed);
        Some(())
    }

    /// Puts a slab under a number, or takes it away: in every table, for others
    /// may be reading an old one.
    pub(crate) fn set_base(&self, slab: usize, base: *mut u8) {
        for (segment, table) in self.tables.iter().enumerate() {
            let table = table.load(Ordering::Relaxed);
            if !table.is_null() && slab < FIRST << (segment + 1) {
                // SAFETY: by 4 the table has so many places.
                let place = unsafe { table.add(slab) };
                // SAFETY: by 4 it lives as long as `self`.
                let place = unsafe { &*place };
                place.store(base, Ordering::Release);
            }
        }
    }
}

impl Head {
    /// The generations of the slab's rows.
    #[inline]
    pub(crate) fn generations(&self) -> &[Life] {
        let generations = self.generations.load(Ordering::Acquire);
        if generations.is_null() {
            return &[];
        }
        let rows = self.rows.load(Ordering::Relaxed);
        // SAFETY: by 1 there are so many, and they live as long as the directory.
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
            let layout = Layout::array::<Life>(head.rows());
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
        for (segment, bases) in self.tables.iter_mut().enumerate() {
            if let (Some(bases), Some(layout)) = (NonNull::new(*bases.get_mut()), bases_of(segment))
            {
                // SAFETY: allocated by `add_segment` with this layout.
                unsafe { region::free(bases.cast(), layout) };
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
    fn entries_and_numbers_name_the_same_rows() {
        for (stride, rows) in [(16, 1), (64, 3), (3072, 682), (4160, 504), (1 << 24, 1)] {
            let directory = Directory::new(stride, rows, SideArrays::NONE);
            for slab in [0, 1, 77] {
                for row in [0, rows / 2, rows - 1] {
                    let number = directory.number(slab, row);
                    let entry = directory.entry(number);
                    assert_eq!(directory.number_of(entry), number);
                    assert_eq!(Directory::slab_of(entry), slab);
                    assert_eq!(Directory::offset_of(entry), row * stride);
                }
            }
        }
    }

    #[test]
    fn an_odd_number_times_its_inverse_is_one() {
        let few = if cfg!(miri) { 99 } else { 99_999 };
        for odd in (1..few)
            .chain(usize::MAX - few..usize::MAX)
            .filter(|n| n % 2 == 1)
        {
            assert_eq!(odd.wrapping_mul(inverse(odd)), 1);
        }
    }

    #[test]
    fn a_base_is_found_through_every_table() {
        let directory = Directory::new(64, 2, SideArrays::NONE);
        for slab in 0..40 {
            assert_eq!(directory.add(2), Some(slab));
            directory.set_base(slab, ptr::without_provenance_mut(64 * (slab + 1)));
        }
        let before = directory.bases.load(Ordering::Relaxed);
        for (segment, table) in directory.tables.iter().enumerate() {
            let table = table.load(Ordering::Relaxed);
            for slab in 0..(FIRST << (segment + 1)).min(40) {
                if table.is_null() {
                    continue;
                }
                // SAFETY: a place of the table.
                let place = unsafe { table.add(slab) };
                // SAFETY: as above.
                let base = unsafe { &*place }.load(Ordering::Relaxed);
                assert_eq!(base.addr(), 64 * (slab + 1));
            }
        }
        assert_eq!(before, directory.bases.load(Ordering::Relaxed));
        let counted: usize = (0..3).map(segment_bytes).sum();
        assert_eq!(directory.bytes(), counted + 40 * 2 * 4);
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
