//! Proves that objects are recycled and not dropped: what is kept comes back,
//! what is not kept is handed to the hook once and with its reason, whatever
//! panics, falls back, is trimmed, or outlives its pool.
#![cfg(feature = "std")]

use millpond_fixed::{
    Clear, Eviction, Exhaustion, FixedPool, Hooks, Level, Limit, LocalObjectPool, ObjectPool,
    Recycle, Verdict,
};
use millpond_testing::{Census, Tracked};
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Mutex;

/// Objects that are tracked, told what to do by a test.
#[derive(Default)]
struct Told {
    census: Option<Census>,
    verdict: Mutex<Option<Verdict>>,
    invalid: Mutex<bool>,
    panics: Mutex<&'static str>,
    evicted: Mutex<Vec<Eviction>>,
}

impl Told {
    fn new() -> Self {
        Self {
            census: Some(Census::new()),
            ..Self::default()
        }
    }

    fn maybe_panic(&self, here: &str) {
        assert!(
            *self.panics.lock().unwrap_or_else(|e| e.into_inner()) != here,
            "{here}"
        );
    }
}

impl Recycle<Tracked> for &Told {
    fn construct(&self) -> Tracked {
        self.maybe_panic("construct");
        self.census.as_ref().expect("made with one").track(1)
    }

    fn recycle(&self, _: &mut Tracked) -> Verdict {
        self.maybe_panic("recycle");
        self.verdict.lock().unwrap().unwrap_or(Verdict::Keep)
    }

    fn is_valid(&self, _: &mut Tracked) -> bool {
        self.maybe_panic("is_valid");
        !*self.invalid.lock().unwrap()
    }

    fn evicted(&self, object: Tracked, reason: Eviction) {
        self.evicted.lock().unwrap().push(reason);
        drop(object);
        self.maybe_panic("evicted");
    }
}

fn census(told: &Told) -> &Census {
    told.census.as_ref().expect("made with one")
}

#[test]
fn a_kept_object_is_constructed_once() {
    let told = Told::new();
    let pool = ObjectPool::new(1, &told);
    for _ in 0..100 {
        drop(pool.try_acquire().expect("free"));
    }
    assert_eq!(
        (census(&told).constructed(), census(&told).dropped()),
        (1, 0)
    );
    drop(pool);
    census(&told).assert_each_dropped_once();
    assert_eq!(*told.evicted.lock().unwrap(), [Eviction::PoolDropped]);
}

#[test]
fn a_rejected_object_goes_with_its_reason_and_a_new_one_comes() {
    let told = Told::new();
    let pool = ObjectPool::new(1, &told);
    let lease = pool.try_acquire().expect("free");
    *told.verdict.lock().unwrap() = Some(Verdict::Evict);
    drop(lease);
    *told.verdict.lock().unwrap() = None;
    drop(pool.try_acquire().expect("free"));
    *told.invalid.lock().unwrap() = true;
    drop(pool.try_acquire().expect("free"));
    let seen = told.evicted.lock().unwrap().clone();
    assert_eq!(seen, [Eviction::Rejected, Eviction::Invalid]);
    assert_eq!(census(&told).constructed(), 3);
}

#[test]
fn a_trim_evicts_what_is_free_and_leaves_what_is_leased() {
    let told = Told::new();
    let pool = ObjectPool::new(4, &told);
    assert_eq!(pool.warm_up(10), 4);
    assert_eq!(pool.trim(Level::Full).freed_items, 4);
    assert_eq!(*told.evicted.lock().unwrap(), [Eviction::Trimmed; 4]);
    let lease = pool.try_acquire().expect("free");
    pool.trim(Level::Full);
    assert_eq!(census(&told).alive(), 1, "the one that is leased");
    drop(lease);
}

#[test]
fn an_object_outside_the_capacity_is_not_kept() {
    let told = Told::new();
    let pool = FixedPool::builder(1)
        .exhaustion(Exhaustion::Fallback { at_most: 1 })
        .build_objects(&told);
    let inside = pool.acquire().expect("a slot");
    let outside = pool.acquire().expect("the heap");
    assert_eq!(
        *pool.try_acquire().expect_err("none is free").limit(),
        Limit::Capacity
    );
    drop(outside);
    assert_eq!(*told.evicted.lock().unwrap(), [Eviction::Fallback]);
    drop(inside);
    assert_eq!(census(&told).alive(), 1);
    assert_eq!(pool.stats().fallback_in_use, 0);
}

#[test]
fn an_object_taken_out_is_no_longer_the_pools() {
    let told = Told::new();
    let pool = ObjectPool::new(1, &told);
    let object = pool.try_acquire().expect("free").into_inner();
    assert_eq!(pool.stats().in_use, 0);
    drop(pool);
    assert_eq!(census(&told).alive(), 1);
    drop(object);
    assert!(told.evicted.lock().unwrap().is_empty());
}

/// A panic in any hook loses neither the slot nor the object, and drops nothing
/// twice.
#[test]
fn a_panic_in_a_hook_leaves_the_slot_free_and_the_object_dropped_once() {
    for place in ["construct", "recycle", "is_valid", "evicted"] {
        let told = Told::new();
        let pool = ObjectPool::new(1, &told);
        if place != "construct" {
            drop(pool.try_acquire().expect("free"));
        }
        *told.panics.lock().unwrap() = place;
        *told.invalid.lock().unwrap() = place == "evicted";
        let used = catch_unwind(AssertUnwindSafe(|| drop(pool.try_acquire())));
        assert!(used.is_err(), "{place}");
        *told.panics.lock().unwrap() = "";
        *told.invalid.lock().unwrap() = false;
        assert_eq!(pool.stats().in_use, 0, "{place}: the slot is home");
        assert_eq!(census(&told).alive(), 0, "{place}: the suspect is gone");
        drop(pool.try_acquire().expect("and can be used"));
        drop(pool);
        census(&told).assert_each_dropped_once();
    }
}

#[test]
fn a_panic_while_a_pool_goes_spares_no_object() {
    /// Panics for the first object, and only for that one.
    struct Once<'t>(&'t Census, Mutex<bool>);
    impl Recycle<Tracked> for Once<'_> {
        fn construct(&self) -> Tracked {
            self.0.track(1)
        }
        fn evicted(&self, object: Tracked, _: Eviction) {
            drop(object);
            let first = !std::mem::replace(&mut *self.1.lock().unwrap(), true);
            assert!(!first, "the first one");
        }
    }
    for trims in [false, true] {
        let census = Census::new();
        let pool = ObjectPool::new(3, Once(&census, Mutex::new(false)));
        assert_eq!(pool.warm_up(3), 3);
        let gone = catch_unwind(AssertUnwindSafe(|| {
            if trims {
                pool.trim(Level::Full);
            }
            drop(pool);
        }));
        assert!(gone.is_err());
        census.assert_each_dropped_once();
        assert_eq!(census.constructed(), 3);
    }
}

#[test]
fn a_hook_may_use_its_own_pool() {
    thread_local! {
        static POOL: RefCell<Option<Rc<LocalObjectPool<u32, Nested>>>> = const { RefCell::new(None) };
    }
    #[derive(Clone, Copy)]
    struct Nested;
    fn again(object: &mut u32) {
        if *object < 3 {
            let pool = POOL.with_borrow(|pool| pool.clone()).expect("set");
            let mut inner = pool.try_acquire().expect("room for four");
            *inner = *object + 1;
        }
    }
    impl Recycle<u32> for Nested {
        fn construct(&self) -> u32 {
            0
        }
        fn recycle(&self, object: &mut u32) -> Verdict {
            again(object);
            Verdict::Keep
        }
    }
    let pool = Rc::new(LocalObjectPool::new_local(4, Nested));
    POOL.set(Some(Rc::clone(&pool)));
    drop(pool.try_acquire().expect("free"));
    assert_eq!(pool.stats().in_use, 0);
    assert_eq!(pool.stats().created, 4);
    POOL.set(None);
}

#[test]
fn an_owned_lease_outlives_its_handle_and_the_last_one_evicts() {
    static EVICTED: Mutex<Vec<Eviction>> = Mutex::new(Vec::new());
    struct Counting;
    impl Recycle<String> for Counting {
        fn construct(&self) -> String {
            String::from("made")
        }
        fn evicted(&self, _: String, reason: Eviction) {
            EVICTED.lock().unwrap().push(reason);
        }
    }
    let handle = ObjectPool::new(2, Counting).into_handle();
    let one = handle.try_acquire_owned().expect("free");
    let two = handle.acquire_owned().expect("free");
    drop(handle);
    drop(one);
    assert!(EVICTED.lock().unwrap().is_empty());
    std::thread::spawn(move || assert_eq!(*two, "made"))
        .join()
        .expect("no panic");
    assert_eq!(*EVICTED.lock().unwrap(), [Eviction::PoolDropped; 2]);
}

#[test]
fn an_acquire_that_waits_gets_the_object_that_is_released() {
    let pool = ObjectPool::new(1, Hooks::new(|| 0u32, |_| ()));
    let mut lease = pool.try_acquire().expect("free");
    *lease = 7;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            pool.acquire_timeout(std::time::Duration::from_secs(60))
                .map(|l| *l)
        });
        while pool.stats().waiting == 0 {
            std::thread::yield_now();
        }
        drop(lease);
        assert_eq!(waiting.join().expect("no panic").expect("handed over"), 7);
    });
}

#[test]
fn a_large_map_keeps_its_capacity() {
    let pool = ObjectPool::<HashMap<u64, u64>, _>::new(1, Clear::keeping_all());
    let mut map = pool.try_acquire().expect("free");
    map.extend((0..1000).map(|key| (key, key)));
    let capacity = map.capacity();
    drop(map);
    let map = pool.try_acquire().expect("free");
    assert!(map.is_empty());
    assert_eq!(map.capacity(), capacity);
}

#[test]
fn what_grew_too_big_is_rejected_or_shrunk() {
    for (clear, expected) in [
        (Clear::rejecting_above(64), 0),
        (Clear::shrinking_above(64), 64),
    ] {
        let pool = ObjectPool::<Vec<u8>, _>::new(1, clear);
        let mut buffer = pool.try_acquire().expect("free");
        buffer.resize(1000, 1);
        drop(buffer);
        assert_eq!(pool.try_acquire().expect("free").capacity(), expected);
    }
}

#[test]
#[cfg_attr(miri, ignore = "it leaks on purpose")]
fn a_forgotten_lease_keeps_its_object_and_the_memory() {
    let told = Told::new();
    let pool = ObjectPool::new(2, &told);
    std::mem::forget(pool.try_acquire().expect("free"));
    drop(pool);
    assert_eq!(census(&told).dropped(), 0);
}
