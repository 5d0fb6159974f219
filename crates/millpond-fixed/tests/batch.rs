//! Proves that a batch is all or nothing, that its values are dropped once each
//! and its slots come home, whatever panics, and that vacant slots and leases
//! whose type is forgotten are leases like all others.
#![cfg(feature = "std")]

use millpond_core::budget::Budget;
use millpond_fixed::{
    Diagnosis, DynLease, Exhaustion, FixedPool, Level, Limit, LocalFixedPool, Mode,
};
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
    let diagnosed = LocalFixedPool::new_local(200);
    diagnosed.set_diagnosis(Diagnosis::Full);
    check(&diagnosed);
}

/// What a batch does not find inside is allocated, counted and charged, and goes
/// back to where it came from: by the batch, by its leases, or by a failure.
#[test]
fn a_batch_falls_back_if_its_pool_does() {
    let budget = Budget::new("batches", 1 << 20);
    let policy = Exhaustion::Fallback { at_most: 6 };
    let builder = FixedPool::<[u64; 16]>::builder(4).budget(&budget);
    let pool = builder.exhaustion(policy).build();
    for level in [Diagnosis::Off, Diagnosis::Full] {
        pool.set_diagnosis(level);
        let one = pool.try_acquire([0; 16]).expect("room");
        let inside = budget.held();
        let batch = pool
            .acquire_many([1, 2, 3, 4, 5].map(|i| [i; 16]))
            .expect("two outside");
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.fallback_in_use), (4, 2));
        assert!(budget.held() >= inside + 256);
        assert!(batch.iter().zip(1..).all(|(value, i)| *value == [i; 16]));
        let refused = pool
            .acquire_many([[9; 16]; 5])
            .expect_err("four are allowed");
        assert_eq!(*refused.error().limit(), Limit::Capacity);
        assert_eq!(pool.stats().fallback_in_use, 2, "none was kept");
        assert!(
            pool.try_acquire_many([[9; 16]; 1]).is_err(),
            "which never falls back"
        );
        drop(batch);
        assert_eq!((pool.stats().in_use, pool.stats().fallback_in_use), (1, 0));
        let batch = pool.acquire_many([[7; 16]; 5]).expect("two outside");
        let [first, .., last] = batch.into_leases();
        assert_eq!((*first, *last), ([7; 16], [7; 16]));
        assert_eq!((pool.stats().in_use, pool.stats().fallback_in_use), (2, 1));
        drop((first, last, one));
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.fallback_in_use), (0, 0));
    }
    pool.set_diagnosis(Diagnosis::Off);
    pool.trim(Level::Full);
    assert_eq!(pool.stats().held_bytes, 0);
}

/// Bombs in every position of a batch that lies half outside.
#[test]
fn a_panic_in_a_batch_frees_what_lies_outside() {
    explode_everywhere(Fuse::at_drop, |fuse| {
        let policy = Exhaustion::Fallback { at_most: 8 };
        let pool = FixedPool::<Bomb>::builder(2).exhaustion(policy).build();
        let batch = pool.acquire_many([0, 1, 2, 3].map(|stamp| Bomb::new(fuse, stamp)));
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(batch)));
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.fallback_in_use), (0, 0));
        if let Err(panic) = dropped {
            std::panic::resume_unwind(panic);
        }
    });
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

#[cfg(feature = "std")]
mod waiting {
    use millpond_fixed::{Capacity, Exhaustion, FixedPool, IdPool, IndexPool, Limit};
    use millpond_testing::Census;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    const SOON: Duration = Duration::from_millis(20);
    const ROUNDS: u64 = if cfg!(miri) { 3 } else { 2_000 };

    #[test]
    fn batches_that_wait_do_not_hold_what_others_need() {
        let census = Census::new();
        // Two of them fit one after the other only.
        let pool = FixedPool::builder(5)
            .exhaustion(Exhaustion::Block { timeout: None })
            .build();
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (pool, census) = (&pool, &census);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let values =
                            [thread; 3].map(|thread| census.track(thread * ROUNDS + round));
                        let batch = pool.acquire_many(values).expect("waits");
                        assert_eq!(batch.iter().count(), 3);
                        drop(batch);
                        drop(pool.acquire(census.track(round)).expect("waits"));
                    }
                });
            }
        });
        assert_eq!(pool.stats().in_use, 0);
        census.assert_each_dropped_once();
    }

    #[test]
    fn a_batch_that_is_refused_hands_all_back_and_keeps_nothing() {
        let pool = FixedPool::builder(Capacity::of("read", 2).and("write", 2))
            .name("pages")
            .build();
        let one = pool.try_acquire(0).expect("room");
        let refused = pool
            .acquire_many_timeout([1, 2, 3, 4], SOON)
            .expect_err("one is out");
        assert_eq!(*refused.error().limit(), Limit::Deadline);
        assert_eq!(refused.into_value(), [1, 2, 3, 4]);
        let refused = pool.acquire_many_timeout([0; 5], SOON).expect_err("never");
        assert_eq!(*refused.error().limit(), Limit::Capacity);
        assert!(
            refused.error().to_string().contains("read 2 + write 2"),
            "{refused}"
        );
        assert!(
            pool.acquire_many([1, 2, 3, 4]).is_err(),
            "the policy is to fail"
        );
        assert_eq!(pool.stats().in_use, 1);
        drop(one);
        assert!(pool.acquire_many([1, 2, 3, 4]).is_ok());
        pool.close();
        let refused = pool.acquire_many_timeout([1, 2], SOON).expect_err("closed");
        assert_eq!(*refused.error().limit(), Limit::Closed);
    }

    #[test]
    fn a_batch_grows_the_pool_as_far_as_its_policy_lets_it() {
        let pool = FixedPool::builder(2)
            .exhaustion(Exhaustion::Grow { extra: 2 })
            .build();
        assert!(pool.try_acquire_many([1, 2, 3]).is_err());
        let batch = pool.acquire_many([1, 2, 3, 4]).expect("grows");
        assert!(pool.acquire_many([5]).is_err(), "not beyond");
        assert_eq!(batch.iter().sum::<i32>(), 10);
    }

    #[test]
    fn a_waiting_batch_that_is_dropped_gives_back_what_it_gathered() {
        let census = Census::new();
        let pool = FixedPool::new(3);
        let two = pool
            .try_acquire_many([1, 2].map(|stamp| census.track(stamp)))
            .expect("room");
        let mut context = Context::from_waker(Waker::noop());
        {
            let mut three = pin!(pool.acquire_many_async([3, 4].map(|stamp| census.track(stamp))));
            assert!(three.as_mut().poll(&mut context).is_pending());
            let mut four = pin!(pool.acquire_many_async([5, 6].map(|stamp| census.track(stamp))));
            assert!(
                four.as_mut().poll(&mut context).is_pending(),
                "waits for its turn"
            );
        }
        assert_eq!(pool.stats().in_use, 2, "what was gathered is back");
        drop(two);
        let mut again = pin!(pool.acquire_many_async([7, 8, 9].map(|stamp| census.track(stamp))));
        assert!(matches!(
            again.as_mut().poll(&mut context),
            Poll::Ready(Ok(_))
        ));
        assert_eq!(census.alive(), 0);
    }

    #[test]
    fn ids_wait_and_tell_why_they_were_refused() {
        let pool = IdPool::<u64>::new(1);
        let first = pool.try_insert(1).expect("room");
        let refused = pool.insert_timeout(2, SOON).expect_err("full");
        assert_eq!(*refused.error().limit(), Limit::Deadline);
        assert_eq!(refused.into_value(), 2);
        let waited = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.insert_timeout(3, Duration::from_secs(60)));
            while pool.stats().waiting == 0 {
                std::thread::yield_now();
            }
            assert!(pool.release(first));
            waiter.join().expect("no panic")
        });
        assert_eq!(pool.pin(waited.expect("handed over")).as_deref(), Some(&3));
        pool.close();
        assert!(pool.is_closed() && pool.try_insert(4).is_err());
    }

    #[test]
    fn every_kind_of_pool_is_warmed_up() {
        let values = FixedPool::<[u64; 100]>::new(50);
        assert_eq!((values.warm_up(40), values.warm_up(70)), (40, 50));
        let ids = IdPool::<u64>::new(50);
        assert_eq!((ids.warm_up(40), ids.warm_up(70), ids.len()), (40, 50, 0));
        let mut indexed = IndexPool::<[u64; 100]>::with_capacity(50).expect("memory");
        indexed.try_acquire([1; 100]).expect("room");
        assert_eq!((indexed.warm_up(10), indexed.warm_up(70)), (10, 49));
        assert_eq!(indexed.as_slice(), [[1; 100]]);
        assert_eq!((values.stats().in_use, values.stats().created), (0, 50));
    }

    #[test]
    fn an_error_tells_of_the_fallback() {
        let pool = FixedPool::builder(1)
            .exhaustion(Exhaustion::Fallback { at_most: 2 })
            .build();
        let held = [1, 2, 3].map(|value| pool.acquire(value));
        let refused = pool.acquire(4).expect_err("all are out");
        assert_eq!(refused.error().outside(), 2);
        assert_eq!(
            refused.error().to_string(),
            "pool: all items are leased (1 of 1 in use, 0 cached, 0 waiting, 2 outside)"
        );
        assert!(held.iter().all(Result::is_ok));
    }
}
