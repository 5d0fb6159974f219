//! Raw parts come back once, to their own pool, with their own size; anything
//! else is counted and changes nothing.

use millpond_bytes::{BytePool, Config, Discard, Level, RawParts};
use std::ptr::NonNull;

fn parts(pool: &BytePool, contents: &[u8]) -> RawParts {
    let mut buffer = pool.acquire(contents.len()).expect("memory");
    buffer.extend_from_slice(contents).expect("it fits");
    buffer.into_raw_parts().expect("of a class")
}

/// Why parts that are not out are refused.
fn refusal(pool: &BytePool, parts: RawParts) -> Discard {
    // SAFETY: nothing is asked for parts that are not out.
    unsafe { pool.from_raw_parts(parts) }.expect_err("not out")
}

#[test]
fn parts_become_the_buffer_again() {
    let pool = BytePool::default();
    let mut raw = parts(&pool, b"abcd");
    // SAFETY: inside the capacity, and the pointer is ours.
    let fifth = unsafe { raw.ptr.add(4) };
    // SAFETY: as above.
    unsafe { fifth.write(b'e') };
    raw.len = 5;
    // SAFETY: five bytes are initialised, and the pointer is not used any more.
    let buffer = unsafe { pool.from_raw_parts(raw) }.expect("ours");
    assert_eq!(buffer, b"abcde");
    drop(buffer);
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn a_second_return_is_stale_even_if_the_slot_is_out_again() {
    let pool = BytePool::default();
    let raw = parts(&pool, b"once");
    // SAFETY: initialised, and the pointer is not used any more.
    let buffer = unsafe { pool.from_raw_parts(raw) }.expect("ours");
    assert_eq!(refusal(&pool, raw), Discard::Stale);
    drop(buffer);
    assert_eq!(refusal(&pool, raw), Discard::Stale);
    let again = parts(&pool, b"twice");
    assert_eq!(again.ptr, raw.ptr, "the same slot");
    assert_eq!(refusal(&pool, raw), Discard::Stale);
    assert_eq!(pool.stats().discards.stale, 3);
    // SAFETY: initialised, and the pointer is not used any more.
    drop(unsafe { pool.from_raw_parts(again) }.expect("ours"));
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn foreign_memory_is_not_taken() {
    let (pool, other) = (BytePool::default(), BytePool::default());
    let raw = parts(&other, b"theirs");
    let mut local = [0u8; 256];
    let inside = RawParts {
        // SAFETY: inside the slot.
        ptr: unsafe { raw.ptr.add(64) },
        ..raw
    };
    let unowned = RawParts {
        ptr: NonNull::from(&mut local[128]),
        ..raw
    };
    let low = RawParts {
        ptr: NonNull::without_provenance(std::num::NonZero::new(64).expect("not zero")),
        ..raw
    };
    for foreign in [raw, inside, unowned, low] {
        // SAFETY: nothing is asked for parts that are not this pool's.
        let result = unsafe { pool.from_raw_parts(foreign) };
        assert_eq!(result.unwrap_err(), Discard::Foreign);
    }
    assert_eq!(pool.stats().discards.foreign, 4);
    // SAFETY: initialised, and the pointer is not used any more.
    drop(unsafe { other.from_raw_parts(raw) }.expect("theirs"));
}

#[test]
fn wrong_sizes_are_not_taken() {
    let pool = BytePool::default();
    let raw = parts(&pool, b"2048");
    let wrong = [
        RawParts {
            capacity: 4096,
            ..raw
        },
        RawParts { len: 2049, ..raw },
    ];
    for wrong in wrong {
        // SAFETY: nothing is asked for parts that are refused for their size.
        let result = unsafe { pool.from_raw_parts(wrong) };
        assert_eq!(result.unwrap_err(), Discard::WrongSize);
    }
    // SAFETY: initialised, and the pointer is not used any more.
    drop(unsafe { pool.from_raw_parts(raw) }.expect("still out"));
    assert_eq!(pool.stats().discards.total(), 2);
    pool.reset_stats();
    assert_eq!(pool.stats().discards.total(), 0);
}

#[test]
fn oversize_buffers_are_not_taken_apart() {
    let pool = BytePool::new(Config::new().with_sizes(&[16])).expect("valid");
    let buffer = pool.acquire(17).expect("memory");
    assert_eq!(
        buffer.into_raw_parts().expect_err("of no class").capacity(),
        17
    );
}

/// Generations that began again with the memory would accept these.
#[test]
fn parts_of_before_a_trim_or_of_a_pool_that_is_gone_name_nothing() {
    let rounds = if cfg!(miri) { 2 } else { 100 };
    let mut pool = BytePool::default();
    let mut earlier: Vec<RawParts> = Vec::new();
    let mut same_address = 0;
    for round in 0..rounds {
        let raw = parts(&pool, b"contents");
        for &old in &earlier {
            let discard = refusal(&pool, old);
            if old.ptr == raw.ptr {
                same_address += 1;
                assert_eq!(discard, Discard::Stale);
            }
        }
        // SAFETY: initialised, and the pointer is not used any more.
        drop(unsafe { pool.from_raw_parts(raw) }.expect("ours"));
        earlier = vec![raw];
        if round % 2 == 0 {
            pool.trim(Level::Full);
            assert_eq!(refusal(&pool, raw), Discard::Foreign, "it is not mapped");
        } else {
            pool = BytePool::default();
        }
    }
    if cfg!(all(target_os = "linux", not(miri))) {
        assert!(
            same_address > 0,
            "the system gives the same addresses again"
        );
    }
}

#[test]
fn an_address_is_enough_to_find_the_slot() {
    let pool = BytePool::default();
    let raw = parts(&pool, b"by number");
    // As after a way through a queue of integers.
    let by_number = RawParts {
        ptr: NonNull::without_provenance(raw.ptr.addr()),
        ..raw
    };
    // SAFETY: initialised, and the pointer is not used any more.
    let mut buffer = unsafe { pool.from_raw_parts(by_number) }.expect("ours");
    buffer[0] = b'B';
    assert_eq!(buffer, b"By number");
}

/// Once, what foreign code had left uninitialised was shown to the next holder.
#[test]
fn what_was_written_behind_the_contents_of_raw_parts_is_not_shown() {
    let pool = BytePool::default();
    let mut buffer = pool.acquire(2048).expect("memory");
    buffer.resize(2048, 0xAA).expect("it fits");
    drop(buffer);
    let mut buffer = pool.acquire(2048).expect("memory");
    buffer.extend_from_slice(b"seen").expect("it fits");
    let parts = buffer.into_raw_parts().expect("of a class");
    // SAFETY: inside the capacity, and nobody else uses the pointer.
    let behind = unsafe { parts.ptr.add(parts.len) };
    let holes = std::mem::MaybeUninit::<[u8; 64]>::uninit();
    // SAFETY: as above.
    unsafe { behind.cast().write(holes) };
    // SAFETY: the contents are as they were.
    drop(unsafe { pool.from_raw_parts(parts) }.expect("out"));
    let stale = pool.acquire_stale(2048).expect("memory");
    assert!(stale[4..].iter().all(|&byte| byte == 0));
}
