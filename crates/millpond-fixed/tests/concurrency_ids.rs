//! Proves that an id leads to its own value or nowhere, whatever is removed,
//! reused, pinned, released, cleared or trimmed meanwhile, and that index pools
//! give each slot once. Random sequences run against a map.
#![cfg(feature = "std")]

use millpond_fixed::{Id, IdPool, IndexPool, Level, Limit, LocalIdPool, LocalIndexPool, Mode};
use millpond_testing::{Census, Dice, Tracked};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

const STEPS: usize = if cfg!(miri) { 60 } else { 20_000 };
const SEEDS: u64 = if cfg!(miri) { 1 } else { 8 };

/// One seed: random operations, with every id that ever was.
fn agrees_with_a_map<M: Mode>(mut pool: IdPool<Tracked, M>, seed: u64) {
    let census = Census::new();
    let mut dice = Dice::new(seed);
    let mut live: HashMap<Id<Tracked>, u64> = HashMap::new();
    let mut stale: Vec<Id<Tracked>> = Vec::new();
    let capacity = pool.capacity();
    for step in 0..STEPS as u64 {
        let some = |dice: &mut Dice, live: &HashMap<Id<Tracked>, u64>| {
            (!live.is_empty()).then(|| *live.keys().nth(dice.below(live.len())).expect("below"))
        };
        match dice.below(20) {
            0..=8 => match pool.try_insert(census.track(step)) {
                Ok(id) => assert_eq!(live.insert(id, step), None, "ids are new"),
                Err(refused) => {
                    assert_eq!(live.len(), capacity, "{:?}", refused.error());
                    assert_eq!(refused.into_value().stamp(), step);
                }
            },
            9..=11 => {
                if let Some(id) = some(&mut dice, &live) {
                    let stamp = live.remove(&id);
                    assert_eq!(pool.remove(id).map(|value| value.stamp()), stamp);
                    stale.push(id);
                }
            }
            12..=14 => {
                if let Some(id) = some(&mut dice, &live) {
                    let pinned = pool.pin(id).expect("live");
                    assert!(pool.release(id) && !pool.release(id));
                    assert!(pool.pin(id).is_none(), "it ends");
                    assert_eq!(Some(pinned.stamp()), live.remove(&id));
                    stale.push(id);
                }
            }
            15..=17 => {
                if let Some(id) = some(&mut dice, &live) {
                    assert_eq!(pool.get(id).map(Tracked::stamp), live.get(&id).copied());
                    assert_eq!(
                        pool.get_mut(id).map(|value| value.stamp()),
                        live.get(&id).copied()
                    );
                }
            }
            18 => {
                pool.trim(Level::Full);
            }
            _ if dice.below(30) == 0 => {
                pool.clear();
                stale.extend(live.drain().map(|(id, _)| id));
            }
            _ => (),
        }
        for _ in 0..stale.len().min(2) {
            let id = stale[dice.below(stale.len())];
            assert!(
                pool.pin(id).is_none() && pool.get(id).is_none(),
                "{id} is stale"
            );
            assert!(pool.remove(id).is_none() && !pool.release(id));
        }
        assert_eq!((pool.len(), census.alive()), (live.len(), live.len()));
    }
    let seen: HashMap<_, _> = pool
        .view()
        .iter()
        .map(|(id, value)| (id, value.stamp()))
        .collect();
    assert_eq!(seen, live);
    drop(pool);
    census.assert_each_dropped_once();
}

#[test]
fn ids_agree_with_a_map() {
    for seed in 0..SEEDS {
        for capacity in [0, 1, 5, if cfg!(miri) { 9 } else { 300 }] {
            agrees_with_a_map(IdPool::new(capacity), seed);
            agrees_with_a_map(LocalIdPool::new_local(capacity), seed);
        }
    }
}

#[test]
fn threads_that_pin_and_release_end_each_value_once() {
    let census = Census::new();
    let pool = IdPool::new(if cfg!(miri) { 4 } else { 64 });
    let board = Mutex::new(Vec::<Id<Tracked>>::new());
    let rounds = if cfg!(miri) { 30 } else { 5_000 };
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let (pool, board, census) = (&pool, &board, &census);
            scope.spawn(move || {
                let mut dice = Dice::new(thread);
                for round in 0..rounds {
                    if let Ok(id) = pool.try_insert(census.track(round)) {
                        board.lock().unwrap().push(id);
                    }
                    let picked = {
                        let board = board.lock().unwrap();
                        (!board.is_empty()).then(|| board[dice.below(board.len())])
                    };
                    let Some(id) = picked else { continue };
                    let pinned = pool.pin(id);
                    if dice.below(2) == 0 && pool.release(id) {
                        board.lock().unwrap().retain(|&other| other != id);
                    }
                    if let Some(pinned) = pinned {
                        assert!(pinned.stamp() < rounds, "the value is whole");
                    }
                }
            });
        }
    });
    assert_eq!(pool.len(), board.lock().unwrap().len());
    drop(pool);
    census.assert_each_dropped_once();
}

#[test]
fn ids_of_a_chunk_that_was_given_back_stay_stale() {
    let mut pool = LocalIdPool::new_local(1000);
    let old: Vec<_> = (0..1000)
        .map(|value| pool.try_insert(value).expect("room"))
        .collect();
    pool.clear();
    assert!(pool.trim(Level::Full).freed_bytes > 0);
    assert_eq!(pool.stats().held_bytes, 0);
    let new: Vec<_> = (0..1000)
        .map(|value| pool.try_insert(value).expect("room"))
        .collect();
    assert!(old.iter().all(|id| pool.get(*id).is_none()));
    assert!(new.iter().all(|id| pool.get(*id).is_some()));
}

#[test]
fn a_value_that_panics_when_it_goes_leaves_its_slot_free() {
    struct Bad(bool);
    impl Drop for Bad {
        fn drop(&mut self) {
            assert!(!self.0, "bad");
        }
    }
    let mut pool = IdPool::new(3);
    let bad = pool.try_insert(Bad(true)).map_err(drop).expect("room");
    assert!(catch_unwind(AssertUnwindSafe(|| pool.release(bad))).is_err());
    assert_eq!(pool.len(), 0);
    for bad in [true, false, false] {
        pool.try_insert(Bad(bad))
            .map_err(drop)
            .expect("room for all three");
    }
    assert!(catch_unwind(AssertUnwindSafe(|| pool.clear())).is_err());
    assert_eq!(pool.len(), 0, "the others went as well");
}

#[test]
fn a_forgotten_pin_costs_nothing_but_its_value() {
    let census = Census::new();
    let mut pool = IdPool::new(1);
    let Ok(id) = pool.try_insert(census.track(1)) else {
        panic!("room")
    };
    std::mem::forget(pool.pin(id));
    assert!(pool.release(id));
    assert!(pool.get(id).is_none() && pool.remove(id).is_none());
    assert_eq!(census.dropped(), 0, "somebody may still look");
    pool.clear();
    census.assert_each_dropped_once();
    assert_eq!(pool.len(), 0);
}

/// Ends others and puts new ones in while it goes, in the pool that it lies in.
#[test]
fn a_value_may_use_its_pool_when_it_goes() {
    use std::sync::{Arc, Mutex, Weak};

    #[repr(align(256))]
    struct Node {
        pool: Weak<IdPool<Node>>,
        next: Mutex<Option<Id<Node>>>,
        lives: u32,
    }

    impl Drop for Node {
        fn drop(&mut self) {
            let Some(pool) = self.pool.upgrade() else {
                return;
            };
            assert_eq!(core::ptr::from_ref(self).addr() % 256, 0);
            if let Some(next) = self.next.lock().expect("quiet").take() {
                assert!(pool.release(next));
            }
            if let Some(lives) = self.lives.checked_sub(1) {
                let (pool, next) = (self.pool.clone(), Mutex::new(None));
                let upgraded = pool.upgrade().expect("above");
                let again = upgraded.try_insert(Node { pool, next, lives });
                let again = again.map_err(|_| "full").expect("room");
                assert!(upgraded.pin(again).is_some_and(|node| node.lives == lives));
                assert!(upgraded.release(again));
            }
        }
    }

    let pool = Arc::new(IdPool::new(40));
    let mut last = None;
    for _ in 0..10 {
        let node = Node {
            pool: Arc::downgrade(&pool),
            next: Mutex::new(last),
            lives: 3,
        };
        last = Some(pool.try_insert(node).map_err(|_| "full").expect("room"));
    }
    assert!(pool.release(last.expect("ten")));
    assert_eq!(pool.len(), 0);
    let mut pool = Arc::into_inner(pool).expect("the only one");
    assert!(pool.trim(Level::Full).freed_items > 0);
}

#[test]
fn ids_that_were_made_up_lead_nowhere() {
    let mut pool = IdPool::new(10);
    let id = pool.try_insert(7).expect("room");
    for bits in [
        u64::MAX,
        1 << 32,
        (1 << 32) | u64::from(u32::MAX),
        id.to_bits() + 1,
    ] {
        if let Some(made_up) = Id::<i32>::from_bits(bits).filter(|other| *other != id) {
            assert!(pool.get(made_up).is_none() && pool.pin(made_up).is_none());
        }
    }
    assert_eq!(pool.get(id), Some(&7));
}

#[test]
fn an_index_pool_gives_its_slots_in_order_and_takes_all_back() {
    fn check<M: Mode>(mut pool: IndexPool<Tracked, M>, census: &Census) {
        for round in 0..3 {
            for index in 0..pool.capacity() {
                let Ok(given) = pool.try_acquire(census.track(index as u64)) else {
                    panic!("room")
                };
                assert_eq!(given.index(), index);
            }
            let Err(refused) = pool.try_acquire(census.track(99)) else {
                panic!("full")
            };
            assert_eq!(*refused.error().limit(), Limit::Capacity);
            assert_eq!(refused.into_value().stamp(), 99);
            let stamps = pool.as_slice().iter().map(Tracked::stamp);
            assert!(stamps.eq(0..5));
            assert_eq!(pool.stats().exhausted, round + 1);
            pool.reset();
            assert_eq!(census.alive(), 0);
        }
        drop(pool.try_acquire(census.track(1)));
        assert_eq!(pool.stats().acquires, 3 * pool.capacity() as u64 + 1);
    }
    let census = Census::new();
    check(IndexPool::with_capacity(5).expect("memory"), &census);
    check(LocalIndexPool::new_local(5).expect("memory"), &census);
    census.assert_each_dropped_once();
    assert!(
        IndexPool::<u8>::with_capacity(0)
            .expect("nothing")
            .try_acquire(1)
            .is_err()
    );
    assert!(IndexPool::<[u8; 2]>::with_capacity(usize::MAX).is_err());
    let units = IndexPool::<()>::with_capacity(2).expect("nothing");
    assert!(units.try_acquire(()).is_ok() && units.try_acquire(()).is_ok());
    assert!(units.try_acquire(()).is_err());
}

#[test]
fn threads_never_get_the_same_index() {
    let capacity = if cfg!(miri) { 30 } else { 3000 };
    let mut pool = IndexPool::with_capacity(capacity).expect("memory");
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let pool = &pool;
            scope.spawn(move || {
                while let Ok(mut given) = pool.try_acquire(thread) {
                    *given += 10;
                }
            });
        }
    });
    assert_eq!(pool.as_slice().len(), capacity);
    assert!(pool.as_slice().iter().all(|value| (10..13).contains(value)));
}
