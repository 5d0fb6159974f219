//! The pool.

use crate::buf::PoolBuf;
use crate::class::{Class, Patience};
use crate::config::{Config, ConfigError};
use crate::origin::{DIRECT, Pooled};
use crate::pond::Pond;
use crate::slot;
use crate::stale::StaleError;
use crate::table::{Lends, Table};
use core::fmt;
use core::panic::Location;
use core::ptr::NonNull;
use core::time::Duration;
use millpond_core::diagnostics::{Diagnosis, Holder};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::event::Event;
use millpond_core::exhaustion::Exhaustion;
use millpond_core::home::{FALLBACK, TRACKED};
use millpond_core::poison;
use millpond_core::trim::{Level, Trim, TrimReport};
use std::vec::Vec;

/// A pool of byte buffers in size classes, for any number of threads.
///
/// A handle: clones are the same pool. When the last handle goes, what is home is
/// freed at once, and each buffer that is out when it comes home.
///
/// ```
/// use millpond_bytes::BytePool;
///
/// let pool = BytePool::default();
/// let mut buffer = pool.acquire(3000)?;
/// assert_eq!(buffer.capacity(), 4096);
/// buffer.extend_from_slice(b"request")?;
/// std::thread::spawn(move || assert_eq!(buffer, b"request"))
///     .join()
///     .unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. `pond` is alive, and counts this handle.
pub struct BytePool {
    pond: NonNull<Pond>,
}

// SAFETY: a handle is a shared reference to a pond, which is Sync and Send.
unsafe impl Send for BytePool {}
// SAFETY: as above.
unsafe impl Sync for BytePool {}

// No user code runs while a pool is half changed.
impl core::panic::UnwindSafe for BytePool {}
impl core::panic::RefUnwindSafe for BytePool {}

impl BytePool {
    /// A pool as configured. Buffers are made by the acquires that need them, or
    /// by [`BytePool::warm_up`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is wrong, and what is allowed.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            pond: Pond::allocate(config)?,
        })
    }

    /// The pool of a pond.
    ///
    /// # Safety
    ///
    /// The pond is alive, and counts a handle for this.
    pub(crate) const unsafe fn of(pond: NonNull<Pond>) -> Self {
        Self { pond }
    }

    pub(crate) fn pond(&self) -> &Pond {
        // SAFETY: alive by 1.
        unsafe { self.pond.as_ref() }
    }

    /// The pond as a place, for what must not go through a reference.
    pub(crate) const fn pond_place(&self) -> NonNull<Pond> {
        self.pond
    }

    pub(crate) fn into_pond(self) -> NonNull<Pond> {
        core::mem::ManuallyDrop::new(self).pond
    }

    /// An empty buffer with room for at least `len` bytes, or what the pool's
    /// exhaustion policy makes of it if there is none.
    ///
    /// A request above the largest class is allocated directly, and freed when
    /// the buffer is dropped.
    ///
    /// Cost: about 45 instructions; with the release, 68: less where the length is a
    /// constant.
    ///
    /// # Errors
    ///
    /// Which limit was hit.
    #[inline]
    #[track_caller]
    pub fn acquire(&self, len: usize) -> Result<PoolBuf, AcquireError> {
        // SAFETY: alive by 1.
        unsafe { acquire(self.pond, len, Patience::Policy) }
    }

    /// As [`BytePool::acquire`], whatever the policy: it never waits, and
    /// allocates outside of a class only what is too large for all of them.
    ///
    /// # Errors
    ///
    /// Which limit was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self, len: usize) -> Result<PoolBuf, AcquireError> {
        // SAFETY: alive by 1.
        unsafe { acquire(self.pond, len, Patience::None) }
    }

    /// As [`BytePool::acquire`], waiting up to `timeout` for a buffer to be
    /// released.
    ///
    /// # Errors
    ///
    /// `Limit::Deadline` when the time is over; or which other limit was hit.
    #[track_caller]
    pub fn acquire_timeout(&self, len: usize, timeout: Duration) -> Result<PoolBuf, AcquireError> {
        // SAFETY: alive by 1.
        unsafe { acquire(self.pond, len, Patience::Until(timeout)) }
    }

    /// As [`BytePool::acquire`], waiting in the task for a buffer to be released.
    /// Buffers go to those who wait in the order in which they came.
    ///
    /// # Errors
    ///
    /// Which limit was hit, if waiting does not help.
    #[track_caller]
    pub fn acquire_async(
        &self,
        len: usize,
    ) -> impl Future<Output = Result<PoolBuf, AcquireError>> + Send {
        // Not an `async fn`, which would not know its caller.
        let location = Location::caller();
        async move {
            loop {
                let table = self.pond().table();
                let Some((class, excess)) = table.route(len) else {
                    // SAFETY: alive by 1.
                    return unsafe { Pond::acquire_slow(self.pond, len, Patience::None, location) };
                };
                let room = self.pond().config.exhaustion.room();
                match class.engine.acquire_async(room).await {
                    Ok(entry) => {
                        class.note(excess);
                        // SAFETY: just acquired from this class.
                        return Ok(unsafe { class.finish(entry, len, location) });
                    }
                    Err(error) if is_outdated(&error, table, self.pond()) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// A buffer of `len` zeroes. Only these are written, not the whole capacity.
    ///
    /// # Errors
    ///
    /// As [`BytePool::acquire`].
    #[inline]
    #[track_caller]
    pub fn acquire_zeroed(&self, len: usize) -> Result<PoolBuf, AcquireError> {
        if let Some(buffer) = self.zeroed_before(len) {
            return Ok(buffer);
        }
        Ok(self.acquire(len)?.zeroed(len))
    }

    /// A buffer that was zeroed ahead.
    #[inline(always)]
    fn zeroed_before(&self, len: usize) -> Option<PoolBuf> {
        let (class, excess) = self.pond().table().route_fast(len)?;
        if class.stock.count() == 0 {
            return None;
        }
        let entry = class.stock.take()?;
        class.note(excess);
        // SAFETY: out of the stock, which had leased it.
        let (bytes, origin) = (slot::bytes_of(entry), Pooled(class.home()));
        // SAFETY: all of it is zero, and so initialised; it is ours alone.
        Some(unsafe { PoolBuf::resume(bytes, 0..len, class.size(), origin) })
    }

    /// Zeroes free buffers of the class that serves `len`, until `buffers` of
    /// them are kept ready for [`BytePool::acquire_zeroed`]: off the hot path, by a
    /// thread that has time. A trim gives them up, and so does
    /// [`BytePool::apply`] with their class. Answers how many were zeroed.
    ///
    /// Taking one costs a lock in place of the memset, which pays from some KiB on.
    ///
    /// ```
    /// let pool = millpond_bytes::BytePool::default();
    /// assert_eq!(pool.zero_ahead(64 << 10, 2)?, 2);
    /// let ready = pool.acquire_zeroed(50_000)?; // Nothing is written.
    /// assert!(ready.iter().all(|&byte| byte == 0));
    /// assert_eq!(pool.zero_ahead(64 << 10, 2)?, 1);
    /// # Ok::<(), millpond_bytes::AcquireError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Which limit was hit; `Limit::Capacity` if no class serves `len`. What was
    /// zeroed by then stays.
    pub fn zero_ahead(&self, len: usize, buffers: usize) -> Result<usize, AcquireError> {
        loop {
            let table = self.pond().table();
            let class = self.class_for(len)?;
            match class.zero_ahead(buffers) {
                Ok(zeroed) => return Ok(zeroed),
                // Into the class that serves `len` now.
                Err(error) if is_outdated(&error, table, self.pond()) => {}
                Err(error) => return Err(error),
            }
            std::thread::yield_now();
        }
    }

    /// A buffer of `len` bytes of any value, to be overwritten: to be filled by a
    /// read, for example. Nothing is written where the bytes are known to be
    /// initialised, as they are in all buffers but those that were lent through
    /// [`PoolBuf::spare_capacity_mut`] or are new from the allocator.
    ///
    /// The bytes may be somebody else's old ones: zeroes in pools that wipe on
    /// release, which refuse to say that.
    ///
    /// # Errors
    ///
    /// As [`BytePool::acquire`], and [`StaleError::Wiping`] in a pool that wipes
    /// on release.
    #[inline]
    #[track_caller]
    pub fn acquire_stale(&self, len: usize) -> Result<PoolBuf, StaleError> {
        if self.pond().config.wipe_on_release {
            return Err(StaleError::Wiping);
        }
        Ok(self.acquire(len)?.stale(len))
    }

    /// Makes sure that each class has `buffers` of them, leased ones included, so
    /// that no acquire has to ask the system. Classes below
    /// [`pool_min_size`](crate::Config::with_pool_min_size), which serve nobody, get
    /// none. Answers how many were made.
    ///
    /// ```
    /// let pool = millpond_bytes::BytePool::default();
    /// assert_eq!(pool.warm_up(10)?, 60);
    /// # Ok::<(), millpond_bytes::AcquireError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Which limit was hit. What was made by then stays.
    pub fn warm_up(&self, buffers: usize) -> Result<usize, AcquireError> {
        let least = self.pond().config.pool_min_size;
        let sizes = self.sizes().into_iter().filter(|&size| size >= least);
        sizes.map(|size| self.warm_up_class(size, buffers)).sum()
    }

    /// As [`BytePool::warm_up`], for the class that serves `len`.
    ///
    /// # Errors
    ///
    /// As [`BytePool::warm_up`]; `Limit::Capacity` if no class serves it.
    pub fn warm_up_class(&self, len: usize, buffers: usize) -> Result<usize, AcquireError> {
        self.class_for(len)?.engine.reserve(buffers)
    }

    /// The class that serves `len`.
    fn class_for(&self, len: usize) -> Result<&Class, AcquireError> {
        match self.pond().table().route(len) {
            Some((class, _)) => Ok(class),
            None => Err(AcquireError::new(self.name(), Limit::Capacity, 0, 0, 0)),
        }
    }

    /// Bytes of the classes, in increasing order.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        self.pond().table().sizes().sizes().to_vec()
    }

    /// The name of the pool; `""` if it has none.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.pond().config.name
    }

    /// Gives memory back: slabs of which all buffers are home, wherever those are
    /// cached.
    ///
    /// ```
    /// use millpond_bytes::{BytePool, Level};
    ///
    /// let pool = BytePool::default();
    /// pool.warm_up(100)?;
    /// assert_eq!(pool.trim(Level::Full).freed_items, 600);
    /// # Ok::<(), millpond_bytes::AcquireError>(())
    /// ```
    #[allow(clippy::must_use_candidate, reason = "the report may be ignored")]
    pub fn trim(&self, level: Level) -> TrimReport {
        self.pond().trim(level)
    }

    /// Switches diagnostics while the pool is in use; see
    /// [`millpond_core::diagnostics`] for the levels and what they cost.
    pub fn set_diagnosis(&self, level: Diagnosis) {
        for class in self.pond().all_classes() {
            class.engine.set_diagnosis(level);
        }
    }

    /// Everybody of whom diagnostics have a record, longest holder first.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        let mut all = Vec::new();
        for class in self.pond().all_classes() {
            all.extend(class.engine.holders());
        }
        all.sort_by_key(|holder| core::cmp::Reverse(holder.held));
        all
    }
}

/// The fast path of every acquire.
///
/// # Safety
///
/// `pond` is alive.
#[inline(always)]
#[track_caller]
pub(crate) unsafe fn acquire(
    pond: NonNull<Pond>,
    len: usize,
    patience: Patience,
) -> Result<PoolBuf, AcquireError> {
    let location = Location::caller();
    // SAFETY: by the caller.
    let table = unsafe { pond.as_ref() }.table();
    // SAFETY: by the caller.
    table.acquire(len, || unsafe {
        Pond::acquire_slow(pond, len, patience, location)
    })
}

/// Whether a class refused because it was taken out of the table, which
/// somebody has exchanged or is exchanging: no class of it has capacity 0.
fn is_outdated(error: &AcquireError, table: &Table<Class>, pond: &Pond) -> bool {
    let retired = *error.limit() == Limit::Capacity && error.capacity() == 0;
    retired || !core::ptr::eq(table, pond.table())
}

impl Class {
    /// The buffer of a slot that did not come by the fast path, for a request of `len`
    /// bytes: recorded, and looked at for damage, if diagnostics are on.
    ///
    /// # Safety
    ///
    /// `entry` was just acquired from this class.
    unsafe fn finish(
        &self,
        entry: Entry,
        len: usize,
        location: &'static Location<'static>,
    ) -> PoolBuf {
        // SAFETY: by the caller.
        let mut buffer = unsafe { PoolBuf::new(entry, self.size(), Pooled(self.home())) };
        let Some(patterned) = self.engine.record_sized(entry, location, len) else {
            return buffer;
        };
        // Noted before a hook runs, which may panic.
        let home = &mut buffer.origin_mut().0;
        *home = home.with_notes(home.notes() | TRACKED);
        if patterned && !poison::BLINDS_PATTERN {
            let bytes = crate::slot::bytes_of(entry);
            // SAFETY: ours, and filled with the pattern when it came home.
            if let Some(offset) = unsafe { poison::first_damage(bytes, self.size()) } {
                self.engine.tell(&Event::Damaged {
                    item: entry,
                    offset,
                });
            }
        }
        buffer
    }
}

impl Pond {
    /// The rest of every acquire.
    ///
    /// # Safety
    ///
    /// `pond` is alive.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn acquire_slow(
        pond: NonNull<Self>,
        len: usize,
        patience: Patience,
        location: &'static Location<'static>,
    ) -> Result<PoolBuf, AcquireError> {
        // SAFETY: by the caller.
        let this = unsafe { pond.as_ref() };
        let policy = this.config.exhaustion;
        if len == 0 && this.config.pool_min_size == 0 {
            // Served as the smallest request that is routed.
            // SAFETY: by the caller.
            return unsafe { Self::acquire_slow(pond, 1, patience, location) };
        }
        loop {
            let table = this.table();
            let Some((class, excess)) = table.route(len) else {
                this.direct.note(len);
                // SAFETY: alive by the caller.
                return unsafe { Self::acquire_outside(pond, len, DIRECT, usize::MAX) };
            };
            if let Some(entry) = class.try_pop(excess) {
                // It was not routed by its step, or somebody has opened the cache.
                // SAFETY: just acquired from this class.
                return Ok(unsafe { PoolBuf::new(entry, class.size(), Pooled(class.home())) });
            }
            let error = match class.acquire_slow(excess, patience, policy) {
                // SAFETY: just acquired from this class.
                Ok(entry) => return Ok(unsafe { class.finish(entry, len, location) }),
                Err(error) => error,
            };
            if is_outdated(&error, table, this) {
                std::thread::yield_now();
                continue;
            }
            let (Patience::Policy, Exhaustion::Fallback { at_most }) = (patience, policy) else {
                return Err(error);
            };
            // SAFETY: alive by the caller.
            let outside = unsafe { Self::acquire_outside(pond, class.size(), FALLBACK, at_most) };
            let Ok(buffer) = outside else {
                return Err(error);
            };
            this.fallback.note(len);
            class.engine.tell(&Event::FellBack {
                in_use: this.fallback.in_use(),
            });
            return Ok(buffer);
        }
    }

    /// A buffer of `capacity` bytes outside the classes.
    ///
    /// # Safety
    ///
    /// `pond` is alive.
    unsafe fn acquire_outside(
        pond: NonNull<Self>,
        capacity: usize,
        note: usize,
        at_most: usize,
    ) -> Result<PoolBuf, AcquireError> {
        // SAFETY: by the caller.
        let entry = unsafe { Self::allocate_direct(pond, capacity, note, at_most) }?;
        // SAFETY: by the caller.
        let first = unsafe { pond.as_ref() }.table().classes()[0];
        // SAFETY: a class of a live pond; it only names the pond here.
        let home = unsafe { first.as_ref() }.home();
        let home = home.with_notes(home.notes() | note);
        // SAFETY: just allocated with this capacity.
        Ok(unsafe { PoolBuf::new(entry, capacity, Pooled(home)) })
    }
}

impl Default for BytePool {
    /// A pool of the default classes without a limit.
    ///
    /// # Panics
    ///
    /// If there is no memory for it.
    fn default() -> Self {
        Self::new(Config::new()).expect("the default configuration is valid, and small")
    }
}

impl Clone for BytePool {
    fn clone(&self) -> Self {
        // SAFETY: alive by 1.
        unsafe { Pond::retain(self.pond) };
        Self { pond: self.pond }
    }
}

impl Drop for BytePool {
    fn drop(&mut self) {
        // SAFETY: counted when this handle was made.
        unsafe { Pond::let_go(self.pond) };
    }
}

impl fmt::Debug for BytePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytePool")
            .field("name", &self.name())
            .field("sizes", &self.sizes())
            .finish_non_exhaustive()
    }
}

impl Trim for BytePool {
    fn trim(&self, level: Level) -> TrimReport {
        Self::trim(self, level)
    }
}
