//! Proves that pools come and go as they like, names stay unique, and looking at
//! pools holds no lock.

mod fixture;

use fixture::{Told, Working, figures};
use millpond_analytics::{LONGEST_NAME, MemoryMap, RegisterError, Registry, Tracker, Watch};
use millpond_core::budget::Budget;
use millpond_core::diagnostics::Diagnosis;
use millpond_core::observe::{Observation, Observe, RegionFigures};
use millpond_core::shared::SharedEngine;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

#[test]
fn a_dropped_pool_is_gone_and_its_name_free() {
    let registry = Registry::new();
    let first = Arc::new(Told::new("frames", figures(&[("acquires", 1)])));
    registry.register(&first).unwrap();
    let second = Arc::new(Told::new("frames", figures(&[("acquires", 2)])));
    let taken = RegisterError::Taken("frames".to_owned());
    assert_eq!(registry.register(&second), Err(taken));
    drop(first);
    assert!(registry.snapshot().pools.is_empty());
    registry.register(&second).unwrap();
    assert_eq!(registry.snapshot().pools[0].figures.acquires, 2);
}

#[test]
fn the_map_of_memory_says_where_pools_lie() {
    let registry = Registry::new();
    let pool = Arc::new(Working::new("frames", 100, 64));
    registry.register(&pool).unwrap();
    let unknowing = Arc::new(Told::new("told", Observation::default()));
    registry.register(&unknowing).unwrap();
    assert!(registry.memory_map().pools.is_empty(), "nothing was made");

    let item = pool.engine.acquire(0).unwrap();
    let map = registry.memory_map();
    let [frames] = map.pools.as_slice() else {
        panic!("{map:?}");
    };
    let address = item.as_ptr().addr().get();
    let holds = |region: &&_| {
        let RegionFigures {
            address: from,
            bytes,
            ..
        } = **region;
        (from..from + bytes).contains(&address)
    };
    let region = frames
        .regions
        .iter()
        .find(holds)
        .expect("the item is somewhere");
    assert_eq!((region.in_use, region.item_bytes), (1, 64));
    assert_eq!(frames.bytes(), pool.observe().held_bytes as u64);
    let json = serde_json::to_string(&map).unwrap();
    assert_eq!(serde_json::from_str::<MemoryMap>(&json).unwrap(), map);
    // SAFETY: acquired above, and released once.
    let _ = unsafe { SharedEngine::release(&raw const pool.engine, item) };
}

#[test]
fn names_are_checked_and_room_is_bounded() {
    let registry = Registry::with_room(2);
    let pools: Vec<_> = ["", "a", "b", "c"]
        .map(|name| Arc::new(Told::new(name, Observation::default())))
        .to_vec();
    assert_eq!(registry.register(&pools[0]), Err(RegisterError::Nameless));
    let long = "x".repeat(LONGEST_NAME + 1);
    let bytes = LONGEST_NAME + 1;
    assert_eq!(
        registry.register_as(&long, &pools[0]),
        Err(RegisterError::TooLong { bytes })
    );
    registry.register(&pools[1]).unwrap();
    registry.register_as("b", &pools[0]).unwrap();
    let full = RegisterError::Full { most: 2 };
    assert_eq!(full.to_string(), "the registry is full: 2 are allowed");
    assert_eq!(registry.register(&pools[3]), Err(full));
    assert!(registry.remove("b").is_some() && registry.remove("b").is_none());
    registry.register(&pools[3]).unwrap();
}

#[test]
fn static_pools_and_budgets() {
    static POOL: OnceLock<Working> = OnceLock::new();
    let pool = POOL.get_or_init(|| Working::new("static", 8, 64));
    let registry = Registry::new();
    registry.register_static(pool).unwrap();
    pool.engine.exercise(5).unwrap();
    assert_eq!(registry.snapshot().pools[0].figures.acquires, 5);

    let budget = Budget::new("all", 100);
    registry.register_budget(&budget).unwrap();
    assert!(registry.register_budget(&budget).is_err());
    assert_eq!(registry.snapshot().budgets[0].limit_bytes, 100);
    assert!(registry.remove_budget("all").is_some());
    assert!(registry.snapshot().budgets.is_empty());
}

/// A pool that registers another while it is looked at.
struct Nosy {
    registry: Registry,
    found: Arc<Told>,
}

impl Observe for Nosy {
    fn name(&self) -> &str {
        "nosy"
    }

    fn observe(&self) -> Observation {
        let _ = self.registry.register(&self.found);
        Observation::default()
    }
}

#[test]
fn a_pool_may_use_the_registry_while_it_is_looked_at() {
    let registry = Registry::new();
    let nosy = Arc::new(Nosy {
        registry: registry.clone(),
        found: Arc::new(Told::new("found", Observation::default())),
    });
    registry.register(&nosy).unwrap();
    assert_eq!(registry.snapshot().pools.len(), 1);
    assert_eq!(registry.snapshot().pools.len(), 2);
}

#[test]
fn pools_are_created_and_dropped_while_others_look() {
    let registry = Registry::new();
    thread::scope(|scope| {
        for maker in 0..2 {
            let registry = &registry;
            scope.spawn(move || {
                for _ in 0..200 {
                    let name = format!("pool {maker}");
                    let pool = Arc::new(Told::new(&name, Observation::default()));
                    registry.register(&pool).unwrap();
                }
            });
        }
        for _ in 0..200 {
            assert!(registry.snapshot().pools.len() <= 2);
        }
    });
    assert!(registry.snapshot().pools.is_empty());
}

#[test]
fn holders_are_reported_with_their_line_and_at_the_end() {
    let registry = Registry::new();
    let pool = Arc::new(Working::new("leaky", 4, 64));
    pool.engine.set_diagnosis(Diagnosis::Full);
    registry.register(&pool).unwrap();
    let leaked = pool.engine.acquire(0).unwrap();
    let line = line!() + 1;
    let here = std::panic::Location::caller();
    pool.engine.record(leaked, here).unwrap();
    thread::sleep(Duration::from_millis(2));
    let long = registry.held_longer_than(Duration::from_millis(1));
    assert_eq!(long.len(), 1);
    assert_eq!(long[0].0, "leaky");
    let place = format!("registry.rs:{line}:");
    assert!(long[0].1.location.contains(&place), "{:?}", long[0].1);
    assert!(long[0].1.held_ns >= 2_000_000);
    assert!(
        registry
            .held_longer_than(Duration::from_secs(3600))
            .is_empty()
    );
    let report = registry.remove("leaky").unwrap();
    assert_eq!((report.figures.in_use, report.holders.len()), (1, 1));
    assert!(registry.snapshot().pools.is_empty());
}

#[test]
fn a_tracker_sees_what_an_operation_did() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let registry = Registry::new();
    let pool = Arc::new(Working::new("tracked", 8, 64));
    registry.register(&pool).unwrap();
    pool.engine.exercise(10).unwrap();
    let count = || (CALLS.load(Ordering::Relaxed), 0);
    let tracker = Tracker::with_allocator(&registry, count);
    for _ in 0..2 {
        let _span = tracker.span("import");
        pool.engine.exercise(50).unwrap();
        CALLS.fetch_add(3, Ordering::Relaxed);
    }
    drop(tracker.span("nothing"));
    let report = tracker.report();
    let import = &report.operations[0];
    assert_eq!((import.name.as_str(), import.calls), ("import", 2));
    assert_eq!((import.acquires, import.allocations), (100, Some(6)));
    assert!(import.longest_ns <= import.total_ns && import.longest_ns > 0);
    assert_eq!(report.operations[1].acquires, 0);
    assert_eq!(import.resident_bytes.is_some(), cfg!(target_os = "linux"));
    assert!(report.to_string().contains("import"));
}

#[test]
fn a_tracker_does_not_fill_memory_with_names() {
    let tracker = Tracker::new(&Registry::new());
    for name in 0..1000 {
        drop(tracker.span(&name.to_string()));
    }
    let report = tracker.report();
    let other = report
        .operations
        .iter()
        .find(|o| o.name == "other")
        .unwrap();
    assert_eq!(
        report.operations.len(),
        millpond_analytics::MOST_OPERATIONS + 1
    );
    assert_eq!(
        other.calls,
        1000 - millpond_analytics::MOST_OPERATIONS as u64
    );
}

#[test]
fn a_watch_ends_when_it_is_dropped() {
    let seen = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&seen);
    let hour = Duration::from_secs(3600);
    let watch = Watch::start(&Registry::new(), hour, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let watch = watch.unwrap();
    while seen.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    drop(watch); // Does not wait for the hour.
    assert_eq!(Arc::strong_count(&seen), 1);
}
