//! What a row is, for every dimension, element and alignment.

use millpond_core::budget::Budget;
use millpond_vector::{
    Alignment, Bf16, Element, Exhaustion, F16, InsertError, Level, Limit, LocalVectorPool,
    ShapeError, SideArrays, Spread, VectorPool,
};

const DIMENSIONS: [usize; 7] = [1, 15, 16, 17, 768, 1536, 65_536];

fn rows_hold<E: Element>() {
    for dimension in DIMENSIONS {
        if cfg!(miri) && dimension != 17 {
            continue;
        }
        for align in Alignment::ALL {
            let pool = VectorPool::<E>::builder(dimension)
                .alignment(align)
                .capacity(5)
                .build()
                .unwrap();
            let rows: Vec<_> = (0..5).map(|_| pool.acquire_zeroed().unwrap()).collect();
            for row in &rows {
                assert_eq!(row.len(), dimension);
                assert_eq!(row.as_ptr().addr() % align.bytes(), 0);
                assert_eq!(size_of_val(row.row_padded()) % align.bytes(), 0);
                assert!(row.row_padded().iter().all(|&number| number == E::ZERO));
            }
            let refused = pool.try_acquire().unwrap_err();
            assert_eq!(*refused.limit(), Limit::Capacity);
            assert_eq!((refused.in_use(), refused.capacity()), (5, 5));
        }
    }
}

#[test]
fn rows_of_every_element_and_dimension_are_aligned_and_padded_with_zeros() {
    rows_hold::<f64>();
    rows_hold::<f32>();
    rows_hold::<F16>();
    rows_hold::<Bf16>();
    rows_hold::<i8>();
    rows_hold::<u8>();
    rows_hold::<u64>();
}

#[test]
fn shapes_that_cannot_be_are_refused_by_name() {
    assert_eq!(VectorPool::<f32>::new(0, 8).unwrap_err(), ShapeError::Empty);
    let dimension = usize::MAX / 2;
    let refused = VectorPool::<f64>::new(dimension, 8).unwrap_err();
    assert_eq!(refused, ShapeError::TooLarge { dimension });
    assert!(refused.to_string().contains(&dimension.to_string()));
}

#[test]
#[cfg_attr(miri, ignore = "Miri stops the program when memory runs out")]
fn rows_that_no_memory_can_hold_are_refused_when_they_are_asked_for() {
    let dimension = isize::MAX as usize / 32;
    let budget = Budget::new("rows", usize::MAX);
    let builder = VectorPool::<f64>::builder(dimension).budget(&budget);
    let pool = builder.build().unwrap();
    let refused = pool.try_acquire().unwrap_err();
    assert!(matches!(refused.limit(), Limit::Memory { .. }), "{refused}");
    assert_eq!(pool.stats().in_use, 0);
    assert!(budget.held() < dimension, "what was not to be had is paid");
}

#[test]
#[cfg_attr(miri, ignore = "sums of bytes, of a thousand KiB")]
fn a_budget_is_used_up_before_it_refuses_a_row() {
    let rows = 300;
    let budget = Budget::new("rows", rows * 4096);
    let builder = VectorPool::<f32>::builder(1024).budget(&budget);
    let pool = builder.slab_bytes(16 * 4096).build().unwrap();
    let leases: Vec<_> = std::iter::from_fn(|| pool.try_acquire().ok()).collect();
    let refused = pool.try_acquire().unwrap_err();
    assert!(matches!(refused.limit(), Limit::Budget(_)), "{refused}");
    let left = budget.limit() - budget.held();
    // A row, and a longer directory for the slab that it would be.
    assert!(left < 2 * 4096, "{left} bytes are left");
    assert!(leases.len() > rows * 3 / 4, "{} rows", leases.len());
}

#[test]
#[cfg_attr(miri, ignore = "Miri's pools make fewer rows at once")]
fn prefix_scans_of_aliasing_strides_get_a_gap_of_zeros() {
    let pool = VectorPool::<f32>::builder(1024)
        .spread(Spread::PrefixScan)
        .build()
        .unwrap();
    let rows: Vec<_> = (0..4)
        .map(|i| pool.insert(&[i as f32 + 1.0; 1024]).unwrap())
        .collect();
    assert_eq!(pool.layout().stride_bytes(), 4096 + 64);
    let addresses: Vec<_> = rows
        .iter()
        .map(|&id| pool.row(id).unwrap().as_ptr().addr())
        .collect();
    assert!(addresses.windows(2).all(|two| two[1] - two[0] == 4160));
    let run = pool.runs().next().unwrap();
    assert!(
        run.as_slice()[1024..1040]
            .iter()
            .all(|&number| number == 0.0)
    );
}

#[test]
fn a_slice_of_another_length_is_refused_with_both_lengths() {
    let pool = VectorPool::<f32>::new(4, 8).unwrap();
    let refused = pool.insert(&[1.0; 3]).unwrap_err();
    let expected = InsertError::Dimension {
        expected: 4,
        given: 3,
    };
    assert_eq!(refused, expected);
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn rows_outside_the_capacity_are_rows_without_ids() {
    let pool = VectorPool::<f32>::builder(100)
        .capacity(1)
        .exhaustion(Exhaustion::Fallback { at_most: 1 })
        .build()
        .unwrap();
    let inside = pool.acquire().unwrap();
    assert!(
        pool.insert(&[0.0; 100]).is_err(),
        "a stored row lies inside"
    );
    let before = pool.stats();
    let mut outside = pool.acquire().unwrap();
    let refused = pool.acquire().unwrap_err();
    assert_eq!((refused.limit(), refused.outside()), (&Limit::Capacity, 1));
    assert!(outside.row_padded().iter().all(|&number| number == 0.0));
    assert_eq!(outside.as_ptr().addr() % 64, 0);
    outside.fill(1.0);
    let outside = outside.store().expect_err("it has no id");
    let after = pool.stats();
    assert_eq!((after.fallback_in_use, after.fallbacks), (1, 1));
    let stride = pool.layout().stride_bytes();
    assert_eq!(after.held_bytes, before.held_bytes + stride);
    assert_eq!(after.used_bytes, before.used_bytes + 400);
    drop((inside, outside));
    let at_the_end = pool.stats();
    assert_eq!(at_the_end.fallback_in_use, 0);
    assert_eq!(at_the_end.held_bytes, before.held_bytes);
}

#[test]
fn a_pool_of_capacity_zero_has_no_rows() {
    let pool = VectorPool::<u8>::new(8, 0).unwrap();
    assert!(pool.try_acquire().is_err());
    assert_eq!(pool.stats().held_bytes, 0);
}

#[test]
#[cfg_attr(miri, ignore = "Miri's pools make fewer rows at once")]
fn a_local_pool_has_the_same_rows() {
    let mut pool = LocalVectorPool::<f32>::new_local(17, 3).unwrap();
    let id = pool.insert(&[2.0; 17]).unwrap();
    let lease = pool.acquire_zeroed().unwrap();
    assert_eq!(lease.row_padded().len(), 32);
    drop(lease);
    pool.row_mut(id).unwrap()[0] = 9.0;
    assert_eq!(pool.row(id).unwrap()[0], 9.0);
    assert!(pool.remove(id));
    assert_eq!(pool.trim(Level::Full).freed_items, 3);
    assert_eq!(pool.row(id), None);
}

#[test]
fn a_row_of_768_floats_costs_one_percent_beyond_its_padding_at_most() {
    if cfg!(miri) {
        return;
    }
    let rows = 20_000;
    let pool = VectorPool::<f32>::new(768, rows).unwrap();
    for _ in 0..rows {
        pool.insert(&[1.0; 768]).unwrap();
    }
    let stats = pool.stats();
    let bytes = stats.held_bytes + stats.machinery_bytes;
    let padded = rows * 768 * 4;
    assert!(bytes <= padded + padded / 100, "{bytes} bytes for {padded}");
}

#[test]
fn stores_and_side_arrays_are_independent_of_each_other() {
    for side in [
        SideArrays::NONE,
        SideArrays {
            norms: true,
            external_ids: false,
        },
        SideArrays {
            norms: false,
            external_ids: true,
        },
        SideArrays::ALL,
    ] {
        let mut pool = VectorPool::<f32>::builder(3)
            .side_arrays(side)
            .build()
            .unwrap();
        let id = pool.insert(&[1.0; 3]).unwrap();
        assert_eq!(pool.set_norm(id, 2.5), side.norms);
        assert_eq!(pool.set_external_id(id, 7), side.external_ids);
        assert_eq!(pool.norm(id), side.norms.then_some(2.5));
        assert_eq!(pool.external_id(id), side.external_ids.then_some(7));
        assert_eq!(pool.row(id), Some(&[1.0; 3][..]));
        let run = pool.runs().next().unwrap();
        assert_eq!(run.norms().len(), usize::from(side.norms));
        assert_eq!(run.external_ids().len(), usize::from(side.external_ids));
        pool.remove(id);
        assert_eq!((pool.norm(id), pool.external_id(id)), (None, None));
        assert!(!pool.set_norm(id, 1.0));
    }
}

#[test]
fn rows_beyond_a_run_are_refused_however_far() {
    let pool = VectorPool::<f32>::new(16, 4).unwrap();
    pool.insert(&[1.0; 16]).unwrap();
    let run = pool.runs().next().unwrap();
    assert_eq!(
        (run.row(0), run.row_padded(0)),
        (&[1.0; 16][..], &[1.0; 16][..])
    );
    // Times the stride of 16 these are 16, 0 and -16, modulo the address space.
    for at in [1, usize::MAX / 16 + 1, usize::MAX] {
        let refused = std::panic::catch_unwind(|| run.row(at).len()).unwrap_err();
        let message = refused.downcast_ref::<String>().unwrap();
        assert_eq!(*message, format!("row {at} of a run of 1"));
        assert!(std::panic::catch_unwind(|| run.row_padded(at).len()).is_err());
        assert_eq!(run.id(at), None);
    }
}

#[test]
fn what_was_granted_is_told_in_whole_sentences() {
    let pool = VectorPool::<f32>::builder(768)
        .prefault(true)
        .slab_bytes(1 << 20);
    let pool = pool.build().unwrap();
    assert!(
        pool.granted()
            .to_string()
            .starts_with("0 slabs of 0 bytes in all; ")
    );
    pool.insert(&[1.0; 768]).unwrap();
    let granted = pool.granted();
    let told = granted.to_string();
    assert!(told.starts_with("1 slab of "), "{told}");
    if let Some(bytes) = granted.placed_bytes(0) {
        let elsewhere: usize = (1..8).filter_map(|node| granted.placed_bytes(node)).sum();
        assert!(bytes + elsewhere <= granted.bytes());
        assert!(told.contains(" on node "), "{told}");
    }
    while pool.stored() * 3072 < 1 << 20 {
        pool.insert(&[1.0; 768]).unwrap();
    }
    let told = pool.granted().to_string();
    assert!(told.contains(" slabs of "), "{told}");
}
