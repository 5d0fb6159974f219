//! A writer of traces that uses recorded pools itself stops nobody.
//!
//! The process has one recorder, so one test installs it.

use millpond_analytics::{Trace, TraceRecorder};
use millpond_core::diagnostics::Diagnosis;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

type Pool = SharedEngine<Slabs>;

/// More than a thread keeps.
const MANY: u32 = 2000;

static RECORDER: OnceLock<&'static TraceRecorder> = OnceLock::new();

fn pool(name: &'static str) -> Pool {
    SharedEngine::new(100, 64, Slabs::new(64, 8)).named(name)
}

/// Does with its own pools, while it writes, what may go wrong.
struct Uses {
    file: Arc<Mutex<Vec<u8>>>,
    own: Pool,
    helper: Arc<Pool>,
    /// Whether it was refused to finish what it writes.
    refused: Arc<AtomicBool>,
}

impl Write for Uses {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.own.exercise(MANY).expect("room for all");
        let helper = Arc::clone(&self.helper);
        let helps = thread::spawn(move || helper.exercise(MANY));
        helps.join().expect("no panic").expect("room for all");
        if let Some(recorder) = RECORDER.get() {
            let finished = recorder.finish();
            let is_refused = finished.is_err_and(|error| error.kind() == io::ErrorKind::Deadlock);
            self.refused.store(is_refused, Relaxed);
        }
        self.file.lock().expect("quiet").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.own.exercise(1).expect("room");
        Ok(())
    }
}

/// Fails where nothing comes back in time.
fn in_time<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    let patience = Duration::from_secs(60);
    ended.recv_timeout(patience).expect("nobody waits for ever")
}

#[test]
fn a_writer_that_uses_recorded_pools_stops_nobody() {
    let (file, refused) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let (own, helper) = (pool("writer"), Arc::new(pool("helper")));
    own.set_diagnosis(Diagnosis::Recorded);
    helper.set_diagnosis(Diagnosis::Recorded);
    let recorder = TraceRecorder::install(Uses {
        file: Arc::clone(&file),
        own,
        helper,
        refused: Arc::clone(&refused),
    });
    let recorder = recorder.expect("the first of the process");
    RECORDER.set(recorder).expect("set once");

    let recorded = in_time(|| {
        let pool = pool("program");
        pool.set_diagnosis(Diagnosis::Recorded);
        pool.exercise(100).expect("room for all");
        pool.set_diagnosis(Diagnosis::Off);
        200
    });
    in_time(|| recorder.finish()).expect("it writes");
    assert!(refused.load(Relaxed), "by its writer, while it writes");
    assert!(recorder.lost() > 0, "what the writer did itself");
    let bytes = file.lock().expect("quiet").clone();
    let trace = Trace::parse(&bytes).expect("whole");
    let of = |name| trace.pools.iter().position(|pool| pool == name);
    let program = of("program").expect("it was recorded");
    let events = trace.events.iter().filter(|event| event.pool == program);
    assert_eq!(events.count(), recorded);
    assert_eq!(of("writer"), None, "let pass");
}
