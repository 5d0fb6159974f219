//! The container runtime: connections in a pool that is awaited, looked at before they
//! are lent, and a stand-in to talk to.
//!
//! ```text
//!   build tasks ──await──▶ pool of connections ──▶ runtime
//!                          closed by the other side? a new one takes the place
//! ```
//!
//! A line each way: `ping` → `pong`, `build IMAGE DIGEST` → `built IMAGE`.

use anyhow::{Context, Result, ensure};
use millpond_fixed::{ObjectPool, Recycle, Verdict};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A longer line is no answer.
const LONGEST_LINE: usize = 4096;

/// A connection, made when it is first asked something.
#[derive(Debug, Default)]
pub struct Connection {
    stream: Option<BufReader<TcpStream>>,
    line: Vec<u8>,
}

impl Connection {
    /// Whether it can be asked. One that the other side has closed cannot, nor one
    /// with an answer in it that nobody waited for.
    fn is_sound(&self) -> bool {
        let Some(stream) = &self.stream else {
            return true;
        };
        let unread = stream.get_ref().try_read(&mut [0]);
        stream.buffer().is_empty()
            && unread.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Asks on the connection that there is, or on a new one. One that was used before
    /// may have been closed since it was looked at: then the question is asked again.
    async fn ask(&mut self, address: SocketAddr, question: &str) -> Result<String> {
        if let Some(used) = self.stream.take()
            && let Ok(answer) = self.ask_on(used, question).await
        {
            return Ok(answer);
        }
        let new = BufReader::new(TcpStream::connect(address).await?);
        self.ask_on(new, question).await
    }

    /// The stream is put back once it has answered: if this is given up halfway, no
    /// later question gets the answer to this one.
    async fn ask_on(&mut self, mut stream: BufReader<TcpStream>, question: &str) -> Result<String> {
        self.line.clear();
        self.line.extend_from_slice(question.as_bytes());
        self.line.push(b'\n');
        stream.get_mut().write_all(&self.line).await?;
        self.line.clear();
        stream.read_until(b'\n', &mut self.line).await?;
        ensure!(self.line.pop() == Some(b'\n'), "the runtime hung up");
        self.stream = Some(stream);
        Ok(String::from_utf8_lossy(&self.line).into_owned())
    }
}

/// Looks at connections before they are lent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dial;

impl Recycle<Connection> for Dial {
    fn construct(&self) -> Connection {
        Connection::default()
    }

    fn recycle(&self, connection: &mut Connection) -> Verdict {
        match connection.line.capacity() {
            0..=LONGEST_LINE => Verdict::Keep,
            _ => Verdict::Evict,
        }
    }

    fn is_valid(&self, connection: &mut Connection) -> bool {
        connection.is_sound()
    }
}

/// A container runtime, by as many connections as it should have to bear.
#[derive(Debug)]
pub struct Runtime {
    address: SocketAddr,
    connections: ObjectPool<Connection, Dial>,
}

impl Runtime {
    /// The runtime at `address`, with `connections` at most. Nothing is connected yet.
    #[must_use]
    pub fn new(address: SocketAddr, connections: usize) -> Self {
        Self {
            address,
            connections: ObjectPool::new(connections, Dial),
        }
    }

    /// Asks one thing; waits for a connection if all are in use.
    ///
    /// # Errors
    ///
    /// If the runtime cannot be reached or hangs up.
    pub async fn ask(&self, question: &str) -> Result<String> {
        let mut connection = self.connections.acquire_async().await?;
        let answer = connection.ask(self.address, question).await;
        answer.with_context(|| format!("runtime {}", self.address))
    }

    /// Has an image built from a context.
    ///
    /// # Errors
    ///
    /// As [`Runtime::ask`], and if the runtime says something else.
    pub async fn build(&self, image: &str, context: &str) -> Result<()> {
        let answer = self.ask(&format!("build {image} {context}")).await?;
        ensure!(
            answer == format!("built {image}"),
            "runtime {}: {answer}",
            self.address
        );
        Ok(())
    }
}

/// A runtime that answers and does nothing, for tests and measurements.
#[derive(Debug)]
pub struct StandIn {
    listener: TcpListener,
    patience: u32,
}

impl StandIn {
    /// Listens at `address`; hangs up on each connection after `patience` questions.
    ///
    /// # Errors
    ///
    /// If it cannot listen there.
    pub async fn bind(address: SocketAddr, patience: u32) -> Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("runtime {address}"))?;
        Ok(Self { listener, patience })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Answers until the task is dropped; `connected` counts who is there.
    ///
    /// # Errors
    ///
    /// If no connection can be accepted any more.
    pub async fn serve(self, connected: Arc<Connected>) -> Result<()> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let (patience, connected) = (self.patience, Arc::clone(&connected));
            tokio::spawn(async move {
                connected.enter();
                // Who hangs up halfway has nothing to be told.
                let _ = answer(stream, patience).await;
                connected.leave();
            });
        }
    }
}

/// How many are connected, and how many were at most.
#[derive(Debug, Default)]
pub struct Connected {
    now: AtomicU64,
    most: AtomicU64,
    ever: AtomicU64,
}

impl Connected {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        self.ever.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    /// The most connections at once.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// All connections that there were.
    #[must_use]
    pub fn ever(&self) -> u64 {
        self.ever.load(Ordering::Relaxed)
    }
}

async fn answer(stream: TcpStream, patience: u32) -> Result<()> {
    let (mut stream, mut line) = (BufReader::new(stream), String::new());
    for _ in 0..patience {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let answer = match (words.next(), words.next()) {
            (Some("ping"), _) => "pong\n".to_owned(),
            (Some("build"), Some(image)) => format!("built {image}\n"),
            _ => "error: expected ping or build\n".to_owned(),
        };
        stream.get_mut().write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    const NOWHERE: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn tasks_wait_for_connections_and_closed_ones_are_replaced() {
        let system = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_io()
            .build()
            .unwrap();
        system.block_on(async {
            let stand_in = StandIn::bind(NOWHERE, 10).await.unwrap();
            let address = stand_in.address().unwrap();
            let connected = Arc::new(Connected::default());
            let serving = tokio::spawn(stand_in.serve(Arc::clone(&connected)));
            let runtime = Arc::new(Runtime::new(address, 3));
            let tasks: Vec<_> = (0..60)
                .map(|task| {
                    let runtime = Arc::clone(&runtime);
                    tokio::spawn(async move {
                        for n in 0..3 {
                            assert_eq!(runtime.ask("ping").await.unwrap(), "pong");
                            runtime
                                .build(&format!("image{task}-{n}"), "0")
                                .await
                                .unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert!(connected.ever() >= 360 / 10, "{connected:?}");
            assert_eq!(runtime.connections.stats().in_use, 0);
            serving.abort();
        });
    }

    #[test]
    fn a_runtime_that_is_not_there_is_named() {
        let system = Builder::new_current_thread().enable_io().build().unwrap();
        let stand_in = system.block_on(StandIn::bind(NOWHERE, 1)).unwrap();
        let address = stand_in.address().unwrap();
        drop(stand_in);
        let error = system
            .block_on(Runtime::new(address, 1).ask("ping"))
            .unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
