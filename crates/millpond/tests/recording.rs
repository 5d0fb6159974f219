//! What the example records is what its program asked for.
//!
//! The process has one recorder, so one test installs it.

#[path = "../examples/recording.rs"]
mod example;

use millpond::analytics::Trace;
use std::collections::HashMap;
use std::fs::File;

#[test]
fn a_recording_carries_the_sizes_that_were_asked_for() {
    let path = std::env::temp_dir().join(format!("millpond-{}.trace", std::process::id()));
    example::record(&path).unwrap();
    example::look(&path).unwrap();
    let trace = Trace::read(File::open(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(trace.lost, 0);
    assert_eq!(trace.pools, ["sessions", "bytes"]);
    assert_eq!(trace.events.len(), 2 * 2 * 2 * example::REQUESTS);

    assert_eq!(
        trace.sizes("sessions"),
        [(128, 2 * example::REQUESTS as u64)]
    );
    let mut asked: HashMap<usize, u64> = HashMap::new();
    for request in 0..example::REQUESTS {
        *asked.entry(example::body_bytes(request)).or_default() += 2;
    }
    let recorded: HashMap<usize, u64> = trace.sizes("bytes").into_iter().collect();
    assert_eq!(recorded, asked, "and not the sizes of classes");
    assert!(
        trace
            .operations()
            .iter()
            .all(|operation| operation.hold_ns.is_some())
    );
}
