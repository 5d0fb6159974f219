//! A warm pool allocates nothing; and no refused allocation becomes more than an
//! error on a path that begins with `try_`.
//!
//! The allocator of this binary counts, and fails on command, by thread.

use millpond_bytes::{
    AcquireError, BytePool, Config, DEFAULT_SIZES, Limit, PoolBuf, StringPool, StringSize,
};
use millpond_testing::{TestAllocator, count, walk_failures};
use std::fmt::Write;

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

const ROUNDS: usize = if cfg!(miri) { 4 } else { 200 };

fn work(pool: &BytePool) {
    for _ in 0..ROUNDS {
        for size in DEFAULT_SIZES {
            let mut buffer = pool.acquire(size).expect("memory");
            buffer.extend_from_slice(b"contents").expect("it fits");
            let view = buffer.freeze();
            let part = view.slice(2..);
            drop(view);
            let mut buffer = part.try_into_mut().expect("the only view");
            buffer.wipe_on_release();
            drop(pool.acquire_zeroed(size).expect("memory"));
            drop(pool.acquire_stale(size).expect("memory"));
            let parts = buffer.into_raw_parts().expect("of a class");
            // SAFETY: as they were, and the pointer is not used.
            drop(unsafe { pool.from_raw_parts(parts) }.expect("out"));
        }
    }
}

#[test]
fn a_warm_pool_allocates_nothing() {
    let pool = BytePool::default();
    work(&pool);
    let ((), counts) = count(|| work(&pool));
    assert!(counts.is_silent(), "{counts:?}");
}

#[test]
fn strings_within_their_classes_allocate_nothing() {
    let strings = StringPool::new().expect("memory");
    let build = || {
        for size in [StringSize::Small, StringSize::Medium, StringSize::Large] {
            let mut text = strings.acquire(size).expect("memory");
            write!(text, "--label stage={}", 7 + size as usize).expect("it fits");
        }
    };
    build();
    let ((), counts) = count(build);
    assert!(counts.is_silent(), "{counts:?}");
}

/// What six acquires came to, without allocating.
fn acquire_six(pool: &BytePool) -> [Option<Result<PoolBuf, AcquireError>>; 6] {
    let mut results = [const { None }; 6];
    for (result, len) in results.iter_mut().zip([10, 100, 1000, 10, 100, 1000]) {
        *result = Some(pool.try_acquire(len));
    }
    results
}

#[test]
fn refused_allocations_are_errors() {
    let points = walk_failures(|failing| {
        let pool = BytePool::new(Config::new().with_sizes(&[64, 128])).expect("memory");
        let results = failing.during(|| acquire_six(&pool));
        for error in results
            .iter()
            .flatten()
            .filter_map(|result| result.as_ref().err())
        {
            assert!(matches!(error.limit(), Limit::Memory { .. }), "{error}");
        }
        drop(results);
        assert!(pool.try_acquire(10).is_ok(), "the pool works on");
        assert_eq!(pool.stats().outstanding(), 0);
    });
    assert!(points > 4, "slabs, caches and magazines: {points}");
}
