//! Threads that store rows while others read them.

use millpond_vector::{RowId, VectorPool};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const ROWS: usize = if cfg!(miri) { 6 } else { 3000 };

/// Rows that stay while others come and go.
const KEPT: u64 = if cfg!(miri) { 4 } else { 20 };

fn is_whole(row: &[u64]) -> bool {
    row.iter().all(|&number| number == row[0])
}

#[test]
fn a_row_that_is_seen_by_its_id_is_complete() {
    let pool = VectorPool::<u64>::builder(24)
        .slab_bytes(4096)
        .build()
        .unwrap();
    let posted: Vec<AtomicU64> = (0..2 * ROWS).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for writer in 0..2 {
            let (pool, posted) = (&pool, &posted);
            scope.spawn(move || {
                for i in 0..ROWS {
                    let at = i * 2 + writer;
                    let id = pool.insert(&[at as u64; 24]).unwrap();
                    // Relaxed: the generation orders what is in the row.
                    posted[at].store(id.to_bits(), Ordering::Relaxed);
                    // A lease of a moment, so that rows change hands.
                    pool.try_acquire().unwrap().fill(u64::MAX);
                }
            });
        }
        scope.spawn(|| {
            let mut seen = 0;
            for _ in 0..if cfg!(miri) { 2 } else { 50 } {
                for (at, bits) in posted.iter().enumerate() {
                    let id = RowId::from_bits(bits.load(Ordering::Relaxed));
                    // Posted before it is visible here, it may still be too new.
                    if let Some(row) = id.and_then(|id| pool.row(id)) {
                        assert!(is_whole(row) && row[0] == at as u64);
                        seen += 1;
                    }
                }
            }
            seen
        });
        scope.spawn(|| {
            for _ in 0..if cfg!(miri) { 2 } else { 50 } {
                for run in pool.runs() {
                    assert!(
                        run.rows()
                            .all(|row| is_whole(row) && row[0] < 2 * ROWS as u64)
                    );
                }
            }
        });
    });
    assert_eq!(pool.stored(), 2 * ROWS);
}

#[test]
fn trims_beside_readers_take_only_what_is_free() {
    let pool = VectorPool::<u64>::builder(8)
        .slab_bytes(512)
        .build()
        .unwrap();
    let ids: Vec<_> = (0..KEPT).map(|i| pool.insert(&[i; 8]).unwrap()).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROWS.div_ceil(4) {
                let burst: Vec<_> = (0..KEPT + 10)
                    .map(|_| pool.try_acquire().unwrap())
                    .collect();
                drop(burst);
            }
        });
        scope.spawn(|| {
            for _ in 0..ROWS.div_ceil(10) {
                pool.trim(millpond_vector::Level::Full);
            }
        });
        for _ in 0..ROWS.div_ceil(10) {
            for (i, &id) in ids.iter().enumerate() {
                assert_eq!(pool.row(id), Some(&[i as u64; 8][..]));
            }
        }
    });
    assert_eq!(pool.stats().in_use as u64, KEPT);
}

#[test]
fn a_lease_may_be_released_on_another_thread() {
    let pool = VectorPool::<f32>::new(32, 8).unwrap();
    thread::scope(|scope| {
        let lease = pool.acquire_zeroed().unwrap();
        scope.spawn(move || drop(lease));
    });
    assert_eq!(pool.stats().in_use, 0);
}
