//! Tables change while buffers are out.

use millpond_bytes::{BytePool, Config, ConfigError, Level};
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

#[test]
#[cfg_attr(miri, ignore = "many steps that are alike")]
fn tables_are_bounded_and_going_back_to_one_is_not_counted() {
    let pool = BytePool::new(Config::new().with_sizes(&[64])).expect("valid");
    let held = pool.acquire(64).expect("memory");
    let (mut applied, first) = (1, table(&[64]));
    let error = loop {
        pool.apply(&first).expect("an earlier one");
        match pool.apply(&table(&[64 + applied])) {
            Ok(()) => applied += 1,
            Err(error) => break error,
        }
        assert!(applied < 1000, "tables are bounded");
    };
    assert_eq!(error, ConfigError::TooManyTables { limit: 64 });
    assert_eq!(applied, 64);
    assert_eq!(pool.sizes(), [64], "it is as it was");
    for sizes in [&[70][..], &[127], &[64]] {
        pool.apply(&table(sizes)).expect("an earlier one");
        assert_eq!(pool.sizes(), sizes);
        drop(pool.acquire(60).expect("memory"));
    }
    drop(held);
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
#[cfg_attr(miri, ignore = "many steps that are alike")]
fn classes_are_bounded() {
    let pool = BytePool::new(Config::new().with_sizes(&[64])).expect("valid");
    let error = (0..64).find_map(|round| {
        let sizes: Vec<usize> = (1..=250).map(|class| class * 1000 + round).collect();
        pool.apply(&table(&sizes)).err()
    });
    assert_eq!(error, Some(ConfigError::TooManyClasses { limit: 1024 }));
    assert_eq!(pool.sizes().len(), 250, "the last that was applied");
    drop(pool.acquire(60_000).expect("memory"));
}

#[test]
fn every_length_is_served_by_the_smallest_class_that_fits() {
    let tables: [&[usize]; 6] = [
        &[16, 48, 64],
        &[1500, 9000],
        &[1],
        &[16, 48, 100_000],
        &[100, 101, 300, 70_000],
        &[2048, 4096, 8192, 16_384, 32_768, 65_536],
    ];
    for sizes in tables {
        let pool = BytePool::new(Config::new().with_sizes(sizes)).expect("valid");
        let around = sizes
            .iter()
            .flat_map(|&size| [size - 1, size, size + 1, size / 2, size + size / 3])
            .chain([0, 1, 2, 255, 256, 257, 1504, 1505]);
        for len in around.filter(|&len| !cfg!(miri) || len < 2000) {
            let fits = sizes.iter().copied().find(|&size| size >= len);
            // The first by the slow path, the second by the fast one.
            for _ in 0..2 {
                let capacity = pool.acquire(len).expect("memory").capacity();
                assert_eq!(capacity, fits.unwrap_or(len), "{len} of {sizes:?}");
            }
        }
    }
}

#[test]
fn waste_is_counted_to_the_byte() {
    let pool = BytePool::new(Config::new().with_sizes(&[1000, 9000])).expect("valid");
    let mut asked = 0;
    for len in [1, 999, 1000, 1001, 5555, 8999, 9000].repeat(3) {
        drop(pool.acquire(len).expect("memory"));
        asked += len as u64;
    }
    let stats = pool.stats();
    let [small, large] = [0, 1].map(|class| stats.classes[class]);
    assert_eq!(small.requested_bytes + large.requested_bytes, asked);
    assert_eq!(small.waste_bytes, 3 * 1000);
    assert_eq!(large.waste_bytes, 3 * (7999 + 3445 + 1));
}
