//! Proves that a shared value lives exactly as long as somebody holds it, in
//! every kind of pool, and is dropped once by the last one.
#![cfg(feature = "std")]

use millpond_fixed::{
    Counted, Exhaustion, FixedPool, LocalFixedPool, Mode, SharedLease, SharedOwnedLease,
};
use millpond_testing::{Census, Tracked};

fn lives_as_long_as_it_is_held<M: Mode>(pool: &FixedPool<Counted<Tracked>, M>) {
    let census = Census::new();
    let Ok(one) = pool.acquire_shared(census.track(7)) else {
        panic!("there is room");
    };
    let two = one.clone();
    assert_eq!(SharedLease::holders(&two), 2);
    drop(one);
    assert_eq!(census.dropped(), 0);
    let Ok(refused) = SharedLease::try_into_inner(two.clone())
        .map(drop)
        .map_err(drop)
    else {
        assert_eq!(SharedLease::holders(&two), 1, "the refused one is gone");
        drop(two);
        census.assert_each_dropped_once();
        return;
    };
    panic!("taken from under another holder: {refused:?}");
}

#[test]
fn a_shared_value_lives_as_long_as_it_is_held() {
    lives_as_long_as_it_is_held(&FixedPool::new(1));
    lives_as_long_as_it_is_held(&LocalFixedPool::new_local(1));
    let falls_back = FixedPool::builder(0)
        .exhaustion(Exhaustion::Fallback { at_most: 1 })
        .build();
    lives_as_long_as_it_is_held(&falls_back);
    assert_eq!(falls_back.stats().fallback_in_use, 0);
}

#[test]
fn a_value_is_changed_or_taken_by_one_who_is_alone() {
    let pool = FixedPool::<Counted<String>>::new(1);
    let mut one = pool.try_acquire_shared(String::from("a")).expect("free");
    let two = one.clone();
    assert!(SharedLease::get_mut(&mut one).is_none());
    drop(two);
    SharedLease::get_mut(&mut one).expect("alone").push('b');
    assert_eq!(SharedLease::try_into_inner(one).expect("alone"), "ab");
    assert_eq!(pool.stats().in_use, 0);
    let refused = {
        let _held = pool.try_acquire_shared(String::new()).expect("free");
        pool.try_acquire_shared(String::from("back"))
            .expect_err("full")
    };
    assert_eq!(refused.into_value(), "back");
}

#[test]
fn holders_on_many_threads_drop_the_value_once_and_outlive_the_pool() {
    let census = Census::new();
    let handle = FixedPool::<Counted<Tracked>>::new(2).into_handle();
    for round in 0..if cfg!(miri) { 2 } else { 200 } {
        let Ok(one) = handle.try_acquire_shared_owned(census.track(round)) else {
            panic!("all are home");
        };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let holder: SharedOwnedLease<Tracked> = one.clone();
                scope.spawn(move || drop(holder.clone()));
            }
            drop(one);
        });
        assert_eq!(handle.stats().in_use, 0);
    }
    let Ok(last) = handle.try_acquire_shared_owned(census.track(0)) else {
        panic!("all are home");
    };
    drop(handle);
    drop(last.clone());
    drop(last);
    census.assert_each_dropped_once();
}
