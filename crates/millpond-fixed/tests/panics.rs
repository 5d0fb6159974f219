//! What foreign code that panics leaves behind: nothing is lost, nobody waits on,
//! and every byte goes back. Wakers, hooks and suppliers of memory are foreign; values
//! and recorders have tests of their own.
#![cfg(feature = "std")]

use millpond_core::budget::Budget;
use millpond_core::diagnostics::Diagnosis;
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::event::{Event, EventHook};
use millpond_core::region::Supply;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::{RetiredSlabs, Slabs};
use millpond_core::source::{Batch, Source};
use millpond_fixed::{FixedPool, Level, LocalFixedPool};
use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

/// More than are woken at one go.
const CROWD: usize = 40;

fn panics(work: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
}

struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("waker")
    }
}

type Boxed<'f, T> = Pin<Box<dyn Future<Output = T> + 'f>>;

/// A crowd that waits, the first of whom has a waker that panics.
fn crowd<'f, T, F: Future<Output = T> + 'f>(mut wait: impl FnMut() -> F) -> Vec<Boxed<'f, T>> {
    let bad = Waker::from(Arc::new(Bad));
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let waker = if number == 0 { &bad } else { Waker::noop() };
        let mut future: Boxed<'f, T> = Box::pin(wait());
        let polled = future.as_mut().poll(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
        crowd.push(future);
    }
    crowd
}

fn answers<T>(crowd: &mut [Boxed<'_, T>]) -> Vec<T> {
    let mut context = Context::from_waker(Waker::noop());
    let polled = crowd
        .iter_mut()
        .map(|future| future.as_mut().poll(&mut context));
    polled
        .filter_map(|polled| match polled {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        })
        .collect()
}

// ---- Wakers --------------------------------------------------------------------------------

/// Once, those behind the first thirty-two waited on beside items that lay free.
#[test]
fn a_waker_that_panics_when_a_pool_grows_leaves_nobody_waiting() {
    let budget = Budget::new("all", if cfg!(miri) { 1 << 13 } else { 1 << 16 });
    let pool = FixedPool::<[u64; 8]>::builder(usize::MAX)
        .budget(&budget)
        .build();
    let mut leases = vec![pool.try_acquire([0; 8]).expect("room")];
    let ballast = budget.try_charge(budget.limit() - budget.held());
    let ballast = ballast.expect("all that is left");
    leases.extend(std::iter::from_fn(|| pool.try_acquire([0; 8]).ok()));
    let mut waiting = crowd(|| pool.acquire_async([1; 8]));
    drop(ballast);
    panics(|| drop(pool.try_acquire([2; 8])));
    let served = answers(&mut waiting);
    assert_eq!(served.iter().filter(|answer| answer.is_ok()).count(), CROWD);
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.waiting), (leases.len() + CROWD, 0));
}

/// Once, those behind the first thirty-two were never told.
#[test]
fn a_waker_that_panics_when_a_pool_closes_leaves_nobody_waiting() {
    let pool = FixedPool::new(1);
    let lease = pool.try_acquire(0).expect("free");
    let mut waiting = crowd(|| pool.acquire_async(1));
    panics(|| pool.close());
    let answers = answers(&mut waiting);
    assert_eq!(answers.len(), CROWD);
    let told = |answer: &Result<_, millpond_fixed::Refused<i32>>| {
        let refused = answer.as_ref().expect_err("closed");
        *refused.error().limit() == Limit::Closed
    };
    assert!(answers.iter().all(told));
    drop(lease);
}

/// A waker that panics when it is dropped, if that is asked for.
fn reluctant() -> (Waker, &'static AtomicBool) {
    static ARMED: AtomicBool = AtomicBool::new(false);
    fn clone(_: *const ()) -> RawWaker {
        RawWaker::new(ptr::null(), &TABLE)
    }
    fn drop(_: *const ()) {
        assert!(!ARMED.swap(false, Ordering::Relaxed), "dropped");
    }
    static TABLE: RawWakerVTable = RawWakerVTable::new(clone, |_| (), |_| (), drop);
    // SAFETY: the functions use no data, and may be called on any thread.
    (unsafe { Waker::new(ptr::null(), &TABLE) }, &ARMED)
}

/// Once, what the future had been given was lost.
#[test]
fn a_waker_that_panics_when_it_is_dropped_loses_nothing() {
    let pool = FixedPool::new(1);
    let lease = pool.try_acquire(0).expect("free");
    let (waker, armed) = reluctant();
    let mut future = Box::pin(pool.acquire_async(1));
    let mut context = Context::from_waker(&waker);
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(lease);
    armed.store(true, Ordering::Relaxed);
    panics(|| drop(future.as_mut().poll(&mut context)));
    drop(future);
    assert!(pool.try_acquire(2).is_ok());
}

type Meddle = Box<dyn FnOnce() + Send>;

/// Slabs in which something else happens while a trim is at work.
struct Meddled {
    slabs: Slabs,
    meddle: Arc<Mutex<Option<Meddle>>>,
}

impl Source for Meddled {
    type Retired = RetiredSlabs;

    fn create(&mut self, want: usize, most: usize, batch: &mut Batch) -> Result<(), Limit> {
        self.slabs.create(want, most, batch)
    }

    fn retire(&mut self, free: &mut Vec<Entry>, level: Level) -> RetiredSlabs {
        if let Some(meddle) = self.meddle.lock().expect("no panic").take() {
            std::thread::spawn(meddle).join().expect("no panic");
        }
        self.slabs.retire(free, level)
    }

    fn held_bytes(&self) -> usize {
        self.slabs.held_bytes()
    }

    fn owns(&self, entry: Entry) -> bool {
        self.slabs.owns(entry)
    }
}

/// Once, the magazines that a trim had taken out of caches were lost.
#[test]
#[cfg_attr(
    miri,
    ignore = "slabs hold two items there, and the one kept back goes"
)]
fn a_waker_that_panics_when_a_trim_serves_it_leaves_no_magazines_behind() {
    use millpond_core::engine::Engine;

    let meddle = Arc::default();
    let slabs = Slabs::new(64, 64);
    let source = Meddled {
        slabs,
        meddle: Arc::clone(&meddle),
    };
    let engine = Arc::new(SharedEngine::new(3, 64, source));
    let mut entries: Vec<Entry> = (0..3).map(|_| engine.acquire(0).expect("room")).collect();
    let give_back = |entry| {
        // SAFETY: acquired above, and given back once.
        let _home = unsafe { SharedEngine::release(Arc::as_ptr(&engine), entry) };
    };
    let before = engine.observe().machinery_bytes;
    engine.set_capacity(2);
    let mut future = Box::pin(engine.acquire_async(0));
    let bad = Waker::from(Arc::new(Bad));
    assert!(
        future
            .as_mut()
            .poll(&mut Context::from_waker(&bad))
            .is_pending()
    );
    give_back(entries.pop().expect("three"));
    let other = Arc::clone(&engine);
    let raise = move || Engine::set_capacity(&*other, 3);
    *meddle.lock().expect("no panic") = Some(Box::new(raise));
    panics(|| {
        engine.trim(Level::Full);
    });
    let Poll::Ready(Ok(entry)) = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("it was served");
    };
    drop(future);
    assert!(engine.observe().machinery_bytes < before);
    entries.push(entry);
    entries.into_iter().for_each(give_back);
}

// ---- Hooks ---------------------------------------------------------------------------------

/// A hook that panics at the events that are picked.
fn hook(picked: fn(&Event<'_>) -> bool) -> EventHook {
    EventHook::new(move |_, event| assert!(!picked(event), "hook"))
}

/// Once, the pool stayed for ever.
#[test]
fn a_pool_whose_hook_panics_at_its_end_is_freed() {
    let budget = Budget::new("all", usize::MAX);
    let pool = || {
        let pool = FixedPool::builder(100)
            .budget(&budget)
            .on_event(hook(|event| matches!(event, Event::Closed { .. })))
            .build();
        pool.into_handle()
    };
    for out in [false, true] {
        let pool = pool();
        let lease = pool.try_acquire_owned(7).expect("room");
        let lease = out.then_some(lease);
        assert!(budget.held() > 0);
        drop(pool);
        drop(lease);
        assert_eq!(budget.held(), 0, "with a lease out: {out}");
    }
}

/// Once, whoever was asked to give memory back stayed for ever.
#[test]
fn a_pool_whose_hook_panics_when_the_budget_asks_it_to_trim_is_freed() {
    let budget = Budget::new("all", 1 << 20);
    let pool = FixedPool::<u64>::builder(100)
        .budget(&budget)
        .on_event(hook(|event| matches!(event, Event::Trimmed { .. })))
        .build()
        .into_handle();
    drop(pool.try_acquire_owned(7).expect("room"));
    panics(|| drop(budget.try_charge(1 << 20)));
    drop(pool);
    assert_eq!(budget.held(), 0);
}

// ---- Suppliers -----------------------------------------------------------------------------

/// Panics when it is asked for the block of this number.
struct Moody {
    asked: AtomicUsize,
    panics_at: usize,
}

impl Moody {
    fn at(panics_at: usize) -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicUsize::new(0),
            panics_at,
        })
    }
}

// SAFETY: blocks are the system allocator's.
unsafe impl Supply for Moody {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(number != self.panics_at, "supplier");
        // SAFETY: regions that are supplied are not empty.
        NonNull::new(unsafe { System.alloc(layout) })
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: by the caller, allocated above with this layout.
        unsafe { System.dealloc(block.as_ptr(), layout) };
    }
}

/// Once, what had been charged for the memory stayed charged.
#[test]
fn a_supplier_that_panics_leaves_nothing_charged() {
    let budget = Budget::new("all", usize::MAX);
    let builder = || {
        let builder = FixedPool::<u64>::builder(100);
        builder.budget(&budget).supplier(Moody::at(0))
    };
    let pool = builder().build();
    // The thread's cache and table are charged once, and stay.
    pool.set_diagnosis(Diagnosis::Off);
    panics(|| drop(pool.try_acquire(1)));
    let (held, machinery) = (budget.held(), pool.stats().machinery_bytes);
    assert_eq!(held, machinery);
    panics(|| drop(builder().build_ids().try_insert(1)));
    assert_eq!(budget.held(), held);
    let lease = pool.try_acquire(2).expect("the second block is had");
    drop(lease);
    pool.trim(Level::Full);
    drop(pool);
    assert_eq!(budget.held(), 0);
}

/// Once, the slots that had been carved before were lost.
#[test]
#[cfg_attr(miri, ignore = "chunks are as short as batches there")]
fn a_supplier_that_panics_at_a_later_chunk_loses_no_slots() {
    let mut pool = FixedPool::<u64>::builder(100)
        .supplier(Moody::at(1))
        .build_ids();
    pool.set_capacity(1000);
    let mut ids = Vec::new();
    let full = loop {
        match catch_unwind(AssertUnwindSafe(|| pool.try_insert(0))) {
            Ok(Ok(id)) => ids.push(id),
            Ok(Err(refused)) => break refused.error().limit().clone(),
            Err(_) => assert_eq!(ids.len() % 64, 0, "what was there comes first"),
        }
    };
    assert_eq!((full, ids.len()), (Limit::Capacity, 1000));
    for id in ids {
        pool.remove(id);
    }
    pool.trim(Level::Full);
    assert_eq!(pool.stats().held_bytes, 0);
}

/// Comes back to the pool that it supplies.
struct Returning {
    pool: AtomicPtr<LocalFixedPool<u64>>,
    refusals: AtomicUsize,
}

// SAFETY: blocks are the system allocator's.
unsafe impl Supply for Returning {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let pool = self.pool.load(Ordering::Relaxed);
        // SAFETY: set below to a pool that lives, on the thread that asks.
        let pool = unsafe { &*pool };
        let refused = pool.try_acquire(0).expect_err("it is at work");
        assert!(matches!(refused.error().limit(), Limit::Memory { .. }));
        self.refusals.fetch_add(1, Ordering::Relaxed);
        assert_eq!(pool.trim(Level::Full).freed_items, 0);
        assert_eq!(pool.stats().held_bytes, 0);
        // SAFETY: regions that are supplied are not empty.
        NonNull::new(unsafe { System.alloc(layout) })
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: by the caller, allocated above with this layout.
        unsafe { System.dealloc(block.as_ptr(), layout) };
    }
}

/// Once, that panicked.
#[test]
fn a_supplier_that_comes_back_to_a_pool_of_one_thread_is_refused() {
    let supplier = Arc::new(Returning {
        pool: AtomicPtr::new(ptr::null_mut()),
        refusals: AtomicUsize::new(0),
    });
    let pool = FixedPool::<u64>::builder(100)
        .supplier(supplier.clone())
        .build_local();
    supplier
        .pool
        .store((&raw const pool).cast_mut(), Ordering::Relaxed);
    let lease = pool.try_acquire(7).expect("room");
    assert_eq!((*lease, supplier.refusals.load(Ordering::Relaxed)), (7, 1));
}
