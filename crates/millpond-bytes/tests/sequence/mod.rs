//! Sequences of operations, read from bytes, against vectors as the reference.
//! The fuzz target runs the same sequences.

use millpond_bytes::{
    BytePool, Config, Lent, Level, LocalBuf, LocalBytePool, Origin, PoolBuf, PoolBytes, PoolStats,
    Pooled,
};
use millpond_core::size_class::SizeClasses;
use std::io::{IoSlice, Read, Write};

/// A buffer or a view with what it must contain.
enum Held<O: Origin> {
    Buffer(PoolBuf<O>, Vec<u8>),
    View(PoolBytes<O>, Vec<u8>),
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

/// A pool that is tried, whose buffers are of origin `O`.
trait Tried<O: Origin>: Copy {
    fn acquire(self, len: usize) -> PoolBuf<O>;
    fn acquire_zeroed(self, len: usize) -> PoolBuf<O>;
    fn acquire_stale(self, len: usize) -> PoolBuf<O>;
    fn change(self, script: &mut Script<'_>);
    /// Takes a buffer apart and puts it together, where the pool does that.
    fn by_raw_parts(self, buffer: PoolBuf<O>) -> PoolBuf<O>;
    fn trim(self, level: Level);
    fn stats(self) -> PoolStats;
}

impl Tried<Pooled> for &BytePool {
    fn acquire(self, len: usize) -> PoolBuf {
        self.acquire(len).expect("memory")
    }

    fn acquire_zeroed(self, len: usize) -> PoolBuf {
        self.acquire_zeroed(len).expect("memory")
    }

    fn acquire_stale(self, len: usize) -> PoolBuf {
        self.acquire_stale(len).expect("memory")
    }

    fn change(self, script: &mut Script<'_>) {
        let tables: [&[usize]; 3] = [&[16, 48, 64], &[20, 64, 5000], &[33]];
        match script.below(4) {
            index @ 0..3 => {
                let table = SizeClasses::new(tables[index]).expect("a table");
                self.apply(&table).expect("valid");
            }
            _ => Tried::trim(self, Level::Moderate),
        }
    }

    fn by_raw_parts(self, buffer: PoolBuf) -> PoolBuf {
        match buffer.into_raw_parts() {
            // SAFETY: as they were, and the pointer is not used.
            Ok(parts) => unsafe { self.from_raw_parts(parts) }.expect("out"),
            Err(buffer) => buffer,
        }
    }

    fn trim(self, level: Level) {
        self.trim(level);
    }

    fn stats(self) -> PoolStats {
        self.stats()
    }
}

impl<'p> Tried<Lent<'p>> for &'p LocalBytePool {
    fn acquire(self, len: usize) -> LocalBuf<'p> {
        self.acquire(len).expect("memory")
    }

    fn acquire_zeroed(self, len: usize) -> LocalBuf<'p> {
        self.acquire_zeroed(len).expect("memory")
    }

    fn acquire_stale(self, len: usize) -> LocalBuf<'p> {
        self.acquire_stale(len).expect("memory")
    }

    fn change(self, _: &mut Script<'_>) {
        self.trim(Level::Moderate);
    }

    fn by_raw_parts(self, buffer: LocalBuf<'p>) -> LocalBuf<'p> {
        buffer
    }

    fn trim(self, level: Level) {
        self.trim(level);
    }

    fn stats(self) -> PoolStats {
        self.stats()
    }
}

/// Runs the sequence that `script` describes on a pool of each kind, and compares
/// after each step.
pub(crate) fn run(script: &[u8]) {
    let mut script = Script(script);
    let smallest = [0, 1, 20][script.below(3)];
    let config = Config::new()
        .with_sizes(&[16, 48, 64])
        .with_pool_min_size(smallest);
    let shared = BytePool::new(config.clone()).expect("valid");
    run_on(&shared, Script(script.0));
    let local = LocalBytePool::new(config).expect("valid");
    run_on(&local, script);
}

fn run_on<O: Origin>(pool: impl Tried<O>, mut script: Script<'_>) {
    let mut held: Vec<Held<O>> = Vec::new();
    while !script.0.is_empty() {
        let operation = script.next();
        if held.is_empty() || (operation % 4 == 0 && held.len() < HELD) {
            held.push(acquire(pool, &mut script));
        } else if operation % 16 == 1 {
            pool.change(&mut script);
        } else {
            let index = script.below(held.len());
            let one = held.swap_remove(index);
            held.extend(step(pool, one, operation / 4, &mut script));
        }
        held.iter().for_each(check);
    }
    drop(held);
    pool.trim(Level::Full);
    let stats = pool.stats();
    assert_eq!(stats.outstanding(), 0);
    assert_eq!(stats.oversize_outstanding, 0);
    assert_eq!(stats.discards.total(), 0);
    assert!(stats.classes.iter().all(|class| class.held_bytes == 0));
}

fn acquire<O: Origin>(pool: impl Tried<O>, script: &mut Script<'_>) -> Held<O> {
    let len = script.below(100);
    match script.below(3) {
        0 => {
            let buffer = pool.acquire(len);
            assert!(buffer.capacity() >= len);
            Held::Buffer(buffer, Vec::new())
        }
        1 => Held::Buffer(pool.acquire_zeroed(len), vec![0; len]),
        _ => {
            let mut buffer = pool.acquire_stale(len);
            assert_eq!(buffer.len(), len);
            buffer.fill(7);
            Held::Buffer(buffer, vec![7; len])
        }
    }
}

/// One operation on one of those held; answers what is held afterwards.
fn step<O: Origin>(
    pool: impl Tried<O>,
    one: Held<O>,
    operation: usize,
    script: &mut Script<'_>,
) -> Vec<Held<O>> {
    match one {
        Held::Buffer(buffer, expected) => step_buffer(pool, buffer, expected, operation, script),
        Held::View(view, expected) => step_view(view, expected, operation, script),
    }
}

fn step_buffer<O: Origin>(
    pool: impl Tried<O>,
    mut buffer: PoolBuf<O>,
    mut expected: Vec<u8>,
    operation: usize,
    script: &mut Script<'_>,
) -> Vec<Held<O>> {
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
        8 => buffer = pool.by_raw_parts(buffer),
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

fn step_view<O: Origin>(
    mut view: PoolBytes<O>,
    mut expected: Vec<u8>,
    operation: usize,
    script: &mut Script<'_>,
) -> Vec<Held<O>> {
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

fn check<O: Origin>(one: &Held<O>) {
    match one {
        Held::Buffer(buffer, expected) => {
            assert_eq!(buffer, expected);
            assert!(buffer.len() + buffer.spare() <= buffer.capacity());
        }
        Held::View(view, expected) => assert_eq!(view, expected),
    }
}
