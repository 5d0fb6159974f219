//! Owned rows: their pool lives as long as they do, and gives back what others
//! need.
#![cfg(feature = "std")]

use millpond_core::budget::Budget;
use millpond_vector::{Exhaustion, Level, Limit, OwnedRow, VectorPool};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

const fn goes_anywhere<T: Send + Sync + Unpin + 'static>() {}
const _: () = goes_anywhere::<OwnedRow<f32>>();

#[test]
fn the_last_row_takes_the_pool_along() {
    let budget = Budget::new("rows", usize::MAX);
    let pool = VectorPool::<f32>::builder(100)
        .budget(&budget)
        .build()
        .unwrap();
    let pool = pool.into_shared();
    let stored = pool.insert(&[3.0; 100]).unwrap();
    let mut rows: Vec<_> = (0..3).map(|_| pool.acquire_owned().unwrap()).collect();
    drop(pool);
    for (i, row) in rows.iter_mut().enumerate() {
        row.fill(i as f32);
    }
    let last = rows.pop().unwrap();
    thread::spawn(move || drop(rows)).join().unwrap();
    assert!(budget.held() > 0);
    assert_eq!(last[99], 2.0);
    assert!(last.row_padded()[100..].iter().all(|&number| number == 0.0));
    assert_eq!(last.pool().row(stored), Some(&[3.0; 100][..]));
    drop(last);
    assert_eq!(budget.held(), 0);
}

#[test]
fn an_owned_row_is_stored_or_handed_back() {
    let pool = VectorPool::<u8>::builder(10)
        .capacity(1)
        .exhaustion(Exhaustion::Fallback { at_most: 1 })
        .build()
        .unwrap()
        .into_shared();
    let mut inside = pool.acquire_owned().unwrap();
    let mut outside = pool.acquire_owned().unwrap();
    assert_eq!(
        *pool.try_acquire_owned().unwrap_err().limit(),
        Limit::Capacity
    );
    inside.fill(1);
    outside.fill(2);
    let id = inside.store().unwrap();
    let back = outside.store().unwrap_err();
    assert_eq!(back, [2; 10][..]);
    drop(back);
    assert_eq!(pool.row(id), Some(&[1; 10][..]));
    assert_eq!((pool.stats().in_use, pool.stats().fallback_in_use), (1, 0));
}

#[test]
fn a_shared_pool_gives_back_what_another_needs() {
    let budget = Budget::new("all", 1 << 20);
    let rows = VectorPool::<u64>::builder(64)
        .slab_bytes(4096)
        .budget(&budget)
        .build()
        .unwrap()
        .into_shared();
    let kept = rows.insert(&[7; 64]).unwrap();
    let burst: Vec<_> = (0..40).map(|_| rows.try_acquire().unwrap()).collect();
    drop(burst);
    let held = rows.stats().held_bytes;
    let want = (1 << 20) - budget.held() + held / 2;
    let charge = budget
        .try_charge(want)
        .expect("the rows that are free go first");
    assert!(rows.stats().held_bytes <= held / 2);
    assert_eq!(rows.row(kept), Some(&[7; 64][..]));
    drop(charge);
    // A pool that is gone is not asked.
    drop(rows);
    assert!(budget.try_charge(1 << 20).is_ok());
    assert!(budget.try_charge((1 << 20) + 1).is_err());
}

#[test]
fn an_owned_row_is_waited_for_and_a_dropped_future_loses_nothing() {
    let pool = Arc::new(VectorPool::<f32>::new(8, 1).unwrap());
    let held = pool.try_acquire_owned().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut dropped = pin!(pool.acquire_owned_async());
        assert!(dropped.as_mut().poll(&mut context).is_pending());
    }
    let waiting = pool.acquire_owned_async();
    drop(pool);
    let mut waiting = pin!(waiting);
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    drop(held);
    let Poll::Ready(Ok(mut row)) = waiting.as_mut().poll(&mut context) else {
        panic!("the row is free");
    };
    row.fill(1.0);
    assert_eq!(row.pool().stats().in_use, 1);
    assert_eq!(row.pool().trim(Level::Full).freed_items, 0);
}
