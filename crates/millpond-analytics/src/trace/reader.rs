//! Reading a trace.

use super::{MAGIC, OTHER_BYTES, OTHER_POOL, RELEASE, Read, VERSION, varint};
use std::collections::HashMap;
use std::fmt;
use std::io;

/// Most bytes of a trace that are read: some hundred million events.
const MOST_BYTES: u64 = 1 << 30;

/// What was recorded, in the order of time.
///
/// ```no_run
/// use millpond_analytics::{Advisor, Trace};
///
/// let trace = Trace::read(std::fs::File::open("traffic.trace")?)?;
/// for pool in &trace.pools {
///     println!("{pool}: {}", trace.demand(pool).capacity_for(0.99));
///     println!("{:?}", Advisor::new().class_table(&trace.sizes(pool), &[]));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace {
    /// The names of the pools, by number.
    pub pools: Vec<String>,
    /// What happened.
    pub events: Vec<TraceEvent>,
    /// Events that could not be recorded.
    pub lost: u64,
}

/// An acquire or a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceEvent {
    /// Its place among all events.
    pub order: u64,
    /// When, in nanoseconds since the recording began; known to a chunk.
    pub at_ns: u64,
    /// A number for the thread.
    pub thread: u64,
    /// A number for the pool: an index of [`Trace::pools`].
    pub pool: usize,
    /// A number for the item.
    pub item: u64,
    /// The size of what was acquired; `None` for a release.
    pub bytes: Option<usize>,
}

/// An acquire with its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The thread that acquired.
    pub thread: u64,
    /// The number of the pool.
    pub pool: usize,
    /// The size.
    pub bytes: usize,
    /// For how long the item was out; `None` if it was still out at the end.
    pub hold_ns: Option<u64>,
}

impl Trace {
    /// Reads a trace to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is longer than a gigabyte, or is no trace.
    pub fn read(from: impl Read) -> Result<Self, TraceError> {
        let mut bytes = Vec::new();
        let mut from = from.take(MOST_BYTES + 1);
        from.read_to_end(&mut bytes).map_err(TraceError::Io)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(TraceError::TooLong);
        }
        Self::parse(&bytes)
    }

    /// Reads a trace from memory. One whose program was killed ends in the middle
    /// of a chunk, or without the last: what is whole is taken.
    ///
    /// # Errors
    ///
    /// If it is no trace.
    pub fn parse(bytes: &[u8]) -> Result<Self, TraceError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(TraceError::NoTrace)?;
        let (&version, mut rest) = rest.split_first().ok_or(TraceError::NoTrace)?;
        if version != VERSION {
            return Err(TraceError::Version(version));
        }
        let mut trace = Self::default();
        while let Some((&kind, after)) = rest.split_first() {
            let at = bytes.len() - rest.len();
            rest = after;
            let part = match kind {
                1 => trace.read_pool(&mut rest),
                2 => trace.read_chunk(&mut rest),
                3 => varint::take(&mut rest).map(|lost| {
                    trace.lost = trace.lost.saturating_add(lost);
                    true
                }),
                _ => Some(false),
            };
            match part {
                Some(true) => {}
                Some(false) => return Err(TraceError::Malformed { at }),
                None => break, // Cut off.
            }
        }
        // A release has the number of the next acquire, and comes before it.
        let place = |event: &TraceEvent| (event.order, event.bytes.is_some());
        trace.events.sort_by_key(place);
        for (place, event) in trace.events.iter_mut().enumerate() {
            event.order = place as u64;
        }
        Ok(trace)
    }

    /// `None` if it is cut off, else whether it was well formed.
    fn read_pool(&mut self, rest: &mut &[u8]) -> Option<bool> {
        let id = varint::take(rest)?;
        let length = usize::try_from(varint::take(rest)?).ok()?;
        let name = rest.get(..length)?;
        *rest = &rest[length..];
        let Ok(name) = std::str::from_utf8(name) else {
            return Some(false);
        };
        if id != self.pools.len() as u64 {
            return Some(false);
        }
        self.pools.push(name.to_owned());
        Some(true)
    }

    /// As [`Trace::read_pool`].
    fn read_chunk(&mut self, rest: &mut &[u8]) -> Option<bool> {
        let thread = varint::take(rest)?;
        let began_ns = varint::take(rest)?;
        let took_ns = varint::take(rest)?;
        let count = varint::take(rest)?;
        let length = usize::try_from(varint::take(rest)?).ok()?;
        let mut events = rest.get(..length)?;
        *rest = &rest[length..];
        // Each event has a byte at least, so a count is no reason to reserve more.
        if count > length as u64 {
            return Some(false);
        }
        let mut before = Before::default();
        for index in 0..count {
            let Some((pool, bytes)) = before.next(&mut events) else {
                return Some(false);
            };
            if pool >= self.pools.len() {
                return Some(false);
            }
            let share = u128::from(took_ns) * u128::from(index) / u128::from(count);
            self.events.push(TraceEvent {
                order: before.order,
                at_ns: began_ns.saturating_add(u64::try_from(share).unwrap_or(u64::MAX)),
                thread,
                pool,
                item: before.item,
                bytes,
            });
        }
        Some(events.is_empty())
    }

    /// Every acquire with its release, in the order of acquires. Items that were
    /// out when the recording began are left out.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        let mut out: HashMap<(usize, u64), (usize, u64)> = HashMap::new();
        for event in &self.events {
            let key = (event.pool, event.item);
            if let Some(bytes) = event.bytes {
                out.insert(key, (operations.len(), event.at_ns));
                operations.push(Operation {
                    thread: event.thread,
                    pool: event.pool,
                    bytes,
                    hold_ns: None,
                });
            } else if let Some((index, since)) = out.remove(&key) {
                let held = event.at_ns.saturating_sub(since);
                operations[index].hold_ns = Some(held);
            }
        }
        operations
    }
}

/// What the next event of a chunk differs from.
#[derive(Default)]
struct Before {
    order: u64,
    item: u64,
    pool: Option<usize>,
    bytes: Option<usize>,
}

impl Before {
    /// The pool of the next event, and its size if it is an acquire; `None` if it
    /// is malformed.
    fn next(&mut self, events: &mut &[u8]) -> Option<(usize, Option<usize>)> {
        let (&head, after) = events.split_first()?;
        *events = after;
        if head & !(RELEASE | OTHER_POOL | OTHER_BYTES) != 0 {
            return None;
        }
        self.order = self.order.wrapping_add(varint::take(events)?);
        self.item = self.item.wrapping_add_signed(varint::take_signed(events)?);
        if head & OTHER_POOL != 0 {
            self.pool = Some(usize::try_from(varint::take(events)?).ok()?);
        }
        if head & OTHER_BYTES != 0 {
            self.bytes = Some(usize::try_from(varint::take(events)?).ok()?);
        }
        let (pool, size) = (self.pool?, self.bytes?);
        let released = head & RELEASE != 0;
        Some((pool, (!released).then_some(size)))
    }
}

/// Why something is not a trace.
#[derive(Debug)]
#[non_exhaustive]
pub enum TraceError {
    /// It could not be read.
    Io(io::Error),
    /// It does not begin as traces do.
    NoTrace,
    /// It is of a version that this crate does not know.
    Version(u8),
    /// It is longer than what is read.
    TooLong,
    /// What begins at this byte is not part of a trace.
    Malformed {
        /// Where, counted from 0.
        at: usize,
    },
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the trace cannot be read: {error}"),
            Self::NoTrace => f.write_str("not a trace: it does not begin with MILLPOND"),
            Self::Version(version) => {
                write!(f, "a trace of version {version}; {VERSION} is understood")
            }
            Self::TooLong => write!(f, "a trace of more than {MOST_BYTES} bytes"),
            Self::Malformed { at } => write!(f, "not a trace: what begins at byte {at} is none"),
        }
    }
}

impl std::error::Error for TraceError {}
