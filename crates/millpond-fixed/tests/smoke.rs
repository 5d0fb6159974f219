//! Smoke.
use millpond_fixed::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn n_means_n_across_threads() {
    for n in [1usize, 2, 3, 16, 64, 200] {
        let pool = Arc::new(FixedPool::<usize>::new(n));
        // hoard on another thread
        {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let leases: Vec<_> = (0..n).map(|i| pool.try_acquire(i).unwrap()).collect();
                assert!(pool.try_acquire(0).is_err());
                drop(leases);
            })
            .join()
            .unwrap();
        }
        let leases: Vec<_> = (0..n).map(|i| pool.try_acquire(i).unwrap()).collect();
        assert!(pool.try_acquire(0).is_err());
        for (i, l) in leases.iter().enumerate() {
            assert_eq!(**l, i);
        }
        drop(leases);
        let s = pool.stats();
        assert_eq!(s.in_use, 0, "{s:?}");
        assert_eq!(s.acquires, 2 * n as u64);
    }
}

#[test]
fn churn() {
    let pool = Arc::new(FixedPool::<u64>::new(40));
    let threads: Vec<_> = (0..4)
        .map(|t| {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let mut held = Vec::new();
                let mut x = t as u64 + 1;
                let mut fails = 0;
                for _ in 0..200_000 {
                    x ^= x << 13;
                    x ^= x >> 7;
                    x ^= x << 17;
                    if x % 2 == 0 || held.len() > 15 {
                        if !held.is_empty() {
                            let (l, v): (Lease<'_, u64>, u64) =
                                held.swap_remove(x as usize % held.len());
                            assert_eq!(*l, v);
                        }
                    } else {
                        match pool.try_acquire(x) {
                            Ok(l) => held.push((unsafe { std::mem::transmute(l) }, x)),
                            Err(_) => fails += 1,
                        }
                    }
                }
                fails
            })
        })
        .collect();
    let fails: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    let s = pool.stats();
    println!("{fails:?} {s:?}");
    assert_eq!(s.in_use, 0);
    assert!(s.created <= 40);
}

#[test]
fn blocking() {
    let pool = FixedPool::<u64>::new(2);
    let served = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..2000 {
                    let l = pool.acquire_timeout(7, Duration::from_secs(10)).unwrap();
                    assert_eq!(*l, 7);
                    served.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(served.into_inner(), 8000);
    let _a = pool.try_acquire(1).unwrap();
    let _b = pool.try_acquire(1).unwrap();
    let t = Instant::now();
    assert!(pool.acquire_timeout(1, Duration::from_millis(30)).is_err());
    assert!(t.elapsed() >= Duration::from_millis(30));
}

#[test]
fn owned() {
    let pool = FixedPool::<String>::new(100).into_handle();
    let ls: Vec<_> = (0..100)
        .map(|i| pool.try_acquire_owned(format!("{i}")).unwrap())
        .collect();
    drop(pool);
    std::thread::spawn(move || drop(ls)).join().unwrap();
}

#[test]
fn trim_frees_everything() {
    let pool = FixedPool::<[u64; 8]>::new(10_000);
    let v: Vec<_> = (0..10_000)
        .map(|i| pool.try_acquire([i; 8]).unwrap())
        .collect();
    println!("{:?}", pool.stats());
    drop(v);
    println!("{:?}", pool.trim(Level::Full));
    println!("{:?}", pool.stats());
    assert_eq!(pool.stats().held_bytes, 0);
    let local = LocalFixedPool::<[u64; 8]>::new_local(10_000);
    let v: Vec<_> = (0..10_000)
        .map(|i| local.try_acquire([i; 8]).unwrap())
        .collect();
    assert!(local.try_acquire([0; 8]).is_err());
    drop(v);
    assert_eq!(local.trim(Level::Full).freed_items, 10_000);
}
