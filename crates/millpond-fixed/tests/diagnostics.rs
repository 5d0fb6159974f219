//! Proves that diagnostics tell the truth and do no harm: who holds what since
//! when and from which line, writes into free slots, releases that must not be;
//! at each level, switched while threads run, from the environment; and that
//! hooks are told of every event, may use the pool, and lose nothing by
//! panicking.
#![cfg(feature = "std")]

use millpond_core::engine::Released;
use millpond_core::entry::Entry;
use millpond_core::event::{Event, EventHook};
use millpond_core::observe::Observe;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use millpond_fixed::{
    Clear, Diagnosis, Exhaustion, FixedPool, Holder, Level, Local, LocalFixedPool, Mode, ObjectPool,
};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// What a hook was told: pool and event, as text.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn hook(&self) -> EventHook {
        let notes = Arc::clone(&self.0);
        EventHook::new(move |pool, event| {
            let note = format!("{pool}: {event:?}");
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.push(note);
        })
    }

    fn take(&self) -> Vec<String> {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut notes)
    }
}

fn lines(holders: &[Holder]) -> Vec<u32> {
    holders
        .iter()
        .map(|holder| holder.location.line())
        .collect()
}

// ---- How long ------------------------------------------------------------------------------

#[test]
fn hold_times_are_sampled_at_every_level_but_off() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>, level: Diagnosis, at_least: u64) {
        pool.set_diagnosis(level);
        for value in 0..10 {
            let lease = pool.try_acquire(value).expect("room for four");
            thread::sleep(Duration::from_micros(50));
            drop(lease);
        }
        let held = Observe::sampled(pool).hold_ns;
        assert!(held.count() >= at_least, "{level:?}: {held:?}");
        assert!(level != Diagnosis::Off || held.is_empty());
        assert!(held.sum() >= held.count() * 50_000, "{level:?}: {held:?}");
    }
    for (level, at_least) in [
        (Diagnosis::Off, 0),
        (Diagnosis::Sampled, 1),
        (Diagnosis::Full, 10),
    ] {
        check(&FixedPool::new(4), level, at_least);
        check(&LocalFixedPool::new_local(4), level, at_least);
    }
}

#[test]
fn waiting_is_counted_and_timed_for_threads_and_tasks() {
    let pool = FixedPool::<u64>::new(1);
    let lease = pool.try_acquire(1).expect("free");
    let pause = Duration::from_millis(2);
    assert!(pool.acquire_timeout(2, pause).is_err());
    let stats = pool.stats();
    assert_eq!((stats.waits, stats.timeouts), (1, 1));
    assert!(stats.wait_ns >= 2_000_000);

    let mut context = Context::from_waker(Waker::noop());
    let mut future = Box::pin(pool.acquire_async(3));
    assert!(future.as_mut().poll(&mut context).is_pending());
    thread::sleep(pause);
    drop(lease);
    assert!(future.as_mut().poll(&mut context).is_ready());
    let stats = pool.stats();
    assert_eq!((stats.waits, stats.timeouts), (2, 1));
    assert!(stats.wait_ns >= 4_000_000);
}

// ---- Who holds what -----------------------------------------------------------------------

/// Every way to acquire, by the line that it is called on.
#[test]
fn a_holder_is_known_by_the_line_of_its_acquire() {
    let policy = Exhaustion::Fallback { at_most: 1 };
    let pool = FixedPool::<u64>::builder(8).exhaustion(policy).build();
    pool.set_diagnosis(Diagnosis::Full);
    let pool = pool.into_handle();
    let second = Duration::from_secs(1);
    let mut context = Context::from_waker(Waker::noop());
    let mut expected = vec![line!() + 1];
    let a = pool.try_acquire(1);
    expected.push(line!() + 1);
    let b = pool.try_acquire_with(|| 2);
    expected.push(line!() + 1);
    let c = pool.acquire(3);
    expected.push(line!() + 1);
    let d = pool.acquire_timeout(4, second);
    expected.push(line!() + 1);
    let e = pool.try_acquire_owned(5);
    expected.push(line!() + 1);
    let f = pool.acquire_owned(6);
    expected.push(line!() + 1);
    let mut g = pin!(pool.acquire_async(7));
    let g = g.as_mut().poll(&mut context);
    expected.push(line!() + 1);
    let mut h = pin!(pool.acquire_owned_async(8));
    let h = h.as_mut().poll(&mut context);
    expected.push(line!() + 1);
    let i = pool.acquire(9);
    assert_eq!(pool.stats().fallback_in_use, 1, "the last is on the heap");

    let holders = pool.holders();
    assert_eq!(lines(&holders), expected, "{holders:#?}");
    assert!(
        holders
            .iter()
            .all(|holder| holder.location.file() == file!())
    );
    let here = thread::current().id();
    assert!(holders.iter().all(|holder| holder.thread == here));
    drop((a, b, c, d, e, f, g, h, i));
    assert_eq!(pool.holders(), []);
}

#[test]
fn holders_are_listed_longest_first() {
    let pool = FixedPool::<u64>::new(8);
    pool.set_diagnosis(Diagnosis::Full);
    let pause = Duration::from_millis(5);
    let mut leases = Vec::new();
    for i in 0..4 {
        leases.push(pool.try_acquire(i).expect("free"));
        thread::sleep(pause);
    }
    leases.swap(0, 3);
    leases.pop();
    let holders = pool.holders();
    assert_eq!(holders.len(), 3);
    let places: Vec<_> = [2, 1, 0]
        .map(|i| std::ptr::from_ref(&*leases[i]).addr())
        .into_iter()
        .collect();
    let listed: Vec<_> = holders
        .iter()
        .map(|holder| holder.item.as_ptr().addr().get())
        .collect();
    // 1 and 2 in the order of their acquires, then 3, which is at position 0.
    assert_eq!(listed, [places[1], places[0], places[2]]);
    assert!(holders.iter().rev().is_sorted_by_key(|holder| holder.held));
    assert!(holders[0].held >= 3 * pause);
}

#[test]
fn a_record_ends_with_its_lease_wherever_that_ends() {
    let pool = FixedPool::<String>::new(8);
    pool.set_diagnosis(Diagnosis::Full);
    let lease = |text: &str| pool.try_acquire(text.to_owned()).expect("free");
    assert_eq!(lease("moved out").into_inner(), "moved out");
    assert_eq!(pool.holders(), []);
    let sent = lease("elsewhere");
    assert_eq!(pool.holders().len(), 1);
    thread::scope(|scope| scope.spawn(|| drop(sent)).join()).expect("no panic");
    assert_eq!(pool.holders(), []);
    let lent = lease("unwinding");
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _lent = lent;
        panic!("while holding");
    }));
    assert!(outcome.is_err());
    assert_eq!(pool.holders(), []);
    let there = thread::scope(|scope| {
        let acquire = || (pool.try_acquire("there".into()), thread::current().id());
        scope.spawn(acquire).join().expect("no panic")
    });
    assert_eq!(pool.holders()[0].thread, there.1);
}

#[test]
fn a_leak_is_reported_with_its_line() {
    static POOL: FixedPool<u64> = FixedPool::new(4);
    POOL.set_diagnosis(Diagnosis::Full);
    drop(POOL.try_acquire(1));
    let line = line!() + 1;
    std::mem::forget(POOL.try_acquire(2));
    drop(POOL.try_acquire(3));
    assert_eq!(lines(&POOL.holders()), [line]);
    POOL.set_diagnosis(Diagnosis::Off);
    assert_eq!(lines(&POOL.holders()), [line], "what is known stays known");
}

#[test]
fn each_level_records_what_it_says() {
    // What is held when nobody asks, and how many of five leases are known.
    fn known<M: Mode>(pool: &FixedPool<u64, M>, level: Diagnosis) -> (usize, usize) {
        pool.set_diagnosis(level);
        let warm = pool.try_acquire(0);
        let five: Vec<_> = (0..5).map(|i| pool.try_acquire(i)).collect();
        let known = pool.holders().len();
        // Whoever asks makes the next acquire of every thread a known one.
        let next = pool.try_acquire(6);
        let after = pool.holders().len();
        drop((warm, five, next));
        assert_eq!(pool.holders(), []);
        (known, after - known)
    }
    fn check<M: Mode>(pool: impl Fn() -> FixedPool<u64, M>) {
        assert_eq!(known(&pool(), Diagnosis::Off), (0, 0));
        assert_eq!(known(&pool(), Diagnosis::Full), (6, 1));
        let (sampled, after) = known(&pool(), Diagnosis::Sampled);
        let least = 1;
        let most = if cfg!(miri) { 6 } else { 2 };
        assert!((least..=most).contains(&sampled), "{sampled}");
        assert_eq!(after, 1);
    }
    check(|| FixedPool::new(100));
    check(|| LocalFixedPool::new_local(100));
}

/// Every way to acquire from a pool for one thread, by the line that it is called on.
#[test]
fn a_holder_in_a_local_pool_is_known_by_the_line_of_its_acquire() {
    let policy = Exhaustion::Fallback { at_most: 1 };
    let pool = FixedPool::<u64>::builder(4).exhaustion(policy);
    let pool = pool.build_local();
    let unseen = pool.try_acquire(0);
    pool.set_diagnosis(Diagnosis::Full);
    let mut expected = vec![line!() + 1];
    let a = pool.try_acquire(1);
    expected.push(line!() + 1);
    let b = pool.try_acquire_with(|| 2);
    expected.push(line!() + 1);
    let c = pool.acquire(3);
    expected.push(line!() + 1);
    let d = pool.acquire(4);
    assert_eq!(pool.stats().fallback_in_use, 1, "the last is on the heap");
    let holders = pool.holders();
    assert_eq!(lines(&holders), expected, "{holders:#?}");
    assert!(holders.is_sorted_by_key(|holder| std::cmp::Reverse(holder.held)));
    // What came home unseen is given out again, and seen.
    drop(unseen);
    let line = line!() + 1;
    let e = pool.try_acquire(5);
    assert_eq!(lines(&pool.holders())[4..], [line]);
    assert_eq!(c.map(millpond_fixed::Lease::into_inner), Ok(3));
    drop((a, b, d, e));
    assert_eq!(pool.holders(), []);
}

#[test]
fn objects_of_a_local_pool_have_holders() {
    let pool = ObjectPool::<String, _, Local>::new_local(4, Clear::keeping_all());
    pool.set_diagnosis(Diagnosis::Full);
    let line = line!() + 1;
    let object = pool.try_acquire();
    assert_eq!(lines(&pool.holders()), [line]);
    drop(object);
    assert_eq!(pool.holders(), []);
}

// ---- Damage --------------------------------------------------------------------------------

/// A write through a pointer that has outlived its lease is found when the slot
/// is lent again, with the offset of the first byte.
#[test]
#[cfg_attr(miri, ignore = "does what Miri is there to refuse")]
fn a_write_into_a_free_slot_is_told() {
    fn check<M: Mode>(pool: &FixedPool<[u8; 1024], M>, notes: &Notes, offset: usize) {
        pool.set_diagnosis(Diagnosis::Full);
        let mut lease = pool.try_acquire([0; 1024]).expect("free");
        let stale: *mut u8 = lease.as_mut_ptr();
        drop(lease);
        drop(pool.try_acquire([1; 1024]));
        assert!(notes.take().iter().all(|note| !note.contains("Damaged")));
        // SAFETY: the offset is inside the slot.
        let victim = unsafe { stale.add(offset) };
        // SAFETY: the slab is still there, and nobody else uses the free slot:
        // this is the bug that is to be found.
        unsafe { victim.write(7) };
        let lease = pool.try_acquire([2; 1024]).expect("free");
        let found = notes.take();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("hurt: Damaged"), "{found:?}");
        assert!(
            found[0].ends_with(&format!("offset: {offset} }}")),
            "{found:?}"
        );
        assert_eq!(*lease, [2; 1024], "the value is whole");
        drop(lease);
        // Told once.
        drop(pool.try_acquire([3; 1024]));
        assert_eq!(notes.take(), Vec::<String>::new());
    }
    for offset in [0, 1, 500, 1023] {
        let notes = Notes::default();
        let pool = FixedPool::<[u8; 1024]>::builder(1).name("hurt");
        let pool = pool.on_event(notes.hook());
        check(&pool.clone().build(), &notes, offset);
        check(&pool.build_local(), &notes, offset);
    }
}

/// No false alarms: not for slots that were never used, that were used while
/// nobody looked, or that lie where a slab was that has gone.
#[test]
fn whole_slots_are_not_called_damaged() {
    let notes = Notes::default();
    let pool = FixedPool::builder(8).on_event(notes.hook());
    leaves_slots_whole(&pool.clone().build());
    leaves_slots_whole(&pool.build_local());
    let damaged: Vec<String> = notes
        .take()
        .into_iter()
        .filter(|note| note.contains("Damaged"))
        .collect();
    assert_eq!(damaged, Vec::<String>::new());
}

/// Large enough for a slab that is mapped: the next one is likely to lie where
/// the last one was.
const SIZE: usize = if cfg!(miri) { 64 } else { 16384 };

fn leaves_slots_whole<M: Mode>(pool: &FixedPool<[u8; SIZE], M>) {
    let levels = [
        Diagnosis::Full,
        Diagnosis::Off,
        Diagnosis::Full,
        Diagnosis::Sampled,
        Diagnosis::Full,
        Diagnosis::Full,
    ];
    let rounds = if cfg!(miri) { 3 } else { 24 };
    for (round, level) in levels.into_iter().cycle().take(rounds).enumerate() {
        pool.set_diagnosis(level);
        for count in [8, 3, 8] {
            let leases: Vec<_> = (0..count)
                .map(|i| pool.try_acquire([i; SIZE]).expect("free"))
                .collect();
            for (i, lease) in (0..).zip(&leases) {
                assert_eq!(lease[..10], [i; 10]);
            }
            drop(leases);
            if round % 2 == 1 {
                pool.trim(Level::Full);
                assert_eq!(pool.stats().held_bytes, 0);
            }
        }
    }
}

// ---- Switching -----------------------------------------------------------------------------

#[test]
fn the_level_is_switched_while_threads_run() {
    let notes = Notes::default();
    let pool = FixedPool::<u64>::builder(40).on_event(notes.hook()).build();
    let stop = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..3 {
            let (pool, stop, served) = (&pool, &stop, &served);
            scope.spawn(move || {
                let mut round = seed;
                while !stop.load(Ordering::Relaxed) {
                    let leases: Vec<_> = (0..10).map(|i| pool.try_acquire(round + i)).collect();
                    for (i, lease) in (0..).zip(&leases) {
                        assert_eq!(**lease.as_ref().expect("enough for all"), round + i);
                    }
                    round += 1;
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let switches = if cfg!(miri) { 6 } else { 300 };
        for switch in 0..switches {
            pool.set_diagnosis([Diagnosis::Full, Diagnosis::Off, Diagnosis::Sampled][switch % 3]);
            assert!(pool.holders().len() <= 40);
            let before = served.load(Ordering::Relaxed);
            while switch % 10 == 0 && served.load(Ordering::Relaxed) == before {
                thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    pool.set_diagnosis(Diagnosis::Off);
    assert_eq!(pool.holders(), []);
    assert_eq!(pool.stats().in_use, 0);
    let all: Vec<_> = (0..41).map_while(|i| pool.try_acquire(i).ok()).collect();
    assert_eq!(all.len(), 40);
    let alarms: Vec<String> = notes
        .take()
        .into_iter()
        .filter(|note| note.contains("Damaged") || note.contains("Release"))
        .collect();
    assert_eq!(alarms, Vec::<String>::new());
}

/// Diagnostics that are off again cost nothing again.
#[test]
fn the_fast_path_comes_back_when_diagnostics_go() {
    fn check<M: Mode>(pool: &FixedPool<u64, M>, calm: u64) {
        pool.set_diagnosis(Diagnosis::Full);
        let pairs = |count: u64| {
            let before = pool.stats().hits;
            (0..count).for_each(|i| drop(pool.try_acquire(i)));
            pool.stats().hits - before
        };
        pairs(10);
        assert_eq!(pairs(20), 0, "every operation comes by");
        pool.set_diagnosis(Diagnosis::Off);
        pairs(calm);
        assert_eq!(pairs(20), 20, "every operation is a hit");
        let stats = pool.stats();
        let why = stats.misses_created + stats.misses_refilled + stats.misses_strict;
        assert_eq!(stats.misses, why);
    }
    // Calm releases after which caches open again.
    check(&FixedPool::new(100), if cfg!(miri) { 20 } else { 200 });
    check(&LocalFixedPool::new_local(100), 1);
}

/// A hook that is told of growth may take what has grown, and acquires of a local
/// pool go on until the capacity is out.
#[test]
#[cfg_attr(miri, ignore = "leaks on purpose, which Miri reports")]
fn a_hook_may_use_its_local_pool() {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static POOL: LocalFixedPool<u64> = FixedPool::builder(3)
            .on_event(EventHook::new(|_, event| {
                if matches!(event, Event::Grown { .. }) {
                    // As many as there are.
                    while let Ok(lease) = POOL.with(|pool| pool.try_acquire(1).map(std::mem::forget)) {
                        let () = lease;
                        TAKEN.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }))
            .build_local();
    }
    let refused = POOL.with(|pool| pool.try_acquire(7).map(std::mem::forget).map_err(drop));
    assert_eq!(refused, Err(()), "the hook has all of them");
    assert_eq!(TAKEN.load(Ordering::Relaxed), 3);
    assert_eq!(POOL.with(|pool| pool.stats().in_use), 3);
}

// ---- The environment --------------------------------------------------------------------------

/// The level is read once per process, so each value gets a process of its own:
/// this very test, which then says what it found.
#[test]
#[cfg_attr(miri, ignore = "starts processes")]
fn the_environment_sets_the_level_of_pools_that_were_not_told() {
    const CHILD: &str = "MILLPOND_TEST_SAY_LEVEL";
    const NAME: &str = "the_environment_sets_the_level_of_pools_that_were_not_told";
    if std::env::var_os(CHILD).is_some() {
        let local = LocalFixedPool::<u64>::new_local(10);
        let (asked, told) = (FixedPool::<u64>::new(10), FixedPool::<u64>::new(10));
        told.set_diagnosis(Diagnosis::Off);
        let leases: Vec<_> = (0..9)
            .map(|i| {
                (
                    asked.try_acquire(i),
                    told.try_acquire(i),
                    local.try_acquire(i),
                )
            })
            .collect();
        let (known, others) = (asked.holders().len(), told.holders().len());
        let by_one_thread = local.holders().len();
        assert_eq!(by_one_thread == 0, known == 0);
        assert_eq!(by_one_thread == 9, known == 9);
        drop(leases);
        assert_eq!(local.holders(), []);
        assert_eq!(others, 0, "told to be off");
        assert_eq!(asked.holders(), []);
        println!("known={known}.");
        return;
    }
    let table = [
        (None, 0..1),
        (Some("off"), 0..1),
        (Some("sampled"), 1..9),
        (Some("full"), 9..10),
        (Some("Full"), 0..1),
        (Some("nonsense"), 0..1),
        (Some(""), 0..1),
    ];
    for (value, expected) in table {
        let program = std::env::current_exe().expect("a test binary");
        let mut command = std::process::Command::new(program);
        command
            .args(["--exact", NAME, "--nocapture"])
            .env(CHILD, "1");
        command.env_remove(millpond_core::diagnostics::ENVIRONMENT_VARIABLE);
        if let Some(value) = value {
            command.env(millpond_core::diagnostics::ENVIRONMENT_VARIABLE, value);
        }
        let output = command.output().expect("starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{value:?}: {text}");
        let known = text
            .split_once("known=")
            .and_then(|(_, rest)| rest.split_once('.'));
        let known: usize = known.expect("said so").0.parse().expect("a number");
        assert!(expected.contains(&known), "{value:?}: {known}");
    }
}

#[test]
fn levels_are_parsed_by_their_names() {
    for (text, level) in [
        ("off", Diagnosis::Off),
        ("sampled", Diagnosis::Sampled),
        ("full", Diagnosis::Full),
    ] {
        assert_eq!(text.parse(), Ok(level));
    }
    for text in ["", "Off", "FULL", " full", "1"] {
        let error = text.parse::<Diagnosis>().expect_err("no level");
        assert!(error.to_string().contains("`sampled`"));
    }
}

// ---- Releases that must not be ------------------------------------------------------------------

fn engine(notes: &Notes) -> SharedEngine<Slabs> {
    SharedEngine::new(4, 32, Slabs::new(32, 8))
        .named("strict")
        .told_to(notes.hook())
}

/// # Safety
///
/// As [`SharedEngine::release`], or the engine is under full diagnostics.
unsafe fn release(engine: &SharedEngine<Slabs>, entry: Entry) {
    // SAFETY: by the caller.
    let released = unsafe { SharedEngine::release(&raw const *engine, entry) };
    assert_eq!(released, Released::Home);
}

/// A typed lease cannot be released twice; an engine that a pool is being built
/// on can be asked to.
#[test]
fn a_double_release_is_told_and_not_taken() {
    let notes = Notes::default();
    let engine = engine(&notes);
    engine.set_diagnosis(Diagnosis::Full);
    let entry = engine.acquire(0).expect("free");
    notes.take();
    // SAFETY: acquired above.
    unsafe { release(&engine, entry) };
    assert_eq!(notes.take(), Vec::<String>::new());
    for _ in 0..2 {
        // SAFETY: full diagnostics do not take it.
        unsafe { release(&engine, entry) };
        let told = notes.take();
        assert_eq!(
            told,
            [format!("strict: DoubleRelease {{ item: {entry:?} }}")]
        );
    }
    let all: Vec<_> = std::iter::from_fn(|| engine.acquire(0).ok()).collect();
    assert_eq!(all.len(), 4, "taken twice, it would be lent twice");
    assert!((1..4).all(|i| !all[..i].contains(&all[i])));
    for entry in all {
        // SAFETY: acquired above.
        unsafe { release(&engine, entry) };
    }
}

#[test]
fn a_foreign_release_is_told_and_not_taken() {
    let notes = Notes::default();
    let (ours, theirs) = (engine(&notes), engine(&Notes::default()));
    ours.set_diagnosis(Diagnosis::Full);
    let own = ours.acquire(0).expect("free");
    let foreign = theirs.acquire(0).expect("free");
    notes.take();
    let inside = own.as_ptr().map_addr(|address| address | 1);
    let strangers = [foreign, Entry::from_index(5), Entry::from_ptr(inside)];
    for stranger in strangers {
        // SAFETY: full diagnostics do not take it.
        unsafe { release(&ours, stranger) };
        let told = notes.take();
        assert_eq!(
            told,
            [format!("strict: ForeignRelease {{ item: {stranger:?} }}")]
        );
    }
    // SAFETY: acquired above, from this one.
    unsafe { release(&theirs, foreign) };
    // SAFETY: acquired above.
    unsafe { release(&ours, own) };
    let all: Vec<_> = std::iter::from_fn(|| ours.acquire(0).ok()).collect();
    assert_eq!(all.len(), 4);
    assert!(strangers.iter().all(|stranger| !all.contains(stranger)));
    for entry in all {
        // SAFETY: acquired above.
        unsafe { release(&ours, entry) };
    }
}

// ---- Hooks -------------------------------------------------------------------------------------

/// Each event, by what brings it about.
#[test]
fn a_hook_is_told_of_every_event() {
    let notes = Notes::default();
    let told = |expected: &[&str]| {
        let told = notes.take();
        let alike = told.len() == expected.len()
            && told.iter().zip(expected).all(|(told, expected)| {
                told.strip_prefix("told: ")
                    .is_some_and(|event| event.starts_with(expected))
            });
        assert!(alike, "told {told:?}, expected {expected:?}");
    };
    let policy = Exhaustion::Fallback { at_most: 1 };
    let pool = FixedPool::<u64>::builder(1).name("told").exhaustion(policy);
    let pool = pool.on_event(notes.hook()).build().into_handle();
    told(&[]);
    let held = pool.try_acquire(1);
    told(&["Grown { created: 1 }"]);
    assert!(pool.try_acquire(2).is_err());
    told(&["Refused { limit: Capacity, in_use: 1 }"]);
    drop(pool.acquire(3));
    told(&["Refused", "FellBack { in_use: 1 }"]);
    assert!(pool.acquire_timeout(4, Duration::ZERO).is_err());
    told(&["Refused { limit: Deadline, in_use: 1 }"]);
    thread::scope(|scope| {
        scope.spawn(|| drop(pool.acquire_timeout(5, Duration::from_secs(20))));
        while pool.stats().waiting == 0 {
            thread::yield_now();
        }
        drop(held);
    });
    told(&["Waited { time: "]);
    pool.trim(Level::Full);
    told(&["Trimmed { report: TrimReport { freed_items: 1"]);
    let last = pool.try_acquire_owned(6);
    told(&["Grown"]);
    drop(pool);
    told(&["Closed { leased: 1 }"]);
    drop(last);
    told(&[]);
}

/// No lock is held while a hook runs.
#[test]
fn a_hook_may_use_its_pool() {
    type Slot = OnceLock<Weak<FixedPool<u64>>>;
    let slot: Arc<Slot> = Arc::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let hook = {
        let (slot, calls) = (Arc::clone(&slot), Arc::clone(&calls));
        let inside = AtomicBool::new(false);
        EventHook::new(move |_, event: &Event<'_>| {
            let pool = slot.get().and_then(Weak::upgrade);
            let Some(pool) = pool.filter(|_| !inside.swap(true, Ordering::Relaxed)) else {
                return;
            };
            calls.fetch_add(1, Ordering::Relaxed);
            drop(pool.try_acquire(9));
            drop(pool.acquire(9));
            // Who trims what was just created would be told so again, for ever.
            if !matches!(event, Event::Grown { .. }) {
                pool.trim(Level::Full);
            }
            assert!(pool.stats().created <= pool.capacity());
            inside.store(false, Ordering::Relaxed);
        })
    };
    let policy = Exhaustion::Fallback { at_most: 1 };
    let pool = FixedPool::builder(2)
        .exhaustion(policy)
        .on_event(hook)
        .build();
    let pool = Arc::new(pool);
    slot.set(Arc::downgrade(&pool)).expect("set once");
    let leases: Vec<_> = (0..2).map(|i| pool.try_acquire(i).expect("free")).collect();
    assert!(pool.try_acquire(3).is_err());
    let outside = pool.acquire(4).expect("on the heap");
    assert!(pool.acquire_timeout(5, Duration::ZERO).is_err());
    drop((leases, outside));
    pool.trim(Level::Full);
    let calls = calls.load(Ordering::Relaxed);
    assert!(calls >= 5, "{calls}");
    assert_eq!((pool.stats().in_use, pool.stats().fallback_in_use), (0, 0));
}

/// A hook that panics fails the operation that it was told of, and nothing else:
/// no slot, no fallback item and no waiter is lost.
#[test]
fn a_hook_that_panics_loses_nothing() {
    for event in ["Grown", "Refused", "FellBack", "Waited", "Trimmed"] {
        let armed = Arc::new(AtomicBool::new(true));
        let hook = {
            let armed = Arc::clone(&armed);
            EventHook::new(move |_, told: &Event<'_>| {
                let hit = format!("{told:?}").starts_with(event);
                assert!(!hit || !armed.load(Ordering::Relaxed), "told to panic");
            })
        };
        let budget = millpond_core::budget::Budget::new("hook", usize::MAX);
        let policy = Exhaustion::Fallback { at_most: 1 };
        let pool = FixedPool::<u64>::builder(2).exhaustion(policy);
        let pool = pool.on_event(hook).budget(&budget).build().into_handle();
        let mut panics = 0;
        let mut attempt = |work: &mut dyn FnMut()| {
            panics += usize::from(catch_unwind(AssertUnwindSafe(work)).is_err());
        };
        attempt(&mut || drop(pool.try_acquire(1)));
        let held: Vec<_> = (0..2)
            .map(|i| {
                loop {
                    let acquired = catch_unwind(AssertUnwindSafe(|| pool.try_acquire_owned(i)));
                    if let Ok(lease) = acquired {
                        break lease.expect("free");
                    }
                }
            })
            .collect();
        attempt(&mut || assert!(pool.try_acquire(2).is_err()));
        attempt(&mut || drop(pool.acquire(3)));
        thread::scope(|scope| {
            let wait = || {
                let acquire = || drop(pool.acquire_timeout(4, Duration::from_secs(20)));
                catch_unwind(AssertUnwindSafe(acquire)).is_err()
            };
            let waiter = scope.spawn(wait);
            while pool.stats().waiting == 0 {
                if waiter.is_finished() {
                    break;
                }
                thread::yield_now();
            }
            drop(held);
            panics += usize::from(waiter.join().expect("caught inside"));
        });
        let trim = catch_unwind(AssertUnwindSafe(|| pool.trim(Level::Full)));
        panics += usize::from(trim.is_err());
        assert!(panics > 0, "{event}: the hook was not called");

        armed.store(false, Ordering::Relaxed);
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "{event}: {stats:?}");
        assert_eq!(stats.fallback_in_use, 0, "{event}: {stats:?}");
        let all: Vec<_> = (0..3).map_while(|i| pool.acquire(i).ok()).collect();
        assert_eq!(all.len(), 3, "{event}: two slots and the heap");
        drop(all);
        drop(pool);
        assert_eq!(budget.held(), 0, "{event}: the pool is still there");
    }
}

/// Diagnostics see tasks too: a task that was handed an item holds it.
#[test]
fn an_item_that_was_handed_over_has_a_new_holder() {
    let pool = FixedPool::<u64>::new(1);
    pool.set_diagnosis(Diagnosis::Full);
    let held = pool.try_acquire(1).expect("free");
    let line = line!() + 1;
    let mut future = pin!(pool.acquire_async(2));
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(held);
    assert_eq!(pool.holders(), [], "nobody has been told yet");
    let Poll::Ready(Ok(lease)) = future.poll(&mut context) else {
        panic!("not handed over");
    };
    assert_eq!(lines(&pool.holders()), [line]);
    drop(lease);
    assert_eq!(pool.holders(), []);
}
