//! User code that a refused charge runs may use the pool that made the charge.
use millpond_core::budget::{Budget, Charge, Reclaim};
use millpond_fixed::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

fn within(seconds: u64, f: impl FnOnce() + Send + 'static) {
    let (done, wait) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        f();
        let _ = done.send(());
    });
    match wait.recv_timeout(Duration::from_secs(seconds)) {
        Ok(()) => thread.join().unwrap(),
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("deadlock"),
        Err(_) => std::panic::resume_unwind(thread.join().unwrap_err()),
    }
}

/// Gives its ballast back, then uses the pool.
struct User {
    ballast: Mutex<Option<Charge>>,
    pool: Mutex<Option<Arc<FixedPool<u64>>>>,
    f: fn(&FixedPool<u64>),
    calls: AtomicUsize,
}
impl Reclaim for User {
    fn reclaim(&self, wanted: usize) -> usize {
        let Some(ballast) = self.ballast.lock().unwrap().take() else {
            return 0;
        };
        drop(ballast);
        self.calls.fetch_add(1, Ordering::Relaxed);
        let pool = self.pool.lock().unwrap().clone().unwrap();
        (self.f)(&pool);
        wanted
    }
}

fn user(
    budget: &Budget,
    pool: &Arc<FixedPool<u64>>,
    f: fn(&FixedPool<u64>),
) -> (Arc<User>, millpond_core::budget::Membership) {
    let user = Arc::new(User {
        ballast: Mutex::new(None),
        pool: Mutex::new(Some(pool.clone())),
        f,
        calls: AtomicUsize::new(0),
    });
    let dynamic: Arc<dyn Reclaim> = user.clone();
    let membership = budget.register(Arc::downgrade(&dynamic) as Weak<dyn Reclaim>);
    (user, membership)
}

/// Fills the budget to the brim with ballast that `reclaim` gives back.
fn brim(budget: &Budget, user: &User) {
    let rest = budget.limit() - budget.held();
    *user.ballast.lock().unwrap() = Some(budget.try_charge(rest).unwrap());
}

/// Once, filing a cache ran the reclaimers of the budget; one that used the pool
/// on the same thread filed a cache of its own, and its items were lost.
#[test]
fn a_cache_is_filed_without_running_user_code() {
    let budget = Budget::new("b", 1 << 20);
    let pool = Arc::new(FixedPool::<u64>::builder(40).budget(&budget).build());
    // This thread, which keeps its id, makes the items, one of which stays out.
    let mut leases: Vec<_> = (0..40).map(|i| pool.try_acquire(i).unwrap()).collect();
    leases.truncate(1);
    pool.trim(Level::Moderate); // the others are in the depot now
    let (user, _membership) = user(&budget, &pool, |pool| {
        drop(
            (0..10)
                .map(|i| pool.try_acquire(i).unwrap())
                .collect::<Vec<_>>(),
        );
    });
    brim(&budget, &user);
    let p = pool.clone();
    std::thread::spawn(move || {
        let lease = p.try_acquire(1).unwrap(); // first use on this thread: file_cache
        drop(lease);
        // `calls` is checked below.
        let all: Vec<_> = (0..39).map_while(|i| p.try_acquire(i).ok()).collect();
        assert_eq!(all.len(), 39, "{:?}", p.stats());
    })
    .join()
    .unwrap();
    // Under Miri slabs are tiny: the trim gives some back, and new ones may ask.
    if cfg!(not(miri)) {
        assert_eq!(user.calls.load(Ordering::Relaxed), 0);
    }
}

/// Once, a reclaimer that used the pool while its cache was being enlarged could
/// enlarge it further, and its entries were copied past the end.
#[test]
#[cfg_attr(
    miri,
    ignore = "a hundred thousand acquires, minutes of interpretation"
)]
fn a_cache_is_enlarged_once_whoever_runs_meanwhile() {
    let budget = Budget::new("b", 1 << 20);
    let pool = Arc::new(FixedPool::<u64>::builder(2000).budget(&budget).build());
    let (user, _membership) = user(&budget, &pool, |pool| {
        for _ in 0..20 {
            drop(
                (0..300)
                    .map(|i| pool.try_acquire(i).unwrap())
                    .collect::<Vec<_>>(),
            );
        }
    });
    let p = pool.clone();
    let u = user.clone();
    let b = budget.clone();
    std::thread::spawn(move || {
        // A cache without magazines: room for the cache (128 + 88 bytes) only.
        let items: Vec<_> = (0..300).map(|i| p.try_acquire(i).unwrap()).collect();
        drop(items);
        p.trim(Level::Full); // takes the magazines away
        brim(&b, &u);
        drop(
            (0..1)
                .map(|i| p.try_acquire(i).unwrap())
                .collect::<Vec<_>>(),
        );
        for _ in 0..50 {
            let all: Vec<_> = (0..2000).map(|i| p.try_acquire(i).unwrap()).collect();
            let mut addresses: Vec<_> = all.iter().map(|l| &raw const **l as usize).collect();
            addresses.sort_unstable();
            addresses.dedup();
            assert_eq!(addresses.len(), 2000);
        }
    })
    .join()
    .unwrap();
    assert_eq!(user.calls.load(Ordering::Relaxed), 1);
}

/// Once, growth held a lock while reclaimers ran, and one that raised the capacity
/// waited for itself.
#[test]
fn a_reclaimer_may_raise_the_capacity() {
    within(10, || {
        let budget = Budget::new("b", 1 << 20);
        let pool = Arc::new(
            FixedPool::<u64>::builder(usize::MAX)
                .budget(&budget)
                .build(),
        );
        let (user, _membership) = user(&budget, &pool, |pool| pool.set_capacity(1 << 20));
        // Items exist; none is free; the budget is full, so a waiter enqueues.
        let mut leases = vec![];
        while leases.is_empty() {
            leases.push(pool.try_acquire(0).unwrap());
        }
        let full = budget.try_charge(budget.limit() - budget.held()).unwrap();
        while let Ok(lease) = pool.try_acquire(0) {
            leases.push(lease);
        }
        let waiter = {
            let pool = pool.clone();
            std::thread::spawn(move || drop(pool.acquire_timeout(0, Duration::from_secs(5))))
        };
        while pool.stats().waiting == 0 {
            std::thread::yield_now();
        }
        drop(full);
        brim(&budget, &user);
        let _ = pool.try_acquire(0);
        drop(leases);
        waiter.join().unwrap();
    });
}

/// The same for a reclaimer that acquires, in a thread that never did before.
#[test]
fn a_reclaimer_may_acquire_in_a_fresh_thread() {
    within(10, || {
        let budget = Budget::new("b", 1 << 20);
        let pool = Arc::new(FixedPool::<u64>::builder(1).budget(&budget).build());
        let (user, _membership) = user(&budget, &pool, |pool| {
            let _ = pool.try_acquire(0).map(|_| ());
        });
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let holder = {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let l = pool.try_acquire(0).unwrap();
                gone.recv().unwrap();
                drop(l);
            })
        };
        while pool.stats().in_use == 0 {
            std::thread::yield_now();
        }
        let waiter = {
            let pool = pool.clone();
            std::thread::spawn(move || drop(pool.acquire_timeout(0, Duration::from_secs(5))))
        };
        while pool.stats().waiting == 0 {
            std::thread::yield_now();
        }
        brim(&budget, &user);
        pool.set_capacity(100_000); // this thread never acquired
        go.send(()).unwrap();
        holder.join().unwrap();
        waiter.join().unwrap();
    });
}

/// A budget that is full makes every single operation ask everybody to trim.
#[test]
fn a_full_budget_is_not_asked_again_by_every_operation() {
    struct Count(AtomicUsize);
    impl Reclaim for Count {
        fn reclaim(&self, _: usize) -> usize {
            self.0.fetch_add(1, Ordering::Relaxed);
            0
        }
    }
    let budget = Budget::new("b", 1 << 20);
    let pool = Arc::new(FixedPool::<u64>::builder(40).budget(&budget).build());
    let lease = pool.try_acquire(0).unwrap();
    let _full = budget.try_charge(budget.limit() - budget.held()).unwrap();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let dynamic: Arc<dyn Reclaim> = count.clone();
    let _m = budget.register(Arc::downgrade(&dynamic));
    {
        let pool = pool.clone();
        std::thread::spawn(move || {
            for i in 0..1000 {
                drop(pool.try_acquire(i).unwrap());
            }
        })
        .join()
        .unwrap();
    }
    drop(lease);
    let asked = count.0.load(Ordering::Relaxed);
    assert!(
        asked < 10,
        "1000 pairs asked everybody to trim {asked} times"
    );
}

/// A pool behind a handle gives its free slots back when another pool of its
/// budget needs the bytes.
#[test]
fn a_budget_takes_from_an_idle_pool_what_another_one_needs() {
    const SIZE: usize = 1024;
    const COUNT: usize = if cfg!(miri) { 16 } else { 80 };
    let budget = Budget::new("both", (COUNT + 20) * SIZE);
    let pool = || {
        let builder = FixedPool::<[u8; SIZE]>::builder(COUNT + 10).budget(&budget);
        builder.build().into_handle()
    };
    let (idle, busy) = (pool(), pool());
    for pool in [&idle, &busy, &idle] {
        let leases: Vec<_> = (0..COUNT).map(|_| pool.try_acquire([1; SIZE])).collect();
        assert!(leases.iter().all(Result::is_ok), "{:?}", pool.stats());
        assert!(budget.held() <= budget.limit());
    }
    drop((idle, busy));
    assert_eq!(budget.held(), 0);
}
