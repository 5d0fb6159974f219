//! Many values at once: one look at the gate for all of them.

use crate::lease::Lease;
use crate::pool::{DefaultMode, FixedPool};
use crate::slot::{Patience, Slot, bring_all_home};
use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit, needs_drop};
use core::ops::{Index, IndexMut};
use core::ptr::NonNull;
use millpond_core::engine::{Engine, Mode};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Refused};
use millpond_core::home::FALLBACK;

#[cfg(feature = "std")]
use core::time::Duration;
#[cfg(feature = "std")]
use millpond_core::engine::Shared;
#[cfg(feature = "std")]
use millpond_core::error::Limit;
#[cfg(feature = "std")]
use millpond_core::exhaustion::Exhaustion;
#[cfg(feature = "std")]
use std::boxed::Box;
#[cfg(feature = "std")]
use std::time::Instant;

/// `N` values in slots of one pool, acquired together and released together.
///
/// ```
/// use millpond_fixed::FixedPool;
///
/// let pool = FixedPool::new(100);
/// let mut batch = pool.try_acquire_many([1, 2, 3])?;
/// batch[0] += 10;
/// assert_eq!(batch.iter().sum::<i32>(), 16);
///
/// let [first, ..] = batch.into_leases(); // Each for itself from here on.
/// assert_eq!(*first, 11);
/// # drop(first);
/// # Ok::<(), millpond_fixed::Refused<[i32; 3]>>(())
/// ```
///
/// # Cost
///
/// Less than half of `N` single acquires and releases: the cache is entered once
/// for as many slots as it has. `cargo xtask bench --chapter field-fixed` has the
/// row.
///
/// # Invariants
///
/// 1. `entries` are slots of the pool at `pool`, each with a value, and this is
///    their one user. Those from `inside` on lie outside the capacity; nothing is
///    unusual about the others.
#[must_use = "dropping a batch at once gives its slots back"]
pub struct Batch<'p, T, const N: usize, M: Mode = DefaultMode> {
    entries: [Entry; N],
    inside: usize,
    pool: NonNull<FixedPool<T, M>>,
    _values: PhantomData<(T, &'p FixedPool<T, M>)>,
}

// SAFETY: as for a lease: the values go where the batch goes, and slots may be
// released on any thread in the shared mode.
#[cfg(feature = "std")]
unsafe impl<T: Send, const N: usize> Send for Batch<'_, T, N, millpond_core::engine::Shared> {}
// SAFETY: through `&Batch` nothing but `&T` can be reached.
unsafe impl<T: Sync, const N: usize, M: Mode> Sync for Batch<'_, T, N, M> {}

/// Slots on their way into a batch; dropping this gives back what was gathered.
///
/// # Invariants
///
/// 1. The first `len` entries are slots of the pool, which hold no values and
///    have no other user. Those from `inside` on lie outside the capacity.
struct Gathered<'p, T, const N: usize, M: Mode> {
    entries: [MaybeUninit<Entry>; N],
    inside: usize,
    len: usize,
    pool: &'p FixedPool<T, M>,
}

// SAFETY: slots of a shared pool, which may be given back on any thread, and a
// borrow of the pool, whose values this does not touch.
#[cfg(feature = "std")]
unsafe impl<T: Send, const N: usize> Send for Gathered<'_, T, N, Shared> {}

impl<T, const N: usize, M: Mode> Gathered<'_, T, N, M> {
    /// Gives back what was gathered, the last one first.
    fn give_back(&mut self) {
        while let Some(index) = self.len.checked_sub(1) {
            self.len = index;
            // SAFETY: it was below `len` (1).
            let entry = unsafe { self.entries[index].assume_init() };
            // SAFETY: ours (1), and borrowed.
            let slot = unsafe { Slot::<FixedPool<T, M>>::new(entry, NonNull::from(self.pool)) };
            drop(slot.noted(note(index, self.inside)));
        }
    }
}

impl<T, const N: usize, M: Mode> Drop for Gathered<'_, T, N, M> {
    fn drop(&mut self) {
        /// What is left when a waker panicked.
        struct Rest<'g, 'p, T, const N: usize, M: Mode>(&'g mut Gathered<'p, T, N, M>);

        impl<T, const N: usize, M: Mode> Drop for Rest<'_, '_, T, N, M> {
            fn drop(&mut self) {
                self.0.give_back();
            }
        }

        Rest(self).0.give_back();
    }
}

/// What is unusual about the slot at `index`, if those from `inside` on lie outside
/// the capacity.
const fn note(index: usize, inside: usize) -> usize {
    if index < inside { 0 } else { FALLBACK }
}

impl<T, M: Mode> FixedPool<T, M> {
    /// Takes all values in, or none. Never waits or falls back.
    ///
    /// # Errors
    ///
    /// Hands the values back with the limit that was hit.
    #[inline]
    #[track_caller]
    pub fn try_acquire_many<const N: usize>(
        &self,
        values: [T; N],
    ) -> Result<Batch<'_, T, N, M>, Refused<[T; N]>> {
        match self.gather() {
            Ok(gathered) => Ok(gathered.fill(values)),
            Err(error) => Err(Refused::new(error, values)),
        }
    }

    /// `N` slots, or none.
    #[inline]
    #[track_caller]
    fn gather<const N: usize>(&self) -> Result<Gathered<'_, T, N, M>, AcquireError> {
        let mut gathered = Gathered::new(self);
        gathered.go_on(Patience::None)?;
        Ok(gathered)
    }
}

#[cfg(feature = "std")]
impl<T> FixedPool<T, Shared> {
    /// Takes all values in, or none, and does what the pool's policy says if too few
    /// slots are free: fail, grow, wait, or take what is missing from outside the
    /// capacity.
    ///
    /// ```
    /// use millpond_fixed::{Exhaustion, FixedPool};
    ///
    /// let policy = Exhaustion::Fallback { at_most: 10 };
    /// let pool = FixedPool::builder(2).exhaustion(policy).build();
    /// let batch = pool.acquire_many([1, 2, 3])?;
    /// let stats = pool.stats();
    /// assert_eq!((stats.in_use, stats.fallback_in_use), (2, 1));
    /// # drop(batch);
    /// # Ok::<(), millpond_fixed::Refused<[i32; 3]>>(())
    /// ```
    ///
    /// Batches wait for each other, so that two of them never hold what the other
    /// one needs; who waits for a single slot is served between.
    ///
    /// # Errors
    ///
    /// Hands the values back with the limit that was hit, once the policy is at its
    /// end; at once if it is to wait and `N` is more than the capacity.
    #[track_caller]
    pub fn acquire_many<const N: usize>(
        &self,
        values: [T; N],
    ) -> Result<Batch<'_, T, N>, Refused<[T; N]>> {
        let gathered = match self.slots.policy {
            Exhaustion::Block { timeout } => self.gather_waiting(timeout),
            Exhaustion::Grow { .. } | Exhaustion::Fallback { .. } => {
                let mut gathered = Gathered::new(self);
                gathered.go_on(Patience::Policy).map(|()| gathered)
            }
            _ => self.gather(),
        };
        match gathered {
            Ok(gathered) => Ok(gathered.fill(values)),
            Err(error) => Err(Refused::new(error, values)),
        }
    }

    /// Takes all values in, waiting up to `timeout` for as many free slots; see
    /// [`FixedPool::acquire_many`].
    ///
    /// # Errors
    ///
    /// Hands the values back with `Limit::Deadline` when the time is over,
    /// `Limit::Closed` if the pool was closed, or `Limit::Capacity` if `N` is more
    /// than the capacity.
    #[track_caller]
    pub fn acquire_many_timeout<const N: usize>(
        &self,
        values: [T; N],
        timeout: Duration,
    ) -> Result<Batch<'_, T, N>, Refused<[T; N]>> {
        match self.gather_waiting(Some(timeout)) {
            Ok(gathered) => Ok(gathered.fill(values)),
            Err(error) => Err(Refused::new(error, values)),
        }
    }

    /// Takes all values in, waiting in the task for as many free slots; see
    /// [`FixedPool::acquire_many`]. Dropping the future gives back what it has
    /// gathered.
    ///
    /// ```
    /// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// use millpond_fixed::FixedPool;
    ///
    /// let pool = FixedPool::new(3);
    /// let two = pool.try_acquire_many([1, 2])?;
    /// let mut three = pin!(pool.acquire_many_async([3, 4, 5]));
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(three.as_mut().poll(&mut context).is_pending());
    /// drop(two);
    /// assert!(three.as_mut().poll(&mut context).is_ready());
    /// # Ok::<(), millpond_fixed::Refused<[i32; 2]>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Hands the values back if the pool is or becomes closed, or could never give
    /// as many slots.
    pub async fn acquire_many_async<const N: usize>(
        &self,
        values: [T; N],
    ) -> Result<Batch<'_, T, N>, Refused<[T; N]>> {
        match self.gather_async().await {
            Ok(gathered) => Ok(gathered.fill(values)),
            Err(error) => Err(Refused::new(error, values)),
        }
    }

    /// A pool of one, whose lease is the turn to wait with slots in one's hands.
    fn turn(&self) -> &FixedPool<()> {
        self.turn.get_or_init(|| Box::new(FixedPool::new(1)))
    }

    #[track_caller]
    fn gather_waiting<const N: usize>(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Gathered<'_, T, N, Shared>, AcquireError> {
        if let Ok(gathered) = self.gather() {
            return Ok(gathered);
        }
        self.look_for_room(N)?;
        // A deadline that no clock reaches is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let left = || match deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        let turn = self.turn().acquire_timeout((), left());
        let _turn = turn.map_err(|_| self.error(Limit::Deadline))?;
        let mut gathered = Gathered::new(self);
        while gathered.len < N {
            gathered.go_on_once(Patience::Until(left()))?;
        }
        Ok(gathered)
    }

    async fn gather_async<const N: usize>(
        &self,
    ) -> Result<Gathered<'_, T, N, Shared>, AcquireError> {
        if let Ok(gathered) = self.gather() {
            return Ok(gathered);
        }
        self.look_for_room(N)?;
        let turn = self.turn().acquire_async(()).await;
        let _turn = turn.map_err(|_| self.error(Limit::Closed))?;
        let mut gathered = Gathered::new(self);
        while gathered.len < N {
            let entry = self.slots.engine.acquire_async(self.slots.policy.room());
            gathered.add(entry.await?, true);
        }
        Ok(gathered)
    }

    /// An error where waiting for `count` slots at once would be in vain.
    fn look_for_room(&self, count: usize) -> Result<(), AcquireError> {
        let most = self.capacity().saturating_add(self.slots.policy.room());
        if self.is_closed() {
            return Err(self.error(Limit::Closed));
        }
        if count > most {
            return Err(self.error(Limit::Capacity));
        }
        Ok(())
    }

    fn error(&self, limit: Limit) -> AcquireError {
        let engine = &self.slots.engine;
        let figures = Engine::observe(engine);
        let name = Engine::name(engine);
        AcquireError::new(
            name,
            limit,
            figures.capacity,
            figures.in_use,
            figures.waiting,
        )
        .with_cached(figures.cached + figures.depot)
        .with_sum(self.slots.sum.clone())
    }
}

impl<'p, T, const N: usize, M: Mode> Gathered<'p, T, N, M> {
    #[inline(always)]
    fn new(pool: &'p FixedPool<T, M>) -> Self {
        Self {
            entries: [const { MaybeUninit::uninit() }; N],
            inside: 0,
            len: 0,
            pool,
        }
    }

    /// Gathers until there are `N`. A pool under diagnostics records each.
    #[inline]
    #[track_caller]
    fn go_on(&mut self, patience: Patience) -> Result<(), AcquireError> {
        loop {
            if self.inside == self.len {
                let room = &mut self.entries[self.len..];
                self.len += self.pool.slots.engine.try_pop_many(room);
                self.inside = self.len;
            }
            if self.len == N {
                return Ok(());
            }
            // One by the slow path, which refills the cache for the others.
            self.go_on_once(patience)?;
        }
    }

    /// Gathers one more, of which there is need.
    #[track_caller]
    fn go_on_once(&mut self, patience: Patience) -> Result<(), AcquireError> {
        let keeper = NonNull::from(self.pool);
        // SAFETY: the slot borrows the pool.
        let slot: Slot<FixedPool<T, M>> = unsafe { self.pool.slots.slot(keeper, patience) }?;
        let inside = !slot.is_fallback();
        // Records are struck when a lease ends; a batch keeps none.
        self.add(slot.into_vacant_entry(), inside);
        Ok(())
    }

    /// Adds a slot: one inside the capacity goes before those outside.
    fn add(&mut self, entry: Entry, inside: bool) {
        self.entries[self.len].write(entry);
        if inside {
            self.entries.swap(self.inside, self.len);
            self.inside += 1;
        }
        self.len += 1;
    }

    #[inline(always)]
    fn fill(self, values: [T; N]) -> Batch<'p, T, N, M> {
        let this = ManuallyDrop::new(self);
        let pool = NonNull::from(this.pool);
        let mut entries = [const { Entry::from_index(0) }; N];
        for ((place, entry), value) in entries.iter_mut().zip(&this.entries).zip(values) {
            // SAFETY: all of them are gathered (1).
            *place = unsafe { entry.assume_init() };
            let item = place.as_ptr().cast::<T>();
            // SAFETY: a slot for a `T`, which is ours (1) and holds no value.
            unsafe { millpond_core::poison::on_lease(item.cast(), size_of::<T>()) };
            // SAFETY: as above.
            unsafe { item.write(value) };
        }
        Batch {
            entries,
            inside: this.inside,
            pool,
            _values: PhantomData,
        }
    }
}

impl<'p, T, const N: usize, M: Mode> Batch<'p, T, N, M> {
    /// The values, in the order in which they were handed in.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        self.entries.iter().map(|entry| {
            // SAFETY: by 1 there is a value, borrowed as long as the batch is.
            unsafe { entry.as_ptr().cast().as_ref() }
        })
    }

    /// As [`Batch::iter`], to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = &mut T> {
        self.entries.iter().map(|entry| {
            // SAFETY: by 1 there is a value, borrowed mutably as the batch is;
            // the slots are different ones.
            unsafe { entry.as_ptr().cast().as_mut() }
        })
    }

    /// A lease for each value.
    pub fn into_leases(self) -> [Lease<'p, T, M>; N] {
        let batch = ManuallyDrop::new(self);
        let mut index = 0;
        batch.entries.map(|entry| {
            // SAFETY: by 1; the batch gives each slot up. Memory tools were told
            // of the lease when the value came.
            let slot = unsafe { Slot::already_told(entry, batch.pool) };
            let slot = slot.noted(note(index, batch.inside));
            index += 1;
            // SAFETY: by 1 there is a value.
            unsafe { Lease::of_filled(slot) }
        })
    }
}

/// Frees slots outside the capacity.
///
/// # Safety
///
/// Each of `entries` is one, of a pool that is borrowed, holds no value, and is the
/// caller's.
#[cold]
#[inline(never)]
unsafe fn free_all_slow<T, M: Mode>(pool: NonNull<FixedPool<T, M>>, entries: &[Entry]) {
    for &entry in entries {
        // SAFETY: by the caller.
        drop(unsafe { Slot::already_told(entry, pool) }.noted(FALLBACK));
    }
}

impl<T, const N: usize, M: Mode> Drop for Batch<'_, T, N, M> {
    #[inline]
    fn drop(&mut self) {
        /// Gives the slots back, also if a destructor panics.
        struct Home<'b, T, M: Mode> {
            entries: &'b [Entry],
            inside: usize,
            dropped: usize,
            pool: NonNull<FixedPool<T, M>>,
        }

        impl<T, M: Mode> Drop for Home<'_, T, M> {
            #[inline(always)]
            fn drop(&mut self) {
                // A destructor panicked: the others run all the same.
                let panicked = self.dropped < self.entries.len();
                if panicked {
                    let rest = Self {
                        entries: self.entries,
                        inside: self.inside,
                        dropped: self.dropped + 1,
                        pool: self.pool,
                    };
                    return drop_rest(rest);
                }
                let (inside, outside) = self.entries.split_at(self.inside);
                // First, for the others may wake somebody, whose waker may panic.
                if !outside.is_empty() {
                    // SAFETY: the batch's own, without values now, and outside the
                    // capacity by 1.
                    unsafe { free_all_slow(self.pool, outside) };
                }
                // SAFETY: as above, and inside.
                unsafe { bring_all_home(self.pool, inside) };
            }
        }

        #[inline(always)]
        fn drop_rest<T, M: Mode>(mut home: Home<'_, T, M>) {
            if needs_drop::<T>() {
                while let Some(entry) = home.entries.get(home.dropped) {
                    // SAFETY: by 1 there is a value, and it is the batch's own;
                    // counted as dropped only afterwards, and skipped if it panics.
                    unsafe { entry.as_ptr().cast::<T>().drop_in_place() };
                    home.dropped += 1;
                }
            } else {
                home.dropped = home.entries.len();
            }
        }

        drop_rest(Home {
            entries: &self.entries,
            inside: self.inside,
            dropped: 0,
            pool: self.pool,
        });
    }
}

impl<T, const N: usize, M: Mode> Index<usize> for Batch<'_, T, N, M> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        // SAFETY: by 1 there is a value, borrowed as long as the batch is.
        unsafe { self.entries[index].as_ptr().cast().as_ref() }
    }
}

impl<T, const N: usize, M: Mode> IndexMut<usize> for Batch<'_, T, N, M> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        // SAFETY: by 1 there is a value, borrowed mutably as the batch is.
        unsafe { self.entries[index].as_ptr().cast().as_mut() }
    }
}

impl<T: fmt::Debug, const N: usize, M: Mode> fmt::Debug for Batch<'_, T, N, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
