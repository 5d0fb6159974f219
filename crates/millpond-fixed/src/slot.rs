//! Slots on loan: the part of every lease that brings the slot home.

use crate::pool::FixedPool;
use core::alloc::Layout;
use core::ptr::NonNull;
use millpond_core::engine::{Engine, Mode};
use millpond_core::entry::Entry;
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
    unsafe fn free(keeper: NonNull<Self>);
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
    /// least as long as the slot is out; `notes` say what is unusual about it.
    #[inline(always)]
    pub(crate) unsafe fn new(entry: Entry, keeper: NonNull<K>) -> Self {
        Self {
            item: entry.as_ptr().cast(),
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
        // SAFETY: ours by 1.
        unsafe { poison::on_lease(self.item.cast(), size_of::<K::Value>()) };
        // SAFETY: by 1 the slot has the layout of the value and is ours.
        unsafe { self.item.write(value) };
    }

    fn entry(&self) -> Entry {
        Entry::from_ptr(self.item.cast())
    }

    /// Brings home what is unusual.
    #[cold]
    #[inline(never)]
    fn release_noted_slow(&self) {
        let keeper = self.home.pool();
        // SAFETY: alive by 2.
        let pool = unsafe { &*K::pool(keeper) };
        #[cfg(feature = "std")]
        if self.home.notes() & TRACKED != 0 {
            pool.engine.strike(self.entry());
        }
        if self.home.notes() & FALLBACK != 0 {
            // SAFETY: noted as a fallback item of this pool, and ours (1).
            unsafe { pool.fallback.free(self.entry(), Layout::new::<K::Value>()) };
            // SAFETY: the keeper was retained when the item was made.
            return unsafe { Self::let_go_of_fallback(keeper) };
        }
        #[cfg(feature = "std")]
        if pool.engine.should_pattern(self.entry()) {
            // SAFETY: ours by 1, and it holds no value any more.
            unsafe { poison::fill(self.item.cast(), size_of::<K::Value>()) };
        }
        // SAFETY: ours by 1.
        unsafe { self.bring_home(keeper) };
    }

    /// # Safety
    ///
    /// The fallback item that kept the keeper is gone.
    unsafe fn let_go_of_fallback(_keeper: NonNull<K>) {}

    /// # Safety
    ///
    /// The slot is not used afterwards.
    #[inline(always)]
    unsafe fn bring_home(&self, keeper: NonNull<K>) {
        // SAFETY: alive by 2.
        let pool = unsafe { K::pool(keeper) };
        // SAFETY: a place inside a live pool.
        let engine = unsafe { &raw const (*pool).engine };
        // SAFETY: alive until the item is home (2); ours to give (1).
        let released = unsafe { Engine::release(engine, self.entry()) };
        if released == millpond_core::engine::Released::Last {
            // SAFETY: told so by the engine.
            unsafe { K::free(keeper) };
        }
    }
}

impl<K: Keeper> Drop for Slot<K> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: ours by 1, and it holds no value any more.
        unsafe { poison::on_release(self.item.cast(), size_of::<K::Value>()) };
        match self.home.pool_if_plain() {
            // SAFETY: not used afterwards.
            Some(keeper) => unsafe { self.bring_home(keeper) },
            None => self.release_noted_slow(),
        }
    }
}

impl<T, M: Mode> FixedPool<T, M> {
    /// Finishes a slot that did not come by the fast path: records it, and looks
    /// for damage, if diagnostics are on.
    #[cfg(feature = "std")]
    pub(crate) fn inspect<K: Keeper<Value = T>>(
        &self,
        slot: Slot<K>,
        location: &'static core::panic::Location<'static>,
    ) -> Slot<K> {
        let item = slot.entry();
        let Some(patterned) = self.engine.record(item, location) else {
            return slot;
        };
        if patterned {
            // SAFETY: ours, and filled with the pattern when it came home.
            let damage = unsafe { poison::first_damage(slot.item.cast(), size_of::<T>()) };
            if let Some(offset) = damage {
                self.engine.tell(&Event::Damaged { item, offset });
            }
        }
        slot.noted(TRACKED)
    }
}
