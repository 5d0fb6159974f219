//! `httpd`: serves a directory over HTTP/1.1 from pooled buffers.

#[cfg(not(unix))]
fn main() -> std::process::ExitCode {
    eprintln!("error: httpd needs a Unix system");
    std::process::ExitCode::FAILURE
}

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    unix::main()
}

#[cfg(unix)]
mod unix {
    use anyhow::{Result, ensure};
    use clap::Parser;
    use clap::builder::RangedU64ValueParser;
    use millpond_core::budget::Budget;
    use millpond_workloads::cli::{self, MemoryArgs};
    use millpond_workloads::httpd::{Heap, Limits, Memory, Pooled, Server};
    use millpond_workloads::memory;
    use std::io::Write;
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::process::ExitCode;
    use std::sync::atomic::Ordering;
    use std::thread;
    use std::time::Duration;
    use tokio::signal::unix::{SignalKind, signal};

    const ANSWERS: &str = "\
What is answered:
  GET, HEAD  /any/path      a file below the directory; index.html where that is a folder
  POST, PUT  /echo          the body again
  POST, PUT  /digest        its length and XXH3
  POST, PUT  /json          what a JSON document consists of
  GET, HEAD  /metrics       figures of the pools, for Prometheus
  GET, HEAD  /metrics.json  the same as JSON";

    /// Serves the files of a directory, echoes and digests uploads, reads JSON,
    /// and shows its pools under /metrics. Ends on SIGINT or SIGTERM.
    #[derive(Debug, Parser)]
    #[command(version, after_help = ANSWERS)]
    struct Arguments {
        /// The directory
        #[arg(default_value = ".")]
        directory: PathBuf,
        /// Where to listen; with port 0, on any that is free
        #[arg(long, default_value = "127.0.0.1:8080", value_name = "HOST:PORT", value_parser = cli::address)]
        addr: SocketAddr,
        /// Threads that serve; all cores if 0
        #[arg(long, default_value_t = 0, value_name = "N", value_parser = within(0, 256))]
        workers: usize,
        /// Longest head of a request, in bytes
        #[arg(long, default_value_t = 8 << 10, value_name = "BYTES", value_parser = within(256, 64 << 10))]
        max_head: usize,
        /// Longest body of a request, in bytes
        #[arg(long, default_value_t = 1 << 20, value_name = "BYTES", value_parser = within(0, 1 << 30))]
        max_body: usize,
        /// Most connections at once
        #[arg(long, default_value_t = 1_024, value_name = "N", value_parser = within(1, 1 << 16))]
        max_connections: usize,
        /// Seconds that a connection may be quiet between requests
        #[arg(long, default_value_t = 30, value_name = "S", value_parser = within(1, 3_600))]
        idle_seconds: usize,
        /// Seconds that a request may take to arrive, and each 64 KiB of the answer to be accepted
        #[arg(long, default_value_t = 10, value_name = "S", value_parser = within(1, 3_600))]
        request_seconds: usize,
        /// MiB that the pools may hold; without limit if not given
        #[arg(long, value_name = "MIB", value_parser = within(4, 1 << 20))]
        budget: Option<usize>,
        /// Buffers of each class that are made ahead
        #[arg(long, default_value_t = 16, value_name = "N", value_parser = within(0, 100_000))]
        warm_up: usize,
        /// Print what the pools did
        #[arg(long)]
        stats: bool,
        #[command(flatten)]
        memory: MemoryArgs,
    }

    fn within(least: u64, most: u64) -> RangedU64ValueParser<usize> {
        RangedU64ValueParser::new().range(least..=most)
    }

    pub(crate) fn main() -> ExitCode {
        cli::run(|arguments: Arguments| match arguments.memory.memory {
            memory::Memory::Heap => serve(&arguments, Heap::default()),
            memory::Memory::Pooled => {
                let budget = arguments.budget.map(|mib| Budget::new("httpd", mib << 20));
                let pools = Pooled::new(budget.as_ref())?;
                pools.warm_up(arguments.warm_up)?;
                serve(&arguments, pools.clone())?;
                if arguments.stats {
                    cli::note(pools.stats());
                }
                let out = pools.outstanding();
                ensure!(out == 0, "{out} buffers or arenas did not come home");
                cli::note("all buffers are home");
                Ok(())
            }
        })
    }

    fn serve<M: Memory + Sync>(arguments: &Arguments, memory: M) -> Result<()> {
        let seconds = |count: usize| Duration::from_secs(count as u64);
        let limits = Limits {
            head_bytes: arguments.max_head,
            body_bytes: arguments.max_body as u64,
            connections: arguments.max_connections,
            idle: seconds(arguments.idle_seconds),
            request: seconds(arguments.request_seconds),
            write: seconds(arguments.request_seconds),
            ..Limits::default()
        };
        let workers = match arguments.workers {
            0 => thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        // Heard from here on, so that none is lost between two lines.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (mut interrupt, mut terminate) = runtime.block_on(async {
            Ok::<_, std::io::Error>((
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ))
        })?;
        let mut server = Server::start(
            arguments.addr,
            &arguments.directory,
            workers,
            limits,
            memory,
        )?;
        let mut out = cli::output();
        writeln!(out, "listening on http://{}", server.address())?;
        out.flush()?;
        runtime.block_on(std::future::poll_fn(|context| {
            let heard = interrupt.poll_recv(context).is_ready();
            if heard || terminate.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(());
            }
            std::task::Poll::Pending
        }));
        server.stop();
        let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let counts = server.counts();
        cli::note(format_args!(
            "{} on {}, {} refused, {} too slow, {} turned away ({})",
            cli::counted(of(&counts.requests), "request"),
            cli::counted(of(&counts.connections), "connection"),
            of(&counts.refused),
            of(&counts.slow),
            of(&counts.turned_away),
            arguments.memory.memory
        ));
        Ok(())
    }
}
