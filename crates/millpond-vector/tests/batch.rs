//! Batches: rows side by side, or an error.

use millpond_vector::{Limit, LocalVectorPool, VectorPool};

fn is_side_by_side(ids: &[Option<&[f32]>]) -> bool {
    ids.windows(2).all(|two| {
        let at = |row: Option<&[f32]>| row.map(|row| row.as_ptr().addr());
        at(two[1]) == at(two[0]).map(|address| address + 64)
    })
}

#[test]
fn a_batch_is_contiguous_counted_and_comes_home() {
    let pool = VectorPool::<f32>::new(16, 100).unwrap();
    let mut batch = pool.acquire_batch(60).unwrap();
    assert_eq!(pool.stats().in_use, 60);
    for (i, row) in batch.rows_mut().enumerate() {
        row.fill(i as f32);
    }
    assert_eq!((batch.row(59)[15], batch.as_slice().len()), (59.0, 960));
    drop(batch);
    assert_eq!(pool.stats().in_use, 0);
    let all: Vec<_> = (0..100).map(|_| pool.try_acquire().unwrap()).collect();
    assert!(pool.try_acquire().is_err(), "the batch counted once");
    assert_eq!(all.len(), 100);
}

#[test]
fn stored_batches_are_one_run() {
    let mut pool = VectorPool::<f32>::new(16, 1000).unwrap();
    pool.insert(&[1.0; 16]).unwrap();
    let ids = pool.acquire_batch(300).unwrap().store();
    let rows: Vec<_> = ids.iter().map(|&id| pool.row(id)).collect();
    assert!(is_side_by_side(&rows));
    assert!(pool.runs().any(|run| run.len() >= 300));
    for id in ids {
        assert!(pool.remove(id));
    }
    assert_eq!(pool.stats().in_use, 1);
}

#[test]
fn a_full_pool_gives_free_neighbours_and_refuses_what_lies_apart() {
    let mut pool = VectorPool::<f32>::new(16, 64).unwrap();
    let ids: Vec<_> = (0..64).map(|_| pool.insert(&[1.0; 16]).unwrap()).collect();
    for i in [3, 5, 7, 20, 21, 22, 40] {
        pool.remove(ids[i]);
    }
    let batch = pool.acquire_batch(3).unwrap();
    assert_eq!(pool.stats().in_use, 60);
    let refused = pool.acquire_batch(2).unwrap_err();
    assert_eq!(*refused.limit(), Limit::Capacity);
    assert_eq!(refused.in_use(), 60);
    drop(batch);
    let moved = pool.compact();
    assert_eq!(moved.len(), 7);
    assert_eq!(pool.acquire_batch(7).unwrap().len(), 7);
    assert_eq!(pool.stats().in_use, 57);
}

#[test]
fn batches_longer_than_a_slab_or_the_capacity_are_refused() {
    let pool = VectorPool::<f32>::builder(16)
        .slab_bytes(64 * 10)
        .build()
        .unwrap();
    assert_eq!(pool.longest_batch(), 10);
    assert_eq!(pool.acquire_batch(10).unwrap().len(), 10);
    let refused = pool.acquire_batch(11).unwrap_err();
    assert!(matches!(refused.limit(), Limit::Memory { .. }));
    assert!(pool.acquire_batch(usize::MAX).is_err());
    assert!(pool.acquire_batch(0).unwrap().is_empty());
    let small = VectorPool::<f32>::new(16, 5).unwrap();
    assert_eq!(
        *small.acquire_batch(6).unwrap_err().limit(),
        Limit::Capacity
    );
    assert_eq!(small.stats().in_use, 0);
}

#[test]
fn local_batches_are_the_same() {
    let pool = LocalVectorPool::<f32>::new_local(16, 20).unwrap();
    let one = pool.try_acquire().unwrap();
    let batch = pool.acquire_batch(12).unwrap();
    assert_eq!(pool.stats().in_use, 13);
    assert!(pool.acquire_batch(8).is_err());
    drop((one, batch));
    assert_eq!(pool.stats().in_use, 0);
    assert_eq!(pool.acquire_batch(20).unwrap().len(), 20);
}

/// Rows that come home one by one wake those who wait for one, and a waker is foreign.
#[test]
fn a_waker_that_panics_keeps_no_row_of_a_batch() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("as it were");
        }
    }

    let pool = VectorPool::<f32>::new(16, 8).unwrap();
    let batch = pool.acquire_batch(8).unwrap();
    {
        let mut waiting = pin!(pool.acquire_async());
        let waker = Waker::from(Arc::new(Panics));
        let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        catch_unwind(AssertUnwindSafe(|| drop(batch))).expect_err("it does");
        assert_eq!(pool.stats().in_use, 1, "the one that the task was given");
    }
    let all: Vec<_> = (0..8).map(|_| pool.try_acquire()).collect();
    assert!(all.iter().all(Result::is_ok), "every row came home");
}
