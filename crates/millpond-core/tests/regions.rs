//! The map of a pool's regions says where its items lie and which are leased,
//! wherever the free ones are, and leaves the pool as it was.

use millpond_core::engine::Engine;
use millpond_core::entry::Entry;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

const BYTES: usize = 64;

fn pool(capacity: usize) -> SharedEngine<Slabs> {
    SharedEngine::new(capacity, BYTES, Slabs::new(BYTES, 8)).named("mapped")
}

fn release(pool: &SharedEngine<Slabs>, item: Entry) {
    // SAFETY: acquired from this pool by the test, and released once.
    let _ = unsafe { SharedEngine::release(pool, item) };
}

#[test]
fn every_leased_item_is_in_its_part_of_its_region() {
    const ITEMS: usize = if cfg!(miri) { 40 } else { 3000 };
    let pool = pool(ITEMS);
    assert_eq!(pool.regions(), []);
    let mut leased: Vec<Entry> = (0..ITEMS).map(|_| pool.acquire(0).unwrap()).collect();
    // Every third comes home: to this thread's cache and to the depot.
    let mut place = 0;
    leased.retain(|&item| {
        place += 1;
        let stays = place % 3 != 0;
        if !stays {
            release(&pool, item);
        }
        stays
    });
    // A few of those lie in the cache of another thread, which is idle.
    thread::scope(|scope| {
        scope.spawn(|| {
            let few: Vec<Entry> = (0..5).map(|_| pool.acquire(0).unwrap()).collect();
            for item in few {
                release(&pool, item);
            }
        });
    });

    let regions = pool.regions();
    let in_use: usize = regions.iter().map(|region| region.in_use).sum();
    assert_eq!(in_use, leased.len(), "{regions:?}");
    let handed_out: usize = regions.iter().map(|region| region.handed_out).sum();
    assert_eq!(handed_out, Engine::observe(&pool).created);
    for region in &regions {
        assert!(region.items * BYTES <= region.bytes && region.item_bytes == BYTES);
        let inside = |item: &&Entry| {
            let address = item.as_ptr().addr().get();
            (region.address..region.address + region.bytes).contains(&address)
        };
        assert_eq!(leased.iter().filter(inside).count(), region.in_use);
        for item in leased.iter().filter(inside) {
            let place = (item.as_ptr().addr().get() - region.address) / BYTES;
            let part = (place + 1) * region.parts.len() - 1;
            assert!(region.parts[part / region.items] > 0, "{region:?}, {place}");
        }
    }
    for item in leased {
        release(&pool, item);
    }
    assert!(pool.regions().iter().all(|region| region.in_use == 0));
    let all: Vec<Entry> = (0..ITEMS).map(|_| pool.acquire(0).unwrap()).collect();
    assert!(pool.acquire(0).is_err(), "no item was lost or doubled");
    for item in all {
        release(&pool, item);
    }
}

/// While others acquire and release, a map counts what is leased and a little more,
/// and nobody is told that the pool is exhausted.
#[test]
fn looking_disturbs_nobody() {
    const LOOKS: usize = if cfg!(miri) { 3 } else { 200 };
    const THREADS: usize = 3;
    let pool = pool(THREADS * 4);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    let items = [(); 4].map(|()| pool.acquire(0).expect("there are enough"));
                    items.into_iter().for_each(|item| release(&pool, item));
                }
            });
        }
        for _ in 0..LOOKS {
            for region in pool.regions() {
                assert!(region.in_use <= region.handed_out, "{region:?}");
                assert!(region.handed_out <= region.items, "{region:?}");
            }
            thread::yield_now();
        }
        done.store(true, SeqCst);
    });
    assert!(pool.regions().iter().all(|region| region.in_use == 0));
}
