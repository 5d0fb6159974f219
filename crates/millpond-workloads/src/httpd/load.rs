//! A load generator: connections kept, requests pipelined, every answer read.
//!
//! Blocking sockets on one thread: a turn sends the next requests on every
//! connection and then reads all answers, so the server always has as many
//! requests as connections times depth, and no more. Nothing is allocated once the
//! connections are there.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The longest head of an answer.
pub(super) const LONGEST_HEAD: usize = 1 << 10;

/// Bytes that are read at once.
pub(super) const PIECE: usize = 64 << 10;

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    bytes: Vec<u8>,
}

impl Call {
    /// A `GET`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Self { bytes: head.into() }
    }

    /// A `POST` whose body has a length.
    #[must_use]
    pub fn post(path: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        let bytes = [head.as_bytes(), body].concat();
        Self { bytes }
    }

    /// What is sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Connections to one server, with the calls that they make in turn.
#[derive(Debug)]
pub struct Load {
    lines: Vec<Line>,
    calls: Vec<Call>,
    depth: usize,
    halves: bool,
    turn: usize,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Line {
    stream: TcpStream,
    sent: Instant,
}

impl Load {
    /// Connects. Each turn will send `depth` requests on each connection at once.
    ///
    /// # Errors
    ///
    /// If the server is not there, or `calls` is empty.
    pub fn new(
        server: SocketAddr,
        connections: usize,
        depth: usize,
        calls: Vec<Call>,
    ) -> io::Result<Self> {
        if calls.is_empty() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let connect = |_| {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let sent = Instant::now();
            Ok(Line { stream, sent })
        };
        Ok(Self {
            lines: (0..connections).map(connect).collect::<io::Result<_>>()?,
            calls,
            depth,
            halves: false,
            turn: 0,
            buffer: vec![0; PIECE],
        })
    }

    /// Sends requests in two pieces, the second when the first is on its way on every
    /// connection: as from clients that are far away, the server has as many requests
    /// half read as there are connections. Only without pipelining.
    #[must_use]
    pub fn in_halves(mut self) -> Self {
        self.halves = self.depth == 1;
        self
    }

    /// One turn on every connection. `answered` is told how long each took, from
    /// when its requests were sent until it was read. Answers how many there were.
    ///
    /// # Errors
    ///
    /// If a connection breaks, or an answer is anything but 200 with a length.
    pub fn turn(&mut self, mut answered: impl FnMut(Duration)) -> io::Result<u64> {
        let (calls, depth) = (&self.calls, self.depth);
        for (place, line) in self.lines.iter_mut().enumerate() {
            line.sent = Instant::now();
            let first = self.turn + place;
            if depth == 1 {
                let bytes = &calls[first % calls.len()].bytes;
                let now = if self.halves {
                    bytes.len() / 2
                } else {
                    bytes.len()
                };
                line.stream.write_all(&bytes[..now])?;
                continue;
            }
            // Pipelined: in one write, as far as they fit.
            let mut filled = 0;
            for number in first..first + depth {
                let bytes = &calls[number % calls.len()].bytes;
                if filled + bytes.len() > self.buffer.len() {
                    line.stream.write_all(&self.buffer[..filled])?;
                    filled = 0;
                }
                if bytes.len() > self.buffer.len() {
                    line.stream.write_all(bytes)?;
                } else {
                    self.buffer[filled..filled + bytes.len()].copy_from_slice(bytes);
                    filled += bytes.len();
                }
            }
            line.stream.write_all(&self.buffer[..filled])?;
        }
        for (place, line) in self.lines.iter_mut().enumerate().filter(|_| self.halves) {
            let bytes = &calls[(self.turn + place) % calls.len()].bytes;
            line.stream.write_all(&bytes[bytes.len() / 2..])?;
        }
        for line in &mut self.lines {
            let mut reader = Reader {
                stream: &mut line.stream,
                buffer: &mut self.buffer,
                start: 0,
                end: 0,
            };
            for _ in 0..depth {
                reader.answer()?;
                answered(line.sent.elapsed());
            }
        }
        self.turn += depth;
        Ok(depth as u64 * self.lines.len() as u64)
    }
}

/// Reads answers from a connection.
struct Reader<'l> {
    stream: &'l mut TcpStream,
    buffer: &'l mut [u8],
    start: usize,
    end: usize,
}

impl Reader<'_> {
    /// Reads an answer and forgets it.
    fn answer(&mut self) -> io::Result<()> {
        let mut body = loop {
            if let Some((head, body)) = extent(&self.buffer[self.start..self.end])? {
                self.start += head;
                break body;
            }
            self.read()?;
        };
        loop {
            let here = body.min(self.end - self.start);
            self.start += here;
            body -= here;
            if body == 0 {
                return Ok(());
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < LONGEST_HEAD {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.stream.read(&mut self.buffer[self.end..])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.end += read;
                Ok(())
            }
        }
    }
}

/// Bytes of the head and of the body of an answer that begins with these, or `None` if
/// they are too few to say. Anything but 200 with a length is an error.
pub(super) fn extent(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(|_| ErrorKind::InvalidData)?;
    let httparse::Status::Complete(head) = parsed else {
        return Ok(None);
    };
    let lengths = response.headers.iter();
    let length = lengths
        .filter(|header| header.name.eq_ignore_ascii_case("content-length"))
        .find_map(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let length = length.filter(|_| response.code == Some(200));
    Ok(Some((head, length.ok_or(ErrorKind::InvalidData)?)))
}
