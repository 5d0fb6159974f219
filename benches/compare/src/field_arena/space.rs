//! Space: what stays after a balloon, and heap allocations in steady state.

use super::requests::{BYTES, fill};
use super::{MUTEX, NEW, OURS, rows};
use bumpalo::Bump;
use millpond_arena::{ArenaManager, Level, Scope, ScopeConfig};
use millpond_bench::worker::{Measurement, Request};
use millpond_bench::{counting, pin, resident};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who is asked for a balloon.
pub const CONTENDERS: [&str; 3] = [OURS, MUTEX, NEW];

/// Bytes of the one request that is far larger than the others.
const BALLOON: usize = 64 << 20;

/// Requests before and after it.
const ORDINARY: usize = 1000;

/// Ticks without a request.
const TICKS: usize = 16;

/// What can be asked of both.
trait Arenas {
    fn ordinary(&mut self);
    /// Fills a balloon, and looks several times, at last when all of it is
    /// written.
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
        for nth in 0..BALLOON / 4096 {
            arena.alloc([1u8; 4096]).expect("room");
            if is_an_instant(nth) {
                look();
            }
        }
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
        for nth in 0..BALLOON / 4096 {
            arena.alloc([1u8; 4096]);
            if is_an_instant(nth) {
                look();
            }
        }
        arena.reset();
        self.0.push(arena);
    }
}

/// No pool: each request has an arena of its own.
struct Fresh;

impl Arenas for Fresh {
    fn ordinary(&mut self) {
        let arena = Bump::with_capacity(BYTES);
        fill(|layout| arena.alloc_layout(layout));
    }

    fn balloon(&mut self, look: &mut dyn FnMut()) {
        let arena = Bump::with_capacity(BYTES);
        for nth in 0..BALLOON / 4096 {
            arena.alloc([1u8; 4096]);
            if is_an_instant(nth) {
                look();
            }
        }
    }
}

/// Whether to look while a balloon grows: four times.
fn is_an_instant(nth: usize) -> bool {
    (nth + 1).is_multiple_of(BALLOON / 4096 / 4)
}

/// Resident memory over the time of a balloon, in a process of its own.
pub fn balloon(request: &Request) -> Vec<Measurement> {
    let mut config = ScopeConfig::of(BYTES);
    config.limit_bytes = Some(4 * BALLOON);
    let mut arenas: Box<dyn Arenas> = match request.contender.as_str() {
        OURS => {
            let mut builder = ArenaManager::builder();
            builder.configure(Scope::Primitive, config);
            Box::new(Ours(builder.build().expect("figures that agree")))
        }
        NEW => Box::new(Fresh),
        _ => Box::new(Mutexed(Vec::new())),
    };
    let mut course = Course(Vec::new());
    let mut ends = Vec::new();
    let quarter = |arenas: &mut dyn Arenas, course: &mut Course| {
        (0..ORDINARY / 4).for_each(|_| arenas.ordinary());
        course.look();
    };
    (0..4).for_each(|_| quarter(&mut *arenas, &mut course));
    ends.push(course.0.len());
    arenas.balloon(&mut || course.look());
    ends.push(course.0.len());
    course.look();
    ends.push(course.0.len());
    (0..4).for_each(|_| quarter(&mut *arenas, &mut course));
    for _ in 0..TICKS / 2 {
        (0..2).for_each(|_| arenas.tick());
        course.look();
    }
    ends.push(course.0.len());
    arenas.trim();
    course.look();
    ends.push(course.0.len());

    let measured = |row: &str, values| Measurement::new(row, &request.contender, values);
    let mut all = Vec::new();
    for ((row, _), end) in rows::BALLOON.into_iter().zip(ends) {
        let last = end.checked_sub(1).and_then(|last| course.0.get(last));
        all.extend(last.map(|&figure| measured(row, vec![figure])));
    }
    // Instants of one process are drawn, not those of several in one line.
    if request.count == 1 {
        all.push(measured(rows::COURSE, course.0));
    }
    all
}

/// Mebibytes of resident memory, instant after instant; nothing where the system
/// does not say.
struct Course(Vec<f64>);

impl Course {
    fn look(&mut self) {
        let mebibytes = resident::anonymous_bytes().map(|bytes| bytes as f64 / f64::from(1 << 20));
        self.0.extend(mebibytes);
    }
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
