//! An endpoint of its own: metrics, snapshot and page on a socket.

use crate::exporter::Exporter;
use crate::page::Page;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Where an endpoint listens that was not told otherwise: this machine only,
/// because figures and names of pools are nobody else's business.
pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// Longest head of a request, in bytes. Prometheus sends some 300.
const MOST_BYTES: usize = 8192;

/// Most headers of a request.
const MOST_HEADERS: usize = 64;

/// For how long one request may take, from the first byte to the last: there is
/// one thread, and nobody may hold it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Before the next client, when one could not be had.
const PAUSE: Duration = Duration::from_millis(100);

/// Holders of each pool on the page.
const TOP_HOLDERS: usize = 10;

/// A thread that answers `GET /metrics`, `/snapshot.json` and `/`, a page for
/// people. Dropping it ends it.
///
/// ```
/// use millpond_analytics::{Endpoint, Exporter, Registry};
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// let endpoint = Endpoint::bind(Exporter::new(&Registry::new()), "127.0.0.1:0".parse()?)?;
/// let mut client = TcpStream::connect(endpoint.address())?;
/// client.write_all(b"GET /metrics HTTP/1.1\r\nHost: us\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One request at a time, two seconds for each: it is for a scraper and a
/// person, not for the public. There is no encryption and no password. Programs
/// that have a server use `Exporter::handle` in it.
#[must_use = "dropping an endpoint ends it"]
pub struct Endpoint {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Listens on [`LOOPBACK`].
    ///
    /// # Errors
    ///
    /// If the port is taken, or the system has no thread for it.
    pub fn start(exporter: Exporter) -> io::Result<Self> {
        Self::bind(exporter, LOOPBACK)
    }

    /// Listens on `address`; with port 0, on any port that is free.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::start`].
    pub fn bind(exporter: Exporter, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stopped);
        let serve = move || {
            for client in listener.incoming() {
                if told.load(Ordering::Acquire) {
                    return;
                }
                match client {
                    // A client that goes away in the middle harms nobody else.
                    Ok(client) => drop(serve(client, &exporter)),
                    // Out of descriptors, mostly: asking again at once is no help.
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        };
        let thread = thread::Builder::new().name("millpond-endpoint".to_owned());
        Ok(Self {
            address,
            stopped,
            thread: Some(thread.spawn(serve)?),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the thread, which waits for a client.
        let woken = TcpStream::connect_timeout(&reachable(self.address), PATIENCE);
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            // If it panicked it has said so.
            let _ = thread.join();
        }
    }
}

/// An address that says "any" as one that can be connected to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What is sent back.
struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: String,
}

impl Answer {
    const PLAIN: &'static str = "text/plain; charset=utf-8";

    fn refusal(status: &'static str) -> Self {
        Self {
            status,
            content_type: Self::PLAIN,
            body: format!("{status}\n"),
        }
    }
}

fn serve(mut client: TcpStream, exporter: &Exporter) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let answer = match read_head(&mut client, deadline)? {
        // Pools may be foreign code, and one that panics says so itself; whoever
        // asks next is answered.
        Some(head) => panic::catch_unwind(AssertUnwindSafe(|| answer(&head, exporter)))
            .unwrap_or_else(|_| Answer::refusal("500 Internal Server Error")),
        None => Answer::refusal("431 Request Header Fields Too Large"),
    };
    client.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.content_type,
        answer.body.len()
    );
    client.write_all(head.as_bytes())?;
    client.write_all(answer.body.as_bytes())
}

/// The bytes up to the empty line; `None` if there are too many.
fn read_head(client: &mut TcpStream, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        client.set_read_timeout(Some(left))?;
        match client.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&buffer[..read]),
        }
        if head.len() > MOST_BYTES {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn answer(head: &[u8], exporter: &Exporter) -> Answer {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let (Ok(_), Some(method), Some(target)) = (request.parse(head), request.method, request.path)
    else {
        return Answer::refusal("400 Bad Request");
    };
    if method != "GET" {
        return Answer::refusal("405 Method Not Allowed");
    }
    let path = target.split('?').next().unwrap_or_default();
    match path {
        "/metrics" => {
            let accept = request.headers.iter();
            let accept = accept.filter(|header| header.name.eq_ignore_ascii_case("accept"));
            let accept: Vec<&str> = accept
                .filter_map(|header| std::str::from_utf8(header.value).ok())
                .collect();
            let exposition = exporter.answer(Some(&accept.join(",")));
            Answer {
                status: "200 OK",
                content_type: exposition.format.content_type(),
                body: exposition.body,
            }
        }
        "/snapshot.json" => Answer {
            status: "200 OK",
            content_type: "application/json",
            body: exporter.registry().snapshot().to_json(),
        },
        "/" => Answer {
            status: "200 OK",
            content_type: "text/html; charset=utf-8",
            body: Page::of(&exporter.registry().snapshot_with_holders(TOP_HOLDERS)).to_string(),
        },
        _ => Answer::refusal("404 Not Found"),
    }
}
