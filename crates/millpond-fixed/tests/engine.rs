//! Promises of the engine that were once broken, each seen through a pool.
use millpond_core::budget::Budget;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use millpond_fixed::*;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const fn sends<T: Send + Sync>() {}
const _: () = sends::<SharedEngine<Slabs>>();
const _: () = sends::<FixedPool<std::cell::Cell<u8>>>();
const _: () = {
    const fn send<T: Send>() {}
    send::<millpond_core::local::LocalEngine<Slabs>>();
};

/// Once, a pop that found nothing left its cache marked as busy, and a stop waited
/// for ever.
#[test]
#[cfg_attr(miri, ignore = "leaves a parked thread behind, which Miri refuses")]
fn a_pop_that_finds_nothing_stops_nobody() {
    let engine = Arc::new(SharedEngine::new(4, 8, Slabs::new(8, 8)));
    {
        let engine = engine.clone();
        std::thread::spawn(move || {
            let entry = engine.acquire(0).unwrap();
            // SAFETY: acquired above, released once.
            let _ = unsafe { SharedEngine::release(&raw const *engine, entry) };
            while engine.try_pop().is_some() {}
        })
        .join()
        .unwrap();
    }
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let other = engine.clone();
        std::thread::spawn(move || {
            let _ = other.acquire(0);
            std::thread::park();
        });
        std::thread::sleep(Duration::from_millis(50));
        engine.close();
        let _ = done.send(());
    });
    wait.recv_timeout(Duration::from_secs(5))
        .expect("close() hangs");
}

/// Once, a doubled slab was refused although a smaller one fitted.
#[test]
#[cfg_attr(miri, ignore = "a thousand items of a KiB, minutes of interpretation")]
fn a_budget_is_used_up_before_it_refuses() {
    let limit = 1 << 20;
    let budget = Budget::new("b", limit);
    let pool = FixedPool::<[u8; 1024]>::builder(100_000)
        .budget(&budget)
        .build();
    let mut leases = vec![];
    while let Ok(lease) = pool.try_acquire([0; 1024]) {
        leases.push(lease);
    }
    let share = leases.len() * 1024 * 100 / budget.limit();
    println!(
        "{} items, held {} of {}",
        leases.len(),
        budget.held(),
        budget.limit()
    );
    assert!(share >= 90, "refused at {share} %");
}

/// Once, everything that existed was handed out after the capacity was lowered.
#[test]
fn a_lowered_capacity_counts_for_later_acquires() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>) {
        let acquire =
            |count| -> Vec<_> { (0..count).map_while(|i| pool.try_acquire(i).ok()).collect() };
        drop(acquire(10));
        pool.set_capacity(2);
        assert_eq!(acquire(10).len(), 2);
        // With more leased than it allows: as they come home, not one goes out.
        pool.set_capacity(10);
        let mut leases = acquire(10);
        pool.set_capacity(3);
        while leases.pop().is_some() {
            let room = 3usize.saturating_sub(leases.len());
            assert_eq!(acquire(10).len(), room, "beside {}", leases.len());
        }
        // A trim takes the surplus away, and the fast path comes back.
        pool.trim(Level::Full);
        assert!(pool.stats().created <= 3);
        assert_eq!(acquire(10).len(), 3);
        pool.set_capacity(5);
        assert_eq!(acquire(10).len(), 5);
        for _ in 0..200 {
            drop(pool.try_acquire(1));
        }
        let before = pool.stats().hits;
        drop(pool.try_acquire(1));
        assert_eq!(pool.stats().hits, before + 1);
    }
    check(&FixedPool::new(10));
    check(&LocalFixedPool::new_local(10));
}

/// Once, an acquire that may grow beyond the capacity never came back.
#[test]
fn a_lowered_capacity_leaves_room_to_grow() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>) {
        let acquire = || (0..30).map_while(|i| pool.acquire(i).ok());
        let leases: Vec<_> = acquire().take(10).collect();
        pool.set_capacity(2);
        let more: Vec<_> = acquire().collect();
        assert_eq!(leases.len() + more.len(), 2 + 15);
        assert!(pool.try_acquire(1).is_err());
    }
    let builder = FixedPool::builder(10).exhaustion(Exhaustion::Grow { extra: 15 });
    let limit = {
        let pool = builder.clone().build();
        (0..100)
            .map_while(|i| pool.acquire(i).ok())
            .collect::<Vec<_>>()
            .len()
    };
    assert_eq!(limit, 25, "what `extra` means");
    check(&builder.clone().build());
    check(&builder.build_local());
}

/// Polls those who wait, who keep what they are given; answers how many were served.
fn served<'p, F>(waiting: &mut Vec<Pin<Box<F>>>) -> usize
where
    F: Future<Output = Result<Lease<'p, u64>, Refused<u64>>>,
{
    let mut context = Context::from_waker(Waker::noop());
    let before = waiting.len();
    waiting.retain_mut(|future| match future.as_mut().poll(&mut context) {
        Poll::Pending => true,
        Poll::Ready(lease) => {
            std::mem::forget(lease.expect("open"));
            false
        }
    });
    before - waiting.len()
}

/// Once, whoever waited was given what a lower capacity had taken away.
#[test]
#[cfg_attr(miri, ignore = "leaks on purpose, which Miri reports")]
fn a_lowered_capacity_counts_for_those_who_wait() {
    let pool = FixedPool::<u64>::new(3);
    let mut leases: Vec<_> = (0..3).map(|i| pool.try_acquire(i).unwrap()).collect();
    let mut waiting: Vec<_> = (0..3).map(|i| Box::pin(pool.acquire_async(i))).collect();
    assert_eq!(served(&mut waiting), 0);
    pool.set_capacity(1);
    leases.pop();
    assert_eq!(served(&mut waiting), 0, "two are leased of one");
    assert!(pool.try_acquire(9).is_err());
    leases.pop();
    assert_eq!(served(&mut waiting), 0, "one is leased of one");
    leases.pop();
    assert_eq!(served(&mut waiting), 1);
    pool.trim(Level::Full);
    assert_eq!(served(&mut waiting), 0);
    pool.set_capacity(3);
    assert_eq!(served(&mut waiting), 2, "what was kept back is given");
    assert_eq!(pool.stats().in_use, 3);
}

/// The high-water mark is an upper bound of what was leased.
#[test]
fn high_water_counts_what_was_handed_over() {
    let pool = FixedPool::<u64>::new(1);
    let one = pool.try_acquire(1).unwrap();
    let seen = std::sync::Barrier::new(4);
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                let lease = pool.acquire_timeout(2, Duration::from_secs(60)).unwrap();
                seen.wait(); // They have it, and
                seen.wait(); // the figures were looked at.
                drop(lease);
            });
        }
        while pool.stats().waiting < 3 {
            std::thread::yield_now();
        }
        pool.set_capacity(4);
        seen.wait();
        let stats = pool.stats();
        seen.wait();
        assert_eq!(stats.in_use, 4);
        assert!(stats.high_water >= 4, "{stats:?}");
    });
    drop(one);
}

/// Once, a waker that panicked took the wake-ups of others with it.
#[test]
fn a_waker_that_panics_does_not_lose_items() {
    use std::future::Future;
    use std::task::{Context, Wake, Waker};
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("bad waker")
        }
    }
    let pool = FixedPool::<u64>::new(1);
    let _held = pool.try_acquire(0).unwrap();
    let bad = Waker::from(Arc::new(Bad));
    let mut first = Box::pin(pool.acquire_async(1));
    assert!(
        first
            .as_mut()
            .poll(&mut Context::from_waker(&bad))
            .is_pending()
    );
    let mut second = Box::pin(pool.acquire_async(2));
    assert!(
        second
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.set_capacity(3)));
    assert!(r.is_err());
    // Two items exist now, for two waiters.
    assert!(
        second
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready(),
        "{:?}",
        pool.stats()
    );
}

/// Once, this aborted in a build for the address sanitizer: the slot was released
/// before it was marked as leased.
#[test]
fn a_panicking_constructor_gives_its_slot_back() {
    let pool = FixedPool::<u64>::new(1);
    drop(pool.try_acquire(1).unwrap());
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(pool.try_acquire_with(|| panic!("constructor")));
    }));
    assert!(r.is_err());
    assert!(pool.try_acquire(1).is_ok());
}
