//! Ponds: what the handles of one pool, and its buffers, share.
//!
//! ```text
//!   handles ─▶ pond ─▶ table ─▶ class 2 KiB ◀─ buffer        a buffer counts nothing:
//!                │        └───▶ class 4 KiB ◀─ buffer        its engine knows it is out
//!                └─ all tables and classes that ever were
//! ```
//!
//! A pond lives for as long as a handle does, or a class of which a buffer is
//! out. Tables that were replaced and classes that are in no table any more stay
//! until the pond goes, empty: a reader needs no lock and no count to look into
//! the table it has found.

use crate::class::Class;
use crate::config::{Config, ConfigError};
use crate::direct::Direct;
use crate::origin::DIRECT;
use crate::slot;
use crate::sub_pool::SubPool;
use crate::table::Table;
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};
use millpond_core::engine::{Released, Shared};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::home::FALLBACK;
use millpond_core::member::{Joined, Member};
use millpond_core::region;
use millpond_core::shared::SharedEngine;
use millpond_core::sharing::Sharing;
use millpond_core::size_class::SizeClasses;
use millpond_core::trim::Level;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

/// Most different tables of a pond, and most different classes. Those that were
/// replaced stay, for readers take no lock: a table is two KiB and a half, a class
/// without buffers about a thousand. A program that goes back and forth between a few
/// tables never comes near; one that makes up new ones for ever is told.
pub(crate) const MOST_TABLES: usize = 64;
const MOST_CLASSES: usize = 1024;

/// Everything that was ever made for the pond.
#[derive(Debug)]
pub(crate) struct Estate {
    tables: Vec<NonNull<Table<Class>>>,
    pub(crate) classes: Vec<NonNull<Class>>,
}

/// # Invariants
///
/// 1. `table` points to one of `estate.tables`, which live as long as the pond.
/// 2. `estate.classes` live until the pond is orphaned, and each until its last
///    buffer is home.
/// 3. `parts` is 1 for all handles, and 1 for each class that has not ended.
pub(crate) struct Pond {
    table: AtomicPtr<Table<Class>>,
    handles: Sharing,
    parts: AtomicUsize,
    pub(crate) config: Config,
    estate: Mutex<Estate>,
    /// Buffers of no class: too large, or too small.
    pub(crate) direct: Direct,
    /// Buffers outside the capacity of their class.
    pub(crate) fallback: Direct,
    pub(crate) ledger: crate::stats::Ledger,
    /// Made from this pool; nobody makes this one from them.
    pub(crate) sub_pools: Mutex<Vec<SubPool>>,
    /// Through which the pool's budget asks it to trim.
    member: Option<Member>,
}

// SAFETY: classes and tables are shared between threads as the atomics and
// engines in them allow; the lists of them are under a lock.
unsafe impl Send for Pond {}
// SAFETY: as above.
unsafe impl Sync for Pond {}

// SAFETY: a pond is freed by the last handle or buffer, and who joins is a handle.
unsafe impl Joined for Pond {
    unsafe fn join(pond: NonNull<Self>) -> bool {
        // SAFETY: by the caller.
        unsafe { &(*pond.as_ptr()).handles }.join()
    }

    fn give_back(&self) -> usize {
        self.trim(Level::Moderate).freed_bytes
    }

    unsafe fn leave(pond: NonNull<Self>) {
        // SAFETY: by the caller.
        unsafe { Self::let_go(pond) };
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pond {
    /// A pond with one handle.
    pub(crate) fn allocate(config: Config) -> Result<NonNull<Self>, ConfigError> {
        config.check()?;
        let sizes = SizeClasses::new(&config.sizes)?;
        let layout = Layout::new::<Self>();
        let refused = ConfigError::Memory {
            bytes: layout.size(),
        };
        let pond = region::allocate(layout).ok_or(refused)?.cast::<Self>();
        let member = config.budget.as_ref().map(Member::of);
        let value = Self {
            table: AtomicPtr::new(core::ptr::null_mut()),
            handles: Sharing::new(),
            parts: AtomicUsize::new(1),
            direct: Direct::new(&config),
            fallback: Direct::new(&config),
            ledger: crate::stats::Ledger::default(),
            sub_pools: Mutex::new(Vec::new()),
            config,
            estate: Mutex::new(Estate {
                tables: Vec::new(),
                classes: Vec::new(),
            }),
            member,
        };
        // SAFETY: freshly allocated with the layout of a pond.
        unsafe { pond.write(value) };
        // SAFETY: just written.
        let this = unsafe { pond.as_ref() };
        // SAFETY: as above.
        if let Err(error) = unsafe { Self::install(pond, sizes) } {
            // SAFETY: nobody else knows of it.
            unsafe { Self::let_go(pond) };
            return Err(error);
        }
        if let Some(member) = &this.member {
            // SAFETY: on the heap, and forgotten before it goes.
            unsafe { member.know(pond) };
        }
        Ok(pond)
    }

    /// Makes `sizes` the table: with classes that exist where there are such of
    /// the size, else new ones. Classes that are in it no more get no new
    /// buffers, and lose those that are home.
    ///
    /// # Safety
    ///
    /// `pond` is alive, and was allocated as one.
    pub(crate) unsafe fn install(
        pond: NonNull<Self>,
        sizes: SizeClasses,
    ) -> Result<(), ConfigError> {
        // SAFETY: by the caller.
        let this = unsafe { pond.as_ref() };
        let mut estate = this.estate();
        let has_sizes = |table: &&NonNull<Table<Class>>| {
            // SAFETY: tables live as long as the pond.
            unsafe { table.as_ref() }.sizes() == &sizes
        };
        let known = estate.tables.iter().find(has_sizes).copied();
        let table = match known {
            Some(table) => table,
            None => this.make_table(pond, &mut estate, sizes)?,
        };
        drop(estate);
        // Classes that were retired are raised before anybody is sent there, and
        // others retired after nobody is.
        // SAFETY: tables live as long as the pond.
        this.raise(unsafe { table.as_ref() });
        this.table.store(table.as_ptr(), Ordering::Release);
        this.adjust();
        Ok(())
    }

    /// A table that there never was.
    fn make_table(
        &self,
        pond: NonNull<Self>,
        estate: &mut Estate,
        sizes: SizeClasses,
    ) -> Result<NonNull<Table<Class>>, ConfigError> {
        let refused = |bytes| ConfigError::Memory { bytes };
        if estate.tables.len() == MOST_TABLES {
            return Err(ConfigError::TooManyTables { limit: MOST_TABLES });
        }
        let mut classes = Vec::new();
        let list_bytes = sizes.count() * size_of::<NonNull<Class>>();
        classes
            .try_reserve_exact(sizes.count())
            .map_err(|_| refused(list_bytes))?;
        estate
            .classes
            .try_reserve(sizes.count())
            .map_err(|_| refused(list_bytes))?;
        estate
            .tables
            .try_reserve(1)
            .map_err(|_| refused(size_of::<NonNull<Table<Class>>>()))?;
        let mut floor = 0;
        for &size in sizes.sizes() {
            classes.push(self.class(pond, estate, floor, size)?);
            floor = size;
        }
        // SAFETY: by 2 they live as long as the pond, and so as its tables.
        let table = unsafe { Table::new(sizes, classes) };
        let place = region::allocate(Layout::new::<Table<Class>>());
        let place = place
            .ok_or(refused(size_of::<Table<Class>>()))?
            .cast::<Table<Class>>();
        // SAFETY: freshly allocated with the layout of a table.
        unsafe { place.write(table) };
        estate.tables.push(place);
        Ok(place)
    }

    /// The class of requests above `floor` and up to `size`, made if there never
    /// was one.
    fn class(
        &self,
        pond: NonNull<Self>,
        estate: &mut Estate,
        floor: usize,
        size: usize,
    ) -> Result<NonNull<Class>, ConfigError> {
        let fits = |class: &&NonNull<Class>| {
            // SAFETY: alive by 2.
            let class = unsafe { class.as_ref() };
            (class.floor, class.size()) == (floor, size)
        };
        if let Some(class) = estate.classes.iter().find(fits) {
            return Ok(*class);
        }
        if estate.classes.len() == MOST_CLASSES {
            return Err(ConfigError::TooManyClasses {
                limit: MOST_CLASSES,
            });
        }
        let class = Class::allocate(&self.config, pond, floor, size);
        let class = class.ok_or(ConfigError::Memory {
            bytes: size_of::<Class>(),
        })?;
        self.parts.fetch_add(1, Ordering::Relaxed);
        estate.classes.push(class);
        Ok(class)
    }

    /// Gives the classes of a table their capacity.
    fn raise(&self, table: &Table<Class>) {
        use millpond_core::engine::Engine;

        for class in table.classes() {
            // SAFETY: alive by 2.
            let class = unsafe { class.as_ref() };
            class.engine.set_capacity(self.config.buffers_per_class);
            class.stock.set_open(true);
        }
    }

    /// Gives the classes of the table their capacity, and others none. With no
    /// lock held, for wakers and hooks run; so if somebody else installs a table
    /// meanwhile, this begins again.
    fn adjust(&self) {
        use millpond_core::engine::Engine;

        loop {
            let table = self.table();
            self.raise(table);
            for class in self.all_classes() {
                if !table.classes().contains(&NonNull::from(class)) {
                    class.stock.set_open(false);
                    class.empty_stock();
                    class.engine.set_capacity(0);
                    class.engine.trim(Level::Full);
                }
            }
            if core::ptr::eq(table, self.table()) {
                return;
            }
        }
    }

    /// The table of this moment.
    #[inline(always)]
    pub(crate) fn table(&self) -> &Table<Class> {
        let table = self.table.load(Ordering::Acquire);
        // SAFETY: alive by 1.
        unsafe { &*table }
    }

    pub(crate) fn estate(&self) -> MutexGuard<'_, Estate> {
        lock(&self.estate)
    }

    /// Gives back what lies free in all classes.
    pub(crate) fn trim(&self, level: Level) -> millpond_core::trim::TrimReport {
        let mut sum = millpond_core::trim::TrimReport::default();
        for class in self.all_classes() {
            if level > Level::Light {
                class.empty_stock();
            }
            sum = sum.merge(class.engine.trim(level));
        }
        sum
    }

    /// Every class that ever was, read without keeping the lock.
    pub(crate) fn all_classes(&self) -> impl Iterator<Item = &Class> {
        let place = |index| self.estate().classes.get(index).copied();
        // SAFETY: alive by 2 as long as the pond.
        (0..)
            .map_while(place)
            .map(|class| unsafe { class.as_ref() })
    }

    // ---- Buffers of no class ------------------------------------------------

    /// Allocates the slot of a buffer of `capacity` bytes outside the classes,
    /// and retains the pond for it.
    ///
    /// # Safety
    ///
    /// `pond` is alive.
    pub(crate) unsafe fn allocate_direct(
        pond: NonNull<Self>,
        capacity: usize,
        note: usize,
        at_most: usize,
    ) -> Result<Entry, AcquireError> {
        // SAFETY: by the caller.
        let this = unsafe { pond.as_ref() };
        let kind = this.direct_of(note);
        let refused = |limit| AcquireError::new(this.config.name, limit, at_most, kind.in_use(), 0);
        let layout = slot::layout(capacity).ok_or(Limit::Memory { bytes: capacity });
        let layout = layout.map_err(refused)?;
        let slot = kind.allocate(layout, at_most).map_err(refused)?;
        // SAFETY: fresh memory of this layout.
        let entry = unsafe { slot::prepare(slot.as_ptr(), capacity) };
        // SAFETY: alive by the caller.
        unsafe { Self::retain(pond) };
        Ok(entry)
    }

    /// Frees what [`Pond::allocate_direct`] allocated.
    ///
    /// # Safety
    ///
    /// It was allocated by this pond with this capacity and note, and is not
    /// used afterwards, and neither is the pond.
    pub(crate) unsafe fn free_direct(
        pond: NonNull<Self>,
        entry: Entry,
        capacity: usize,
        notes: usize,
    ) {
        let layout = slot::layout(capacity).expect("it was allocated");
        // SAFETY: retained by the buffer.
        let kind = unsafe { pond.as_ref() }.direct_of(notes);
        // SAFETY: by the caller.
        let slot = Entry::from_ptr(unsafe { slot::slot_of(entry) });
        // SAFETY: by the caller.
        unsafe { kind.free(slot, layout) };
        // SAFETY: retained when it was allocated.
        unsafe { Self::let_go(pond) };
    }

    fn direct_of(&self, notes: usize) -> &Direct {
        debug_assert!(notes & (DIRECT | FALLBACK) != 0);
        if notes & DIRECT != 0 {
            &self.direct
        } else {
            &self.fallback
        }
    }

    // ---- Life ---------------------------------------------------------------

    /// Counts a handle more.
    ///
    /// # Safety
    ///
    /// `pond` is alive.
    pub(crate) unsafe fn retain(pond: NonNull<Self>) {
        // SAFETY: by the caller.
        unsafe { &(*pond.as_ptr()).handles }.retain::<Shared>();
    }

    /// Counts a handle less. The last one orphans every class.
    ///
    /// # Safety
    ///
    /// `pond` is alive, and was retained for this.
    pub(crate) unsafe fn let_go(pond: NonNull<Self>) {
        // SAFETY: by the caller.
        let this = unsafe { pond.as_ref() };
        if !this.handles.release::<Shared>() {
            return;
        }
        if let Some(member) = &this.member {
            member.forget();
        }
        let classes = core::mem::take(&mut this.estate().classes);
        for class in classes {
            // SAFETY: a class that has not ended (2); the handles' part keeps it.
            unsafe { class.as_ref() }.empty_stock();
            // SAFETY: a place inside a class that has not ended (2).
            let engine = unsafe { &raw const (*class.as_ptr()).engine };
            // SAFETY: alive; no handle is left to call it.
            if unsafe { SharedEngine::orphan(engine) } == Released::Last {
                // SAFETY: told so by the engine.
                unsafe { Class::end_slow(class) };
            }
        }
        // SAFETY: the part of the handles.
        unsafe { Self::leave(pond) };
    }

    /// Counts a part less, and frees the pond with the last.
    ///
    /// # Safety
    ///
    /// The caller had the part, and does not use the pond afterwards.
    pub(crate) unsafe fn leave(pond: NonNull<Self>) {
        // SAFETY: alive by the caller's part.
        let parts = unsafe { &(*pond.as_ptr()).parts };
        if parts.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        // SAFETY: no part is left, so nobody else uses it.
        let tables = core::mem::take(&mut unsafe { pond.as_ref() }.estate().tables);
        for table in tables {
            // SAFETY: written when it was allocated; nobody reads it any more.
            unsafe { table.drop_in_place() };
            // SAFETY: allocated with this layout.
            unsafe { region::free(table.cast(), Layout::new::<Table<Class>>()) };
        }
        // SAFETY: as above.
        unsafe { pond.drop_in_place() };
        // SAFETY: allocated with this layout.
        unsafe { region::free(pond.cast(), Layout::new::<Self>()) };
    }
}
