//! Pools whose values are named by ids: for graphs that store handles.
//!
//! ```text
//!   Id ── index ─► chunk, place         chunk 0  ┌──┬──┐
//!    │                                  chunk 1  ├──┼──┼──┬──┐      each as long as
//!    │                                  chunk 2  ├──┼──┼──┼──┼──…   all before it
//!    │                                           └┬─┘
//!    └─ generation ─── must equal ─────► word ────┘  generation, pins; value
//! ```
//!
//! Chunks do not move, so an id finds its slot by a shift and a load while others
//! insert.

use crate::builder::Builder;
use crate::pool::DefaultMode;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};
use millpond_core::budget::Budget;
use millpond_core::engine::{Engine, Local, Mode, Released, Shared};
use millpond_core::entry::Entry;
use millpond_core::error::{Limit, Refused};
use millpond_core::exhaustion::Exhaustion;
use millpond_core::id::{Generation, Id};
use millpond_core::observe::{Observation, Observe, Sampled, Tune};
use millpond_core::region::{Region, RegionOptions, Supply};
use millpond_core::source::{Batch, Source};
use millpond_core::tenancy::{Ending, Tenancy};
use millpond_core::trim::{Level, TrimReport};

/// Slots of the first chunk; each further one is as long as all before it and
/// this. A power of two, so that chunk and place follow from the highest bit.
const FIRST: usize = if cfg!(miri) { 4 } else { 64 };

/// Chunks that an index of 32 bits can lie in.
const CHUNKS: usize = (u32::BITS - FIRST.ilog2()) as usize;

/// Slots that ids can name.
const MOST: usize = (FIRST << (CHUNKS - 1)) - FIRST;

/// A slot.
///
/// # Invariants
///
/// 1. `value` is initialised while `tenancy` is live, and touched as its table of
///    states says.
struct Cell<T> {
    tenancy: Tenancy,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// Where the chunks are.
///
/// # Invariants
///
/// 1. A chunk that is not null has `FIRST << k` cells, all of them initialised,
///    and stays while the pool is shared: it is taken away through `&mut` only.
struct Directory<T> {
    chunks: [AtomicPtr<Cell<T>>; CHUNKS],
}

impl<T> Directory<T> {
    const fn new() -> Self {
        Self {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
        }
    }

    /// The cell of slot `index`, if its chunk exists.
    #[inline(always)]
    fn cell(&self, index: u32) -> Option<&Cell<T>> {
        let place = (index as usize).checked_add(FIRST)?;
        let chunk = (place / FIRST).ilog2() as usize;
        let base = self.chunks.get(chunk)?.load(Ordering::Acquire);
        let base = NonNull::new(base)?;
        // SAFETY: below `FIRST << chunk`, so inside the chunk by 1.
        let cell = unsafe { base.add(place - (FIRST << chunk)) };
        // SAFETY: initialised by 1, and alive as long as the borrow.
        Some(unsafe { cell.as_ref() })
    }

    /// All cells that there are, with their indices.
    fn cells(&self) -> impl Iterator<Item = (u32, &Cell<T>)> {
        (0u32..).map_while(|index| Some((index, self.cell(index)?)))
    }
}

/// The source of the slots: their entries are indices.
///
/// # Invariants
///
/// 1. `chunks[k]` is what the directory has at `k`.
/// 2. Indices below `carved` were handed to the engine.
struct Chunks<T> {
    directory: Arc<Directory<T>>,
    chunks: Vec<Region>,
    carved: usize,
    /// The last generation that was in use in each chunk that went away.
    floors: [u32; CHUNKS],
    options: RegionOptions,
    supplier: Option<Arc<dyn Supply>>,
    budget: Option<Budget>,
}

/// Chunks on their way back to the system.
struct RetiredChunks {
    chunks: Vec<Region>,
    budget: Option<Budget>,
}

impl Drop for RetiredChunks {
    fn drop(&mut self) {
        for chunk in self.chunks.drain(..) {
            let bytes = chunk.len();
            drop(chunk);
            if let Some(budget) = &self.budget {
                budget.refund_bytes(bytes);
            }
        }
    }
}

impl<T> Chunks<T> {
    /// Slots in the first `chunks` chunks.
    const fn slots_in(chunks: usize) -> usize {
        (FIRST << chunks) - FIRST
    }

    fn add_chunk(&mut self) -> Result<(), Limit> {
        let chunk = self.chunks.len();
        let too_large = Limit::Memory { bytes: usize::MAX };
        if chunk + 1 >= CHUNKS {
            return Err(too_large);
        }
        let (slots, align) = (FIRST << chunk, align_of::<Cell<T>>());
        let bytes = slots
            .checked_mul(size_of::<Cell<T>>())
            .ok_or(too_large.clone())?;
        let bytes = match self.supplier {
            Some(_) => bytes,
            None => Region::len_for(bytes, align, &self.options).map_err(|_| too_large)?,
        };
        let refused = Limit::Memory { bytes };
        self.chunks.try_reserve(1).map_err(|_| refused.clone())?;
        if let Some(budget) = &self.budget {
            budget.charge_now(bytes).map_err(Limit::Budget)?;
        }
        let region = match &self.supplier {
            Some(supplier) => Region::supplied(bytes, align, Arc::clone(supplier)),
            None => Region::new(bytes, align, &self.options),
        };
        let region = region.map_err(|_| {
            if let Some(budget) = &self.budget {
                budget.refund_bytes(bytes);
            }
            refused
        })?;
        let base = region.base().cast::<Cell<T>>();
        let floor = Generation::from_bits(self.floors[chunk]);
        for slot in 0..slots {
            // SAFETY: `slot < slots`, which fit into the region.
            let cell = unsafe { base.add(slot) };
            let vacant = Cell {
                tenancy: Tenancy::new(floor),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            };
            // SAFETY: inside the fresh region, which is aligned for cells.
            unsafe { cell.write(vacant) };
        }
        // Release: whoever finds the chunk sees its cells.
        self.directory.chunks[chunk].store(base.as_ptr(), Ordering::Release);
        self.chunks.push(region);
        Ok(())
    }
}

impl<T> Source for Chunks<T> {
    type Retired = RetiredChunks;

    fn create(&mut self, want: usize, _: usize, batch: &mut Batch) -> Result<(), Limit> {
        while batch.len() < want {
            if self.carved == Self::slots_in(self.chunks.len()) {
                match self.add_chunk() {
                    Err(limit) if batch.is_empty() => return Err(limit),
                    Err(_) => return Ok(()),
                    Ok(()) => (),
                }
            }
            batch.push(Entry::from_index(self.carved));
            self.carved += 1;
        }
        Ok(())
    }

    /// Gives chunks back from the last one on, as long as all of their slots are
    /// free. Runs only when nobody shares the pool.
    fn retire(&mut self, free: &mut Vec<Entry>, _: Level) -> RetiredChunks {
        let mut retired = RetiredChunks {
            chunks: Vec::new(),
            budget: self.budget.clone(),
        };
        while let Some(last) = self.chunks.len().checked_sub(1) {
            let first = Self::slots_in(last);
            let carved = self.carved - first;
            let home = free
                .iter()
                .filter(|entry| entry.as_index() >= first)
                .count();
            if home != carved || retired.chunks.try_reserve(1).is_err() {
                break;
            }
            free.retain(|entry| entry.as_index() < first);
            let generations = (first..self.carved).filter_map(|index| {
                let cell = self.directory.cell(u32::try_from(index).ok()?)?;
                Some(cell.tenancy.generation().bits())
            });
            // Ids of this life must not name anything in the next.
            self.floors[last] = generations.max().unwrap_or(0).max(self.floors[last]);
            self.directory.chunks[last].store(ptr::null_mut(), Ordering::Release);
            retired.chunks.extend(self.chunks.pop());
            self.carved = first;
        }
        retired
    }

    fn held_bytes(&self) -> usize {
        self.chunks.iter().map(Region::len).sum()
    }

    fn owns(&self, entry: Entry) -> bool {
        entry.as_index() < self.carved
    }
}

impl<T> Drop for Chunks<T> {
    fn drop(&mut self) {
        drop(RetiredChunks {
            chunks: core::mem::take(&mut self.chunks),
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
    /// policies are fail, grow and block; it does not fall back.
    #[must_use]
    pub fn build_ids(self) -> IdPool<T, Shared> {
        let directory = Arc::new(Directory::new());
        let engine = self.shared_engine(size_of::<Cell<T>>(), self.chunks(&directory));
        IdPool::of(engine, directory, self.policy)
    }

    /// As [`Builder::build_ids`], for one thread.
    #[must_use]
    pub fn build_local_ids(self) -> IdPool<T, Local> {
        let directory = Arc::new(Directory::new());
        let engine = self.local_engine(self.chunks(&directory));
        IdPool::of(engine, directory, self.policy)
    }

    fn chunks(&self, directory: &Arc<Directory<T>>) -> Chunks<T> {
        Chunks {
            directory: Arc::clone(directory),
            chunks: Vec::new(),
            carved: 0,
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
    fn of(engine: M::Engine<Chunks<T>>, directory: Arc<Directory<T>>, policy: Exhaustion) -> Self {
        Self {
            engine,
            directory,
            policy,
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
        let entry = match policy {
            Exhaustion::Block { timeout } => self.engine.acquire_waiting(0, timeout),
            policy => self.engine.acquire_slow(policy.room()),
        };
        match entry {
            Ok(entry) => Ok(self.name(entry, value)),
            Err(error) => Err(Refused::new(error, value)),
        }
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
        View {
            directory: &self.directory,
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
                    if cell.tenancy.generation().is_live() {
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
pub struct View<'v, T> {
    directory: &'v Directory<T>,
    _values: PhantomData<&'v T>,
}

impl<'v, T> View<'v, T> {
    /// The value that `id` names.
    #[inline(always)]
    #[must_use]
    pub fn get(self, id: Id<T>) -> Option<&'v T> {
        let cell = self.directory.cell(id.raw().index())?;
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
