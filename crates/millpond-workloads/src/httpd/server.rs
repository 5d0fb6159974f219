//! The server: one thread that accepts, and a thread with an event loop for each core.
//!
//! ```text
//!   accept ──▶ worker 0   connections, each a task that never leaves its thread
//!          ╲─▶ worker 1
//! ```
//!
//! A connection goes to the worker that has the fewest. What it leases comes home
//! on the thread that leased it, so pools are as good as thread-local.

use super::connection::{Counts, Shared, UNAVAILABLE, serve};
use super::files::Root;
use super::limits::Limits;
use super::memory::Memory;
use super::wire::Wire;
use anyhow::{Context, Result};
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

/// A server that runs. Dropping it stops it.
#[must_use = "dropping a server stops it"]
#[derive(Debug)]
pub struct Server<M: Memory> {
    address: SocketAddr,
    shared: Arc<Shared<M>>,
    threads: Vec<JoinHandle<()>>,
}

/// A connection's place among those of its worker, free again when it ends.
struct Seat {
    worker: Arc<AtomicUsize>,
    _alive: mpsc::Sender<Infallible>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.worker.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where the acceptor sends connections of one worker.
struct Worker {
    connections: Arc<AtomicUsize>,
    streams: mpsc::UnboundedSender<(TcpStream, Seat)>,
    alive: mpsc::Sender<Infallible>,
}

impl<M: Memory + Sync> Server<M> {
    /// Serves the files below `root` on `address`; with port 0, on any port that is
    /// free.
    ///
    /// # Errors
    ///
    /// If the address is taken, `root` is no directory, or the system has no thread.
    pub fn start(
        address: SocketAddr,
        root: &Path,
        workers: usize,
        limits: Limits,
        memory: M,
    ) -> Result<Self> {
        let root = Root::open(root).with_context(|| format!("directory {}", root.display()))?;
        let listener = TcpListener::bind(address).with_context(|| format!("address {address}"))?;
        let mut server = Self {
            address: listener.local_addr()?,
            shared: Arc::new(Shared {
                memory,
                limits,
                root,
                stopping: false.into(),
                counts: Counts::default(),
            }),
            threads: Vec::new(),
        };
        let mut seats = Vec::new();
        for number in 0..workers.max(1) {
            let (streams, arriving) = mpsc::unbounded_channel();
            let (alive, gone) = mpsc::channel(1);
            let shared = Arc::clone(&server.shared);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()?;
            let work = move || {
                let local = LocalSet::new();
                local.block_on(&runtime, work(shared, arriving, gone));
                // What did not end in time goes with the set, its buffers with it.
            };
            server.spawn(format!("httpd-{number}"), work)?;
            seats.push(Worker {
                connections: Arc::default(),
                streams,
                alive,
            });
        }
        let shared = Arc::clone(&server.shared);
        server.spawn("httpd-accept".to_owned(), move || {
            accept(&listener, &shared, &seats);
        })?;
        Ok(server)
    }
}

impl<M: Memory> Server<M> {
    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new().name(name);
        self.threads.push(thread.spawn(body)?);
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has counted so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Stops it: nobody is accepted any more, idle connections are closed, and
    /// requests that are under way are waited for as long as the limits say. When
    /// this returns all that connections leased has come home.
    pub fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Wakes the acceptor, which waits for a client.
        drop(TcpStream::connect_timeout(
            &reachable(self.address),
            Duration::from_secs(1),
        ));
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl<M: Memory> Drop for Server<M> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An address that says "any" as one that can be connected to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn accept<M: Memory>(listener: &TcpListener, shared: &Shared<M>, workers: &[Worker]) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else {
            // Out of descriptors, mostly: some will be closed.
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        let load = |worker: &Worker| worker.connections.load(Ordering::Relaxed);
        let open: usize = workers.iter().map(load).sum();
        let least = workers.iter().min_by_key(|worker| load(worker));
        let Some(worker) = least.filter(|_| open < shared.limits.connections) else {
            shared.counts.turned_away.fetch_add(1, Ordering::Relaxed);
            // A socket that is new has room for this; if not, it is closed anyway.
            let _ = stream
                .set_nonblocking(true)
                .and_then(|()| (&stream).write(UNAVAILABLE));
            continue;
        };
        shared.counts.connections.fetch_add(1, Ordering::Relaxed);
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let seat = Seat {
            worker: Arc::clone(&worker.connections),
            _alive: worker.alive.clone(),
        };
        // A worker that ended has panicked and said so; the connection is closed.
        let _ = worker.streams.send((stream, seat));
    }
}

/// Serves connections until no more arrive; then waits for those that are busy.
async fn work<M: Memory + Sync>(
    shared: Arc<Shared<M>>,
    mut arriving: mpsc::UnboundedReceiver<(TcpStream, Seat)>,
    mut gone: mpsc::Receiver<Infallible>,
) {
    let stop = Arc::new(Notify::new());
    while let Some((stream, seat)) = arriving.recv().await {
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| tokio::net::TcpStream::from_std(stream));
        let Ok(stream) = stream else { continue };
        let (memory, limits) = (shared.memory.clone(), shared.limits);
        let wire = Wire::new(stream, memory, limits, Arc::clone(&stop));
        let shared = Arc::clone(&shared);
        tokio::task::spawn_local(async move {
            let _seat = seat;
            serve(wire, shared).await;
        });
    }
    stop.notify_waiters();
    // All senders are seats, and the channel ends with the last of them.
    let _ = tokio::time::timeout(shared.limits.grace, gone.recv()).await;
}
