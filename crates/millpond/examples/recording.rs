//! Would pools help my program? Its traffic is recorded, and replayed against others.
//!
//! ```text
//! cargo run --release --example recording -p millpond --features analytics -- /tmp/traffic.trace
//! cargo xtask replay /tmp/traffic.trace
//! cargo xtask replay /tmp/traffic.trace --pool sessions
//! ```

use millpond::analytics::{Advisor, Trace, TraceRecorder};
use millpond::{Diagnosis, Pond};
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;

/// Requests of each of two threads.
pub(crate) const REQUESTS: usize = 5_000;

/// Bytes of the body of a request: they differ, as bodies do.
pub(crate) fn body_bytes(request: usize) -> usize {
    200 + request * 7919 % 5_000
}

/// A program at work, with what its pools did in the file.
pub(crate) fn record(path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let pond = Pond::builder().build()?;
    let sessions = pond.fixed_pool::<[u64; 16]>("sessions", 1000)?;
    let recorder = TraceRecorder::install(File::create(path)?)?;
    pond.set_diagnosis(Diagnosis::Recorded);
    thread::scope(|scope| {
        let serve = || {
            for request in 0..REQUESTS {
                let session = sessions.acquire([1; 16])?;
                let mut body = pond.buffer(body_bytes(request))?;
                body.extend_from_slice(&session[0].to_le_bytes())?;
            }
            Ok::<(), Box<dyn Error + Send + Sync>>(())
        };
        let threads = [scope.spawn(serve), scope.spawn(serve)];
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    pond.set_diagnosis(Diagnosis::Off);
    recorder.finish()?;
    Ok(())
}

/// What the file says.
pub(crate) fn look(path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let trace = Trace::read(File::open(path)?)?;
    println!(
        "{} acquires and releases, {} lost:",
        trace.events.len(),
        trace.lost
    );
    for pool in &trace.pools {
        let sizes = trace.sizes(pool);
        let (least, most) = (sizes.first(), sizes.last());
        let bytes = |size: Option<&(usize, u64)>| size.map_or(0, |(bytes, _)| *bytes);
        println!(
            "  {pool}: {} to {} bytes, {} items are enough for 99 %",
            bytes(least),
            bytes(most),
            trace.demand(pool).capacity_for(0.99)
        );
    }
    println!("\n{}", Advisor::new().of_trace(&trace));
    println!("Now: cargo xtask replay {}", path.display());
    Ok(())
}

#[allow(dead_code, reason = "a test records too")]
fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let path = std::env::args_os().nth(1);
    let path = path.map_or_else(|| std::env::temp_dir().join("traffic.trace"), PathBuf::from);
    record(&path)?;
    look(&path)
}
