//! What size classes promise, against the obvious and slow way.

use proptest::collection::{btree_set, vec as vec_of};
use proptest::prelude::*;
use std::string::ToString;

use super::*;

/// The smallest class that fits, by looking at all of them.
fn by_scan(sizes: &[usize], size: usize) -> Option<usize> {
    sizes.iter().position(|&class| class >= size)
}

/// Sizes at which something may change.
fn probes(sizes: &[usize]) -> Vec<usize> {
    let mut probes = vec![0, 1, 2, 3, MAX_SIZE - 1, MAX_SIZE, MAX_SIZE + 1, usize::MAX];
    for &size in sizes {
        probes.extend([size - 1, size, size + 1, size / 2, size.saturating_mul(2)]);
    }
    for exponent in 0..usize::BITS {
        let power = 1_usize << exponent;
        probes.extend([power - 1, power, power + 1]);
    }
    probes
}

fn assert_lookups_agree(sizes: &[usize]) {
    let classes = SizeClasses::new(sizes).expect("a valid table");
    for size in probes(sizes) {
        let found = classes.class_of(size);
        assert_eq!(found, by_scan(sizes, size), "{size} in {classes:?}");
        assert_eq!(classes.round_up(size), found.map(|class| sizes[class]));
    }
}

#[test]
fn smallest_class_that_fits_is_found_in_every_kind_of_table() {
    let crowded: Vec<usize> = (1000..1255).collect();
    let mut far_and_crowded: Vec<usize> = (0..50).map(|step| (1 << 40) + step).collect();
    far_and_crowded.insert(0, 1);
    far_and_crowded.push(MAX_SIZE);
    let powers: Vec<usize> = (0..usize::BITS - 1).map(|exponent| 1 << exponent).collect();
    // Under Miri the two long tables take a minute, and nothing here is unsafe.
    let take = 9;
    let tables: [&[usize]; 9] = [
        &[1],
        &[7],
        &[MAX_SIZE],
        &[1, MAX_SIZE],
        &[2048, 4096, 8192, 16384, 32768, 65536],
        &[8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160],
        &crowded,
        &far_and_crowded,
        &powers,
    ];
    for table in tables.into_iter().take(take) {
        assert_lookups_agree(table);
    }
}

#[test]
fn every_size_of_a_small_table_is_routed_right() {
    let sizes = [3, 4, 5, 9, 17, 18, 100, 1000, 1001, 1002, 1003, 4096];
    let classes = SizeClasses::new(&sizes).expect("valid");
    for size in 0..5000 {
        assert_eq!(classes.class_of(size), by_scan(&sizes, size), "{size}");
    }
}

#[test]
fn buckets_are_numbered_in_order_and_without_gaps() {
    let exponents =
        (0..=MAX_MANTISSA_BITS).map(|mantissa_bits| Buckets::Exponents { mantissa_bits });
    let steps = (0..12).map(|shift| Buckets::Steps { shift });
    for buckets in exponents.chain(steps) {
        let mut last = buckets.of(0);
        assert_eq!(last, 0);
        for size in 1..10_000 {
            let next = buckets.of(size);
            assert!(next == last || next == last + 1, "{size} in {buckets:?}");
            last = next;
        }
    }
}

#[test]
fn usual_classes_take_one_shift_and_a_line_of_routes() {
    let classes = SizeClasses::new(&[2048, 4096, 8192, 16384, 32768, 65536]).expect("valid");
    assert_eq!(classes.buckets, Buckets::Steps { shift: 11 });
    assert_eq!(classes.route.len(), 33);
}

#[test]
fn powers_of_two_need_one_byte_a_doubling() {
    let powers: Vec<usize> = (0..40).map(|exponent| 1 << exponent).collect();
    let classes = SizeClasses::new(&powers).expect("valid");
    assert_eq!(classes.buckets, Buckets::Exponents { mantissa_bits: 0 });
    assert!(classes.route.len() <= 42);
}

#[test]
fn largest_routing_table_stays_small() {
    let mut sizes: Vec<usize> = (1..200).collect();
    sizes.extend([1 << 30, (1 << 30) + 1, (1 << 30) + 2, MAX_SIZE]);
    let classes = SizeClasses::new(&sizes).expect("valid");
    let mantissa_bits = MAX_MANTISSA_BITS;
    assert_eq!(classes.buckets, Buckets::Exponents { mantissa_bits });
    assert!(classes.route.len() <= 64 * 60);
    let classes = SizeClasses::new(&[1, 4095]).expect("valid");
    assert_eq!(classes.buckets, Buckets::Steps { shift: 0 });
    assert!(classes.route.len() <= MAX_STEPS);
}

#[test]
fn errors_name_the_position_the_value_and_what_is_allowed() {
    let many: Vec<usize> = (1..=256).collect();
    let cases: [(&[usize], SizeClassError, &str); 6] = [
        (&[], SizeClassError::Empty, "1 to 255"),
        (&many, SizeClassError::TooMany { count: 256 }, "1 to 255"),
        (
            &[0, 4],
            SizeClassError::Zero { position: 0 },
            "class 0 is 0",
        ),
        (
            &[8, 8],
            SizeClassError::NotIncreasing {
                position: 1,
                value: 8,
                previous: 8,
            },
            "size class 1 is 8, after 8; more than 8 is allowed",
        ),
        (
            &[1, 9, 4],
            SizeClassError::NotIncreasing {
                position: 2,
                value: 4,
                previous: 9,
            },
            "size class 2 is 4, after 9",
        ),
        (
            &[1, usize::MAX],
            SizeClassError::TooLarge {
                position: 1,
                value: usize::MAX,
            },
            "size class 1 is",
        ),
    ];
    for (sizes, expected, text) in cases {
        let error = SizeClasses::new(sizes).expect_err("not a table");
        assert_eq!(error, expected);
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn optimise_refuses_what_has_no_table() {
    assert_eq!(optimise(&[], 4), Err(SizeClassError::Empty));
    assert_eq!(optimise(&[(8, 0)], 4), Err(SizeClassError::Empty));
    assert_eq!(optimise(&[(8, 1), (9, 1)], 0), Err(SizeClassError::Empty));
    let too_many = SizeClassError::TooMany { count: 256 };
    assert_eq!(optimise(&[(8, 1)], 256), Err(too_many));
    let too_large = SizeClassError::TooLarge {
        position: 1,
        value: usize::MAX,
    };
    assert_eq!(optimise(&[(8, 1), (usize::MAX, 1)], 1), Err(too_large));
}

#[test]
fn optimise_gives_each_size_its_class_where_there_are_enough() {
    let classes = optimise(&[(30, 1), (10, 5), (20, 2), (10, 1), (0, 3)], 8).expect("valid");
    assert_eq!(classes.sizes(), [1, 10, 20, 30]);
}

#[test]
fn optimise_survives_the_largest_counts_and_sizes() {
    let histogram = [
        (MAX_SIZE, u64::MAX),
        (MAX_SIZE - 1, u64::MAX),
        (1, u64::MAX),
        (2, u64::MAX),
        (1 << 20, 1),
    ];
    let classes = optimise(&histogram, 2).expect("valid");
    // 2^64 requests that waste one byte each cost less than 2^64 that waste a
    // mebibyte.
    assert_eq!(classes.sizes(), [2, MAX_SIZE]);
}

/// The fewest bytes wasted by any table of `k` classes out of these sizes.
fn least_waste_of_all_tables(histogram: &[(usize, u64)], k: usize) -> u128 {
    let mut sizes: Vec<usize> = histogram
        .iter()
        .filter(|entry| entry.1 > 0)
        .map(|entry| entry.0.max(1))
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let largest = sizes.pop().expect("not empty");
    let mut least = u128::MAX;
    for chosen in 0_u32..1 << sizes.len() {
        if chosen.count_ones() as usize >= k {
            continue;
        }
        let mut table: Vec<usize> = (0..sizes.len())
            .filter(|index| chosen >> index & 1 == 1)
            .map(|index| sizes[index])
            .collect();
        table.push(largest);
        let classes = SizeClasses::new(&table).expect("valid");
        least = least.min(waste(&classes, histogram).wasted_bytes());
    }
    least
}

/// The same by the recurrence without a queue, for more sizes.
fn least_waste_by_recurrence(histogram: &[(usize, u64)], k: usize) -> u128 {
    let mut sorted = histogram.to_vec();
    sorted.sort_unstable();
    let n = sorted.len();
    let stretch = |i: usize, j: usize| -> u128 {
        let class = sorted[j - 1].0;
        let wasted = |&(size, count): &(usize, u64)| (class - size) as u128 * u128::from(count);
        sorted[i..j].iter().map(wasted).sum()
    };
    let mut best: Vec<u128> = (0..=n)
        .map(|j| if j == 0 { 0 } else { stretch(0, j) })
        .collect();
    for _ in 1..k {
        best = (0..=n)
            .map(|j| (0..j).map(|i| best[i] + stretch(i, j)).min().unwrap_or(0))
            .collect();
    }
    best[n]
}

/// A small generator, so that large inputs need no shrinking machinery.
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 27)
    }
}

fn recorded(sizes: usize, seed: u64) -> Vec<(usize, u64)> {
    let mut next = noise(seed);
    let mut pick = move |below: usize| usize::try_from(next() % below as u64).expect("small");
    let mut size = 0;
    (0..sizes)
        .map(|_| {
            size += 1 + pick(7);
            (size, 1 + pick(1000) as u64)
        })
        .collect()
}

#[test]
fn optimise_agrees_with_the_recurrence_on_larger_inputs() {
    let (sizes, seeds) = (60, 20);
    for seed in 0..seeds {
        let histogram = recorded(sizes, seed);
        for k in [1, 2, 3, 7, 11] {
            let classes = optimise(&histogram, k).expect("valid");
            assert_eq!(classes.count(), k);
            assert_eq!(
                waste(&classes, &histogram).wasted_bytes(),
                least_waste_by_recurrence(&histogram, k),
                "seed {seed}, {k} classes"
            );
        }
    }
}

#[test]
fn a_hundred_thousand_sizes_are_optimised_at_once() {
    let histogram = recorded(100_000, 7);
    let begin = std::time::Instant::now();
    let classes = optimise(&histogram, 32).expect("valid");
    // Quadratic time would take hours.
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
    assert_eq!(classes.count(), 32);
    assert_eq!(waste(&classes, &histogram).oversize, 0);
    // Better than spacing the classes evenly over the requests.
    let even: Vec<usize> = (1..=32)
        .map(|class| histogram[class * 3125 - 1].0)
        .collect();
    let even = SizeClasses::new(&even).expect("valid");
    let least = waste(&classes, &histogram).wasted_bytes();
    assert!(least < waste(&even, &histogram).wasted_bytes());
}

#[test]
fn waste_counts_oversize_apart() {
    let classes = SizeClasses::new(&[10, 20]).expect("valid");
    let total = waste(&classes, &[(5, 2), (20, 1), (21, 4), (0, 1)]);
    assert_eq!(total.requested_bytes, 30);
    assert_eq!(total.granted_bytes, 50);
    assert_eq!(total.wasted_bytes(), 20);
    assert_eq!(total.oversize, 4);
    assert!((total.share() - 0.4).abs() < 1e-12);
    assert!(Waste::default().share().abs() < 1e-12);
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn any_size() -> impl Strategy<Value = usize> {
    // Uniform in the exponent, so that every scale occurs.
    (0..usize::BITS - 1, any::<usize>()).prop_map(|(exponent, noise)| {
        let power = 1_usize << exponent;
        power + noise % power
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lookup_equals_a_scan(
        sizes in btree_set(any_size(), 1..40),
        more in vec_of(any_size(), 20),
    ) {
        let sizes: Vec<usize> = sizes.into_iter().collect();
        let classes = SizeClasses::new(&sizes).expect("sorted, no duplicates");
        for size in probes(&sizes).into_iter().chain(more) {
            prop_assert_eq!(classes.class_of(size), by_scan(&sizes, size), "{}", size);
        }
    }

    #[test]
    fn crowded_lookup_equals_a_scan(
        base in any_size(),
        steps in vec_of(1_usize..4, 1..100),
    ) {
        let mut size = base.min(MAX_SIZE - 1000);
        let sizes: Vec<usize> = steps.iter().map(|step| { size += step; size }).collect();
        let classes = SizeClasses::new(&sizes).expect("increasing");
        for size in probes(&sizes) {
            prop_assert_eq!(classes.class_of(size), by_scan(&sizes, size), "{}", size);
        }
    }

    #[test]
    fn no_table_wastes_less_than_the_optimised(
        histogram in vec_of((0_usize..200, 0_u64..50), 1..9),
        k in 1_usize..6,
    ) {
        prop_assume!(histogram.iter().any(|entry| entry.1 > 0));
        let classes = optimise(&histogram, k).expect("valid");
        prop_assert!(classes.count() <= k);
        let found = waste(&classes, &histogram);
        prop_assert_eq!(found.oversize, 0);
        prop_assert_eq!(found.wasted_bytes(), least_waste_of_all_tables(&histogram, k));
    }
}
