//! A load that asks when requests are due, whether or not earlier ones were answered.

use crate::client::{Site, limits, noise};
use millpond_workloads::httpd::load::Call;
use millpond_workloads::httpd::paced::Paced;
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn calls() -> Vec<Call> {
    vec![
        Call::get("/small.txt"),
        Call::post("/echo", &noise(200_000)),
        Call::get("/large.bin"),
        Call::post("/json", b"[1,2,3]"),
    ]
}

#[test]
fn every_call_is_made_and_answered_however_large() {
    let site = Site::pooled(limits());
    let mut load = Paced::new(site.address(), 3, calls(), 1).unwrap();
    let mut answers = 0;
    for _ in 0..2 {
        load.run(50, Duration::from_micros(100), |_| answers += 1)
            .unwrap();
    }
    assert_eq!(answers, 100);
    let requests = &site.server.counts().requests;
    // The last is counted when its answer has left, which its reader may see before.
    let began = Instant::now();
    while requests.load(Ordering::Relaxed) < 100 && began.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
    assert_eq!(requests.load(Ordering::Relaxed), 100);
    drop(load);
    site.check();
}

#[test]
fn who_waits_for_a_connection_counts_from_when_it_was_due() {
    let site = Site::pooled(limits());
    let mut load = Paced::new(site.address(), 1, calls(), 1).unwrap();
    let mut took = Vec::new();
    let began = Instant::now();
    // All are due at once, and are answered one after another.
    load.run(40, Duration::ZERO, |time| took.push(time))
        .unwrap();
    let all = began.elapsed();
    assert!(took.is_sorted(), "{took:?}");
    assert!(took[39] <= all && took[39] > took[0], "{took:?} of {all:?}");
    assert!(all < took[39] + Duration::from_secs(1));
}

#[test]
fn requests_come_as_often_as_they_are_told_to() {
    let site = Site::pooled(limits());
    let calls = vec![Call::get("/small.txt")];
    let mut load = Paced::new(site.address(), 8, calls, 1).unwrap();
    let began = Instant::now();
    load.run(400, Duration::from_millis(1), |_| ()).unwrap();
    // The mean of 400 gaps strays by a twentieth; a busy machine is late.
    assert!(began.elapsed() > Duration::from_millis(340));
}

#[test]
fn an_answer_that_is_no_success_ends_the_load() {
    let site = Site::pooled(limits());
    let calls = vec![Call::get("/none")];
    let mut load = Paced::new(site.address(), 1, calls.clone(), 1).unwrap();
    let error = load.run(1, Duration::ZERO, |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let nobody = Paced::new(site.address(), 0, calls, 1).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::InvalidInput);
}
