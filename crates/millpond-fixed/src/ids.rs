//! Pools whose values are named by ids: for graphs that store handles.
//!
//! ```text
//!   Id ── index ─► cell                 chunk 0  ┌──┬──┬──┬──┬──…   the whole pool,
//!    │                                           └──┴──┴──┴──┴──    if it is not large
//!    │                                  chunk 1  ┌──┬──┬──┬──┬──…   then each as long
//!    │                                           └┬─┴──┴──┴──┴──    as all before it
//!    └─ generation ─── must equal ─────► word ────┘  generation, pins; value
//! ```
//!
//! Chunks do not move, so an id finds its cell while others insert: in the first
//! chunk by an addition, in the others by a shift and a load more.

use crate::adapting::Adapting;
use crate::builder::Builder;
use crate::pool::DefaultMode;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use core::time::Duration;
use millpond_core::budget::Budget;
use millpond_core::capacity::Capacity;
use millpond_core::engine::{Engine, Local, Mode, Released, Shared};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit, Refused};
use millpond_core::exhaustion::Exhaustion;
use millpond_core::id::{Generation, Id};
use millpond_core::observe::{Observation, Observe, Sampled, Tune};
use millpond_core::region::{Backing, Region, RegionOptions, Supply};
use millpond_core::source::{Batch, Source};
use millpond_core::tenancy::{Ending, Tenancy};
use millpond_core::trim::{Level, TrimReport};

/// Slots of the smallest first chunk; each further chunk is as long as all before
/// it and this. A power of two, so that chunk and place follow from the highest
/// bit.
const LEAST: usize = if cfg!(miri) { 4 } else { 64 };

/// Bytes of the largest first chunk where memory is had at once.
const FIRST_BYTES: usize = if cfg!(miri) { 0 } else { 1024 * 1024 };

/// Bytes of the largest first chunk where the system gives memory page by page as
/// it is touched, so that a long one costs nothing but addresses. Ids that lie in
/// it are found by an addition: 0.84 × `slotmap`, against 1.6 to 2.2 × for ids
/// whose chunk has to be found (November 2026, 2-core virtual machine, Zen 4).
const RESERVED_BYTES: usize = if cfg!(all(target_os = "linux", target_pointer_width = "64")) {
    64 * FIRST_BYTES
} else {
    FIRST_BYTES
};

/// Chunks that an index of 32 bits can lie in.
const CHUNKS: usize = (u32::BITS - LEAST.ilog2()) as usize;

/// Slots that ids can name.
const MOST: usize = (LEAST << (CHUNKS - 1)) - LEAST;

/// Alignment of a chunk: a line, so that a cell that fits into one lies in one.
const CHUNK_ALIGN: usize = 64;

/// A slot.
///
/// # Invariants
///
/// 1. `value` is initialised while `tenancy` is occupied, and touched as its table
///    of states says.
struct Cell<T> {
    tenancy: Tenancy,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// Where the chunks are.
///
/// # Invariants
///
/// 1. A chunk that is not null has room for `first << k` cells and stays while the
///    pool is shared: it is taken away through `&mut` only.
/// 2. Cells below `carved` are initialised and lie in chunks that are there.
///    `flat` is `carved`, but at most `first`.
/// 3. `first` is a power of two, at least `LEAST`, and does not change once a
///    chunk was there.
struct Directory<T> {
    flat: AtomicU32,
    carved: AtomicU32,
    first: AtomicU32,
    chunks: [AtomicPtr<Cell<T>>; CHUNKS],
}

impl<T> Directory<T> {
    const fn new() -> Self {
        Self {
            flat: AtomicU32::new(0),
            carved: AtomicU32::new(0),
            #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
            first: AtomicU32::new(LEAST as u32),
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
        }
    }

    /// The cell of slot `index`, if it was ever given out.
    #[inline(always)]
    fn cell(&self, index: u32) -> Option<&Cell<T>> {
        // Acquire: whoever sees the length sees the chunk and its cells.
        if index < self.flat.load(Ordering::Acquire) {
            let base = self.chunks[0].load(Ordering::Relaxed);
            // SAFETY: below `flat`, so inside the first chunk (2).
            let cell = unsafe { base.add(index as usize) };
            // SAFETY: initialised by 2, and alive as long as the borrow.
            return Some(unsafe { &*cell });
        }
        self.cell_beyond(index)
    }

    /// As [`Directory::cell`], for one that may lie in a later chunk.
    #[inline]
    fn cell_beyond(&self, index: u32) -> Option<&Cell<T>> {
        if index >= self.carved.load(Ordering::Acquire) {
            return None;
        }
        let first = self.first.load(Ordering::Relaxed);
        let (chunk, place) = place_of(index, first);
        let base = self.chunks.get(chunk)?.load(Ordering::Relaxed);
        // SAFETY: below `carved`, so inside a chunk that is there (2).
        let cell = unsafe { base.add(place) };
        // SAFETY: initialised by 2, and alive as long as the borrow.
        Some(unsafe { &*cell })
    }

    /// All cells that there are, with their indices.
    fn cells(&self) -> impl Iterator<Item = (u32, &Cell<T>)> {
        (0u32..).map_while(|index| Some((index, self.cell(index)?)))
    }

    /// Publishes that the cells below `carved` are initialised, or that those from
    /// there on are not there any more.
    fn publish(&self, carved: usize) {
        let carved = u32::try_from(carved).expect("at most MOST slots");
        let first = self.first.load(Ordering::Relaxed);
        self.carved.store(carved, Ordering::Release);
        self.flat.store(carved.min(first), Ordering::Release);
    }
}

/// The chunk that slot `index` lies in, and where, if the first chunk has `first`
/// slots, a power of two.
#[inline(always)]
fn place_of(index: u32, first: u32) -> (usize, usize) {
    let (index, first) = (index as usize, first as usize);
    // At least 1 without the last bit too, which saves the test for a logarithm of 0.
    let chunk = ((index + first) >> first.trailing_zeros() | 1).ilog2() as usize;
    (chunk, index + first - (first << chunk))
}

/// Slots in the first `chunks` chunks, of which the first has `first`.
const fn slots_in(chunks: usize, first: usize) -> usize {
    (first << chunks) - first
}

/// The source of the slots: their entries are indices.
///
/// # Invariants
///
/// 1. `chunks[k]` is what the directory has at `k`.
/// 2. Indices below `carved` were handed to the engine; it is what the directory
///    says.
/// 3. Cells below `paid` lie in chunks that are there, and their bytes are charged.
struct Chunks<T> {
    directory: Arc<Directory<T>>,
    chunks: Vec<Chunk>,
    carved: usize,
    paid: usize,
    /// Slots that the pool was made for.
    capacity: usize,
    /// Whether the length of the first chunk stands.
    settled: bool,
    /// The last generation that was in use in each chunk that went away.
    floors: [u32; CHUNKS],
    options: RegionOptions,
    supplier: Option<Arc<dyn Supply>>,
    budget: Option<Budget>,
}

/// Memory for cells, and how much of it is charged: the first chunk is charged
/// before it is touched, the others when they are made.
struct Chunk {
    region: Region,
    charged: usize,
}

/// Chunks on their way back to the system.
struct RetiredChunks {
    chunks: Vec<Chunk>,
    /// Bytes of pages that went back by themselves.
    refund: usize,
    budget: Option<Budget>,
}

impl Drop for RetiredChunks {
    fn drop(&mut self) {
        let mut refund = self.refund;
        for chunk in self.chunks.drain(..) {
            drop(chunk.region);
            refund += chunk.charged;
        }
        if let Some(budget) = &self.budget {
            budget.refund_bytes(refund);
        }
    }
}

impl<T> Chunks<T> {
    /// Slots of the first chunk.
    fn first(&self) -> usize {
        self.directory.first.load(Ordering::Relaxed) as usize
    }

    fn slots(&self) -> usize {
        slots_in(self.chunks.len(), self.first())
    }

    fn charge(&self, bytes: usize) -> Result<(), Limit> {
        match &self.budget {
            Some(budget) => budget.charge_now(bytes).map_err(Limit::Budget),
            None => Ok(()),
        }
    }

    /// Has room for at least one more cell, and its bytes charged.
    fn make_room(&mut self) -> Result<(), Limit> {
        if self.paid < self.slots() {
            let more = self.paid.max(LEAST);
            return self.pay(more).or_else(|_| self.pay(LEAST));
        }
        if self.settled {
            return self.add_chunk(self.first() << self.chunks.len());
        }
        self.add_first_chunk()
    }

    /// Bytes of the pages that the first `cells` of a chunk lie in.
    const fn pages(cells: usize) -> usize {
        const PAGE: usize = 4096;

        (cells * size_of::<Cell<T>>()).next_multiple_of(PAGE)
    }

    /// Charges `more` cells of the first chunk.
    fn pay(&mut self, more: usize) -> Result<(), Limit> {
        let slots = self.slots();
        let paid = (self.paid + more).min(slots);
        let whole = self.chunks[0].region.len();
        let bytes = if paid == slots {
            whole
        } else {
            Self::pages(paid).min(whole)
        };
        self.charge(bytes.saturating_sub(self.chunks[0].charged))?;
        self.chunks[0].charged = bytes;
        self.paid = paid;
        Ok(())
    }

    /// Makes the first chunk, as long as the capacity if that is not too long and
    /// can be had. How long it is stands from then on.
    fn add_first_chunk(&mut self) -> Result<(), Limit> {
        let is_lazy = self.supplier.is_none() && !self.options.prefault;
        let bytes = if is_lazy { RESERVED_BYTES } else { FIRST_BYTES };
        let most = (bytes / size_of::<Cell<T>>()).max(LEAST);
        let mut first = self.capacity.min(MOST).next_power_of_two().max(LEAST);
        while first > most {
            first /= 2;
        }
        loop {
            let slots = u32::try_from(first).expect("as many as ids can name");
            self.directory.first.store(slots, Ordering::Relaxed);
            match self.add_chunk(first) {
                Err(_) if first > LEAST => first /= 2,
                made => {
                    self.settled = made.is_ok();
                    return made;
                }
            }
        }
    }

    /// Makes the next chunk, of so many slots.
    fn add_chunk(&mut self, slots: usize) -> Result<(), Limit> {
        let chunk = self.chunks.len();
        let too_large = Limit::Memory { bytes: usize::MAX };
        if self.slots() + slots > MOST {
            return Err(too_large);
        }
        let align = align_of::<Cell<T>>().max(CHUNK_ALIGN);
        let bytes = slots.checked_mul(size_of::<Cell<T>>());
        let bytes = bytes.ok_or(too_large.clone())?;
        let bytes = match self.supplier {
            Some(_) => bytes,
            None => Region::len_for(bytes, align, &self.options).map_err(|_| too_large)?,
        };
        let refused = Limit::Memory { bytes };
        self.chunks.try_reserve(1).map_err(|_| refused.clone())?;
        // What is mapped and not touched is no memory yet.
        let is_lazy = chunk == 0 && bytes > FIRST_BYTES;
        let charged = if is_lazy {
            Self::pages(LEAST).min(bytes)
        } else {
            bytes
        };
        self.charge(charged)?;
        let region = match &self.supplier {
            Some(supplier) => Region::supplied(bytes, align, Arc::clone(supplier)),
            None => Region::new(bytes, align, &self.options),
        };
        let region = region.map_err(|_| {
            if let Some(budget) = &self.budget {
                budget.refund_bytes(charged);
            }
            refused
        })?;
        let base = region.base().cast::<Cell<T>>();
        // Published with the first of its cells.
        self.directory.chunks[chunk].store(base.as_ptr(), Ordering::Relaxed);
        self.chunks.push(Chunk { region, charged });
        self.paid = if is_lazy { LEAST } else { self.slots() };
        Ok(())
    }

    /// Forgets the cells from `index` on, which are free and all in the last
    /// chunk. Ids of this life must not name anything in the next.
    fn forget_from(&mut self, index: usize) {
        let last = self.chunks.len() - 1;
        let cells = (index..self.carved).filter_map(|index| {
            let cell = self.directory.cell(u32::try_from(index).ok()?)?;
            Some(cell.tenancy.generation().bits())
        });
        let floor = cells.max().unwrap_or(0);
        self.floors[last] = self.floors[last].max(floor);
        self.carved = self.carved.min(index);
        self.paid = self.paid.min(index);
        self.directory.publish(self.carved);
    }

    /// Gives the pages behind the first `used` cells of the only chunk back, if
    /// they are pages of their own; answers the bytes that are charged no more.
    fn discard_from(&mut self, used: usize) -> usize {
        let used_bytes = Self::pages(used);
        let chunk = &self.chunks[0];
        if chunk.region.backing() != Backing::Mapped || chunk.charged <= used_bytes {
            return 0;
        }
        self.forget_from(used);
        let Chunk { region, charged } = &mut self.chunks[0];
        let refund = *charged - used_bytes;
        *charged = used_bytes;
        // Pages that were never touched were charged all the same.
        // SAFETY: cells from `used` on are free and forgotten, and are written
        // before they are published again.
        let _resident = unsafe { region.discard(used_bytes..region.len()) };
        refund
    }

    /// Initialises the next cell, for which there is room.
    fn carve(&mut self) -> Entry {
        let index = self.carved;
        let first = self.directory.first.load(Ordering::Relaxed);
        let (chunk, place) = place_of(u32::try_from(index).expect("below MOST"), first);
        let base = self.chunks[chunk].region.base().cast::<Cell<T>>();
        // SAFETY: the chunk is as long as the directory says.
        let cell = unsafe { base.add(place) };
        let vacant = Cell {
            tenancy: Tenancy::new(Generation::from_bits(self.floors[chunk])),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        };
        // SAFETY: inside a region that is aligned for cells, and known to nobody
        // before it is published.
        unsafe { cell.write(vacant) };
        self.carved += 1;
        Entry::from_index(index)
    }
}

impl<T> Source for Chunks<T> {
    type Retired = RetiredChunks;

    fn create(&mut self, want: usize, _: usize, batch: &mut Batch) -> Result<(), Limit> {
        while batch.len() < want {
            if self.carved == self.paid {
                match self.make_room() {
                    Err(limit) if batch.is_empty() => return Err(limit),
                    Err(_) => break,
                    Ok(()) => (),
                }
            }
            batch.push(self.carve());
        }
        self.directory.publish(self.carved);
        Ok(())
    }

    /// Gives chunks back from the last one on, as long as all of their slots are
    /// free, and the pages behind the last slot that is not. Runs only when nobody
    /// shares the pool.
    fn retire(&mut self, free: &mut Vec<Entry>, _: Level) -> RetiredChunks {
        let mut retired = RetiredChunks {
            chunks: Vec::new(),
            refund: 0,
            budget: self.budget.clone(),
        };
        // The lowest last, so that they are the next to be used.
        free.sort_unstable_by_key(|entry| core::cmp::Reverse(entry.as_index()));
        let in_a_row = (0..self.carved).rev().zip(free.iter());
        let tail = in_a_row
            .take_while(|(index, entry)| entry.as_index() == *index)
            .count();
        let used = self.carved - tail;
        while let Some(last) = self.chunks.len().checked_sub(1) {
            let first = slots_in(last, self.first());
            if first < used || retired.chunks.try_reserve(1).is_err() {
                break;
            }
            self.forget_from(first);
            self.directory.chunks[last].store(ptr::null_mut(), Ordering::Relaxed);
            retired.chunks.extend(self.chunks.pop());
        }
        if self.chunks.len() == 1 && used < self.carved {
            retired.refund = self.discard_from(used);
        }
        free.retain(|entry| entry.as_index() < self.carved);
        retired
    }

    fn held_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.charged).sum()
    }

    fn owns(&self, entry: Entry) -> bool {
        entry.as_index() < self.carved
    }
}

impl<T> Drop for Chunks<T> {
    fn drop(&mut self) {
        drop(RetiredChunks {
            chunks: core::mem::take(&mut self.chunks),
            refund: 0,
            budget: self.budget.take(),
        });
    }
}

/// A pool of at most a set number of values that are named by [`Id`]s of eight
/// bytes. A value lives until it is removed; an id that is stale gives `None`.
///
/// ```
/// use millpond_fixed::{Id, IdPool};
///
/// struct Node { name: &'static str, edges: Vec<Id<Node>> }
///
/// let mut graph = IdPool::new(1000);
/// let leaf = graph.insert(Node { name: "leaf", edges: vec![] }).map_err(|_| "full")?;
/// let root = graph.insert(Node { name: "root", edges: vec![leaf] }).map_err(|_| "full")?;
///
/// let view = graph.view();
/// let names = view.get(root).unwrap().edges.iter().map(|&id| view.get(id).unwrap().name);
/// assert_eq!(names.collect::<Vec<_>>(), ["leaf"]);
///
/// assert_eq!(graph.remove(leaf).unwrap().name, "leaf");
/// assert!(graph.pin(leaf).is_none(), "stale");
/// # Ok::<(), &str>(())
/// ```
///
/// # Who may look
///
/// Through `&self` values are inserted, [pinned](IdPool::pin) and
/// [released](IdPool::release); a value that is released goes when its last pin
/// does. Through `&mut self`, when nobody has a pin, ids are looked up for the
/// price of two loads and a comparison, removed, iterated over and cleared.
///
/// # Cost
///
/// A pin and its end are an atomic read-modify-write each. A lookup in a
/// [`View`] costs what it costs in a `slotmap`: `cargo xtask bench --chapter
/// field-fixed`.
///
/// # Invariants
///
/// 1. Entries of `engine` are indices of cells in `directory`; whoever acquired
///    one may fill its cell, and an entry is released when its cell is vacant.
pub struct IdPool<T, M: Mode = DefaultMode> {
    engine: M::Engine<Chunks<T>>,
    directory: Arc<Directory<T>>,
    policy: Exhaustion,
    adaptive: Option<Adapting>,
    /// What the capacity is made of, for errors.
    sum: Option<Arc<Capacity>>,
    _values: PhantomData<*mut T>,
}

/// A pool of values with ids for one thread.
pub type LocalIdPool<T> = IdPool<T, Local>;

// SAFETY: the values go where the pool goes.
unsafe impl<T: Send> Send for IdPool<T, Shared> {}
// SAFETY: through `&IdPool` threads reach `&T`, and end values of each other.
unsafe impl<T: Send + Sync> Sync for IdPool<T, Shared> {}
// SAFETY: as above; a local engine may move when nobody borrows the pool.
unsafe impl<T: Send> Send for IdPool<T, Local> {}

// No user code runs while a pool is half changed, so a panic leaves it whole.
impl<T, M: Mode> core::panic::UnwindSafe for IdPool<T, M> {}
impl<T, M: Mode> core::panic::RefUnwindSafe for IdPool<T, M> {}

impl<T> Builder<T> {
    /// A pool whose values are named by ids, for any number of threads. Its
    /// policies are fail, grow and block. It does not fall back: an id names a slot
    /// of the pool's own table, and nothing outside of it; under that policy it
    /// fails. If it [adapts](Builder::adaptive) it raises its capacity by itself; a
    /// lower one is for [`IdPool::apply`], which needs the pool alone.
    #[must_use]
    pub fn build_ids(self) -> IdPool<T, Shared> {
        let directory = Arc::new(Directory::new());
        let engine = self.shared_engine(size_of::<Cell<T>>(), self.chunks(&directory));
        IdPool::of(engine, directory, self)
    }

    /// As [`Builder::build_ids`], for one thread.
    #[must_use]
    pub fn build_local_ids(self) -> IdPool<T, Local> {
        let directory = Arc::new(Directory::new());
        let engine = self.local_engine(size_of::<Cell<T>>(), self.chunks(&directory));
        IdPool::of(engine, directory, self)
    }

    fn chunks(&self, directory: &Arc<Directory<T>>) -> Chunks<T> {
        Chunks {
            directory: Arc::clone(directory),
            chunks: Vec::new(),
            carved: 0,
            paid: 0,
            capacity: self.capacity.total(),
            settled: false,
            floors: [0; CHUNKS],
            options: self.region,
            supplier: self.supplier.clone(),
            budget: self.budget.clone(),
        }
    }
}

impl<T> IdPool<T, Shared> {
    /// A pool of at most `capacity` values, for any number of threads.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Builder::new(capacity.min(MOST)).build_ids()
    }

    /// Puts a value in and gives it a name, waiting up to `timeout` for a free slot.
    ///
    /// # Errors
    ///
    /// Hands the value back with `Limit::Deadline` when the time is over, or
    /// `Limit::Closed` if the pool was closed.
    pub fn insert_timeout(&self, value: T, timeout: Duration) -> Result<Id<T>, Refused<T>> {
        if let Some(entry) = self.engine.try_pop() {
            return Ok(self.name(entry, value));
        }
        let room = self.policy.room();
        match self.engine.acquire_waiting(room, Some(timeout)) {
            Ok(entry) => Ok(self.name(entry, value)),
            Err(error) => Err(self.refuse(error, value)),
        }
    }

    /// Puts a value in and gives it a name, waiting in the task for a free slot, in
    /// order of arrival. Dropping the future leaves the queue and loses nothing but
    /// the value inside it.
    ///
    /// ```
    /// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// use millpond_fixed::IdPool;
    ///
    /// let pool = IdPool::new(1);
    /// let first = pool.try_insert("first").map_err(|_| "full")?;
    ///
    /// let mut second = pin!(pool.insert_async("second"));
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(second.as_mut().poll(&mut context).is_pending());
    ///
    /// pool.release(first); // Handed to the task that waits.
    /// let Poll::Ready(Ok(second)) = second.as_mut().poll(&mut context) else { panic!() };
    /// assert_eq!(*pool.pin(second).unwrap(), "second");
    /// # Ok::<(), &str>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Hands the value back if the pool is or becomes closed, or could never give a
    /// slot.
    pub async fn insert_async(&self, value: T) -> Result<Id<T>, Refused<T>> {
        match self.engine.acquire_async(self.policy.room()).await {
            Ok(entry) => Ok(self.name(entry, value)),
            Err(error) => Err(self.refuse(error, value)),
        }
    }

    /// Closes the pool: inserts fail from now on, and whoever waits is told. Values
    /// that are in it stay, and are removed as always.
    pub fn close(&self) {
        self.engine.close();
    }

    /// Whether the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.engine.is_closed()
    }
}

impl<T> IdPool<T, Local> {
    /// A pool of at most `capacity` values, for one thread.
    #[must_use]
    pub fn new_local(capacity: usize) -> Self {
        Builder::new(capacity.min(MOST)).build_local_ids()
    }
}

/// Gives the slot of a vacated cell back, also if what was in it panics.
struct GiveBack<'p, T, M: Mode> {
    pool: &'p IdPool<T, M>,
    index: u32,
    reusable: bool,
}

impl<T, M: Mode> Drop for GiveBack<'_, T, M> {
    #[inline(always)]
    fn drop(&mut self) {
        // A slot whose generations are used up stays out of the engine.
        if self.reusable {
            self.pool.give_back(self.index);
        }
    }
}

impl<T, M: Mode> IdPool<T, M> {
    fn of(engine: M::Engine<Chunks<T>>, directory: Arc<Directory<T>>, builder: Builder<T>) -> Self {
        Self {
            engine,
            directory,
            policy: builder.policy,
            adaptive: builder.adapting(),
            sum: builder.sum(),
            _values: PhantomData,
        }
    }

    /// Puts a value in, and gives it a name. Never waits.
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit.
    #[inline]
    pub fn try_insert(&self, value: T) -> Result<Id<T>, Refused<T>> {
        match self.engine.try_pop() {
            Some(entry) => Ok(self.name(entry, value)),
            None => self.insert_slow(value, Exhaustion::Fail),
        }
    }

    /// Puts a value in, and does what the pool's policy says if no slot is free.
    ///
    /// # Errors
    ///
    /// Hands the value back with the limit that was hit, once the policy is at
    /// its end.
    #[inline]
    pub fn insert(&self, value: T) -> Result<Id<T>, Refused<T>> {
        match self.engine.try_pop() {
            Some(entry) => Ok(self.name(entry, value)),
            None => self.insert_slow(value, self.policy),
        }
    }

    #[cold]
    #[inline(never)]
    fn insert_slow(&self, value: T, policy: Exhaustion) -> Result<Id<T>, Refused<T>> {
        self.adapt();
        let entry = match policy {
            Exhaustion::Block { timeout } => self.engine.acquire_waiting(0, timeout),
            policy => self.engine.acquire_slow(policy.room()),
        };
        match entry {
            Ok(entry) => Ok(self.name(entry, value)),
            Err(error) => Err(self.refuse(error, value)),
        }
    }

    /// Raises the capacity if demand says so and the pool adapts.
    fn adapt(&self) {
        let adaptive = self.adaptive.as_ref();
        let due = adaptive.and_then(|adaptive| adaptive.due(|| self.engine.observe()));
        if let Some(capacity) = due.filter(|&capacity| capacity > self.capacity()) {
            self.set_capacity(capacity);
        }
    }

    /// The capacity that suits what happened since this was last asked, if it is
    /// another one, of a pool that was built to [know](Builder::advised). Costs what
    /// [`stats`](Self::stats) costs.
    pub fn advise(&self) -> Option<usize> {
        self.adaptive.as_ref()?.advise(|| self.engine.observe())
    }

    /// Sets the capacity, and gives back the last chunks as far as they are free.
    ///
    /// ```
    /// use millpond_fixed::{Adaptive, FixedPool, IdPool};
    ///
    /// let adaptive = Adaptive::between(10, 1000);
    /// let mut pool: IdPool<u64> = FixedPool::builder(10).advised(adaptive).build_ids();
    /// let ids: Vec<_> = (0..100).filter_map(|i| pool.try_insert(i).ok()).collect();
    /// assert_eq!(ids.len(), 10);
    /// let advice = pool.advise().expect("nine of ten were refused");
    /// pool.apply(advice);
    /// assert_eq!(pool.capacity(), advice);
    /// assert!(advice > 10);
    /// assert_eq!(pool.get(ids[7]), Some(&7), "ids stay what they are");
    /// ```
    pub fn apply(&mut self, advice: usize) {
        let created = self.engine.observe().created;
        self.set_capacity(advice);
        if advice < created {
            let _report = self.trim(Level::Moderate);
        }
    }

    fn refuse(&self, error: AcquireError, value: T) -> Refused<T> {
        Refused::new(error.with_sum(self.sum.clone()), value)
    }

    /// Makes up to `count` slots ahead of traffic, and answers how many are free.
    /// While it runs others find those slots taken.
    pub fn warm_up(&self, count: usize) -> usize {
        /// Gives slots back that were not filled.
        struct Ready<'p, T, M: Mode>(&'p IdPool<T, M>, Vec<Entry>);

        impl<T, M: Mode> Drop for Ready<'_, T, M> {
            fn drop(&mut self) {
                for entry in self.1.drain(..) {
                    // SAFETY: acquired below, and not filled; the pool is borrowed.
                    let released = unsafe { Engine::release(&raw const self.0.engine, entry) };
                    debug_assert_eq!(released, Released::Home);
                }
            }
        }

        let count = count.min(self.capacity());
        let mut ready = Ready(self, Vec::new());
        if ready.1.try_reserve(count).is_err() {
            return 0;
        }
        while ready.1.len() < count {
            let popped = self.engine.try_pop();
            let Some(entry) = popped.or_else(|| self.engine.acquire_slow(0).ok()) else {
                break;
            };
            ready.1.push(entry);
        }
        ready.1.len()
    }

    /// Fills the slot of `entry`, which was just acquired.
    #[inline(always)]
    fn name(&self, entry: Entry, value: T) -> Id<T> {
        #[expect(clippy::cast_possible_truncation, reason = "at most MOST slots")]
        let index = entry.as_index() as u32;
        let cell = self.directory.cell(index).expect("a slot lies in a chunk");
        let place = cell.value.get().cast::<T>();
        // SAFETY: acquired and vacant, so ours (1).
        unsafe { place.write(value) };
        let id = cell.tenancy.open(index);
        Id::from_raw(id.expect("a free slot is vacant"))
    }

    /// The value that `id` names, which lives at least as long as the pin.
    #[inline]
    pub fn pin(&self, id: Id<T>) -> Option<Pinned<'_, T, M>> {
        let index = id.raw().index();
        let cell = self.directory.cell(index)?;
        if !cell.tenancy.pin(id.raw()) {
            return None;
        }
        Some(Pinned {
            pool: self,
            cell,
            index,
        })
    }

    /// Makes `id` stale: nobody gets another pin, and the value is dropped when
    /// the last one ends, or now. `false` if it is stale already.
    #[inline]
    pub fn release(&self, id: Id<T>) -> bool {
        let index = id.raw().index();
        let Some(cell) = self.directory.cell(index) else {
            return false;
        };
        match cell.tenancy.end(id.raw()) {
            Ending::Stale => return false,
            Ending::Later => (),
            // SAFETY: told so.
            Ending::Alone => unsafe { self.finish(index, cell) },
        }
        true
    }

    /// Drops the value of a cell and gives its slot back.
    ///
    /// # Safety
    ///
    /// The caller is alone with the value.
    unsafe fn finish(&self, index: u32, cell: &Cell<T>) {
        let _slot = GiveBack {
            pool: self,
            index,
            reusable: cell.tenancy.vacate(),
        };
        // SAFETY: by 1 of the cell there was a value until the line above, and
        // nobody else has it. The slot goes back after it.
        unsafe { cell.value.get().cast::<T>().drop_in_place() };
    }

    fn give_back(&self, index: u32) {
        let entry = Entry::from_index(index as usize);
        // SAFETY: by 1 acquired when the cell was filled, which is vacant now; the
        // pool is not orphaned.
        let released = unsafe { Engine::release(&raw const self.engine, entry) };
        debug_assert_eq!(released, Released::Home);
    }

    /// Takes out the value that `id` names.
    #[inline]
    pub fn remove(&mut self, id: Id<T>) -> Option<T> {
        let index = id.raw().index();
        let cell = self.directory.cell(index)?;
        if !cell.tenancy.is_named_by(id.raw()) {
            return None;
        }
        let slot = GiveBack {
            pool: self,
            index,
            reusable: cell.tenancy.vacate(),
        };
        // SAFETY: by 1 of the cell there was a value until the line above, and
        // nobody has a pin while the pool is borrowed mutably.
        let value = unsafe { cell.value.get().cast::<T>().read() };
        drop(slot);
        Some(value)
    }

    /// The value that `id` names, to be changed.
    #[inline]
    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        let cell = self.directory.cell(id.raw().index())?;
        if !cell.tenancy.is_named_by(id.raw()) {
            return None;
        }
        // SAFETY: by 1 of the cell there is a value, and nobody has a pin while
        // the pool is borrowed mutably.
        Some(unsafe { &mut *cell.value.get().cast::<T>() })
    }

    /// The value that `id` names. Needs the pool alone, and so no pin; for
    /// several values at once take a [`View`].
    #[inline]
    pub fn get(&mut self, id: Id<T>) -> Option<&T> {
        self.view().get(id)
    }

    /// All values at rest, to be looked at together: nothing is removed as long
    /// as the view lives.
    #[inline]
    pub fn view(&mut self) -> View<'_, T> {
        let directory = &*self.directory;
        View {
            first: directory.chunks[0].load(Ordering::Relaxed),
            flat: directory.flat.load(Ordering::Relaxed),
            directory,
            _values: PhantomData,
        }
    }

    /// All values with their ids, to be changed, in order of their slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id<T>, &mut T)> {
        live(&self.directory).map(|(id, cell)| {
            // SAFETY: by 1 of the cell there is a value, nobody has a pin while
            // the pool is borrowed mutably, and each cell comes once.
            (id, unsafe { &mut *cell.value.get().cast::<T>() })
        })
    }

    /// Drops all values: every id is stale afterwards.
    pub fn clear(&mut self) {
        /// The cells behind one whose value panics are cleared all the same.
        struct Rest<'p, T, M: Mode>(&'p IdPool<T, M>, u32);

        impl<T, M: Mode> Rest<'_, T, M> {
            fn clear(&mut self) {
                while let Some(cell) = self.0.directory.cell(self.1) {
                    let index = self.1;
                    self.1 += 1;
                    if cell.tenancy.is_occupied() {
                        // SAFETY: nobody has a pin while the pool is borrowed
                        // mutably; ends that pins were forgotten for are among
                        // these.
                        unsafe { self.0.finish(index, cell) };
                    }
                }
            }
        }

        impl<T, M: Mode> Drop for Rest<'_, T, M> {
            fn drop(&mut self) {
                self.clear();
            }
        }

        Rest(self, 0).clear();
    }

    /// Values in the pool, and slots whose generations are used up.
    pub fn len(&self) -> usize {
        self.engine.observe().in_use
    }

    /// Whether there is no value in the pool.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values the pool may have.
    pub fn capacity(&self) -> usize {
        self.engine.observe().capacity
    }

    /// All figures.
    pub fn stats(&self) -> Observation {
        let mut figures = self.engine.observe();
        figures.item_bytes = size_of::<Cell<T>>();
        figures.used_bytes = figures.in_use * figures.item_bytes;
        let items = figures.created * figures.item_bytes;
        figures.wasted_bytes = figures.held_bytes.saturating_sub(items);
        figures
    }

    /// Gives back the last chunks, as far as all of their slots are free. Needs
    /// the pool alone, because others may look for ids in them.
    pub fn trim(&mut self, level: Level) -> TrimReport {
        self.engine.trim(level)
    }

    /// Changes the capacity. Values beyond a lower one stay until they are
    /// removed.
    pub fn set_capacity(&self, capacity: usize) {
        self.engine.set_capacity(capacity.min(MOST));
    }
}

/// All live cells, with the ids of what is in them.
fn live<T>(directory: &Directory<T>) -> impl Iterator<Item = (Id<T>, &Cell<T>)> {
    directory.cells().filter_map(|(index, cell)| {
        let id = millpond_core::id::RawId::new(index, cell.tenancy.generation())?;
        // One that ends has no name any more.
        cell.tenancy
            .is_named_by(id)
            .then_some((Id::from_raw(id), cell))
    })
}

impl<T, M: Mode> Drop for IdPool<T, M> {
    fn drop(&mut self) {
        /// The engine frees its slots if all are home: retired ones too.
        struct Home<'p, T, M: Mode>(&'p IdPool<T, M>);

        impl<T, M: Mode> Drop for Home<'_, T, M> {
            fn drop(&mut self) {
                for (index, cell) in self.0.directory.cells() {
                    if cell.tenancy.generation().is_retired() {
                        self.0.give_back(index);
                    }
                }
            }
        }

        struct Clears<'p, T, M: Mode>(&'p mut IdPool<T, M>);

        impl<T, M: Mode> Drop for Clears<'_, T, M> {
            fn drop(&mut self) {
                drop(Home(self.0));
            }
        }

        Clears(self).0.clear();
    }
}

impl<T, M: Mode> Observe for IdPool<T, M> {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn observe(&self) -> Observation {
        self.stats()
    }

    fn kind(&self) -> &'static str {
        "ids"
    }

    fn sampled(&self) -> Sampled {
        self.engine.sampled()
    }
}

impl<T, M: Mode> Tune for IdPool<T, M> {
    fn set_capacity(&self, capacity: usize) {
        Self::set_capacity(self, capacity);
    }
}

impl<T, M: Mode> fmt::Debug for IdPool<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.stats();
        f.debug_struct("IdPool")
            .field("name", &self.engine.name())
            .field("capacity", &figures.capacity)
            .field("in_use", &figures.in_use)
            .finish_non_exhaustive()
    }
}

/// The values of an [`IdPool`] at rest: see [`IdPool::view`].
///
/// # Invariants
///
/// 1. `first` and `flat` are what the directory says, which does not change while
///    the pool is borrowed mutably for the view.
pub struct View<'v, T> {
    first: *const Cell<T>,
    flat: u32,
    directory: &'v Directory<T>,
    _values: PhantomData<&'v T>,
}

// SAFETY: a view is a `&T` to each of the values, and nothing is inserted or
// ended through it.
unsafe impl<T: Sync> Send for View<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for View<'_, T> {}

impl<'v, T> View<'v, T> {
    /// The value that `id` names.
    #[inline(always)]
    #[must_use]
    pub fn get(self, id: Id<T>) -> Option<&'v T> {
        let index = id.raw().index();
        let cell = if index < self.flat {
            // SAFETY: below `flat`, so inside the first chunk (1).
            let cell = unsafe { self.first.add(index as usize) };
            // SAFETY: initialised, and alive as long as the pool is borrowed.
            unsafe { &*cell }
        } else {
            self.directory.cell_beyond(index)?
        };
        if !cell.tenancy.is_named_by(id.raw()) {
            return None;
        }
        // SAFETY: by 1 of the cell there is a value, and nothing ends or changes
        // it while the pool is borrowed mutably for the view.
        Some(unsafe { &*cell.value.get().cast::<T>() })
    }

    /// All values with their ids, in order of their slots.
    pub fn iter(self) -> impl Iterator<Item = (Id<T>, &'v T)> {
        live(self.directory).map(|(id, cell)| {
            // SAFETY: as for `get`.
            (id, unsafe { &*cell.value.get().cast::<T>() })
        })
    }
}

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for View<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A value that its id led to, and that lives at least as long as this.
///
/// # Invariants
///
/// 1. A pin of `cell` is counted for this.
#[must_use = "the value may go at once when its pin does"]
pub struct Pinned<'p, T, M: Mode = DefaultMode> {
    pool: &'p IdPool<T, M>,
    cell: &'p Cell<T>,
    index: u32,
}

// SAFETY: it is a `&T`, and may be the last to end the value.
unsafe impl<T: Send + Sync> Send for Pinned<'_, T, Shared> {}
// SAFETY: through `&Pinned` nothing but `&T` can be reached.
unsafe impl<T: Sync, M: Mode> Sync for Pinned<'_, T, M> {}

impl<T, M: Mode> Deref for Pinned<'_, T, M> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: by 1 the value lives, and nobody changes it.
        unsafe { &*self.cell.value.get().cast::<T>() }
    }
}

impl<T, M: Mode> Drop for Pinned<'_, T, M> {
    #[inline]
    fn drop(&mut self) {
        // Counted (1), and ended here.
        if self.cell.tenancy.unpin() {
            // SAFETY: told so.
            unsafe { self.pool.finish(self.index, self.cell) };
        }
    }
}

impl<T: fmt::Debug, M: Mode> fmt::Debug for Pinned<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: fmt::Display, M: Mode> fmt::Display for Pinned<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
