//! Proves what happens when a pool has run out, for each policy: fail, grow to a
//! bound, fall back to the heap, block with a deadline, wait in a task. Nobody
//! waits for ever, nobody is passed over, nothing is lost on the way, and errors
//! say what was hit.
#![cfg(feature = "std")]

use millpond_core::budget::Budget;
use millpond_core::engine::Released;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use millpond_fixed::{
    AcquireError, Exhaustion, FixedPool, Lease, Level, Limit, LocalFixedPool, Mode, Refused,
};
use std::collections::BTreeSet;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

const MANY: usize = if cfg!(miri) { 5 } else { 300 };

/// Longer than anything here takes on a busy machine; only a hang reaches it.
const HANGS: Duration = Duration::from_secs(20);

/// Runs `work` in a thread of its own, and panics if it does not come back.
fn does_not_hang<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = mpsc::channel();
    let thread = thread::spawn(move || done.send(work()));
    match result.recv_timeout(HANGS) {
        Ok(result) => {
            let sent = thread.join().expect("no panic");
            sent.expect("the receiver is alive");
            result
        }
        Err(RecvTimeoutError::Timeout) => panic!("hangs"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("it sends before it ends"),
        },
    }
}

/// Waits until `reached` is true, which some other thread is about to make so.
fn until(what: &str, reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < HANGS, "{what} never happens");
        thread::yield_now();
    }
}

fn hold<M: Mode>(pool: &FixedPool<u64, M>, count: usize) -> Vec<Lease<'_, u64, M>> {
    (0..count as u64)
        .map(|i| pool.try_acquire(i).expect("within the capacity"))
        .collect()
}

// ---- Fail ------------------------------------------------------------------------

#[test]
fn fail_hands_the_value_back_and_says_why() {
    fn check<M: Mode>(pool: &FixedPool<String, M>) {
        let _held: Vec<_> = (0..2)
            .map(|i| pool.acquire(i.to_string()).expect("free"))
            .collect();
        for attempt in 1..4 {
            let refused = pool.acquire("value".to_owned()).expect_err("full");
            let error = refused.error().clone();
            assert_eq!(refused.into_value(), "value");
            assert_eq!(
                (error.pool(), error.limit(), error.capacity()),
                ("strings", &Limit::Capacity, 2)
            );
            assert_eq!((error.in_use(), error.waiting()), (2, 0));
            let text = "pool `strings`: all items are leased (2 of 2 in use, 0 cached, 0 waiting)";
            assert_eq!(error.to_string(), text);
            assert_eq!(pool.stats().exhausted, attempt);
        }
    }
    check(&FixedPool::builder(2).name("strings").build());
    check(
        &LocalFixedPool::local_builder(2)
            .name("strings")
            .build_local(),
    );
}

#[test]
fn an_error_tells_how_many_are_waiting() {
    let pool = FixedPool::<u64>::builder(1).name("queue").build();
    let held = hold(&pool, 1);
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting: Vec<_> = (0..3).map(|i| Box::pin(pool.acquire_async(i))).collect();
    for future in &mut waiting {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    let error = pool.try_acquire(9).expect_err("full").error().clone();
    assert_eq!((error.waiting(), pool.stats().waiting), (3, 3));
    drop(waiting);
    let error = pool.try_acquire(9).expect_err("full").error().clone();
    assert_eq!(error.waiting(), 0);
    drop(held);
}

/// What an error becomes, for each limit.
#[test]
fn an_error_becomes_the_io_error_that_fits() {
    let mut errors: Vec<(AcquireError, io::ErrorKind)> = Vec::new();

    let pool = FixedPool::<u64>::new(0);
    let refused = pool.try_acquire(1).expect_err("none");
    errors.push((refused.into(), io::ErrorKind::WouldBlock));

    let pool = FixedPool::<u64>::new(1);
    let _held = hold(&pool, 1);
    let refused = pool.acquire_timeout(1, Duration::ZERO).expect_err("full");
    errors.push((refused.into(), io::ErrorKind::TimedOut));

    let budget = Budget::new("tiny", 1);
    let poor = FixedPool::<u64>::builder(1).budget(&budget).build();
    let refused = poor.try_acquire(1).expect_err("no room in the budget");
    errors.push((refused.into(), io::ErrorKind::OutOfMemory));

    let engine = SharedEngine::new(1, 8, Slabs::new(8, 8));
    engine.close();
    let error = engine.acquire(0).expect_err("closed");
    errors.push((error, io::ErrorKind::NotConnected));

    for (error, kind) in errors {
        let text = error.to_string();
        let io: io::Error = error.clone().into();
        assert_eq!(io.kind(), kind, "{text}");
        assert_eq!(io.to_string(), text, "nothing is lost on the way");
        let inner = io.get_ref().and_then(|inner| inner.downcast_ref());
        assert_eq!(inner, Some(&error));
    }
    // With `?`, from a refused value as well.
    fn by_question_mark() -> Result<(), Box<dyn Error>> {
        let pool = FixedPool::<u64>::new(0);
        pool.try_acquire(1).map(drop).map_err(AcquireError::from)?;
        Ok(())
    }
    assert!(by_question_mark().is_err());
}

// ---- Grow ------------------------------------------------------------------------

#[test]
fn grow_goes_to_its_bound_and_back() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>, extra: usize) {
        for _ in 0..3 {
            let capacity = pool.capacity();
            let mut leases: Vec<_> = (0..capacity + extra)
                .map(|i| pool.acquire(i as u64).expect("within the bound"))
                .collect();
            let refused = pool.acquire(1).expect_err("beyond the bound");
            assert_eq!(*refused.error().limit(), Limit::Capacity);
            assert_eq!(refused.error().in_use(), capacity + extra);
            assert_eq!(pool.stats().created, capacity + extra);
            leases.truncate(1);
            // `acquire` finds what is free, however it came to be.
            leases.push(pool.acquire(2).expect("free"));
            drop(leases);
            assert_eq!(pool.trim(Level::Full).leased, 0);
            assert_eq!(pool.stats().created, 0);
            assert_eq!(pool.stats().held_bytes, 0, "and back");
        }
        // `try_acquire` does not grow.
        let capacity = pool.capacity();
        let _all = hold(pool, capacity);
        assert!(pool.try_acquire(1).is_err());
        assert!(pool.acquire(1).is_ok() || extra == 0);
    }
    for extra in [0, 1, MANY] {
        let policy = Exhaustion::Grow { extra };
        check(&FixedPool::builder(3).exhaustion(policy).build(), extra);
        let local = LocalFixedPool::local_builder(3).exhaustion(policy);
        check(&local.build_local(), extra);
    }
}

// ---- Fall back ---------------------------------------------------------------------

#[test]
fn fallback_is_bounded_counted_and_freed() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>) {
        for round in 1..4 {
            let inside = hold(pool, 2);
            let outside: Vec<_> = (0..3)
                .map(|i| pool.acquire(i).expect("on the heap"))
                .collect();
            let refused = pool.acquire(9).expect_err("the bound");
            assert_eq!(*refused.error().limit(), Limit::Capacity);
            assert!(pool.try_acquire(9).is_err(), "it never looks at the policy");
            let stats = pool.stats();
            assert_eq!((stats.in_use, stats.fallback_in_use), (2, 3));
            assert_eq!(stats.fallbacks, 3 * round);
            let places: BTreeSet<_> = inside
                .iter()
                .chain(&outside)
                .map(|lease| std::ptr::from_ref(&**lease).addr())
                .collect();
            assert_eq!(places.len(), 5);
            drop(outside);
            assert_eq!(pool.stats().fallback_in_use, 0);
            // A free slot goes before the heap.
            drop(inside);
            let lease = pool.acquire(7).expect("free");
            assert_eq!(pool.stats().fallback_in_use, 0);
            assert_eq!(lease.into_inner(), 7);
        }
        // A value can be taken out of a fallback lease as out of any other.
        let _inside = hold(pool, 2);
        let lease = pool.acquire(8).expect("on the heap");
        assert_eq!((pool.stats().fallback_in_use, lease.into_inner()), (1, 8));
        assert_eq!(pool.stats().fallback_in_use, 0);
    }
    let policy = Exhaustion::Fallback { at_most: 3 };
    check(&FixedPool::builder(2).exhaustion(policy).build());
    let local = LocalFixedPool::local_builder(2).exhaustion(policy);
    check(&local.build_local());
}

#[test]
fn fallback_is_charged_and_a_full_budget_is_the_end_of_it() {
    type Value = [u8; 1000];
    let budget = Budget::new("all", usize::MAX);
    let policy = Exhaustion::Fallback { at_most: 100 };
    let pool = FixedPool::<Value>::builder(1)
        .exhaustion(policy)
        .budget(&budget)
        .build();
    let _inside = pool.acquire([0; 1000]).expect("free");
    let before = budget.held();
    // Room for two and a half.
    budget.set_limit(before + 2500);
    let outside: Vec<_> = (0..2).map(|_| pool.acquire([1; 1000])).collect();
    assert!(outside.iter().all(Result::is_ok));
    assert_eq!(budget.held(), before + 2000);
    assert_eq!(
        pool.acquire([2; 1000]).expect_err("full").into_value()[0],
        2
    );
    assert_eq!(
        pool.stats().fallback_in_use,
        2,
        "what failed is not counted"
    );
    drop(outside);
    assert_eq!(budget.held(), before);
    assert!(pool.acquire([3; 1000]).is_ok());
}

#[test]
fn an_owned_fallback_lease_outlives_its_handle() {
    let budget = Budget::new("owned", usize::MAX);
    let policy = Exhaustion::Fallback { at_most: 2 };
    let build = || {
        let pool = FixedPool::builder(1).exhaustion(policy).budget(&budget);
        pool.build().into_handle()
    };
    for order in 0..3 {
        let pool = build();
        let inside = pool.acquire_owned(String::from("in")).expect("free");
        let outside = pool.acquire_owned(String::from("out")).expect("the heap");
        assert_eq!(pool.stats().fallback_in_use, 1);
        drop(pool);
        assert_eq!((inside.as_str(), outside.as_str()), ("in", "out"));
        match order {
            0 => drop((inside, outside)),
            1 => drop((outside, inside)),
            _ => thread::scope(|scope| {
                scope.spawn(move || drop(inside));
                scope.spawn(move || assert_eq!(outside.into_inner(), "out"));
            }),
        }
        assert_eq!(budget.held(), 0, "order {order}");
    }
    // Nothing but the heap at all.
    let pool = FixedPool::<u64>::builder(0).exhaustion(policy).build();
    let pool = pool.into_handle();
    let lease = pool.acquire_owned(5).expect("the heap");
    drop(pool);
    assert_eq!(*lease, 5);
}

// ---- Block -----------------------------------------------------------------------

#[test]
fn a_deadline_is_kept_and_the_value_comes_back() {
    let timeout = Duration::from_millis(40);
    let policy = Exhaustion::Block {
        timeout: Some(timeout),
    };
    let pool = FixedPool::<String>::builder(1).exhaustion(policy).build();
    let _held = pool.try_acquire(String::new()).expect("free");
    let attempts: [&dyn Fn() -> Refused<String>; 2] = [
        &|| pool.acquire("value".into()).expect_err("leased"),
        &|| {
            let refused = pool.acquire_timeout("value".into(), timeout);
            refused.expect_err("leased")
        },
    ];
    for (number, attempt) in (1..).zip(attempts) {
        let began = Instant::now();
        let refused = attempt();
        let waited = began.elapsed();
        assert!(waited >= timeout, "{waited:?}");
        assert!(waited < HANGS, "{waited:?}");
        assert_eq!(*refused.error().limit(), Limit::Deadline);
        assert_eq!(refused.into_value(), "value");
        let stats = pool.stats();
        assert_eq!((stats.waits, stats.exhausted), (number, number));
        assert_eq!((stats.waiting, stats.in_use), (0, 1));
        assert!(u128::from(stats.wait_ns) >= u128::from(number) * timeout.as_nanos());
    }
    let began = Instant::now();
    assert!(pool.acquire_timeout("now".into(), Duration::ZERO).is_err());
    assert!(began.elapsed() < HANGS);
}

#[test]
fn a_local_pool_does_not_block() {
    let policy = Exhaustion::Block { timeout: None };
    let pool = LocalFixedPool::<u64>::local_builder(1).exhaustion(policy);
    let pool = pool.build_local();
    let _held = pool.acquire(1).expect("free");
    let refused = pool.acquire(2).expect_err("nobody else could release");
    assert_eq!(*refused.error().limit(), Limit::Capacity);
}

#[test]
fn a_released_item_wakes_whoever_blocks_without_a_deadline() {
    let timeouts = [None, Some(Duration::MAX), Some(HANGS)];
    for timeout in timeouts {
        does_not_hang(move || {
            let policy = Exhaustion::Block { timeout };
            let pool = FixedPool::<u64>::builder(1).exhaustion(policy).build();
            let held = hold(&pool, 1);
            thread::scope(|scope| {
                let waiter = scope.spawn(|| *pool.acquire(5).expect("released"));
                until("waiting", || pool.stats().waiting == 1);
                drop(held);
                assert_eq!(waiter.join().expect("no panic"), 5);
            });
            let stats = pool.stats();
            assert_eq!((stats.misses_waited, stats.in_use), (1, 0));
        });
    }
}

/// First come, first served: also when the releases come all at once, and also
/// against those who only try.
#[test]
fn threads_are_served_in_the_order_in_which_they_came() {
    const WAITERS: usize = if cfg!(miri) { 3 } else { 8 };
    does_not_hang(|| {
        let pool = FixedPool::<usize>::new(1);
        let order = Mutex::new(Vec::new());
        let held = pool.try_acquire(0).expect("free");
        thread::scope(|scope| {
            for number in 0..WAITERS {
                let (pool, order) = (&pool, &order);
                scope.spawn(move || {
                    let lease = pool.acquire_timeout(number, HANGS).expect("in turn");
                    order.lock().expect("no panic").push(*lease);
                });
                until("waiting", || pool.stats().waiting == number + 1);
                assert!(pool.try_acquire(99).is_err(), "nobody jumps the queue");
            }
            drop(held);
        });
        let order = order.into_inner().expect("no panic");
        assert_eq!(order, (0..WAITERS).collect::<Vec<_>>());
        assert_eq!(pool.stats().misses_waited, WAITERS as u64);
    });
}

/// Whoever gives up leaves the queue, and those behind move up.
#[test]
fn a_waiter_that_gives_up_is_not_served() {
    does_not_hang(|| {
        let pool = FixedPool::<u64>::new(1);
        let held = pool.try_acquire(0).expect("free");
        thread::scope(|scope| {
            let hasty = scope.spawn(|| {
                let timeout = Duration::from_millis(30);
                pool.acquire_timeout(1, timeout).map(drop)
            });
            until("in the queue", || pool.stats().waits == 1);
            let patient = scope.spawn(|| pool.acquire_timeout(2, HANGS).map(|lease| *lease));
            assert!(hasty.join().expect("no panic").is_err());
            until("in the queue", || pool.stats().waits == 2);
            until("alone there", || pool.stats().waiting == 1);
            drop(held);
            let lease = patient.join().expect("no panic");
            assert_eq!(lease.expect("the only one left"), 2);
        });
        assert_eq!(pool.stats().in_use, 0);
    });
}

/// Many threads, few items, short deadlines: time-outs race hand-offs, and after
/// it all every item is there.
#[test]
fn racing_deadlines_lose_no_item() {
    const ROUNDS: usize = if cfg!(miri) { 3 } else { 400 };
    does_not_hang(|| {
        let pool = FixedPool::<usize>::new(2);
        let served = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (pool, served) = (&pool, &served);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let timeout = Duration::from_micros((thread * 37 + round % 90) as u64);
                        if let Ok(lease) = pool.acquire_timeout(round, timeout) {
                            assert_eq!(*lease, round);
                            thread::yield_now();
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0));
        assert_eq!(stats.acquires, served.into_inner() as u64);
        assert_eq!(stats.acquires + stats.exhausted, 4 * ROUNDS as u64);
        let all: Vec<_> = (0..3).map_while(|i| pool.try_acquire(i).ok()).collect();
        assert_eq!(all.len(), 2);
    });
}

#[test]
fn closing_wakes_everybody_who_waits() {
    does_not_hang(|| {
        let engine = SharedEngine::new(1, 8, Slabs::new(8, 8)).named("closing");
        let held = engine.acquire(0).expect("free");
        thread::scope(|scope| {
            let waiters: Vec<_> = [None, Some(HANGS)]
                .into_iter()
                .map(|timeout| {
                    let engine = &engine;
                    scope.spawn(move || engine.acquire_waiting(0, timeout))
                })
                .collect();
            let mut task = pin!(engine.acquire_async(0));
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let mut context = Context::from_waker(&waker);
            assert!(task.as_mut().poll(&mut context).is_pending());
            until("waiting", || {
                use millpond_core::engine::Engine;
                engine.observe().waiting == 3
            });
            engine.close();
            for waiter in waiters {
                let error = waiter.join().expect("no panic").expect_err("closed");
                assert_eq!((error.limit(), error.pool()), (&Limit::Closed, "closing"));
            }
            assert!(woken.was_woken());
            let Poll::Ready(Err(error)) = task.poll(&mut context) else {
                panic!("still waiting for a closed pool");
            };
            assert_eq!(*error.limit(), Limit::Closed);
        });
        // SAFETY: acquired above and released once.
        let released = unsafe { SharedEngine::release(&raw const engine, held) };
        assert_eq!(released, Released::Home, "it has an owner");
        assert_eq!(
            *engine.acquire(0).expect_err("closed").limit(),
            Limit::Closed
        );
    });
}

/// Nobody could ever release an item of a pool that has none and may make none.
#[test]
fn a_pool_of_none_never_hangs() {
    does_not_hang(|| {
        let policy = Exhaustion::Block { timeout: None };
        let pool = FixedPool::<u64>::builder(0).exhaustion(policy).build();
        let refused = pool.acquire(1).expect_err("none");
        assert_eq!(*refused.error().limit(), Limit::Capacity);
        let refused = pool.acquire_timeout(2, Duration::MAX).expect_err("none");
        assert_eq!(*refused.error().limit(), Limit::Capacity);
        let mut future = pin!(pool.acquire_async(3));
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Err(refused)) = future.as_mut().poll(&mut context) else {
            panic!("waits for nothing");
        };
        assert_eq!(refused.into_value(), 3);
        assert_eq!(pool.stats().waits, 0);

        // The same if it is the budget that allows none.
        let budget = Budget::new("none", 0);
        let pool = FixedPool::<u64>::builder(5).exhaustion(policy);
        let pool = pool.budget(&budget).build();
        let refused = pool.acquire(1).expect_err("none");
        assert!(matches!(refused.error().limit(), Limit::Budget(_)));
    });
}

/// A higher capacity serves those who wait, without anybody releasing.
#[test]
fn a_raised_capacity_serves_those_who_wait() {
    does_not_hang(|| {
        let pool = FixedPool::<u64>::new(1);
        let _held = pool.try_acquire(0).expect("free");
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..3)
                .map(|i| {
                    let pool = &pool;
                    scope.spawn(move || pool.acquire_timeout(i, HANGS).map(drop))
                })
                .collect();
            until("waiting", || pool.stats().waiting == 3);
            pool.set_capacity(4);
            for waiter in waiters {
                assert!(waiter.join().expect("no panic").is_ok());
            }
        });
    });
}

// ---- Wait in a task ------------------------------------------------------------------

#[derive(Default)]
struct Woken(AtomicBool);

impl Woken {
    fn was_woken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Acquired<'p> = Result<Lease<'p, u64>, Refused<u64>>;

/// A task by hand: a future, and whether somebody woke it.
struct Task<'p> {
    future: Pin<Box<dyn Future<Output = Acquired<'p>> + 'p>>,
    woken: Arc<Woken>,
}

impl<'p> Task<'p> {
    fn new(pool: &'p FixedPool<u64>, value: u64) -> Self {
        Self {
            future: Box::pin(pool.acquire_async(value)),
            woken: Arc::default(),
        }
    }

    /// A task that stands in the queue.
    fn queued(pool: &'p FixedPool<u64>, value: u64) -> Self {
        let mut task = Self::new(pool, value);
        assert!(task.poll().is_none(), "nothing is free");
        task
    }

    fn poll(&mut self) -> Option<Result<Lease<'p, u64>, Refused<u64>>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    fn finish(&mut self) -> Lease<'p, u64> {
        assert!(self.woken.was_woken(), "ready, and nobody told the task");
        let result = self.poll().expect("it was woken");
        result.expect("handed over")
    }
}

#[test]
fn tasks_are_served_in_the_order_in_which_they_came() {
    let pool = FixedPool::new(2);
    let mut held = hold(&pool, 2);
    let mut tasks: Vec<_> = (10..16).map(|i| Task::queued(&pool, i)).collect();
    for next in 0..tasks.len() {
        drop(held.remove(0));
        // The item is the first task's, before that was even polled.
        assert!(pool.try_acquire(99).is_err(), "direct hand-off");
        let woken: Vec<bool> = tasks.iter().map(|task| task.woken.was_woken()).collect();
        let expected: Vec<bool> = (0..woken.len()).map(|task| task <= next).collect();
        assert_eq!(woken, expected);
        assert!(
            tasks
                .iter_mut()
                .skip(next + 1)
                .all(|task| task.poll().is_none())
        );
        let lease = tasks[next].finish();
        assert_eq!(*lease, 10 + next as u64);
        held.push(lease);
    }
    let stats = pool.stats();
    assert_eq!((stats.misses_waited, stats.waits), (6, 6));
}

#[test]
fn tasks_and_threads_stand_in_one_queue() {
    does_not_hang(|| {
        let pool = FixedPool::new(1);
        let held = hold(&pool, 1);
        let mut first = Task::queued(&pool, 1);
        thread::scope(|scope| {
            let second = scope.spawn(|| pool.acquire_timeout(2, HANGS).map(|lease| *lease));
            until("waiting", || pool.stats().waiting == 2);
            let mut third = Task::queued(&pool, 3);
            drop(held);
            assert_eq!(pool.stats().waiting, 2, "the first was served");
            drop(first.finish());
            assert_eq!(second.join().expect("no panic").expect("in turn"), 2);
            until("served", || third.woken.was_woken());
            assert_eq!(*third.finish(), 3);
        });
    });
}

/// A future can be dropped at any time: before its first poll, in the queue at
/// every place, and with an item in its hands.
#[test]
fn dropping_a_future_loses_nothing() {
    for dropped in 0..4 {
        let pool = FixedPool::new(1);
        drop(Task::new(&pool, 0));
        assert_eq!(pool.stats().acquires, 0);
        let held = hold(&pool, 1);
        let mut tasks: Vec<_> = (0..4).map(|i| Task::queued(&pool, i)).collect();
        drop(tasks.remove(dropped));
        assert_eq!(pool.stats().waiting, 3);
        drop(held);
        for task in &mut tasks {
            drop(task.finish());
        }
        drop(tasks);
        let stats = pool.stats();
        assert_eq!((stats.waiting, stats.in_use), (0, 0));
        assert_eq!(hold(&pool, 1).len(), 1);
    }
}

#[test]
fn a_future_dropped_after_its_hand_off_passes_the_item_on() {
    let pool = FixedPool::new(1);
    let held = hold(&pool, 1);
    let first = Task::queued(&pool, 1);
    let second = Task::queued(&pool, 2);
    let mut third = Task::queued(&pool, 3);
    drop(held);
    assert!(first.woken.was_woken() && !second.woken.was_woken());
    drop(first);
    assert!(second.woken.was_woken(), "passed on");
    drop(second);
    assert_eq!(*third.finish(), 3);
    drop(third);
    // With nobody behind it the item goes home.
    let held = hold(&pool, 1);
    let last = Task::queued(&pool, 4);
    drop(held);
    assert_eq!(pool.stats().in_use, 1, "in the hands of the task");
    drop(last);
    assert_eq!(pool.stats().in_use, 0);
    assert_eq!(hold(&pool, 1).len(), 1);
}

/// The waker of the last poll counts.
#[test]
fn a_future_that_moves_to_another_task_wakes_that_one() {
    let pool = FixedPool::new(1);
    let held = hold(&pool, 1);
    let mut task = Task::queued(&pool, 1);
    let before = std::mem::take(&mut task.woken);
    assert!(task.poll().is_none());
    drop(held);
    assert!(!before.was_woken() && task.woken.was_woken());
    assert_eq!(*task.finish(), 1);
}

#[test]
fn an_owned_lease_can_be_awaited() {
    let pool = FixedPool::new(1).into_handle();
    let held = pool.try_acquire_owned(1).expect("free");
    let mut context = Context::from_waker(Waker::noop());
    let future = {
        let pool = pool.clone();
        async move { pool.acquire_owned_async(2).await }
    };
    let mut future = Box::pin(future);
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(pool);
    drop(held);
    let Poll::Ready(Ok(lease)) = future.as_mut().poll(&mut context) else {
        panic!("not handed over");
    };
    drop(future);
    assert_eq!(*lease, 2, "the lease alone keeps the pool");
}

/// Wakers are foreign code.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("foreign code");
    }
}

/// Runs what is told of the panic of a waker.
fn is_told(work: impl FnOnce()) {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    assert!(outcome.is_err(), "it is told of");
}

/// The first one panics; there are more waiters than are served at one go.
#[test]
fn a_waker_that_panics_costs_nobody_else_a_turn() {
    const TASKS: u64 = if cfg!(miri) { 5 } else { 70 };
    let capacity = 1 + usize::try_from(TASKS).expect("a few tasks");
    // Those who wait are served by what is created, or by what was kept back.
    for kept_back in [0, capacity] {
        let pool = FixedPool::new(kept_back.max(1));
        let mut held = hold(&pool, kept_back.max(1));
        pool.set_capacity(1);
        let mut first = pin!(pool.acquire_async(0));
        let waker = Waker::from(Arc::new(Panics));
        let mut context = Context::from_waker(&waker);
        assert!(first.as_mut().poll(&mut context).is_pending());
        let mut tasks: Vec<_> = (1..TASKS).map(|i| Task::queued(&pool, i)).collect();
        held.truncate(1);
        is_told(|| pool.set_capacity(capacity));
        let leases: Vec<_> = tasks.iter_mut().map(Task::finish).collect();
        for (value, lease) in (1..).zip(&leases) {
            assert_eq!(**lease, value);
        }
        assert!(first.poll(&mut context).is_ready());
    }
}

/// The waker is called when the first slot comes home.
#[test]
fn a_waker_that_panics_does_not_lose_the_slots_of_a_batch() {
    let policy = Exhaustion::Fallback { at_most: 2 };
    let pool = FixedPool::builder(4).exhaustion(policy).build();
    let waker = Waker::from(Arc::new(Panics));
    let mut context = Context::from_waker(&waker);
    let batch = pool.acquire_many([0; 6]).expect("two outside");
    let mut waits = Box::pin(pool.acquire_async(1));
    assert!(waits.as_mut().poll(&mut context).is_pending());
    is_told(|| drop(batch));
    drop(waits);
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.fallback_in_use), (0, 0));

    // One that does not come about, and gives back what it has gathered.
    let held = hold(&pool, 2);
    let mut gathers = Box::pin(pool.acquire_many_async([0; 3]));
    assert!(
        gathers
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    let mut waits = Box::pin(pool.acquire_async(1));
    assert!(waits.as_mut().poll(&mut context).is_pending());
    is_told(|| drop(gathers));
    drop((waits, held));
    assert_eq!(pool.stats().in_use, 0);
}

/// Tasks that are dropped at every stage while items come home on other threads.
#[test]
fn cancellation_races_hand_off_and_loses_no_item() {
    const ROUNDS: u64 = if cfg!(miri) { 4 } else { 2000 };
    does_not_hang(|| {
        let pool = FixedPool::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for round in 0..ROUNDS {
                        drop(pool.try_acquire(round));
                        thread::yield_now();
                    }
                });
            }
            for patience in 1..3 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let mut task = Task::new(pool, round);
                        let lease = (0..patience).find_map(|_| {
                            thread::yield_now();
                            task.poll()
                        });
                        if let Some(lease) = lease {
                            assert_eq!(*lease.expect("not closed"), round);
                        }
                    }
                });
            }
        });
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0));
        let all: Vec<_> = (0..3).map_while(|i| pool.try_acquire(i).ok()).collect();
        assert_eq!(all.len(), 2);
    });
}
