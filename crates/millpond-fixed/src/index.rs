//! Index pools: slots handed out in order, and taken back all at once.
//!
//! ```text
//!   ┌───┬───┬───┬───┬───┬───┐
//!   │ 0 │ 1 │ 2 │ ░ │ ░ │ ░ │      next = 3; reset: next = 0
//!   └───┴───┴───┴───┴───┴───┘
//! ```

use crate::pool::DefaultMode;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{MaybeUninit, needs_drop};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};
use millpond_core::engine::{Local, Mode};
use millpond_core::error::{AcquireError, Limit, Refused};
use millpond_core::observe::{Observation, Observe, Sampled};
use millpond_core::region::{Region, RegionOptions};

#[cfg(feature = "std")]
use millpond_core::budget::Budget;
#[cfg(feature = "std")]
use millpond_core::engine::Shared;

/// A pool that hands its slots out in order and takes all of them back at once:
/// for what a run produces and the next run does not need, such as receipts.
///
/// ```
/// use millpond_fixed::IndexPool;
///
/// let mut receipts = IndexPool::new()?; // 1,024 slots, allocated here.
/// for hook in 0..3u64 {
///     let receipt = receipts.try_acquire([hook; 16])?;
///     assert_eq!(receipt.index(), hook as usize);
/// }
/// assert_eq!(receipts.as_slice().len(), 3);
/// receipts.reset();
/// assert_eq!(receipts.try_acquire([9; 16])?.index(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Cost
///
/// An acquire is a comparison, an addition (an atomic one, if threads share the
/// pool) and the move of the value; a reset is a store, and the destructors of
/// the values if they have any.
///
/// # Invariants
///
/// 1. `base` has room for `capacity` values, inside `region` unless they have no
///    size.
/// 2. Indices below `next` were given out since the last reset, each once, and
///    hold a value, or are being written by the one to whom they were given.
pub struct IndexPool<T, M: Mode = DefaultMode> {
    base: NonNull<T>,
    capacity: usize,
    next: AtomicUsize,
    refused: AtomicUsize,
    /// Acquires, and the most at once, before the last reset.
    earlier: (u64, usize),
    region: Option<Region>,
    #[cfg(feature = "std")]
    budget: Option<Budget>,
    name: &'static str,
    _values: PhantomData<(T, fn() -> M)>,
}

/// An index pool for one thread.
pub type LocalIndexPool<T> = IndexPool<T, Local>;

// SAFETY: the values go where the pool goes.
unsafe impl<T: Send, M: Mode> Send for IndexPool<T, M> {}
// SAFETY: through `&IndexPool` values only come in, each reached by the one to
// whom its slot was given; they are dropped through `&mut`.
#[cfg(feature = "std")]
unsafe impl<T: Send> Sync for IndexPool<T, Shared> {}

#[cfg(feature = "std")]
impl<T> IndexPool<T, Shared> {
    /// A pool of [`IndexPool::SLOTS`] slots, for any number of threads.
    ///
    /// # Errors
    ///
    /// If the system has no memory for them.
    pub fn new() -> Result<Self, AcquireError> {
        Self::with_capacity(Self::SLOTS)
    }

    /// A pool of `capacity` slots, for any number of threads.
    ///
    /// # Errors
    ///
    /// If the system has no memory for them.
    pub fn with_capacity(capacity: usize) -> Result<Self, AcquireError> {
        Self::allocate(capacity)
    }
}

impl<T> IndexPool<T, Local> {
    /// A pool of `capacity` slots, for one thread.
    ///
    /// # Errors
    ///
    /// If the system has no memory for them.
    pub fn new_local(capacity: usize) -> Result<Self, AcquireError> {
        Self::allocate(capacity)
    }
}

impl<T, M: Mode> IndexPool<T, M> {
    /// Slots of a pool that names no capacity.
    pub const SLOTS: usize = 1024;

    fn allocate(capacity: usize) -> Result<Self, AcquireError> {
        let refused = |bytes| AcquireError::new("", Limit::Memory { bytes }, capacity, 0, 0);
        let bytes = capacity.checked_mul(size_of::<T>());
        let bytes = bytes.ok_or_else(|| refused(usize::MAX))?;
        let (base, region) = if bytes == 0 {
            (NonNull::dangling(), None)
        } else {
            let region = Region::new(bytes, align_of::<T>(), &RegionOptions::new());
            let region = region.map_err(|_| refused(bytes))?;
            (region.base().cast(), Some(region))
        };
        Ok(Self {
            base,
            capacity,
            next: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            earlier: (0, 0),
            region,
            #[cfg(feature = "std")]
            budget: None,
            name: "",
            _values: PhantomData,
        })
    }

    /// The same pool with a name for errors and reports.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The same pool, with its memory charged to `budget`, and to no other any more.
    ///
    /// # Errors
    ///
    /// If the budget has no room for it.
    #[cfg(feature = "std")]
    pub fn charged_to(mut self, budget: &Budget) -> Result<Self, AcquireError> {
        let bytes = self.region.as_ref().map_or(0, Region::len);
        match budget.charge_bytes(bytes) {
            Err(exceeded) => Err(self.refusal(Limit::Budget(exceeded))),
            Ok(()) => {
                let before = self.budget.replace(budget.clone());
                if let Some(before) = before {
                    before.refund_bytes(bytes);
                }
                Ok(self)
            }
        }
    }

    fn refusal(&self, limit: Limit) -> AcquireError {
        AcquireError::new(self.name, limit, self.capacity, self.given(), 0)
    }

    fn given(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Touches the memory of the next `count` slots ahead of traffic, and answers how
    /// many are ready.
    pub fn warm_up(&mut self, count: usize) -> usize {
        /// The smallest page of any system that we know.
        const PAGE: usize = 4096;

        let free = self.capacity - self.given().min(self.capacity);
        let count = count.min(free);
        for offset in (0..count * size_of::<T>()).step_by(PAGE) {
            // SAFETY: in or behind the last slot given, below the capacity (1).
            let next = unsafe { self.base.add(self.capacity - free) };
            // SAFETY: below `count` slots from there.
            let byte = unsafe { next.cast::<MaybeUninit<u8>>().add(offset) };
            // SAFETY: in a slot without a value (2), and as uninitialised as before.
            unsafe { byte.write_volatile(MaybeUninit::new(0)) };
        }
        count
    }

    /// Puts a value into the next slot.
    ///
    /// # Errors
    ///
    /// Hands the value back if every slot was given out.
    #[inline]
    pub fn try_acquire(&self, value: T) -> Result<Indexed<'_, T>, Refused<T>> {
        let Some(index) = self.claim() else {
            return Err(self.refuse_slow(value));
        };
        // SAFETY: below the capacity, so inside the region (1).
        let place = unsafe { self.base.add(index) };
        // SAFETY: given to us alone (2), and without a value.
        unsafe { place.write(value) };
        Ok(Indexed {
            index,
            place,
            _pool: PhantomData,
        })
    }

    /// The next index, if there is one. Nobody else is given it until a reset.
    #[inline(always)]
    fn claim(&self) -> Option<usize> {
        if M::THREADS {
            // Not an addition alone: failing ones would come round some day.
            let one_more = |next| (next < self.capacity).then_some(next + 1);
            let claimed = self
                .next
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
            return claimed.ok();
        }
        let next = self.given();
        if next == self.capacity {
            return None;
        }
        self.next.store(next + 1, Ordering::Relaxed);
        Some(next)
    }

    #[cold]
    #[inline(never)]
    fn refuse_slow(&self, value: T) -> Refused<T> {
        if M::THREADS {
            self.refused.fetch_add(1, Ordering::Relaxed);
        } else {
            let refused = self.refused.load(Ordering::Relaxed);
            self.refused.store(refused + 1, Ordering::Relaxed);
        }
        Refused::new(self.refusal(Limit::Capacity), value)
    }

    /// What was put in since the last reset, in order.
    pub fn as_slice(&mut self) -> &[T] {
        self.as_mut_slice()
    }

    /// What was put in since the last reset, in order.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: by 2 those below `next` hold values, and nobody else has one
        // while the pool is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.base.as_ptr(), *self.next.get_mut()) }
    }

    /// Takes all slots back, and drops what is in them.
    pub fn reset(&mut self) {
        let given = core::mem::take(self.next.get_mut());
        self.earlier.0 += given as u64;
        self.earlier.1 = self.earlier.1.max(given);
        if needs_drop::<T>() {
            let values = ptr::slice_from_raw_parts_mut(self.base.as_ptr(), given);
            // SAFETY: by 2 they hold values, which nobody else has; they are
            // given out no more, also if a destructor panics.
            unsafe { values.drop_in_place() };
        }
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many slots are given out.
    pub fn len(&self) -> usize {
        self.given()
    }

    /// Whether no slot is given out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All figures.
    pub fn stats(&self) -> Observation {
        let in_use = self.given();
        let held = self.region.as_ref().map_or(0, Region::len);
        let mut figures = Observation::default();
        figures.item_bytes = size_of::<T>();
        figures.capacity = self.capacity;
        figures.created = self.capacity;
        figures.in_use = in_use;
        figures.depot = self.capacity - in_use;
        figures.high_water = self.earlier.1.max(in_use);
        figures.acquires = self.earlier.0 + in_use as u64;
        figures.hits = figures.acquires;
        figures.releases = self.earlier.0;
        figures.exhausted = self.refused.load(Ordering::Relaxed) as u64;
        figures.held_bytes = held;
        figures.used_bytes = in_use * size_of::<T>();
        figures.wasted_bytes = held - self.capacity * size_of::<T>();
        figures
    }
}

impl<T, M: Mode> Drop for IndexPool<T, M> {
    fn drop(&mut self) {
        /// The memory goes after the values, and also if one of them panics.
        struct Memory<'p> {
            region: &'p mut Option<Region>,
            #[cfg(feature = "std")]
            budget: Option<Budget>,
        }

        impl Drop for Memory<'_> {
            fn drop(&mut self) {
                let region = self.region.take();
                #[cfg(feature = "std")]
                let bytes = region.as_ref().map_or(0, Region::len);
                drop(region);
                #[cfg(feature = "std")]
                if let Some(budget) = &self.budget {
                    budget.refund_bytes(bytes);
                }
            }
        }

        let values = ptr::slice_from_raw_parts_mut(self.base.as_ptr(), *self.next.get_mut());
        let _memory = Memory {
            region: &mut self.region,
            #[cfg(feature = "std")]
            budget: self.budget.take(),
        };
        // SAFETY: by 2 they hold values, which nobody else has.
        unsafe { values.drop_in_place() };
    }
}

impl<T, M: Mode> Observe for IndexPool<T, M> {
    fn name(&self) -> &str {
        self.name
    }

    fn observe(&self) -> Observation {
        self.stats()
    }

    fn kind(&self) -> &'static str {
        "index"
    }

    fn sampled(&self) -> Sampled {
        Sampled::default()
    }
}

impl<T, M: Mode> fmt::Debug for IndexPool<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexPool")
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .field("in_use", &self.given())
            .finish_non_exhaustive()
    }
}

/// A value in a slot of an [`IndexPool`]. Dropping this leaves the value where
/// it is, until the pool is reset.
///
/// # Invariants
///
/// 1. `place` holds a value, which is reached through this alone.
pub struct Indexed<'p, T> {
    index: usize,
    place: NonNull<T>,
    _pool: PhantomData<&'p mut T>,
}

// SAFETY: it is a `&mut T`.
unsafe impl<T: Send> Send for Indexed<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Indexed<'_, T> {}

impl<T> Indexed<'_, T> {
    /// The index of the slot.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }
}

impl<T> Deref for Indexed<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: by 1, borrowed as long as this is.
        unsafe { self.place.as_ref() }
    }
}

impl<T> DerefMut for Indexed<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by 1, borrowed mutably as this is.
        unsafe { self.place.as_mut() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Indexed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
