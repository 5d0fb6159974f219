//! Proves that a trace says what happened, in any number of threads; that it ends
//! well when the disk is full; and that nothing that is read as a trace can make
//! a program panic.
//!
//! The process has one recorder, so one test installs it.

mod fixture;

use millpond_analytics::{Advisor, Trace, TraceError, TraceEvent, TraceRecorder};
use millpond_core::diagnostics::Diagnosis;
use millpond_core::entry::Entry;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use proptest::prelude::*;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Items that one thread acquires and another releases, of a pool with so few that they
/// go round; answers how many.
fn hand_on() -> usize {
    const ITEMS: usize = 5000;
    let pool = SharedEngine::new(3, 64, Slabs::new(64, 8)).named("travelling");
    pool.set_diagnosis(Diagnosis::Recorded);
    let (give, take) = std::sync::mpsc::channel::<Entry>();
    thread::scope(|scope| {
        scope.spawn(|| {
            for item in take {
                pool.strike(item);
                // SAFETY: acquired by the other thread, and released once.
                let _ = unsafe { SharedEngine::release(&raw const pool, item) };
            }
        });
        for _ in 0..ITEMS {
            let item = loop {
                match pool.acquire(0) {
                    Ok(item) => break item,
                    Err(_) => thread::yield_now(),
                }
            };
            pool.record(item, std::panic::Location::caller());
            give.send(item).unwrap();
        }
        drop(give);
    });
    pool.set_diagnosis(Diagnosis::Off);
    ITEMS
}

/// Each item is acquired, released, acquired, released.
fn in_order(events: &[&TraceEvent]) {
    let mut out = std::collections::HashSet::new();
    for event in events {
        match event.bytes {
            Some(_) => assert!(out.insert(event.item), "acquired twice: {event:?}"),
            None => assert!(out.remove(&event.item), "released before: {event:?}"),
        }
    }
    assert!(out.is_empty());
}

#[test]
fn a_trace_says_what_happened() {
    let file = Shared::default();
    let recorder = TraceRecorder::install(file.clone()).unwrap();
    assert!(
        TraceRecorder::install(io::sink()).is_err(),
        "there is one already"
    );
    let small = SharedEngine::new(100, 64, Slabs::new(64, 8)).named("small");
    let large = SharedEngine::new(100, 4096, Slabs::new(4096, 8)).named("large");
    small.exercise(1).unwrap(); // Not recorded.
    small.set_diagnosis(Diagnosis::Recorded);
    large.set_diagnosis(Diagnosis::Recorded);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                small.exercise(1000).unwrap();
                large.exercise(1).unwrap();
            });
        }
    });
    let handed_on = hand_on();
    small.set_diagnosis(Diagnosis::Off);
    large.set_diagnosis(Diagnosis::Off);
    small.exercise(1).unwrap(); // Not recorded.
    recorder.finish().unwrap();
    assert_eq!(recorder.lost(), 0);

    let bytes = file.0.lock().unwrap().clone();
    let trace = Trace::parse(&bytes).unwrap();
    let handed: Vec<_> = trace
        .events
        .iter()
        .filter(|e| trace.pools[e.pool] == "travelling")
        .collect();
    assert_eq!(handed.len(), 2 * handed_on);
    in_order(&handed);
    let all = trace.events.len();
    assert!(bytes.len() < all * 8, "{} bytes", bytes.len());
    let mut trace = trace;
    trace
        .events
        .retain(|event| trace.pools[event.pool] != "travelling");
    assert_eq!(trace.events.len(), 2 * 3 * 1001);
    let operations = trace.operations();
    assert_eq!(operations.len(), 3 * 1001);
    assert!(
        operations
            .iter()
            .all(|operation| operation.hold_ns.is_some())
    );
    let of_large: Vec<_> = operations
        .iter()
        .filter(|o| trace.pools[o.pool] == "large")
        .collect();
    assert_eq!(of_large.len(), 3);
    assert!(of_large.iter().all(|operation| operation.bytes == 4096));
    let threads: std::collections::HashSet<u64> = operations.iter().map(|o| o.thread).collect();
    assert_eq!(threads.len(), 3);

    assert_eq!(trace.sizes("small"), [(64, 3000)]);
    let demand = trace.demand("large");
    assert_eq!(demand.acquires(), 3);
    assert!((1..=3).contains(&demand.capacity_for(1.0)));
    let table = Advisor::new()
        .class_table(&trace.sizes("large"), &[])
        .unwrap();
    assert_eq!(table.sizes, [4096]);
    let advice = Advisor::new().target_hit_rate(1.0).of_trace(&trace);
    let named: Vec<_> = advice.pools.iter().map(|p| (&*p.pool, &*p.kind)).collect();
    assert_eq!(named[..2], [("large", "fixed"), ("small", "fixed")]);
    let large = advice.pools[0].capacities[0].1;
    assert_eq!(large.capacity, demand.capacity_for(1.0));
    assert_eq!(large.bytes, 4096 * large.capacity as u64);
    assert!(
        advice
            .to_toml()
            .starts_with("[pools.\"large\"]\ncapacity = ")
    );

    // A program that was killed left part of it.
    for end in (9..bytes.len()).step_by(97) {
        let part = Trace::parse(&bytes[..end]).expect("what is whole is taken");
        assert!(part.events.len() <= all);
    }
}

/// Seeds of the fuzz target `trace`.
#[test]
fn what_is_no_trace_gets_one_clear_error() {
    let parse = |bytes: &[u8]| Trace::parse(bytes).map_err(|error| error.to_string());
    assert!(matches!(Trace::parse(b""), Err(TraceError::NoTrace)));
    assert!(matches!(Trace::parse(b"MILLPON"), Err(TraceError::NoTrace)));
    assert!(matches!(
        Trace::parse(b"MILLPOND"),
        Err(TraceError::NoTrace)
    ));
    assert_eq!(
        parse(b"MILLPOND\x02"),
        Err("a trace of version 2; 1 is understood".to_owned())
    );
    assert_eq!(parse(b"MILLPOND\x01").unwrap(), Trace::default());
    let malformed: [&[u8]; 8] = [
        b"\x07",                                                      // No such part.
        b"\x01\x05\x00",                                              // A pool out of order.
        b"\x01\x00\x01\xff",                                          // A name that is no text.
        b"\x02\x00\x00\x00\x01\x05\x06\x00\x00\x00\x00",              // A pool that was not told.
        b"\x01\x00\x01a\x02\x00\x00\x00\x09\x01\x00",                 // More events than bytes.
        b"\x01\x00\x01a\x02\x00\x00\x00\x01\x04\x02\x00\x00\x00",     // No size before.
        b"\x01\x00\x01a\x02\x00\x00\x00\x01\x05\xf6\x00\x00\x00\x01", // Unknown flags.
        b"\x01\x00\x01a\x02\x00\x00\x00\x00\x01\x00",                 // Bytes without events.
    ];
    for part in malformed {
        let trace = [b"MILLPOND\x01", part].concat();
        let error = Trace::parse(&trace).unwrap_err();
        assert!(
            matches!(error, TraceError::Malformed { .. }),
            "{part:?}: {error}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_trace_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Trace::parse(&bytes);
        let mut trace = b"MILLPOND\x01\x01\x00\x01a\x02".to_vec();
        trace.extend(&bytes);
        if let Ok(trace) = Trace::parse(&trace) {
            prop_assert!(trace.operations().len() <= trace.events.len());
            let _ = trace.demand("a").capacity_for(0.5);
            let _ = Advisor::new().of_trace(&trace).to_toml();
        }
    }
}
