//! Local pools: buffers for one thread, without atomics and without `std`.
//!
//! ```text
//!   pool ─▶ pond    table ─▶ 2 KiB ─▶ stack of free slots
//!            ▲      │        4 KiB     ▲
//!            │      └──────▶ …         │
//!            └──────────── class ◀─────┴─ buffer   bytes, start, end, capacity, home
//! ```
//!
//! For programs that keep one thread on each core, and one pool on each thread: no
//! atomics and no caches, and slots that never leave the core. A buffer borrows its
//! pool and stays on its thread, and so do the views of one that is frozen.

use crate::buf::PoolBuf;
use crate::config::{Config, ConfigError};
use crate::figures::{ClassStats, Discards, PoolStats};
use crate::origin::{DIRECT, Origin, Sealed, WIPE};
#[cfg(feature = "std")]
use crate::raw::{Discard, RawParts};
use crate::slot::{self, Slots};
use crate::span::Span;
use crate::stale::StaleError;
use crate::table::{Lends, Routed, Table};
use crate::view::PoolBytes;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::panic::Location;
use core::ptr::NonNull;
use millpond_core::engine::{Engine, Local, Released};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::exhaustion::{Exhaustion, Fallback};
use millpond_core::home::{FALLBACK, Home};
use millpond_core::local::LocalEngine;
use millpond_core::poison;
use millpond_core::region;
use millpond_core::size_class::SizeClasses;
use millpond_core::trim::{Level, TrimReport};

/// A buffer of a [`LocalBytePool`].
pub type LocalBuf<'p> = PoolBuf<Lent<'p>>;

/// A view of a frozen buffer of a [`LocalBytePool`]: as [`PoolBytes`], on the thread
/// of the pool, and counted without atomics.
///
/// ```
/// use millpond_bytes::{LocalBytePool, LocalBytes};
///
/// let pool = LocalBytePool::default();
/// let mut buffer = pool.acquire(100)?;
/// buffer.extend_from_slice(b"head body")?;
/// let bytes: LocalBytes<'_> = buffer.freeze();
/// let body = bytes.slice(5..);
/// drop(bytes);
/// assert_eq!(body, "body");
/// let buffer = body.try_into_mut().expect("nobody else has a view");
/// assert_eq!(buffer.capacity(), 2048);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type LocalBytes<'p> = PoolBytes<Lent<'p>>;

/// A pool of byte buffers in size classes, for one thread.
///
/// Configured as a [`BytePool`](crate::BytePool) is; there is nobody to wait for, so
/// an acquire that should wait fails at once, and events are not told.
///
/// ```
/// use millpond_bytes::LocalBytePool;
///
/// let pool = LocalBytePool::default();
/// let mut buffer = pool.acquire(3000)?;
/// buffer.extend_from_slice(b"request")?;
/// buffer.reserve(5000)?; // Into a larger class of the same pool.
/// assert_eq!((&buffer[..], buffer.capacity()), (&b"request"[..], 8192));
/// drop(buffer);
/// assert_eq!(pool.stats().outstanding(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Without `std`, depend on this crate with `default-features = false`.
///
/// # Invariants
///
/// 1. `pond` is alive, and nobody's but the pool's and of those who borrow it.
pub struct LocalBytePool {
    pond: NonNull<LocalPond>,
}

// SAFETY: whoever moves the pool has nothing that borrows it, so all of it goes along.
unsafe impl Send for LocalBytePool {}

// A panic leaves every class whole: what it interrupts is of the user.
impl core::panic::UnwindSafe for LocalBytePool {}

/// What a pool and its buffers share, at an address of its own.
///
/// # Invariants
///
/// 1. `table` is of `classes`, which stay where they are.
/// 2. The `pond` of each class is this.
struct LocalPond {
    table: Table<LocalClass>,
    classes: Vec<LocalClass>,
    config: Config,
    /// Buffers of no class.
    oversize: Fallback,
    /// Raw parts that were not taken back.
    discards: Cell<Discards>,
    /// Buffers outside the capacity of their class.
    fallback: Fallback,
}

/// # Invariants
///
/// 1. Entries of `engine` are slots for buffers of the size of `span`.
#[repr(align(64))] // Its home has room for notes.
struct LocalClass {
    span: Span,
    /// [`WIPE`], if the pool wipes.
    notes: usize,
    /// Bytes given beyond what was asked for.
    excess: Cell<u64>,
    engine: LocalEngine<Slots>,
    pond: NonNull<LocalPond>,
}

/// The origin of buffers of a [`LocalBytePool`].
///
/// # Invariants
///
/// 1. The class is of a pool that is borrowed for `'p`.
#[derive(Clone, Copy)]
pub struct Lent<'p> {
    home: Home<LocalClass>,
    _pool: PhantomData<&'p LocalBytePool>,
}

impl LocalBytePool {
    /// A pool as configured. Buffers are made by the acquires that need them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is wrong, and what is allowed.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            pond: LocalPond::allocate(config)?,
        })
    }

    fn pond(&self) -> &LocalPond {
        // SAFETY: alive by 1.
        unsafe { self.pond.as_ref() }
    }

    /// An empty buffer with room for at least `len` bytes, or what the pool's
    /// exhaustion policy makes of it if there is none. A request above the largest
    /// class is allocated directly, and freed when the buffer is dropped.
    ///
    /// # Errors
    ///
    /// Which limit was hit.
    #[inline]
    pub fn acquire(&self, len: usize) -> Result<LocalBuf<'_>, AcquireError> {
        let pond = self.pond();
        pond.acquire(len, || pond.acquire_slow(len, pond.config.exhaustion))
    }

    /// As [`LocalBytePool::acquire`], whatever the policy: it allocates outside of a
    /// class only what is too large for all of them.
    ///
    /// # Errors
    ///
    /// Which limit was hit.
    #[inline]
    pub fn try_acquire(&self, len: usize) -> Result<LocalBuf<'_>, AcquireError> {
        let pond = self.pond();
        pond.acquire(len, || pond.acquire_slow(len, Exhaustion::Fail))
    }

    /// A buffer of `len` zeroes. Only these are written, not the whole capacity.
    ///
    /// # Errors
    ///
    /// As [`LocalBytePool::acquire`].
    #[inline]
    pub fn acquire_zeroed(&self, len: usize) -> Result<LocalBuf<'_>, AcquireError> {
        Ok(self.acquire(len)?.zeroed(len))
    }

    /// A buffer of `len` bytes of any value, to be overwritten; see
    /// `BytePool::acquire_stale`.
    ///
    /// # Errors
    ///
    /// As [`LocalBytePool::acquire`], and [`StaleError::Wiping`] in a pool that wipes
    /// on release.
    #[inline]
    pub fn acquire_stale(&self, len: usize) -> Result<LocalBuf<'_>, StaleError> {
        if self.pond().config.wipe_on_release {
            return Err(StaleError::Wiping);
        }
        Ok(self.acquire(len)?.stale(len))
    }

    /// Bytes of the classes, in increasing order.
    #[must_use]
    pub fn sizes(&self) -> &[usize] {
        self.pond().table.sizes().sizes()
    }

    /// The name of the pool; `""` if it has none.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.pond().config.name
    }

    /// Gives memory back: slabs of which all buffers are home.
    #[allow(clippy::must_use_candidate, reason = "the report may be ignored")]
    pub fn trim(&self, level: Level) -> TrimReport {
        let classes = self.pond().classes.iter();
        let reports = classes.map(|class| class.engine.trim(level));
        reports.fold(TrimReport::default(), TrimReport::merge)
    }

    /// All figures, of each class and of the pool, since it was made.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let figures = |class: &LocalClass| {
            let seen = class.engine.observe();
            ClassStats::of(class.span.size, &seen, class.excess.get())
        };
        let pond = self.pond();
        PoolStats {
            classes: pond.classes.iter().map(figures).collect(),
            oversize: pond.oversize.total() as u64,
            oversize_outstanding: pond.oversize.in_use(),
            fallbacks: pond.fallback.total() as u64,
            fallback_outstanding: pond.fallback.in_use(),
            discards: pond.discards.get(),
        }
    }

    /// Claims the slot that is out as `parts`, and answers its bytes.
    #[cfg(feature = "std")]
    pub(crate) fn claim(&self, parts: &RawParts) -> Result<NonNull<u8>, Discard> {
        let mut classes = self.pond().classes.iter();
        let claimed = classes.find_map(|class| {
            let size = class.span.size;
            class
                .engine
                .look_at_source(|slots| parts.claim(slots, size))
        });
        claimed.unwrap_or(Err(Discard::Foreign))
    }

    /// Counts raw parts that were not taken back.
    #[cfg(feature = "std")]
    pub(crate) fn count_discard(&self, reason: Discard) {
        let mut discards = self.pond().discards.get();
        *reason.counter(&mut discards) += 1;
        self.pond().discards.set(discards);
    }
}

impl Drop for LocalBytePool {
    fn drop(&mut self) {
        // SAFETY: alive by 1, and nothing borrows it any more.
        unsafe { self.pond.drop_in_place() };
        // SAFETY: allocated with this layout.
        unsafe { region::free(self.pond.cast(), Layout::new::<LocalPond>()) };
    }
}

impl LocalPond {
    fn allocate(config: Config) -> Result<NonNull<Self>, ConfigError> {
        config.check()?;
        let sizes = SizeClasses::new(&config.sizes)?;
        let (mut classes, mut places) = (Vec::new(), Vec::new());
        let layout = Layout::new::<Self>();
        let refused = ConfigError::Memory {
            bytes: sizes.count() * size_of::<LocalClass>() + layout.size(),
        };
        let room = classes.try_reserve_exact(sizes.count());
        room.and_then(|()| places.try_reserve_exact(sizes.count()))
            .map_err(|_| refused)?;
        let place = region::allocate(layout).ok_or(refused)?.cast::<Self>();
        let mut floor = 0;
        for &size in sizes.sizes() {
            classes.push(LocalClass::new(&config, place, floor, size));
            floor = size;
        }
        places.extend(classes.iter().map(NonNull::from));
        let pond = Self {
            // SAFETY: they lie in a list of their own, which nobody changes.
            table: unsafe { Table::new(sizes, places) },
            classes,
            oversize: config.outside(),
            discards: Cell::default(),
            fallback: config.outside(),
            config,
        };
        // SAFETY: freshly allocated with the layout of a pond.
        unsafe { place.write(pond) };
        Ok(place)
    }

    /// The fast path of every acquire.
    #[inline(always)]
    fn acquire<'p>(
        &'p self,
        len: usize,
        slow: impl FnOnce() -> Result<LocalBuf<'p>, AcquireError>,
    ) -> Result<LocalBuf<'p>, AcquireError> {
        self.table.acquire(len, slow)
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(&self, len: usize, policy: Exhaustion) -> Result<LocalBuf<'_>, AcquireError> {
        // No bytes at all are served as the smallest request that is routed.
        let least = usize::from(self.config.pool_min_size == 0);
        let Some((class, excess)) = self.table.route(len.max(least)) else {
            return self.outside(len, DIRECT, usize::MAX);
        };
        let popped = match class.try_pop(excess) {
            // It was not routed by its step.
            Some(entry) => Ok(entry),
            None => class
                .engine
                .acquire_slow(policy.room())
                .inspect(|_| class.note(excess)),
        };
        let error = match popped {
            Ok(entry) => {
                let (size, origin) = (class.span.size, class.origin());
                // SAFETY: just acquired from this class.
                return Ok(unsafe { PoolBuf::new(entry, size, origin) });
            }
            Err(error) => error,
        };
        let Exhaustion::Fallback { at_most } = policy else {
            return Err(error);
        };
        let outside = self.outside(class.span.size, FALLBACK, at_most);
        outside.map_err(|_| error)
    }

    /// A buffer of `capacity` bytes outside the classes.
    fn outside(
        &self,
        capacity: usize,
        note: usize,
        at_most: usize,
    ) -> Result<LocalBuf<'_>, AcquireError> {
        let kind = self.kind(note);
        let refused = |limit| AcquireError::new(self.config.name, limit, at_most, kind.in_use(), 0);
        let layout = slot::layout(capacity).ok_or(Limit::Memory { bytes: capacity });
        let layout = layout.map_err(refused)?;
        let place = kind.allocate(layout, at_most).map_err(refused)?;
        // SAFETY: fresh memory of this layout.
        let entry = unsafe { slot::prepare(place.as_ptr(), capacity) };
        // Any class: it only names the pond here.
        let Lent { home, _pool } = self.classes[0].origin();
        let home = home.with_notes(home.notes() | note);
        // SAFETY: just allocated with this capacity.
        Ok(unsafe { PoolBuf::new(entry, capacity, Lent { home, _pool }) })
    }

    /// Who allocates and frees buffers outside the classes.
    const fn kind(&self, notes: usize) -> &Fallback {
        if notes & DIRECT != 0 {
            &self.oversize
        } else {
            &self.fallback
        }
    }
}

impl LocalClass {
    fn new(config: &Config, pond: NonNull<LocalPond>, floor: usize, size: usize) -> Self {
        let slots = Slots::of(size, config);
        Self {
            span: Span::new(floor, config.pool_min_size, size),
            notes: if config.wipe_on_release { WIPE } else { 0 },
            excess: Cell::new(0),
            engine: LocalEngine::new(config.buffers_per_class, slots).named(config.name),
            pond,
        }
    }

    /// Notes a request with this excess.
    #[inline(always)]
    fn note(&self, excess: usize) {
        if !cfg!(millpond_no_counters) {
            self.excess.set(self.excess.get() + excess as u64);
        }
    }

    /// Gives the slot with these bytes back.
    ///
    /// # Safety
    ///
    /// The slot is of this class, the caller's own, and not used afterwards.
    #[inline(always)]
    unsafe fn bring_home(&self, bytes: NonNull<u8>, capacity: usize) {
        // SAFETY: the caller's own bytes.
        unsafe { poison::on_release(bytes, capacity) };
        // SAFETY: by the caller.
        let released = unsafe { LocalEngine::release(&self.engine, Entry::from_ptr(bytes.cast())) };
        debug_assert_eq!(released, Released::Home);
    }

    /// As [`LocalClass::bring_home`], for a home with notes.
    ///
    /// # Safety
    ///
    /// As [`LocalClass::bring_home`]; or it is a slot of no class, of this pool.
    #[cold]
    #[inline(never)]
    unsafe fn bring_home_slow(&self, notes: usize, bytes: NonNull<u8>, capacity: usize) {
        if notes & WIPE != 0 {
            // SAFETY: the caller's own bytes.
            unsafe { millpond_core::wipe::wipe(bytes, capacity, 0) };
        }
        if notes & (FALLBACK | DIRECT) == 0 {
            // SAFETY: by the caller.
            return unsafe { self.bring_home(bytes, capacity) };
        }
        // SAFETY: alive, as its class is.
        let pond = unsafe { self.pond.as_ref() };
        let layout = slot::layout(capacity).expect("it was allocated");
        // SAFETY: the bytes of a slot.
        let slot = unsafe { slot::slot_of(Entry::from_ptr(bytes.cast())) };
        // SAFETY: allocated there with this layout, and not used afterwards.
        unsafe { pond.kind(notes).free(Entry::from_ptr(slot), layout) };
    }
}

impl Routed for LocalClass {
    #[inline(always)]
    fn span(&self) -> Span {
        self.span
    }
}

// SAFETY: the engine answers slots of this size (1), and the home is this class, which
// whoever gets the buffer reached through a pool that is borrowed for so long.
unsafe impl<'p> Lends<Lent<'p>> for LocalClass {
    #[inline(always)]
    fn try_pop(&self, excess: usize) -> Option<Entry> {
        let entry = self.engine.try_pop()?;
        self.note(excess);
        Some(entry)
    }

    #[inline(always)]
    fn origin(&self) -> Lent<'p> {
        Lent {
            home: Home::new(NonNull::from(self)).with_notes(self.notes),
            _pool: PhantomData,
        }
    }
}

impl<'p> Lent<'p> {
    fn class(self) -> &'p LocalClass {
        // SAFETY: alive by 1.
        unsafe { self.home.pool().as_ref() }
    }
}

impl Origin for Lent<'_> {}

// SAFETY: an acquire gives a slot of its own; pools are not Sync, so what borrows one
// stays on its thread.
unsafe impl Sealed for Lent<'_> {
    type Mode = Local;

    #[inline(always)]
    unsafe fn bring_home(self, bytes: NonNull<u8>, capacity: usize) {
        match self.home.pool_if_plain() {
            Some(class) => {
                // SAFETY: alive by 1.
                let class = unsafe { class.as_ref() };
                // SAFETY: by the caller.
                unsafe { class.bring_home(bytes, capacity) };
            }
            None => {
                let (class, notes) = (self.class(), self.home.notes());
                // SAFETY: by the caller.
                unsafe { class.bring_home_slow(notes, bytes, capacity) };
            }
        }
    }

    fn acquire(
        self,
        len: usize,
        _: &'static Location<'static>,
    ) -> Result<PoolBuf<Self>, AcquireError> {
        // SAFETY: alive, as its class is.
        let pond = unsafe { self.class().pond.as_ref() };
        pond.acquire_slow(len, Exhaustion::Fail)
    }

    fn wiping(self) -> Self {
        Self {
            home: self.home.with_notes(self.home.notes() | WIPE),
            ..self
        }
    }

    fn is_wiping(self) -> bool {
        self.home.notes() & WIPE != 0
    }

    fn is_direct(self) -> bool {
        self.home.notes() & DIRECT != 0
    }

    #[cfg(feature = "std")]
    fn is_in_class(self) -> bool {
        self.home.notes() & (DIRECT | FALLBACK) == 0
    }
}

impl fmt::Debug for Lent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent")
            .field("class", &self.class().span.size)
            .field("notes", &self.home.notes())
            .finish()
    }
}

impl fmt::Debug for LocalBytePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBytePool")
            .field("name", &self.name())
            .field("sizes", &self.sizes())
            .finish_non_exhaustive()
    }
}

impl Default for LocalBytePool {
    /// A pool of the default classes without a limit.
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    fn default() -> Self {
        Self::new(Config::new()).expect("the default configuration is valid, and small")
    }
}
