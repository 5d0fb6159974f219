//! One connection's bytes: what came in, what goes out, and how long it may take.
//!
//! ```text
//!   socket ──fill──▶ input  [ consumed │ unconsumed │ spare ]
//!          ◀─flush── output [ answers, one behind another   ]
//! ```
//!
//! Buffers are leased late and released early: a connection that waits for its
//! next request holds none. A body that does not fit moves the input to a larger
//! class; an answer that does not fit is preceded by a flush. A client that always
//! has more to say takes turns with the others: reading and writing use up the
//! task's budget.

use super::limits::Limits;
use super::memory::{Buffer, Memory, NoMemory};
use super::status::Status;
use bytes::BufMut;
use rustix::fd::OwnedFd;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Sleep, sleep_until};

/// The largest buffer that is leased for what is streamed.
pub const LARGEST: usize = 64 << 10;

/// The smallest buffer for answers: a few short ones.
const SMALLEST_OUTPUT: usize = 4 << 10;

/// Bytes that the head of an answer has room for.
pub const LONGEST_HEAD: usize = 512;

/// Why a connection ends.
#[derive(Debug)]
pub enum End {
    /// The client closed it, or the server stops.
    Closed,
    /// The client took longer than it may.
    Slow,
    /// The request is refused, and what follows it cannot be trusted.
    Refused(Status),
    /// The socket or a file failed.
    Broken(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<NoMemory> for End {
    fn from(_: NoMemory) -> Self {
        Self::Refused(Status::NO_MEMORY)
    }
}

/// A contiguous body, taken out of the wire.
#[derive(Debug)]
pub struct Taken<B> {
    buffer: B,
    start: usize,
    bytes: usize,
}

impl<B: Buffer> Taken<B> {
    /// A body that lies in a buffer of its own.
    pub fn whole(buffer: B) -> Self {
        let bytes = buffer.len();
        Self {
            buffer,
            start: 0,
            bytes,
        }
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.bytes]
    }
}

/// The two directions of a connection.
#[derive(Debug)]
pub struct Wire<M: Memory> {
    stream: TcpStream,
    memory: M,
    limits: Limits,
    input: Option<M::Buffer>,
    /// How much of the input is consumed.
    start: usize,
    output: Option<M::Buffer>,
    deadline: Instant,
    /// Rings at the deadline or before: it is wound again only when it has rung,
    /// because deadlines mostly move away.
    alarm: Pin<Box<Sleep>>,
    stop: Pin<Box<OwnedNotified>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// For the first byte of a request, or for the server to stop.
    Idle,
    Read,
    Write,
}

impl<M: Memory> Wire<M> {
    /// A wire over a connection; `stop` ends it while it is idle.
    pub fn new(stream: TcpStream, memory: M, limits: Limits, stop: Arc<Notify>) -> Self {
        let deadline = Instant::now() + limits.idle;
        Self {
            stream,
            memory,
            limits,
            input: None,
            start: 0,
            output: None,
            deadline,
            alarm: Box::pin(sleep_until(deadline)),
            stop: Box::pin(stop.notified_owned()),
        }
    }

    /// What came in and was not consumed.
    pub fn bytes(&self) -> &[u8] {
        let input = self.input.as_ref();
        input.map_or(&[], |input| &input[self.start..])
    }

    /// Consumes the first `count` of [`Wire::bytes`].
    pub fn consume(&mut self, count: usize) {
        self.start += count;
    }

    /// Waits for the next request: sends what is to be sent, releases both buffers,
    /// and returns when a byte has come. Returns at once if one is there.
    ///
    /// # Errors
    ///
    /// As [`Wire::flush`]; if nothing came in time, or the server stops.
    pub async fn rest(&mut self) -> Result<(), End> {
        if self.bytes().is_empty() {
            self.flush().await?;
            (self.input, self.start, self.output) = (None, 0, None);
            self.allow(self.limits.idle);
            self.ready(Wait::Idle).await?;
        }
        self.allow(self.limits.request);
        Ok(())
    }

    /// Reads what there is, at least a byte, with room for `total` bytes that are
    /// not consumed.
    ///
    /// # Errors
    ///
    /// If there is no memory, the client has nothing more to say, or it took too long.
    pub async fn fill(&mut self, total: usize) -> Result<(), End> {
        loop {
            let input = make_room(&self.memory, &mut self.input, &mut self.start, total)?;
            // Not `try_read_buf`: this one knows from a short read that there is no
            // more, so that a connection with nothing to say is seen to be idle.
            let stream = &mut self.stream;
            let read = poll_fn(|context| Poll::Ready(pin!(stream.read_buf(input)).poll(context)));
            match read.await {
                Poll::Ready(Ok(0)) => {
                    // Who will ask no more may still want to hear.
                    self.flush().await?;
                    return Err(End::Closed);
                }
                Poll::Ready(Ok(_)) => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => {
                    // Earlier answers do not wait for the rest of this request.
                    self.flush().await?;
                    self.ready(Wait::Read).await?;
                }
            }
        }
    }

    /// Takes the next `count` bytes out of the wire, contiguous, to be given back by
    /// [`Wire::put_back`].
    ///
    /// # Errors
    ///
    /// As [`Wire::fill`].
    pub async fn take(&mut self, count: usize) -> Result<Taken<M::Buffer>, End> {
        while self.bytes().len() < count {
            self.fill(count).await?;
        }
        let buffer = match self.input.take() {
            Some(input) => input,
            None => self.memory.buffer(count)?,
        };
        Ok(Taken {
            buffer,
            start: self.start,
            bytes: count,
        })
    }

    /// Gives back what was taken; it is consumed.
    pub fn put_back(&mut self, taken: Taken<M::Buffer>) {
        self.input = Some(taken.buffer);
        self.start = taken.start + taken.bytes;
    }

    /// A buffer for the output with room for `bytes`, or for the most there is.
    ///
    /// # Errors
    ///
    /// If there is no memory, or as [`Wire::flush`].
    pub async fn make_way(&mut self, bytes: usize) -> Result<&mut M::Buffer, End> {
        let wanted = bytes.clamp(SMALLEST_OUTPUT, LARGEST);
        if self
            .output
            .as_ref()
            .is_some_and(|output| output.spare() < bytes.min(LARGEST))
        {
            self.flush().await?;
            self.output = None;
        }
        match &mut self.output {
            Some(output) => Ok(output),
            empty => Ok(empty.insert(self.memory.buffer(wanted)?)),
        }
    }

    /// Appends bytes to the output; sends it whenever it is full.
    ///
    /// # Errors
    ///
    /// As [`Wire::make_way`].
    pub async fn put(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        while !bytes.is_empty() {
            let output = self.make_way(1).await?;
            let (now, later) = bytes.split_at(bytes.len().min(output.spare()));
            output.put_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Appends `bytes` of a file to the output; sends it whenever it is full.
    ///
    /// The file is read from the system's cache, mostly, and the thread waits where
    /// it is not.
    ///
    /// # Errors
    ///
    /// As [`Wire::make_way`], and if the file cannot be read or has become shorter.
    pub async fn put_file(&mut self, file: &OwnedFd, bytes: u64) -> Result<(), End> {
        let mut at = 0;
        while at < bytes {
            let output = self.make_way(1).await?;
            match read_at(output, file, at, bytes - at)? {
                0 => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
                read => at += read as u64,
            }
        }
        Ok(())
    }

    /// Sends the output.
    ///
    /// # Errors
    ///
    /// If the client is gone, or takes too long to accept it.
    pub async fn flush(&mut self) -> Result<(), End> {
        let Some(mut output) = self.output.take() else {
            return Ok(());
        };
        let (mut sent, mut has_waited) = (0, false);
        consume_budget().await;
        while sent < output.len() {
            match self.stream.try_write(&output[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // Once for all of it: who takes it drop by drop gains no time.
                    if !std::mem::replace(&mut has_waited, true) {
                        self.allow(self.limits.write);
                    }
                    self.ready(Wait::Write).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        output.discard_front(sent);
        self.output = Some(output);
        Ok(())
    }

    /// Sends a few bytes that need no buffer, if the socket has room for them.
    pub fn put_last(&mut self, bytes: &[u8]) {
        (self.input, self.start, self.output) = (None, 0, None);
        let _ = self.stream.try_write(bytes);
    }

    /// Closes the connection so that the client reads the last answer: closes our
    /// direction, and hears the client out for a little.
    pub async fn close(mut self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        const MOST: usize = 1 << 20;
        (self.input, self.start, self.output) = (None, 0, None);
        if rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Write).is_err() {
            return;
        }
        self.allow(PATIENCE);
        let (deadline, mut heard) = (self.deadline, 0);
        while heard < MOST && Instant::now() < deadline && self.fill(SMALLEST_OUTPUT).await.is_ok()
        {
            heard += self.bytes().len();
            self.consume(self.bytes().len());
        }
    }

    fn allow(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
        if self.alarm.deadline() > self.deadline {
            self.alarm.as_mut().reset(self.deadline);
        }
    }

    async fn ready(&mut self, wait: Wait) -> Result<(), End> {
        poll_fn(|context| {
            let ready = match wait {
                Wait::Write => self.stream.poll_write_ready(context),
                Wait::Idle | Wait::Read => self.stream.poll_read_ready(context),
            };
            if let Poll::Ready(done) = ready {
                return Poll::Ready(done.map_err(End::from));
            }
            if wait == Wait::Idle && self.stop.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(End::Closed));
            }
            loop {
                ready!(self.alarm.as_mut().poll(context));
                if Instant::now() >= self.deadline {
                    return Poll::Ready(Err(End::Slow));
                }
                self.alarm.as_mut().reset(self.deadline);
            }
        })
        .await
    }
}

/// Makes sure that the input can hold `total` bytes that are not consumed, and one
/// more than it has now.
fn make_room<'i, M: Memory>(
    memory: &M,
    input: &'i mut Option<M::Buffer>,
    start: &mut usize,
    total: usize,
) -> Result<&'i mut M::Buffer, NoMemory> {
    if let Some(buffer) = input {
        let unconsumed = buffer.len() - *start;
        let total = total.max(unconsumed + 1);
        if buffer.len() + buffer.spare() < total {
            let mut larger = memory.buffer(total)?;
            larger.put_slice(&buffer[*start..]);
            (*buffer, *start) = (larger, 0);
        } else if unconsumed + buffer.spare() < total || unconsumed == 0 {
            buffer.discard_front(*start);
            *start = 0;
        }
    }
    match input {
        Some(buffer) => Ok(buffer),
        empty => Ok(empty.insert(memory.buffer(total)?)),
    }
}

/// Reads from a file behind what the buffer has, `most` bytes at most.
fn read_at(into: &mut impl Buffer, file: &OwnedFd, at: u64, most: u64) -> io::Result<usize> {
    let most = usize::try_from(most)
        .unwrap_or(usize::MAX)
        .min(into.spare());
    let spare = into.chunk_mut();
    let most = most.min(spare.len());
    // SAFETY: the system writes into it, and nothing takes initialised bytes away.
    let spare = unsafe { spare[..most].as_uninit_slice_mut() };
    let (read, _) = rustix::io::pread(file, spare, at)?;
    let read = read.len();
    // SAFETY: the system has written so many bytes there.
    unsafe { into.advance_mut(read) };
    Ok(read)
}
