//! Proves that a batch is all or nothing, that its values are dropped once each
//! and its slots come home, whatever panics, and that vacant slots and leases
//! whose type is forgotten are leases like all others.
#![cfg(feature = "std")]

use millpond_fixed::{Diagnosis, DynLease, FixedPool, Limit, LocalFixedPool, Mode};
use millpond_testing::{Bomb, Census, Fuse, explode_everywhere};
use std::fmt::{Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn ends_as_it_began<M: Mode>(pool: &FixedPool<usize, M>) {
    let stats = pool.stats();
    assert_eq!(stats.in_use, 0);
    assert_eq!(stats.created, stats.cached + stats.depot);
}

#[test]
fn a_batch_holds_what_it_was_given_and_everything_comes_home() {
    fn check<M: Mode>(pool: &FixedPool<usize, M>) {
        const ROUNDS: usize = if cfg!(miri) { 4 } else { 20 };
        for round in 0..ROUNDS {
            let mut batch = pool.try_acquire_many([round; 32]).expect("room for 200");
            let single = pool.try_acquire(1).expect("room");
            for (index, value) in batch.iter_mut().enumerate() {
                *value += index;
            }
            assert!(
                batch
                    .iter()
                    .enumerate()
                    .all(|(index, &value)| value == round + index)
            );
            assert_eq!(batch[31], round + 31);
            assert_eq!(pool.stats().in_use, 33);
            if round % 2 == 0 {
                let leases = batch.into_leases();
                assert!(
                    leases
                        .iter()
                        .enumerate()
                        .all(|(index, lease)| **lease == round + index)
                );
            }
            drop(single);
        }
        ends_as_it_began(pool);
        assert_eq!(pool.stats().acquires, ROUNDS as u64 * 33);
    }
    check(&FixedPool::new(200));
    check(&LocalFixedPool::new_local(200));
    let diagnosed = FixedPool::new(200);
    diagnosed.set_diagnosis(Diagnosis::Full);
    check(&diagnosed);
}

#[test]
fn a_batch_that_does_not_fit_takes_nothing_and_hands_all_back() {
    fn check<M: Mode>(pool: &FixedPool<usize, M>) {
        let held = pool.try_acquire(0).expect("room");
        let refused = pool.try_acquire_many([5; 10]).expect_err("nine are left");
        assert_eq!(*refused.error().limit(), Limit::Capacity);
        assert_eq!(refused.into_value(), [5; 10]);
        assert_eq!(pool.stats().in_use, 1);
        assert!(pool.try_acquire_many([5; 9]).is_ok());
        assert!(pool.try_acquire_many([]).is_ok());
        drop(held);
        ends_as_it_began(pool);
    }
    check(&FixedPool::new(10));
    check(&LocalFixedPool::new_local(10));
}

#[test]
fn a_batch_is_released_on_another_thread() {
    let pool = FixedPool::new(100);
    for _ in 0..if cfg!(miri) { 3 } else { 50 } {
        let batch = pool.try_acquire_many([1usize; 64]).expect("room");
        std::thread::scope(|scope| {
            scope.spawn(move || drop(batch));
        });
    }
    ends_as_it_began(&pool);
}

/// Bombs in every position: the other values are dropped, and all slots come home.
#[test]
fn a_panic_in_a_batch_drops_the_other_values_once() {
    explode_everywhere(Fuse::at_drop, |fuse| {
        let pool = FixedPool::<Bomb>::new(8);
        let batch = pool
            .try_acquire_many([0, 1, 2, 3].map(|stamp| Bomb::new(fuse, stamp)))
            .expect("room");
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(batch)));
        assert_eq!(pool.stats().in_use, 0, "the slots are home");
        if let Err(panic) = dropped {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn a_vacant_slot_goes_back_if_its_construction_fails() {
    let pool = FixedPool::<String>::new(1);
    let failed = pool
        .try_reserve()
        .expect("free")
        .try_fill_with(|| Err::<String, _>("no"));
    assert_eq!(failed.err(), Some("no"));
    let vacant = pool.try_reserve().expect("free again");
    assert!(pool.try_reserve().is_err(), "it is leased");
    let panicked = catch_unwind(AssertUnwindSafe(|| vacant.fill_with(|| panic!("no"))));
    assert!(panicked.is_err());
    assert_eq!(*pool.reserve().expect("free").fill("full".into()), "full");
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn a_lease_whose_type_is_forgotten_drops_its_value_and_its_slot() {
    let census = Census::new();
    let pool = FixedPool::new(1);
    let lease: DynLease<'_, dyn Debug> = pool
        .try_acquire((census.track(1), 7))
        .map_err(|_| "refused")
        .expect("free")
        .coerce(|value| value as &mut dyn Debug);
    assert!(format!("{lease:?}").contains('7'));
    assert_eq!(pool.stats().in_use, 1);
    drop(lease);
    assert_eq!(pool.stats().in_use, 0);
    census.assert_each_dropped_once();
}

#[test]
fn a_panic_in_a_coercion_ends_the_lease() {
    let pool = FixedPool::new(1);
    let lease = pool.try_acquire(1).expect("free");
    let coerced = catch_unwind(AssertUnwindSafe(|| {
        drop(lease.coerce::<dyn Display>(|_| panic!("no")));
    }));
    assert!(coerced.is_err());
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn leases_of_different_types_live_in_one_list() {
    let words = FixedPool::new(1).into_handle();
    let numbers = FixedPool::new(1).into_handle();
    let list: Vec<DynLease<'static, dyn Display + Send>> = vec![
        words
            .try_acquire_owned("word")
            .expect("free")
            .coerce(|v| v as _),
        numbers
            .try_acquire_owned(9)
            .expect("free")
            .coerce(|v| v as _),
    ];
    drop((words, numbers));
    let printed =
        std::thread::spawn(move || list.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(printed.join().expect("no panic"), ["word", "9"]);
}
