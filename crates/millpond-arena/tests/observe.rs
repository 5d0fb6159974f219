//! A manager shows its scopes as the classes of one pool, and tells what happens.

use millpond_arena::{ArenaManager, Diagnosis, Full, Level, Scope, ScopeConfig};
use millpond_core::budget::Budget;
use millpond_core::event::{Event, EventHook};
use millpond_core::observe::Observe;
use std::sync::{Arc, Mutex};

const KIB: usize = 1 << 10;

/// A manager whose Json scope is small and has 64 KiB, and what it told.
fn told() -> (ArenaManager, Arc<Mutex<Vec<String>>>) {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&log);
    let hook = EventHook::new(move |scope, event| {
        let happened = match event {
            Event::Refused { in_use, .. } => format!("{scope} refused, {in_use} out"),
            Event::Outgrown { held_bytes } => format!("{scope} outgrown, {held_bytes}"),
            Event::Discarded { reason, bytes } => format!("{scope} {reason}, {bytes}"),
            Event::Damaged { .. } => format!("{scope} damaged"),
            Event::Trimmed { report } => format!("{scope} trimmed, {}", report.freed_items),
            _ => return,
        };
        told.lock().expect("nobody panics with it").push(happened);
    });
    let mut builder = ArenaManager::builder();
    builder.configure(Scope::Json, ScopeConfig::of(8 * KIB).with_parked(1));
    builder
        .budget(&Budget::new("all", 100 * KIB))
        .on_event(hook);
    (builder.build().expect("figures that agree"), log)
}

fn taken(log: &Mutex<Vec<String>>) -> Vec<String> {
    core::mem::take(&mut *log.lock().expect("nobody panics with it"))
}

#[test]
fn what_happens_on_slow_paths_is_told() {
    let (manager, log) = told();
    let lease = manager.lease(Scope::Json).expect("memory");
    let other = manager.lease(Scope::Json).expect("memory");
    assert_eq!(taken(&log), [""; 0], "ordinary leases say nothing");
    drop(other);
    assert_eq!(taken(&log), ["json surplus, 8192"]);
    while lease.used_bytes() < 12 * KIB {
        lease.alloc([0_u64; 64]).expect("room");
    }
    let refused = lease.alloc_slice_uninit::<u8>(90 * KIB).map(|_| ());
    assert_eq!(refused.expect_err("too large").full(), Full::Budget);
    assert!(manager.lease(Scope::Search).is_err(), "1 MiB is too large");
    let held = lease.held_bytes();
    drop(lease);
    let told = taken(&log);
    let refused = told.iter().filter(|told| told.contains("refused"));
    assert!(refused.eq(["json refused, 1 out", "search refused, 0 out"].iter()));
    assert!(told.contains(&format!("json outgrown, {held}")), "{told:?}");
    manager.trim(Level::Full);
    assert!(
        taken(&log)
            .iter()
            .any(|told| told.starts_with("json trimmed"))
    );
}

/// What a lease was refused, as its hook hears of it.
#[test]
fn a_refusal_by_the_limit_of_the_lease_is_told() {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&log);
    let mut builder = ArenaManager::builder();
    builder
        .configure(Scope::Json, ScopeConfig::of(8 * KIB).with_limit(16 * KIB))
        .on_event(EventHook::new(move |scope, event| {
            if let Event::Refused { limit, in_use } = event {
                let refused = format!("{scope}, {in_use} out: {limit}");
                told.lock().expect("nobody panics with it").push(refused);
            }
        }));
    let manager = builder.build().expect("figures that agree");
    let lease = manager.lease(Scope::Json).expect("memory");

    let large = lease.alloc_slice_uninit::<u8>(9 * KIB).map(|_| ());
    assert_eq!(large.expect_err("a large object").full(), Full::Lease);
    let told = taken(&log);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("json, 1 out: the lease, which holds 8192 of 16384 bytes"),
        "{told:?}"
    );

    while lease.alloc([0_u64; 64]).is_ok() {}
    assert_eq!(taken(&log).len(), 1, "the chunk that was not added");
    lease.alloc([0_u64; 64]).expect_err("still full");
    assert_eq!(taken(&log).len(), 1, "each refusal is told");

    // One that asks by `try_reserve` hears of it as well, and goes on.
    let mut bytes = allocator_api2::vec::Vec::<u8, _>::new_in(&lease);
    bytes.try_reserve(9 * KIB).expect_err("no room");
    assert_eq!(taken(&log).len(), 1);
}

/// The largest chunk that a budget has room for is no refusal.
#[test]
fn a_smaller_chunk_instead_is_not_told() {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&log);
    let mut builder = ArenaManager::builder();
    builder
        .configure(Scope::Json, ScopeConfig::of(64 * KIB))
        .budget(&Budget::new("all", 112 * KIB))
        .on_event(EventHook::new(move |_, event| {
            told.lock()
                .expect("nobody panics with it")
                .push(format!("{event:?}"));
        }));
    let manager = builder.build().expect("figures that agree");
    let lease = manager.lease(Scope::Json).expect("memory");
    while lease.used_bytes() < 65 * KIB {
        lease.alloc([0_u64; 64]).expect("room for a smaller chunk");
    }
    assert!(lease.held_bytes() < 112 * KIB);
    let told = taken(&log);
    assert!(
        !told.iter().any(|told| told.contains("Refused")),
        "{told:?}"
    );
}

#[test]
#[cfg_attr(miri, ignore = "Miri sees the damage itself")]
fn a_write_after_the_end_is_found() {
    let (manager, log) = told();
    manager.set_diagnosis(Diagnosis::Full);
    let lease = manager.lease(Scope::Json).expect("memory");
    let place = std::ptr::from_mut(lease.alloc([0_u64; 20]).expect("room"));
    lease.alloc([1_u64; 20]).expect("room");
    drop(lease);
    drop(manager.lease(Scope::Json).expect("memory"));
    assert_eq!(taken(&log), [""; 0], "nobody wrote");
    let lease = manager.lease(Scope::Json).expect("memory");
    assert_eq!(
        std::ptr::from_mut(lease.alloc([0_u64; 20]).expect("room")),
        place
    );
    drop(lease);
    // SAFETY: the chunk is parked: still memory of the process, and nobody's. This
    // is the bug that is looked for.
    unsafe { place.cast::<u8>().write_volatile(1) };
    drop(manager.lease(Scope::Json).expect("memory"));
    assert_eq!(taken(&log), ["json damaged"]);
}

#[test]
fn a_hook_that_panics_loses_no_arena() {
    let mut builder = ArenaManager::builder();
    builder.configure(Scope::Json, ScopeConfig::of(8 * KIB).with_parked(0));
    builder.on_event(EventHook::new(|_, event| {
        assert!(!matches!(event, Event::Discarded { .. }), "as it were");
    }));
    let manager = builder.build().expect("figures that agree");
    let lease = manager.lease(Scope::Json).expect("memory");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(lease)));
    assert!(ended.is_err());
    let stats = manager.scope_stats(Scope::Json).expect("built in");
    assert_eq!((stats.live, stats.leases), (0, 1));
}

#[test]
#[cfg_attr(miri, ignore = "a tick comes after thousands of returns")]
fn a_hook_that_panics_at_a_tick_loses_no_arena() {
    let mut builder = ArenaManager::builder();
    builder.on_event(EventHook::new(|_, event| {
        assert!(!matches!(event, Event::Trimmed { .. }), "as it were");
    }));
    let manager = builder.build().expect("figures that agree");
    let lease = || manager.lease(Scope::Json).expect("memory");
    drop((0..32).map(|_| lease()).collect::<Vec<_>>());
    let returns_in_peace = |_: &u32| {
        let lease = lease();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(lease))).is_ok()
    };
    let returns = (0..1_000_000).take_while(returns_in_peace).count();
    assert!(returns < 1_000_000, "there was a tick");
    let stats = manager.scope_stats(Scope::Json).expect("built in");
    assert_eq!(stats.live, 0);
}

#[test]
fn scopes_are_classes_and_add_up() {
    let manager = ArenaManager::new();
    manager.set_diagnosis(Diagnosis::Full);
    for _ in 0..10 {
        let arena = manager.lease(Scope::Json).expect("no limit");
        arena.alloc_slice_copy(&[1_u8; 5000]).expect("fits");
    }
    let held = manager.lease(Scope::Primitive).expect("no limit");
    assert_eq!(manager.kind(), "arena");
    let classes = manager.classes();
    let labels: Vec<&str> = classes.iter().map(|class| &*class.label).collect();
    assert_eq!(labels, ["primitive", "search", "json"]);
    let json = &classes[2];
    assert_eq!(json.figures.acquires, 10);
    assert_eq!(
        (json.sampled.sizes.count(), json.sampled.hold_ns.count()),
        (10, 10)
    );
    let used = json.sampled.sizes.quantile(0.5).expect("ten were used");
    assert!((5000..10_000).contains(&used), "{used}");
    let sum = manager.observe();
    assert_eq!((sum.acquires, sum.in_use), (11, 1));
    assert_eq!(Observe::holders(&manager).len(), 1);
    drop(held);
}
