//! Proves that pools keep the contract of `Allocator`, that blocks lie where the
//! policy says, and that all of them come home.
#![cfg(all(feature = "std", feature = "allocator-api2"))]

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use millpond_core::budget::Budget;
use millpond_fixed::{Exhaustion, FixedPool, LocalFixedPool};
use millpond_testing::{Census, conforms, conforms_alone};
use std::alloc::Layout;

/// Between the sizes that the table of cases has.
#[repr(align(64))]
struct Block {
    _bytes: [u8; 1000],
}

const OUTSIDE: Exhaustion = Exhaustion::Fallback { at_most: 100 };

#[test]
fn pools_that_fall_back_conform() {
    // Miri takes its time.
    let capacities: &[usize] = if cfg!(miri) { &[1] } else { &[0, 1, 100] };
    for &capacity in capacities {
        let pool = FixedPool::<Block>::builder(capacity)
            .exhaustion(OUTSIDE)
            .build();
        conforms(&&pool);
        conforms_alone(&&pool);
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.fallback_in_use), (0, 0));
        assert_eq!(stats.used_bytes, 0);
        assert!(stats.fallbacks > 0);
        if capacity == 100 {
            assert!(stats.acquires > 0, "what fits lies in slots");
        }
        conforms(&pool.into_handle());
    }
}

#[test]
fn local_pools_conform() {
    let builder = FixedPool::<Block>::builder(100).exhaustion(OUTSIDE);
    let pool: LocalFixedPool<Block> = builder.build_local();
    conforms(&&pool);
    assert_eq!((pool.stats().in_use, pool.stats().fallback_in_use), (0, 0));
}

#[test]
fn boxed_values_live_in_slots_and_are_dropped_once() {
    let census = Census::new();
    let pool = FixedPool::<[u64; 16]>::new(2).into_handle();
    let one = Box::try_new_in(census.track(1), pool.clone()).expect("room");
    let two = Box::try_new_in(census.track(2), pool.clone()).expect("room");
    assert!(
        Box::try_new_in(census.track(3), pool.clone()).is_err(),
        "full"
    );
    assert_eq!(pool.stats().in_use, 2);
    drop(pool);
    assert_eq!((one.stamp(), two.stamp()), (1, 2));
    std::thread::spawn(move || drop(one))
        .join()
        .expect("no panic");
    drop(two);
    census.assert_each_dropped_once();
}

#[test]
fn a_layout_that_fits_no_slot_is_refused_without_a_fallback() {
    let pool = FixedPool::<[u64; 4]>::new(10);
    let refused = [(33, 8), (8, 16), (1, 4096)];
    for (size, align) in refused {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        assert!((&pool).allocate(layout).is_err(), "{layout:?}");
    }
    assert_eq!(pool.stats().acquires, 0, "no slot was taken for it");
}

#[test]
fn blocks_outside_are_counted_bounded_and_charged() {
    let budget = Budget::new("parent", 1 << 20);
    let pool = FixedPool::<[u64; 4]>::builder(4)
        .budget(&budget)
        .exhaustion(Exhaustion::Fallback { at_most: 2 })
        .build();
    let large = Layout::from_size_align(100_000, 64).expect("a layout");
    let before = budget.held();
    let one = (&pool).allocate(large).expect("within the fallback");
    assert_eq!(budget.held(), before + 100_000);
    assert_eq!(pool.stats().fallback_in_use, 1);
    assert!(pool.stats().used_bytes >= 100_000);
    let two = (&pool).allocate(large).expect("within the fallback");
    assert!((&pool).allocate(large).is_err(), "two at most");
    for block in [one, two] {
        // SAFETY: allocated above with this layout.
        unsafe { (&pool).deallocate(block.cast(), large) };
    }
    assert_eq!((pool.stats().fallback_in_use, budget.held()), (0, before));
}

#[test]
fn a_vector_moves_out_of_its_slot_when_it_outgrows_it() {
    let pool = FixedPool::<[u8; 64]>::builder(4)
        .exhaustion(OUTSIDE)
        .build();
    let mut vec = Vec::new_in(&pool);
    vec.extend_from_slice(&[1u8; 40]);
    assert_eq!((pool.stats().in_use, pool.stats().fallback_in_use), (1, 0));
    vec.extend_from_slice(&[2u8; 400]);
    assert_eq!((pool.stats().in_use, pool.stats().fallback_in_use), (0, 1));
    assert!(vec[..40].iter().all(|&byte| byte == 1) && vec[40..].iter().all(|&byte| byte == 2));
    vec.truncate(3);
    vec.shrink_to_fit();
    assert_eq!(vec.as_slice(), [1, 1, 1]);
    drop(vec);
    assert_eq!((pool.stats().in_use, pool.stats().fallback_in_use), (0, 0));
}

/// What a box of less than a slot gives back reaches the value alone.
#[test]
fn a_slot_is_whole_again_after_a_smaller_value() {
    let pool = FixedPool::<[u64; 16]>::builder(1)
        .exhaustion(OUTSIDE)
        .build();
    for _ in 0..2 {
        let in_slot = Box::try_new_in(1u8, &pool).expect("a slot");
        let outside = Box::try_new_in([2u8; 3], &pool).expect("outside");
        assert_eq!((*in_slot, *outside), (1, [2; 3]));
    }
    let mut whole = pool.try_acquire([3; 16]).expect("a slot");
    whole[15] = 4;
    assert_eq!(whole.iter().sum::<u64>(), 49);
    drop(whole);

    // A vector of a box grows where it is: behind what the box was good for.
    let short = Box::try_new_in(1u64, &pool).expect("a slot");
    let mut long = Box::into_boxed_slice(short).into_vec();
    long.extend([5; 15]);
    assert_eq!(
        (long.len(), long[15], pool.stats().fallback_in_use),
        (16, 5, 0)
    );
}
