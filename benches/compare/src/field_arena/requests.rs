//! Leases and requests: the loops that the bars are about.

use super::{MUTEX, NEW, OURS, RESET, rows};
use crate::kernels;
use blink_alloc::BlinkAlloc;
use bump_scope::BumpPool;
use bump_scope::traits::BumpAllocatorTyped;
use bumpalo::Bump;
use millpond_arena::{ArenaManager, Scope};
use millpond_bench::runner::{ARITHMETIC, Contest, Schedule, Timed};
use millpond_bench::stats::per_round;
use millpond_bench::worker::Measurement;
use std::alloc::{GlobalAlloc, Layout, System};
use std::arch::asm;
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A pool of arenas of the field's own.
const BUMP_POOL: &str = "bump-scope BumpPool";

/// Bytes of an arena of the contenders that are told: ours is 256 KiB.
pub const BYTES: usize = 256 << 10;

/// What a request allocates, ten times over: words, of the sizes of common types.
const WORDS: [usize; 10] = [1, 6, 2, 16, 3, 32, 4, 12, 8, 24];

/// Allocations of a request.
const COUNT: usize = 10 * WORDS.len();

/// Writes a word into each of 100 allocations of 8 to 256 bytes: `$allocate`, in
/// which `$len` is how many words.
macro_rules! hundred {
    ($len:ident => $allocate:expr) => {
        for _ in 0..10 {
            hundred!($len => $allocate; 0 1 2 3 4 5 6 7 8 9);
        }
    };
    ($len:ident => $allocate:expr; $($nth:literal)*) => {$({
        const $len: usize = WORDS[$nth];
        let block: NonNull<u8> = $allocate;
        // SAFETY: at least 8 bytes of the request's own, aligned to 8.
        unsafe { block.cast::<u64>().write(1) };
        seen(block);
    })*};
}

/// A request whose layouts are constants, as they are where a program allocates
/// values of its types.
#[inline(always)]
pub fn fill(mut allocate: impl FnMut(Layout) -> NonNull<u8>) {
    hundred!(LEN => allocate(const { Layout::new::<[u64; LEN]>() }));
}

/// A request whose layouts are known when it runs, as they are where a program
/// copies strings and slices.
#[inline(always)]
fn fill_any(layouts: &[Layout], mut allocate: impl FnMut(Layout) -> NonNull<u8>) {
    for &layout in black_box(layouts) {
        let block = allocate(layout);
        // SAFETY: at least 8 bytes of the request's own, aligned to 8.
        unsafe { block.cast::<u64>().write(1) };
        seen(block);
    }
}

/// Makes the compiler believe that somebody looks at a block and at all memory, with
/// no instruction.
///
/// `black_box` stores the pointer before it shows it. Beside the arena's own pointer
/// and the word that a request writes, that was a third store for each allocation; a
/// core retires one store a cycle, and so a third of each request was the store.
#[inline(always)]
fn seen(block: NonNull<u8>) {
    // SAFETY: a comment, which touches nothing.
    unsafe {
        asm!("/* {} */", in(reg) block.as_ptr(), options(nostack, preserves_flags));
    }
}

/// The layout of allocation number `nth`.
fn layout_of(nth: usize) -> Layout {
    Layout::array::<u64>(WORDS[nth % WORDS.len()]).expect("a small layout")
}

#[inline(never)]
fn repeat(iterations: u64, mut one: impl FnMut()) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        one();
    }
    began.elapsed()
}

fn bump() -> Bump {
    Bump::with_capacity(BYTES)
}

/// The pool that people write around bumpalo.
struct Mutexed(Mutex<Vec<Bump>>);

impl Mutexed {
    fn new() -> Self {
        Self(Mutex::new((0..4).map(|_| bump()).collect()))
    }

    #[inline(always)]
    fn with(&self, work: impl FnOnce(&Bump)) {
        let popped = self.0.lock().expect("not poisoned").pop();
        let mut arena = popped.unwrap_or_else(bump);
        work(&arena);
        arena.reset();
        self.0.lock().expect("not poisoned").push(arena);
    }
}

pub fn leases() -> Contest<'static> {
    let mut contest = Contest::new();
    let manager = ArenaManager::new();
    contest.add(OURS, move |n| lease(n, &manager));
    let pool = Mutexed::new();
    contest.add(MUTEX, move |n| {
        repeat(n, || {
            pool.with(|arena| {
                black_box(arena);
            });
        })
    });
    let pool = ScopePool::new();
    contest.add(BUMP_POOL, move |n| {
        repeat(n, || {
            black_box(&pool.get());
        })
    });
    contest
}

#[inline(never)]
fn lease(iterations: u64, manager: &ArenaManager) -> Duration {
    repeat(iterations, || {
        let lease = manager.lease(Scope::Primitive).expect("memory");
        black_box(&lease);
    })
}

#[inline(never)]
fn leased(iterations: u64, manager: &ArenaManager) -> Duration {
    repeat(iterations, || {
        let lease = manager.lease(Scope::Primitive).expect("memory");
        fill(|layout| lease.alloc_layout(layout).expect("room"));
    })
}

#[inline(never)]
fn mutexed(iterations: u64, pool: &Mutexed) -> Duration {
    repeat(iterations, || {
        pool.with(|arena| fill(|layout| arena.alloc_layout(layout)));
    })
}

type ScopePool = BumpPool<bump_scope::alloc::Global>;

/// Its arenas are reset when all of them are at home; a scope inside of one ends with
/// the request.
#[inline(never)]
fn scoped(iterations: u64, pool: &ScopePool) -> Duration {
    repeat(iterations, || {
        let mut arena = pool.get_with_size(BYTES);
        arena.scoped(|arena| fill(|layout| arena.allocate_layout(layout)));
    })
}

#[inline(never)]
fn heap<A: GlobalAlloc>(iterations: u64, allocator: &A) -> Duration {
    let mut blocks = [NonNull::dangling(); COUNT];
    repeat(iterations, || {
        let mut next = blocks.iter_mut();
        fill(|layout| {
            // SAFETY: the size is at least 8.
            let block = NonNull::new(unsafe { allocator.alloc(layout) }).expect("memory");
            *next.next().expect("as many as sizes") = block;
            block
        });
        for (nth, block) in blocks.iter().enumerate() {
            // SAFETY: allocated above with this layout.
            unsafe { allocator.dealloc(block.as_ptr(), layout_of(nth)) };
        }
    })
}

/// Arenas that are no pool, reset in place.
fn on_arenas(contest: &mut Contest<'static>) {
    let mut arena: bump_scope::Bump = bump_scope::Bump::with_size(BYTES);
    contest.add("bump-scope, reset in place", move |n| {
        repeat(n, || {
            fill(|layout| arena.allocate_layout(layout));
            arena.reset();
        })
    });
    let mut arena = BlinkAlloc::new();
    contest.add("blink-alloc, reset in place", move |n| {
        repeat(n, || {
            fill(|layout| arena.allocate(layout).expect("memory").cast());
            arena.reset();
        })
    });
    let mut arena = stumpalo::Arena::with_capacity(BYTES);
    contest.add("stumpalo, cleared in place", move |n| {
        repeat(n, || {
            fill(|layout| arena.alloc_layout(layout));
            arena.clear();
        })
    });
    let mut arena = multitude::Arena::new();
    contest.add("multitude, reset in place", move |n| {
        repeat(n, || {
            hundred!(LEN => NonNull::from(&mut *arena.alloc_uninit::<[u64; LEN]>()).cast());
            arena.reset();
        })
    });
}

/// Requests whose layouts are known when they run.
pub fn any_requests() -> Contest<'static> {
    let layouts: [Layout; COUNT] = std::array::from_fn(layout_of);
    let mut contest = Contest::new();
    let manager = ArenaManager::new();
    contest.add(OURS, move |n| {
        repeat(n, || {
            let lease = manager.lease(Scope::Primitive).expect("memory");
            fill_any(&layouts, |layout| lease.alloc_layout(layout).expect("room"));
        })
    });
    let mut arena = bump();
    contest.add(RESET, move |n| {
        repeat(n, || {
            fill_any(&layouts, |layout| arena.alloc_layout(layout));
            arena.reset();
        })
    });
    let pool = Mutexed::new();
    contest.add(MUTEX, move |n| {
        repeat(n, || {
            pool.with(|arena| fill_any(&layouts, |layout| arena.alloc_layout(layout)));
        })
    });
    contest.add(NEW, move |n| {
        repeat(n, || {
            let arena = bump();
            fill_any(&layouts, |layout| arena.alloc_layout(layout));
        })
    });
    let mut arena = stumpalo::Arena::with_capacity(BYTES);
    contest.add("stumpalo, cleared in place", move |n| {
        repeat(n, || {
            fill_any(&layouts, |layout| arena.alloc_layout(layout));
            arena.clear();
        })
    });
    contest
}

pub fn requests() -> Contest<'static> {
    let mut contest = Contest::new();
    let manager = ArenaManager::new();
    contest.add(OURS, move |n| leased(n, &manager));
    let mut arena = bump();
    contest.add(RESET, move |n| {
        repeat(n, || {
            fill(|layout| arena.alloc_layout(layout));
            arena.reset();
        })
    });
    let pool = Mutexed::new();
    contest.add(MUTEX, move |n| mutexed(n, &pool));
    let pool = ScopePool::new();
    contest.add(BUMP_POOL, move |n| scoped(n, &pool));
    contest.add(NEW, move |n| {
        repeat(n, || {
            let arena = bump();
            fill(|layout| arena.alloc_layout(layout));
        })
    });
    on_arenas(&mut contest);
    contest.add("glibc", move |n| heap(n, &System));
    #[cfg(feature = "mimalloc")]
    {
        contest.add("mimalloc", move |n| heap(n, &mimalloc::MiMalloc));
    }
    #[cfg(feature = "jemalloc")]
    {
        contest.add("jemalloc", move |n| heap(n, &tikv_jemallocator::Jemalloc));
    }
    #[cfg(feature = "snmalloc")]
    {
        contest.add("snmalloc", move |n| heap(n, &snmalloc_rs::SnMalloc));
    }
    contest
}

/// Requests on two threads, and what a lease costs there beside one thread.
pub fn two_threads(schedule: Schedule) -> Vec<Measurement> {
    let mut contest = Contest::new().on_all_cores();
    on_one_and_two(&mut contest, ARITHMETIC, kernels::arithmetic);
    let manager = ArenaManager::new();
    let idle = manager.clone();
    on_one_and_two(&mut contest, OURS, move |n| lease(n, &idle));
    on_one_and_two(&mut contest, OURS, move |n| leased(n, &manager));
    let pool = Arc::new(Mutexed::new());
    on_one_and_two(&mut contest, MUTEX, move |n| mutexed(n, &pool));
    let pool = Arc::new(ScopePool::new());
    on_one_and_two(&mut contest, BUMP_POOL, move |n| scoped(n, &pool));
    let timed = contest.run(schedule);
    let ratio = |place: usize| {
        let (alone, both) = (&timed[2 * place].nanos, &timed[2 * place + 1].nanos);
        per_round(both, alone, |both, alone| both / alone)
    };
    let machine = ratio(0);
    let scaling = per_round(&ratio(1), &machine, |ours, machine| ours / machine);
    let both = |place: usize| -> &Timed { &timed[2 * place + 1] };
    vec![
        Measurement::new(rows::SCALING, ARITHMETIC, machine),
        Measurement::new(rows::SCALING, OURS, scaling),
        Measurement::new(rows::TWO_THREADS, OURS, both(2).nanos.clone()),
        Measurement::new(rows::TWO_THREADS, MUTEX, both(3).nanos.clone()),
        Measurement::new(rows::TWO_THREADS, BUMP_POOL, both(4).nanos.clone()),
    ]
}

fn on_one_and_two(
    contest: &mut Contest<'static>,
    name: &str,
    work: impl Fn(u64) -> Duration + Sync + Clone + 'static,
) {
    let alone = work.clone();
    contest.add(name, move |n| kernels::on_threads(1, n, &alone));
    contest.add(name, move |n| kernels::on_threads(2, n, &work));
}
