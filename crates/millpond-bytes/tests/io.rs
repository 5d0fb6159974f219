//! Buffers and views where the standard library expects readers, writers, slices
//! and collections.

use millpond_bytes::{BytePool, Config, LocalBytePool, PoolBytes};
use std::io::{BufRead, Cursor, ErrorKind, IoSlice, Read, Seek, SeekFrom, Write};

fn pool(size: usize) -> BytePool {
    BytePool::new(Config::new().with_sizes(&[size])).expect("valid")
}

fn frozen(pool: &BytePool, text: &[u8]) -> PoolBytes {
    let mut buffer = pool.acquire(text.len()).expect("memory");
    buffer.extend_from_slice(text).expect("it fits");
    buffer.freeze()
}

#[test]
fn many_slices_are_written_until_the_buffer_is_full() {
    let pool = pool(8);
    let mut buffer = pool.acquire(8).expect("memory");
    let slices = [&b"abc"[..], b"", b"def", b"ghi", b"j"].map(IoSlice::new);
    assert_eq!(buffer.write_vectored(&slices).expect("room"), 8);
    assert_eq!(buffer, b"abcdefgh");
    assert_eq!(buffer.write_vectored(&slices).expect("nothing"), 0);
}

#[test]
fn what_does_not_fit_is_cut_off_as_for_a_slice() {
    let pool = pool(8);
    let mut buffer = pool.acquire(8).expect("memory");
    buffer.write_all(b"abcdef").expect("it fits");
    let error = buffer.write_all(b"ghij").expect_err("two bytes fit");
    assert_eq!(error.kind(), ErrorKind::WriteZero);
    assert_eq!(buffer, b"abcdefgh");
    let mut slice = &mut [0; 2][..];
    assert_eq!(
        slice.write_all(b"ghij").expect_err("two bytes").kind(),
        ErrorKind::WriteZero
    );
}

#[test]
fn buffers_are_sent_as_slices_of_a_vectored_write() {
    let pool = pool(64);
    let (head, body) = (frozen(&pool, b"head "), frozen(&pool, b"body"));
    let mut sink = Vec::new();
    let sent = sink
        .write_vectored(&[IoSlice::new(&head), IoSlice::new(&body)])
        .expect("a vector takes all");
    assert_eq!((sent, &sink[..]), (9, &b"head body"[..]));
}

#[test]
fn views_are_read_without_changing_what_others_see() {
    let pool = pool(64);
    let mut view = frozen(&pool, b"one\ntwo\nthree");
    let other = view.clone();
    let mut line = String::new();
    assert_eq!(view.read_line(&mut line).expect("text"), 4);
    let mut two = [0; 3];
    view.read_exact(&mut two).expect("there are more");
    assert_eq!((&line[..], &two), ("one\n", b"two"));
    assert_eq!(view, b"\nthree");
    assert_eq!(other, b"one\ntwo\nthree");
    drop((view, other));
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn cursors_seek_over_views_and_contents() {
    let pool = pool(64);
    let mut cursor = Cursor::new(frozen(&pool, b"0123456789"));
    cursor.seek(SeekFrom::End(-3)).expect("inside");
    let mut rest = Vec::new();
    cursor.read_to_end(&mut rest).expect("bytes");
    assert_eq!(rest, b"789");
    let mut buffer = cursor.into_inner().try_into_mut().expect("the only view");
    let mut cursor = Cursor::new(&mut buffer[..]);
    cursor.seek(SeekFrom::Start(2)).expect("inside");
    cursor.write_all(b"__").expect("inside");
    assert_eq!(buffer, b"01__456789");
}

#[test]
fn extending_grows_into_larger_classes_and_then_beyond() {
    let pool = BytePool::new(Config::new().with_sizes(&[4, 16])).expect("valid");
    let mut buffer = pool.acquire(4).expect("memory");
    buffer.extend(b"abc");
    // Says nothing of how many come.
    buffer.extend((0..20).filter(|number| number % 2 == 0));
    assert_eq!(buffer.capacity(), 16);
    assert_eq!(&buffer[..4], b"abc\0");
    buffer.extend([9; 100]);
    assert_eq!(buffer.len(), 113);
    assert_eq!(
        (&buffer).into_iter().filter(|&&byte| byte == 9).count(),
        100
    );
    let local = LocalBytePool::default();
    let mut buffer = local.acquire(1).expect("memory");
    buffer.extend(b"12");
    assert_eq!(buffer, b"12");
}

#[test]
#[should_panic(expected = "a buffer of 4 bytes cannot grow")]
fn extending_beyond_a_limit_panics_as_it_must() {
    let config = Config::new().with_sizes(&[4]).with_buffers_per_class(1);
    let pool = BytePool::new(config).expect("valid");
    let mut buffer = pool.acquire(4).expect("within");
    drop(pool);
    buffer.extend((0..5).filter(|_| true));
}

#[test]
#[should_panic(expected = "3 bytes consumed of 2")]
fn a_view_gives_no_more_than_it_has() {
    frozen(&pool(8), b"ab").consume_front(3);
}

#[test]
fn ranges_at_the_end_of_numbers_are_outside() {
    let view = frozen(&pool(8), b"ab");
    for range in [
        (
            std::ops::Bound::Excluded(usize::MAX),
            std::ops::Bound::Unbounded,
        ),
        (
            std::ops::Bound::Unbounded,
            std::ops::Bound::Included(usize::MAX),
        ),
    ] {
        let sliced = std::panic::catch_unwind(|| view.slice(range));
        assert!(sliced.is_err());
    }
}
