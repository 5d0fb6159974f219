//! A server in each mode, each in a process of its own, all at once.
//!
//! ```text
//!  task ──▶ this binary   serve, heap
//!       ──▶ this binary   serve, millpond pooled
//!       ──▶ on-mimalloc   serve, heap
//! ```
//!
//! They are asked in turn, a few milliseconds each, so that whatever slows the machine
//! slows all of them: what two processes are told one after another differs by more than
//! their allocators do. Who is not asked sleeps.

use super::super::{HEAP, MIMALLOC, POOLED, on_mimalloc};
use super::{CLIENT, Traffic, start, warm};
use anyhow::{Context, Result};
use millpond_bench::worker::{self, Measurement, Request};
use millpond_bench::{counting, pin};
use millpond_workloads::httpd::load::Load;
use millpond_workloads::httpd::{Heap, Memory, Server};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The task of a server's process.
pub const SERVE: &str = "serve";

/// A server that runs in a process of its own, until this is dropped.
pub struct Remote {
    /// Its mode.
    pub mode: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    process: Child,
}

impl Drop for Remote {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server in each mode that there is a binary for.
pub fn in_all_modes(request: &Request) -> Result<Vec<Remote>> {
    let own = std::env::current_exe()?;
    let mut servers = vec![
        remote(&own, HEAP, HEAP, request)?,
        remote(&own, POOLED, POOLED, request)?,
    ];
    if let Some(binary) = on_mimalloc(&own) {
        servers.push(remote(&binary, MIMALLOC, HEAP, request)?);
    }
    // Not before they have begun: they may use the cores that whoever starts them may.
    let _ = pin::to_core(CLIENT);
    Ok(servers)
}

/// A load on each of the servers, as a row says, under the names of their modes.
pub fn loads(
    servers: &[Remote],
    traffic: &Traffic,
    row: &str,
) -> Result<Vec<(&'static str, Load)>> {
    let load = |server: &Remote| Ok((server.mode, traffic.on(server.address, row)?));
    servers.iter().map(load).collect()
}

fn remote(binary: &Path, mode: &'static str, memory: &str, request: &Request) -> Result<Remote> {
    let asked = Request {
        task: SERVE.into(),
        contender: memory.into(),
        ..request.clone()
    };
    let mut process = Command::new(binary)
        .arg(worker::ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    let (input, output) = (process.stdin.take(), process.stdout.take());
    let mut server = Remote {
        mode,
        address: SocketAddr::from(([0; 4], 0)),
        process,
    };
    let mut input = input.context("no standard input")?;
    input.write_all(&serde_json::to_vec(&asked)?)?;
    drop(input);
    let mut line = String::new();
    BufReader::new(output.context("no standard output")?).read_line(&mut line)?;
    let said = line.trim().parse();
    server.address = said.with_context(|| format!("the {mode} server said {line:?}"))?;
    Ok(server)
}

/// Serves in the mode that the request names, until whoever asked kills this process or
/// is gone.
pub fn serve(request: &Request) -> Result<Vec<Measurement>> {
    counting::pause();
    let traffic = Traffic::of(request)?;
    if request.contender == POOLED {
        stay(&start(&traffic, warm()?)?)
    } else {
        stay(&start(&traffic, Heap::default())?)
    }
}

fn stay<M: Memory>(server: &Server<M>) -> Result<Vec<Measurement>> {
    let parent = parent_id();
    let mut output = std::io::stdout();
    writeln!(output, "{}", server.address())?;
    output.flush()?;
    while parent_id() == parent {
        thread::sleep(Duration::from_secs(1));
    }
    Ok(Vec::new())
}
