//! Scratch buffers: any length, aligned, with a tail of zeros.

use millpond_vector::{Level, Limit, ScratchPool, ShapeError};

#[test]
fn buffers_of_every_length_are_aligned_and_end_in_zeros() {
    let longest = if cfg!(miri) { 20 } else { 1000 };
    let pool = ScratchPool::<f32>::new(longest, 2).unwrap();
    for len in 0..=longest {
        // What a former lease left there must not show behind the length.
        pool.acquire(len).unwrap().fill(7.0);
        pool.acquire(len.next_multiple_of(16).min(longest))
            .unwrap()
            .fill(8.0);
        let mut buffer = pool.acquire(len).unwrap();
        buffer.fill(1.0);
        assert_eq!(buffer.len(), len);
        assert_eq!(buffer.as_ptr().addr() % 64, 0);
        assert_eq!(buffer.padded().len() % 16, 0);
        assert!(buffer.padded()[len..].iter().all(|&number| number == 0.0));
        assert!(buffer.capacity() < (2 * len).max(17));
    }
}

#[test]
fn buffers_beyond_the_longest_and_beyond_the_count_are_refused() {
    let pool = ScratchPool::<u8>::new(100, 1).unwrap();
    assert_eq!(pool.longest(), 128);
    for len in [129, 1 << 20, usize::MAX / 2 + 2, usize::MAX] {
        let refused = pool.acquire(len).unwrap_err();
        assert_eq!(*refused.limit(), Limit::Memory { bytes: len });
    }
    let held = pool.acquire(128).unwrap();
    assert_eq!(*pool.acquire(100).unwrap_err().limit(), Limit::Capacity);
    assert!(pool.acquire(64).is_ok(), "another class");
    drop(held);
    assert!(
        pool.acquire_zeroed(100)
            .unwrap()
            .iter()
            .all(|&byte| byte == 0)
    );
    assert_eq!(pool.trim(Level::Full).freed_items, 2);
    assert_eq!(ScratchPool::<u8>::new(0, 1).unwrap_err(), ShapeError::Empty);
}
