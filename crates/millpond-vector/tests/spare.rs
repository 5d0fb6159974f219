//! What a pool keeps when removals empty its slabs.

use millpond_core::event::{Event, EventHook};
use millpond_vector::{Builder, Level, LocalVectorPool, RowId, VectorPool};
use std::panic::{AssertUnwindSafe, catch_unwind};

const DIMENSION: usize = if cfg!(miri) { 16 } else { 128 };
/// Rows of a slab, and the slabs that the tests fill.
const EACH: usize = if cfg!(miri) { 4 } else { 16 };
const SLABS: usize = if cfg!(miri) { 10 } else { 60 };
const ROWS: usize = EACH * SLABS;
const SLAB_BYTES: usize = EACH * DIMENSION * 4;

fn small_slabs(builder: Builder<f32>) -> Builder<f32> {
    builder.slab_bytes(SLAB_BYTES)
}

fn filled(builder: Builder<f32>) -> (VectorPool<f32>, Vec<RowId<f32>>) {
    let pool = small_slabs(builder).build().unwrap();
    let ids = (0..ROWS).map(|row| pool.insert(&[row as f32; DIMENSION]).unwrap());
    let ids = ids.collect();
    (pool, ids)
}

#[test]
fn slabs_that_empty_go_back_but_for_two() {
    let (mut pool, ids) = filled(VectorPool::builder(DIMENSION));
    let full = pool.stats().held_bytes;
    for (gone, &id) in ids.iter().enumerate() {
        assert!(pool.remove(id));
        let stats = pool.stats();
        let (free, in_use) = (stats.created - stats.in_use, stats.in_use);
        // In use when the pool last looked, at most.
        let most = 2 * (2 * EACH).max((in_use + free) / 8) + EACH;
        assert!(free <= most, "{free} rows are free after {gone} removals");
        let next = ids.get(gone + 1);
        let value = next.map(|&next| pool.row(next).unwrap()[DIMENSION - 1]);
        assert_eq!(value, next.map(|_| (gone + 1) as f32));
    }
    let stats = pool.stats();
    assert!(stats.held_bytes <= 4 * SLAB_BYTES && stats.held_bytes < full / 2);
    assert_eq!(stats.returned_bytes, (full - stats.held_bytes) as u64);
    assert!(ids.iter().all(|&id| !pool.contains(id)));
}

#[test]
fn slabs_that_empty_at_the_end_only_go_back_too() {
    let (mut pool, ids) = filled(VectorPool::builder(DIMENSION));
    // One row of each slab after the other.
    for first in 0..EACH {
        for &id in ids.iter().skip(first).step_by(EACH) {
            assert!(pool.remove(id));
        }
    }
    assert!(pool.stats().held_bytes <= 4 * SLAB_BYTES);
}

#[test]
fn rows_in_the_caches_of_other_threads_hold_no_slab() {
    let (mut pool, ids) = filled(VectorPool::builder(DIMENSION));
    std::thread::scope(|scope| {
        // Its free rows stay in its cache.
        scope.spawn(|| {
            let rows: Vec<_> = (0..8).map(|_| pool.try_acquire().unwrap()).collect();
            drop(rows);
        });
    });
    assert!(ids.into_iter().all(|id| pool.remove(id)));
    assert!(pool.stats().held_bytes <= 4 * SLAB_BYTES);
}

#[test]
fn a_pool_for_one_thread_does_the_same() {
    let builder = small_slabs(LocalVectorPool::local_builder(DIMENSION));
    let mut pool = builder.build_local().unwrap();
    let ids: Vec<_> = (0..ROWS)
        .map(|_| pool.insert(&[1.0; DIMENSION]).unwrap())
        .collect();
    assert!(ids.into_iter().all(|id| pool.remove(id)));
    assert!(pool.stats().held_bytes <= 4 * SLAB_BYTES);
}

#[test]
fn spare_rows_are_as_many_as_was_said() {
    let (mut pool, ids) = filled(VectorPool::builder(DIMENSION).spare_rows(usize::MAX));
    let full = pool.stats().held_bytes;
    assert!(ids.into_iter().all(|id| pool.remove(id)));
    assert_eq!(pool.stats().held_bytes, full);
    assert_eq!(pool.trim(Level::Full).freed_items, ROWS);

    let (mut pool, ids) = filled(VectorPool::builder(DIMENSION).spare_rows(0));
    assert!(ids.into_iter().all(|id| pool.remove(id)));
    assert_eq!(pool.stats().held_bytes, 0);
}

#[test]
fn a_hook_that_panics_leaves_nothing_behind() {
    let hook = EventHook::new(|_, event| {
        assert!(!matches!(event, Event::Trimmed { .. }), "the hook's");
    });
    let (mut pool, ids) = filled(VectorPool::builder(DIMENSION).on_event(hook));
    for id in ids {
        // Whether the panic comes through or not, the row is removed.
        let _ = catch_unwind(AssertUnwindSafe(|| pool.remove(id)));
        assert!(!pool.contains(id));
    }
    let _ = catch_unwind(|| pool.trim(Level::Full));
    assert_eq!(pool.stats().held_bytes, 0);
}

#[test]
fn clearing_and_steady_replacement_keep_the_slabs() {
    let (mut pool, mut ids) = filled(VectorPool::builder(DIMENSION));
    let full = pool.stats().held_bytes;
    for round in 0..2 * ROWS {
        assert!(pool.remove(ids[round * 7 % ROWS]));
        ids[round * 7 % ROWS] = pool.insert(&[0.0; DIMENSION]).unwrap();
    }
    pool.clear();
    let stats = pool.stats();
    assert_eq!((stats.held_bytes, stats.returned_bytes), (full, 0));
}
