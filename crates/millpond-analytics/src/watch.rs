//! Watching: a snapshot every so often, on a thread of its own.

use crate::registry::Registry;
use crate::snapshot::Snapshot;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A thread that takes a snapshot every so often and shows it to somebody.
/// Dropping it ends the thread.
///
/// ```
/// use millpond_analytics::{Registry, Series, Watch};
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// let series = Arc::new(Mutex::new(Series::new(1000)));
/// let kept = Arc::clone(&series);
/// let watch = Watch::start(&Registry::new(), Duration::from_millis(1), move |snapshot| {
///     kept.lock().unwrap().push(snapshot);
/// })?;
/// while series.lock().unwrap().len() < 3 {
///     std::thread::yield_now();
/// }
/// drop(watch);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping a watch ends it"]
pub struct Watch {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Shows a snapshot to `shown` at once and then every `period`. One that
    /// takes longer than that delays the next.
    ///
    /// # Errors
    ///
    /// If the system has no thread for it.
    pub fn start(
        registry: &Registry,
        period: Duration,
        mut shown: impl FnMut(&Snapshot) + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (told, registry) = (Arc::clone(&stop), registry.clone());
        let watch = move || {
            loop {
                let next = Instant::now() + period;
                shown(&registry.snapshot());
                let mut stopped = told.0.lock();
                while !*stopped && Instant::now() < next {
                    told.1.wait_until(&mut stopped, next);
                }
                if *stopped {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("millpond-watch".to_owned());
        Ok(Self {
            stop,
            thread: Some(thread.spawn(watch)?),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the watcher was its own, and has been printed.
            let _ = thread.join();
        }
    }
}
