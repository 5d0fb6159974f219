//! Traces: every acquire and release of the pools that are recorded, on disk.
//!
//! ```text
//!   file    magic "MILLPOND" version
//!           pool   1  id  length  name                       before its first use
//!           chunk  2  thread  began_ns  took_ns  events  bytes  ┐ of one thread,
//!                  event event event …                          ┘ in order
//!           lost   3  events                                 at the end
//!
//!   event   head  order, as a difference  item, as a difference  [pool]  [bytes]
//!           │ 1 release, 2 other pool than before, 4 other size than before
//! ```
//!
//! Numbers are varints (LEB128), differences of items zigzag: an event takes
//! three to seven bytes. Order over all threads is exact: an item's release comes
//! before its next acquire. Time is taken once for each chunk and spread evenly
//! over its events, because a clock costs more than everything else together.

use crate::advisor::Demand;
use millpond_core::entry::Entry;
use millpond_core::recording::{self, AlreadyInstalled};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

mod reader;
mod varint;

pub use reader::{Operation as TracedOperation, Trace, TraceError, TraceEvent};

const MAGIC: &[u8; 8] = b"MILLPOND";
const VERSION: u8 = 1;

/// Events that a thread keeps before it writes them out.
///
/// A thousand are 48 KB for each thread, and the write, some 20 µs, is shared by
/// all of them. Small enough that the time of an event is known to some 30 µs
/// while a thread is busy.
const CHUNK: usize = 1024;

const RELEASE: u8 = 1;
const OTHER_POOL: u8 = 2;
const OTHER_BYTES: u8 = 4;

/// Records what pools do, for as long as their diagnostics are at
/// [`Diagnosis::Recorded`](millpond_core::diagnostics::Diagnosis).
///
/// ```no_run
/// use millpond_analytics::TraceRecorder;
/// use std::fs::File;
///
/// let recorder = TraceRecorder::install(File::create("traffic.trace")?)?;
/// // pool.set_diagnosis(Diagnosis::Recorded); the program works; then:
/// recorder.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The thread that fills its chunk writes it. What the system refuses to take is
/// counted as lost, and the recording ends; the program goes on.
///
/// Cost: see `cargo bench -p millpond-bench --bench analytics`. A recorded pool
/// takes its lock for every operation.
pub struct TraceRecorder {
    began: Instant,
    lost: AtomicU64,
    /// Events so far: what puts those of several threads in order.
    order: AtomicU64,
    output: Mutex<Output>,
    threads: Mutex<Vec<Arc<Mutex<Chunk>>>>,
}

/// The file, and what was said in it.
struct Output {
    /// Absent once the recording has ended.
    writer: Option<Box<dyn Write + Send>>,
    error: Option<io::Error>,
    pools: HashMap<&'static str, u64>,
}

/// Events of one thread that were not written yet.
struct Chunk {
    thread: u64,
    began_ns: u64,
    events: Vec<Event>,
}

#[derive(Clone, Copy)]
struct Event {
    order: u64,
    item: usize,
    pool: &'static str,
    bytes: usize,
    release: bool,
}

thread_local! {
    /// This thread's chunk. Borrowed while an event is noted, so that events
    /// that happen meanwhile, to pools that the writer uses, are let pass.
    static OWN: RefCell<Option<Arc<Mutex<Chunk>>>> = const { RefCell::new(None) };
}

impl TraceRecorder {
    /// Begins a recording into `writer` and installs it for the process.
    ///
    /// # Errors
    ///
    /// If the writer does not take the first bytes, or the process has a
    /// recorder already.
    pub fn install(writer: impl Write + Send + 'static) -> io::Result<&'static Self> {
        let mut writer: Box<dyn Write + Send> = Box::new(BufWriter::new(writer));
        writer.write_all(MAGIC)?;
        writer.write_all(&[VERSION])?;
        let recorder = Self {
            began: Instant::now(),
            lost: AtomicU64::new(0),
            order: AtomicU64::new(0),
            output: Mutex::new(Output {
                writer: Some(writer),
                error: None,
                pools: HashMap::new(),
            }),
            threads: Mutex::new(Vec::new()),
        };
        let recorder: &'static Self = Box::leak(Box::new(recorder));
        let taken = |error: AlreadyInstalled| io::Error::new(io::ErrorKind::AlreadyExists, error);
        recording::install(recorder).map_err(taken)?;
        Ok(recorder)
    }

    /// Events that were not written: because the system refused them, or because
    /// they happened while the same thread wrote others.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes everything out and ends the recording; what comes later is let
    /// pass. Take the pools' diagnostics down first.
    ///
    /// # Errors
    ///
    /// The first error of the writer, now or earlier.
    pub fn finish(&self) -> io::Result<()> {
        let threads = std::mem::take(&mut *self.threads.lock());
        for chunk in &threads {
            self.write(&mut chunk.lock());
        }
        let mut output = self.output.lock();
        let lost = self.lost();
        if let Some(mut writer) = output.writer.take() {
            let mut end = vec![3];
            varint::push(&mut end, lost);
            let written = writer.write_all(&end).and_then(|()| writer.flush());
            output.error = output.error.take().or(written.err());
        }
        output.error.take().map_or(Ok(()), Err)
    }

    fn note(&self, event: Event) {
        let noted = OWN.try_with(|own| {
            let mut own = own.try_borrow_mut().ok()?;
            let chunk = own.get_or_insert_with(|| self.join());
            let mut chunk = chunk.lock();
            if chunk.events.is_empty() {
                chunk.began_ns = self.now_ns();
            }
            chunk.events.push(event);
            if chunk.events.len() >= CHUNK {
                self.write(&mut chunk);
            }
            Some(())
        });
        if !matches!(noted, Ok(Some(()))) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A chunk for the calling thread.
    #[cold]
    fn join(&self) -> Arc<Mutex<Chunk>> {
        let mut threads = self.threads.lock();
        let chunk = Arc::new(Mutex::new(Chunk {
            thread: threads.len() as u64,
            began_ns: 0,
            events: Vec::with_capacity(CHUNK),
        }));
        threads.push(Arc::clone(&chunk));
        chunk
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    #[cold]
    fn write(&self, chunk: &mut Chunk) {
        if chunk.events.is_empty() {
            return;
        }
        let took_ns = self.now_ns().saturating_sub(chunk.began_ns);
        let written = self.output.lock().write(chunk, took_ns);
        if !written {
            let lost = chunk.events.len() as u64;
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        chunk.events.clear();
    }
}

impl Output {
    /// Writes a chunk; answers whether it was taken.
    fn write(&mut self, chunk: &Chunk, took_ns: u64) -> bool {
        if self.writer.is_none() {
            return false;
        }
        let mut text = Vec::with_capacity(chunk.events.len() * 6);
        let mut events = Vec::with_capacity(chunk.events.len() * 6);
        let (mut order, mut item, mut pool, mut bytes) = (0, 0, None, None);
        for event in &chunk.events {
            let id = self.pool_id(event.pool, &mut text);
            let mut head = u8::from(event.release) * RELEASE;
            head |= u8::from(pool != Some(id)) * OTHER_POOL;
            head |= u8::from(bytes != Some(event.bytes)) * OTHER_BYTES;
            events.push(head);
            varint::push(&mut events, event.order - order);
            order = event.order;
            varint::push_signed(&mut events, (event.item as u64).wrapping_sub(item) as i64);
            if head & OTHER_POOL != 0 {
                varint::push(&mut events, id);
            }
            if head & OTHER_BYTES != 0 {
                varint::push(&mut events, event.bytes as u64);
            }
            (item, pool, bytes) = (event.item as u64, Some(id), Some(event.bytes));
        }
        text.push(2);
        let lengths = [chunk.events.len(), events.len()].map(|length| length as u64);
        for number in [
            chunk.thread,
            chunk.began_ns,
            took_ns,
            lengths[0],
            lengths[1],
        ] {
            varint::push(&mut text, number);
        }
        text.extend_from_slice(&events);
        self.send(&text)
    }

    /// The number of a pool, which is told to the reader before its first use.
    fn pool_id(&mut self, name: &'static str, text: &mut Vec<u8>) -> u64 {
        if let Some(&id) = self.pools.get(name) {
            return id;
        }
        let id = self.pools.len() as u64;
        self.pools.insert(name, id);
        text.push(1);
        varint::push(text, id);
        varint::push(text, name.len() as u64);
        text.extend_from_slice(name.as_bytes());
        id
    }

    fn send(&mut self, text: &[u8]) -> bool {
        let Some(writer) = &mut self.writer else {
            return false;
        };
        match writer.write_all(text) {
            Ok(()) => true,
            Err(error) => {
                self.error.get_or_insert(error);
                self.writer = None;
                false
            }
        }
    }
}

impl recording::Recorder for TraceRecorder {
    fn acquired(&self, pool: &'static str, item: Entry, bytes: usize) {
        self.note(Event {
            order: self.order.fetch_add(1, Ordering::Relaxed),
            item: item.as_ptr().as_ptr().addr(),
            pool,
            bytes,
            release: false,
        });
    }

    fn released(&self, pool: &'static str, item: Entry) {
        self.note(Event {
            order: self.order.fetch_add(1, Ordering::Relaxed),
            item: item.as_ptr().as_ptr().addr(),
            pool,
            bytes: 0,
            release: true,
        });
    }
}

impl fmt::Debug for TraceRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceRecorder")
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

impl Trace {
    /// How many items of a pool were out at a time: at each acquire, that item
    /// included.
    #[must_use]
    pub fn demand(&self, pool: &str) -> Demand {
        let mut out: HashMap<u64, ()> = HashMap::new();
        let mut levels: HashMap<usize, u64> = HashMap::new();
        for event in self.events.iter().filter(|event| self.is_of(event, pool)) {
            match event.bytes {
                Some(_) => {
                    out.insert(event.item, ());
                    *levels.entry(out.len()).or_default() += 1;
                }
                None => {
                    out.remove(&event.item);
                }
            }
        }
        Demand::from_pairs(levels)
    }

    /// How often each size of a pool was acquired.
    #[must_use]
    pub fn sizes(&self, pool: &str) -> Vec<(usize, u64)> {
        let events = self.events.iter().filter(|event| self.is_of(event, pool));
        crate::advisor::count_sizes(events.filter_map(|event| event.bytes))
    }

    fn is_of(&self, event: &TraceEvent, pool: &str) -> bool {
        self.pools.get(event.pool).is_some_and(|name| name == pool)
    }
}
