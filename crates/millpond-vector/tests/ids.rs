//! Ids: what they name, and that they stop naming it.

use millpond_vector::{Level, RowId, VectorPool};

const fn is_anywhere<T: Send + Sync + Copy + Unpin + 'static>() {}
const _: () = is_anywhere::<RowId<f32>>();

#[test]
fn an_id_is_eight_bytes_and_so_is_an_option_of_it() {
    assert_eq!(size_of::<RowId<f32>>(), 8);
    assert_eq!(size_of::<Option<RowId<f32>>>(), 8);
}

#[test]
fn a_removed_row_is_reused_under_another_id() {
    let mut pool = VectorPool::<f32>::new(8, 1).unwrap();
    let mut last = None;
    for round in 0..if cfg!(miri) { 10 } else { 100 } {
        let id = pool.insert(&[round as f32; 8]).unwrap();
        assert!(pool.insert(&[0.0; 8]).is_err(), "a stored row counts");
        assert_ne!(Some(id), last);
        assert!(pool.remove(id));
        assert_eq!(pool.row(id), None);
        last = Some(id);
    }
}

#[test]
fn ids_from_before_a_trim_stay_stale_in_a_slab_of_the_same_number() {
    let mut pool = VectorPool::<f32>::new(8, if cfg!(miri) { 8 } else { 64 }).unwrap();
    let rows = if cfg!(miri) { 8 } else { 64 };
    let old: Vec<_> = (0..rows).map(|_| pool.insert(&[1.0; 8]).unwrap()).collect();
    pool.clear();
    assert_eq!(pool.trim(Level::Full).freed_items, rows);
    assert_eq!(pool.stats().held_bytes, 0);
    assert!(old.iter().all(|&id| pool.row(id).is_none()));
    let new: Vec<_> = (0..rows).map(|_| pool.insert(&[2.0; 8]).unwrap()).collect();
    assert!(old.iter().all(|&id| pool.row(id).is_none()));
    assert!(new.iter().all(|&id| pool.row(id) == Some(&[2.0; 8])));
}

#[test]
fn numbers_that_were_never_an_id_name_nothing() {
    let pool = VectorPool::<f32>::new(8, 4).unwrap();
    pool.insert(&[1.0; 8]).unwrap();
    for bits in [
        0,
        1,
        1 << 32,
        1 << 33 | 1,
        u64::MAX,
        u64::MAX >> 1,
        3 << 32,
        1 << 32 | 0xFFFF_FFFF,
    ] {
        let id = RowId::<f32>::from_bits(bits);
        let is_the_first = bits == 1 << 32;
        assert_eq!(
            id.is_some_and(|id| pool.contains(id)),
            is_the_first,
            "{bits:#x}"
        );
    }
}

#[test]
fn a_pool_may_go_with_rows_stored_and_their_ids_outstanding() {
    let budget = millpond_core::budget::Budget::new("rows", usize::MAX);
    let pool = VectorPool::<f32>::builder(100)
        .budget(&budget)
        .build()
        .unwrap();
    let ids: Vec<_> = (0..if cfg!(miri) { 10 } else { 100 })
        .map(|_| pool.insert(&[1.0; 100]).unwrap())
        .collect();
    assert!(budget.held() > ids.len() * 400);
    drop(pool);
    assert_eq!(budget.held(), 0);
    let other = VectorPool::<f32>::new(100, 100).unwrap();
    assert!(ids.iter().all(|&id| other.row(id).is_none()));
}

#[test]
#[cfg_attr(miri, ignore = "leaks on purpose")]
fn a_forgotten_lease_keeps_its_slab_and_no_more() {
    let pool = VectorPool::<f32>::new(100, 10).unwrap();
    std::mem::forget(pool.try_acquire().unwrap());
    assert_eq!(pool.stats().in_use, 1);
    assert_eq!(pool.trim(Level::Full).freed_items, 0);
    // By the engine's rule for items that are out the slab stays, unused.
    drop(pool);
}

#[test]
fn compacting_moves_rows_down_and_gives_slabs_back() {
    let rows: usize = if cfg!(miri) { 48 } else { 5000 };
    let mut pool = VectorPool::<f64>::builder(8)
        .slab_bytes(16 * 64)
        .build()
        .unwrap();
    let mut ids: Vec<_> = (0..rows)
        .map(|i| pool.insert(&[i as f64; 8]).unwrap())
        .collect();
    for i in (0..rows).filter(|i| i % 3 != 0) {
        pool.remove(ids[i]);
    }
    let before = pool.stats().held_bytes;
    let moved = pool.compact();
    for moved in &moved {
        let place = ids.iter_mut().find(|id| **id == moved.from).unwrap();
        assert_eq!(pool.row(moved.from), None);
        *place = moved.to;
    }
    for i in (0..rows).step_by(3) {
        assert_eq!(pool.row(ids[i]), Some(&[i as f64; 8][..]));
    }
    assert!(pool.stats().held_bytes <= before * 2 / 3);
    let lengths: Vec<_> = pool.runs().map(|run| run.len()).collect();
    let kept = rows.div_ceil(3);
    assert_eq!(lengths.iter().sum::<usize>(), kept);
    // Miri's pools begin with smaller slabs.
    if !cfg!(miri) {
        assert_eq!(
            lengths.len(),
            kept.div_ceil(16),
            "slabs of 16 rows, all full"
        );
    }
    assert!(pool.compact().is_empty(), "there is nothing left to move");
}
