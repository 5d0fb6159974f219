//! What stays when leases end, and how it goes.

use millpond_arena::{ArenaManager, Discarded, Level, Scope, ScopeConfig};
use millpond_core::budget::Budget;
use millpond_core::observe::Observe;

const SCOPE: Scope = Scope::Json;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn manager(config: ScopeConfig) -> ArenaManager {
    let mut builder = ArenaManager::builder();
    builder.configure(SCOPE, config);
    builder.build().expect("figures that agree")
}

fn request(manager: &ArenaManager, bytes: usize) {
    let lease = manager.lease(SCOPE).expect("memory");
    for _ in 0..bytes / 512 {
        lease.alloc_uninit::<[u64; 64]>().expect("room");
    }
}

#[test]
fn a_balloon_is_gone_at_once() {
    let balloon = if cfg!(miri) { MIB } else { 200 * MIB };
    let config = ScopeConfig::of(64 * KIB).with_limit(300 * MIB);
    let manager = manager(config);
    let lease = manager.lease(SCOPE).expect("memory");
    while lease.held_bytes() < balloon {
        lease.alloc_slice_uninit::<u8>(8 * KIB).expect("room");
    }
    lease.alloc_slice_uninit::<u8>(MIB).expect("a large object");
    drop(lease);
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert!(stats.parked_bytes <= 4 * 64 * KIB, "{stats:?}");
    assert_eq!((stats.overflows, stats.large_objects), (1, 1));
}

#[test]
fn a_scope_whose_requests_outgrow_nominal_is_built_in_one_piece_next_time() {
    let manager = manager(ScopeConfig::of(64 * KIB).with_retention(MIB));
    request(&manager, 300 * KIB);
    request(&manager, 300 * KIB);
    request(&manager, 300 * KIB);
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!(stats.overflows, 1, "only the first: {stats:?}");
    assert_eq!(stats.target_bytes, 512 * KIB);
}

#[test]
fn one_large_request_among_many_small_ones_changes_nothing() {
    let manager = manager(ScopeConfig::of(64 * KIB).with_retention(MIB));
    let rounds = if cfg!(miri) { 20 } else { 2000 };
    for _ in 0..rounds {
        request(&manager, 10 * KIB);
    }
    request(&manager, 900 * KIB);
    for _ in 0..rounds {
        request(&manager, 10 * KIB);
    }
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!(stats.target_bytes, 64 * KIB);
    assert_eq!(stats.parked_bytes, 64 * KIB);
    assert_eq!(stats.discarded(Discarded::Oversize), 1);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of leases")]
fn a_scope_follows_its_traffic_down_again() {
    let manager = manager(ScopeConfig::of(64 * KIB).with_retention(MIB));
    for _ in 0..100 {
        request(&manager, 700 * KIB);
    }
    assert_eq!(
        manager.scope_stats(SCOPE).expect("built in").parked_bytes,
        MIB
    );
    for _ in 0..20_000 {
        request(&manager, KIB);
    }
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!(stats.target_bytes, 64 * KIB);
    assert_eq!(stats.parked_bytes, 64 * KIB);
}

#[test]
fn no_more_than_the_parked_limit_is_ever_parked() {
    let manager = manager(ScopeConfig::of(8 * KIB).with_parked(3));
    for leases in [2, 10, 1, 7, 3] {
        let leases: Vec<_> = (0..leases)
            .map(|_| manager.lease(SCOPE).expect("memory"))
            .collect();
        for lease in leases {
            drop(lease);
            let stats = manager.scope_stats(SCOPE).expect("built in");
            assert!(stats.parked <= 3, "{stats:?}");
        }
    }
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert!(stats.discarded(Discarded::Surplus) > 0);
}

#[test]
fn nothing_is_kept_where_nothing_may_be_parked() {
    let manager = manager(ScopeConfig::of(8 * KIB).with_parked(0));
    for _ in 0..3 {
        request(&manager, KIB);
        let stats = manager.scope_stats(SCOPE).expect("built in");
        assert_eq!(stats.parked_bytes, 0);
    }
}

#[test]
fn a_trim_returns_every_parked_byte() {
    let budget = Budget::new("all", usize::MAX);
    let mut builder = ArenaManager::builder();
    builder.configure(SCOPE, ScopeConfig::of(64 * KIB));
    let manager = builder.budget(&budget).build().expect("good");
    let empty = budget.held();
    // Every thread leaves arenas in its cache, idle threads as well.
    let barrier = std::sync::Barrier::new(4);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                request(&manager, KIB);
                barrier.wait();
                barrier.wait();
            });
        }
        request(&manager, KIB);
        barrier.wait();
        let lease = manager.lease(SCOPE).expect("memory");
        let before = manager.scope_stats(SCOPE).expect("built in");
        let report = manager.trim(Level::Full);
        assert!(report.freed_bytes >= before.parked_bytes);
        assert_eq!(report.leased, 1);
        let after = manager.scope_stats(SCOPE).expect("built in");
        assert_eq!((after.parked_bytes, after.live), (0, 1));
        drop(lease);
        barrier.wait();
    });
    manager.trim(Level::Full);
    let machinery = budget.held() - empty;
    assert!(machinery < 8 * KIB, "caches of four threads: {machinery}");
    assert_eq!(
        manager.scope_stats(SCOPE).expect("built in").leases,
        5,
        "counters of arenas that are gone are kept"
    );
}

#[test]
fn idle_arenas_go_by_and_by_and_busy_ones_stay() {
    let manager = manager(ScopeConfig::of(8 * KIB));
    let leases: Vec<_> = (0..32)
        .map(|_| manager.lease(SCOPE).expect("memory"))
        .collect();
    drop(leases);
    let parked = || manager.scope_stats(SCOPE).expect("built in").parked;
    assert_eq!(parked(), 32);
    manager.maintain();
    assert_eq!(parked(), 32, "nobody is idle yet");
    let mut last = 32;
    for _ in 0..if cfg!(miri) { 6 } else { 40 } {
        request(&manager, KIB);
        manager.maintain();
        assert!(last - parked() <= last.div_ceil(8).max(1), "smoothly");
        last = parked();
    }
    if cfg!(miri) {
        assert!(parked() < 32, "some went");
    } else {
        assert_eq!(parked(), 1, "the one that is used");
    }
}

#[test]
fn prewarmed_arenas_are_there_from_the_beginning() {
    let manager = manager(ScopeConfig::of(64 * KIB).with_prewarm(5));
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!((stats.parked, stats.builds), (5, 5));
    let leases: Vec<_> = (0..5).map(|_| manager.lease(SCOPE)).collect();
    drop(leases);
    assert_eq!(manager.scope_stats(SCOPE).expect("built in").builds, 5);
}

#[test]
fn figures_agree_with_each_other() {
    let manager = manager(ScopeConfig::of(64 * KIB));
    let lease = manager.lease(SCOPE).expect("memory");
    request(&manager, 100);
    request(&manager, 9000);
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!((stats.leases, stats.builds, stats.reuses()), (2, 2, 1));
    assert_eq!(stats.used.iter().sum::<u64>(), stats.leases);
    assert_eq!(stats.high_water_bytes, 9000 / 512 * 512);
    let view = manager.scope(SCOPE).expect("built in");
    let figures = view.observe();
    assert_eq!(view.name(), "json");
    assert_eq!((figures.in_use, figures.created), (1, 2));
    assert_eq!(figures.used_bytes, lease.held_bytes());
    assert!(figures.held_bytes >= 2 * 64 * KIB);
    assert_eq!(figures.acquires, 3);
}
