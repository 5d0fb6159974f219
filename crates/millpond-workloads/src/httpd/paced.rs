//! A load that sends requests when they are due, answered or not: an open loop.
//!
//! ```text
//!   due ──▶ a connection is free ──▶ sent ──▶ answered
//!    └──────────────── told of ────────────────┘
//! ```
//!
//! A client that waits for the last answer before it asks again asks little while the
//! server is slow, and does not see what its users would have waited. Here the times
//! are drawn ahead, a Poisson process, and a request's own begins when it is due.
//!
//! One thread looks at its connections without a pause, so that nobody has to wake it
//! up. Nothing is allocated once the connections are there.

use super::load::{Call, LONGEST_HEAD, PATIENCE, PIECE, extent};
use crate::corpus::Dice;
use arrayvec::ArrayVec;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Connections to one server, on which calls are made at times of their own.
#[derive(Debug)]
pub struct Paced {
    lines: Vec<Line>,
    free: VecDeque<usize>,
    busy: Vec<usize>,
    calls: Vec<Call>,
    turn: usize,
    dice: Dice,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Line {
    stream: TcpStream,
    due: Instant,
    call: usize,
    /// Bytes of the call that were sent.
    sent: usize,
    /// Bytes of the answer that came.
    came: usize,
    /// All bytes of the answer, once its head says so.
    whole: Option<usize>,
    head: ArrayVec<u8, LONGEST_HEAD>,
}

impl Paced {
    /// Connects. What is drawn is decided by `seed`.
    ///
    /// # Errors
    ///
    /// If the server is not there, or there is no call or no connection to make it on.
    pub fn new(
        server: SocketAddr,
        connections: usize,
        calls: Vec<Call>,
        seed: u64,
    ) -> io::Result<Self> {
        if calls.is_empty() || connections == 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
        let connect = |_| Line::new(server);
        Ok(Self {
            lines: (0..connections).map(connect).collect::<io::Result<_>>()?,
            free: (0..connections).collect(),
            busy: Vec::with_capacity(connections),
            calls,
            turn: 0,
            dice: Dice::new(seed),
            buffer: vec![0; PIECE],
        })
    }

    /// Makes so many calls, `gap` apart in the mean. `answered` is told how long each
    /// took, from when it was due until its answer was read.
    ///
    /// # Errors
    ///
    /// If a connection breaks, nothing comes for ten seconds, or an answer is anything
    /// but 200 with a length. The connections are of no use then.
    pub fn run(
        &mut self,
        calls: u64,
        gap: Duration,
        mut answered: impl FnMut(Duration),
    ) -> io::Result<()> {
        let (mut begun, mut due) = (0, Instant::now());
        let mut heard = due;
        while begun < calls || !self.busy.is_empty() {
            let now = Instant::now();
            while begun < calls && due <= now {
                // Who finds none free is late, and counts from when it was due.
                let Some(place) = self.free.pop_front() else {
                    break;
                };
                self.lines[place].begin(self.turn % self.calls.len(), due);
                self.busy.push(place);
                (begun, self.turn) = (begun + 1, self.turn + 1);
                due += gap.mul_f64(-(1.0 - self.dice.share()).ln());
            }
            let mut at = 0;
            while let Some(&place) = self.busy.get(at) {
                let line = &mut self.lines[place];
                if line.go_on(&self.calls, &mut self.buffer)? {
                    heard = Instant::now();
                    answered(heard - line.due);
                    self.busy.swap_remove(at);
                    self.free.push_back(place);
                } else {
                    at += 1;
                }
            }
            if !self.busy.is_empty() && now.saturating_duration_since(heard.max(due)) > PATIENCE {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }
}

impl Line {
    fn new(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            due: Instant::now(),
            call: 0,
            sent: 0,
            came: 0,
            whole: None,
            head: ArrayVec::new(),
        })
    }

    fn begin(&mut self, call: usize, due: Instant) {
        (self.call, self.due) = (call, due);
        (self.sent, self.came, self.whole) = (0, 0, None);
        self.head.clear();
    }

    /// Sends and reads what can be at the moment. Answers whether all has come.
    fn go_on(&mut self, calls: &[Call], buffer: &mut [u8]) -> io::Result<bool> {
        let bytes = calls[self.call].as_bytes();
        if self.sent < bytes.len() {
            self.sent += now(self.stream.write(&bytes[self.sent..]))?.unwrap_or(0);
        }
        match now(self.stream.read(buffer))? {
            None => Ok(false),
            Some(0) => Err(ErrorKind::UnexpectedEof.into()),
            Some(read) => self.take(&buffer[..read]),
        }
    }

    /// Takes note of more bytes of the answer. Answers whether they were the last.
    fn take(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.came += bytes.len();
        if self.whole.is_none() {
            let fitting = bytes.len().min(self.head.remaining_capacity());
            self.head.extend(bytes[..fitting].iter().copied());
            self.whole = extent(&self.head)?.map(|(head, body)| head + body);
        }
        match self.whole {
            Some(whole) if self.came <= whole => Ok(self.came == whole),
            None if !self.head.is_full() => Ok(false),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }
}

/// `None` for what cannot be done at the moment.
fn now(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        done => done.map(Some),
    }
}
