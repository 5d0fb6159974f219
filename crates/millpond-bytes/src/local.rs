//! Local pools: buffers for one thread, without atomics and without `std`.
//!
//! ```text
//!   pool   sizes ─▶ 2 KiB ─▶ stack of free slots ◀─┐
//!                   4 KiB                          │
//!                   …                              │ class
//!   buffer   bytes, start, end, capacity, pool, ───┘
//! ```
//!
//! For programs that keep one thread on each core, and one pool on each thread: no
//! atomics and no caches, and slots that never leave the core. A buffer borrows its pool and stays on its thread.

use crate::buf::PoolBuf;
use crate::config::{Config, ConfigError};
use crate::figures::{ClassStats, PoolStats};
use crate::origin::{Origin, Sealed};
use crate::slot::{self, Slots};
use crate::span::Span;
use crate::stale::StaleError;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::panic::Location;
use core::ptr::NonNull;
use millpond_core::engine::{Engine, Released};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::exhaustion::{Exhaustion, Fallback};
use millpond_core::local::LocalEngine;
use millpond_core::poison;
use millpond_core::size_class::SizeClasses;
use millpond_core::trim::{Level, TrimReport};

/// A buffer of a [`LocalBytePool`].
pub type LocalBuf<'p> = PoolBuf<Lent<'p>>;

/// A pool of byte buffers in size classes, for one thread.
///
/// Configured as a [`BytePool`](crate::BytePool) is; there is nobody to wait for, so
/// an acquire that should wait fails at once, and events are not told. Buffers do
/// not freeze.
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
/// 1. `classes[i]` has size `sizes.size(i)`, and its entries are slots of that
///    size.
pub struct LocalBytePool {
    sizes: SizeClasses,
    classes: Vec<LocalClass>,
    config: Config,
    /// Buffers of no class.
    oversize: Fallback,
    /// Buffers outside the capacity of their class.
    fallback: Fallback,
}

struct LocalClass {
    span: Span,
    /// Bytes given beyond what was asked for.
    excess: Cell<u64>,
    engine: LocalEngine<Slots>,
}

/// The origin of buffers of a [`LocalBytePool`].
#[derive(Clone, Copy, Debug)]
pub struct Lent<'p> {
    pool: &'p LocalBytePool,
    place: Place<'p>,
    wipes: bool,
}

/// Where the memory of a buffer is.
#[derive(Clone, Copy)]
enum Place<'p> {
    Class(&'p LocalClass),
    Oversize,
    Fallback,
}

impl LocalBytePool {
    /// A pool as configured. Buffers are made by the acquires that need them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is wrong, and what is allowed.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let sizes = SizeClasses::new(&config.sizes)?;
        let mut classes = Vec::new();
        let refused = ConfigError::Memory {
            bytes: sizes.count() * size_of::<LocalClass>(),
        };
        classes
            .try_reserve_exact(sizes.count())
            .map_err(|_| refused)?;
        let mut floor = 0;
        for &size in sizes.sizes() {
            let slots = Slots::of(size, &config);
            classes.push(LocalClass {
                span: Span::new(floor, config.pool_min_size, size),
                excess: Cell::new(0),
                engine: LocalEngine::new(config.buffers_per_class, slots).named(config.name),
            });
            floor = size;
        }
        Ok(Self {
            sizes,
            classes,
            oversize: config.outside(),
            fallback: config.outside(),
            config,
        })
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
        match self.pop(len) {
            Some(buffer) => Ok(buffer),
            None => self.acquire_slow(len, self.config.exhaustion),
        }
    }

    /// As [`LocalBytePool::acquire`], whatever the policy: it allocates outside of a
    /// class only what is too large for all of them.
    ///
    /// # Errors
    ///
    /// Which limit was hit.
    #[inline]
    pub fn try_acquire(&self, len: usize) -> Result<LocalBuf<'_>, AcquireError> {
        match self.pop(len) {
            Some(buffer) => Ok(buffer),
            None => self.acquire_slow(len, Exhaustion::Fail),
        }
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
        if self.config.wipe_on_release {
            return Err(StaleError::Wiping);
        }
        Ok(self.acquire(len)?.stale(len))
    }

    /// Bytes of the classes, in increasing order.
    #[must_use]
    pub const fn sizes(&self) -> &[usize] {
        self.sizes.sizes()
    }

    /// The name of the pool; `""` if it has none.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.config.name
    }

    /// Gives memory back: slabs of which all buffers are home.
    #[allow(clippy::must_use_candidate, reason = "the report may be ignored")]
    pub fn trim(&self, level: Level) -> TrimReport {
        let reports = self.classes.iter().map(|class| class.engine.trim(level));
        reports.fold(TrimReport::default(), TrimReport::merge)
    }

    /// All figures, of each class and of the pool, since it was made.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let figures = |class: &LocalClass| {
            let seen = class.engine.observe();
            ClassStats::of(class.span.size, &seen, class.excess.get())
        };
        PoolStats {
            classes: self.classes.iter().map(figures).collect(),
            oversize: self.oversize.total() as u64,
            oversize_outstanding: self.oversize.in_use(),
            fallbacks: self.fallback.total() as u64,
            fallback_outstanding: self.fallback.in_use(),
            ..PoolStats::default()
        }
    }

    /// The class of a request, and what it gives beyond that.
    #[inline(always)]
    fn route(&self, len: usize) -> Option<(&LocalClass, usize)> {
        // There is one for each size (1): `get` so that nothing can panic.
        let class = self.classes.get(self.sizes.class_of(len)?)?;
        Some((class, class.span.excess(len)?))
    }

    /// A buffer that lies ready.
    #[inline(always)]
    fn pop(&self, len: usize) -> Option<LocalBuf<'_>> {
        let (class, excess) = self.route(len)?;
        let entry = class.engine.try_pop()?;
        // SAFETY: just acquired from this class.
        Some(unsafe { self.lend(class, excess, entry) })
    }

    /// The buffer of a slot.
    ///
    /// # Safety
    ///
    /// `entry` was just acquired from `class`.
    #[inline(always)]
    unsafe fn lend<'p>(
        &'p self,
        class: &'p LocalClass,
        excess: usize,
        entry: Entry,
    ) -> LocalBuf<'p> {
        if !cfg!(millpond_no_counters) {
            class.excess.set(class.excess.get() + excess as u64);
        }
        let origin = self.origin(Place::Class(class));
        // SAFETY: by the caller, and by 1 a slot of this size.
        unsafe { PoolBuf::new(entry, class.span.size, origin) }
    }

    const fn origin<'p>(&'p self, place: Place<'p>) -> Lent<'p> {
        Lent {
            pool: self,
            place,
            wipes: self.config.wipe_on_release,
        }
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(&self, len: usize, policy: Exhaustion) -> Result<LocalBuf<'_>, AcquireError> {
        // No bytes at all are served as the smallest request that is routed.
        let least = usize::from(self.config.pool_min_size == 0);
        let Some((class, excess)) = self.route(len.max(least)) else {
            return self.outside(len, Place::Oversize, usize::MAX);
        };
        let error = match class.engine.acquire_slow(policy.room()) {
            // SAFETY: just acquired from this class.
            Ok(entry) => return Ok(unsafe { self.lend(class, excess, entry) }),
            Err(error) => error,
        };
        let Exhaustion::Fallback { at_most } = policy else {
            return Err(error);
        };
        let outside = self.outside(class.span.size, Place::Fallback, at_most);
        outside.map_err(|_| error)
    }

    /// A buffer of `capacity` bytes outside the classes.
    fn outside<'p>(
        &'p self,
        capacity: usize,
        place: Place<'p>,
        at_most: usize,
    ) -> Result<LocalBuf<'p>, AcquireError> {
        let kind = self.kind(place);
        let refused = |limit| AcquireError::new(self.name(), limit, at_most, kind.in_use(), 0);
        let layout = slot::layout(capacity).ok_or(Limit::Memory { bytes: capacity });
        let layout = layout.map_err(refused)?;
        let place_of_slot = kind.allocate(layout, at_most).map_err(refused)?;
        // SAFETY: fresh memory of this layout.
        let entry = unsafe { slot::prepare(place_of_slot.as_ptr(), capacity) };
        // SAFETY: just allocated with this capacity.
        Ok(unsafe { PoolBuf::new(entry, capacity, self.origin(place)) })
    }

    /// Who allocates and frees buffers outside the classes.
    const fn kind(&self, place: Place<'_>) -> &Fallback {
        match place {
            Place::Fallback => &self.fallback,
            Place::Oversize | Place::Class(_) => &self.oversize,
        }
    }
}

impl LocalClass {
    /// Gives the slot with these bytes back.
    ///
    /// # Safety
    ///
    /// The slot is of this class, the caller's own, and not used afterwards.
    #[inline(always)]
    unsafe fn bring_home(&self, bytes: NonNull<u8>) {
        // SAFETY: the caller's own bytes.
        unsafe { poison::on_release(bytes, self.span.size) };
        // SAFETY: by the caller.
        let released = unsafe { LocalEngine::release(&self.engine, Entry::from_ptr(bytes.cast())) };
        debug_assert_eq!(released, Released::Home);
    }
}

impl Lent<'_> {
    /// As `bring_home`, for a buffer that is wiped, or of no class.
    ///
    /// # Safety
    ///
    /// As [`Sealed::bring_home`].
    #[cold]
    #[inline(never)]
    unsafe fn bring_home_slow(self, bytes: NonNull<u8>, capacity: usize) {
        if self.wipes {
            // SAFETY: the caller's own bytes.
            unsafe { millpond_core::wipe::wipe(bytes, capacity, 0) };
        }
        if let Place::Class(class) = self.place {
            // SAFETY: by the caller.
            return unsafe { class.bring_home(bytes) };
        }
        let layout = slot::layout(capacity).expect("it was allocated");
        // SAFETY: the bytes of a slot.
        let slot = unsafe { slot::slot_of(Entry::from_ptr(bytes.cast())) };
        let (kind, slot) = (self.pool.kind(self.place), Entry::from_ptr(slot));
        // SAFETY: allocated there with this layout, and not used afterwards.
        unsafe { kind.free(slot, layout) };
    }
}

impl Origin for Lent<'_> {}

// SAFETY: an acquire gives a slot of its own.
unsafe impl Sealed for Lent<'_> {
    #[inline(always)]
    unsafe fn bring_home(self, bytes: NonNull<u8>, capacity: usize) {
        match self.place {
            // SAFETY: by the caller.
            Place::Class(class) if !self.wipes => unsafe { class.bring_home(bytes) },
            // SAFETY: by the caller.
            _ => unsafe { self.bring_home_slow(bytes, capacity) },
        }
    }

    fn acquire(
        self,
        len: usize,
        _: &'static Location<'static>,
    ) -> Result<PoolBuf<Self>, AcquireError> {
        self.pool.try_acquire(len)
    }

    fn wiping(self) -> Self {
        Self {
            wipes: true,
            ..self
        }
    }

    fn is_wiping(self) -> bool {
        self.wipes
    }

    fn is_direct(self) -> bool {
        matches!(self.place, Place::Oversize)
    }
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(f, "Class({})", class.span.size),
            Self::Oversize => f.write_str("Oversize"),
            Self::Fallback => f.write_str("Fallback"),
        }
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
