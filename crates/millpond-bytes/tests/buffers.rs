//! What buffers promise.

use millpond_bytes::{BytePool, Config, Full, Level, Limit};
use std::io::{BufRead, Read, Write};

#[test]
fn a_request_gets_the_smallest_class_that_fits() {
    let tables: [&[usize]; 4] = [
        &millpond_bytes::DEFAULT_SIZES,
        &[1, 2, 3],
        &[100, 101, 5000, 65536],
        &[1 << 4, 1 << 10, 1 << 24],
    ];
    for sizes in tables {
        let pool = BytePool::new(Config::new().with_sizes(sizes)).expect("a table");
        for &edge in sizes {
            for len in [edge - 1, edge, edge + 1] {
                let fits = sizes.iter().find(|&&size| size >= len);
                let capacity = pool.acquire(len).expect("memory").capacity();
                assert_eq!(capacity, *fits.unwrap_or(&len), "{len} of {sizes:?}");
            }
        }
    }
}

#[test]
fn oversize_requests_are_served_counted_and_freed() {
    let pool = BytePool::default();
    let mut buffer = pool.acquire(70_000).expect("memory");
    assert_eq!(buffer.capacity(), 70_000);
    buffer.resize(70_000, 7).expect("it fits");
    assert_eq!(pool.stats().oversize_outstanding, 1);
    drop(buffer);
    let stats = pool.stats();
    assert_eq!((stats.oversize, stats.oversize_outstanding), (1, 0));
    assert_eq!(stats.acquires(), 0);
}

#[test]
fn small_requests_bypass_the_pool_if_asked_to() {
    let pool = BytePool::new(Config::new().with_pool_min_size(512)).expect("valid");
    assert_eq!(pool.acquire(511).expect("memory").capacity(), 511);
    assert_eq!(pool.acquire(0).expect("memory").capacity(), 0);
    assert_eq!(pool.acquire(512).expect("memory").capacity(), 2048);
    assert_eq!(pool.stats().oversize, 2);
    let sizes: Vec<_> = pool.requested_sizes().buckets().collect();
    assert_eq!(sizes, [(1, 1), (512, 2)]);
}

#[test]
fn classes_that_serve_nobody_are_not_warmed_up() {
    let config = Config::new().with_sizes(&[64, 128, 256]);
    let pool = BytePool::new(config.with_pool_min_size(128)).expect("valid");
    assert_eq!(pool.warm_up(3).expect("memory"), 6);
    assert!(pool.warm_up_class(127, 1).is_err(), "it is not pooled");
}

#[test]
fn writing_stops_at_the_capacity_and_says_so() {
    let pool = BytePool::new(Config::new().with_sizes(&[8])).expect("valid");
    let mut buffer = pool.acquire(8).expect("memory");
    buffer.extend_from_slice(b"12345").expect("it fits");
    let full = buffer
        .extend_from_slice(b"6789")
        .expect_err("it does not fit");
    assert_eq!(
        full,
        Full {
            needed: 4,
            spare: 3
        }
    );
    assert_eq!(buffer, b"12345");
    assert_eq!(buffer.write(b"6789").expect("a part"), 3);
    assert!(buffer.write_all(b"9").is_err());
    assert_eq!(
        buffer.resize(9, 0),
        Err(Full {
            needed: 1,
            spare: 0
        })
    );
    assert_eq!(buffer, b"12345678");
    buffer.truncate(2);
    buffer.resize(4, b'x').expect("it fits");
    assert_eq!(buffer, b"12xx");
}

#[test]
fn reading_consumes_and_leaves_capacity_alone() {
    let pool = BytePool::default();
    let mut buffer = pool.acquire(2048).expect("memory");
    buffer.extend_from_slice(b"one\ntwo\n").expect("it fits");
    let mut line = String::new();
    buffer.read_line(&mut line).expect("a line");
    assert_eq!((line.as_str(), &buffer[..]), ("one\n", &b"two\n"[..]));
    let mut two = [0; 2];
    buffer.read_exact(&mut two).expect("two bytes");
    assert_eq!(buffer, b"o\n");
    assert_eq!((buffer.capacity(), buffer.spare()), (2048, 2040));
    buffer.compact();
    assert_eq!((&buffer[..], buffer.spare()), (&b"o\n"[..], 2046));
}

#[test]
fn growth_keeps_the_contents_and_changes_the_class() {
    let pool = BytePool::default();
    let mut buffer = pool.acquire(2048).expect("memory");
    buffer.resize(2048, 5).expect("it fits");
    buffer.reserve(1).expect("a larger class");
    assert_eq!((buffer.len(), buffer.capacity()), (2048, 4096));
    buffer.reserve(100_000).expect("an oversize buffer");
    assert!(buffer.capacity() >= 102_048);
    assert!(buffer.iter().all(|&byte| byte == 5));
    // Consumed room is used before a larger class is.
    let mut buffer = pool.acquire(2048).expect("memory");
    buffer.resize(2048, 5).expect("it fits");
    buffer.consume_front(2000);
    buffer.reserve(2000).expect("there is room");
    assert_eq!((buffer.len(), buffer.capacity()), (48, 2048));
}

#[test]
fn a_failed_growth_leaves_the_buffer_as_it_was() {
    let pool = BytePool::new(Config::new().with_sizes(&[16])).expect("valid");
    let mut buffer = pool.acquire(16).expect("memory");
    buffer.extend_from_slice(b"kept").expect("it fits");
    let error = buffer.reserve(usize::MAX).expect_err("nobody has so much");
    assert!(matches!(
        error.limit(),
        millpond_bytes::Limit::Memory { .. }
    ));
    assert_eq!(buffer, b"kept");
}

#[test]
fn earlier_bytes_are_not_visible_in_empty_and_zeroed_buffers() {
    let pool = BytePool::default();
    let mut first = pool.acquire(4096).expect("memory");
    first.resize(4096, 0xAB).expect("it fits");
    drop(first);
    let empty = pool.acquire(4096).expect("memory");
    assert!(empty.is_empty());
    drop(empty);
    let mut zeroed = pool.acquire_zeroed(4000).expect("memory");
    assert_eq!(zeroed, [0; 4000]);
    zeroed.resize(4096, 0).expect("it fits");
    assert!(zeroed.iter().all(|&byte| byte == 0));
}

#[test]
fn stale_bytes_are_initialised_even_behind_spare_capacity() {
    let pool = BytePool::new(Config::new().with_sizes(&[64])).expect("valid");
    let mut lent = pool.acquire(64).expect("memory");
    lent.resize(8, 1).expect("it fits");
    lent.spare_capacity_mut()
        .fill(std::mem::MaybeUninit::uninit());
    drop(lent);
    let stale = pool.acquire_stale(64).expect("memory");
    // Miri would object to a sum of uninitialised bytes.
    assert!(stale.iter().map(|&byte| u64::from(byte)).sum::<u64>() <= 64 * 255);
    assert_eq!(stale.len(), 64);
    assert!(stale[8..].iter().all(|&byte| byte == 0));
    drop(stale);
    let direct = pool.acquire_stale(100).expect("memory");
    assert_eq!(direct.len(), 100);
    assert!(direct.iter().all(|&byte| byte == 0));
}

#[test]
fn wiping_pools_refuse_stale_bytes_and_leave_zeroes_behind() {
    let pool = BytePool::new(Config::new().with_sizes(&[256]).with_wipe_on_release(true));
    let pool = pool.expect("valid");
    assert!(pool.acquire_stale(10).is_err());
    let mut secret = pool.acquire(256).expect("memory");
    secret.resize(256, 0x5C).expect("it fits");
    let address = secret.as_ptr().addr();
    drop(secret);
    if cfg!(miri) {
        return; // Released memory is not initialised there.
    }
    let mut next = pool.acquire(256).expect("memory");
    assert_eq!(next.as_ptr().addr(), address, "the same slot");
    // SAFETY: initialised by the wipe.
    unsafe { next.set_len(256) };
    assert!(next.iter().all(|&byte| byte == 0));
}

#[test]
fn a_single_buffer_can_be_wiped_on_release_even_after_it_grew() {
    let pool = BytePool::new(Config::new().with_sizes(&[32, 64])).expect("valid");
    let mut secret = pool.acquire(32).expect("memory");
    secret.wipe_on_release();
    secret.resize(32, 9).expect("it fits");
    secret.reserve(1).expect("a larger class");
    let address = secret.as_ptr().addr();
    drop(secret.freeze());
    if cfg!(miri) {
        return;
    }
    for (len, expected) in [(64, Some(address)), (32, None)] {
        let mut next = pool.acquire(len).expect("memory");
        if let Some(expected) = expected {
            assert_eq!(next.as_ptr().addr(), expected, "the same slot");
        }
        // SAFETY: initialised by the wipe.
        unsafe { next.set_len(len) };
        assert!(next.iter().all(|&byte| byte == 0), "{len}");
    }
}

#[test]
fn buffers_outlive_their_pool() {
    let pool = BytePool::default();
    let small = pool.acquire(1).expect("memory");
    let mut large = pool.acquire(100_000).expect("memory");
    let frozen = pool.acquire(5000).expect("memory").freeze();
    drop(pool);
    large.extend_from_slice(b"alive").expect("it fits");
    drop(small);
    assert_eq!(large, b"alive");
    std::thread::spawn(move || drop((large, frozen)))
        .join()
        .expect("no panic");
}

/// Once, each piece that was written to an oversize buffer copied all of it.
#[test]
fn an_oversize_buffer_that_grows_piece_by_piece_doubles() {
    let pool = BytePool::default();
    let mut buffer = pool.acquire(1 << 16).expect("memory");
    let mut moves = 0;
    for _ in 0..20 << 6 {
        let before = buffer.capacity();
        buffer.reserve(1024).expect("memory");
        moves += usize::from(buffer.capacity() != before);
        buffer.extend_from_slice(&[7; 1024]).expect("room");
    }
    assert_eq!(buffer.len(), 20 << 16);
    assert!(moves <= 8, "{moves} moves for 20 times the capacity");
}

/// Once, the class to grow into was gone.
#[test]
fn a_buffer_without_its_pool_does_not_grow() {
    let pool = BytePool::default();
    let mut buffer = pool.acquire(100).expect("free");
    let mut oversize = pool.acquire(1 << 20).expect("memory");
    buffer.extend_from_slice(b"kept").expect("room");
    drop(pool);
    // An oversize buffer keeps the whole pool, so that this works.
    oversize.reserve(2 << 20).expect("memory");
    buffer.reserve(3000).expect("the pool is there yet");
    drop(oversize);
    let error = buffer.reserve(9000).expect_err("the pool is gone");
    assert_eq!(*error.limit(), Limit::Closed);
    assert_eq!(buffer, b"kept");
    buffer.reserve(2000).expect("room in the same buffer");
}

#[test]
fn trimming_gives_everything_back_that_is_home() {
    let pool = BytePool::default();
    let made = if cfg!(miri) { 3 } else { 50 };
    let held: Vec<_> = (0..made)
        .map(|_| pool.acquire(8192).expect("memory"))
        .collect();
    assert!(pool.stats().classes[2].held_bytes >= made * 8192);
    drop(held);
    pool.trim(Level::Full);
    assert!(
        pool.stats()
            .classes
            .iter()
            .all(|class| class.held_bytes == 0)
    );
}

#[test]
fn warm_pools_miss_nothing() {
    let pool = BytePool::default();
    let buffers = if cfg!(miri) { 4 } else { 200 };
    assert_eq!(pool.warm_up_class(4096, buffers).expect("memory"), buffers);
    assert_eq!(pool.warm_up_class(4096, buffers).expect("memory"), 0);
    let held: Vec<_> = (0..buffers)
        .map(|_| pool.acquire(4096).expect("memory"))
        .collect();
    let stats = pool.stats().classes[1];
    assert_eq!(
        (stats.acquires, stats.misses, stats.outstanding),
        (buffers as u64, 0, buffers)
    );
    drop(held);
}

#[test]
fn buffers_zeroed_ahead_are_zero_counted_as_free_and_given_up_by_a_trim() {
    let pool = BytePool::new(Config::new().with_sizes(&[64, 256])).expect("valid");
    let mut dirty = pool.acquire(256).expect("memory");
    dirty.resize(256, 9).expect("it fits");
    drop(dirty);
    assert_eq!(pool.zero_ahead(200, 3).expect("memory"), 3);
    let stats = pool.stats().classes[1];
    assert_eq!((stats.outstanding, stats.acquires), (0, 1));
    let mut ready = pool.acquire_zeroed(200).expect("memory");
    assert_eq!((ready.len(), ready.capacity()), (200, 256));
    assert!(ready.iter().all(|&byte| byte == 0));
    ready.fill(1);
    assert_eq!(pool.stats().classes[1].outstanding, 1);
    drop(ready);
    pool.trim(Level::Full);
    assert_eq!(pool.stats().classes[1].held_bytes, 0);
    assert_eq!(pool.zero_ahead(64, 2).expect("memory"), 2);
    assert!(pool.zero_ahead(1000, 1).is_err(), "no class serves it");
    // The pool goes with what it has in stock.
    let held = pool.acquire_zeroed(10).expect("memory");
    drop(pool);
    assert_eq!(held, [0; 10]);
}
