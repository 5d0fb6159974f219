//! Proves that no form of the pool can be told from a map of leases: random
//! operations drive pool and model together, leases are filled with patterns,
//! and after every step spans, contents, refusals and counts agree.
//!
//! One line in the table below adds a form of pool; each line becomes a module
//! with a test for every type of value. Under Miri two forms stand for all, and threads
//! with owned leases for handles. `MILLPOND_SEED` replays one seed,
//! `MILLPOND_SEEDS` runs more than the usual few.
#![cfg(feature = "std")]

use millpond_core::budget::Budget;
use millpond_fixed::{
    Diagnosis, Exhaustion, FixedPool, Lease, Level, Local, LocalFixedPool, Mode, ObjectLease,
    ObjectPool, Observation, OwnedLease, PoolHandle, Recycle, Shared, Verdict,
};
use millpond_testing::{Census, Lending, Lends, Specimen, Threads, pool_table, run_threads};

pool_table!(shared, |case| borrowed(FixedPool::<T>::new(case.capacity)));
#[cfg(not(miri))]
pool_table!(local, |case| borrowed(LocalFixedPool::<T>::new_local(
    case.capacity
)));
#[cfg(not(miri))]
pool_table!(a_static, |case| {
    static POOL: FixedPool<T> = FixedPool::new(0);
    Static::sized(&POOL, case.capacity)
});
#[cfg(not(miri))]
pool_table!(owned_leases, |case| Lending::<_, T>::new(Handle(
    FixedPool::<T>::new(case.capacity).into_handle()
)));
#[cfg(not(miri))]
pool_table!(under_a_budget, |case| {
    let budget = Budget::new("model", usize::MAX);
    borrowed(
        FixedPool::<T>::builder(case.capacity)
            .budget(&budget)
            .build(),
    )
});
#[cfg(not(miri))]
pool_table!(growing, |case| {
    let extra = case.capacity - case.capacity / 2;
    let policy = Exhaustion::Grow { extra };
    let pool = FixedPool::<T>::builder(case.capacity / 2).exhaustion(policy);
    with_room(pool.build(), extra, 0)
});
#[cfg(not(miri))]
pool_table!(falling_back, |case| {
    let at_most = case.capacity - case.capacity / 2;
    let policy = Exhaustion::Fallback { at_most };
    let pool = FixedPool::<T>::builder(case.capacity / 2).exhaustion(policy);
    with_room(pool.build(), 0, at_most)
});
pool_table!(local_falling_back, |case| {
    let at_most = case.capacity - case.capacity / 2;
    let policy = Exhaustion::Fallback { at_most };
    let pool = LocalFixedPool::<T>::local_builder(case.capacity / 2).exhaustion(policy);
    with_room(pool.build_local(), 0, at_most)
});
#[cfg(not(miri))]
pool_table!(diagnosed, |case| {
    let pool = FixedPool::<T>::new(case.capacity);
    pool.set_diagnosis(Diagnosis::Full);
    borrowed(pool)
});

#[cfg(not(miri))]
pool_table!(local_diagnosed, |case| {
    let pool = LocalFixedPool::<T>::new_local(case.capacity);
    pool.set_diagnosis(Diagnosis::Full);
    borrowed(pool)
});

pool_table!(objects, |case| Lending::<_, T>::new(Objects {
    pool: ObjectPool::<Option<T>, _>::new(case.capacity, Emptied),
}));
#[cfg(not(miri))]
pool_table!(local_objects, |case| Lending::<_, T>::new(Objects {
    pool: ObjectPool::<Option<T>, _, Local>::new_local(case.capacity, Emptied),
}));

// ---- Threads ---------------------------------------------------------------

const PLAN: Threads = Threads {
    threads: if cfg!(miri) { 2 } else { 4 },
    steps: if cfg!(miri) { 16 } else { 4000 },
    seed: 11,
};

/// As many items as are hoarded, a magazine's worth and its neighbours.
const SIZES: &[usize] = if cfg!(miri) {
    &[3]
} else {
    &[1, 2, 17, 64, 500]
};

#[test]
fn threads_that_exchange_leases_never_share_a_slot_and_find_every_item() {
    for &size in SIZES {
        Census::during(|| run_threads(&borrowed::<u64, _>(FixedPool::new(size)), PLAN));
        Census::during(|| run_threads(&borrowed::<String, _>(FixedPool::new(size)), PLAN));
        let tracked = borrowed::<millpond_testing::Tracked, _>(FixedPool::new(size));
        Census::during(|| run_threads(&tracked, PLAN));
    }
}

#[test]
fn threads_with_owned_leases_never_share_a_slot_and_find_every_item() {
    for &size in SIZES {
        let pool = Lending::<_, [u8; 24]>::new(Handle(FixedPool::new(size).into_handle()));
        run_threads(&pool, PLAN);
    }
}

#[test]
fn threads_under_full_diagnostics_never_share_a_slot_and_find_every_item() {
    for &size in SIZES {
        let pool = FixedPool::<[u8; 24]>::new(size);
        pool.set_diagnosis(Diagnosis::Full);
        run_threads(&borrowed(pool), PLAN);
    }
}

#[test]
fn threads_that_exchange_objects_never_share_one() {
    for &size in SIZES {
        let pool = ObjectPool::new(size, Emptied);
        let strings = Lending::<_, String>::new(Objects { pool });
        Census::during(|| run_threads(&strings, PLAN));
        let pool = ObjectPool::new(size, Emptied);
        let tracked = Lending::<_, millpond_testing::Tracked>::new(Objects { pool });
        Census::during(|| run_threads(&tracked, PLAN));
    }
}

#[test]
fn threads_of_a_pool_that_falls_back_never_share_memory() {
    for &size in SIZES {
        let policy = Exhaustion::Fallback { at_most: size };
        let pool = FixedPool::<u64>::builder(size).exhaustion(policy).build();
        run_threads(&with_room(pool, 0, size), PLAN);
    }
}

// ---- What the model knows of each form ---------------------------------------

/// A pool that lends by borrow, and what its policy allows beyond the capacity.
struct Borrowed<T, M: Mode> {
    pool: FixedPool<T, M>,
    extra: usize,
    fallback: usize,
}

fn borrowed<T: Specimen, M: Mode>(pool: FixedPool<T, M>) -> Lending<Borrowed<T, M>, T> {
    with_room(pool, 0, 0)
}

fn with_room<T: Specimen, M: Mode>(
    pool: FixedPool<T, M>,
    extra: usize,
    fallback: usize,
) -> Lending<Borrowed<T, M>, T> {
    Lending::new(Borrowed {
        pool,
        extra,
        fallback,
    })
}

/// What may still be had: never created, or created and lying somewhere.
fn free(stats: &Observation, extra: usize) -> usize {
    stats.capacity + extra - stats.created + stats.cached + stats.depot
}

impl<T: Specimen, M: Mode> Lends<T> for Borrowed<T, M> {
    type Lease<'p>
        = Lease<'p, T, M>
    where
        Self: 'p;

    fn try_acquire(&self, value: T) -> Result<Lease<'_, T, M>, T> {
        self.pool
            .acquire(value)
            .map_err(millpond_fixed::Refused::into_value)
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.pool.capacity() + self.extra + self.fallback)
    }

    fn in_use(&self) -> usize {
        let stats = self.pool.stats();
        stats.in_use + stats.fallback_in_use
    }

    fn free(&self) -> Option<usize> {
        let stats = self.pool.stats();
        Some(free(&stats, self.extra) + self.fallback - stats.fallback_in_use)
    }

    fn trim(&self) {
        self.pool.trim(Level::Full);
    }
}

/// Objects are empty between two users.
#[derive(Clone, Copy)]
struct Emptied;

impl<T> Recycle<Option<T>> for Emptied {
    fn construct(&self) -> Option<T> {
        None
    }

    fn recycle(&self, object: &mut Option<T>) -> Verdict {
        *object = None;
        Verdict::Keep
    }

    fn is_valid(&self, object: &mut Option<T>) -> bool {
        assert!(object.is_none(), "what is kept was recycled");
        true
    }
}

/// A pool of objects into which values are put.
struct Objects<T, M: Mode> {
    pool: ObjectPool<Option<T>, Emptied, M>,
}

/// What is inside of an object on loan.
struct Inside<'p, T, M: Mode>(ObjectLease<'p, Option<T>, Emptied, M>);

impl<T, M: Mode> std::ops::Deref for Inside<'_, T, M> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().as_ref().expect("filled")
    }
}

impl<T, M: Mode> std::ops::DerefMut for Inside<'_, T, M> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().as_mut().expect("filled")
    }
}

impl<T: Specimen, M: Mode> Lends<T> for Objects<T, M> {
    type Lease<'p>
        = Inside<'p, T, M>
    where
        Self: 'p;

    fn try_acquire(&self, value: T) -> Result<Inside<'_, T, M>, T> {
        let Ok(mut lease) = self.pool.try_acquire() else {
            return Err(value);
        };
        *lease = Some(value);
        Ok(Inside(lease))
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.pool.capacity())
    }

    fn in_use(&self) -> usize {
        self.pool.stats().in_use
    }

    fn free(&self) -> Option<usize> {
        Some(free(&self.pool.stats(), 0))
    }

    fn trim(&self) {
        self.pool.trim(Level::Full);
    }
}

/// A static, which is left empty for the next case.
struct Static<T: Send + 'static>(&'static FixedPool<T>);

impl<T: Specimen> Static<T> {
    fn sized(pool: &'static FixedPool<T>, capacity: usize) -> Lending<Self, T> {
        pool.set_capacity(capacity);
        Lending::new(Self(pool))
    }
}

impl<T: Send> Drop for Static<T> {
    fn drop(&mut self) {
        self.0.trim(Level::Full);
    }
}

impl<T: Specimen> Lends<T> for Static<T> {
    type Lease<'p> = Lease<'static, T, Shared>;

    fn try_acquire(&self, value: T) -> Result<Lease<'static, T>, T> {
        self.0
            .try_acquire(value)
            .map_err(millpond_fixed::Refused::into_value)
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.0.capacity())
    }

    fn in_use(&self) -> usize {
        self.0.stats().in_use
    }

    fn free(&self) -> Option<usize> {
        Some(free(&self.0.stats(), 0))
    }

    fn trim(&self) {
        self.0.trim(Level::Moderate);
    }
}

/// A handle, whose leases keep the pool alive themselves.
struct Handle<T>(PoolHandle<T>);

impl<T: Specimen> Lends<T> for Handle<T> {
    type Lease<'p> = OwnedLease<T>;

    fn try_acquire(&self, value: T) -> Result<OwnedLease<T>, T> {
        self.0
            .try_acquire_owned(value)
            .map_err(millpond_fixed::Refused::into_value)
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.0.capacity())
    }

    fn in_use(&self) -> usize {
        self.0.stats().in_use
    }

    fn free(&self) -> Option<usize> {
        Some(free(&self.0.stats(), 0))
    }

    fn trim(&self) {
        self.0.trim(Level::Light);
    }
}
