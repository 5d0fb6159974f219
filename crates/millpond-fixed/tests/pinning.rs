//! A pinned value keeps its place until it is dropped, even if its lease is
//! forgotten and the pool goes.
use millpond_fixed::*;
use std::future::Future;
use std::task::{Context, Waker};

#[test]
#[cfg_attr(miri, ignore = "leaks on purpose, which Miri reports")]
fn forgotten_pinned_lease_then_pool_dropped() {
    let mut context = Context::from_waker(Waker::noop());
    let b = FixedPool::<u64>::new(1);
    let held = b.try_acquire(1).unwrap();
    {
        // Large enough that the slab is a mapping and really goes away.
        let a = FixedPool::new(4096);
        let many: Vec<_> = (0..2)
            .map(|i| a.try_acquire(async_value(&b, i)).map_err(|_| ()).unwrap())
            .collect();
        for lease in many {
            let mut pinned = lease.into_pin();
            assert!(pinned.as_mut().poll(&mut context).is_pending());
            std::mem::forget(pinned);
        }
    } // `a` is dropped: the queue of `b` points into freed memory.
    drop(held);
}

async fn async_value(pool: &FixedPool<u64>, value: u64) -> u64 {
    let large = [value; if cfg!(miri) { 1 } else { 16384 }];
    let lease = pool.acquire_async(value).await.unwrap();
    *lease + large.iter().sum::<u64>()
}
