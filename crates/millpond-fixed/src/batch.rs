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
///    their one user. Nothing is unusual about them.
#[must_use = "dropping a batch at once gives its slots back"]
pub struct Batch<'p, T, const N: usize, M: Mode = DefaultMode> {
    entries: [Entry; N],
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
///    have no other user.
struct Gathered<'p, T, const N: usize, M: Mode> {
    entries: [MaybeUninit<Entry>; N],
    len: usize,
    pool: &'p FixedPool<T, M>,
}

impl<T, const N: usize, M: Mode> Drop for Gathered<'_, T, N, M> {
    fn drop(&mut self) {
        for entry in &self.entries[..self.len] {
            // SAFETY: below `len` (1).
            let entry = unsafe { entry.assume_init() };
            // SAFETY: ours (1), and borrowed.
            drop(unsafe { Slot::<FixedPool<T, M>>::new(entry, NonNull::from(self.pool)) });
        }
    }
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

    /// `N` slots, or none. A pool under diagnostics records each.
    #[inline]
    #[track_caller]
    fn gather<const N: usize>(&self) -> Result<Gathered<'_, T, N, M>, AcquireError> {
        let mut gathered = Gathered {
            entries: [const { MaybeUninit::uninit() }; N],
            len: 0,
            pool: self,
        };
        loop {
            let room = &mut gathered.entries[gathered.len..];
            gathered.len += self.slots.engine.try_pop_many(room);
            if gathered.len == N {
                return Ok(gathered);
            }
            // One by the slow path, which refills the cache for the others.
            // SAFETY: the slot borrows the pool.
            let slot: Slot<Self> = unsafe { self.slots.slot(NonNull::from(self), Patience::None) }?;
            // Records are struck when a lease ends; a batch keeps none.
            gathered.entries[gathered.len].write(slot.into_plain_entry());
            gathered.len += 1;
        }
    }
}

impl<'p, T, const N: usize, M: Mode> Gathered<'p, T, N, M> {
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
        batch.entries.map(|entry| {
            // SAFETY: by 1; the batch gives each slot up. Memory tools were told
            // of the lease when the value came.
            let slot = unsafe { Slot::already_told(entry, batch.pool) };
            // SAFETY: by 1 there is a value.
            unsafe { Lease::of_filled(slot) }
        })
    }
}

impl<T, const N: usize, M: Mode> Drop for Batch<'_, T, N, M> {
    #[inline]
    fn drop(&mut self) {
        /// Gives the slots back, also if a destructor panics.
        struct Home<'b, T, M: Mode> {
            entries: &'b [Entry],
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
                        dropped: self.dropped + 1,
                        pool: self.pool,
                    };
                    return drop_rest(rest);
                }
                // SAFETY: the batch's own, without values now.
                unsafe { bring_all_home(self.pool, self.entries) };
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
