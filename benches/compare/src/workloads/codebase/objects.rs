//! Objects of the database, one at a time and many: time, bytes, and what churn does.

use super::super::{Bout, HEAP, POOLED};
use anyhow::Result;
use millpond::Observe;
use millpond_bench::chapter::{RowSpec, Section, Unit};
use millpond_bench::stats::Random;
use millpond_bench::worker::{Measurement, Request};
use millpond_bench::{clock, counting, resident};
use millpond_fixed::FixedPool;
use millpond_workloads::codebase::memory::Hold;
use millpond_workloads::codebase::{Heap, Memory, Pooled};
use std::hint::black_box;

pub const OBJECT: &str = "object";
pub const MANY: &str = "object-many";
pub const WORST: &str = "object-worst";
pub const OVERHEAD: &str = "overhead";
pub const CHURN: &str = "churn";

/// Objects of a pool that names them by ids of 8 bytes.
pub const IDS: &str = "millpond ids";
/// The object alone: 48 bytes written where there is a place for them.
pub const PLACE: &str = "in a place that is there";
/// What pools say that they hold, beside what the system says.
pub const HELD: &str = "millpond pooled, held by the pools";
/// Contenders among a hundred times as many objects.
pub const AMONG_MANY: [&str; 2] = ["heap, among 100,000", "millpond pooled, among 100,000"];

pub const TIMES: [RowSpec; 3] = [
    RowSpec::time(
        OBJECT,
        "object, made and dropped",
        "48 bytes, as nodes of the graph are",
    ),
    RowSpec::time(
        MANY,
        "object among many, dropped and made again",
        "64 of 1,000 that are live, or of 100,000, in one random order after another; each",
    ),
    RowSpec::new(
        WORST,
        "object, the slowest of 40,000 operations",
        "20,000 acquires from an empty pool, which grows meanwhile, and as many releases, each timed; of five times each operation's least, so that what interrupts it is left out",
        Unit::Nanos,
        Section::Latency,
    ),
];

pub const SPACES: [RowSpec; 2] = [
    RowSpec::space(
        OVERHEAD,
        "resident overhead of an object",
        "200,000 objects of 48 bytes, as nodes of the graph are; anonymous resident bytes each beyond those 48, the pointer to it included",
        Unit::Bytes,
    ),
    RowSpec::space(
        CHURN,
        "growth by churn, of the bytes that are live",
        "10,000 objects each of 48, 144 and 272 bytes; 20 times half of each, drawn at random, are dropped in a random order and made again in another; anonymous resident bytes, where nothing else is said",
        Unit::Ratio,
    ),
];

/// An object of the size of a node.
type Object = [u64; 6];

/// Times of one object, in both modes: alone, among many, and at worst.
pub fn object(request: &Request) -> Result<Vec<Measurement>> {
    let memory = Pooled::new();
    let pool = memory.pool::<Object>("objects", 10_000);
    let mut bout = Bout::new(request);
    let mut place = Object::default();
    bout.add(HEAP, || drop(black_box(Heap.hold(black_box([7; 6])))));
    bout.add(POOLED, || drop(black_box(pool.hold(black_box([7; 6])))));
    bout.add(PLACE, || {
        place = black_box([7; 6]);
        black_box(&raw mut place);
    });
    let mut measured = bout.run(OBJECT, 1.0);
    measured.extend(among_many(request));
    measured.push(Measurement::new(WORST, HEAP, vec![worst(|| Heap)]));
    let fresh = || Pooled::new().pool::<Object>("objects", 1_000);
    measured.push(Measurement::new(WORST, POOLED, vec![worst(fresh)]));
    Ok(measured)
}

fn among_many(request: &Request) -> Vec<Measurement> {
    const FEW: usize = 1_000;
    const MANY_OBJECTS: usize = 100 * FEW;
    let memory = Pooled::new();
    let pool = |capacity| memory.pool::<Object>("objects", capacity);
    let (mut few, mut many) = (Crowd::of(Heap, FEW), Crowd::of(Heap, MANY_OBJECTS));
    let mut pooled_few = Crowd::of(pool(FEW), FEW);
    let mut pooled_many = Crowd::of(pool(MANY_OBJECTS), MANY_OBJECTS);
    let mut bout = Bout::new(request);
    bout.add(HEAP, || few.replace());
    bout.add(AMONG_MANY[0], || many.replace());
    bout.add(POOLED, || pooled_few.replace());
    bout.add(AMONG_MANY[1], || pooled_many.replace());
    bout.run(MANY, 1.0 / REPLACED as f64)
}

/// Objects of a crowd that are dropped and made again at once. The same ones each
/// time, so that they stay in the processor's cache however many others there are.
const REPLACED: usize = 64;

/// Many live objects, of which some are replaced.
struct Crowd<P: Hold<Object>> {
    pool: P,
    held: Vec<Option<P::Held>>,
    orders: Vec<[usize; REPLACED]>,
    turn: usize,
}

impl<P: Hold<Object>> Crowd<P> {
    fn of(pool: P, objects: usize) -> Self {
        let held = (0..objects as u64).map(|n| Some(pool.hold([n; 6])));
        let held = held.collect();
        let (mut random, each) = (Random::new(64), objects / REPLACED);
        let mut order: [usize; REPLACED] = std::array::from_fn(|place| place * each);
        let orders = (0..64).map(|_| {
            random.shuffle(&mut order);
            order
        });
        let orders = orders.collect();
        Self {
            pool,
            held,
            orders,
            turn: 0,
        }
    }

    fn replace(&mut self) {
        let order = &self.orders[self.turn % self.orders.len()];
        self.turn += 1;
        for place in order {
            self.held[*place] = None;
        }
        for place in order {
            self.held[*place] = Some(self.pool.hold(black_box([7; 6])));
        }
    }
}

/// Nanoseconds of the slowest operation while objects are made and then dropped in
/// another order.
///
/// The same operations are carried out several times, each time from the beginning,
/// and the least of each counts: slow by itself is what is slow every time.
fn worst<P: Hold<Object>>(fresh: impl Fn() -> P) -> f64 {
    const OBJECTS: usize = 20_000;
    let mut order: Vec<usize> = (0..OBJECTS).collect();
    Random::new(OBJECTS as u64).shuffle(&mut order);
    let mut least = vec![u64::MAX; 2 * OBJECTS];
    let mut held = Vec::new();
    held.resize_with(OBJECTS, || None);
    for _ in 0..5 {
        let pool = fresh();
        let (made, dropped) = least.split_at_mut(OBJECTS);
        for (place, least) in held.iter_mut().zip(made) {
            let began = clock::start();
            *place = Some(pool.hold(black_box([7; 6])));
            *least = clock::stop().wrapping_sub(began).min(*least);
        }
        for (place, least) in order.iter().zip(dropped) {
            let began = clock::start();
            held[*place] = None;
            *least = clock::stop().wrapping_sub(began).min(*least);
        }
    }
    let slowest = least.into_iter().max().unwrap_or(u64::MAX);
    slowest as f64 * clock::nanos_per_tick()
}

/// Resident bytes beyond its own of one object among many, in the mode that the request
/// names.
pub fn overhead(request: &Request) -> Result<Vec<Measurement>> {
    const OBJECTS: u64 = 200_000;
    /// Of what `hold` returns with the names of so many objects.
    fn beyond<T>(hold: impl FnOnce() -> T) -> Option<f64> {
        let before = resident::anonymous_bytes()?;
        let held = hold();
        let after = resident::anonymous_bytes()?;
        drop(held);
        let bytes = after.saturating_sub(before) as f64 / OBJECTS as f64;
        Some(bytes - size_of::<Object>() as f64)
    }
    fn each<M: Memory>(memory: &M) -> Option<f64> {
        beyond(|| {
            let pool = memory.pool::<Object>("objects", 10_000);
            let held: Vec<_> = (0..OBJECTS).map(|n| pool.hold([n; 6])).collect();
            (held, pool)
        })
    }
    fn each_id() -> Option<f64> {
        beyond(|| {
            let pool = FixedPool::<Object>::builder(OBJECTS as usize).build_ids();
            let ids: Vec<_> = (0..OBJECTS)
                .map_while(|n| pool.insert([n; 6]).ok())
                .collect();
            (ids, pool)
        })
    }
    counting::pause();
    let row = |who: &str, bytes: Option<f64>| {
        Measurement::new(OVERHEAD, who, bytes.into_iter().collect())
    };
    if request.contender != POOLED {
        return Ok(vec![row(&request.contender, each(&Heap))]);
    }
    let leased = each(&Pooled::new());
    Ok(vec![row(POOLED, leased), row(IDS, each_id())])
}

/// By how much memory grows while objects of three sizes come and go and their
/// numbers stay, in the mode that the request names.
pub fn churn(request: &Request) -> Result<Vec<Measurement>> {
    counting::pause();
    let row =
        |who: &str, growth: Option<f64>| Measurement::new(CHURN, who, growth.into_iter().collect());
    if request.contender != POOLED {
        let [resident, _] = grown(&Heap, || 0);
        return Ok(vec![row(&request.contender, resident)]);
    }
    let memory = Pooled::new();
    let [resident, held] = grown(&memory, || {
        let pools = memory.pools();
        let bytes = |pool: &dyn Observe| {
            let seen = pool.observe();
            (seen.held_bytes + seen.wasted_bytes + seen.machinery_bytes) as u64
        };
        pools.iter().map(|pool| bytes(&**pool)).sum()
    });
    Ok(vec![row(POOLED, resident), row(HELD, held)])
}

/// Growth of resident bytes, and of what `held` answers, by 20 generations, as shares
/// of the bytes that are live.
fn grown<M: Memory>(memory: &M, held: impl Fn() -> u64) -> [Option<f64>; 2] {
    const OBJECTS: usize = 10_000;
    let mut small = Flock::<[u64; 6], _>::of(memory, OBJECTS);
    let mut middle = Flock::<[u64; 18], _>::of(memory, OBJECTS);
    let mut large = Flock::<[u64; 34], _>::of(memory, OBJECTS);
    let live = (OBJECTS * 8 * (6 + 18 + 34)) as f64;
    let mut orders = [0, 1, 2].map(|flock| (0..OBJECTS).map(|n| (flock, n)).collect::<Vec<_>>());
    let mut chosen = Vec::with_capacity(3 * OBJECTS / 2);
    let mut random = Random::new(20);
    let mut generation = || {
        chosen.clear();
        for order in &mut orders {
            random.shuffle(order);
            chosen.extend_from_slice(&order[..OBJECTS / 2]);
        }
        let mut each = |&(flock, place): &(usize, usize), made: bool| match flock {
            0 => small.set(place, made),
            1 => middle.set(place, made),
            _ => large.set(place, made),
        };
        for made in [false, true] {
            random.shuffle(&mut chosen);
            chosen.iter().for_each(|object| each(object, made));
        }
    };
    // The first one finds its way: what is made once belongs to the beginning.
    generation();
    let before = [resident::anonymous_bytes(), Some(held())];
    (0..20).for_each(|_| generation());
    let after = [resident::anonymous_bytes(), Some(held())];
    std::array::from_fn(|index| Some((after[index]? as f64 - before[index]? as f64) / live))
}

/// Objects of one type, each in its place or gone.
struct Flock<T, P: Hold<T>> {
    pool: P,
    held: Vec<Option<P::Held>>,
    _objects: std::marker::PhantomData<T>,
}

impl<const N: usize, P: Hold<[u64; N]>> Flock<[u64; N], P> {
    fn of<M: Memory<Pool<[u64; N]> = P>>(memory: &M, objects: usize) -> Self {
        let pool = memory.pool::<[u64; N]>("objects", objects);
        let held = (0..objects).map(|_| Some(pool.hold([1; N]))).collect();
        Self {
            pool,
            held,
            _objects: std::marker::PhantomData,
        }
    }

    fn set(&mut self, place: usize, made: bool) {
        self.held[place] = made.then(|| self.pool.hold(black_box([1; N])));
    }
}
