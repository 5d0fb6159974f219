//! Full diagnostics of rows: who has which, and no false alarms.
#![cfg(feature = "std")]

use millpond_core::event::{Event, EventHook};
use millpond_vector::{Alignment, Diagnosis, Exhaustion, Holder, VectorPool};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const ROWS: usize = 8;

/// A pool under full diagnostics, and how often damage was found.
fn watched(policy: Exhaustion) -> (VectorPool<f32>, Arc<AtomicUsize>) {
    let damaged = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&damaged);
    let hook = EventHook::new(move |_, event| {
        if matches!(event, Event::Damaged { .. }) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    // So little aligned that an allocator hands out the same block again.
    let pool = VectorPool::<f32>::builder(16)
        .alignment(Alignment::Bytes16)
        .capacity(ROWS)
        .exhaustion(policy)
        .on_event(hook)
        .build()
        .unwrap();
    pool.set_diagnosis(Diagnosis::Full);
    (pool, damaged)
}

fn lines(holders: &[Holder]) -> Vec<u32> {
    let mut lines: Vec<u32> = holders
        .iter()
        .map(|holder| holder.location.line())
        .collect();
    lines.sort_unstable();
    lines
}

/// Leases every row, writes to it and gives it back.
fn use_all(pool: &VectorPool<f32>) {
    let mut rows: Vec<_> = (0..ROWS).map(|_| pool.acquire().unwrap()).collect();
    rows.iter_mut().for_each(|row| row.fill(1.0));
}

#[test]
fn holders_of_leases_stored_rows_and_batches_are_known_until_they_end() {
    let (mut pool, _) = watched(Exhaustion::Fail);
    let (lease, a) = (pool.try_acquire().unwrap(), line!());
    let (batch, b) = (pool.acquire_batch(2).unwrap(), line!());
    let (stored, c) = (pool.insert(&[1.0; 16]).unwrap(), line!());
    let (several, d) = (pool.acquire_batch(2).unwrap(), line!());
    assert_eq!(lines(&pool.holders()), [a, b, b, c, d, d]);
    let several = several.store();
    drop((lease, batch));
    assert_eq!(lines(&pool.holders()), [c, d, d]);
    assert!(pool.remove(stored));
    assert_eq!(lines(&pool.holders()), [d, d]);
    assert!(several.into_iter().all(|id| pool.remove(id)));
    assert_eq!(pool.holders(), []);
}

#[test]
fn a_row_that_moved_is_on_record_where_it_lies() {
    let (mut pool, damaged) = watched(Exhaustion::Fail);
    let ids: Vec<_> = (0..ROWS)
        .map(|_| pool.insert(&[1.0; 16]).unwrap())
        .collect();
    assert!(pool.remove(ids[0]));
    let (moved, line) = (pool.compact(), line!());
    assert_eq!(moved.len(), 1);
    let holders = pool.holders();
    assert_eq!(holders.len(), ROWS - 1);
    assert_eq!(lines(&holders).last(), Some(&line));
    assert!(pool.remove(moved[0].to));
    assert!(ids[1..ROWS - 1].iter().all(|&id| pool.remove(id)));
    assert_eq!(pool.holders(), []);
    use_all(&pool);
    assert_eq!(damaged.load(Ordering::Relaxed), 0);
}

#[test]
fn rows_that_a_batch_wrote_to_are_not_taken_for_damaged() {
    let (pool, damaged) = watched(Exhaustion::Fail);
    use_all(&pool);
    let _kept = pool.try_acquire().unwrap();
    // No more than lie side by side wherever slabs are small.
    let mut batch = pool.acquire_batch(2).unwrap();
    batch.rows_mut().for_each(|row| row.fill(2.0));
    drop(batch);
    let rows: Vec<_> = (1..ROWS).map(|_| pool.acquire().unwrap()).collect();
    assert_eq!(damaged.load(Ordering::Relaxed), 0);
    drop(rows);
}

#[test]
fn rows_outside_the_capacity_are_not_taken_for_damaged() {
    let (pool, damaged) = watched(Exhaustion::Fallback { at_most: 1 });
    let _all: Vec<_> = (0..ROWS).map(|_| pool.acquire().unwrap()).collect();
    for _ in 0..20 {
        let mut outside = pool.acquire().unwrap();
        outside.fill(3.0);
        assert_eq!(pool.holders().len(), ROWS + 1);
    }
    assert_eq!(damaged.load(Ordering::Relaxed), 0);
    assert_eq!(pool.holders().len(), ROWS);
}

/// Writing to a row through a reference that outlived its lease is what this is for.
#[test]
#[cfg_attr(miri, ignore = "writes to a free row on purpose")]
fn a_write_to_a_free_row_is_found() {
    let (pool, damaged) = watched(Exhaustion::Fail);
    use_all(&pool);
    let mut row = pool.try_acquire().unwrap();
    let stale = row.as_mut_ptr();
    drop(row);
    // SAFETY: the slab is there as long as the pool, and no other thread uses it.
    unsafe { stale.write(0.5) };
    use_all(&pool);
    assert_eq!(damaged.load(Ordering::Relaxed), 1);
}
