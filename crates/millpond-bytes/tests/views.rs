//! What frozen buffers promise.

use millpond_bytes::{BytePool, Config, PoolBytes};

fn frozen(pool: &BytePool, text: &[u8]) -> PoolBytes {
    let mut buffer = pool.acquire(text.len()).expect("memory");
    buffer.extend_from_slice(text).expect("it fits");
    buffer.freeze()
}

#[test]
fn views_share_and_the_last_one_gives_the_buffer_back() {
    let pool = BytePool::default();
    let mut all = frozen(&pool, b"head|body|tail");
    let head = all.split_to(4);
    let tail = all.split_off(6);
    assert_eq!(
        (&head[..], &all[..], &tail[..]),
        (&b"head"[..], &b"|body|"[..], &b"tail"[..])
    );
    let body = all.slice(1..=4);
    assert_eq!(body, b"body");
    for view in [head, all, tail] {
        drop(view);
        assert_eq!(pool.stats().outstanding(), 1);
    }
    drop(body);
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn only_the_only_view_becomes_mutable() {
    let pool = BytePool::default();
    let view = frozen(&pool, b"0123456789");
    let other = view.slice(3..5);
    let view = view.try_into_mut().expect_err("there is another");
    drop(view);
    let mut buffer = other.try_into_mut().expect("it is the only one");
    assert_eq!((&buffer[..], buffer.capacity()), (&b"34"[..], 2048));
    buffer.extend_from_slice(b"!").expect("it fits");
    assert_eq!(buffer, b"34!");
    buffer.compact();
    assert_eq!(buffer.spare(), 2045);
    drop(buffer);
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn oversize_buffers_freeze_like_all_others() {
    let pool = BytePool::new(Config::new().with_sizes(&[16])).expect("valid");
    let view = frozen(&pool, &[3; 1000]);
    let copy = view.clone();
    drop(pool);
    drop(view);
    let buffer = copy.try_into_mut().expect("the only one");
    assert_eq!((buffer.len(), buffer.capacity()), (1000, 1000));
}

#[test]
#[should_panic(expected = "slice 2..11 of 10 bytes")]
fn slices_end_inside() {
    let _ = frozen(&BytePool::default(), b"0123456789").slice(2..11);
}

#[test]
fn a_panicking_slice_loses_nothing() {
    let pool = BytePool::default();
    let view = frozen(&pool, b"0123456789");
    let caught = std::panic::catch_unwind(|| view.slice(11..));
    assert!(caught.is_err());
    assert!(view.is_unique());
    drop(view);
    assert_eq!(pool.stats().outstanding(), 0);
}
