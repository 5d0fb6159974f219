//! The map of memory of pools whose slots do not come from the engine's own slabs, or
//! that one thread uses: every region is there, with what is leased in it.
#![cfg(feature = "std")]

use millpond_core::observe::Observe;
use millpond_fixed::{FixedPool, LocalFixedPool};

/// More than the first region holds.
const MANY: usize = if cfg!(miri) { 40 } else { 1000 };

/// Leased items by the map, in regions that do not overlap.
fn on_the_map(pool: &dyn Observe) -> usize {
    let mut regions = pool.regions();
    regions.sort_by_key(|region| region.address);
    for pair in regions.windows(2) {
        assert!(pair[0].address + pair[0].bytes <= pair[1].address);
    }
    for region in &regions {
        assert!(region.in_use <= region.handed_out && region.handed_out <= region.items);
        assert!(region.items * region.item_bytes <= region.bytes);
    }
    regions.iter().map(|region| region.in_use).sum()
}

#[test]
fn id_pools_show_their_chunks() {
    let mut pool = FixedPool::<[u64; 7]>::builder(100).build_ids();
    assert_eq!(on_the_map(&pool), 0);
    pool.set_capacity(MANY);
    let ids: Vec<_> = (0..MANY as u64)
        .map(|value| pool.try_insert([value; 7]).map_err(|_| "full"))
        .collect::<Result<_, _>>()
        .expect("room");
    assert!(pool.regions().len() > 1);
    assert_eq!(on_the_map(&pool), MANY);
    for id in &ids[MANY / 2..] {
        pool.remove(*id);
    }
    assert_eq!(on_the_map(&pool), MANY / 2);
    let first = &pool.regions()[0];
    assert_eq!((first.handed_out, first.in_use), (first.items, first.items));
}

#[test]
fn pools_of_one_thread_show_their_slabs() {
    let pool = LocalFixedPool::<u64>::new_local(1000);
    let mut leases: Vec<_> = (0..MANY as u64)
        .map_while(|value| pool.try_acquire(value).ok())
        .collect();
    assert_eq!((leases.len(), on_the_map(&pool)), (MANY, MANY));
    leases.truncate(7);
    assert_eq!(on_the_map(&pool), 7);
    let local = FixedPool::<u64>::builder(10).build_local_ids();
    let _id = local.try_insert(1).map_err(|_| "full").expect("room");
    assert_eq!(on_the_map(&local), 1);
}
