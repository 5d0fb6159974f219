//! Slots on loan: the part of every lease that brings the slot home.

#[cfg(feature = "std")]
use crate::adapting::Adapting;
use alloc::sync::Arc;
use core::alloc::Layout;
use core::panic::Location;
use core::ptr::NonNull;
#[cfg(feature = "std")]
use core::time::Duration;
use millpond_core::capacity::Capacity;
use millpond_core::engine::{Engine, Mode, Released};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::exhaustion::{Exhaustion, Fallback};
use millpond_core::home::{FALLBACK, Home};
use millpond_core::observe::Observation;
use millpond_core::poison;
use millpond_core::source::Source;

#[cfg(feature = "std")]
use millpond_core::event::Event;
#[cfg(feature = "std")]
use millpond_core::home::TRACKED;
#[cfg(feature = "std")]
use millpond_core::trim::Level;

/// What every pool of slots is made of, whatever its slots hold.
#[allow(
    missing_debug_implementations,
    reason = "the pools around it print themselves"
)]
pub struct Slots<S: Source, M: Mode> {
    pub(crate) engine: M::Engine<S>,
    pub(crate) fallback: Fallback,
    pub(crate) policy: Exhaustion,
    /// What the capacity is made of, for errors.
    pub(crate) sum: Option<Arc<Capacity>>,
    /// Knows which capacity suits.
    #[cfg(feature = "std")]
    pub(crate) adaptive: Option<Adapting>,
}

/// A pool of this crate that lends slots.
///
/// Sealed: there is a value pool, which drops what it gets back, and an object
/// pool, which recycles it.
///
/// # Safety
///
/// `slots` answers a place inside of the pool, always the same, and its entries
/// are addresses of slots for one `Item` each.
pub unsafe trait Pooled: Sized {
    /// What a slot is laid out for.
    #[doc(hidden)]
    type Item;
    /// Where slots come from.
    #[doc(hidden)]
    type Source: Source;
    /// One thread or many.
    #[doc(hidden)]
    type Mode: Mode;
    /// Whether slots keep what is in them while they are free: then memory tools
    /// are told when it comes and goes, not when it is lent.
    #[doc(hidden)]
    const KEEPS: bool;

    /// # Safety
    ///
    /// The pool is alive.
    #[doc(hidden)]
    unsafe fn slots(pool: *const Self) -> *const Slots<Self::Source, Self::Mode>;

    /// Makes a slot outside the capacity what those inside are when they come
    /// from their source.
    ///
    /// # Safety
    ///
    /// The slot is the caller's alone.
    #[doc(hidden)]
    unsafe fn prepare(_item: NonNull<Self::Item>) {}
}

/// What the slots of a keeper's pool are laid out for.
pub(crate) type ItemOf<K> = <<K as Keeper>::Pool as Pooled>::Item;

/// The mode of a keeper's pool.
pub(crate) type ModeOf<K> = <<K as Keeper>::Pool as Pooled>::Mode;

/// Where the slots of a keeper's pool come from.
pub(crate) type SourceOf<K> = <<K as Keeper>::Pool as Pooled>::Source;

/// Whoever keeps the pool of a lease alive: the pool itself, borrowed, or what
/// its handles share.
///
/// # Safety
///
/// `pool` answers the pool that the keeper keeps, always the same.
pub(crate) unsafe trait Keeper: Sized {
    /// The pool.
    type Pool: Pooled;

    /// The pool, as a pointer: while an item comes home another thread may free
    /// it.
    ///
    /// # Safety
    ///
    /// The keeper is alive.
    unsafe fn pool(keeper: NonNull<Self>) -> *const Self::Pool;

    /// Frees the keeper, whose last item has come home.
    ///
    /// # Safety
    ///
    /// The engine answered `Last`.
    unsafe fn free_slow(keeper: NonNull<Self>);

    /// Keeps the pool for an item that the engine does not count.
    ///
    /// # Safety
    ///
    /// The keeper is alive.
    unsafe fn retain(keeper: NonNull<Self>);

    /// Ends one [`Keeper::retain`].
    ///
    /// # Safety
    ///
    /// It was retained, and this ends it.
    unsafe fn let_go(keeper: NonNull<Self>);
}

// SAFETY: it is the pool, borrowed for as long as its leases live.
unsafe impl<P: Pooled> Keeper for P {
    type Pool = P;

    #[inline(always)]
    unsafe fn pool(keeper: NonNull<Self>) -> *const P {
        keeper.as_ptr()
    }

    #[cold]
    unsafe fn free_slow(_: NonNull<Self>) {
        unreachable!("a borrowed pool is not orphaned");
    }

    unsafe fn retain(_: NonNull<Self>) {}

    unsafe fn let_go(_: NonNull<Self>) {}
}

/// The slots of the pool that `keeper` keeps.
///
/// # Safety
///
/// The keeper is alive.
#[inline(always)]
unsafe fn slots_of<K: Keeper>(keeper: NonNull<K>) -> *const Slots<SourceOf<K>, ModeOf<K>> {
    // SAFETY: by the caller.
    let pool = unsafe { K::pool(keeper) };
    // SAFETY: as above: the keeper keeps it.
    unsafe { K::Pool::slots(pool) }
}

/// A slot in the hands of its user; dropping it brings it home. It drops no
/// value.
///
/// # Invariants
///
/// 1. `item` is a slot of the pool of the keeper at `home`, or noted as a
///    fallback item of it, and its one user is whoever holds this.
/// 2. The keeper is alive until the slot is home.
pub(crate) struct Slot<K: Keeper> {
    pub(crate) item: NonNull<ItemOf<K>>,
    home: Home<K>,
}

impl<K: Keeper> Slot<K> {
    /// The slot of `entry`.
    ///
    /// # Safety
    ///
    /// `entry` was just acquired from the pool that `keeper` keeps alive for at
    /// least as long as the slot is out.
    #[inline(always)]
    pub(crate) unsafe fn new(entry: Entry, keeper: NonNull<K>) -> Self {
        let item: NonNull<ItemOf<K>> = entry.as_ptr().cast();
        if !K::Pool::KEEPS {
            // SAFETY: a slot of the size of the value, and the caller's own.
            unsafe { poison::on_lease(item.cast(), size_of::<ItemOf<K>>()) };
        }
        Self {
            item,
            home: Home::new(keeper),
        }
    }

    /// As [`Slot::new`], for a slot that memory tools know to be leased.
    ///
    /// # Safety
    ///
    /// As [`Slot::new`].
    #[inline(always)]
    pub(crate) unsafe fn already_told(entry: Entry, keeper: NonNull<K>) -> Self {
        Self {
            item: entry.as_ptr().cast(),
            home: Home::new(keeper),
        }
    }

    /// The entry of a slot, for somebody who brings it home by himself;
    /// diagnostics forget that it is out. Memory tools believe it leased.
    pub(crate) fn into_entry(self) -> Entry {
        #[cfg(feature = "std")]
        let this = self.struck();
        #[cfg(not(feature = "std"))]
        let this = self;
        core::mem::ManuallyDrop::new(this).entry()
    }

    /// The same slot, of which diagnostics have forgotten that it is out. If a
    /// recorder panics it comes home.
    #[cfg(feature = "std")]
    fn struck(mut self) -> Self {
        if self.home.notes() & TRACKED != 0 {
            self.home = self.home.without_notes(TRACKED);
            // SAFETY: alive by 2.
            let slots = unsafe { slots_of(self.keeper()) };
            // SAFETY: as above.
            unsafe { &(*slots).engine }.strike(self.entry());
        }
        self
    }

    /// Fills a slot that holds no value with the pattern, if diagnostics want that.
    #[cfg(feature = "std")]
    fn pattern(&self) {
        if K::Pool::KEEPS || self.is_fallback() {
            return;
        }
        // SAFETY: alive by 2.
        let slots = unsafe { slots_of(self.keeper()) };
        // SAFETY: as above.
        if unsafe { &(*slots).engine }.should_pattern(self.entry()) {
            // SAFETY: ours, and it holds no value any more.
            unsafe { poison::fill(self.item.cast(), size_of::<ItemOf<K>>()) };
        }
    }

    /// As [`Slot::into_entry`]; whoever gets it tells memory tools.
    pub(crate) fn into_vacant_entry(self) -> Entry {
        let entry = self.into_entry();
        if !K::Pool::KEEPS {
            let bytes = size_of::<ItemOf<K>>();
            // SAFETY: ours, and it holds no value.
            unsafe { poison::on_release(entry.as_ptr().cast(), bytes) };
        }
        entry
    }

    /// The same slot with notes for its release.
    pub(crate) fn noted(mut self, notes: usize) -> Self {
        self.home = self.home.with_notes(self.home.notes() | notes);
        self
    }

    /// Whether the slot lies outside the capacity.
    #[inline(always)]
    pub(crate) fn is_fallback(&self) -> bool {
        self.home.notes() & FALLBACK != 0
    }

    /// Whoever keeps the pool, of a slot about which nothing is unusual.
    #[inline(always)]
    pub(crate) fn plain_keeper(&self) -> Option<NonNull<K>> {
        self.home.pool_if_plain()
    }

    /// Whoever keeps the pool.
    #[inline(always)]
    pub(crate) fn keeper(&self) -> NonNull<K> {
        self.home.pool()
    }

    /// Puts a value in.
    ///
    /// # Safety
    ///
    /// The slot holds no value.
    #[inline(always)]
    pub(crate) unsafe fn fill(&self, value: ItemOf<K>) {
        // SAFETY: by 1 the slot has the layout of the value and is ours.
        unsafe { self.item.write(value) };
    }

    #[inline(always)]
    pub(crate) fn entry(&self) -> Entry {
        Entry::from_ptr(self.item.cast())
    }
}

impl<K: Keeper> Drop for Slot<K> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.home.pool_if_plain() {
            // SAFETY: by 1 and 2; not used afterwards.
            Some(keeper) => unsafe { bring_home(keeper, self.item) },
            // SAFETY: as above.
            None => unsafe { release_noted_slow(self.home, self.item) },
        }
    }
}

/// Gives the slot at `item`, which holds no value, back.
///
/// # Safety
///
/// As the invariants of [`Slot`]; the slot is not used afterwards.
#[inline(always)]
unsafe fn bring_home<K: Keeper>(keeper: NonNull<K>, item: NonNull<ItemOf<K>>) {
    if !K::Pool::KEEPS {
        // SAFETY: ours, and it holds no value any more.
        unsafe { poison::on_release(item.cast(), size_of::<ItemOf<K>>()) };
    }
    // SAFETY: alive until the item is home.
    let slots = unsafe { slots_of(keeper) };
    // SAFETY: a place inside a live pool.
    let engine = unsafe { &raw const (*slots).engine };
    let entry = Entry::from_ptr(item.cast());
    // SAFETY: alive until the item is home; ours to give.
    let released = unsafe { Engine::release(engine, entry) };
    if released == Released::Last {
        // SAFETY: told so by the engine.
        unsafe { K::free_slow(keeper) };
    }
}

/// As [`bring_home`], for a home with notes. By value, so that a lease whose
/// address nobody takes stays in registers.
///
/// # Safety
///
/// As [`bring_home`].
#[cold]
#[inline(never)]
unsafe fn release_noted_slow<K: Keeper>(home: Home<K>, item: NonNull<ItemOf<K>>) {
    #[cfg(feature = "std")]
    if home.notes() & TRACKED != 0 {
        let slot = Slot { item, home }.struck();
        slot.pattern();
        return drop(slot);
    }
    let keeper = home.pool();
    let entry = Entry::from_ptr(item.cast());
    // SAFETY: alive until the item is home.
    let slots = unsafe { slots_of(keeper) };
    // SAFETY: as above.
    let fallback = unsafe { &(*slots).fallback };
    debug_assert_eq!(home.notes(), FALLBACK);
    // SAFETY: noted as a fallback item of this pool, and ours.
    unsafe { fallback.free(entry, Layout::new::<ItemOf<K>>()) };
    // SAFETY: retained when the item was made.
    unsafe { K::let_go(keeper) };
}

/// Gives several slots, which hold no values and about which nothing is unusual,
/// back at once.
///
/// # Safety
///
/// As [`bring_home`], for each of `entries`, which are different slots.
#[inline]
pub(crate) unsafe fn bring_all_home<K: Keeper>(keeper: NonNull<K>, entries: &[Entry]) {
    if !K::Pool::KEEPS {
        for entry in entries {
            // SAFETY: ours, and it holds no value any more.
            unsafe { poison::on_release(entry.as_ptr().cast(), size_of::<ItemOf<K>>()) };
        }
    }
    // SAFETY: alive until the items are home.
    let slots = unsafe { slots_of(keeper) };
    // SAFETY: a place inside a live pool.
    let engine = unsafe { &raw const (*slots).engine };
    // SAFETY: alive until the items are home; ours to give.
    let released = unsafe { Engine::release_many(engine, entries) };
    if released == Released::Last {
        // SAFETY: told so by the engine.
        unsafe { K::free_slow(keeper) };
    }
}

/// How long to try.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// As the pool's policy says.
    Policy,
    /// This long, waiting in the thread.
    #[cfg(feature = "std")]
    Until(Duration),
}

impl<S: Source, M: Mode> Slots<S, M> {
    pub(crate) const fn over(engine: M::Engine<S>) -> Self {
        Self {
            engine,
            fallback: Fallback::new(),
            policy: Exhaustion::Fail,
            sum: None,
            #[cfg(feature = "std")]
            adaptive: None,
        }
    }

    /// All figures; an item is `item_bytes` long.
    pub(crate) fn stats(&self, item_bytes: usize) -> Observation {
        let mut figures = self.engine.observe();
        figures.item_bytes = item_bytes;
        figures.fallback_in_use = self.fallback.in_use();
        figures.fallbacks = self.fallback.total() as u64;
        let outside = self.fallback.bytes();
        figures.held_bytes += outside;
        figures.used_bytes = figures.in_use * item_bytes + outside;
        let items = figures.created * item_bytes + outside;
        figures.wasted_bytes = figures.held_bytes.saturating_sub(items);
        figures
    }

    /// The fast path of every acquire.
    ///
    /// # Safety
    ///
    /// `keeper` keeps these slots for as long as the slot is out.
    #[inline(always)]
    #[track_caller]
    pub(crate) unsafe fn slot<K>(
        &self,
        keeper: NonNull<K>,
        patience: Patience,
    ) -> Result<Slot<K>, AcquireError>
    where
        K: Keeper,
        K::Pool: Pooled<Source = S, Mode = M>,
    {
        match self.engine.try_pop() {
            // SAFETY: just acquired, and by the caller.
            Some(entry) => Ok(unsafe { Slot::new(entry, keeper) }),
            // SAFETY: by the caller.
            None => unsafe { self.slot_slow(keeper, patience, Location::caller()) },
        }
    }

    /// # Safety
    ///
    /// As [`Slots::slot`].
    #[cold]
    #[inline(never)]
    unsafe fn slot_slow<K>(
        &self,
        keeper: NonNull<K>,
        patience: Patience,
        location: &'static Location<'static>,
    ) -> Result<Slot<K>, AcquireError>
    where
        K: Keeper,
        K::Pool: Pooled<Source = S, Mode = M>,
    {
        #[cfg(feature = "std")]
        self.adapt();
        let room = match patience {
            Patience::None => 0,
            _ => self.policy.room(),
        };
        let entry = match (patience, self.policy) {
            #[cfg(feature = "std")]
            (Patience::Until(timeout), _) => self.engine.acquire_waiting(room, Some(timeout)),
            (Patience::Policy, Exhaustion::Block { timeout }) => {
                self.engine.acquire_waiting(room, timeout)
            }
            _ => self.engine.acquire_slow(room),
        };
        let slot = match (entry, patience, self.policy) {
            // SAFETY: just acquired, and by the caller.
            (Ok(entry), ..) => unsafe { Slot::new(entry, keeper) },
            (Err(error), Patience::Policy, Exhaustion::Fallback { at_most }) => {
                // SAFETY: by the caller.
                unsafe { self.fall_back(keeper, at_most, error.with_sum(self.sum.clone())) }?
            }
            (Err(error), ..) => return Err(error.with_sum(self.sum.clone())),
        };
        Ok(self.inspect(slot, location))
    }

    /// Sets the capacity that suits what happened lately, if the pool adapts.
    #[cfg(feature = "std")]
    fn adapt(&self) {
        let adaptive = self.adaptive.as_ref();
        // Raising a capacity may wake others, who run their own code: no lock held.
        if let Some(capacity) = adaptive.and_then(|adaptive| adaptive.due(|| self.demand())) {
            self.resize(capacity);
        }
    }

    /// The figures that advice is made of.
    #[cfg(feature = "std")]
    fn demand(&self) -> Observation {
        let mut figures = self.engine.observe();
        figures.fallback_in_use = self.fallback.in_use();
        figures
    }

    /// The capacity that suits what happened since the last advice, if it is another
    /// one, and the pool was built to know.
    #[cfg(feature = "std")]
    pub(crate) fn advise(&self) -> Option<usize> {
        self.adaptive.as_ref()?.advise(|| self.demand())
    }

    /// Sets the capacity while leases are out, and gives back what is beyond it and
    /// free.
    #[cfg(feature = "std")]
    pub(crate) fn resize(&self, capacity: usize) {
        let created = self.engine.observe().created;
        self.engine.set_capacity(capacity);
        if capacity < created {
            let _report = self.engine.trim(Level::Moderate);
        }
    }

    /// An item outside the capacity, or the error that made it necessary.
    ///
    /// # Safety
    ///
    /// As [`Slots::slot`].
    unsafe fn fall_back<K>(
        &self,
        keeper: NonNull<K>,
        at_most: usize,
        error: AcquireError,
    ) -> Result<Slot<K>, AcquireError>
    where
        K: Keeper,
        K::Pool: Pooled<Source = S, Mode = M>,
    {
        if *error.limit() == Limit::Closed {
            return Err(error);
        }
        let allocated = self
            .fallback
            .allocate(Layout::new::<ItemOf<K>>(), at_most)
            .map_err(|limit| error.with_fallback(self.fallback.in_use(), limit));
        let entry = allocated?;
        // SAFETY: alive, by the caller.
        unsafe { K::retain(keeper) };
        // SAFETY: allocated for this slot alone; kept by the line above.
        let slot = unsafe { Slot::new(entry, keeper) }.noted(FALLBACK);
        // SAFETY: as above.
        unsafe { K::Pool::prepare(slot.item) };
        #[cfg(feature = "std")]
        self.engine.tell(&Event::FellBack {
            in_use: self.fallback.in_use(),
        });
        Ok(slot)
    }

    /// Finishes a slot that did not come by the fast path: records it, and looks
    /// for damage, if diagnostics are on.
    #[cfg(not(feature = "std"))]
    fn inspect<K: Keeper>(&self, slot: Slot<K>, _: &'static Location<'static>) -> Slot<K> {
        slot
    }

    /// Finishes a slot that did not come by the fast path: records it, and looks
    /// for damage, if diagnostics are on.
    #[cfg(feature = "std")]
    pub(crate) fn inspect<K: Keeper>(
        &self,
        slot: Slot<K>,
        location: &'static Location<'static>,
    ) -> Slot<K> {
        let item = slot.entry();
        let Some(patterned) = self.engine.record(item, location) else {
            return slot;
        };
        // Noted before a hook runs, which may panic.
        let slot = slot.noted(TRACKED);
        if patterned && !K::Pool::KEEPS && !poison::BLINDS_PATTERN {
            // SAFETY: ours, and filled with the pattern when it came home.
            let damage = unsafe { poison::first_damage(slot.item.cast(), size_of::<ItemOf<K>>()) };
            if let Some(offset) = damage {
                self.engine.tell(&Event::Damaged { item, offset });
            }
        }
        slot
    }
}
