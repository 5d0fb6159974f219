//! What a pond promises of its pools taken together.

use millpond::arena::Scope;
use millpond::fixed::Clear;
use millpond::{Diagnosis, Exhaustion, Level, Limit, Observe, Pond, PondError, PoolConfig};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn every_kind_of_pool_is_charged_to_the_one_budget() {
    let pond = Pond::builder().with_name("all").build().unwrap();
    let mut held = vec![pond.budget().held()];

    let arena = pond.arena(Scope::Json).unwrap();
    held.push(pond.budget().held());
    let buffer = pond.buffer(4096).unwrap();
    held.push(pond.budget().held());
    let nodes = pond.node_pool::<[u64; 16]>("nodes").unwrap();
    let node = nodes.try_acquire([0; 16]).unwrap();
    held.push(pond.budget().held());
    let rows = pond.vector_pool::<f32>("rows", 64, 100).unwrap();
    let row = rows.try_acquire().unwrap();
    held.push(pond.budget().held());

    assert!(held.windows(2).all(|pair| pair[0] < pair[1]), "{held:?}");
    let classes = pond.classes();
    let labels: Vec<_> = classes.iter().map(|class| class.label.as_ref()).collect();
    assert_eq!(labels, ["arenas", "bytes", "nodes", "rows"]);
    assert!(
        classes.iter().all(|class| class.figures.in_use == 1),
        "{classes:?}"
    );
    drop((arena, buffer, node, row));
    assert_eq!(pond.observe().in_use, 0);
}

#[test]
fn one_pool_gives_way_to_another_when_the_budget_is_full() {
    let pond = Pond::builder().with_budget_bytes(4 << 20).build().unwrap();
    let buffers: Vec<_> = (0..40).map(|_| pond.buffer(64 << 10)).collect();
    assert!(buffers.iter().all(Result::is_ok));
    drop(buffers); // 2.5 MiB lie in the byte pool, and nobody needs them.

    let arenas: Vec<_> = (0..3).map(|_| pond.arena(Scope::Search)).collect();
    assert!(arenas.iter().all(Result::is_ok), "{arenas:?}");
    assert!(pond.budget().held() <= pond.budget().limit());
}

/// The second request finds the buffer of the first, and it is charged once.
#[test]
fn large_objects_of_arenas_are_buffers_of_the_byte_pool() {
    let pond = Pond::builder()
        .with_large_objects_from_bytes(true)
        .build()
        .unwrap();
    let figures = || pond.bytes().observe();
    drop(pond.buffer(40_000).unwrap());
    let created = figures().created;
    for _ in 0..3 {
        let request = pond.arena(Scope::Json).unwrap();
        let before = pond.budget().held();
        let body = request.alloc_slice_fill_copy(40_000, 7_u8).unwrap();
        assert_eq!(body.len(), 40_000);
        assert_eq!((figures().in_use, figures().created), (1, created));
        assert_eq!(pond.budget().held(), before, "charged as a buffer");
    }
    assert_eq!((figures().in_use, figures().acquires), (0, 4));

    let huge = pond.arena(Scope::Json).unwrap();
    huge.alloc_slice_fill_copy(1 << 20, 7_u8).unwrap();
    assert_eq!(figures().oversizes, 0, "larger than all classes: its own");
}

#[test]
fn an_exhausted_pool_goes_on_from_the_heap_and_says_so() {
    let pond = Pond::builder().with_results(2).build().unwrap();
    let results = pond.result_pool::<u64>("results").unwrap();
    let leases: Vec<_> = (0..5).map(|n| results.acquire(n).unwrap()).collect();
    assert_eq!(leases.iter().map(|lease| **lease).sum::<u64>(), 10);
    assert_eq!(pond.observe().fallback_in_use, 3);
    drop(leases);
    assert_eq!(
        (pond.observe().fallback_in_use, pond.observe().fallbacks),
        (0, 3)
    );
}

#[test]
fn a_pond_that_should_fail_fails() {
    let pond = Pond::builder()
        .with_exhaustion(Exhaustion::Fail)
        .build()
        .unwrap();
    let pool = pond.fixed_pool::<u8>("one", 1).unwrap();
    let _held = pool.acquire(1).unwrap();
    let refused = pool.acquire(2).unwrap_err();
    assert_eq!(*refused.error().limit(), Limit::Capacity);
    assert_eq!(refused.error().pool(), "one");
    assert_eq!(refused.into_value(), 2);
}

#[test]
fn a_pond_that_should_wait_waits() {
    let wait = Exhaustion::Block {
        timeout: Some(Duration::from_millis(20)),
    };
    let pond = Pond::builder().with_exhaustion(wait).build().unwrap();
    let rows = pond.vector_pool::<u8>("rows", 16, 1).unwrap();
    let _held = rows.acquire().unwrap();
    let began = Instant::now();
    assert_eq!(*rows.acquire().unwrap_err().limit(), Limit::Deadline);
    assert!(began.elapsed() >= Duration::from_millis(20));
}

#[test]
fn names_are_unique_in_a_pond_and_free_in_another() {
    let pond = Pond::builder().build().unwrap();
    let clone = pond.clone();
    pond.fixed_pool::<u8>("a", 1).unwrap();
    let taken = PondError::Taken("a".into());
    assert_eq!(clone.node_pool::<u16>("a").unwrap_err(), taken);
    assert_eq!(taken.to_string(), "the pond has a pool named \"a\" already");
    assert!(
        Pond::builder()
            .build()
            .unwrap()
            .fixed_pool::<u8>("a", 1)
            .is_ok()
    );
}

#[test]
fn a_tick_leaves_busy_pools_alone_and_empties_idle_ones() {
    let pond = Pond::builder().build().unwrap();
    let pool = pond.fixed_pool::<[u8; 4096]>("pages", 100).unwrap();
    let leases: Vec<_> = (0..100).map(|_| pool.acquire([0; 4096]).unwrap()).collect();
    drop(leases);

    pond.tick();
    assert!(pool.stats().held_bytes >= 100 * 4096, "it was in use since");
    let report = pond.tick();
    assert!(report.freed_bytes >= 100 * 4096, "{report}");
    assert_eq!(pool.stats().created, 0);
}

#[test]
fn closing_waits_for_leases_and_gives_everything_back() {
    let pond = Pond::builder().build().unwrap();
    let pool = pond.fixed_pool::<[u8; 256]>("late", 10).unwrap();
    let lease = pool.acquire_owned([7; 256]).unwrap();
    let closing = pond.clone();
    let late = std::thread::spawn(move || {
        while !closing.is_closed() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(30));
        drop(lease);
    });
    // If it did not wait it would find the lease.
    let report = pond.close(Duration::from_secs(60));
    late.join().unwrap();
    assert!(report.is_empty(), "{report}");
    assert_eq!(report.to_string(), "everything came home");

    assert!(pond.is_closed());
    assert_eq!(
        *pool.try_acquire([0; 256]).unwrap_err().error().limit(),
        Limit::Closed
    );
    assert!(pond.buffer(64).is_err());
    assert!(pond.arena(Scope::Json).is_err());
    assert_eq!(
        pond.fixed_pool::<u8>("more", 1).unwrap_err(),
        PondError::Closed
    );
    assert_eq!(pond.observe().held_bytes, 0);
}

#[test]
fn a_leak_report_names_pools_and_places() {
    let pond = Pond::builder().build().unwrap();
    let pool = pond.fixed_pool::<u32>("held", 10).unwrap();
    pond.set_diagnosis(Diagnosis::Full);
    let lease = pool.acquire_owned(7).unwrap();
    let buffer = pond.buffer(100).unwrap();

    assert_eq!(pond.leaks().leased(), 2, "on demand");
    let report = pond.close(Duration::ZERO);
    let text = report.to_string();
    assert_eq!(report.leased(), 2, "{text}");
    assert!(text.contains("bytes pool `bytes`: 1 items, "), "{text}");
    assert!(text.contains("fixed pool `held`: 1 items, "), "{text}");
    assert_eq!(text.matches(file!()).count(), 2, "{text}");

    drop((lease, buffer));
    assert!(pond.close(Duration::ZERO).is_empty());
}

#[test]
fn an_adopted_pool_is_trimmed_and_observed_with_the_others() {
    let pond = Pond::builder().build().unwrap();
    let pool = millpond::vector::VectorPool::<f32>::builder(32)
        .capacity(1000)
        .name("adopted")
        .budget(pond.budget())
        .build()
        .unwrap();
    let pool = Arc::new(pool);
    pond.adopt(&pool).unwrap();
    drop(pool.acquire().unwrap());
    assert_eq!(pond.classes().last().unwrap().label, "adopted");
    assert!(pond.trim(Level::Full).freed_items > 0);
}

#[test]
fn a_hook_hears_of_every_pool() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let hook = millpond::EventHook::new(move |pool, _| ears.lock().unwrap().push(pool));
    let pond = Pond::builder().with_hook(hook).build().unwrap();
    let fixed = pond.fixed_pool::<u8>("fixed", 1).unwrap();
    let rows = pond.vector_pool::<u8>("rows", 1, 1).unwrap();
    drop((fixed.acquire(1), rows.acquire(), pond.buffer(1)));
    let heard = heard.lock().unwrap();
    for pool in ["fixed", "rows", "bytes"] {
        assert!(heard.contains(&pool), "{pool} is not among {heard:?}");
    }
}

#[test]
fn items_outlive_the_pond() {
    let pond = Pond::builder().build().unwrap();
    let budget = pond.budget().clone();
    let pool = pond.fixed_pool::<String>("words", 4).unwrap();
    let word = pool.acquire_owned("still here".to_owned()).unwrap();
    let buffer = pond.buffer(10).unwrap();
    drop((pool, pond));
    assert_eq!(*word, "still here");
    assert!(budget.held() > 0);
    drop((word, buffer));
    assert_eq!(budget.held(), 0);
}

/// Handles go where they are needed, and errors where errors go.
#[test]
fn handles_and_errors_have_the_traits_that_users_expect() {
    fn handle<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    fn error<E: std::error::Error + Send + Sync + 'static>() {}
    fn configuration<C: Clone + Default + std::fmt::Debug + Send>() {}
    fn kind(error: impl Into<std::io::Error>) -> std::io::ErrorKind {
        error.into().kind()
    }
    handle::<Pond>();
    handle::<millpond::fixed::PoolHandle<u8>>();
    handle::<millpond::bytes::BytePool>();
    handle::<millpond::arena::ArenaManager>();
    handle::<millpond::Budget>();
    configuration::<millpond::PondConfig>();
    configuration::<millpond::bytes::Config>();
    error::<PondError>();
    error::<millpond::AcquireError>();
    error::<millpond::Refused<u8>>();
    error::<millpond::arena::ArenaFull>();
    error::<millpond::arena::LeaseError>();
    error::<millpond::bytes::Full>();
    error::<millpond::vector::ShapeError>();
    let of = |limit| kind(millpond::AcquireError::new("p", limit, 1, 1, 0));
    assert_eq!(of(Limit::Capacity), std::io::ErrorKind::WouldBlock);
    assert_eq!(of(Limit::Deadline), std::io::ErrorKind::TimedOut);
    assert_eq!(
        of(Limit::Memory { bytes: 1 }),
        std::io::ErrorKind::OutOfMemory
    );
}

#[test]
fn pools_are_registered_as_they_are_made() {
    let pond = Pond::builder().with_name("shown").build().unwrap();
    let pool = pond.fixed_pool::<u64>("pool", 8).unwrap();
    for n in 0..100 {
        drop(pool.acquire(n).unwrap());
    }
    let snapshot = pond.analytics().snapshot();
    let names: Vec<_> = snapshot
        .pools
        .iter()
        .map(|pool| pool.name.as_str())
        .collect();
    assert_eq!(names, ["arenas", "bytes", "pool"]);
    assert_eq!(snapshot.budgets[0].name, "shown");
    assert_eq!(snapshot.pool("pool").unwrap().figures.acquires, 100);
    assert!(pond.efficiency().allocations_avoided >= 90);

    let read = millpond::analytics::Snapshot::from_json(&pond.report_json()).unwrap();
    assert_eq!(read.pool("pool").unwrap().figures.acquires, 100);
}

/// The report comes by itself: from a pool that is closed, with places and bytes, and
/// from one that is dropped while leases keep its items.
#[test]
fn a_leak_is_reported_when_its_pool_is_closed() {
    use millpond::analytics::{Leak, Registry};
    use millpond::fixed::FixedPool;
    let told: Arc<Mutex<Vec<Leak>>> = Arc::default();
    let (registry, ears) = (Registry::new(), Arc::clone(&told));
    let hook = registry.leak_hook(move |leak| ears.lock().unwrap().push(leak.clone()));
    let pool = |name| {
        let builder = FixedPool::<[u8; 64]>::builder(10).name(name);
        let pool = Arc::new(builder.on_event(hook.clone()).build().into_handle());
        registry.register(&pool).unwrap();
        pool.set_diagnosis(Diagnosis::Full);
        pool
    };
    let (quiet, closed, dropped) = (pool("quiet"), pool("closed"), pool("dropped"));
    drop(quiet.acquire([0; 64]).unwrap());
    quiet.close();
    let leases = (
        closed.acquire_owned([1; 64]).unwrap(),
        dropped.acquire_owned([2; 64]).unwrap(),
    );
    let now: Vec<_> = registry.leaks().into_iter().map(|leak| leak.pool).collect();
    assert_eq!(now, ["closed", "dropped"], "on demand");
    closed.close();
    drop(dropped);
    let told = told.lock().unwrap();
    let found: Vec<_> = told.iter().map(|leak| (&*leak.pool, leak.leased)).collect();
    assert_eq!(found, [("closed", 1), ("dropped", 1)]);
    assert_eq!((told[0].leased_bytes, told[0].holders.len()), (64, 1));
    let text = told[0].to_string();
    assert!(
        text.starts_with("pool `closed`: 1 leased, 64 B\n  acquired at "),
        "{text}"
    );
    assert!(text.contains(file!()), "{text}");
    drop(leases);
}

/// Pools of every kind that knows say where each leased item lies.
#[test]
fn the_map_of_memory_counts_what_is_leased_by_pool() {
    let pond = Pond::builder().build().unwrap();
    let nodes = pond.fixed_pool::<[u64; 4]>("nodes", 1000).unwrap();
    let clear = millpond::fixed::Clear::keeping_all();
    let lines = pond.object_pool::<String, _>("lines", 1000, clear).unwrap();
    let rows = pond.vector_pool::<f32>("rows", 100, 1000).unwrap();
    let nodes: Vec<_> = (0..70)
        .map(|n| nodes.acquire_owned([n; 4]).unwrap())
        .collect();
    let mut lines: Vec<_> = (0..50).map(|_| lines.acquire_owned().unwrap()).collect();
    lines.truncate(30);
    let mut held: Vec<_> = (0..40).map(|_| rows.acquire().unwrap()).collect();
    held.truncate(20);
    let few: Vec<_> = (0..5).map(|_| pond.buffer(100).unwrap()).collect();
    let large = pond.buffer(60_000).unwrap();

    let map = pond.analytics().memory_map();
    let leased: Vec<(&str, usize)> = map
        .pools
        .iter()
        .map(|pool| {
            let out = pool.regions.iter().map(|region| region.in_use).sum();
            (pool.pool.as_str(), out)
        })
        .collect();
    let expected = [("bytes", 6), ("lines", 30), ("nodes", 70), ("rows", 20)];
    assert_eq!(leased, expected);
    let around = |name: &str, address: usize| {
        let pool = map.pools.iter().find(|pool| pool.pool == name).unwrap();
        let inside = |region: &&millpond::RegionFigures| {
            (region.address..region.address + region.bytes).contains(&address)
        };
        pool.regions.iter().filter(inside).count()
    };
    assert_eq!(around("rows", held[0].as_ptr().addr()), 1);
    assert_eq!(around("bytes", large.as_ptr().addr()), 1);
    assert_eq!(around("nodes", nodes[69].as_ptr().addr()), 1);
    drop((few, lines));
}

#[test]
fn a_warm_up_beyond_the_capacity_neither_waits_nor_leaves_the_pool() {
    let policies = [
        Exhaustion::Block {
            timeout: Some(Duration::from_secs(5)),
        },
        Exhaustion::Fallback { at_most: 100 },
        Exhaustion::Grow { extra: 100 },
    ];
    for policy in policies {
        let warm = || PoolConfig::new().with_warm_up(usize::MAX);
        let pond = Pond::builder()
            .with_exhaustion(policy)
            .with_pool("values", warm())
            .with_pool("objects", warm())
            .with_pool("rows", warm())
            .build()
            .unwrap();
        let _values = pond.fixed_pool::<u64>("values", 4).unwrap();
        let clear = Clear::rejecting_above(100);
        let _objects = pond.object_pool::<String, _>("objects", 4, clear).unwrap();
        let _rows = pond.vector_pool::<f32>("rows", 16, 4).unwrap();
        for class in &pond.classes()[2..] {
            let figures = class.figures;
            let label = &class.label;
            assert_eq!(figures.created, 4, "{label}, {policy:?}");
            assert_eq!((figures.waits, figures.fallbacks), (0, 0), "{label}");
        }
    }
}
