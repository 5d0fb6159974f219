//! The shared engine under real threads: what holds whatever the schedule.
//!
//! Items are memory that their holder writes and reads back, so an item in two
//! hands is a wrong value here, and a data race under Miri. Loom shows the
//! protocols for two or three threads and every schedule; these tests show the
//! whole machine for some schedules, with its real barrier, mutex and clock.
#![cfg(not(millpond_loom))]

use core::future::Future;
use core::pin::pin;
use core::ptr::NonNull;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use millpond_core::engine::{Engine, Released};
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use millpond_core::trim::Level;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::Wake;
use std::thread;
use std::time::Instant;

type Pool = SharedEngine<Slabs>;

/// Steps of a test: many, or as many as Miri has patience for.
const fn steps(natively: usize, in_miri: usize) -> usize {
    if cfg!(miri) { in_miri } else { natively }
}

fn pool(capacity: usize) -> Pool {
    SharedEngine::new(capacity, 8, Slabs::new(8, 8))
}

/// Writes `mark` into an item that the caller has acquired.
fn mark(item: Entry, mark: u64) {
    // SAFETY: a slot of 8 bytes, in the caller's hands.
    unsafe { item.as_ptr().cast::<u64>().write(mark) };
}

/// Reads the mark, looking whether it is still the holder's.
fn check(item: Entry, mark: u64) {
    // SAFETY: a slot of 8 bytes, in the caller's hands, which has marked it.
    let found = unsafe { item.as_ptr().cast::<u64>().read() };
    assert_eq!(found, mark, "an item was in two hands");
}

fn release(pool: &Pool, item: Entry) {
    // SAFETY: acquired from this pool by the caller, who gives it up.
    let released = unsafe { Pool::release(pool, item) };
    assert_eq!(released, Released::Home);
}

/// A number that looks random; the same for the same start.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Acquires and releases at random, holding a few; answers how many acquires
/// succeeded.
fn churn(pool: &Pool, seed: u64, steps: usize, most: usize) -> u64 {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut held = Vec::new();
    let mut acquired = 0;
    for _ in 0..steps {
        let number = next(&mut random);
        if held.len() < most && number % 3 != 0 {
            if let Ok(item) = pool.acquire(0) {
                mark(item, number);
                held.push((item, number));
                acquired += 1;
            }
        } else if !held.is_empty() {
            let place = usize::try_from(number >> 8).unwrap_or(0) % held.len();
            let (item, number) = held.swap_remove(place);
            check(item, number);
            release(pool, item);
        }
    }
    for (item, number) in held {
        check(item, number);
        release(pool, item);
    }
    acquired
}

#[test]
fn an_item_is_in_one_hand_at_a_time() {
    for capacity in [1, 2, 5, 40] {
        let pool = pool(capacity);
        let acquired: u64 = thread::scope(|scope| {
            let threads = [1, 2, 3, 4].map(|seed| {
                let pool = &pool;
                scope.spawn(move || churn(pool, seed, steps(20_000, 40), 15))
            });
            threads.map(|thread| thread.join().unwrap()).iter().sum()
        });
        let figures = pool.observe();
        assert_eq!(figures.in_use, 0);
        assert!(figures.created <= capacity, "{figures:?}");
        assert_eq!(figures.acquires, acquired);
        assert_eq!(figures.releases, acquired);
        assert_eq!(figures.cached + figures.depot, figures.created);
    }
}

/// Items lie in the caches of threads that live and do nothing.
#[test]
fn every_item_is_found_wherever_it_lies() {
    for threads in [1, 2, 3] {
        let capacity = 2 * threads;
        let pool = pool(capacity);
        let (filled, done) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let items = [(); 2].map(|()| pool.acquire(0).expect("two for each"));
                    filled.wait();
                    for item in items {
                        release(&pool, item);
                    }
                    filled.wait();
                    done.wait();
                });
            }
            filled.wait();
            filled.wait();
            let items: Vec<_> = (0..capacity)
                .map(|_| pool.acquire(0).expect("every item is free"))
                .collect();
            let error = pool.acquire(0).expect_err("every item is leased");
            assert_eq!(*error.limit(), Limit::Capacity);
            for item in items {
                release(&pool, item);
            }
            done.wait();
        });
    }
}

#[test]
fn items_released_elsewhere_come_back() {
    let pool = pool(8);
    let (send, receive) = mpsc::sync_channel::<(Entry, u64)>(4);
    thread::scope(|scope| {
        scope.spawn(|| {
            for (item, number) in receive {
                check(item, number);
                release(&pool, item);
            }
        });
        for number in 0..steps(50_000, 60) as u64 {
            let item = loop {
                match pool.acquire_waiting(0, Some(Duration::from_secs(60))) {
                    Ok(item) => break item,
                    Err(error) => assert_eq!(*error.limit(), Limit::Deadline),
                }
            };
            mark(item, number);
            send.send((item, number)).expect("the receiver lives");
        }
        drop(send);
    });
    assert_eq!(pool.observe().in_use, 0);
}

#[test]
fn every_waiter_is_served() {
    for capacity in [1, 2] {
        let pool = pool(capacity);
        let rounds = steps(1_000, 6);
        thread::scope(|scope| {
            for thread in 0..4 {
                let pool = &pool;
                scope.spawn(move || {
                    for _ in 0..rounds {
                        let item = pool.acquire_waiting(0, None).expect("the pool is open");
                        mark(item, thread);
                        check(item, thread);
                        release(pool, item);
                    }
                });
            }
        });
        let figures = pool.observe();
        assert_eq!((figures.in_use, figures.waiting), (0, 0));
        assert_eq!(figures.acquires, 4 * rounds as u64);
    }
}

#[test]
fn a_waiter_gives_up_at_its_deadline_and_not_before() {
    let pool = pool(1);
    let item = pool.acquire(0).expect("nothing is leased yet");
    let (timeout, began) = (Duration::from_millis(20), Instant::now());
    let error = pool
        .acquire_waiting(0, Some(timeout))
        .expect_err("the item is leased");
    assert_eq!(*error.limit(), Limit::Deadline);
    assert!(began.elapsed() >= timeout);
    assert_eq!(pool.observe().waiting, 0);
    release(&pool, item);
}

#[test]
fn close_reaches_every_waiter() {
    let pool = pool(1);
    let item = pool.acquire(0).expect("nothing is leased yet");
    thread::scope(|scope| {
        let waiters = [(); 3].map(|()| scope.spawn(|| pool.acquire_waiting(0, None)));
        while pool.observe().waiting < waiters.len() {
            thread::yield_now();
        }
        pool.close();
        for waiter in waiters {
            let error = waiter.join().unwrap().expect_err("the item is leased");
            assert_eq!(*error.limit(), Limit::Closed);
        }
    });
    release(&pool, item);
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Half of the futures are dropped after their first poll, some of them with an
/// item on its way to them.
#[test]
fn a_dropped_future_loses_nothing() {
    let pool = pool(2);
    thread::scope(|scope| {
        for thread in 0..3u64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..steps(2_000, 8) {
                    let item = if round % 2 == 0 {
                        block_on(pool.acquire_async(0))
                    } else {
                        let mut future = pin!(pool.acquire_async(0));
                        let mut context = Context::from_waker(Waker::noop());
                        match future.as_mut().poll(&mut context) {
                            Poll::Ready(item) => item,
                            Poll::Pending => continue,
                        }
                    };
                    let item = item.expect("the pool is open");
                    mark(item, thread);
                    thread::yield_now();
                    check(item, thread);
                    release(pool, item);
                }
            });
        }
    });
    let items = [(); 2].map(|()| pool.acquire(0).expect("an item was lost"));
    assert_eq!(pool.observe().waiting, 0);
    for item in items {
        release(&pool, item);
    }
}

#[test]
fn tasks_are_served_in_the_order_in_which_they_came() {
    let pool = pool(1);
    let mut item = pool.acquire(0).expect("nothing is leased yet");
    let mut context = Context::from_waker(Waker::noop());
    let mut queue: Vec<_> = (0..5).map(|_| Box::pin(pool.acquire_async(0))).collect();
    for future in &mut queue {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    while !queue.is_empty() {
        release(&pool, item);
        for later in &mut queue[1..] {
            assert!(later.as_mut().poll(&mut context).is_pending());
        }
        match queue.remove(0).as_mut().poll(&mut context) {
            Poll::Ready(given) => item = given.expect("the pool is open"),
            Poll::Pending => panic!("the first in the queue was passed over"),
        }
    }
    release(&pool, item);
}

/// A pool on the heap that is freed by whoever is told `Last`.
#[derive(Clone, Copy)]
struct Orphan(NonNull<Pool>);

// SAFETY: pools are for all threads, and this one lives until `Last` was told.
unsafe impl Send for Orphan {}

impl Orphan {
    fn free_if(self, released: Released) -> usize {
        if released == Released::Home {
            return 0;
        }
        // SAFETY: it came from a box; nobody uses it after `Last`.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        1
    }

    fn release(self, item: Entry) -> usize {
        // SAFETY: an item is leased, so the pool is there; acquired from it by
        // the caller, who gives it up.
        let released = unsafe { Pool::release(self.0.as_ptr(), item) };
        self.free_if(released)
    }
}

#[test]
fn exactly_one_is_told_that_its_item_was_the_last() {
    for _ in 0..steps(2_000, 10) {
        let orphan = Orphan(NonNull::from(Box::leak(Box::new(pool(6)))));
        // SAFETY: just made.
        let pool = unsafe { orphan.0.as_ref() };
        let items = [(); 6].map(|()| pool.acquire(0).expect("nothing is leased yet"));
        let threads = [0, 3].map(|first| {
            let mine = [items[first], items[first + 1], items[first + 2]];
            thread::spawn(move || mine.map(|item| orphan.release(item)).iter().sum::<usize>())
        });
        // SAFETY: not orphaned yet, so it is there.
        let mut told = orphan.free_if(unsafe { Pool::orphan(orphan.0.as_ptr()) });
        for thread in threads {
            told += thread.join().unwrap();
        }
        assert_eq!(told, 1);
    }
}

#[test]
fn a_trim_reaches_the_caches_of_idle_threads() {
    let pool = pool(100);
    let (filled, done) = (Barrier::new(3), Barrier::new(3));
    thread::scope(|scope| {
        for seed in [1, 2] {
            let (pool, filled, done) = (&pool, &filled, &done);
            scope.spawn(move || {
                churn(pool, seed, steps(1_000, 30), 10);
                filled.wait();
                done.wait();
                assert!(churn(pool, seed, 20, 10) > 0, "a trimmed cache works again");
            });
        }
        filled.wait();
        let report = pool.trim(Level::Full);
        let figures = pool.observe();
        assert!(report.freed_items > 0);
        assert_eq!((figures.created, figures.held_bytes), (0, 0), "{report}");
        done.wait();
    });
}

#[test]
fn trims_of_every_level_disturb_nobody() {
    let pool = pool(30);
    thread::scope(|scope| {
        for seed in [1, 2] {
            let pool = &pool;
            scope.spawn(move || churn(pool, seed, steps(20_000, 50), 10));
        }
        for _ in 0..steps(300, 3) {
            for level in [Level::Light, Level::Moderate, Level::Full] {
                let report = pool.trim(level);
                assert!(report.freed_items <= 30, "{report}");
            }
        }
    });
    assert_eq!(pool.observe().in_use, 0);
    assert_eq!(pool.trim(Level::Full).unreachable, 0);
    assert_eq!(pool.observe().created, 0);
}

#[test]
fn a_raised_capacity_serves_those_who_wait() {
    let pool = pool(1);
    let item = pool.acquire(0).expect("nothing is leased yet");
    thread::scope(|scope| {
        let waiters = [(); 2].map(|()| scope.spawn(|| pool.acquire_waiting(0, None)));
        while pool.observe().waiting < waiters.len() {
            thread::yield_now();
        }
        pool.set_capacity(3);
        for waiter in waiters {
            release(&pool, waiter.join().unwrap().expect("there is room now"));
        }
    });
    release(&pool, item);
    assert_eq!(pool.observe().created, 3);
}

/// Figures are read while everything runs: they are never nonsense.
#[test]
fn figures_are_plausible_at_any_time() {
    let pool = pool(10);
    let running = AtomicUsize::new(2);
    thread::scope(|scope| {
        for seed in [1, 2] {
            let (pool, running) = (&pool, &running);
            scope.spawn(move || {
                churn(pool, seed, steps(20_000, 50), 5);
                running.fetch_sub(1, Ordering::Release);
            });
        }
        let mut before = pool.observe();
        while running.load(Ordering::Acquire) > 0 {
            let now = pool.observe();
            assert!(now.created <= 10 && now.in_use <= now.created, "{now:?}");
            assert!(now.acquires >= before.acquires, "{before:?} {now:?}");
            before = now;
            thread::yield_now();
        }
    });
}
