//! What a lease promises: reuse, ends, destructors, children.

use millpond_arena::{
    ArenaManager, Diagnosis, Discarded, Lease, LeaseError, Level, Limit, Scope, ScopeConfig,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

const SCOPE: Scope = Scope::Json;

fn small() -> ArenaManager {
    let mut builder = ArenaManager::builder();
    builder.configure(SCOPE, ScopeConfig::of(8 << 10).with_limit(1 << 20));
    builder.build().expect("figures that agree")
}

/// Notes its number when it is dropped.
struct Noted(usize, Arc<Mutex<Vec<usize>>>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.lock().expect("nobody panics with it").push(self.0);
    }
}

#[test]
fn an_arena_is_reused_and_empty() {
    let manager = small();
    let first = manager.lease(SCOPE).expect("memory");
    let address = first.alloc(1u64).expect("room") as *mut u64 as usize;
    assert_eq!(first.used_bytes(), 8);
    drop(first);
    let second = manager.lease(SCOPE).expect("memory");
    assert_eq!(second.used_bytes(), 0);
    let again = second.alloc(2u64).expect("room") as *mut u64 as usize;
    assert_eq!(address, again, "the same place");
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!((stats.builds, stats.live, stats.parked), (1, 1, 0));
}

#[test]
fn leases_at_the_same_time_have_arenas_of_their_own() {
    let manager = small();
    let leases: Vec<Lease<'static>> = (0..20)
        .map(|_| manager.lease(SCOPE).expect("memory"))
        .collect();
    let slices: Vec<&mut [usize]> = leases
        .iter()
        .enumerate()
        .map(|(n, lease)| lease.alloc_slice_fill_copy(400, n).expect("room"))
        .collect();
    for (n, slice) in slices.iter().enumerate() {
        assert!(slice.iter().all(|&number| number == n));
    }
    drop(leases);
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!((stats.live, stats.parked, stats.leases), (0, 20, 20));
}

#[test]
fn a_lease_may_end_on_another_thread_and_after_its_manager() {
    let manager = small();
    let lease = manager.lease(SCOPE).expect("memory");
    let log = Arc::default();
    lease.alloc_drop(Noted(7, Arc::clone(&log))).expect("room");
    drop(manager);
    assert!(matches!(
        lease.child(),
        Err(LeaseError::Refused(error)) if *error.limit() == Limit::Closed
    ));
    thread::spawn(move || drop(lease)).join().expect("no panic");
    assert_eq!(*log.lock().expect("quiet"), [7]);
}

#[test]
fn an_arena_that_came_home_elsewhere_is_found_by_whoever_wants_one() {
    let manager = small();
    let (sender, receiver) = mpsc::channel::<Lease<'static>>();
    let (done, ended) = mpsc::channel();
    let there = thread::spawn(move || {
        for lease in receiver {
            drop(lease);
            done.send(()).expect("somebody waits");
        }
    });
    for _ in 0..if cfg!(miri) { 8 } else { 200 } {
        sender
            .send(manager.lease(SCOPE).expect("memory"))
            .expect("it listens");
        ended.recv().expect("it goes on");
    }
    drop(sender);
    there.join().expect("no panic");
    let leases: Vec<_> = (0..2).map(|_| manager.lease(SCOPE)).collect();
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!(stats.live, leases.len());
    assert!(stats.builds <= 16, "{stats:?}");
}

#[test]
fn destructors_run_last_in_first_out() {
    let manager = small();
    let log: Arc<Mutex<Vec<usize>>> = Arc::default();
    let mut lease = manager.lease(SCOPE).expect("memory");
    for round in 0..2 {
        for n in 0..3 {
            lease.alloc_drop(Noted(n, Arc::clone(&log))).expect("room");
            let log = Arc::clone(&log);
            lease
                .defer(move || log.lock().expect("quiet").push(10 + n))
                .expect("room");
        }
        if round == 0 {
            lease.reset();
        }
    }
    drop(lease);
    let once = [12, 2, 11, 1, 10, 0];
    assert_eq!(*log.lock().expect("quiet"), [once, once].concat());
    drop(manager.lease(SCOPE).expect("memory"));
    assert_eq!(log.lock().expect("quiet").len(), 12, "and only once");
}

#[test]
fn a_large_value_with_a_destructor_is_dropped_before_it_is_freed() {
    struct Huge([u8; 40_000], Arc<AtomicUsize>);
    impl Drop for Huge {
        fn drop(&mut self) {
            let sum: usize = self.0.iter().map(|&byte| usize::from(byte)).sum();
            self.1.store(sum, Ordering::Relaxed);
        }
    }
    let manager = small();
    let sum = Arc::new(AtomicUsize::new(0));
    let lease = manager.lease(SCOPE).expect("memory");
    lease
        .alloc_drop(Huge([1; 40_000], Arc::clone(&sum)))
        .expect("room");
    assert!(lease.held_bytes() > 40_000);
    drop(lease);
    assert_eq!(sum.load(Ordering::Relaxed), 40_000);
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a second panic is forgotten on purpose, and Miri calls it a leak"
)]
fn a_destructor_that_panics_keeps_nobody_from_running() {
    let manager = small();
    let log: Arc<Mutex<Vec<usize>>> = Arc::default();
    for in_reset in [false, true] {
        log.lock().expect("quiet").clear();
        let mut lease = manager.lease(SCOPE).expect("memory");
        lease.alloc_drop(Noted(1, Arc::clone(&log))).expect("room");
        lease.defer(|| panic!("first to run")).expect("room");
        lease.alloc_drop(Noted(2, Arc::clone(&log))).expect("room");
        lease.defer(|| panic!("really first")).expect("room");
        let panic = catch_unwind(AssertUnwindSafe(move || {
            if in_reset {
                lease.reset();
            }
            drop(lease);
        }))
        .expect_err("the panic goes on");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"really first"));
        assert_eq!(*log.lock().expect("quiet"), [2, 1]);
    }
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert_eq!(stats.live, 0, "no arena was lost");
    assert_eq!(stats.discarded(Discarded::Panicked), 1);
}

#[test]
fn a_destructor_that_panics_while_unwinding_does_not_abort() {
    let manager = small();
    let panic = catch_unwind(|| {
        let lease = manager.lease(SCOPE).expect("memory");
        lease.defer(|| panic!("second")).expect("room");
        panic!("first");
    })
    .expect_err("it panics");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"first"));
    assert_eq!(manager.scope_stats(SCOPE).expect("built in").live, 0);
}

/// Found by the fuzz target: a callback that was refused was forgotten.
#[test]
fn what_is_refused_is_dropped_without_being_called() {
    let mut builder = ArenaManager::builder();
    builder.configure(SCOPE, ScopeConfig::of(4096).with_limit(4096));
    let manager = builder.build().expect("figures that agree");
    let lease = manager.lease(SCOPE).expect("memory");
    while lease.alloc(0_u64).is_ok() {}
    let log: Arc<Mutex<Vec<usize>>> = Arc::default();
    let noted = Noted(1, Arc::clone(&log));
    let callback = move || {
        let noted = noted;
        panic!("called {}", noted.0)
    };
    assert!(lease.defer(callback).is_err());
    assert!(lease.alloc_drop(Noted(2, Arc::clone(&log))).is_err());
    assert_eq!(*log.lock().expect("quiet"), [1, 2]);
}

#[test]
fn a_destructor_may_use_the_manager() {
    let manager = small();
    let lease = manager.lease(SCOPE).expect("memory");
    let inside = manager.clone();
    lease
        .defer(move || {
            let lease = inside.lease(SCOPE).expect("memory");
            lease.alloc(1).expect("room");
            inside.trim(Level::Full);
        })
        .expect("room");
    drop(lease);
    assert_eq!(manager.scope_stats(SCOPE).expect("built in").leases, 2);
}

#[test]
fn constructors_that_panic_lose_no_arena() {
    let manager = small();
    let lease = manager.lease(SCOPE).expect("memory");
    let panicking = || -> u64 { panic!("constructor") };
    assert!(catch_unwind(AssertUnwindSafe(|| lease.alloc_with(panicking).map(|_| ()))).is_err());
    let filling = |n: usize| if n < 5 { n } else { panic!("filling") };
    let filled = || lease.alloc_slice_fill_with(10, filling).map(|_| ());
    assert!(catch_unwind(AssertUnwindSafe(filled)).is_err());
    assert_eq!(*lease.alloc(5).expect("room"), 5);
    assert!(
        lease
            .alloc_try_with(|| Err::<u8, _>("refused"))
            .expect("room")
            .is_err()
    );
}

#[test]
fn a_child_is_an_arena_of_its_own() {
    let manager = small();
    let parent = manager.lease(SCOPE).expect("memory");
    let mut kept = parent.vec();
    {
        let child = parent.child().expect("memory");
        let grandchild = manager.lease_under(&child, Scope::Search).expect("memory");
        let number = child.alloc(3).expect("room");
        // Grows in the parent while the child is out.
        for n in 0..1000 {
            kept.push(n).expect("room");
        }
        let numbers = grandchild.alloc_slice_copy(&kept).expect("room");
        assert_eq!(numbers[999] + *number, 1002);
    }
    assert!(kept.iter().copied().eq(0..1000));
}

#[test]
#[cfg_attr(miri, ignore = "leaks on purpose, which Miri reports")]
fn a_forgotten_lease_stays_live_and_harms_nobody() {
    let manager = small();
    std::mem::forget(manager.lease(SCOPE).expect("memory"));
    assert_eq!(manager.trim(Level::Full).leased, 1);
    drop(manager.lease(SCOPE).expect("memory"));
    assert_eq!(manager.scope_stats(SCOPE).expect("built in").live, 1);
}

#[test]
fn a_scope_of_another_manager_is_refused_by_name() {
    let mut builder = ArenaManager::builder();
    let own = builder.own_scope("own", ScopeConfig::of(4096));
    let error = ArenaManager::new().lease(own).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "own scope 0 is unknown to this manager, which has 0"
    );
    let manager = builder.build().expect("good");
    assert_eq!(manager.lease(own).expect("memory").scope_name(), "own");
}

#[test]
fn diagnostics_name_the_holder() {
    let manager = small();
    manager.set_diagnosis(Diagnosis::Full);
    let lease = manager.lease(SCOPE).expect("memory");
    let holders = manager.holders();
    assert_eq!(holders.len(), 1);
    assert_eq!(holders[0].0, "json");
    assert!(holders[0].1.location.file().ends_with("leases.rs"));
    drop(lease);
    assert!(manager.holders().is_empty());
    manager.set_diagnosis(Diagnosis::Off);
    for _ in 0..200 {
        drop(manager.lease(SCOPE).expect("memory"));
    }
    assert!(manager.holders().is_empty());
}

#[test]
fn types_are_what_threads_need() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    fn unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    send::<Lease<'static>>();
    send::<ArenaManager>();
    sync::<ArenaManager>();
    unwind_safe::<ArenaManager>();
    unwind_safe::<Lease<'static>>();
    send::<millpond_arena::UnboundVec<'static, u8>>();
    sync::<millpond_arena::UnboundVec<'static, u8>>();
    assert_eq!(size_of::<Lease<'static>>(), size_of::<usize>());
}
