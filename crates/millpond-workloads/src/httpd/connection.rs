//! Requests of one connection, one after another.

use super::body::{Body, Chunk, Step};
use super::date;
use super::files::{Found, Root};
use super::head::{Head, Method};
use super::limits::Limits;
use super::memory::{Buffer, Memory};
use super::status::Status;
use super::wire::{End, LARGEST, LONGEST_HEAD, Taken, Wire};
use crate::codebase::json::{Json, ParseError};
use crate::codebase::memory::with_scope;
use crate::codebase::{Purpose, Scope};
use arrayvec::ArrayString;
use bytes::BufMut;
use millpond_analytics::Format;
use std::fmt::Write as _;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use twox_hash::xxhash3_64::{DEFAULT_SECRET_LENGTH, RawHasher, SecretBuffer};

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// What is said where there is no memory or no place, not even for an answer.
pub const UNAVAILABLE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The smallest buffer that a body which is collected chunk by chunk begins with.
const SMALLEST_BODY: usize = 4 << 10;

/// What a server counts.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Connections beyond the limit, which were closed at once.
    pub turned_away: AtomicU64,
    /// Requests that were answered, refusals included.
    pub requests: AtomicU64,
    /// Requests after which the connection was closed because they were malformed,
    /// too large, or there was no memory.
    pub refused: AtomicU64,
    /// Connections that were dropped because they took too long.
    pub slow: AtomicU64,
}

/// What all connections of a server share.
#[derive(Debug)]
pub struct Shared<M> {
    /// Where memory comes from.
    pub memory: M,
    /// What each client may take.
    pub limits: Limits,
    /// The files.
    pub root: Root,
    /// Whether the server is about to stop.
    pub stopping: AtomicBool,
    /// What happened.
    pub counts: Counts,
}

/// What is to be done about a request whose head was read.
struct Plan {
    route: Route,
    body: Body,
    keep_alive: bool,
    head_only: bool,
    expects_continue: bool,
}

enum Route {
    File(Found),
    Echo,
    Digest,
    Json,
    Metrics(Format),
    Snapshot,
    Refuse(Status),
}

impl Route {
    fn of<M: Memory>(head: &Head<'_>, shared: &Shared<M>) -> Self {
        let takes_body = matches!(head.method, Method::Post | Method::Put);
        let reads = matches!(head.method, Method::Get | Method::Head);
        match head.path {
            "/echo" if takes_body => Self::Echo,
            "/digest" if takes_body => Self::Digest,
            "/json" if takes_body => Self::Json,
            "/metrics" if reads => {
                Self::Metrics(head.accept.map_or(Format::Text, Format::accepted_by))
            }
            "/metrics.json" if reads => Self::Snapshot,
            "/echo" | "/digest" | "/json" => Self::Refuse(Status::NO_METHOD),
            path if reads => shared.root.find(path).map_or_else(Self::Refuse, Self::File),
            _ => Self::Refuse(Status::NO_METHOD),
        }
    }
}

/// Answers the requests of a connection until it ends.
pub async fn serve<M: Memory>(wire: Wire<M>, shared: Arc<Shared<M>>) {
    let counts = &shared.counts;
    let mut connection = Connection {
        wire,
        shared: &shared,
        keep_alive: true,
        head_only: false,
    };
    let mut ended = Ok(());
    while ended.is_ok() && connection.keep_alive {
        ended = connection.request().await;
        if ended.is_ok() {
            counts.requests.fetch_add(1, Ordering::Relaxed);
        }
    }
    match ended {
        Ok(()) => {}
        Err(End::Refused(status)) => {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            counts.requests.fetch_add(1, Ordering::Relaxed);
            connection.keep_alive = false;
            connection.head_only = false;
            if status == Status::NO_MEMORY {
                connection.wire.put_last(UNAVAILABLE);
            } else if connection.refuse(status).await.is_err() {
                return;
            }
        }
        Err(End::Slow) => {
            counts.slow.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Err(End::Closed | End::Broken(_)) => return,
    }
    if connection.wire.flush().await.is_ok() {
        connection.wire.close().await;
    }
}

struct Connection<'s, M: Memory> {
    wire: Wire<M>,
    shared: &'s Shared<M>,
    /// Whether another request may follow this one.
    keep_alive: bool,
    /// Whether the answer is its head alone.
    head_only: bool,
}

impl<M: Memory> Connection<'_, M> {
    async fn request(&mut self) -> Result<(), End> {
        self.wire.rest().await?;
        let mut plan = self.head().await?;
        self.head_only = plan.head_only;
        self.keep_alive = plan.keep_alive;
        if matches!(plan.body, Body::Length(bytes) if bytes > self.shared.limits.body_bytes) {
            return Err(Status::TOO_LARGE.into());
        }
        if plan.expects_continue && plan.body != Body::NONE {
            self.wire.put(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            self.wire.flush().await?;
        }
        match plan.route {
            Route::Echo => self.echo(plan.body).await,
            Route::Json => self.json(plan.body).await,
            Route::Digest => self.digest(plan.body).await,
            route => {
                self.each_part(&mut plan.body, |_| Ok(())).await?;
                self.answer(route).await
            }
        }
    }

    async fn head(&mut self) -> Result<Plan, End> {
        let limit = self.shared.limits.head_bytes;
        loop {
            if let Some(head) = Head::parse(self.wire.bytes(), limit)? {
                let plan = Plan {
                    route: Route::of(&head, self.shared),
                    body: head.body,
                    keep_alive: head.keep_alive,
                    head_only: head.method == Method::Head,
                    expects_continue: head.expects_continue,
                };
                let bytes = head.bytes;
                self.wire.consume(bytes);
                return Ok(plan);
            }
            self.wire.fill(limit).await?;
        }
    }

    /// Answers a request whose body, if it had one, is of no interest.
    async fn answer(&mut self, route: Route) -> Result<(), End> {
        let exporter = self.shared.memory.exporter();
        match route {
            Route::File(Found { file, bytes, kind }) => {
                self.begin(Status::OK, kind, bytes).await?;
                if !self.head_only {
                    self.wire.put_file(&file, bytes).await?;
                }
                Ok(())
            }
            Route::Metrics(format) => {
                let text = exporter.expose(format).body;
                self.say(Status::OK, format.content_type(), text.as_bytes())
                    .await
            }
            Route::Snapshot => {
                let text = exporter.registry().snapshot().to_json();
                self.say(Status::OK, JSON, text.as_bytes()).await
            }
            Route::Refuse(status) => self.refuse(status).await,
            Route::Echo | Route::Digest | Route::Json => unreachable!("they read their bodies"),
        }
    }

    async fn echo(&mut self, body: Body) -> Result<(), End> {
        let taken = self.collect(body).await?;
        self.say(Status::OK, BYTES, taken.bytes()).await?;
        self.give_back(body, taken);
        Ok(())
    }

    /// Answers with the length and the digest of a body, which goes by in pieces.
    async fn digest(&mut self, mut body: Body) -> Result<(), End> {
        // Not `XxHash3_64`, which keeps its secret on the heap.
        let secret = SecretBuffer::with_seed(0, [0; DEFAULT_SECRET_LENGTH]);
        let secret = secret.map_err(|_| Status::FAILED)?;
        let (mut digest, mut bytes) = (RawHasher::new(secret), 0_u64);
        self.each_part(&mut body, |part| {
            digest.write(part);
            bytes += part.len() as u64;
            Ok(())
        })
        .await?;
        let digest = digest.finish();
        let mut text = ArrayString::<96>::new();
        let _ = writeln!(text, "{{\"bytes\":{bytes},\"xxh3\":\"{digest:016x}\"}}");
        self.say(Status::OK, JSON, text.as_bytes()).await
    }

    /// Answers with what a JSON document consists of.
    async fn json(&mut self, body: Body) -> Result<(), End> {
        let taken = self.collect(body).await?;
        let shape = match std::str::from_utf8(taken.bytes()) {
            Ok(text) => Shape::of_text(&self.shared.memory, text),
            Err(error) => Err(error.to_string()),
        };
        self.give_back(body, taken);
        match shape {
            Ok(shape) => self.say(Status::OK, JSON, shape.to_json().as_bytes()).await,
            Err(reason) => {
                let said = format!("{}: {reason}\n", Status::BAD_REQUEST);
                self.say(Status::BAD_REQUEST, PLAIN, said.as_bytes()).await
            }
        }
    }

    /// The whole body in one piece: where it came in if its length is known, and
    /// put together in a buffer that grows if it is not.
    async fn collect(&mut self, mut body: Body) -> Result<Taken<M::Buffer>, End> {
        if let Body::Length(bytes) = body {
            let bytes = usize::try_from(bytes).map_err(|_| Status::TOO_LARGE)?;
            return self.wire.take(bytes).await;
        }
        let memory = &self.shared.memory;
        let mut whole = memory.buffer(SMALLEST_BODY)?;
        self.each_part(&mut body, |part| {
            if whole.spare() < part.len() {
                let needed = whole.len() + part.len();
                let mut larger = memory.buffer(needed.next_power_of_two())?;
                larger.put_slice(&whole);
                whole = larger;
            }
            whole.put_slice(part);
            Ok(())
        })
        .await?;
        Ok(Taken::whole(whole))
    }

    fn give_back(&mut self, body: Body, taken: Taken<M::Buffer>) {
        if matches!(body, Body::Length(_)) {
            self.wire.put_back(taken);
        }
    }

    /// Shows the body to `show`, piece by piece.
    async fn each_part(
        &mut self,
        body: &mut Body,
        mut show: impl FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(), End> {
        let limits = self.shared.limits;
        let mut seen = 0;
        loop {
            match body.step(self.wire.bytes())? {
                Step::Done => return Ok(()),
                Step::Framing(bytes) => self.wire.consume(bytes),
                Step::Data(bytes) => {
                    seen += bytes as u64;
                    if seen > limits.body_bytes {
                        return Err(Status::TOO_LARGE.into());
                    }
                    show(&self.wire.bytes()[..bytes])?;
                    self.wire.consume(bytes);
                }
                Step::More => {
                    let here = self.wire.bytes().len();
                    if here >= limits.head_bytes {
                        return Err(Status::HEAD_TOO_LARGE.into());
                    }
                    let room = match *body {
                        Body::Length(left) | Body::Chunked(Chunk::Data(left)) => {
                            usize::try_from(left).unwrap_or(LARGEST).min(LARGEST)
                        }
                        Body::Chunked(_) => limits.head_bytes,
                    };
                    self.wire.fill(room).await?;
                }
            }
        }
    }

    async fn refuse(&mut self, status: Status) -> Result<(), End> {
        let mut text = ArrayString::<64>::new();
        let _ = writeln!(text, "{status}");
        self.say(status, PLAIN, text.as_bytes()).await
    }

    async fn say(&mut self, status: Status, kind: &str, body: &[u8]) -> Result<(), End> {
        self.begin(status, kind, body.len() as u64).await?;
        if self.head_only {
            return Ok(());
        }
        self.wire.put(body).await
    }

    /// Writes the head of an answer, with room behind it for the body, or for as
    /// much of it as fits.
    async fn begin(&mut self, status: Status, kind: &str, bytes: u64) -> Result<(), End> {
        // Asked late: a stop may have come while the body was on its way.
        self.keep_alive &= !self.shared.stopping.load(Ordering::Relaxed);
        let follows = if self.head_only { 0 } else { bytes };
        let follows = usize::try_from(follows).unwrap_or(LARGEST).min(LARGEST);
        let output = self.wire.make_way(LONGEST_HEAD + follows).await?;
        // Piece by piece: the machinery of formats takes as long as reading the request.
        output.put_slice(status.line.as_bytes());
        output.put_slice(b"Date: ");
        date::now(|date| output.put_slice(date.as_bytes()));
        output.put_slice(b"\r\nContent-Type: ");
        output.put_slice(kind.as_bytes());
        output.put_slice(b"\r\nContent-Length: ");
        output.put_slice(itoa::Buffer::new().format(bytes).as_bytes());
        let connection = if self.keep_alive {
            "\r\nConnection: keep-alive\r\n"
        } else {
            "\r\nConnection: close\r\n"
        };
        output.put_slice(connection.as_bytes());
        if status == Status::NO_METHOD {
            output.put_slice(b"Allow: GET, HEAD, POST, PUT\r\n");
        }
        output.put_slice(b"\r\n");
        Ok(())
    }
}

/// What a JSON document consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shape {
    values: u64,
    depth: u64,
    text_bytes: u64,
    sum: f64,
}

impl Shape {
    /// Reads a document in memory of the moment, which goes with it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    fn of_text<M: Memory>(memory: &M, text: &str) -> Result<Self, String> {
        with_scope!(memory, Purpose::Json, |scope| {
            match Json::parse(scope, text) {
                Ok(document) => {
                    let mut shape = Self::default();
                    shape.add(&document, 1);
                    Ok(Ok(shape))
                }
                Err(ParseError::Malformed(reason)) => Ok(Err(reason)),
                Err(ParseError::Full) => Err(crate::codebase::Full),
            }
        })
    }

    fn add<S: Scope>(&mut self, value: &Json<'_, S>, depth: u64) {
        self.values += 1;
        self.depth = self.depth.max(depth);
        match value {
            Json::Null | Json::Bool(_) => {}
            Json::Number(number) => self.sum += number,
            Json::Text(text) => self.text_bytes += text.as_str().len() as u64,
            Json::Array(values) => values.iter().for_each(|value| self.add(value, depth + 1)),
            Json::Object(entries) => {
                for (key, value) in entries.iter() {
                    self.text_bytes += key.as_str().len() as u64;
                    self.add(value, depth + 1);
                }
            }
        }
    }

    fn to_json(self) -> ArrayString<256> {
        let Self {
            values,
            depth,
            text_bytes,
            sum,
        } = self;
        let mut text = ArrayString::new();
        let _ = write!(
            text,
            "{{\"values\":{values},\"depth\":{depth},\"text_bytes\":{text_bytes},\"sum\":"
        );
        // JSON has no infinity, and a number beyond this is as good as one.
        let _ = match sum.is_finite() {
            true => writeln!(text, "{sum:e}}}"),
            false => writeln!(text, "null}}"),
        };
        text
    }
}
