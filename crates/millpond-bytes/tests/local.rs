//! What pools for one thread promise.

use millpond_bytes::{
    BytePool, Config, Discard, Exhaustion, Level, Limit, LocalBuf, LocalBytePool, RawParts,
    StaleError,
};
use millpond_core::budget::Budget;

fn pool(sizes: &[usize]) -> LocalBytePool {
    LocalBytePool::new(Config::new().with_sizes(sizes)).expect("valid")
}

#[test]
fn buffers_come_from_the_class_that_fits_and_go_back_to_it() {
    let pool = pool(&[16, 48, 64]);
    for (len, capacity) in [(0, 16), (1, 16), (16, 16), (17, 48), (64, 64), (65, 65)] {
        let buffer = pool.acquire(len).expect("memory");
        assert_eq!((buffer.len(), buffer.capacity()), (0, capacity), "{len}");
    }
    let stats = pool.stats();
    let acquires: Vec<_> = stats.classes.iter().map(|class| class.acquires).collect();
    assert_eq!((&acquires[..], stats.oversize), (&[3, 1, 1][..], 1));
    assert_eq!(stats.outstanding() + stats.oversize_outstanding, 0);
    // A request for no bytes counts as one for one.
    assert_eq!(stats.classes[0].waste_bytes, 15 + 15);
    assert!(stats.to_string().contains("oversize 1 (0 out)"));
    pool.trim(Level::Full);
    assert!(
        pool.stats()
            .classes
            .iter()
            .all(|class| class.held_bytes == 0)
    );
}

#[test]
fn the_last_buffer_that_came_home_is_the_next_to_go() {
    let pool = pool(&[64]);
    let at = |buffer: &LocalBuf<'_>| buffer.as_slice().as_ptr();
    let (one, two) = (
        pool.acquire(1).expect("memory"),
        pool.acquire(1).expect("memory"),
    );
    let (first, second) = (at(&one), at(&two));
    assert_ne!(first, second);
    drop(one);
    drop(two);
    assert_eq!(at(&pool.acquire(1).expect("memory")), second);
}

#[test]
fn buffers_grow_and_keep_what_they_contain() {
    let pool = pool(&[16, 64]);
    let mut buffer = pool.acquire(16).expect("memory");
    buffer.extend(0..16);
    buffer.reserve(30).expect("memory");
    assert_eq!(buffer.capacity(), 64);
    buffer.extend(16..100);
    assert!(buffer.capacity() >= 100, "of no class any more");
    assert_eq!(buffer, (0..100).collect::<Vec<u8>>());
    drop(buffer);
    let stats = pool.stats();
    assert_eq!(stats.outstanding() + stats.oversize_outstanding, 0);
}

#[test]
fn nothing_of_an_earlier_lease_is_shown_unasked() {
    let pool = pool(&[64]);
    let mut buffer = pool.acquire(64).expect("memory");
    buffer.resize(64, 0xAB).expect("it fits");
    drop(buffer);
    assert!(pool.acquire(64).expect("memory").is_empty());
    assert_eq!(pool.acquire_zeroed(64).expect("memory"), [0; 64]);
    let mut buffer = pool.acquire(64).expect("memory");
    buffer.resize(64, 0xCD).expect("it fits");
    buffer.wipe_on_release();
    drop(buffer);
    assert_eq!(pool.acquire_stale(64).expect("memory"), [0; 64]);
}

#[test]
fn wiping_pools_lend_no_stale_bytes() {
    let config = Config::new().with_wipe_on_release(true);
    let pool = LocalBytePool::new(config).expect("valid");
    drop(pool.acquire(100_000).expect("memory"));
    assert_eq!(pool.acquire_stale(10).map(drop), Err(StaleError::Wiping));
}

#[test]
fn limits_are_errors_and_fallback_is_bounded() {
    let config = Config::new().with_sizes(&[64]).with_buffers_per_class(1);
    let waits = Exhaustion::Block { timeout: None };
    let strict = LocalBytePool::new(config.clone().with_exhaustion(waits)).expect("valid");
    let held = strict.acquire(1).expect("within");
    let error = strict
        .acquire(1)
        .expect_err("nobody else could release one");
    assert_eq!(*error.limit(), Limit::Capacity);
    drop(held);
    assert!(strict.acquire(1).is_ok());

    let falls_back = config.with_exhaustion(Exhaustion::Fallback { at_most: 1 });
    let pool = LocalBytePool::new(falls_back).expect("valid");
    let inside = pool.acquire(1).expect("within");
    assert!(pool.try_acquire(1).is_err());
    let outside = pool.acquire(1).expect("outside");
    assert_eq!(outside.capacity(), 64);
    assert!(pool.acquire(1).is_err());
    assert_eq!(pool.stats().fallback_outstanding, 1);
    drop((inside, outside));
    let stats = pool.stats();
    assert_eq!((stats.fallback_outstanding, stats.fallbacks), (0, 1));
    assert_eq!(
        *pool
            .try_acquire(usize::MAX)
            .expect_err("nobody has so much")
            .limit(),
        Limit::Memory { bytes: usize::MAX }
    );
}

#[test]
fn a_budget_bounds_classes_and_oversize_buffers_alike() {
    let budget = Budget::new("local", 300_000);
    let config = Config::new().with_sizes(&[1024]).with_budget(&budget);
    let pool = LocalBytePool::new(config).expect("valid");
    let large = pool.acquire(200_000).expect("within");
    assert!(matches!(
        pool.acquire(200_000).expect_err("full").limit(),
        Limit::Budget(_)
    ));
    drop(large);
    drop(pool.acquire(10).expect("within"));
    assert!(budget.held() > 0);
    drop(pool);
    assert_eq!(budget.held(), 0);
}

#[test]
fn requests_below_the_smallest_that_is_pooled_are_allocated() {
    let config = Config::new().with_sizes(&[64, 128]).with_pool_min_size(100);
    for len in [0, 1, 64, 99] {
        let local = LocalBytePool::new(config.clone()).expect("valid");
        assert_eq!(local.acquire(len).expect("memory").capacity(), len);
        let shared = BytePool::new(config.clone()).expect("valid");
        assert_eq!(shared.acquire(len).expect("memory").capacity(), len);
        assert_eq!((local.stats().oversize, shared.stats().oversize), (1, 1));
    }
    let local = LocalBytePool::new(config).expect("valid");
    assert_eq!(local.acquire(100).expect("memory").capacity(), 128);
}

#[test]
fn a_forgotten_buffer_keeps_its_memory() {
    let pool = pool(&[64]);
    let mut buffer = pool.acquire(64).expect("memory");
    buffer.resize(64, 1).expect("it fits");
    if cfg!(miri) {
        return; // Miri reports the leak that this is.
    }
    std::mem::forget(buffer);
    assert_eq!(pool.stats().outstanding(), 1);
    drop(pool);
}

#[test]
fn the_last_view_of_a_frozen_buffer_gives_it_back() {
    let pool = pool(&[64]);
    let mut buffer = pool.acquire(64).expect("memory");
    buffer.extend_from_slice(b"head body").expect("it fits");
    let at = buffer.as_slice().as_ptr();
    let mut whole = buffer.freeze();
    let body = whole.slice(5..);
    let head = whole.split_to(4);
    assert_eq!(
        (&head[..], &whole[..], &body[..]),
        (&b"head"[..], &b" body"[..], &b"body"[..])
    );
    let body = body.try_into_mut().expect_err("there are three");
    drop((head, whole));
    assert_eq!(pool.stats().outstanding(), 1);
    assert!(body.is_unique());
    let mut buffer = body.try_into_mut().expect("the last view");
    buffer[0] = b'B';
    assert_eq!((&buffer[..], buffer.capacity()), (&b"Body"[..], 64));
    let again = buffer.freeze();
    drop(again.clone());
    assert_eq!(pool.stats().outstanding(), 1);
    drop(again);
    assert_eq!(pool.stats().outstanding(), 0);
    assert_eq!(pool.acquire(1).expect("memory").as_slice().as_ptr(), at);
}

#[test]
fn views_of_buffers_outside_the_classes_free_them_and_wiped_ones_are_wiped() {
    let pool = pool(&[64]);
    let large = pool.acquire_zeroed(100).expect("memory").freeze();
    assert_eq!(pool.stats().oversize_outstanding, 1);
    drop((large.slice(1..), large));
    assert_eq!(pool.stats().oversize_outstanding, 0);

    let mut secret = pool.acquire(64).expect("memory");
    secret.resize(64, 0xEE).expect("it fits");
    secret.wipe_on_release();
    drop(secret.freeze());
    assert_eq!(pool.acquire_stale(64).expect("memory"), [0; 64]);
}

#[test]
fn a_pool_moves_with_its_buffers_at_home() {
    let pool = pool(&[64]);
    drop(pool.acquire_zeroed(64).expect("memory").freeze());
    let acquires = std::thread::spawn(move || {
        drop(pool.acquire(1).expect("memory").freeze());
        pool.stats().acquires()
    });
    assert_eq!(acquires.join().expect("no panic"), 2);
}

#[test]
fn raw_parts_of_a_local_pool_come_back_once_and_to_it_alone() {
    let (mine, other) = (pool(&[64, 256]), pool(&[64]));
    let mut buffer = mine.acquire(100).expect("memory");
    buffer.extend_from_slice(b"to the kernel").expect("it fits");
    let parts = buffer.into_raw_parts().expect("of a class");
    assert_eq!(mine.stats().outstanding(), 1);
    let refused = |pool: &LocalBytePool, parts| {
        // SAFETY: nothing is asked for parts that are not out.
        unsafe { pool.from_raw_parts(parts) }.expect_err("not out")
    };
    assert_eq!(refused(&other, parts), Discard::Foreign);
    let too_long = RawParts { len: 257, ..parts };
    assert_eq!(refused(&mine, too_long), Discard::WrongSize);
    // SAFETY: the contents are as they were, and nobody uses the pointer.
    let buffer = unsafe { mine.from_raw_parts(parts) }.expect("out");
    assert_eq!(buffer, b"to the kernel");
    assert_eq!(refused(&mine, parts), Discard::Stale);
    drop(buffer);
    assert_eq!(refused(&mine, parts), Discard::Stale);
    let discards = mine.stats().discards;
    assert_eq!((discards.wrong_size, discards.stale), (1, 2));
    assert_eq!(mine.stats().outstanding(), 0);

    let outside = mine.acquire(1000).expect("memory");
    assert!(outside.into_raw_parts().is_err(), "of no class");
}
