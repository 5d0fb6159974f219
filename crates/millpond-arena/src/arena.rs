//! Arenas: one bump allocator, and what must be known about it.
//!
//! ```text
//!   entry ──► ┌────────────────────────────┐
//!             │ frontier, flags, reuse ────┼──┐
//!             │ pool, tally                │  ▼
//!             ├────────────────────────────┤
//!             │ bump    ───────────────────┼──► chunk ──► older chunk ──► …
//!             │ larges  ───────────────────┼──► large objects
//!             │ drops, held, limit, chunk  │
//!             └────────────────────────────┘
//! ```
//!
//! What every lease touches comes first. bumpalo makes and frees chunks; each is taken
//! from it whole, and [divided here](crate::frontier).
//!
//! # The protocol of the limit
//!
//! bumpalo's own limit always equals what its chunks offer, so it never grows by
//! itself. [`Arena::allocate_slow`] charges the next chunk, raises the limit by
//! exactly that, asks, and refunds what bumpalo did not take. So limits and budgets
//! count held bytes, and are never exceeded. bumpalo's limit on its own would not do:
//! it is off as soon as an arena is above it.

use crate::chunk::{OVERHEAD, candidates};
use crate::config::{Figures, NEVER_LARGE};
use crate::drops::Drops;
use crate::error::{ArenaFull, Full};
use crate::frontier::{Frontier, MIN_ALIGN};
use crate::hands::Hands;
use crate::large::Larges;
use crate::pool::ScopePool;
use crate::reuse::Reuse;
use crate::tally::Tally;
use bumpalo::Bump;
use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use millpond_core::error::Limit;
use millpond_core::poison;
use millpond_core::wipe::wipe;

/// A chunk is not made larger than this unless the nominal size or a request
/// says so: chunks double, and half of the last one is empty on average.
const LARGEST_CHUNK: usize = 4 << 20;

/// There is no chunk: built by the next lease.
pub(crate) const HOLLOW: u32 = 1;
/// Chunks were added.
pub(crate) const GREW: u32 = 1 << 1;
/// There are or were large objects.
pub(crate) const LARGE: u32 = 1 << 2;
/// There is a list of destructors.
pub(crate) const DROPS: u32 = 1 << 3;
/// Built when as many were there as may be parked.
pub(crate) const SURPLUS: u32 = 1 << 4;
/// Diagnostics have a record of the lease.
pub(crate) const TRACKED: u32 = 1 << 5;
/// Bytes are overwritten when the arena comes home. Never lowered.
pub(crate) const WIPES: u32 = 1 << 6;

/// What entries of a scope's engine lead to.
///
/// # Invariants
///
/// 1. Whoever acquired the arena's entry, and has not released it, is its holder,
///    and alone may touch anything but the atomics.
/// 2. `held` is the counted bytes of all chunks and the blocks of all large
///    objects that are not lent, and is charged to the scope's budget.
/// 3. The limit of `bump` equals its `allocated_bytes`.
/// 4. `chunk` is the counted bytes of the current chunk; 0 if `HOLLOW`.
/// 5. `pool` is alive as long as the arena is.
/// 6. `frontier` is that of the current chunk, all of which was taken from `bump`;
///    closed if `HOLLOW`. Unless `GREW`, that chunk is the only one.
#[repr(C, align(64))]
pub(crate) struct Arena {
    frontier: Frontier,
    flags: Cell<u32>,
    /// Whether there is a holder. For statistics.
    pub(crate) leased: AtomicBool,
    reuse: Reuse,
    pub(crate) pool: NonNull<ScopePool>,
    pub(crate) tally: Tally,
    bump: Bump<MIN_ALIGN>,
    pub(crate) large_above: usize,
    pub(crate) drops: Drops,
    pub(crate) larges: Larges,
    held: AtomicUsize,
    limit: usize,
    chunk: Cell<usize>,
    /// Bytes at the end of the chunk that hold the pattern of diagnostics.
    patterned: Cell<usize>,
    pub(crate) hands: Hands,
}

/// Bytes that are noted and not charged yet: noted no more if they cannot be, also
/// if those whom the budget asks panic.
struct Uncharged<'a> {
    arena: &'a Arena,
    bytes: usize,
}

impl Drop for Uncharged<'_> {
    fn drop(&mut self) {
        let held = self.arena.held_bytes() - self.bytes;
        self.arena.held.store(held, Relaxed);
    }
}

impl Arena {
    /// An arena without a chunk.
    pub(crate) fn hollow(pool: NonNull<ScopePool>, figures: &Figures) -> Self {
        let wipes = if figures.wipe { WIPES } else { 0 };
        Self {
            frontier: Frontier::closed(),
            flags: Cell::new(HOLLOW | wipes),
            leased: AtomicBool::new(false),
            reuse: Reuse::default(),
            pool,
            tally: Tally::default(),
            bump: Bump::with_min_align_and_capacity(0),
            large_above: figures.large,
            drops: Drops::default(),
            larges: Larges::default(),
            held: AtomicUsize::new(0),
            limit: figures.limit,
            chunk: Cell::new(0),
            patterned: Cell::new(0),
            hands: Hands::new(),
        }
    }

    #[inline(always)]
    pub(crate) fn pool(&self) -> &ScopePool {
        // SAFETY: alive by 5.
        unsafe { self.pool.as_ref() }
    }

    // ---- Flags and figures ------------------------------------------------

    #[inline(always)]
    pub(crate) fn flags(&self) -> u32 {
        self.flags.get()
    }

    #[inline(always)]
    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }

    pub(crate) fn raise(&self, flag: u32) {
        self.flags.set(self.flags.get() | flag);
    }

    pub(crate) fn lower(&self, flags: u32) {
        self.flags.set(self.flags.get() & !flags);
    }

    pub(crate) fn wipes(&self) -> bool {
        self.has(WIPES)
    }

    /// Bytes that chunks and large objects occupy, those not that are lent. May be
    /// read by anybody.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// What counts towards the limit: bytes held, and bytes lent.
    pub(crate) fn occupied_bytes(&self) -> usize {
        self.held_bytes() + self.larges.lent.get()
    }

    /// Bytes to the limit of the lease.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.occupied_bytes())
    }

    pub(crate) fn limit_bytes(&self) -> usize {
        self.limit
    }

    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk.get()
    }

    /// Bytes of the chunks that allocations have, or that lie unused in chunks
    /// that are not the current one.
    #[inline(always)]
    pub(crate) fn used_bytes(&self) -> usize {
        self.frontier.used_bytes()
    }

    /// Bytes of the current chunk that allocations have.
    fn used_of_chunk(&self) -> usize {
        let usable = self.chunk.get().saturating_sub(OVERHEAD);
        let others = self.bump.allocated_bytes().saturating_sub(usable);
        self.used_bytes().saturating_sub(others)
    }

    pub(crate) fn full(&self, full: Full, requested_bytes: usize) -> ArenaFull {
        ArenaFull {
            scope: self.pool().name(),
            full,
            requested_bytes,
            held_bytes: self.occupied_bytes(),
            limit_bytes: self.limit,
        }
    }

    /// An allocation that a limit refused, and of which a hook is told: so the
    /// arena is as it was before.
    pub(crate) fn refuse(&self, limit: Limit, requested_bytes: usize) -> ArenaFull {
        let full = match &limit {
            Limit::Budget(_) => Full::Budget,
            Limit::Memory { .. } => Full::Memory,
            _ => Full::Lease,
        };
        let refused = self.full(full, requested_bytes);
        self.pool().tell_refusal(&limit);
        refused
    }

    /// Charges `bytes` to the lease and the budget. With no lock held, because
    /// others may be asked to give memory back, and what they drop may allocate
    /// here: so the bytes are noted first.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), Limit> {
        if bytes > self.room() {
            return Err(Limit::Lease {
                bytes,
                held_bytes: self.occupied_bytes(),
                limit_bytes: self.limit,
            });
        }
        self.hold(bytes);
        let Some(budget) = self.pool().budget() else {
            return Ok(());
        };
        let uncharged = Uncharged { arena: self, bytes };
        budget.charge_bytes(bytes).map_err(Limit::Budget)?;
        core::mem::forget(uncharged);
        Ok(())
    }

    /// Notes bytes that are charged already.
    pub(crate) fn hold(&self, bytes: usize) {
        self.held.store(self.held_bytes() + bytes, Relaxed);
    }

    /// Ends a reservation.
    pub(crate) fn give_up(&self, bytes: usize) {
        self.held.store(self.held_bytes() - bytes, Relaxed);
        if let Some(budget) = self.pool().budget() {
            budget.refund_bytes(bytes);
        }
    }

    // ---- Allocating -------------------------------------------------------

    /// Memory for `layout`, uninitialised.
    ///
    /// What nearly all requests are, small and aligned as words are, is decided by
    /// two comparisons with constants, and then by one with the room.
    #[inline(always)]
    pub(crate) fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, ArenaFull> {
        if layout.size() > NEVER_LARGE || layout.align() > MIN_ALIGN {
            return self.allocate_unusual_slow(layout);
        }
        let size = layout.size().next_multiple_of(MIN_ALIGN);
        if !self.frontier.fits(size) {
            return self.allocate_slow(layout);
        }
        // SAFETY: it fits.
        Ok(unsafe { self.frontier.take_small(size) })
    }

    /// What is not small or not aligned as words are.
    #[inline(never)]
    fn allocate_unusual_slow(&self, layout: Layout) -> Result<NonNull<u8>, ArenaFull> {
        if self.is_large(layout) {
            return self.allocate_large(layout, false);
        }
        if layout.size() == 0 {
            // Nothing always fits, however it is aligned.
            let nothing = core::ptr::without_provenance_mut(layout.align());
            return NonNull::new(nothing).ok_or_else(|| self.full(Full::Overflow, 0));
        }
        match self.frontier.take(layout) {
            Some(block) => Ok(block),
            None => self.allocate_slow(layout),
        }
    }

    /// The chunk is full: what others left behind, or another chunk.
    #[cold]
    #[inline(never)]
    fn allocate_slow(&self, layout: Layout) -> Result<NonNull<u8>, ArenaFull> {
        if let Some(block) = self.take_left_behind(layout) {
            return Ok(block);
        }
        let refuse = |limit| self.refuse(limit, layout.size());
        let Some(chunk) = self.reserve_chunk(layout) else {
            return Err(self.full(Full::Overflow, layout.size()));
        };
        let bytes = chunk.map_err(refuse)?;
        let before = self.bump.allocated_bytes();
        let raised = before + bytes - OVERHEAD;
        self.bump.set_allocation_limit(Some(raised));
        let block = self.bump.try_alloc_layout(layout);
        let after = self.bump.allocated_bytes();
        self.bump.set_allocation_limit(Some(after));
        let made = match after - before {
            0 => 0,
            usable => usable + OVERHEAD,
        };
        debug_assert!(made <= bytes, "bumpalo keeps to its limit");
        self.give_up(bytes - made);
        if made > 0 {
            self.chunk.set(made);
            self.raise(GREW);
            self.take_chunk();
        }
        block.map_err(|_| refuse(Limit::Memory { bytes }))
    }

    /// Takes what bumpalo's current chunk has left, which is all that it does not
    /// hold for somebody already.
    fn take_chunk(&self) {
        self.frontier.close();
        let len = self.bump.chunk_capacity();
        let rest = Layout::from_size_align(len, MIN_ALIGN).ok();
        let start = rest.and_then(|rest| self.bump.try_alloc_layout(rest).ok());
        debug_assert!(start.is_some(), "a chunk has room for its rest");
        if let Some(start) = start {
            let used = self.bump.allocated_bytes() - len;
            // SAFETY: just allocated, by bumpalo's own pointer, which reaches all of the
            // chunk; both are multiples of bumpalo's smallest alignment.
            unsafe { self.frontier.open(start, len, used) };
        }
    }

    /// Reserves the next chunk: the largest that is allowed, or else the least
    /// that is needed. Answers its counted bytes; `None` if they are no number.
    fn reserve_chunk(&self, layout: Layout) -> Option<Result<usize, Limit>> {
        let sizes = || candidates(self.chunk.get(), layout);
        let least = sizes().last()?;
        let most = self
            .room()
            .min(LARGEST_CHUNK.max(self.pool().figures.nominal));
        let wanted = sizes().find(|&bytes| bytes <= most).unwrap_or(least);
        Some(match self.reserve(wanted) {
            Ok(()) => Ok(wanted),
            Err(Limit::Budget(_)) if least < wanted => self.reserve(least).map(|()| least),
            Err(limit) => Err(limit),
        })
    }

    fn take_left_behind(&self, layout: Layout) -> Option<NonNull<u8>> {
        if layout.align() > MIN_ALIGN {
            return None;
        }
        self.reuse.take(layout.size().next_multiple_of(MIN_ALIGN))
    }

    // ---- Giving blocks back -----------------------------------------------

    /// Takes a block back: a large object is freed, the last allocation undone,
    /// and any other block kept for those who grow.
    ///
    /// # Safety
    ///
    /// `block` was allocated from this arena with this layout and is not used
    /// afterwards.
    #[inline]
    pub(crate) unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if self.is_large(layout) {
            // SAFETY: by the caller.
            return unsafe { self.free_large(block, layout) };
        }
        // A wipe would miss the bytes of what was undone.
        if !self.wipes() && self.frontier.is_last(block) {
            // SAFETY: by the caller, and not a large object, so it is of the chunk.
            return unsafe { self.frontier.undo(layout.size()) };
        }
        // SAFETY: by the caller.
        unsafe { self.leave_behind(block, layout) };
    }

    /// Keeps a block of the current chunk for those who grow.
    ///
    /// # Safety
    ///
    /// As [`Arena::deallocate`], for a block that is no large object.
    #[cold]
    unsafe fn leave_behind(&self, block: NonNull<u8>, layout: Layout) {
        // The pointer that was handed out may have been narrowed by a reference
        // since; the finger reaches all of the current chunk.
        let finger = self.frontier.finger();
        let from = block.addr().get().checked_sub(finger.addr().get());
        if from.is_none_or(|from| from >= self.used_of_chunk()) {
            return;
        }
        let block = finger.with_addr(block.addr());
        let size = layout.size().next_multiple_of(MIN_ALIGN);
        // SAFETY: by the caller nobody uses it; blocks are aligned to and rounded up
        // to 8; the list is cleared when chunks go.
        unsafe { self.reuse.give(block, size) };
    }

    /// Gives a block more room. On `Err` it is as it was.
    ///
    /// # Safety
    ///
    /// As [`Arena::deallocate`] for `old`; `new` is at least as large.
    pub(crate) unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, ArenaFull> {
        match (self.is_large(old), self.is_large(new)) {
            // SAFETY: by the caller.
            (true, true) => return unsafe { self.resize_large(block, old, new) },
            (false, false) if self.frontier.is_last(block) => {
                // SAFETY: by the caller, and not a large object, so it is of the chunk.
                if let Some(grown) = unsafe { self.frontier.resize_last(old.size(), new) } {
                    return Ok(grown);
                }
            }
            _ => {}
        }
        // SAFETY: by the caller.
        unsafe { self.relocate(block, old, new) }
    }

    /// Moves a block to where `new` has room.
    ///
    /// # Safety
    ///
    /// As [`Arena::deallocate`] for `old`.
    unsafe fn relocate(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, ArenaFull> {
        let behind = match self.is_large(new) {
            true => None,
            false => self.take_left_behind(new),
        };
        let fresh = match behind {
            Some(fresh) => fresh,
            None => self.allocate(new)?,
        };
        let kept = old.size().min(new.size());
        // SAFETY: both are at least that long, and one is fresh.
        unsafe { fresh.copy_from_nonoverlapping(block, kept) };
        // SAFETY: by the caller.
        unsafe { self.deallocate(block, old) };
        Ok(fresh)
    }

    /// Takes room from a block. On `Err` it is as it was.
    ///
    /// # Safety
    ///
    /// As [`Arena::deallocate`] for `old`; `new` is at most as large.
    pub(crate) unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, ArenaFull> {
        match (self.is_large(old), self.is_large(new)) {
            // SAFETY: by the caller.
            (true, true) => unsafe { self.resize_large(block, old, new) },
            (false, false) if block.addr().get() % new.align() == 0 => {
                // Worth a copy if that is no more than what is gained. A wipe would
                // miss the bytes.
                let worth_it = new.size() <= old.size() / 2 && !self.wipes();
                if !worth_it || !self.frontier.is_last(block) {
                    return Ok(block);
                }
                // SAFETY: by the caller, and not a large object, so it is of the chunk.
                let shrunk = unsafe { self.frontier.resize_last(old.size(), new) };
                Ok(shrunk.unwrap_or(block))
            }
            // SAFETY: by the caller.
            _ => unsafe { self.relocate(block, old, new) },
        }
    }

    // ---- Coming home ------------------------------------------------------

    /// Overwrites every byte that was allocated from chunks with `byte`.
    ///
    /// # Safety
    ///
    /// Nobody uses what was allocated any more.
    pub(crate) unsafe fn wipe_chunks(&self, byte: u8) {
        // SAFETY: the chunk from the finger on, which nobody uses.
        unsafe { wipe(self.frontier.finger(), self.used_of_chunk(), byte) };
        // SAFETY: nothing is allocated meanwhile, and by the caller nothing is referred to.
        let chunks = unsafe { self.bump.iter_allocated_chunks_raw() };
        // The current one comes first.
        for (start, len) in chunks.skip(1) {
            let Some(start) = NonNull::new(start) else {
                continue;
            };
            // SAFETY: by the caller.
            unsafe { wipe(start, len, byte) };
        }
    }

    /// Touches every page of the chunk, in which nothing is allocated.
    pub(crate) fn touch(&self) {
        if let Some((start, len)) = self.free_chunk() {
            // SAFETY: nobody's.
            unsafe { start.write_bytes(0, len) };
        }
    }

    /// The chunk of an arena in which nothing is allocated.
    fn free_chunk(&self) -> Option<(NonNull<u8>, usize)> {
        if self.has(HOLLOW) {
            return None;
        }
        let len = self.frontier.room();
        // SAFETY: the finger is that far from where the room begins.
        let start = unsafe { self.frontier.finger().sub(len) };
        Some((start, len))
    }

    /// Tells memory tools that nobody has anything in the chunk, of which the last
    /// `used` bytes were allocated.
    ///
    /// # Safety
    ///
    /// The caller is the holder, and nothing is allocated.
    #[inline(always)]
    pub(crate) unsafe fn declare_dead(&self, used: usize) {
        if poison::WATCHED {
            if let Some((start, len)) = self.free_chunk() {
                let used = used.min(len);
                // SAFETY: inside of the chunk.
                let start = unsafe { start.add(len - used) };
                // SAFETY: the holder's own, and what was there is not used.
                unsafe { poison::on_region_new(start, used) };
            }
        }
    }

    /// Tells memory tools that the chunk is about to be used, by a lease or by
    /// whoever allocates it next.
    ///
    /// # Safety
    ///
    /// As [`Arena::declare_dead`].
    #[inline(always)]
    pub(crate) unsafe fn declare_alive(&self) {
        if poison::WATCHED {
            if let Some((start, len)) = self.free_chunk() {
                // SAFETY: the holder's own, and holds nothing.
                unsafe { poison::on_region_drop(start, len) };
            }
        }
    }

    /// Fills what was allocated with the pattern of diagnostics, and remembers
    /// how much of the chunk that stays that is.
    ///
    /// # Safety
    ///
    /// As [`Arena::wipe_chunks`].
    pub(crate) unsafe fn pattern_chunks(&self) {
        // SAFETY: by the caller.
        unsafe { self.wipe_chunks(poison::PATTERN) };
        self.patterned.set(self.used_of_chunk());
    }

    /// Where somebody wrote to the chunk since it was filled with the pattern.
    ///
    /// # Safety
    ///
    /// The caller is the holder, and the chunk is as it came home.
    pub(crate) unsafe fn damage(&self) -> Option<usize> {
        let patterned = self.patterned.replace(0);
        let (start, len) = self.free_chunk()?;
        let before = len.checked_sub(patterned)?;
        // SAFETY: inside of the chunk.
        let filled = unsafe { start.add(before) };
        // SAFETY: initialised when it was filled, and the holder's own.
        let damage = unsafe { poison::first_damage(filled, patterned) }?;
        Some(before + damage)
    }

    /// Forgets everything that was allocated from the only chunk.
    ///
    /// # Safety
    ///
    /// The caller is the holder, nobody uses what was allocated any more, and the
    /// arena did not grow.
    #[inline(always)]
    pub(crate) unsafe fn reset(&self) {
        self.reuse.clear();
        // SAFETY: by the caller; the chunk is the only one (6).
        unsafe { self.frontier.rewind() };
    }

    /// Forgets everything that was allocated from chunks, and frees and refunds all of
    /// them but the current one.
    ///
    /// # Safety
    ///
    /// The caller is the holder, and nobody uses what was allocated any more; there
    /// are no large objects.
    pub(crate) unsafe fn reset_grown(arena: NonNull<Self>) {
        // SAFETY: by 1 nobody else refers to this field.
        unsafe { (*arena.as_ptr()).bump.reset() };
        // SAFETY: alive, and no unique reference to a field exists now.
        let this = unsafe { arena.as_ref() };
        this.reuse.clear();
        this.take_chunk();
        this.bump
            .set_allocation_limit(Some(this.bump.allocated_bytes()));
        this.give_up(this.held_bytes() - this.chunk_bytes());
    }

    /// Builds the chunk of a hollow arena, which is reserved.
    ///
    /// # Safety
    ///
    /// The caller is the holder.
    pub(crate) unsafe fn build(arena: NonNull<Self>, bytes: usize) -> bool {
        let Ok(bump) = Bump::try_with_min_align_and_capacity(bytes - OVERHEAD) else {
            return false;
        };
        debug_assert_eq!(bump.allocated_bytes(), bytes - OVERHEAD);
        bump.set_allocation_limit(Some(bump.allocated_bytes()));
        // SAFETY: by 1 nobody else refers to this field.
        unsafe { (*arena.as_ptr()).bump = bump };
        // SAFETY: alive, and no unique reference to a field exists now.
        let this = unsafe { arena.as_ref() };
        this.chunk.set(bytes);
        this.lower(HOLLOW);
        this.take_chunk();
        true
    }

    /// Frees all chunks, which are refunded.
    ///
    /// # Safety
    ///
    /// As [`Arena::reset_grown`].
    pub(crate) unsafe fn empty(arena: NonNull<Self>) {
        // SAFETY: by 1 nobody else refers to this field.
        unsafe { (*arena.as_ptr()).bump = Bump::with_min_align_and_capacity(0) };
        // SAFETY: alive, and no unique reference to a field exists now.
        let this = unsafe { arena.as_ref() };
        this.reuse.clear();
        this.frontier.close();
        this.chunk.set(0);
        this.patterned.set(0);
        this.raise(HOLLOW);
        this.give_up(this.held_bytes());
    }
}
