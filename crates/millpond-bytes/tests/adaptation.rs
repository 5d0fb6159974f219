//! Tables change while buffers are out.

use millpond_bytes::{BytePool, Config, Level};
use millpond_core::size_class::SizeClasses;

fn table(sizes: &[usize]) -> SizeClasses {
    SizeClasses::new(sizes).expect("a table")
}

#[test]
fn buffers_go_home_to_the_class_that_they_came_from() {
    let pool = BytePool::new(Config::new().with_sizes(&[64, 128])).expect("valid");
    let old = pool.acquire(100).expect("memory");
    pool.apply(&table(&[100, 200])).expect("valid");
    assert_eq!(pool.acquire(100).expect("memory").capacity(), 100);
    assert_eq!(old.capacity(), 128);
    drop(old);
    pool.trim(Level::Full);
    let stats = pool.stats();
    let sizes: Vec<_> = stats
        .classes
        .iter()
        .map(|class| (class.size, class.is_current))
        .collect();
    assert_eq!(sizes, [(64, false), (100, true), (128, false), (200, true)]);
    assert!(
        stats
            .classes
            .iter()
            .all(|class| class.outstanding == 0 && class.held_bytes == 0)
    );
}

#[test]
fn a_class_that_comes_back_is_the_same() {
    let pool = BytePool::new(Config::new().with_sizes(&[64])).expect("valid");
    drop(pool.acquire(64).expect("memory"));
    for _ in 0..3 {
        pool.apply(&table(&[32])).expect("valid");
        assert_eq!(pool.acquire(10).expect("memory").capacity(), 32);
        pool.apply(&table(&[64])).expect("valid");
        assert_eq!(pool.acquire(10).expect("memory").capacity(), 64);
    }
    assert_eq!(pool.stats().classes.len(), 2);
}

#[test]
fn bad_tables_leave_the_present_one_alone() {
    let pool =
        BytePool::new(Config::new().with_sizes(&[64]).with_pool_min_size(10)).expect("valid");
    let errors = [
        (
            table(&[5]),
            "pool_min_size: 10 is more than the largest class; 0 to 5",
        ),
        (table(&[isize::MAX as usize]), "sizes: size class 0 is"),
    ];
    for (sizes, text) in errors {
        let error = pool.apply(&sizes).expect_err("bad");
        assert!(error.to_string().starts_with(text), "{error}");
    }
    assert_eq!(pool.sizes(), [64]);
}

#[test]
fn advice_follows_the_traffic_and_says_how_deep() {
    let pool = BytePool::default();
    let rounds = if cfg!(miri) { 2 } else { 50 };
    for _ in 0..rounds {
        let held: Vec<_> = (0..8)
            .map(|_| pool.acquire(9000).expect("memory"))
            .collect();
        drop(held);
        drop(pool.acquire(100_000).expect("memory"));
    }
    let advice = pool.advise(2, 1 << 20).expect("recorded");
    assert_eq!(advice.sizes.sizes(), [9216, 106_496]);
    assert!(advice.depths[0] >= 8);
    assert_eq!(
        (advice.waste_now.oversize, advice.waste_then.oversize),
        (rounds, 0)
    );
    assert!(advice.waste_then.wasted_bytes() < advice.waste_now.wasted_bytes());
    pool.reset_stats();
    assert!(
        BytePool::default().advise(2, 1 << 20).is_err(),
        "nothing was recorded"
    );
}

#[test]
fn a_minimum_is_proposed_from_what_was_measured() {
    if cfg!(miri) {
        return; // It would measure Miri.
    }
    let size = millpond_bytes::measure_pool_min_size().expect("memory");
    assert!(
        size.is_power_of_two() && (64..=64 << 10).contains(&size),
        "{size}"
    );
    assert!(BytePool::new(Config::new().with_pool_min_size(size)).is_ok());
}
