//! Arenas: one bump allocator, and what must be known about it.
//!
//! ```text
//!   entry ──► ┌────────────────────────────┐
//!             │ bump    ───────────────────┼──► chunk ──► older chunk ──► …
//!             │ flags, reuse, larges ──────┼──► large objects
//!             │ held, limit, chunk, drops  │
//!             ├────────────────────────────┤
//!             │ tally                      │
//!             └────────────────────────────┘
//! ```
//!
//! # The protocol of the limit
//!
//! bumpalo's own limit always equals what its chunks offer, so growing fails
//! there first, on a path that is slow anyway. Then [`Arena::allocate_slow`]
//! charges the next chunk, raises the limit by exactly that, tries once more, and
//! refunds what bumpalo did not take. So limits and budgets count held bytes, and
//! are never exceeded. bumpalo's limit on its own would not do: it is off as soon
//! as an arena is above it.

use crate::chunk::{OVERHEAD, candidates};
use crate::config::{Figures, NEVER_LARGE};
use crate::drops::Drops;
use crate::error::{ArenaFull, Full};
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

/// Everything in an arena is aligned to at least this.
///
/// Words then need no rounding: 0.53 against 0.68 ns an allocation (November
/// 2026, 2-core virtual machine, Zen 5). Strings lose 3.5 bytes each on average.
pub(crate) const MIN_ALIGN: usize = 8;

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
#[repr(C, align(64))]
pub(crate) struct Arena {
    pub(crate) bump: Bump<MIN_ALIGN>,
    flags: Cell<u32>,
    /// Whether there is a holder. For statistics.
    pub(crate) leased: AtomicBool,
    reuse: Reuse,
    pub(crate) pool: NonNull<ScopePool>,
    pub(crate) large_above: usize,
    pub(crate) drops: Drops,
    pub(crate) larges: Larges,
    held: AtomicUsize,
    limit: usize,
    chunk: Cell<usize>,
    /// Bytes at the end of the chunk that hold the pattern of diagnostics.
    patterned: Cell<usize>,
    pub(crate) tally: Tally,
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
            bump: Bump::with_min_align_and_capacity(0),
            flags: Cell::new(HOLLOW | wipes),
            leased: AtomicBool::new(false),
            reuse: Reuse::default(),
            pool,
            large_above: figures.large,
            drops: Drops::default(),
            larges: Larges::default(),
            held: AtomicUsize::new(0),
            limit: figures.limit,
            chunk: Cell::new(0),
            patterned: Cell::new(0),
            tally: Tally::default(),
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
        self.bump.allocated_bytes() - self.bump.chunk_capacity()
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
    /// two comparisons with constants, and then by one with the room. bumpalo's own
    /// questions are answered by then, so nothing of them is left in the code: with
    /// layouts that are known at run time a request of 100 takes 127 ns instead of
    /// 178 (November 2026, 2-core virtual machine, Zen 5, chapter `field-arena`).
    #[inline(always)]
    pub(crate) fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, ArenaFull> {
        if layout.size() > NEVER_LARGE || layout.align() > MIN_ALIGN {
            return self.allocate_unusual_slow(layout);
        }
        let size = layout.size().next_multiple_of(MIN_ALIGN);
        if size > self.bump.chunk_capacity() {
            return self.allocate_slow(layout);
        }
        // SAFETY: the alignment is a power of two, and the size is small.
        let whole = unsafe { Layout::from_size_align_unchecked(size, MIN_ALIGN) };
        match self.bump.try_alloc_layout(whole) {
            Ok(block) => Ok(block),
            Err(_) => self.allocate_slow(layout),
        }
    }

    /// What is not small or not aligned as words are.
    #[inline(never)]
    fn allocate_unusual_slow(&self, layout: Layout) -> Result<NonNull<u8>, ArenaFull> {
        if self.is_large(layout) {
            return self.allocate_large(layout, false);
        }
        match self.bump.try_alloc_layout(layout) {
            Ok(block) => Ok(block),
            Err(_) => self.allocate_slow(layout),
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
        }
        block.map_err(|_| refuse(Limit::Memory { bytes }))
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
        // Undoing moves bumpalo's pointer, and a wipe would miss the bytes.
        if let Some(last) = self.as_last(block).filter(|_| !self.wipes()) {
            use allocator_api2::alloc::Allocator;
            // SAFETY: by the caller, and not a large object, so it is bumpalo's.
            return unsafe { (&self.bump).deallocate(last, layout) };
        }
        // SAFETY: by the caller.
        unsafe { self.leave_behind(block, layout) };
    }

    /// Where the next allocation will end.
    fn frontier(&self) -> Option<NonNull<u8>> {
        self.bump.try_alloc_layout(Layout::new::<()>()).ok()
    }

    /// The block, if it is the last that was allocated, by a pointer that reaches
    /// all of the chunk: the one that was handed out may have been narrowed by a
    /// reference since, and bumpalo goes on from the one that it is given.
    #[inline]
    fn as_last(&self, block: NonNull<u8>) -> Option<NonNull<u8>> {
        self.frontier().filter(|&frontier| frontier == block)
    }

    /// Keeps a block of the current chunk for those who grow.
    ///
    /// # Safety
    ///
    /// As [`Arena::deallocate`], for a block that is no large object.
    #[cold]
    unsafe fn leave_behind(&self, block: NonNull<u8>, layout: Layout) {
        let Some(frontier) = self.frontier() else {
            return;
        };
        let allocated = self.chunk.get() - OVERHEAD - self.bump.chunk_capacity();
        let from = block.addr().get().checked_sub(frontier.addr().get());
        if from.is_none_or(|from| from >= allocated) {
            return;
        }
        // Narrowed, maybe, as above.
        let block = frontier.with_addr(block.addr());
        let size = layout.size().next_multiple_of(MIN_ALIGN);
        // SAFETY: by the caller nobody uses it; bumpalo aligns to and rounds up
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
            (false, false) => {
                use allocator_api2::alloc::Allocator;
                // SAFETY: by the caller, and both are bumpalo's.
                let grow = |last| unsafe { (&self.bump).grow(last, old, new) }.ok();
                if let Some(grown) = self.as_last(block).and_then(grow) {
                    return Ok(grown.cast());
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
                let last = self.as_last(block).filter(|_| !self.wipes());
                let Some(last) = last else {
                    return Ok(block);
                };
                use allocator_api2::alloc::Allocator;
                // SAFETY: by the caller, and both are bumpalo's.
                let shrunk = unsafe { (&self.bump).shrink(last, old, new) };
                shrunk
                    .map(NonNull::cast)
                    .map_err(|_| self.full(Full::Lease, new.size()))
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
        // SAFETY: nothing is allocated, and by the caller nothing is referred to.
        let chunks = unsafe { self.bump.iter_allocated_chunks_raw() };
        for (start, len) in chunks {
            let Some(start) = NonNull::new(start) else {
                continue;
            };
            // SAFETY: by the caller.
            unsafe { wipe(start, len, byte) };
        }
    }

    /// The chunk of an arena in which nothing is allocated.
    fn free_chunk(&self) -> Option<(NonNull<u8>, usize)> {
        if self.has(HOLLOW) {
            return None;
        }
        let len = self.bump.chunk_capacity();
        // SAFETY: bumpalo's pointer is that far from the beginning of the chunk.
        let start = unsafe { self.frontier()?.sub(len) };
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
        let usable = self.chunk.get() - OVERHEAD;
        self.patterned.set(usable - self.bump.chunk_capacity());
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

    /// Forgets everything that was allocated from chunks, and frees all chunks
    /// but the current one: the fast way, for arenas that have one.
    ///
    /// # Safety
    ///
    /// The caller is the holder, and nobody uses what was allocated any more.
    #[inline(always)]
    pub(crate) unsafe fn reset(arena: NonNull<Self>) {
        // SAFETY: alive; the holder's reuse list is its own (1).
        unsafe { (*arena.as_ptr()).reuse.clear() };
        // SAFETY: by 1 nobody else refers to this field.
        let bump = unsafe { &mut (*arena.as_ptr()).bump };
        bump.reset();
    }

    /// As [`Arena::reset`], for arenas that may have grown: refunds what goes.
    ///
    /// # Safety
    ///
    /// As [`Arena::reset`]; there are no large objects.
    pub(crate) unsafe fn reset_grown(arena: NonNull<Self>) {
        // SAFETY: by the caller.
        unsafe { Self::reset(arena) };
        // SAFETY: alive, and no unique reference to a field exists now.
        let this = unsafe { arena.as_ref() };
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
        true
    }

    /// Frees all chunks, which are refunded.
    ///
    /// # Safety
    ///
    /// As [`Arena::reset_grown`].
    pub(crate) unsafe fn empty(arena: NonNull<Self>) {
        // SAFETY: alive; the holder's reuse list is its own (1).
        unsafe { (*arena.as_ptr()).reuse.clear() };
        // SAFETY: by 1 nobody else refers to this field.
        unsafe { (*arena.as_ptr()).bump = Bump::with_min_align_and_capacity(0) };
        // SAFETY: alive, and no unique reference to a field exists now.
        let this = unsafe { arena.as_ref() };
        this.chunk.set(0);
        this.patterned.set(0);
        this.raise(HOLLOW);
        this.give_up(this.held_bytes());
    }
}
