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
//! after its acquire and before its next one. Acquires are numbered; a release has the
//! number of the next acquire, whosever it will be, and comes before that. Time is
//! taken once for each chunk and spread evenly over its events, because a clock costs
//! more than everything else together.
//!
//! Why that is exact: a release reads the number of the next acquire, `n`. Whoever
//! gave the item out took a number before that, so less than `n`; whoever gets it next
//! takes a number after that, so `n` or more. Reading what threads seldom write costs
//! little; adding to it costs more than all the rest of an event.

use millpond_core::entry::Entry;
use millpond_core::recording::{self, AlreadyInstalled};
use parking_lot::{Mutex, MutexGuard};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

mod reader;
mod varint;

pub use reader::{Operation as TracedOperation, Trace, TraceError, TraceEvent};

const MAGIC: &[u8; 8] = b"MILLPOND";
const VERSION: u8 = 1;

/// Events that a thread keeps before it writes them out.
///
/// A thousand are 24 KB for each thread, and the write, some 10 µs, is shared by
/// all of them. Small enough that the time of an event is known to some 30 µs
/// while a thread is busy.
const CHUNK: usize = 1024;

/// Bytes of a head and four numbers, each as long as can be.
const LONGEST_EVENT: usize = 1 + 4 * varint::LONGEST;

/// Bytes that an event may touch beyond its end.
const SPREAD: usize = 8;

const RELEASE: u8 = 1;
const OTHER_POOL: u8 = 2;
const OTHER_BYTES: u8 = 4;

/// Largest size that is told apart.
const LARGEST: u64 = (1 << 48) - 1;

/// How long a thread whose chunk is full waits for one that writes. Beyond that the
/// chunk is lost, for the writer may itself wait for this thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most pools that are told apart; further ones are let pass, and count as lost.
const MOST_POOLS: usize = 1 << 15;

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
/// The writer may use pools that are recorded: what happens to them on the thread that
/// writes is let pass, and counts as lost. It may wait for other threads that use them:
/// one that has waited for a second to write a chunk gives that chunk up as lost.
///
/// Cost: an operation that is recorded takes a detour, one atomic addition and its
/// share of the write, and no lock; see the chapter `analytics` of
/// `cargo xtask bench`. A pool that is not recorded pays nothing.
pub struct TraceRecorder {
    began: Instant,
    lost: AtomicU64,
    /// Acquires so far: what puts the events of several threads in order.
    order: AtomicU64,
    /// Held while the writer writes, which is foreign code. The other two are not.
    output: Mutex<Output>,
    names: Mutex<Names>,
    lanes: Mutex<Lanes>,
}

/// The pools that were met, in the order of their numbers.
#[derive(Default)]
struct Names {
    known: HashMap<&'static str, u64>,
    all: Vec<&'static str>,
}

/// The file, and what was said in it.
struct Output {
    /// Absent once the recording has ended.
    writer: Option<Box<dyn Write + Send>>,
    error: Option<io::Error>,
    /// Pools that the reader knows of.
    told: usize,
    /// Room for the events of a chunk as they are written.
    encoded: Box<[u8]>,
}

/// The lanes of the threads that live.
#[derive(Default)]
struct Lanes {
    threads: u64,
    alive: Vec<Arc<Lane>>,
}

/// Events of one thread that were not written yet. The thread alone adds events
/// and takes them out; whoever ends the recording reads what was added.
struct Lane {
    thread: u64,
    began_ns: AtomicU64,
    len: AtomicUsize,
    /// Order, with the lowest bit for a release; item; pool above bytes.
    events: Box<[[AtomicU64; 3]]>,
}

/// What a thread has of the recorder.
struct Own {
    recorder: &'static TraceRecorder,
    lane: Arc<Lane>,
    /// Numbers of the pools that this thread used, by the address of the name.
    pools: Vec<(*const u8, u64)>,
}

thread_local! {
    /// Borrowed while an event is noted and while the recording ends, so that events
    /// that happen meanwhile, to pools that the writer uses, are let pass.
    static OWN: RefCell<Option<Own>> = const { RefCell::new(None) };
    /// Whether this thread has the output. Outlives the other one.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// The output, in the hands of one thread.
struct Writing<'r> {
    recorder: &'r TraceRecorder,
    output: MutexGuard<'r, Output>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        WRITES.set(false);
    }
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
                told: 0,
                encoded: vec![0; CHUNK * LONGEST_EVENT + SPREAD].into_boxed_slice(),
            }),
            names: Mutex::new(Names::default()),
            lanes: Mutex::new(Lanes::default()),
        };
        let installed: &'static Installed = Box::leak(Box::new(Installed(recorder)));
        let taken = |error: AlreadyInstalled| io::Error::new(io::ErrorKind::AlreadyExists, error);
        recording::install(installed).map_err(taken)?;
        Ok(&installed.0)
    }

    /// Events that were not written: because the system refused them, because they
    /// happened while the same thread wrote others, or because the writer was busy for
    /// too long.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes everything out and ends the recording; what comes later is let
    /// pass. Take the pools' diagnostics down first.
    ///
    /// # Errors
    ///
    /// The first error of the writer, now or earlier; [`io::ErrorKind::Deadlock`] if
    /// it is the writer who calls this while it writes: the recording goes on then.
    pub fn finish(&self) -> io::Result<()> {
        if WRITES.get() {
            let error = "a recording is not finished by its own writer while that writes";
            return Err(io::Error::new(io::ErrorKind::Deadlock, error));
        }
        // Where the thread ends there is nothing to borrow, and nothing is noted.
        let finished = OWN.try_with(|own| {
            let _busy = own.try_borrow_mut();
            self.end()
        });
        finished.unwrap_or_else(|_| self.end())
    }

    fn end(&self) -> io::Result<()> {
        let alive = std::mem::take(&mut self.lanes.lock().alive);
        let mut writing = Writing::begin(self, self.output.lock());
        for lane in &alive {
            writing.write(lane);
        }
        writing.close()
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl<'r> Writing<'r> {
    fn begin(recorder: &'r TraceRecorder, output: MutexGuard<'r, Output>) -> Self {
        WRITES.set(true);
        Self { recorder, output }
    }

    /// Writes what is in a lane; counts it as lost if that fails.
    fn write(&mut self, lane: &Lane) {
        let recorder = self.recorder;
        let len = lane.len.load(Ordering::Acquire);
        let events = &lane.events[..len];
        let began_ns = lane.began_ns.load(Ordering::Relaxed);
        let took_ns = recorder.now_ns().saturating_sub(began_ns);
        if len == 0 {
            return;
        }
        let output = &mut *self.output;
        output.tell_of(&recorder.names);
        let written = encode(events, &mut output.encoded);
        let mut chunk = vec![2];
        for number in [lane.thread, began_ns, took_ns, len as u64, written as u64] {
            varint::push(&mut chunk, number);
        }
        chunk.extend_from_slice(&output.encoded[..written]);
        if !output.send(&chunk) {
            recorder.lost.fetch_add(len as u64, Ordering::Relaxed);
        }
    }

    /// Says how much was lost, and that this is all.
    fn close(mut self) -> io::Result<()> {
        let lost = self.recorder.lost();
        let output = &mut *self.output;
        if let Some(mut writer) = output.writer.take() {
            let mut end = vec![3];
            varint::push(&mut end, lost);
            let written = writer.write_all(&end).and_then(|()| writer.flush());
            output.error = output.error.take().or(written.err());
        }
        output.error.take().map_or(Ok(()), Err)
    }
}

/// The recorder as the engine knows it: what is called for each event.
struct Installed(TraceRecorder);

impl Installed {
    /// Notes an acquire of so many bytes, or a release.
    #[inline(always)]
    fn note(&'static self, pool: &'static str, item: Entry, acquired: Option<usize>) {
        let noted = OWN.try_with(|own| {
            let mut own = own.try_borrow_mut().ok()?;
            let own = match &mut *own {
                Some(own) => own,
                none => none.insert(Own::join(&self.0)),
            };
            own.note(pool, item, acquired)
        });
        if !matches!(noted, Ok(Some(()))) {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Own {
    /// A lane for the calling thread.
    #[cold]
    fn join(recorder: &'static TraceRecorder) -> Self {
        let mut lanes = recorder.lanes.lock();
        let event = || [const { AtomicU64::new(0) }; 3];
        let lane = Arc::new(Lane {
            thread: lanes.threads,
            began_ns: AtomicU64::new(0),
            len: AtomicUsize::new(0),
            events: std::iter::repeat_with(event).take(CHUNK).collect(),
        });
        lanes.threads += 1;
        lanes.alive.push(Arc::clone(&lane));
        Self {
            recorder,
            lane,
            pools: Vec::new(),
        }
    }

    /// `None` if there is no room for the pool.
    #[inline(always)]
    fn note(&mut self, pool: &'static str, item: Entry, acquired: Option<usize>) -> Option<()> {
        let known = self.pools.iter().find(|known| known.0 == pool.as_ptr());
        let pool = match known {
            Some(&(_, id)) => id,
            None => self.meet(pool)?,
        };
        let len = self.lane.len.load(Ordering::Relaxed);
        if len == 0 {
            let now_ns = self.recorder.now_ns();
            self.lane.began_ns.store(now_ns, Ordering::Relaxed);
        }
        // What an item's lease and its next one agree on orders these too: the item
        // is handed on by way of something that both threads synchronise with.
        let order = match acquired {
            Some(_) => self.recorder.order.fetch_add(1, Ordering::Relaxed),
            None => self.recorder.order.load(Ordering::Relaxed),
        };
        let item = item.as_ptr().as_ptr().addr() as u64;
        let size = (acquired.unwrap_or(0) as u64).min(LARGEST);
        let [first, second, third] = &self.lane.events[len];
        first.store(
            order << 1 | u64::from(acquired.is_none()),
            Ordering::Relaxed,
        );
        second.store(item, Ordering::Relaxed);
        third.store(pool << 48 | size, Ordering::Relaxed);
        self.lane.len.store(len + 1, Ordering::Release);
        if len + 1 == CHUNK {
            self.empty();
        }
        Some(())
    }

    /// The number of a pool that this thread has not met.
    #[cold]
    fn meet(&mut self, name: &'static str) -> Option<u64> {
        let id = self.recorder.names.lock().number_of(name)?;
        self.pools.push((name.as_ptr(), id));
        Some(id)
    }

    #[cold]
    #[inline(never)]
    fn empty(&self) {
        match self.recorder.output.try_lock_for(PATIENCE) {
            Some(output) => Writing::begin(self.recorder, output).write(&self.lane),
            None => {
                let events = self.lane.len.load(Ordering::Relaxed) as u64;
                self.recorder.lost.fetch_add(events, Ordering::Relaxed);
            }
        }
        self.lane.len.store(0, Ordering::Relaxed);
    }
}

impl Drop for Own {
    /// The thread ends: its events are written, and its lane goes.
    fn drop(&mut self) {
        self.empty();
        let alive = &mut self.recorder.lanes.lock().alive;
        alive.retain(|lane| !Arc::ptr_eq(lane, &self.lane));
    }
}

/// Writes events as they are on disk, in place; answers the bytes. There is room for
/// [`LONGEST_EVENT`] bytes each, and [`SPREAD`] more.
fn encode(lane: &[[AtomicU64; 3]], room: &mut [u8]) -> usize {
    let mut before = Encoded {
        order: 0,
        item: 0,
        pool: None,
        bytes: None,
    };
    let mut end = 0;
    for event in lane {
        end += before.put_next(event, &mut room[end..]);
    }
    end
}

/// What the next event of a chunk differs from.
struct Encoded {
    order: u64,
    item: u64,
    pool: Option<u64>,
    bytes: Option<u64>,
}

impl Encoded {
    /// Writes an event to the front of `room`; answers its bytes.
    #[inline(always)]
    fn put_next(&mut self, event: &[AtomicU64; 3], room: &mut [u8]) -> usize {
        let [first, second, third] = event.each_ref().map(|word| word.load(Ordering::Relaxed));
        let is_release = first & 1 == 1;
        let (id, size) = (third >> 48, third & LARGEST);
        // The size of what comes home is known from its acquire.
        let other_bytes = self.bytes != Some(size) && (!is_release || self.bytes.is_none());
        let mut head = u8::from(is_release) * RELEASE;
        head |= u8::from(self.pool != Some(id)) * OTHER_POOL;
        head |= u8::from(other_bytes) * OTHER_BYTES;
        let order = (first >> 1) - self.order;
        let item = varint::zigzag(second.wrapping_sub(self.item) as i64);
        (self.order, self.item, self.pool) = (first >> 1, second, Some(id));
        // Nearly all events are of the pool and the size before, and of items that lie
        // near: then all of it is one store, and nothing is tested byte by byte.
        if head <= RELEASE && order < 0x80 && item < 1 << varint::SPREAD_BITS {
            let (spread, len) = varint::spread(item);
            let word = u64::from(head) | order << 8 | u64::from(spread) << 16;
            room[..SPREAD].copy_from_slice(&word.to_le_bytes());
            return 2 + len;
        }
        room[0] = head;
        let mut end = 1;
        let mut put = |number| end += varint::put(&mut room[end..], number);
        put(order);
        put(item);
        if head & OTHER_POOL != 0 {
            put(id);
        }
        if other_bytes {
            put(size);
            self.bytes = Some(size);
        }
        end
    }
}

impl Names {
    /// The number of a pool.
    fn number_of(&mut self, name: &'static str) -> Option<u64> {
        if let Some(&number) = self.known.get(name) {
            return Some(number);
        }
        if self.all.len() == MOST_POOLS {
            return None;
        }
        let number = self.all.len() as u64;
        self.all.push(name);
        self.known.insert(name, number);
        Some(number)
    }
}

impl Output {
    /// Tells the reader of pools that it does not know, which are not used before that.
    fn tell_of(&mut self, names: &Mutex<Names>) {
        let fresh = names.lock().all[self.told..].to_vec();
        for name in fresh {
            let mut text = vec![1];
            varint::push(&mut text, self.told as u64);
            varint::push(&mut text, name.len() as u64);
            text.extend_from_slice(name.as_bytes());
            self.told += 1;
            self.send(&text);
        }
    }

    /// Writes; answers whether it was taken. The first error ends the recording.
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

impl recording::Recorder for Installed {
    fn acquired(&'static self, pool: &'static str, item: Entry, bytes: usize) {
        self.note(pool, item, Some(bytes));
    }

    fn released(&'static self, pool: &'static str, item: Entry) {
        self.note(pool, item, None);
    }
}

impl fmt::Debug for TraceRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceRecorder")
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}
