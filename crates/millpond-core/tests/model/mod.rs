//! What the models share: a pool of numbered items whose users loom watches.
//!
//! Each item is a cell: two users at once, or a user that does not see what the
//! last one wrote, fail the model. So nothing here has to look for an item that
//! was given twice. What loom cannot see is checked in [`Pool::check`]: that no
//! item was lost, and that an acquire which failed was right to.
//!
//! The history is kept behind the back of the model, in locks and counters of
//! the standard library: loom runs one thread at a time, so they order nothing
//! that the engine does not order, and add no interleavings.

#![allow(dead_code, reason = "each model uses its part")]

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle, Thread};
use millpond_core::engine::Released;
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::shared::SharedEngine;
use millpond_core::source::{Batch, Source};
use millpond_core::trim::Level;
use std::sync::Mutex;
use std::task::Wake;
use std::vec::Vec;

/// Items that are nothing but their numbers; those that a trim gave back are
/// created again.
#[derive(Debug)]
pub(crate) struct Numbers {
    absent: Vec<Entry>,
}

impl Numbers {
    fn new(items: usize) -> Self {
        Self {
            absent: (0..items).rev().map(Entry::from_index).collect(),
        }
    }
}

impl Source for Numbers {
    type Retired = ();

    fn create(&mut self, want: usize, _most: usize, batch: &mut Batch) -> Result<(), Limit> {
        for _ in 0..want {
            batch.push(
                self.absent
                    .pop()
                    .expect("more items than the pool may have"),
            );
        }
        Ok(())
    }

    fn retire(&mut self, free: &mut Vec<Entry>, _level: Level) {
        self.absent.append(free);
    }

    fn held_bytes(&self) -> usize {
        0
    }

    fn owns(&self, entry: Entry) -> bool {
        !self.absent.contains(&entry)
    }
}

/// What happened, by a clock that ticks at each begin and end of an operation.
#[derive(Debug, Default)]
struct History {
    now: usize,
    leases: Vec<Lease>,
    refusals: Vec<(usize, usize)>,
}

/// A lease at its longest: from the call that acquired to the return of the
/// release.
#[derive(Debug)]
struct Lease {
    item: Entry,
    from: usize,
    until: usize,
}

impl History {
    fn tick(&mut self) -> usize {
        self.now += 1;
        self.now
    }

    /// The most leases that there were at one instant from `from` to `until`.
    fn most_leased(&self, from: usize, until: usize) -> usize {
        let at = |instant| {
            let leased = |lease: &&Lease| (lease.from..=lease.until).contains(&instant);
            self.leases.iter().filter(leased).count()
        };
        (from..=until).map(at).max().unwrap_or(0)
    }
}

/// A pool of at most `N` items.
#[derive(Debug)]
pub(crate) struct Pool<const N: usize> {
    pub(crate) engine: SharedEngine<Numbers>,
    items: [UnsafeCell<u32>; N],
    history: Mutex<History>,
}

impl<const N: usize> Pool<N> {
    pub(crate) fn new() -> Self {
        Self {
            engine: SharedEngine::new(N, 8, Numbers::new(N)),
            items: core::array::from_fn(|_| UnsafeCell::new(0)),
            history: Mutex::default(),
        }
    }

    /// Acquires without waiting, by the fast path if it can.
    pub(crate) fn acquire(&self) -> Option<Entry> {
        self.record(|| self.engine.acquire(0))
    }

    /// Acquires, waiting in the thread.
    pub(crate) fn wait(&self) -> Entry {
        let given = self.record(|| match self.engine.try_pop() {
            Some(entry) => Ok(entry),
            None => self.engine.acquire_waiting(0, None),
        });
        given.expect("a wait without a deadline ends with an item")
    }

    /// Runs an operation that acquires, and notes what came of it.
    pub(crate) fn record(
        &self,
        acquire: impl FnOnce() -> Result<Entry, AcquireError>,
    ) -> Option<Entry> {
        let from = self.history().tick();
        let result = acquire();
        let mut history = self.history();
        let until = history.tick();
        match result {
            Ok(item) => {
                history.leases.push(Lease {
                    item,
                    from,
                    until: usize::MAX,
                });
                drop(history);
                self.touch(item);
                Some(item)
            }
            Err(error) => {
                if *error.limit() == Limit::Capacity {
                    history.refusals.push((from, until));
                }
                None
            }
        }
    }

    /// Gives an item back.
    pub(crate) fn release(&self, item: Entry) {
        assert_eq!(self.release_any(item), Released::Home);
    }

    /// Gives back an item that may be the last one.
    pub(crate) fn release_any(&self, item: Entry) -> Released {
        self.touch(item);
        // SAFETY: acquired from this engine, released once.
        let released = unsafe { SharedEngine::release(&raw const self.engine, item) };
        let mut history = self.history();
        let now = history.tick();
        let current = |lease: &&mut Lease| lease.item == item && lease.until == usize::MAX;
        let lease = history.leases.iter_mut().find(current);
        lease.expect("it was leased").until = now;
        released
    }

    /// Acquires and, if that succeeds, releases.
    pub(crate) fn pair(&self) {
        if let Some(item) = self.acquire() {
            self.release(item);
        }
    }

    /// Uses an item.
    pub(crate) fn touch(&self, item: Entry) {
        self.items[item.as_index()].with_mut(|item| {
            // SAFETY: the item was acquired; loom fails the model if it was not.
            unsafe { *item += 1 };
        });
    }

    /// Checks what the threads left behind, when all of them have ended and
    /// every item is home: all can be acquired, no more than those, and each
    /// refusal was right.
    pub(crate) fn check(&self) {
        let items: Vec<_> = (0..N).map_while(|_| self.acquire()).collect();
        assert_eq!(items.len(), N, "an item was lost");
        assert_eq!(self.acquire(), None, "there are more items than were made");
        let history = self.history();
        for &(from, until) in &history.refusals {
            assert!(
                history.most_leased(from, until) >= N,
                "an acquire failed and at no instant were all items leased"
            );
        }
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().expect("nobody panics while noting")
    }
}

/// Runs `model` once for each interleaving with at most `preemptions` of them,
/// or as many as `LOOM_MAX_PREEMPTIONS` asks for if that is more.
///
/// Two are enough for most protocols and too many for some models; small ones
/// can afford more. Tells how many interleavings there were, for `--nocapture`.
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.max(Some(preemptions));
    builder.max_branches = 20_000;
    let interleavings = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&interleavings);
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let (interleavings, thread) = (
        interleavings.load(Ordering::Relaxed),
        std::thread::current(),
    );
    println!(
        "{}: {interleavings} interleavings",
        thread.name().unwrap_or("model")
    );
}

/// Runs `f` with the pool in a thread of its own.
pub(crate) fn spawn<const N: usize>(
    pool: &Arc<Pool<N>>,
    f: impl FnOnce(&Pool<N>) + 'static,
) -> JoinHandle<()> {
    let pool = Arc::clone(pool);
    thread::spawn(move || f(&pool))
}

/// Waits for threads that [`spawn`] started.
pub(crate) fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("a thread of the model ends normally");
    }
}

/// Wakes a task by unparking the thread that polls it.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// A waker for the calling thread.
pub(crate) fn waker() -> Waker {
    Waker::from(std::sync::Arc::new(Unpark(thread::current())))
}

/// Polls once.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&waker()))
}

/// Polls until the future is ready, parked meanwhile. A wake-up that is lost is
/// a deadlock, which loom reports.
pub(crate) fn block_on<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    loop {
        match poll(future.as_mut()) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
