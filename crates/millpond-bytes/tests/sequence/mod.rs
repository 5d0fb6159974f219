//! Sequences of operations, read from bytes, against vectors as the reference.
//! The fuzz target runs the same sequences.

use millpond_bytes::{BytePool, Config, Level, PoolBuf, PoolBytes};
use millpond_core::size_class::SizeClasses;
use std::io::{IoSlice, Read, Write};

/// A buffer or a view with what it must contain.
enum Held {
    Buffer(PoolBuf, Vec<u8>),
    View(PoolBytes, Vec<u8>),
}

/// At most so many are held at once.
const HELD: usize = 12;

/// Bytes as a source of decisions; zeroes once they are used up.
struct Script<'s>(&'s [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn next(&mut self) -> usize {
        usize::from(self.byte())
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound.max(1)
    }
}

/// Runs the sequence that `script` describes, and compares after each step.
pub(crate) fn run(script: &[u8]) {
    let mut script = Script(script);
    let smallest = [0, 1, 20][script.below(3)];
    let config = Config::new()
        .with_sizes(&[16, 48, 64])
        .with_pool_min_size(smallest);
    let pool = BytePool::new(config).expect("valid");
    let mut held: Vec<Held> = Vec::new();
    while !script.0.is_empty() {
        let operation = script.next();
        if held.is_empty() || (operation % 4 == 0 && held.len() < HELD) {
            held.push(acquire(&pool, &mut script));
        } else if operation % 16 == 1 {
            change_the_pool(&pool, &mut script);
        } else {
            let index = script.below(held.len());
            let one = held.swap_remove(index);
            held.extend(step(&pool, one, operation / 4, &mut script));
        }
        held.iter().for_each(check);
    }
    drop(held);
    assert_eq!(pool.stats().outstanding(), 0);
    assert_eq!(pool.stats().oversize_outstanding, 0);
    assert_eq!(pool.stats().discards.total(), 0);
    pool.trim(Level::Full);
    assert!(
        pool.stats()
            .classes
            .iter()
            .all(|class| class.held_bytes == 0)
    );
}

fn acquire(pool: &BytePool, script: &mut Script<'_>) -> Held {
    let len = script.below(100);
    match script.below(3) {
        0 => {
            let buffer = pool.acquire(len).expect("memory");
            assert!(buffer.capacity() >= len);
            Held::Buffer(buffer, Vec::new())
        }
        1 => Held::Buffer(pool.acquire_zeroed(len).expect("memory"), vec![0; len]),
        _ => {
            let mut buffer = pool.acquire_stale(len).expect("memory");
            assert_eq!(buffer.len(), len);
            buffer.fill(7);
            Held::Buffer(buffer, vec![7; len])
        }
    }
}

fn change_the_pool(pool: &BytePool, script: &mut Script<'_>) {
    let tables: [&[usize]; 3] = [&[16, 48, 64], &[20, 64, 5000], &[33]];
    match script.below(4) {
        index @ 0..3 => {
            let table = SizeClasses::new(tables[index]).expect("a table");
            pool.apply(&table).expect("valid");
        }
        _ => {
            pool.trim(Level::Moderate);
        }
    }
}

/// One operation on one of those held; answers what is held afterwards.
fn step(pool: &BytePool, one: Held, operation: usize, script: &mut Script<'_>) -> Vec<Held> {
    match one {
        Held::Buffer(buffer, expected) => step_buffer(pool, buffer, expected, operation, script),
        Held::View(view, expected) => step_view(view, expected, operation, script),
    }
}

fn step_buffer(
    pool: &BytePool,
    mut buffer: PoolBuf,
    mut expected: Vec<u8>,
    operation: usize,
    script: &mut Script<'_>,
) -> Vec<Held> {
    let capacity = buffer.capacity();
    match operation % 13 {
        0 => return Vec::new(),
        10 => {
            // Grows as a vector does.
            let data = vec![script.byte(); script.below(60)];
            buffer.extend(&data);
            expected.extend(data);
        }
        11 => {
            let data = vec![script.byte(); script.below(40)];
            let slices = [IoSlice::new(&data), IoSlice::new(&data)];
            let fits = buffer.spare().min(2 * data.len());
            let written = buffer.write_vectored(&slices).expect("room");
            assert_eq!(written, fits);
            expected.extend(data.iter().chain(&data).take(fits));
        }
        12 => {
            let mut read = vec![0; script.below(40)];
            let count = buffer.read(&mut read).expect("bytes");
            assert_eq!(read[..count], expected[..count]);
            expected.drain(..count);
        }
        1 => {
            let data = vec![script.byte(); script.below(40)];
            let fits = data.len() <= buffer.spare();
            assert_eq!(buffer.extend_from_slice(&data).is_ok(), fits);
            if fits {
                expected.extend(data);
            }
        }
        2 => {
            let len = script.below(capacity + 1);
            if buffer.resize(len, 9).is_ok() {
                expected.resize(len, 9);
            }
        }
        3 => {
            let count = script.below(buffer.len() + 1);
            buffer.consume_front(count);
            expected.drain(..count);
        }
        4 => buffer.compact(),
        5 => {
            let more = script.below(60);
            buffer.reserve(more).expect("memory");
            assert!(buffer.spare() >= more);
        }
        6 => buffer.wipe_on_release(),
        7 => return vec![Held::View(buffer.freeze(), expected)],
        8 => {
            buffer = match buffer.into_raw_parts() {
                // SAFETY: as they were, and the pointer is not used.
                Ok(parts) => unsafe { pool.from_raw_parts(parts) }.expect("out"),
                Err(buffer) => buffer,
            };
        }
        _ => {
            let spare = buffer.spare_capacity_mut();
            if let Some(place) = spare.first_mut() {
                place.write(3);
                let len = buffer.len() + 1;
                // SAFETY: one byte more was written.
                unsafe { buffer.set_len(len) };
                expected.push(3);
            }
        }
    }
    vec![Held::Buffer(buffer, expected)]
}

fn step_view(
    mut view: PoolBytes,
    mut expected: Vec<u8>,
    operation: usize,
    script: &mut Script<'_>,
) -> Vec<Held> {
    match operation % 7 {
        0 => Vec::new(),
        4 => {
            let count = script.below(view.len() + 1);
            view.consume_front(count);
            expected.drain(..count);
            vec![Held::View(view, expected)]
        }
        5 => {
            let at = script.below(view.len() + 1);
            let rest = view.split_off(at);
            let expected_rest = expected.split_off(at);
            vec![Held::View(view, expected), Held::View(rest, expected_rest)]
        }
        1 => {
            let copy = view.clone();
            vec![
                Held::View(view, expected.clone()),
                Held::View(copy, expected),
            ]
        }
        2 => {
            let at = script.below(view.len() + 1);
            let head = view.split_to(at);
            let rest = expected.split_off(at);
            vec![Held::View(head, expected), Held::View(view, rest)]
        }
        3 => {
            let at = script.below(view.len() + 1);
            let part = view.slice(at..);
            vec![Held::View(part, expected.split_off(at))]
        }
        _ => match view.try_into_mut() {
            Ok(buffer) => vec![Held::Buffer(buffer, expected)],
            Err(view) => vec![Held::View(view, expected)],
        },
    }
}

fn check(one: &Held) {
    match one {
        Held::Buffer(buffer, expected) => {
            assert_eq!(buffer, expected);
            assert!(buffer.len() + buffer.spare() <= buffer.capacity());
        }
        Held::View(view, expected) => assert_eq!(view, expected),
    }
}
