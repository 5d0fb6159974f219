//! Buffers of a length that the compiler does not know, and wiping.

use std::hint::black_box;
use std::ptr::NonNull;

use millpond_bytes::{AcquireError, BytePool, LocalBytePool, PoolBuf};

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_bytes_acquire(pool: &BytePool, len: usize) -> Option<PoolBuf> {
    pool.try_acquire(len).map_or_else(exhausted_cold, Some)
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_bytes_release(buffer: PoolBuf) {
    drop(buffer);
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_bytes_pair(pool: &BytePool, len: usize) -> bool {
    let buffer = pool.try_acquire(len).map_or_else(exhausted_cold, Some);
    buffer.is_some()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_local_bytes_pair(pool: &LocalBytePool, len: usize) -> bool {
    let buffer = pool.try_acquire(len).map_or_else(exhausted_cold, Some);
    buffer.is_some()
}

/// Drops the error out of line: what a caller does with it is not the fast path.
#[cold]
#[inline(never)]
fn exhausted_cold<B>(_error: AcquireError) -> Option<B> {
    None
}

// Bytes that nobody reads again: wiped, and filled as one would who does not know
// better. Only the first may still be there in the machine code.

#[inline(never)]
#[unsafe(no_mangle)]
fn wipe_of_dead_bytes(secret: &[u8; 4096]) -> u8 {
    let mut copy = *secret;
    let answer = sum(black_box(&copy));
    // SAFETY: the bytes are this function's own.
    unsafe { millpond_core::wipe::wipe(NonNull::from(&mut copy).cast(), copy.len(), 0) };
    answer
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fill_of_dead_bytes(secret: &[u8; 4096]) -> u8 {
    let mut copy = *secret;
    let answer = sum(&copy);
    copy.fill(0);
    answer
}

fn sum(bytes: &[u8; 4096]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum ^ byte)
}

/// Calls one of the functions above; whether each call was served.
pub(crate) fn called(name: &str, times: u64) -> Option<bool> {
    let (pool, local) = (BytePool::default(), LocalBytePool::default());
    let len = black_box(3000);
    let all_given = match name {
        "fast_bytes_pair" => (0..times).all(|_| fast_bytes_pair(&pool, len)),
        "fast_local_bytes_pair" => (0..times).all(|_| fast_local_bytes_pair(&local, len)),
        "fast_bytes_acquire" | "fast_bytes_release" => (0..times).all(|_| {
            let buffer = fast_bytes_acquire(&pool, len);
            buffer.map(fast_bytes_release).is_some()
        }),
        "wipe_of_dead_bytes" => (0..times).all(|_| wipe_of_dead_bytes(&[1; 4096]) == 0),
        "fill_of_dead_bytes" => (0..times).all(|_| fill_of_dead_bytes(&[1; 4096]) == 0),
        _ => return None,
    };
    Some(all_given)
}
