//! Slots on loan: the part of every lease that brings the slot home.

use crate::pool::FixedPool;
use core::alloc::Layout;
use core::panic::Location;
use core::ptr::NonNull;
#[cfg(feature = "std")]
use core::time::Duration;
use millpond_core::engine::{Engine, Mode, Released};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::exhaustion::Exhaustion;
use millpond_core::home::{FALLBACK, Home};
use millpond_core::poison;

#[cfg(feature = "std")]
use millpond_core::event::Event;
#[cfg(feature = "std")]
use millpond_core::home::TRACKED;

/// Whoever keeps the pool of a lease alive: the pool itself, borrowed, or what
/// its handles share.
///
/// # Safety
///
/// `pool` answers the pool that the keeper keeps, always the same.
pub(crate) unsafe trait Keeper: Sized {
    /// Type of the values.
    type Value;
    /// Mode of the pool.
    type Mode: Mode;

    /// The pool, as a pointer: while an item comes home another thread may free
    /// it.
    ///
    /// # Safety
    ///
    /// The keeper is alive.
    unsafe fn pool(keeper: NonNull<Self>) -> *const FixedPool<Self::Value, Self::Mode>;

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

/// A slot in the hands of its user; dropping it brings it home. It drops no
/// value.
///
/// # Invariants
///
/// 1. `item` is a slot of the pool of the keeper at `home`, or noted as a
///    fallback item of it, and its one user is whoever holds this.
/// 2. The keeper is alive until the slot is home.
pub(crate) struct Slot<K: Keeper> {
    pub(crate) item: NonNull<K::Value>,
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
        let item: NonNull<K::Value> = entry.as_ptr().cast();
        // SAFETY: a slot of the size of the value, and the caller's own.
        unsafe { poison::on_lease(item.cast(), size_of::<K::Value>()) };
        Self {
            item,
            home: Home::new(keeper),
        }
    }

    /// The same slot with notes for its release.
    pub(crate) fn noted(mut self, notes: usize) -> Self {
        self.home = self.home.with_notes(self.home.notes() | notes);
        self
    }

    /// Puts a value in.
    ///
    /// # Safety
    ///
    /// The slot holds no value.
    #[inline(always)]
    pub(crate) unsafe fn fill(&self, value: K::Value) {
        // SAFETY: by 1 the slot has the layout of the value and is ours.
        unsafe { self.item.write(value) };
    }

    #[cfg(feature = "std")]
    fn entry(&self) -> Entry {
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
unsafe fn bring_home<K: Keeper>(keeper: NonNull<K>, item: NonNull<K::Value>) {
    // SAFETY: ours, and it holds no value any more.
    unsafe { poison::on_release(item.cast(), size_of::<K::Value>()) };
    // SAFETY: alive until the item is home.
    let pool = unsafe { K::pool(keeper) };
    // SAFETY: a place inside a live pool.
    let engine = unsafe { &raw const (*pool).engine };
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
unsafe fn release_noted_slow<K: Keeper>(home: Home<K>, item: NonNull<K::Value>) {
    let keeper = home.pool();
    let entry = Entry::from_ptr(item.cast());
    // SAFETY: alive until the item is home.
    let pool = unsafe { K::pool(keeper) };
    // SAFETY: as above.
    let pool = unsafe { &*pool };
    #[cfg(feature = "std")]
    if home.notes() & TRACKED != 0 {
        pool.engine.strike(entry);
    }
    if home.notes() & FALLBACK != 0 {
        // SAFETY: noted as a fallback item of this pool, and ours.
        unsafe { pool.fallback.free(entry, Layout::new::<K::Value>()) };
        // SAFETY: retained when the item was made.
        return unsafe { K::let_go(keeper) };
    }
    #[cfg(feature = "std")]
    if pool.engine.should_pattern(entry) {
        // SAFETY: ours, and it holds no value any more.
        unsafe { poison::fill(item.cast(), size_of::<K::Value>()) };
    }
    // SAFETY: by the caller.
    unsafe { bring_home(keeper, item) };
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

impl<T, M: Mode> FixedPool<T, M> {
    /// The fast path of every acquire.
    ///
    /// # Safety
    ///
    /// `keeper` keeps this pool for as long as the slot is out.
    #[inline(always)]
    #[track_caller]
    pub(crate) unsafe fn slot<K>(
        &self,
        keeper: NonNull<K>,
        patience: Patience,
    ) -> Result<Slot<K>, AcquireError>
    where
        K: Keeper<Value = T, Mode = M>,
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
    /// As [`FixedPool::slot`].
    #[cold]
    #[inline(never)]
    unsafe fn slot_slow<K>(
        &self,
        keeper: NonNull<K>,
        patience: Patience,
        location: &'static Location<'static>,
    ) -> Result<Slot<K>, AcquireError>
    where
        K: Keeper<Value = T, Mode = M>,
    {
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
                unsafe { self.fall_back(keeper, at_most, error) }?
            }
            (Err(error), ..) => return Err(error),
        };
        Ok(self.inspect(slot, location))
    }

    /// An item outside the capacity, or the error that made it necessary.
    ///
    /// # Safety
    ///
    /// As [`FixedPool::slot`].
    unsafe fn fall_back<K>(
        &self,
        keeper: NonNull<K>,
        at_most: usize,
        error: AcquireError,
    ) -> Result<Slot<K>, AcquireError>
    where
        K: Keeper<Value = T, Mode = M>,
    {
        if *error.limit() == Limit::Closed {
            return Err(error);
        }
        let Ok(entry) = self.fallback.allocate(Layout::new::<T>(), at_most) else {
            return Err(error);
        };
        // SAFETY: alive, by the caller.
        unsafe { K::retain(keeper) };
        // SAFETY: allocated for this slot alone; kept by the line above.
        let slot = unsafe { Slot::new(entry, keeper) }.noted(FALLBACK);
        #[cfg(feature = "std")]
        self.engine.tell(&Event::FellBack {
            in_use: self.fallback.in_use(),
        });
        Ok(slot)
    }

    /// Finishes a slot that did not come by the fast path: records it, and looks
    /// for damage, if diagnostics are on.
    #[cfg(not(feature = "std"))]
    fn inspect<K: Keeper<Value = T>>(
        &self,
        slot: Slot<K>,
        _: &'static Location<'static>,
    ) -> Slot<K> {
        slot
    }

    /// Finishes a slot that did not come by the fast path: records it, and looks
    /// for damage, if diagnostics are on.
    #[cfg(feature = "std")]
    pub(crate) fn inspect<K: Keeper<Value = T>>(
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
        if patterned && !poison::BLINDS_PATTERN {
            // SAFETY: ours, and filled with the pattern when it came home.
            let damage = unsafe { poison::first_damage(slot.item.cast(), size_of::<T>()) };
            if let Some(offset) = damage {
                self.engine.tell(&Event::Damaged { item, offset });
            }
        }
        slot
    }
}
