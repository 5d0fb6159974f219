//! Classes: the buffers of one size, on an engine of their own.

use crate::buf::PoolBuf;
use crate::config::Config;
use crate::origin::{DIRECT, Pooled, WIPE};
use crate::pond::Pond;
use crate::slot::Slots;
use crate::span::Span;
use crate::stock::Stock;
use crate::table::{Lends, Routed};
use core::alloc::Layout;
use core::ptr::NonNull;
use core::time::Duration;
use millpond_core::engine::{Engine, Released};
use millpond_core::entry::Entry;
use millpond_core::error::AcquireError;
use millpond_core::exhaustion::Exhaustion;
use millpond_core::home::Home;
use millpond_core::poison;
use millpond_core::region;
use millpond_core::shared::SharedEngine;

/// # Invariants
///
/// 1. Entries of `engine` are slots for buffers of `size` bytes.
/// 2. `pond` is alive until the class has ended (see [`Class::end_slow`]), and the
///    class until the engine said that it is the last's turn.
#[derive(Debug)]
#[repr(C, align(128))] // What acquires read, apart from the lock of the engine.
pub(crate) struct Class {
    /// Requests that it serves, in every table that it is in.
    pub(crate) span: Span,
    /// The size of the class below.
    pub(crate) floor: usize,
    /// The home of its buffers: itself, and perhaps [`WIPE`].
    home: Home<Class>,
    pub(crate) pond: NonNull<Pond>,
    pub(crate) stock: Stock,
    pub(crate) engine: SharedEngine<Slots>,
}

// SAFETY: the engine is shared between threads as it allows; the rest does not
// change, and the pond is Sync.
unsafe impl Sync for Class {}
// SAFETY: as above.
unsafe impl Send for Class {}

impl Routed for Class {
    #[inline(always)]
    fn span(&self) -> Span {
        self.span
    }
}

// SAFETY: the engine answers slots of this size (1), and the home is this class.
unsafe impl Lends<Pooled> for Class {
    #[inline(always)]
    fn try_pop(&self, excess: usize) -> Option<Entry> {
        self.engine.try_pop_noted(self.span.bin(excess), excess)
    }

    #[inline(always)]
    fn origin(&self) -> Pooled {
        Pooled(self.home)
    }
}

/// How long an acquire tries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// As the pool's policy says.
    Policy,
    /// This long, waiting in the thread.
    Until(Duration),
}

impl Class {
    /// A class for requests above `floor` and up to `size` bytes; `None` if there
    /// is no memory for it.
    pub(crate) fn allocate(
        config: &Config,
        pond: NonNull<Pond>,
        floor: usize,
        size: usize,
    ) -> Option<NonNull<Self>> {
        let slots = Slots::of(size, config);
        let (capacity, slot_bytes) = (config.buffers_per_class, slots.stride());
        let mut engine = SharedEngine::new(capacity, slot_bytes, slots).named(config.name);
        if let Some(budget) = &config.budget {
            engine = engine.charged_to(budget.clone());
        }
        if let Some(hook) = &config.hook {
            engine = engine.told_to(hook.clone());
        }
        let place = region::allocate(Layout::new::<Self>())?.cast::<Self>();
        let class = Self {
            span: Span::new(floor, config.pool_min_size, size),
            floor,
            home: if config.wipe_on_release {
                Home::new(place).with_notes(WIPE)
            } else {
                Home::new(place)
            },
            pond,
            stock: Stock::new(),
            engine,
        };
        // SAFETY: freshly allocated with the layout of a class.
        unsafe { place.write(class) };
        Some(place)
    }

    /// Frees a class.
    ///
    /// # Safety
    ///
    /// It came from [`Class::allocate`], and nobody uses it any more.
    pub(crate) unsafe fn free(class: NonNull<Self>) {
        // SAFETY: by the caller.
        unsafe { class.drop_in_place() };
        // SAFETY: allocated with this layout.
        unsafe { region::free(class.cast(), Layout::new::<Self>()) };
    }

    /// Frees a class of which the last buffer has come home after the pool went,
    /// and the pool if it was the last class.
    ///
    /// # Safety
    ///
    /// Its engine answered `Last`.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn end_slow(class: NonNull<Self>) {
        // SAFETY: alive until here by 2.
        let pond = unsafe { class.as_ref() }.pond;
        // SAFETY: by the caller nobody else uses it.
        unsafe { Self::free(class) };
        // SAFETY: the part that this class had.
        unsafe { Pond::leave(pond) };
    }

    /// The home of a buffer of this class.
    #[inline(always)]
    pub(crate) fn home(&self) -> Home<Self> {
        self.home
    }

    /// Bytes of a buffer.
    #[inline(always)]
    pub(crate) const fn size(&self) -> usize {
        self.span.size
    }

    /// Notes a request that [`Lends::try_pop`] did not serve.
    pub(crate) fn note(&self, excess: usize) {
        self.engine.note(self.span.bin(excess), excess);
    }

    /// As [`Lends::try_pop`], by the slow path.
    pub(crate) fn acquire_slow(
        &self,
        excess: usize,
        patience: Patience,
        policy: Exhaustion,
    ) -> Result<Entry, AcquireError> {
        let entry = match (patience, policy) {
            (Patience::None, _) => self.engine.acquire_slow(0),
            (Patience::Until(timeout), _) => {
                self.engine.acquire_waiting(policy.room(), Some(timeout))
            }
            (Patience::Policy, Exhaustion::Block { timeout }) => {
                self.engine.acquire_waiting(policy.room(), timeout)
            }
            (Patience::Policy, _) => self.engine.acquire_slow(policy.room()),
        }?;
        self.note(excess);
        Ok(entry)
    }

    /// Gives the slot with these bytes back.
    ///
    /// # Safety
    ///
    /// The slot is of this class, the caller's own, and not used afterwards. The
    /// class may be gone afterwards.
    #[inline(always)]
    pub(crate) unsafe fn bring_home(class: NonNull<Self>, bytes: NonNull<u8>, capacity: usize) {
        // SAFETY: the caller's own bytes.
        unsafe { poison::on_release(bytes, capacity) };
        let class_place = class.as_ptr();
        // SAFETY: alive until the slot is home; a place inside it.
        let engine = unsafe { &raw const (*class_place).engine };
        let entry = Entry::from_ptr(bytes.cast());
        // SAFETY: by the caller.
        if !unsafe { SharedEngine::try_push(engine, entry) } {
            // SAFETY: as above; the cache did not take it.
            unsafe { Self::release_slow(class, entry) };
        }
    }

    /// Gives back a slot that the caller's cache did not take, and ends the class if
    /// it was the last one out. A function of its own, so that the fast path keeps
    /// nothing for it.
    ///
    /// # Safety
    ///
    /// As [`Class::bring_home`].
    #[cold]
    #[inline(never)]
    unsafe fn release_slow(class: NonNull<Self>, entry: Entry) {
        // SAFETY: alive until the slot is home; a place inside it.
        let engine = unsafe { &raw const (*class.as_ptr()).engine };
        // SAFETY: by the caller.
        if unsafe { SharedEngine::release_slow(engine, entry) } == Released::Last {
            // SAFETY: told so by the engine.
            unsafe { Self::end_slow(class) };
        }
    }

    /// As [`Class::bring_home`], for a home with notes.
    ///
    /// # Safety
    ///
    /// As [`Class::bring_home`].
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn bring_home_slow(home: Home<Self>, bytes: NonNull<u8>, capacity: usize) {
        use millpond_core::home::{FALLBACK, TRACKED};

        let class = home.pool();
        if home.notes() & WIPE != 0 {
            // SAFETY: the caller's own bytes.
            unsafe { millpond_core::wipe::wipe(bytes, capacity, 0) };
            if home.notes() == WIPE {
                // SAFETY: by the caller.
                return unsafe { Self::bring_home(class, bytes, capacity) };
            }
        }
        let entry = Entry::from_ptr(bytes.cast());
        if home.notes() & (FALLBACK | DIRECT) != 0 {
            // SAFETY: alive, as its pond is retained by the buffer.
            let pond = unsafe { class.as_ref() }.pond;
            // SAFETY: noted as allocated by this pond, and the caller's own.
            return unsafe { Pond::free_direct(pond, entry, capacity, home.notes()) };
        }
        let plain = Pooled(Home::new(class));
        // Comes home also if a recorder panics.
        // SAFETY: by the caller, who gives the slot up.
        let buffer = unsafe { PoolBuf::resume(bytes, 0..0, capacity, plain) };
        {
            // SAFETY: alive until the slot is home.
            let engine = &unsafe { class.as_ref() }.engine;
            if home.notes() & TRACKED != 0 {
                engine.strike(entry);
            }
            if home.notes() & WIPE == 0 && engine.should_pattern(entry) {
                // SAFETY: the caller's own bytes.
                unsafe { poison::fill(bytes, capacity) };
            }
        }
        drop(buffer);
    }

    /// What the figures call bytes of items: the buffers without headers.
    pub(crate) fn observe(&self) -> millpond_core::observe::Observation {
        let mut figures = Engine::observe(&self.engine);
        // What is in stock is leased to the engine, and free to everybody else.
        let stocked = self.stock.count().min(figures.in_use);
        figures.in_use -= stocked;
        figures.depot += stocked;
        figures.acquires = figures.acquires.saturating_sub(stocked as u64);
        figures.item_bytes = self.size();
        figures.used_bytes = figures.in_use * self.size();
        figures.wasted_bytes =
            figures.held_bytes - (figures.created * self.size()).min(figures.held_bytes);
        figures
    }
}
