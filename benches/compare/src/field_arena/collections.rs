//! Collections in arenas.

use super::OURS;
use super::requests::BYTES;
use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::boxed::Box as ApiBox;
use allocator_api2::vec::Vec as ApiVec;
use bumpalo::Bump;
use millpond_arena::{ArenaManager, ArenaVec, Scope};
use millpond_bench::runner::Contest;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The collections that everybody else uses, on bare bumpalo.
pub const ON_BUMP: &str = "allocator-api2 on bumpalo";
/// What an append is compared with.
pub const COPY: &str = "copy_nonoverlapping";

const SLICE: [u8; 64] = [7; 64];

/// Slices appended to one vector.
const SLICES: u64 = 64;

pub fn collections() -> Contest<'static> {
    let mut contest = Contest::new();
    let manager = ArenaManager::new();
    contest.add(OURS, move |n| ours(n, &manager));
    let mut arena = Bump::with_capacity(BYTES);
    contest.add(ON_BUMP, move |n| on_bump(n, &mut arena));
    contest.add("allocator-api2 on the heap", on_heap);
    let manager = ArenaManager::new();
    contest.add("allocator-api2 on millpond", move |n| on_lease(n, &manager));
    contest
}

#[inline(never)]
fn ours(iterations: u64, manager: &ArenaManager) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        let arena = manager.lease(Scope::Primitive).expect("memory");
        let mut words = arena.vec();
        for word in 0..200u64 {
            words.push(word).expect("room");
        }
        let mut bytes = arena.vec();
        for _ in 0..32 {
            bytes.extend_from_slice(black_box(&SLICE)).expect("room");
        }
        for word in 0..50u64 {
            black_box(arena.alloc([word; 4]).expect("room"));
        }
        black_box((&words, &bytes));
    }
    began.elapsed()
}

/// The same with the collections of allocator-api2.
#[inline(always)]
fn with<A: Allocator + Copy>(allocator: A) {
    let mut words = ApiVec::new_in(allocator);
    for word in 0..200u64 {
        words.push(word);
    }
    let mut bytes = ApiVec::new_in(allocator);
    for _ in 0..32 {
        bytes.extend_from_slice(black_box(&SLICE));
    }
    for word in 0..50u64 {
        let boxed = ApiBox::new_in([word; 4], allocator);
        black_box(&boxed);
    }
    black_box((&words, &bytes));
}

#[inline(never)]
fn on_bump(iterations: u64, arena: &mut Bump) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        with(&*arena);
        arena.reset();
    }
    began.elapsed()
}

#[inline(never)]
fn on_heap(iterations: u64) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        with(Global);
    }
    began.elapsed()
}

#[inline(never)]
fn on_lease(iterations: u64, manager: &ArenaManager) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        let arena = manager.lease(Scope::Primitive).expect("memory");
        with(&arena);
    }
    began.elapsed()
}

pub fn extend() -> Contest<'static> {
    let mut contest = Contest::new();
    let manager = ArenaManager::new();
    contest.add(OURS, move |n| {
        let arena = manager.lease(Scope::Primitive).expect("memory");
        let room = SLICE.len() * SLICES as usize;
        let bytes = ArenaVec::with_capacity_in(room, &arena).expect("room");
        appended(n, bytes, ArenaVec::clear, |bytes, slice| {
            bytes.extend_from_slice(slice).expect("room");
        })
    });
    contest.add(COPY, |n| {
        let room = SLICE.len() * SLICES as usize;
        let block = Vec::<u8>::with_capacity(room);
        appended(
            n,
            (block, 0),
            |(_, len)| *len = 0,
            |(block, len), slice| {
                // SAFETY: 64 slices of 64 bytes fit, and the length is set back
                // after as many.
                let place = unsafe { block.as_mut_ptr().add(*len) };
                // SAFETY: as above.
                unsafe { place.copy_from_nonoverlapping(slice.as_ptr(), slice.len()) };
                *len += slice.len();
            },
        )
    });
    contest.add("Vec", |n| {
        let bytes = Vec::with_capacity(SLICE.len() * SLICES as usize);
        appended(n, bytes, Vec::clear, |bytes, slice| {
            bytes.extend_from_slice(slice);
        })
    });
    let arena = Bump::with_capacity(BYTES);
    contest.add(ON_BUMP, move |n| {
        let bytes = ApiVec::with_capacity_in(SLICE.len() * SLICES as usize, &arena);
        appended(n, bytes, ApiVec::clear, |bytes, slice| {
            bytes.extend_from_slice(slice);
        })
    });
    contest
}

/// Appends slices, whose length the compiler does not know; begins anew after 64.
#[inline(never)]
fn appended<V>(
    iterations: u64,
    mut vector: V,
    clear: impl Fn(&mut V),
    append: impl Fn(&mut V, &[u8]),
) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations.div_ceil(SLICES) {
        clear(&mut vector);
        for _ in 0..SLICES {
            append(&mut vector, black_box(&SLICE[..]));
        }
        black_box(&mut vector);
    }
    let whole = iterations.div_ceil(SLICES) * SLICES;
    began.elapsed().mul_f64(iterations as f64 / whole as f64)
}
