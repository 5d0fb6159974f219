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
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use millpond_core::capacity::Capacity;
use millpond_core::engine::{Engine, Local, Mode, Released, Shared};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Refused};
use millpond_core::exhaustion::Exhaustion;
use millpond_core::id::Id;
use millpond_core::observe::{Observation, Observe, RegionFigures, Sampled, Tune};
use millpond_core::tenancy::Ending;
use millpond_core::trim::{Level, TrimReport};

mod chunks;
mod directory;
mod view;

use chunks::Chunks;
use directory::{Cell, Directory, MOST, live};
pub use view::{Pinned, View};

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
        let engine = self.shared_engine(size_of::<Cell<T>>(), Chunks::new(&self, &directory));
        IdPool::of(engine, directory, self)
    }

    /// As [`Builder::build_ids`], for one thread.
    #[must_use]
    pub fn build_local_ids(self) -> IdPool<T, Local> {
        let directory = Arc::new(Directory::new());
        let engine = self.local_engine(size_of::<Cell<T>>(), Chunks::new(&self, &directory));
        IdPool::of(engine, directory, self)
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
        View::of(&self.directory)
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

    fn regions(&self) -> Vec<RegionFigures> {
        self.engine.regions()
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
