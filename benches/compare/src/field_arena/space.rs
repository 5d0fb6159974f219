//! Space: what stays after a balloon, and heap allocations in steady state.

use super::requests::{BYTES, fill};
use super::{MUTEX, OURS, rows};
use bumpalo::Bump;
use millpond_arena::{ArenaManager, Level, Scope, ScopeConfig};
use millpond_bench::worker::{Measurement, Request};
use millpond_bench::{counting, pin, resident};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who is asked for a balloon.
pub const CONTENDERS: [&str; 2] = [OURS, MUTEX];

/// Bytes of the one request that is far larger than the others.
const BALLOON: usize = 64 << 20;

/// Requests before and after it.
const ORDINARY: usize = 1000;

/// Ticks without a request.
const TICKS: usize = 16;

/// What can be asked of both.
trait Arenas {
    fn ordinary(&mut self);
    /// Holds a balloon, all of it written, while `look` runs.
    fn balloon(&mut self, look: &mut dyn FnMut());
    fn tick(&mut self) {}
    fn trim(&mut self) {}
}

struct Ours(ArenaManager);

impl Arenas for Ours {
    fn ordinary(&mut self) {
        let arena = self.0.lease(Scope::Primitive).expect("memory");
        fill(|layout| arena.alloc_layout(layout).expect("room"));
    }

    fn balloon(&mut self, look: &mut dyn FnMut()) {
        let arena = self.0.lease(Scope::Primitive).expect("memory");
        for _ in 0..BALLOON / 4096 {
            arena.alloc([1u8; 4096]).expect("room");
        }
        look();
    }

    fn tick(&mut self) {
        self.0.maintain();
    }

    fn trim(&mut self) {
        self.0.trim(Level::Full);
    }
}

struct Mutexed(Vec<Bump>);

impl Arenas for Mutexed {
    fn ordinary(&mut self) {
        let mut arena = self.0.pop().unwrap_or_else(|| Bump::with_capacity(BYTES));
        fill(|layout| arena.alloc_layout(layout));
        arena.reset();
        self.0.push(arena);
    }

    fn balloon(&mut self, look: &mut dyn FnMut()) {
        let mut arena = self.0.pop().unwrap_or_else(|| Bump::with_capacity(BYTES));
        for _ in 0..BALLOON / 4096 {
            arena.alloc([1u8; 4096]);
        }
        look();
        arena.reset();
        self.0.push(arena);
    }
}

/// Resident memory over the time of a balloon, in a process of its own.
pub fn balloon(request: &Request) -> Vec<Measurement> {
    let mut config = ScopeConfig::of(BYTES);
    config.limit_bytes = Some(4 * BALLOON);
    let mut arenas: Box<dyn Arenas> = if request.contender == OURS {
        let mut builder = ArenaManager::builder();
        builder.configure(Scope::Primitive, config);
        Box::new(Ours(builder.build().expect("figures that agree")))
    } else {
        Box::new(Mutexed(Vec::new()))
    };
    let mut measured = Vec::new();
    let mut look = |place: usize| {
        if let Some(bytes) = resident::bytes() {
            let mebibytes = bytes as f64 / f64::from(1 << 20);
            let row = rows::BALLOON[place].0;
            measured.push(Measurement::new(row, &request.contender, vec![mebibytes]));
        }
    };
    (0..ORDINARY).for_each(|_| arenas.ordinary());
    look(0);
    arenas.balloon(&mut || look(1));
    look(2);
    (0..ORDINARY).for_each(|_| arenas.ordinary());
    (0..TICKS).for_each(|_| arenas.tick());
    look(3);
    arenas.trim();
    look(4);
    measured
}

/// Heap allocations of warmed arenas, on two threads at once.
pub fn allocations() -> Vec<Measurement> {
    let manager = ArenaManager::new();
    let pool = Mutex::new(Vec::<Bump>::new());
    let ours = counted(|| {
        let arena = manager.lease(Scope::Primitive).expect("memory");
        fill(|layout| arena.alloc_layout(layout).expect("room"));
    });
    let mutexed = counted(|| {
        let popped = pool.lock().expect("not poisoned").pop();
        let mut arena = popped.unwrap_or_else(|| Bump::with_capacity(BYTES));
        fill(|layout| arena.alloc_layout(layout));
        arena.reset();
        pool.lock().expect("not poisoned").push(arena);
    });
    vec![
        Measurement::new(rows::ALLOCATIONS, OURS, vec![ours as f64]),
        Measurement::new(rows::ALLOCATIONS, MUTEX, vec![mutexed as f64]),
    ]
}

fn counted(one: impl Fn() + Sync) -> u64 {
    const REQUESTS: usize = 50_000;
    let threads = pin::core_count().min(2);
    let barrier = std::sync::Barrier::new(threads);
    let total = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                (0..1000).for_each(|_| one());
                barrier.wait();
                let before = counting::allocations();
                (0..REQUESTS).for_each(|_| one());
                let made = counting::allocations() - before;
                total.fetch_max(made, Ordering::Relaxed);
                barrier.wait();
            });
        }
    });
    total.into_inner()
}
