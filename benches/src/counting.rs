//! A global allocator that counts, for the promise "no heap allocation in steady state".
//!
//! ```
//! use millpond_bench::counting::{Counting, allocations};
//! #[global_allocator]
//! static HEAP: Counting<std::alloc::System> = Counting::new(std::alloc::System);
//!
//! let before = allocations();
//! drop(Box::new([0_u8; 64]));
//! assert!(allocations() > before);
//! ```
//!
//! The counter is shared by all threads and costs a few nanoseconds for each
//! allocation: contenders on the system allocator call it directly, not through
//! this.

use crate::pin;
use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
/// Bytes that were made and not freed since [`most_held`] began, and the most of them.
static HELD: AtomicI64 = AtomicI64::new(0);
static MOST: AtomicI64 = AtomicI64::new(0);

/// What is done beside passing requests on. Plain stores and loads: it is set
/// before there is a second thread to measure.
static EFFORT: AtomicU8 = AtomicU8::new(COUNT);

const NOTHING: u8 = 0;
const COUNT: u8 = 1;
const REPEAT: u8 = 2;

/// Stops counting: from here on an allocation, and a free, cost one predicted branch
/// more than the allocator itself, so that programs can be timed that allocate on purpose.
pub fn pause() {
    EFFORT.store(NOTHING, Ordering::Relaxed);
}

/// Counts again.
pub fn resume() {
    EFFORT.store(COUNT, Ordering::Relaxed);
}

/// Makes and frees every block a second time, and counts none: what that adds to the
/// time of a program is about what its allocations take.
pub fn repeat() {
    EFFORT.store(REPEAT, Ordering::Relaxed);
}

/// The most bytes that were allocated at once while `work` ran, beyond those before.
/// Counting is paused afterwards.
///
/// ```
/// use millpond_bench::counting::{Counting, most_held};
/// #[global_allocator]
/// static HEAP: Counting<std::alloc::System> = Counting::new(std::alloc::System);
///
/// let most = most_held(|| {
///     let kept = vec![0_u8; 1_000];
///     drop(vec![0_u8; 400]);
///     drop((kept, vec![0_u8; 600]));
/// });
/// assert_eq!(most, 1_600);
/// ```
pub fn most_held(work: impl FnOnce()) -> u64 {
    HELD.store(0, Ordering::Relaxed);
    MOST.store(0, Ordering::Relaxed);
    resume();
    work();
    pause();
    MOST.load(Ordering::Relaxed).unsigned_abs()
}

/// Bytes that were asked for since the process began, reallocations in full.
#[must_use]
pub fn bytes() -> u64 {
    BYTES.load(Ordering::Relaxed)
}

/// Counts a request, or serves it once for nothing.
#[inline(always)]
fn observe<A: GlobalAlloc>(inner: &A, layout: Layout) {
    match EFFORT.load(Ordering::Relaxed) {
        COUNT => {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
            let size = signed(layout);
            let held = HELD.fetch_add(size, Ordering::Relaxed) + size;
            MOST.fetch_max(held, Ordering::Relaxed);
        }
        REPEAT => {
            // SAFETY: the layout is that of a request, so its size is not zero.
            let block = black_box(unsafe { inner.alloc(layout) });
            if !block.is_null() {
                // SAFETY: allocated above with this layout.
                unsafe { inner.dealloc(block, layout) };
            }
        }
        _ => {}
    }
}

/// Takes note of a block that is freed.
#[inline(always)]
fn forget(layout: Layout) {
    if EFFORT.load(Ordering::Relaxed) == COUNT {
        HELD.fetch_sub(signed(layout), Ordering::Relaxed);
    }
}

/// A layout has at most `isize::MAX` bytes.
#[inline(always)]
fn signed(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

/// Allocations and reallocations since the process began, on all threads.
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Allocations while `threads` pinned threads, warmed by as much of the same, do
/// `operations` of `work` among them.
///
/// # Panics
///
/// If `work` does.
pub fn in_steady_state(threads: usize, operations: u64, work: &(impl Fn(u64) + Sync)) -> u64 {
    let meeting = Barrier::new(threads + 1);
    let share = operations / threads as u64;
    std::thread::scope(|scope| {
        for core in 0..threads {
            let meeting = &meeting;
            scope.spawn(move || {
                let _pinned = pin::to_core(core);
                work(share);
                meeting.wait();
                meeting.wait();
                work(share);
                meeting.wait();
            });
        }
        meeting.wait();
        let before = allocations();
        meeting.wait();
        meeting.wait();
        allocations() - before
    })
}

/// Passes every request on to `A` and counts it.
#[derive(Debug, Default)]
pub struct Counting<A>(A);

impl<A> Counting<A> {
    /// Counts what goes to `inner`.
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self(inner)
    }
}

// SAFETY: every method passes its arguments to `A`, which is a `GlobalAlloc`, and
// returns what `A` returned; counting neither allocates nor unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        observe(&self.0, layout);
        // SAFETY: the caller's promises are handed on.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        forget(layout);
        // SAFETY: the caller's promises are handed on.
        unsafe { self.0.dealloc(pointer, layout) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        observe(&self.0, layout);
        // SAFETY: the caller's promises are handed on.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: by the caller the new size makes a layout.
        let larger = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        forget(layout);
        observe(&self.0, larger);
        // SAFETY: the caller's promises are handed on.
        unsafe { self.0.realloc(pointer, layout, new_size) }
    }
}
