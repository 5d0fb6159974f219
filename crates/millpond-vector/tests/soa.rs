//! Blocks of records by column, and their pools.

use millpond_vector::{
    CapacityUsage, Lane, LaneError, Limit, LoadError, SoaPool, Triples8, Triples8Pool,
};

#[test]
fn eight_triples_take_three_lines_and_no_ninth_goes_in() {
    assert_eq!((size_of::<Triples8>(), align_of::<Triples8>()), (192, 64));
    let pool = Triples8Pool::new().unwrap();
    let mut run = pool.try_acquire().unwrap();
    for i in 0..8 {
        assert_eq!(run.push([i, i * 2, i * 3]).unwrap().index() as u64, i);
    }
    assert_eq!(run.push([0; 3]), Err(LaneError::Full { lanes: 8 }));
    assert_eq!((run.len(), run.live()), (8, 0xFF));
    assert_eq!(run.column(2), &[0, 3, 6, 9, 12, 15, 18, 21]);
    assert_eq!(run.column(0).as_ptr().addr() % 64, 0);
}

#[test]
fn runs_of_more_than_eight_are_refused_before_a_block_is_taken() {
    let pool = Triples8Pool::new().unwrap();
    let refused = pool.try_load(&[[1, 2, 3]; 9]).unwrap_err();
    let expected = LaneError::InvalidSize {
        wanted: 9,
        lanes: 8,
    };
    assert_eq!(refused, LoadError::Lanes(expected));
    assert_eq!(pool.stats().acquires, 0);
    assert_eq!(pool.try_load(&[[1, 2, 3]; 8]).unwrap().len(), 8);
    assert!(pool.try_load(&[]).unwrap().is_empty());
}

#[test]
fn sixteen_blocks_are_lent_and_a_seventeenth_is_refused() {
    let pool = Triples8Pool::new().unwrap();
    let blocks: Vec<_> = (0..16)
        .map(|i| pool.try_load(&[[i, i, i]]).unwrap())
        .collect();
    let usage = CapacityUsage {
        in_use: 16,
        total: 16,
    };
    assert_eq!(pool.capacity_usage(), usage);
    let refused = pool.try_load(&[]).unwrap_err();
    let LoadError::Acquire(error) = refused else {
        panic!("{refused}")
    };
    assert_eq!(*error.limit(), Limit::Capacity);
    for (i, block) in (0..).zip(&blocks) {
        assert_eq!(block.get(Lane::new(0).unwrap()), Some([i, i, i]));
    }
    drop(blocks);
    assert_eq!(pool.capacity_usage().in_use, 0);
}

#[test]
fn the_block_that_came_home_last_goes_out_first_and_is_zero() {
    let pool = Triples8Pool::new().unwrap();
    let mut block = pool.try_load(&[[7, 8, 9]; 5]).unwrap();
    let address = std::ptr::from_ref(&*block).addr();
    assert_eq!(block.match_mask([Some(7), None, None]), 0b1_1111);
    block.clear();
    assert_eq!(*block, Triples8::ZERO);
    block.push([4, 5, 6]).unwrap();
    drop(block);
    let again = pool.try_acquire().unwrap();
    assert_eq!(std::ptr::from_ref(&*again).addr(), address);
    assert_eq!(*again, Triples8::ZERO);
    assert_eq!(again.match_mask([Some(0), None, None]), 0);
}

#[test]
fn a_removed_lane_is_zero_and_the_next_to_be_filled() {
    let pool = Triples8Pool::new().unwrap();
    let mut run = pool.try_load(&[[1, 1, 1], [2, 2, 2], [3, 3, 3]]).unwrap();
    let middle = Lane::new(1).unwrap();
    assert_eq!(run.remove(middle), Some([2, 2, 2]));
    assert_eq!(run.remove(middle), None);
    assert_eq!(run.record(middle), [0; 3]);
    assert_eq!((run.len(), run.live()), (2, 0b101));
    assert_eq!(run.push([9, 9, 9]), Ok(middle));
    assert_eq!(format!("{run:?}"), "[[1, 1, 1], [9, 9, 9], [3, 3, 3]]");
}

#[test]
fn blocks_of_other_shapes_have_aligned_columns_too() {
    let pool = SoaPool::<f32, 5, 16>::with_capacity(3).unwrap();
    let mut block = pool.try_acquire().unwrap();
    for i in 0..16 {
        block.push([i as f32; 5]).unwrap();
    }
    for field in 0..5 {
        assert_eq!(block.column(field).as_ptr().addr() % 64, 0);
        assert_eq!(block.column(field)[15], 15.0);
    }
    assert_eq!(
        block.match_mask([Some(3.0), None, None, None, Some(3.0)]),
        1 << 3
    );
    let narrow = SoaPool::<u8, 2, 3, millpond_vector::Local>::new_local(2).unwrap();
    let mut block = narrow.try_acquire().unwrap();
    block.push([1, 2]).unwrap();
    assert_eq!(block.column(1), &[2, 0, 0]);
}
