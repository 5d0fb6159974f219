//! Proves that a pool survives a fork: the child of a process with several threads
//! finds what they had cached, leaves leased what they had leased, and goes on,
//! whatever instruction of its fast path another thread was at.
//!
//! Each child does its work and says by its exit code what it found. It is the
//! only thread of its process, and allocates nothing: another thread of the parent
//! may have been inside the allocator.
#![cfg(all(feature = "std", target_os = "linux", not(miri)))]

use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use millpond_fixed::{FixedPool, Lease};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// One fork at a time: other tests must not be on a slow path of a pool, or of
/// anything else that has a lock, while a process is forked.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a child found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Whole,
    /// Step of the check that failed.
    Broken(u8),
    /// It did not end.
    Hung,
    /// It ended by a signal.
    Killed(i32),
}

/// Forks, runs `check` in the child, and answers what it says: 0, or the step that
/// failed.
fn in_a_child(check: impl FnOnce() -> Result<(), u8>) -> Verdict {
    // SAFETY: the child calls `check`, which by its contract neither allocates
    // nor takes a lock that other threads may hold, and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        let code = match check() {
            Ok(()) => 0,
            Err(step) => i32::from(step),
        };
        // SAFETY: ends the process at once: no destructors, no handlers.
        unsafe { libc::_exit(code) };
    }
    let began = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: our own child, which nobody else waits for.
        let ended = unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) };
        if ended == child && libc::WIFSIGNALED(status) {
            return Verdict::Killed(libc::WTERMSIG(status));
        }
        if ended == child {
            let code = u8::try_from(libc::WEXITSTATUS(status)).expect("a byte");
            return match code {
                0 => Verdict::Whole,
                step => Verdict::Broken(step),
            };
        }
        if began.elapsed() > Duration::from_secs(10) {
            // SAFETY: our own child.
            unsafe { libc::kill(child, libc::SIGKILL) };
            // SAFETY: as above; it ends now.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            return Verdict::Hung;
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// In a child: makes the pool usable.
fn repair<T>(pool: &FixedPool<T>) {
    // SAFETY: called by the one thread of a process that was just forked, while
    // other threads of its parent were on no slow path: see each test.
    unsafe { pool.after_fork_in_child() };
}

/// In a child: exactly `free` slots can be had at once, each once, and again after
/// they were released. Allocates nothing. `step` is what is answered if not.
fn exactly<const ROOM: usize>(pool: &FixedPool<u64>, free: usize, step: u8) -> Result<(), u8> {
    for round in 0..2 {
        let mut leases: [Option<Lease<'_, u64>>; ROOM] = [const { None }; ROOM];
        let mut count = 0;
        for place in &mut leases {
            match pool.try_acquire(count as u64) {
                Ok(lease) => *place = Some(lease),
                Err(_) => break,
            }
            count += 1;
        }
        let leased_twice =
            (0..count).any(|i| leases[i].as_deref().is_none_or(|value| *value != i as u64));
        if count != free || leased_twice {
            return Err(step + round);
        }
    }
    Ok(())
}

const CAPACITY: usize = 200;
const ROOM: usize = CAPACITY + 1;

/// A pool whose items all exist, so that a child need not create any.
fn full_pool() -> FixedPool<u64> {
    let pool = FixedPool::new(CAPACITY);
    drop((0..200).map(|i| pool.try_acquire(i)).collect::<Vec<_>>());
    assert_eq!(pool.stats().created, CAPACITY);
    pool
}

/// Runs `parent` while another thread has done `work` and waits, quiet.
fn beside_a_quiet_thread<'p>(
    work: impl FnOnce() -> Vec<Lease<'p, u64>> + Send,
    parent: impl FnOnce(),
) {
    let (ready, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let leases = work();
            ready.wait();
            done.wait();
            drop(leases);
        });
        ready.wait();
        parent();
        done.wait();
    });
}

#[test]
fn a_child_finds_what_other_threads_had_cached() {
    let _alone = alone();
    let pool = full_pool();
    let work = || {
        drop((0..150).map(|i| pool.try_acquire(i)).collect::<Vec<_>>());
        Vec::new()
    };
    beside_a_quiet_thread(work, || {
        assert!(pool.stats().cached > 0, "there is something to be found");
        let verdict = in_a_child(|| {
            repair(&pool);
            exactly::<ROOM>(&pool, CAPACITY, 1)?;
            if pool.stats().in_use != 0 {
                return Err(3);
            }
            exactly::<ROOM>(&pool, CAPACITY, 4)
        });
        assert_eq!(verdict, Verdict::Whole);
        // The parent goes on as if nothing had been.
        let all: Vec<_> = (0..).map_while(|i| pool.try_acquire(i).ok()).collect();
        assert_eq!(all.len(), CAPACITY);
    });
}

#[test]
fn what_other_threads_had_leased_stays_leased_in_the_child() {
    let _alone = alone();
    let pool = full_pool();
    let own: Vec<_> = (0..10).map(|i| pool.try_acquire(i)).collect();
    assert!(own.iter().all(Result::is_ok));
    let work = || {
        let leases = (0..40).map(|i| pool.try_acquire(i).expect("free"));
        leases.collect::<Vec<_>>()
    };
    beside_a_quiet_thread(work, || {
        let verdict = in_a_child(|| {
            repair(&pool);
            exactly::<ROOM>(&pool, CAPACITY - 50, 1)?;
            let stats = pool.stats();
            if stats.in_use != 50 || stats.created != CAPACITY {
                return Err(3);
            }
            Ok(())
        });
        assert_eq!(verdict, Verdict::Whole);
    });
    assert_eq!(pool.stats().in_use, 10);
}

/// The child releases what the forking thread had leased: it is that thread.
#[test]
fn a_child_releases_what_the_forking_thread_had_leased() {
    let _alone = alone();
    let pool = full_pool();
    let work = || vec![pool.try_acquire(1).expect("free")];
    beside_a_quiet_thread(work, || {
        let mut own: Vec<_> = (0..9).map(|i| pool.try_acquire(i)).collect();
        let verdict = in_a_child(|| {
            repair(&pool);
            // Keeps the list, which belongs to the allocator.
            for lease in &mut own {
                let refused = pool.try_acquire(0);
                drop(std::mem::replace(lease, refused));
            }
            if pool.stats().in_use != 10 {
                return Err(1);
            }
            for lease in &own {
                if lease.as_deref().is_ok_and(|value| *value != 0) {
                    return Err(2);
                }
            }
            exactly::<ROOM>(&pool, CAPACITY - 10, 3)
        });
        assert_eq!(verdict, Verdict::Whole);
    });
}

#[test]
fn several_pools_are_repaired_one_after_the_other() {
    let _alone = alone();
    let pools = [full_pool(), full_pool(), full_pool()];
    let work = || {
        for pool in &pools {
            drop((0..100).map(|i| pool.try_acquire(i)).collect::<Vec<_>>());
        }
        Vec::new()
    };
    beside_a_quiet_thread(work, || {
        let verdict = in_a_child(|| {
            pools.iter().for_each(repair);
            (1..)
                .step_by(2)
                .zip(&pools)
                .try_for_each(|(step, pool)| exactly::<ROOM>(pool, CAPACITY, step))
        });
        assert_eq!(verdict, Verdict::Whole);
    });
}

/// A process of one thread need not call anything.
#[test]
fn a_child_of_a_thread_that_was_alone_with_its_pool_just_goes_on() {
    let _alone = alone();
    let pool = full_pool();
    let lease = pool.try_acquire(1).expect("free");
    let verdict = in_a_child(|| exactly::<ROOM>(&pool, CAPACITY - 1, 1));
    assert_eq!(verdict, Verdict::Whole);
    drop(lease);
}

/// Forks at random instants of another thread's fast path. In each child every
/// item is home or in the hands of that thread, never both and never neither.
#[test]
fn a_fork_at_any_instant_of_a_fast_path_leaves_a_whole_pool() {
    const FORKS: u64 = 50;
    /// Few enough to stay in the cache of the thread.
    const HELD: usize = 6;
    let _alone = alone();
    let engine = SharedEngine::new(64, 8, Slabs::new(8, 8));
    let (stop, pairs) = (AtomicBool::new(false), AtomicU64::new(0));
    let (ready, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            // Warm: from here on there are no slow paths.
            let pair = || {
                let mut held = [None; HELD];
                for place in &mut held {
                    *place = Some(engine.acquire(0).expect("enough"));
                }
                for entry in held.into_iter().flatten() {
                    // SAFETY: acquired above and released once.
                    let _ = unsafe { SharedEngine::release(&raw const engine, entry) };
                }
            };
            (0..1000).for_each(|_| pair());
            ready.wait();
            while !stop.load(Ordering::Relaxed) {
                pair();
                pairs.fetch_add(1, Ordering::Relaxed);
            }
            done.wait();
        });
        ready.wait();
        for fork in 0..FORKS {
            let before = pairs.load(Ordering::Relaxed);
            while pairs.load(Ordering::Relaxed) <= before + fork {
                std::hint::spin_loop();
            }
            let verdict = in_a_child(|| {
                // SAFETY: the one thread of a process that was just forked; the
                // other was on its fast path.
                unsafe { engine.after_fork_in_child() };
                let mut all = [None; 65];
                let mut count = 0;
                while let Ok(entry) = engine.acquire(0) {
                    if all[..count].contains(&Some(entry)) {
                        return Err(1);
                    }
                    all[count] = Some(entry);
                    count += 1;
                }
                // What that thread held is gone with it, and nothing else is.
                if !(64 - HELD..=64).contains(&count) {
                    return Err(2);
                }
                for entry in all.into_iter().flatten() {
                    // SAFETY: acquired above and released once.
                    let _ = unsafe { SharedEngine::release(&raw const engine, entry) };
                }
                let again = std::iter::from_fn(|| engine.acquire(0).ok()).count();
                if again == count { Ok(()) } else { Err(3) }
            });
            assert_eq!(verdict, Verdict::Whole, "fork {fork}");
        }
        stop.store(true, Ordering::Relaxed);
        done.wait();
    });
    let all = std::iter::from_fn(|| engine.acquire(0).ok()).count();
    assert_eq!(all, 64, "the parent is whole too");
}

/// What these tests rest on: a child that finds something wrong is seen to.
#[test]
fn a_broken_child_is_seen() {
    let _alone = alone();
    assert_eq!(in_a_child(|| Err(7)), Verdict::Broken(7));
    let killed = in_a_child(|| {
        // SAFETY: ends this process.
        unsafe { libc::abort() }
    });
    assert_eq!(killed, Verdict::Killed(libc::SIGABRT));
    let pool = full_pool();
    let wrong = in_a_child(|| exactly::<ROOM>(&pool, CAPACITY - 1, 1));
    assert_eq!(wrong, Verdict::Broken(1));
}
