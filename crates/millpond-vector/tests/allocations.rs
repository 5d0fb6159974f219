//! A warm pool allocates nothing, whatever is done with its rows, and an unused
//! one has taken nothing.
//!
//! The allocator of this binary counts, by thread.
#![cfg(feature = "std")]

use millpond_testing::{TestAllocator, count};
use millpond_vector::{Level, LocalVectorPool, Mode, RowId, ScratchPool, Triples8Pool, VectorPool};

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

const ROWS: usize = if cfg!(miri) { 8 } else { 3000 };
const ROUNDS: usize = if cfg!(miri) { 1 } else { 20 };

/// Everything that a program does in its steady state.
fn work<M: Mode>(pool: &mut VectorPool<f32, M>, ids: &mut Vec<RowId<f32>>) -> f32 {
    let mut sum = 0.0;
    for round in 0..ROUNDS {
        ids.extend((0..ROWS).map(|_| pool.insert(&[round as f32; 20]).expect("room")));
        let mut query = pool.acquire_zeroed().expect("room for one more");
        query[0] = 1.0;
        sum += pool.gather(ids).flatten().map(|row| row[0]).sum::<f32>();
        sum += pool
            .runs()
            .flat_map(|run| run.rows_padded())
            .map(|row| row[31])
            .sum::<f32>();
        drop(query);
        assert!(ids.drain(..).all(|id| pool.remove(id)));
    }
    sum
}

#[test]
fn a_warm_pool_allocates_nothing() {
    fn check<M: Mode>(mut pool: VectorPool<f32, M>) {
        let mut ids = Vec::with_capacity(ROWS);
        work(&mut pool, &mut ids);
        let (sum, counts) = count(|| work(&mut pool, &mut ids));
        assert!(counts.is_silent(), "{counts:?}");
        let rounds: f32 = (0..ROUNDS).map(|round| round as f32).sum();
        assert!((sum - rounds * ROWS as f32).abs() < 0.5);
    }
    check(VectorPool::new(20, ROWS + 1).unwrap());
    check(LocalVectorPool::new_local(20, ROWS + 1).unwrap());
}

#[test]
fn warm_scratch_buffers_and_blocks_allocate_nothing() {
    let scratch = ScratchPool::<f32>::new(1000, 4).unwrap();
    let blocks = Triples8Pool::new().unwrap();
    let work = || {
        for len in 0..ROWS.min(1000) {
            scratch.acquire(len).expect("one at a time").fill(1.0);
            let run = blocks.try_load(&[[1, 2, 3]; 8]).expect("one at a time");
            assert_eq!(run.match_mask([Some(1), None, None]), 0xFF);
        }
    };
    work();
    let ((), counts) = count(work);
    assert!(counts.is_silent(), "{counts:?}");
}

#[test]
fn a_burst_that_is_over_goes_back_to_the_system() {
    let mut pool = VectorPool::<f32>::new(500, usize::MAX).unwrap();
    for _ in 0..ROWS {
        pool.insert(&[1.0; 500]).unwrap();
    }
    assert!(pool.stats().held_bytes >= ROWS * 2048);
    pool.clear();
    let report = pool.trim(Level::Full);
    assert_eq!(pool.stats().held_bytes, 0);
    assert_eq!(report.leased, 0);
    assert!(report.freed_bytes >= ROWS * 2048);
}
