//! What happens at limits: errors that name them, and nothing else.

use millpond_bytes::{BytePool, Config, ConfigError, Exhaustion, Limit};
use millpond_core::budget::Budget;
use millpond_core::size_class::SizeClassError;
use std::time::Duration;

#[test]
fn bad_configurations_name_the_field_and_what_is_allowed() {
    let sizes = |sizes: &[usize]| BytePool::new(Config::new().with_sizes(sizes)).unwrap_err();
    let cases = [
        (sizes(&[]), "sizes: no size class; 1 to 255 are allowed"),
        (sizes(&[0, 1]), "sizes: size class 0 is 0"),
        (sizes(&[8, 8]), "sizes: size class 1 is 8, after 8"),
        (sizes(&[8, 4]), "sizes: size class 1 is 4, after 8"),
        (
            sizes(&[8, usize::MAX]),
            "sizes: size class 1 is 18446744073709551615",
        ),
        (
            sizes(&[isize::MAX as usize]),
            "sizes: size class 0 is 9223372036854775807",
        ),
        (
            BytePool::new(Config::new().with_pool_min_size(1 << 20)).unwrap_err(),
            "pool_min_size: 1048576 is more than the largest class; 0 to 65536 are allowed",
        ),
        (
            BytePool::new(Config::new().with_buffers_per_class(0)).unwrap_err(),
            "buffers_per_class: 0; 1 or more are allowed",
        ),
    ];
    for (error, text) in cases {
        assert!(error.to_string().starts_with(text), "{error}");
    }
    let many: Vec<usize> = (1..=256).collect();
    assert_eq!(
        sizes(&many),
        ConfigError::Sizes(SizeClassError::TooMany { count: 256 })
    );
}

#[test]
fn requests_that_nobody_can_serve_are_errors() {
    let pool = BytePool::default();
    for len in [usize::MAX, isize::MAX as usize, isize::MAX as usize - 63] {
        let error = pool.try_acquire(len).expect_err("nobody has so much");
        assert_eq!(*error.limit(), Limit::Memory { bytes: len }, "{error}");
    }
    assert_eq!(pool.stats().oversize_outstanding, 0);
}

#[test]
fn a_class_gives_as_many_buffers_as_it_may_have() {
    let config = Config::new().with_sizes(&[64]).with_buffers_per_class(3);
    let pool = BytePool::new(config).expect("valid");
    let held: Vec<_> = (0..3).map(|_| pool.acquire(1).expect("within")).collect();
    let error = pool.acquire(1).expect_err("all are out");
    assert_eq!(*error.limit(), Limit::Capacity);
    assert_eq!(pool.stats().classes[0].exhausted, 1);
    drop(held);
    assert!(pool.acquire(1).is_ok());
}

#[test]
fn fallback_buffers_are_bounded_and_freed() {
    let config = Config::new()
        .with_sizes(&[64])
        .with_buffers_per_class(1)
        .with_exhaustion(Exhaustion::Fallback { at_most: 1 });
    let pool = BytePool::new(config).expect("valid");
    let inside = pool.acquire(10).expect("within");
    let outside = pool.acquire(10).expect("outside");
    assert_eq!(outside.capacity(), 64);
    assert_eq!(
        *pool.acquire(10).expect_err("all are out").limit(),
        Limit::Capacity
    );
    assert!(pool.try_acquire(10).is_err());
    assert_eq!(pool.stats().fallback_outstanding, 1);
    drop((inside, outside));
    let stats = pool.stats();
    assert_eq!((stats.fallback_outstanding, stats.fallbacks), (0, 1));
}

#[test]
fn waiting_ends_with_a_buffer_or_at_the_deadline() {
    let config = Config::new()
        .with_sizes(&[64])
        .with_buffers_per_class(1)
        .with_exhaustion(Exhaustion::Block { timeout: None });
    let pool = BytePool::new(config).expect("valid");
    let held = pool.acquire(1).expect("within");
    let error = pool.acquire_timeout(1, Duration::from_millis(1));
    assert_eq!(*error.expect_err("it is out").limit(), Limit::Deadline);
    let waiter = pool.clone();
    let waiting = std::thread::spawn(move || waiter.acquire(1).map(|buffer| buffer.capacity()));
    while pool.stats().classes[0].outstanding == 1 && !waiting.is_finished() {
        use millpond_core::observe::Observe;
        if pool.observe().waiting == 1 {
            break;
        }
        std::thread::yield_now();
    }
    drop(held);
    assert_eq!(waiting.join().expect("no panic"), Ok(64));
}

#[test]
fn budgets_bound_classes_and_oversize_buffers_alike() {
    let budget = Budget::new("bytes", 300_000);
    let config = Config::new().with_sizes(&[1024]).with_budget(&budget);
    let pool = BytePool::new(config).expect("valid");
    let mut held = vec![pool.acquire(100_000).expect("within")];
    let error = loop {
        assert!(budget.held() <= budget.limit());
        match pool.acquire(1000) {
            Ok(buffer) => held.push(buffer),
            Err(error) => break error,
        }
    };
    assert!(matches!(error.limit(), Limit::Budget(_)), "{error}");
    assert!(matches!(
        pool.acquire(200_000).expect_err("full").limit(),
        Limit::Budget(_)
    ));
    // What is home is given back when the budget is asked for more.
    held.truncate(1);
    held.push(pool.acquire(190_000).expect("after a trim"));
    drop(held);
    drop(pool);
    assert_eq!(budget.held(), 0);
}
