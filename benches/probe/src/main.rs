//! The fast paths under their own names, to be disassembled and counted.
//!
//! ```text
//!  cargo xtask asm      reads the machine code of each function below
//!  cargo xtask icount   runs `millpond-probe NAME TIMES` under callgrind
//! ```
//!
//! Functions whose names begin with `alone` and `pond` are the same work on a pool by
//! itself and on one that a pond made: they are counted and compared, not recorded.
//!
//! The question is what one acquire and one release compile to, and how many
//! instructions that is when nothing goes wrong. The answer may not be used to claim a
//! time. A package of its own, so that building it does not build the reports.

mod bytes;

use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use millpond::Pond;
use millpond_arena::{ArenaManager, Scope};
use millpond_bytes::BytePool;
use millpond_fixed::{
    Clear, FixedPool, Id, IdPool, Lease, Local, LocalFixedPool, ObjectPool, Refused, View,
};
use millpond_vector::{AcquireError, RowLease, VectorPool, kernel};

/// Sixty-four bytes: one line, copied in by two instructions with wide registers and by
/// four without.
type Item = [u64; 8];

/// What object pools keep: made ready, not dropped.
type Line = String;

const CAPACITY: usize = 64;
const DIMENSION: usize = 64;

type SharedLease<'p> = Lease<'p, Item>;
type LocalLease<'p> = Lease<'p, Item, Local>;

// Each half by itself, where nothing is known of the other one.

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_shared_acquire<'p>(pool: &'p FixedPool<Item>, value: &Item) -> Option<SharedLease<'p>> {
    pool.try_acquire(*value).map_or_else(refused_cold, Some)
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_shared_release(lease: SharedLease<'_>) {
    drop(lease);
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_local_acquire<'p>(pool: &'p LocalFixedPool<Item>, value: &Item) -> Option<LocalLease<'p>> {
    pool.try_acquire(*value).map_or_else(refused_cold, Some)
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_local_release(lease: LocalLease<'_>) {
    drop(lease);
}

// Both halves in one function, as most callers have them.

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_shared_pair(pool: &FixedPool<Item>, value: &Item) -> bool {
    let lease = pool.try_acquire(*value).map_or_else(refused_cold, Some);
    lease.is_some()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_local_pair(pool: &LocalFixedPool<Item>, value: &Item) -> bool {
    let lease = pool.try_acquire(*value).map_or_else(refused_cold, Some);
    lease.is_some()
}

// A value that is named by an id, in a pool at rest.

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_id_lookup<'v>(view: View<'v, Item>, id: Id<Item>) -> Option<&'v Item> {
    view.get(id)
}

/// Calls the function above.
fn by_id(name: &str, times: u64) -> Option<bool> {
    let mut pool = IdPool::<Item>::new(CAPACITY);
    let id = pool.try_insert([7; 8]).ok()?;
    let view = pool.view();
    let found = |_| fast_id_lookup(black_box(view), id).is_some();
    (name == "fast_id_lookup").then(|| (0..times).all(found))
}

// A row of a vector pool: the way from its entry to its address comes on top.

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_row_acquire(pool: &VectorPool<f32>) -> Option<RowLease<'_, f32>> {
    pool.try_acquire().map_or_else(no_row_cold, Some)
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_row_release(lease: RowLease<'_, f32>) {
    drop(lease);
}

#[inline(never)]
#[unsafe(no_mangle)]
fn fast_row_pair(pool: &VectorPool<f32>) -> bool {
    let lease = pool.try_acquire().map_or_else(no_row_cold, Some);
    lease.is_some()
}

/// As `refused_cold`.
#[cold]
#[inline(never)]
fn no_row_cold<L>(_error: AcquireError) -> Option<L> {
    None
}

/// Calls the kernels of the vector pools, which are in the program to be looked at.
fn kernels(times: u64) -> bool {
    let (a, b) = (black_box([1.0; 112]), black_box([2.0; 112]));
    (0..times).all(|_| {
        kernel::dot(&a, &b) > 0.0
            && kernel::l2_squared(&a, &b) > 0.0
            && kernel::cosine(&a, &b) > 0.0
    })
}

/// Calls one of the functions above that take rows.
fn of_rows(name: &str, times: u64) -> Option<bool> {
    let rows = VectorPool::<f32>::new(768, CAPACITY).ok()?;
    let all_given = match name {
        "fast_row_pair" => (0..times).all(|_| fast_row_pair(&rows)),
        "fast_row_acquire" | "fast_row_release" => {
            (0..times).all(|_| fast_row_acquire(&rows).map(fast_row_release).is_some())
        }
        "kernels" => kernels(times),
        _ => return None,
    };
    Some(all_given)
}

// The same work, on a pool by itself and through a pond.

#[inline(never)]
#[unsafe(no_mangle)]
fn alone_fixed(pool: &FixedPool<Item>, value: &Item) -> bool {
    pool.try_acquire(*value).is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn pond_fixed(pool: &FixedPool<Item>, value: &Item) -> bool {
    pool.try_acquire(*value).is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn alone_buffer(pool: &BytePool) -> bool {
    pool.acquire(4096).is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn pond_buffer(pond: &Pond) -> bool {
    pond.buffer(4096).is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn alone_arena(manager: &ArenaManager) -> bool {
    manager.lease(Scope::Primitive).is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn pond_arena(pond: &Pond) -> bool {
    pond.arena(Scope::Primitive).is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn alone_row(pool: &VectorPool<f32>) -> bool {
    pool.try_acquire().is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn pond_row(pool: &VectorPool<f32>) -> bool {
    pool.try_acquire().is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn alone_object(pool: &ObjectPool<Line, Clear>) -> bool {
    pool.try_acquire().is_ok()
}

#[inline(never)]
#[unsafe(no_mangle)]
fn pond_object(pool: &ObjectPool<Line, Clear>) -> bool {
    pool.try_acquire().is_ok()
}

/// Calls one of the functions above.
fn through_a_pond(name: &str, times: u64) -> Option<bool> {
    let pond = Pond::builder().build().ok()?;
    let of_the_pond = pond.fixed_pool::<Item>("items", CAPACITY).ok()?;
    let fixed = FixedPool::<Item>::new(CAPACITY);
    let (bytes, arenas) = (BytePool::default(), ArenaManager::new());
    let rows = VectorPool::<f32>::builder(DIMENSION).capacity(CAPACITY);
    let rows = rows.build().ok()?;
    let rows_of_the_pond = pond.vector_pool("rows", DIMENSION, CAPACITY).ok()?;
    let objects = FixedPool::<Line>::builder(CAPACITY).build_objects(Clear::keeping_all());
    let objects_of_the_pond = pond
        .object_pool("objects", CAPACITY, Clear::keeping_all())
        .ok()?;
    let value = black_box([7; 8]);
    let all_given = match name {
        "alone_fixed" => (0..times).all(|_| alone_fixed(&fixed, &value)),
        "pond_fixed" => (0..times).all(|_| pond_fixed(&of_the_pond, &value)),
        "alone_buffer" => (0..times).all(|_| alone_buffer(&bytes)),
        "pond_buffer" => (0..times).all(|_| pond_buffer(&pond)),
        "alone_row" => (0..times).all(|_| alone_row(&rows)),
        "pond_row" => (0..times).all(|_| pond_row(&rows_of_the_pond)),
        "alone_object" => (0..times).all(|_| alone_object(&objects)),
        "pond_object" => (0..times).all(|_| pond_object(&objects_of_the_pond)),
        "alone_arena" => (0..times).all(|_| alone_arena(&arenas)),
        "pond_arena" => (0..times).all(|_| pond_arena(&pond)),
        _ => return None,
    };
    Some(all_given)
}

/// Drops the error out of line: what a caller does with it is not the fast path.
#[cold]
#[inline(never)]
fn refused_cold<L>(_refused: Refused<Item>) -> Option<L> {
    None
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(Ok(times)) = arguments.next().map(|times| times.parse::<u64>()) else {
        return usage();
    };
    let value = black_box([7; 8]);
    let shared = FixedPool::<Item>::new(CAPACITY);
    let local = LocalFixedPool::<Item>::new_local(CAPACITY);
    let all_given = match name.as_str() {
        "fast_shared_pair" => (0..times).all(|_| fast_shared_pair(&shared, &value)),
        "fast_local_pair" => (0..times).all(|_| fast_local_pair(&local, &value)),
        "fast_shared_acquire" | "fast_shared_release" => (0..times).all(|_| {
            let lease = fast_shared_acquire(&shared, &value);
            lease.map(fast_shared_release).is_some()
        }),
        "fast_local_acquire" | "fast_local_release" => (0..times).all(|_| {
            let lease = fast_local_acquire(&local, &value);
            lease.map(fast_local_release).is_some()
        }),
        other => match of_rows(other, times)
            .or_else(|| by_id(other, times))
            .or_else(|| bytes::called(other, times))
            .or_else(|| through_a_pond(other, times))
        {
            Some(all_given) => all_given,
            None => return usage(),
        },
    };
    assert!(all_given, "a pool with one lease at a time ran out");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: millpond-probe NAME TIMES, where NAME is a function of this file");
    ExitCode::from(2)
}
