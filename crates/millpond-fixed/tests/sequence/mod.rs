//! Sequences of operations on values, objects, batches, shared leases, ids and
//! blocks, read from bytes, against maps and counts as the reference. The fuzz target
//! runs the same sequences.

use allocator_api2::boxed::Box as BoxIn;
use millpond_fixed::{
    Adaptive, Batch, Builder, Counted, Eviction, Exhaustion, FixedPool, Id, IdPool, Lease, Level,
    ObjectLease, ObjectPool, Recycle, SharedLease, Vacant, Verdict,
};
use millpond_testing::{Census, Tracked};
use std::cell::Cell;
use std::collections::HashMap;

/// Bytes as a source of decisions; zeroes once they are used up.
struct Script<'s>(&'s [u8]);

impl Script<'_> {
    fn next(&mut self) -> usize {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(first)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound.max(1)
    }

    fn level(&mut self) -> Level {
        [Level::Light, Level::Moderate, Level::Full][self.below(3)]
    }
}

/// Runs the sequence that `script` describes, and compares after each step.
pub(crate) fn run(script: &[u8]) {
    let mut script = Script(script);
    match script.below(3) {
        0 => values(&mut script),
        1 => objects(&mut script),
        _ => ids(&mut script),
    }
}

fn built<T>(script: &mut Script<'_>) -> (Builder<T>, usize, usize) {
    let capacity = script.below(20);
    let extra = script.below(6);
    let builder = FixedPool::<T>::builder(capacity);
    let policy = match script.below(4) {
        0 => return (builder, capacity, 0),
        1 => return (builder.adaptive(Adaptive::between(1, 30)), usize::MAX, 0),
        2 => Exhaustion::Grow { extra },
        _ => Exhaustion::Fallback { at_most: extra },
    };
    (builder.exhaustion(policy), capacity, extra)
}

/// What can be had of a pool of values, with what it must contain.
enum Held<'p> {
    Lease(Lease<'p, Tracked>, u64),
    Batch(Batch<'p, Tracked, 3>, [u64; 3]),
    Vacant(Vacant<'p, Tracked>),
    Boxed(BoxIn<Tracked, &'p FixedPool<Tracked>>, u64),
}

impl Held<'_> {
    fn check(&self) {
        match self {
            Self::Lease(lease, stamp) => assert_eq!(lease.stamp(), *stamp),
            Self::Boxed(boxed, stamp) => assert_eq!(boxed.stamp(), *stamp),
            Self::Batch(batch, stamps) => {
                assert!(batch.iter().map(Tracked::stamp).eq(stamps.iter().copied()));
            }
            Self::Vacant(_) => (),
        }
    }

    fn values(&self) -> usize {
        match self {
            Self::Lease(..) | Self::Boxed(..) => 1,
            Self::Batch(..) => 3,
            Self::Vacant(_) => 0,
        }
    }

    fn slots(&self) -> usize {
        self.values().max(1)
    }
}

fn values(script: &mut Script<'_>) {
    let census = Census::new();
    let (builder, capacity, extra) = built(script);
    let pool: FixedPool<Tracked> = builder.build();
    let shared = FixedPool::<Counted<Tracked>>::new(4);
    let mut held: Vec<Held<'_>> = Vec::new();
    let mut holders: Vec<SharedLease<'_, Tracked>> = Vec::new();
    let mut stamp = 0;
    while !script.0.is_empty() {
        stamp += 3;
        let operation = script.below(14);
        match operation {
            0 | 1 => held.extend(match pool.try_acquire(census.track(stamp)) {
                Ok(lease) => Some(Held::Lease(lease, stamp)),
                Err(refused) => {
                    assert_eq!(refused.into_value().stamp(), stamp);
                    None
                }
            }),
            2 => {
                let lease = pool.acquire(census.track(stamp)).ok();
                held.extend(lease.map(|lease| Held::Lease(lease, stamp)));
            }
            3 => {
                let stamps = [stamp, stamp + 1, stamp + 2];
                let values = stamps.map(|stamp| census.track(stamp));
                let batch = match script.below(2) {
                    0 => pool.try_acquire_many(values),
                    _ => pool.acquire_many(values),
                };
                held.extend(batch.ok().map(|batch| Held::Batch(batch, stamps)));
            }
            4 => held.extend(pool.try_reserve().ok().map(Held::Vacant)),
            5 => {
                let boxed = BoxIn::try_new_in(census.track(stamp), &pool).ok();
                held.extend(boxed.map(|boxed| Held::Boxed(boxed, stamp)));
            }
            6 => {
                let _ = pool.trim(script.level());
            }
            7 => {
                let count = script.below(30);
                // A capacity that adapts may change meanwhile.
                assert!(pool.warm_up(count) <= count);
            }
            8 => holders.extend(shared.try_acquire_shared(census.track(stamp)).ok()),
            9 if !holders.is_empty() => {
                let index = script.below(holders.len());
                holders.push(holders[index].clone());
            }
            10 if !holders.is_empty() => {
                let holder = holders.swap_remove(script.below(holders.len()));
                if let Err(still) = SharedLease::try_into_inner(holder) {
                    assert!(SharedLease::holders(&still) > 1);
                }
            }
            _ if !held.is_empty() => {
                let one = held.swap_remove(script.below(held.len()));
                held.extend(step(one, script, &census, stamp));
            }
            _ => (),
        }
        held.iter().for_each(Held::check);
        let mut values: Vec<*const Tracked> =
            holders.iter().map(|holder| &raw const **holder).collect();
        values.sort_unstable();
        values.dedup();
        let out: usize = held.iter().map(Held::values).sum();
        assert_eq!(census.alive(), out + values.len());
        let stats = pool.stats();
        let slots: usize = held.iter().map(Held::slots).sum();
        assert_eq!(stats.in_use + stats.fallback_in_use, slots);
        assert!(slots <= capacity.saturating_add(extra));
        assert_eq!(shared.stats().in_use, values.len());
    }
    drop((held, holders));
    assert_eq!(pool.stats().in_use + pool.stats().fallback_in_use, 0);
    pool.trim(Level::Full);
    assert_eq!(pool.stats().held_bytes, 0);
    census.assert_each_dropped_once();
}

/// Something done to one of those held; answers what is held afterwards.
fn step<'p>(one: Held<'p>, script: &mut Script<'_>, census: &Census, stamp: u64) -> Vec<Held<'p>> {
    match one {
        Held::Batch(batch, stamps) if script.below(2) == 0 => {
            let leases = batch.into_leases().into_iter().zip(stamps);
            leases
                .map(|(lease, stamp)| Held::Lease(lease, stamp))
                .collect()
        }
        Held::Vacant(vacant) => match script.below(3) {
            0 => vec![Held::Lease(vacant.fill(census.track(stamp)), stamp)],
            1 => {
                assert!(vacant.try_fill_with(|| Err::<Tracked, ()>(())).is_err());
                Vec::new()
            }
            _ => Vec::new(),
        },
        Held::Lease(lease, was) if script.below(2) == 0 => {
            assert_eq!(lease.into_inner().stamp(), was);
            Vec::new()
        }
        Held::Lease(lease, was) if script.below(2) == 0 => {
            let seen = lease.coerce(|value| value as &mut (dyn std::any::Any + Send));
            assert_eq!(
                seen.downcast_ref::<Tracked>().map(Tracked::stamp),
                Some(was)
            );
            Vec::new()
        }
        Held::Boxed(boxed, was) if script.below(2) == 0 => {
            assert_eq!(BoxIn::into_inner(boxed).stamp(), was);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Objects that know when they were made, and are refused at odd times.
struct Fickle<'c> {
    census: &'c Census,
    made: Cell<u64>,
    mood: Cell<usize>,
    evicted: Cell<u64>,
}

impl Recycle<(Tracked, u64)> for &Fickle<'_> {
    fn construct(&self) -> (Tracked, u64) {
        self.made.set(self.made.get() + 1);
        (self.census.track(self.made.get()), 0)
    }

    fn recycle(&self, object: &mut (Tracked, u64)) -> Verdict {
        object.1 = 0;
        match self.mood.get() % 4 {
            0 => Verdict::Evict,
            _ => Verdict::Keep,
        }
    }

    fn is_valid(&self, object: &mut (Tracked, u64)) -> bool {
        assert_eq!(object.1, 0, "it was recycled");
        self.mood.get() % 5 != 0
    }

    fn evicted(&self, object: (Tracked, u64), _: Eviction) {
        self.evicted.set(self.evicted.get() + 1);
        drop(object);
    }
}

fn objects(script: &mut Script<'_>) {
    let census = Census::new();
    let recycle = Fickle {
        census: &census,
        made: Cell::new(0),
        mood: Cell::new(1),
        evicted: Cell::new(0),
    };
    let (builder, capacity, extra) = built(script);
    let pool: ObjectPool<(Tracked, u64), _> = builder.build_objects(&recycle);
    let mut held: Vec<ObjectLease<'_, _, _>> = Vec::new();
    let mut taken = 0;
    while !script.0.is_empty() {
        recycle.mood.set(script.next());
        match script.below(9) {
            0..=2 => held.extend(pool.try_acquire().ok()),
            3 => held.extend(pool.acquire().ok()),
            4 => {
                let _ = pool.trim(script.level());
            }
            5 => {
                let count = script.below(30);
                // A capacity that adapts may change meanwhile.
                assert!(pool.warm_up(count) <= count);
            }
            6 if !held.is_empty() => {
                let (object, _) = held.swap_remove(script.below(held.len())).into_inner();
                taken += 1;
                drop(object);
            }
            _ if !held.is_empty() => drop(held.swap_remove(script.below(held.len()))),
            _ => (),
        }
        for lease in &mut held {
            lease.1 += 1;
        }
        let stats = pool.stats();
        assert_eq!(stats.in_use + stats.fallback_in_use, held.len());
        assert!(held.len() <= capacity.saturating_add(extra));
        assert!(census.alive() <= stats.created + stats.fallback_in_use);
        let ended = recycle.evicted.get() + taken;
        assert_eq!(recycle.made.get() - ended, census.alive() as u64);
    }
    drop(held);
    drop(pool);
    assert_eq!(recycle.made.get(), recycle.evicted.get() + taken);
    census.assert_each_dropped_once();
}

fn ids(script: &mut Script<'_>) {
    let census = Census::new();
    let capacity = script.below(200);
    let mut pool = IdPool::<Tracked>::new(capacity);
    let mut live: HashMap<Id<Tracked>, u64> = HashMap::new();
    let mut all: Vec<Id<Tracked>> = Vec::new();
    let mut stamp = 0;
    while !script.0.is_empty() {
        stamp += 1;
        let some = match all.len() {
            0 => None,
            len => Some(all[(script.next() * 256 + script.next()) % len]),
        };
        match (script.below(10), some) {
            (0..=3, _) => match pool.try_insert(census.track(stamp)) {
                Ok(id) => {
                    assert_eq!(live.insert(id, stamp), None, "ids are new");
                    all.push(id);
                }
                Err(refused) => {
                    assert_eq!(refused.into_value().stamp(), stamp);
                    // Forgotten pins keep the slots of what was released.
                    assert_eq!(census.alive(), capacity);
                }
            },
            (4, Some(id)) => {
                let removed = pool.remove(id).map(|value| value.stamp());
                assert_eq!(removed, live.remove(&id));
            }
            (5, Some(id)) => {
                let pinned = pool.pin(id);
                assert_eq!(pool.release(id), pinned.is_some());
                assert!(pool.pin(id).is_none());
                assert_eq!(pinned.map(|value| value.stamp()), live.remove(&id));
            }
            (6, Some(id)) => std::mem::forget(pool.pin(id)),
            (7, Some(id)) => {
                let value = pool.get_mut(id).map(|value| value.stamp());
                assert_eq!(value, live.get(&id).copied());
            }
            (8, _) => match script.below(8) {
                0 => {
                    pool.clear();
                    live.clear();
                }
                _ => {
                    let _ = pool.trim(script.level());
                }
            },
            _ => assert!(pool.warm_up(script.below(40)) <= capacity),
        }
        let view = pool.view();
        if let Some(id) = some {
            assert_eq!(view.get(id).map(Tracked::stamp), live.get(&id).copied());
        }
        let named = Id::<Tracked>::from_bits((stamp | 1) << 32 | (stamp % 512));
        if let Some(id) = named {
            assert_eq!(view.get(id).is_some(), live.contains_key(&id), "forged");
        }
        assert_eq!(view.iter().count(), live.len());
        assert!(census.alive() >= live.len(), "forgotten pins keep values");
    }
    drop(pool);
    census.assert_each_dropped_once();
}
