//! Proves that advice is the best there is, against trying everything.

mod fixture;

use fixture::{figures, snapshot};
use millpond_analytics::{Advisor, Demand, Series, count_sizes, requests};
use millpond_core::size_class::{SizeClasses, waste};
use proptest::prelude::*;
use std::time::Instant;

/// The least that any table of `k` classes wastes, by trying all that end with
/// the largest size.
fn least_waste(recorded: &[(usize, u64)], k: usize, step: usize) -> u128 {
    let rounded: Vec<usize> = recorded
        .iter()
        .map(|r| r.0.max(1).next_multiple_of(step))
        .collect();
    let mut sizes = rounded.clone();
    sizes.sort_unstable();
    sizes.dedup();
    let largest = *sizes.last().unwrap();
    let mut best = u128::MAX;
    for chosen in 0..1_u32 << (sizes.len() - 1) {
        if chosen.count_ones() as usize >= k {
            continue;
        }
        let table = (0..sizes.len() - 1).filter(|bit| chosen >> bit & 1 == 1);
        let mut table: Vec<usize> = table.map(|index| sizes[index]).collect();
        table.push(largest);
        let table = SizeClasses::new(&table).unwrap();
        best = best.min(waste(&table, recorded).wasted_bytes());
    }
    best
}

proptest! {
    #[test]
    fn no_table_of_as_many_classes_wastes_less(
        recorded in proptest::collection::vec((1..5000_usize, 1..1000_u64), 1..9),
        k in 1..6_usize,
        step in prop_oneof![Just(1_usize), Just(8), Just(64)],
    ) {
        let advice = Advisor::new().classes(k).step_bytes(step).class_table(&recorded, &[]).unwrap();
        let table = SizeClasses::new(&advice.sizes).unwrap();
        prop_assert!(advice.sizes.len() <= k);
        prop_assert!(advice.sizes.iter().all(|size| size % step == 0));
        prop_assert_eq!(waste(&table, &recorded).oversize, 0);
        prop_assert_eq!(waste(&table, &recorded).wasted_bytes(), least_waste(&recorded, k, step));
    }

    #[test]
    fn no_smaller_capacity_meets_the_target(
        pairs in proptest::collection::vec((0..60_usize, 0..100_u64), 1..10),
        target in 0.0..=1.0_f64,
    ) {
        let demand = Demand::from_pairs(pairs.clone());
        let capacity = demand.capacity_for(target);
        prop_assert!(demand.share_served(capacity) >= target - 1e-12);
        for smaller in 0..capacity {
            prop_assert!(demand.share_served(smaller) < target);
        }
    }
}

#[test]
fn a_shorter_table_is_better_than_a_doubling_one() {
    let advice = Advisor::new().classes(3).of_snapshot(&snapshot());
    let buffers = advice
        .pools
        .iter()
        .find(|pool| pool.pool == "buffers")
        .unwrap();
    let classes = buffers.classes.as_ref().unwrap();
    assert!(classes.waste_share < classes.current_waste_share.unwrap());
    assert_eq!(classes.requests, 30_000);
}

#[test]
fn sampled_sizes_are_scaled_to_exact_counts() {
    let snapshot = snapshot();
    let all: u64 = requests(snapshot.pool("buffers").unwrap())
        .iter()
        .map(|r| r.1)
        .sum();
    assert_eq!(all, 30_000, "as many as the classes acquired");
}

#[test]
fn a_series_knows_more_than_the_peak() {
    let mut now = snapshot();
    let mut series = Series::new(1000);
    // A thousand quiet intervals, and one burst of 500 with few acquires.
    for step in 0..=100_u64 {
        let burst = step == 50;
        now.taken_unix_ms += 1000;
        let frames = &mut now.pools[2].figures;
        frames.acquires += if burst { 5 } else { 1000 };
        frames.in_use = if burst { 500 } else { 10 };
        frames.high_water = frames.high_water.max(frames.in_use);
        series.push(&now);
    }
    let capacity = |advice: millpond_analytics::Advice| {
        let frames = advice.pools.into_iter().find(|pool| pool.pool == "frames");
        frames.unwrap().capacities[0].1
    };
    let by_peak = capacity(Advisor::new().target_hit_rate(0.99).of_snapshot(&now));
    let by_series = capacity(
        Advisor::new()
            .target_hit_rate(0.99)
            .of_series(&series, &now),
    );
    assert!(by_peak.capacity > 490);
    assert_eq!(by_series.capacity, 10);
    assert!(by_series.share_served > 0.99);
}

#[test]
fn warm_up_is_what_the_target_does_not_forgive() {
    let advise = |target, acquires| {
        let demand = Demand::from_pairs([(100, acquires)]);
        let figures = figures(&[("acquires", acquires), ("item_bytes", 10)]);
        Advisor::new()
            .target_hit_rate(target)
            .capacity(&demand, &figures)
            .unwrap()
    };
    assert_eq!(advise(1.0, 1000).warm_up, 100);
    assert_eq!(advise(0.99, 1000).capacity, 99);
    assert_eq!(advise(0.99, 1000).warm_up, 89);
    assert_eq!(advise(0.99, 100_000).warm_up, 0);
    assert_eq!(advise(1.0, 10).bytes, 1000);
}

#[test]
fn nothing_recorded_is_no_advice() {
    assert_eq!(Advisor::new().class_table(&[], &[]), None);
    assert_eq!(Advisor::new().class_table(&[(10, 0)], &[]), None);
    assert_eq!(Advisor::new().class_table(&[(usize::MAX, 5)], &[]), None);
    assert!(
        Advisor::new()
            .capacity(&Demand::default(), &figures(&[]))
            .is_none()
    );
}

/// The bar is 100 ms in a release build: see the benchmark `analytics`.
#[test]
fn ten_million_sizes_are_counted_in_bounded_memory() {
    let sizes =
        || (0..1_000_000_u64).map(|i| (i.wrapping_mul(0x9E37_79B9) >> 16) as usize % 70_000);
    let begin = Instant::now();
    let counted = count_sizes(sizes().chain([usize::MAX, 1 << 30]));
    assert_eq!(counted.iter().map(|c| c.1).sum::<u64>(), 1_000_002);
    assert_eq!(counted.last(), Some(&(usize::MAX, 1)));
    assert!(begin.elapsed().as_secs() < 10);
}
