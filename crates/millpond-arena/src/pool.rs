//! The pool of one scope: how an arena is lent and how it comes home.
//!
//! ```text
//!   lease    pop ── hollow? ──no──► lease               about twenty instructions
//!                     │ yes
//!                     ▼  no lock held
//!                   reserve, build a chunk of the target size
//!
//!   return   count what was used ── flags? ──none──► reset, push
//!                                     │ some
//!                                     ▼  no lock held
//!                   run destructors, free large objects, wipe,
//!                   tell the scope, keep the chunk or free it, push
//! ```

use crate::arena::{Arena, DROPS, GREW, HOLLOW, LARGE, SURPLUS, TRACKED};
use crate::config::Figures;
use crate::large::Supplier;
use crate::lease::Lease;
use crate::retention::Recent;
use crate::source::Arenas;
use crate::stats::Discarded;
use core::panic::Location;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use millpond_core::budget::Budget;
use millpond_core::engine::{Engine, Released};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::event::{Event, EventHook};
use millpond_core::poison;
use millpond_core::shared::SharedEngine;
use millpond_core::trim::{Level, TrimReport};
use std::boxed::Box;
use std::sync::{Mutex, PoisonError};

/// Arenas are cached as if they were at least this large: a thread keeps no more
/// than eight.
///
/// A thread rarely has more than a few at once, and what lies in its cache is not
/// where the others look first.
const CACHED_AS: usize = 64 << 10;

/// Ticks without a lease after which an arena is idle.
const IDLE_TICKS: u32 = if cfg!(millpond_loom) { 1 } else { 2 };

/// The share of arenas that one tick may free: one in this many, at least one.
///
/// A scope that pauses for a second keeps most of what it had; one that stays
/// quiet gives half of it back in some ten ticks.
const DECAY: usize = 8;

/// Reports of arenas after which the scope ticks by itself: some 16,000 leases.
/// A program that calls `maintain` at intervals ticks more often than that.
const REPORTS_A_TICK: u64 = if cfg!(millpond_loom) { 1 } else { 64 };

/// One scope: its engine, its figures and what it learned.
///
/// # Invariants
///
/// 1. Entries of `engine` are addresses of arenas of this pool.
/// 2. Of the arenas that are not hollow, at most `figures.parked` are without
///    `SURPLUS`, and arenas with it are hollow when they come home: so no more
///    than that are ever parked.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ScopePool {
    pub(crate) engine: SharedEngine<Arenas>,
    pub(crate) figures: Figures,
    budget: Option<Budget>,
    pub(crate) supplier: Option<Supplier>,
    /// The engine's own, for what is told when the pool may be gone.
    hook: Option<EventHook>,
    /// Bytes that the next arena is built with.
    target: AtomicUsize,
    /// Arenas that are not hollow.
    built: AtomicUsize,
    pub(crate) counts: Counts,
    recent: Mutex<Recent>,
}

/// What is counted where something rare happens.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) builds: AtomicU64,
    pub(crate) grown: AtomicU64,
    pub(crate) discarded: [AtomicU64; Discarded::KINDS],
    reports: AtomicU64,
}

impl ScopePool {
    /// A pool on the heap; freed by [`ScopePool::let_go`].
    pub(crate) fn new(
        name: &'static str,
        figures: Figures,
        budget: Option<Budget>,
        supplier: Option<Supplier>,
        hook: Option<EventHook>,
    ) -> NonNull<Self> {
        let source = Arenas::new(figures, budget.clone());
        let bytes = figures.nominal.max(CACHED_AS);
        let mut engine = SharedEngine::new(usize::MAX, bytes, source).named(name);
        if let Some(budget) = &budget {
            engine = engine.charged_to(budget.clone());
        }
        if let Some(hook) = &hook {
            engine = engine.told_to(hook.clone());
        }
        let pool = NonNull::from(Box::leak(Box::new(Self {
            engine,
            figures,
            budget,
            supplier,
            hook,
            target: AtomicUsize::new(figures.nominal),
            built: AtomicUsize::new(0),
            counts: Counts::default(),
            recent: Mutex::default(),
        })));
        // SAFETY: just made.
        let this = unsafe { pool.as_ref() };
        this.engine.with_source_mut(|source| source.belong_to(pool));
        pool
    }

    /// Closes the pool, and frees it now or when the last lease ends.
    ///
    /// # Safety
    ///
    /// The pool is alive, and nobody uses it but by way of its leases.
    pub(crate) unsafe fn let_go(pool: NonNull<Self>) {
        // SAFETY: alive by the caller.
        let engine = unsafe { &raw const (*pool.as_ptr()).engine };
        // SAFETY: by the caller. A lease that acquires a child keeps the pool
        // alive meanwhile, because it is out itself.
        if unsafe { SharedEngine::orphan(engine) } == Released::Last {
            // SAFETY: nobody has anything of the pool any more.
            unsafe { Self::free_slow(pool) };
        }
    }

    /// # Safety
    ///
    /// The engine answered `Last`.
    #[cold]
    unsafe fn free_slow(pool: NonNull<Self>) {
        // SAFETY: it came from a box, and by the caller nobody else has it.
        drop(unsafe { Box::from_raw(pool.as_ptr()) });
    }

    #[inline(always)]
    pub(crate) fn name(&self) -> &'static str {
        self.engine.name()
    }

    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    pub(crate) fn target_bytes(&self) -> usize {
        self.target.load(Relaxed)
    }

    // ---- Lending ----------------------------------------------------------

    /// Lends an arena. The caller is its holder.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn lend(&self) -> Result<NonNull<Arena>, AcquireError> {
        let Some(entry) = self.engine.try_pop() else {
            return self.lend_slow(Location::caller());
        };
        let arena = entry.as_ptr().cast::<Arena>();
        // SAFETY: just acquired, so alive and ours.
        let this = unsafe { arena.as_ref() };
        this.hands.touch();
        if this.has(HOLLOW) {
            return self.build_slow(arena);
        }
        // SAFETY: ours, and as it came home.
        unsafe { this.declare_alive() };
        this.leased.store(true, Relaxed);
        Ok(arena)
    }

    #[cold]
    #[inline(never)]
    fn lend_slow(
        &self,
        location: &'static Location<'static>,
    ) -> Result<NonNull<Arena>, AcquireError> {
        let entry = self.engine.acquire_slow(0)?;
        let arena = entry.as_ptr().cast::<Arena>();
        // SAFETY: just acquired, so alive and ours.
        let this = unsafe { arena.as_ref() };
        this.hands.touch();
        if this.has(HOLLOW) {
            self.build_slow(arena)?;
        } else {
            // SAFETY: ours, and as it came home.
            unsafe { this.declare_alive() };
            this.leased.store(true, Relaxed);
        }
        self.inspect(arena, location);
        Ok(arena)
    }

    /// Puts an arena that was just lent on the record, and tells if somebody wrote to
    /// it while it was free, if diagnostics are on.
    fn inspect(&self, arena: NonNull<Arena>, location: &'static Location<'static>) {
        // SAFETY: lent to the caller. A recorder or a hook that panics gives it back.
        let lease = unsafe { Lease::of(arena) };
        let item = entry(arena);
        if let Some(patterned) = self.engine.record(item, location) {
            let this = lease.arena();
            this.raise(TRACKED);
            if patterned && !poison::BLINDS_PATTERN {
                // SAFETY: the lease is the holder, and nothing is allocated yet.
                if let Some(offset) = unsafe { this.damage() } {
                    self.engine.tell(&Event::Damaged { item, offset });
                }
            }
        }
        core::mem::forget(lease);
    }

    /// Tells that a limit was hit.
    pub(crate) fn tell_refusal(&self, limit: &Limit) {
        if self.hook.is_some() {
            let in_use = self.engine.observe().in_use;
            self.engine.tell(&Event::Refused { limit, in_use });
        }
    }

    /// Builds the chunk of an arena that was acquired hollow. With no lock held;
    /// if there is no memory for it, the place goes home.
    #[cold]
    #[inline(never)]
    fn build_slow(&self, arena: NonNull<Arena>) -> Result<NonNull<Arena>, AcquireError> {
        let unbuilt = Unbuilt { pool: self, arena };
        match self.build(arena) {
            Ok(()) => {
                core::mem::forget(unbuilt);
                // SAFETY: acquired by the caller, so alive and ours.
                unsafe { arena.as_ref() }.leased.store(true, Relaxed);
                Ok(arena)
            }
            Err(limit) => {
                let figures = self.engine.observe();
                drop(unbuilt);
                self.tell_refusal(&limit);
                let (created, in_use) = (figures.created, figures.in_use);
                Err(AcquireError::new(self.name(), limit, created, in_use, 0))
            }
        }
    }

    fn build(&self, arena: NonNull<Arena>) -> Result<(), Limit> {
        // SAFETY: acquired by the caller, so alive and ours.
        let this = unsafe { arena.as_ref() };
        let bytes = self.charge_chunk()?;
        this.hold(bytes);
        // SAFETY: the caller is the holder.
        if !unsafe { Arena::build(arena, bytes) } {
            this.give_up(bytes);
            return Err(Limit::Memory { bytes });
        }
        if self.built.fetch_add(1, Relaxed) >= self.figures.parked {
            this.raise(SURPLUS);
        }
        self.counts.builds.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Charges a chunk of the target size, or of the nominal size if that is all
    /// that the budget has room for. Answers its bytes.
    fn charge_chunk(&self) -> Result<usize, Limit> {
        let (wanted, least) = (self.target_bytes(), self.figures.nominal);
        let Some(budget) = &self.budget else {
            return Ok(wanted);
        };
        if budget.charge_bytes(wanted).is_ok() {
            return Ok(wanted);
        }
        let charged = budget.charge_bytes(least);
        charged.map(|()| least).map_err(Limit::Budget)
    }

    // ---- Coming home ------------------------------------------------------

    /// Takes an arena back.
    ///
    /// # Safety
    ///
    /// The caller is the holder, and nobody uses what was allocated.
    #[inline(always)]
    pub(crate) unsafe fn take_back(arena: NonNull<Arena>) {
        // SAFETY: the caller is the holder.
        let this = unsafe { arena.as_ref() };
        this.hands.touch();
        let used = this.used_bytes();
        if this.flags() != 0 || !this.tally.count(used) {
            // SAFETY: by the caller.
            return unsafe { take_back_slow(arena) };
        }
        this.leased.store(false, Relaxed);
        let pool = this.pool;
        // SAFETY: by the caller; no flag says that the arena grew.
        unsafe { this.reset() };
        // SAFETY: ours, and nothing is allocated.
        unsafe { this.declare_dead(used) };
        // SAFETY: ours to give; alive until it is home.
        unsafe { Self::release(pool, arena) };
    }

    /// # Safety
    ///
    /// The caller is the holder, who lets go with this call; the pool is alive
    /// until then.
    #[inline(always)]
    unsafe fn release(pool: NonNull<Self>, arena: NonNull<Arena>) {
        // SAFETY: alive until the arena is home.
        let engine = unsafe { &raw const (*pool.as_ptr()).engine };
        // SAFETY: by the caller.
        if unsafe { SharedEngine::release(engine, entry(arena)) } == Released::Last {
            // SAFETY: told so by the engine.
            unsafe { Self::free_slow(pool) };
        }
    }

    /// Frees the chunks of an arena in the caller's hands.
    ///
    /// # Safety
    ///
    /// As [`Arena::empty`].
    unsafe fn discard(&self, arena: NonNull<Arena>, why: Discarded) {
        // SAFETY: by the caller.
        unsafe { Arena::empty(arena) };
        self.built.fetch_sub(1, Relaxed);
        self.counts.discarded[why as usize].fetch_add(1, Relaxed);
    }

    /// Counts arenas that left existence, `built` of them with a chunk.
    pub(crate) fn count_gone(&self, built: usize) {
        self.built.fetch_sub(built, Relaxed);
    }

    // ---- Learning ---------------------------------------------------------

    /// Hears of the leases of an arena, and says anew how large to build.
    fn hear(&self, arena: &Arena) {
        let percentile = {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            arena.tally.tell(|bin, count| recent.add(bin, count));
            recent.fade();
            recent.percentile(self.figures.percent)
        };
        self.target.store(self.figures.target(percentile), Relaxed);
    }

    /// Whether the chunk of an arena, which is all that it holds, should go.
    fn verdict(&self, arena: &Arena) -> Option<Discarded> {
        let target = self.target_bytes();
        let chunk = arena.chunk_bytes();
        if arena.has(SURPLUS) {
            Some(Discarded::Surplus)
        } else if chunk > self.figures.keep_at_most(target) {
            Some(Discarded::Oversize)
        } else if chunk < self.figures.nominal || (arena.has(GREW) && chunk < target) {
            Some(Discarded::Undersize)
        } else {
            None
        }
    }

    // ---- Giving memory back -----------------------------------------------

    pub(crate) fn trim(&self, level: Level) -> TrimReport {
        self.engine.trim_with(level, |source, free| {
            source.retire_idle(free, 0, usize::MAX)
        })
    }

    /// One tick of decay: frees some of the arenas that were not leased during
    /// the last ticks. Looks at every arena; disturbs no thread unless some go.
    pub(crate) fn tick(&self) -> TrimReport {
        let (stale, arenas) = self
            .engine
            .with_source_mut(|source| (source.tick(IDLE_TICKS), source.iter().count()));
        if !stale {
            return TrimReport::default();
        }
        let most = (arenas / DECAY).max(1);
        self.engine.trim_with(Level::Moderate, |source, free| {
            source.retire_idle(free, IDLE_TICKS, most)
        })
    }
}

fn entry(arena: NonNull<Arena>) -> Entry {
    Entry::from_ptr(arena.cast())
}

/// Takes an arena back about which there is something to do.
///
/// # Safety
///
/// As [`ScopePool::take_back`].
#[cold]
#[inline(never)]
unsafe fn take_back_slow(arena: NonNull<Arena>) {
    // SAFETY: the caller is the holder; the pool lives until the arena is home.
    let this = unsafe { arena.as_ref() };
    let pool = this.pool();
    let due = this.tally.count_slow(this.used_bytes());
    // SAFETY: by the caller.
    let panic = unsafe { clean(this) };
    let tracked = this.has(TRACKED);
    if tracked && !this.wipes() && pool.engine.should_pattern(entry(arena)) {
        // SAFETY: by the caller.
        unsafe { this.pattern_chunks() };
    }
    let used = this.used_bytes();
    let mut told = Told::about(pool, this.held_bytes());
    // SAFETY: by the caller; the large objects are gone.
    unsafe { Arena::reset_grown(arena) };
    if this.has(GREW) {
        told.grew();
        pool.counts.grown.fetch_add(1, Relaxed);
    }
    if due || this.has(GREW) {
        pool.hear(this);
    }
    let verdict = match panic {
        Some(_) => Some(Discarded::Panicked),
        None => pool.verdict(this),
    };
    if let Some(why) = verdict {
        told.discarded(why, this.held_bytes());
        // SAFETY: by the caller.
        unsafe { pool.discard(arena, why) };
    }
    // SAFETY: ours, and nothing is allocated.
    unsafe { this.declare_dead(used) };
    let surplus = if verdict.is_some() { SURPLUS } else { 0 };
    let homeward = Homeward {
        arena,
        lower: GREW | LARGE | DROPS | TRACKED | surplus,
    };
    if tracked {
        pool.engine.strike(entry(arena));
    }
    if due && pool.counts.reports.fetch_add(1, Relaxed) % REPORTS_A_TICK == REPORTS_A_TICK - 1 {
        pool.tick();
    }
    drop(homeward);
    told.tell();
    if let Some(panic) = panic {
        if !std::thread::panicking() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// An arena in which nothing is left, on its way home: also if a recorder panics, or
/// a hook that is told of a tick.
///
/// # Invariants
///
/// 1. Whoever made it is the holder of `arena`, and lets go with it.
struct Homeward {
    arena: NonNull<Arena>,
    lower: u32,
}

impl Drop for Homeward {
    fn drop(&mut self) {
        // SAFETY: alive until it is home (1).
        let arena = unsafe { self.arena.as_ref() };
        arena.lower(self.lower);
        arena.leased.store(false, Relaxed);
        // SAFETY: ours to give (1); not used afterwards.
        unsafe { ScopePool::release(arena.pool, self.arena) };
    }
}

/// The place of an arena that is not built: it goes home if it cannot be, also if
/// those whom the budget asks for memory panic.
///
/// # Invariants
///
/// 1. Whoever made it acquired `arena`, and lets go with it; `pool` is its own.
struct Unbuilt<'p> {
    pool: &'p ScopePool,
    arena: NonNull<Arena>,
}

impl Drop for Unbuilt<'_> {
    fn drop(&mut self) {
        let engine = &raw const self.pool.engine;
        // SAFETY: acquired (1), released once; the borrower keeps the pool.
        let _ = unsafe { SharedEngine::release(engine, entry(self.arena)) };
    }
}

/// What a return has to tell. It is told when the arena is home, with everything
/// done and perhaps with the pool gone, because a hook may do anything.
struct Told {
    hook: Option<EventHook>,
    scope: &'static str,
    held_bytes: usize,
    grew: bool,
    discarded: Option<(Discarded, usize)>,
}

impl Told {
    fn about(pool: &ScopePool, held_bytes: usize) -> Self {
        Self {
            hook: pool.hook.clone(),
            scope: pool.name(),
            held_bytes,
            grew: false,
            discarded: None,
        }
    }

    fn grew(&mut self) {
        self.grew = true;
    }

    fn discarded(&mut self, why: Discarded, bytes: usize) {
        self.discarded = Some((why, bytes));
    }

    fn tell(self) {
        let Some(hook) = self.hook else { return };
        if self.grew {
            let held_bytes = self.held_bytes;
            hook.call(self.scope, &Event::Outgrown { held_bytes });
        }
        if let Some((why, bytes)) = self.discarded {
            let reason = why.name();
            hook.call(self.scope, &Event::Discarded { reason, bytes });
        }
    }
}

/// Ends everything that was put into an arena: runs destructors and callbacks,
/// frees large objects, wipes bytes where that was asked for: all of it, whatever
/// panics. Answers the first panic of user code since the lease began.
///
/// # Safety
///
/// As [`ScopePool::take_back`]; the chunks are reset next.
pub(crate) unsafe fn clean(arena: &Arena) -> Option<crate::drops::Panic> {
    arena.run_drops();
    // SAFETY: by the caller nobody uses them.
    unsafe { arena.free_larges() };
    if arena.wipes() {
        // SAFETY: by the caller.
        unsafe { arena.wipe_chunks(0) };
    }
    arena.drops.take_panic()
}
