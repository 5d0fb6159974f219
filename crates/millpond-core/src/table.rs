//! The table of caches: a pool's answer to "which cache is this thread's?".
//!
//! ```text
//!   thread id      0        1        2     …   11
//!              ┌────────┬────────┬────────┬───┬────────┬───────┐
//!   pool       │ closed │ cache  │ closed │ … │ closed │ shown │   one pair of lines
//!              └────────┴────────┴────────┴───┴────────┴───┬───┘
//!                            ┌─────────────────────────────┘
//!                            ▼ 1        2        3
//!              ┌────────┬────────┬────────┬────────┬ ─ ─
//!   table      │ closed │ cache  │ closed │ cache  │       replaced by a longer one on
//!              └────────┴────────┴────────┴────────┴ ─ ─   growth; old ones are kept
//!                                                          until the pool goes
//! ```
//!
//! The places of small ids are repeated in the pool itself, so that a program of few
//! threads finds its cache by one load. Absent entries point at one closed cache, so
//! that neither "no id" nor "no cache yet" costs a test on the fast path.
//!
//! A table can be veiled: fast paths are then shown the empty table that each pool
//! begins with, find no cache, and turn to the slow path, which goes on with the
//! thread's own cache. So a pool is recorded without a lock.

use crate::cache::Cache;
use crate::region;
use crate::sync::{AtomicBool, AtomicPtr, Ordering};
use core::alloc::Layout;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

type Place = AtomicPtr<Cache>;

#[repr(C)]
#[derive(Debug)]
struct Header {
    len: usize,
    older: *mut Header,
    closed: *mut Cache,
    places: [Place; 0],
}

/// The table of a pool that no thread has used: it costs nothing.
#[cfg(not(millpond_loom))]
#[repr(C)]
struct Empty {
    header: Header,
    first: Place,
}

#[cfg(not(millpond_loom))]
// SAFETY: nothing in it changes but through atomics.
unsafe impl Sync for Empty {}

#[cfg(not(millpond_loom))]
static CLOSED: Cache = Cache::CLOSED;

#[cfg(not(millpond_loom))]
static EMPTY: Empty = Empty {
    header: Header {
        len: 1,
        older: ptr::null_mut(),
        closed: (&raw const CLOSED).cast_mut(),
        places: [],
    },
    first: AtomicPtr::new((&raw const CLOSED).cast_mut()),
};

/// Ids whose places lie in the pool too: as many as fit on the pair of lines that is
/// the table's alone. A pair waits for two loads less that depend on each other (2.48
/// → 2.01 ns), and a pool that was used last long ago costs a line less (1,000 pools
/// in turn: 8.6 → 5.4 ns a pair; November 2026, 2-core virtual machine, Zen 4). Models
/// make do with two, so that the second thread is beyond them.
const NEAR: usize = if cfg!(any(millpond_loom, miri)) {
    2
} else {
    12
};

#[cfg(all(target_pointer_width = "64", not(millpond_loom)))]
const _: () = assert!(size_of::<Table>() == 128, "a pair of lines");

/// Says that whoever comes by here is rare, so that the code for others is in one
/// piece.
#[cold]
#[inline(always)]
const fn far_away() {}

/// # Invariants
///
/// 1. `current` points to a table that lives as long as this value, as do all
///    tables that were ever current.
/// 2. Every place of every table points to a cache that lives as long.
/// 3. Place `i` is the closed cache or the cache of the thread with id `i`;
///    place 0 is the closed cache.
/// 4. Tables are replaced and places are filled under the pool's lock only.
/// 5. `shown` is `current`, or if `veiled` it is `veil`, which has place 0 only and
///    lives as long. Both change under the lock.
/// 6. Place `i` of `near` is that of `shown`, or the closed cache if `shown` is not
///    so long.
#[derive(Debug)]
#[repr(align(128))] // Read by all, written almost never: away from the lock.
pub(crate) struct Table {
    near: [Place; NEAR],
    shown: AtomicPtr<Header>,
    current: AtomicPtr<Header>,
    veil: *mut Header,
    veiled: AtomicBool,
}

// SAFETY: what it points to is Sync and Send: caches, atomics, and lengths that
// do not change.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    #[cfg(not(millpond_loom))]
    pub(crate) const fn new() -> Self {
        let empty = (&raw const EMPTY).cast::<Header>().cast_mut();
        Self {
            near: [const { Place::new((&raw const CLOSED).cast_mut()) }; NEAR],
            shown: AtomicPtr::new(empty),
            current: AtomicPtr::new(empty),
            veil: empty,
            veiled: AtomicBool::new(false),
        }
    }

    #[cfg(millpond_loom)]
    pub(crate) fn new() -> Self {
        let closed = Cache::allocate().expect("models do not run out of memory");
        let header = allocate(1, closed.as_ptr()).expect("models do not run out of memory");
        Self {
            near: core::array::from_fn(|_| Place::new(closed.as_ptr())),
            shown: AtomicPtr::new(header.as_ptr()),
            current: AtomicPtr::new(header.as_ptr()),
            veil: header.as_ptr(),
            veiled: AtomicBool::new(false),
        }
    }

    /// What a fast path is shown: the cache of the thread with this id, or the
    /// closed one; `None` for an id beyond the table. While it is veiled nobody is
    /// shown a cache of his own.
    #[inline(always)]
    pub(crate) fn find(&self, id: usize) -> Option<&Cache> {
        let Some(near) = self.near.get(id) else {
            far_away();
            // SAFETY: `shown` is a table (5).
            return unsafe { Self::find_in(self.shown.load(Ordering::Acquire), id) };
        };
        let cache = near.load(Ordering::Relaxed);
        // SAFETY: every place points to a cache (2, 6).
        unsafe { core::hint::assert_unchecked(!cache.is_null()) };
        // SAFETY: live by 2.
        Some(unsafe { &*cache })
    }

    /// The cache of the thread with this id, or the closed one, veiled or not.
    #[inline]
    pub(crate) fn find_behind(&self, id: usize) -> Option<&Cache> {
        // SAFETY: live by 1.
        unsafe { Self::find_in(self.current.load(Ordering::Acquire), id) }
    }

    /// # Safety
    ///
    /// `header` is a table of this pool's, which lives as long as this value.
    #[inline(always)]
    unsafe fn find_in<'t>(header: *mut Header, id: usize) -> Option<&'t Cache> {
        // SAFETY: live by the caller; the length never changes.
        let len = unsafe { (*header).len };
        // A branch that is predicted, and not a conditional move, which would
        // put the length on the way to the cache.
        if id >= len {
            return None;
        }
        // Not ordered as the load of a near place is, or the compiler makes one load
        // of the two, and has everybody choose an address first.
        // SAFETY: `id < len`.
        let cache = unsafe { place(header, id) }.load(Ordering::Acquire);
        // Said, or the fast paths would test it.
        // SAFETY: every place points to a cache (2).
        unsafe { core::hint::assert_unchecked(!cache.is_null()) };
        // SAFETY: live by 2.
        Some(unsafe { &*cache })
    }

    /// Hides the caches from fast paths, or shows them again. Under the lock (4). A
    /// fast path may have looked before: stop the pool to be sure.
    pub(crate) fn set_veiled(&self, veiled: bool) {
        self.veiled.store(veiled, Ordering::Relaxed);
        let shown = match veiled {
            true => self.veil,
            false => self.current.load(Ordering::Acquire),
        };
        self.shown.store(shown, Ordering::Release);
        for id in 1..NEAR {
            // SAFETY: a table (5).
            let cache = unsafe { Self::find_in(shown, id) };
            let cache = cache.map_or(self.closed(), |cache| ptr::from_ref(cache).cast_mut());
            self.near[id].store(cache, Ordering::Release);
        }
    }

    /// The cache that nobody owns.
    fn closed(&self) -> *mut Cache {
        // SAFETY: live by 1; never changes.
        unsafe { (*self.current.load(Ordering::Acquire)).closed }
    }

    /// Whether fast paths are shown no cache.
    #[inline]
    pub(crate) fn is_veiled(&self) -> bool {
        self.veiled.load(Ordering::Relaxed)
    }

    /// Whether `cache` is the one that nobody owns.
    pub(crate) fn is_closed(&self, cache: &Cache) -> bool {
        ptr::eq(cache, self.closed())
    }

    /// How many ids fit.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: live by 1; never changes.
        unsafe { (*self.current.load(Ordering::Acquire)).len }
    }

    /// All caches with the ids they are filed under. Under the lock.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Cache)> {
        self.filed().map(|(id, cache)| {
            // SAFETY: live by 2.
            (id, unsafe { cache.as_ref() })
        })
    }

    /// As [`Table::iter`], with pointers that a cache can be freed through.
    fn filed(&self) -> impl Iterator<Item = (usize, NonNull<Cache>)> {
        let header = self.current.load(Ordering::Acquire);
        // SAFETY: live by 1; never changes.
        let closed = unsafe { (*header).closed };
        (1..self.len()).filter_map(move |id| {
            // SAFETY: `id` is below the length.
            let cache = unsafe { place(header, id) }.load(Ordering::Relaxed);
            let cache = NonNull::new(cache).filter(|cache| cache.as_ptr() != closed);
            cache.map(|cache| (id, cache))
        })
    }

    /// Files `cache` under `id`. Under the lock (4), by the thread that has the
    /// id, which has no cache here yet.
    pub(crate) fn file(&self, id: usize, cache: NonNull<Cache>) {
        let header = self.current.load(Ordering::Acquire);
        debug_assert!(id != 0 && id < self.len());
        // SAFETY: `id` is below the length.
        unsafe { place(header, id) }.store(cache.as_ptr(), Ordering::Release);
        if let Some(near) = self.near.get(id).filter(|_| !self.is_veiled()) {
            near.store(cache.as_ptr(), Ordering::Release);
        }
    }

    /// Makes `longer` current. Under the lock (4); `longer` has more places.
    pub(crate) fn replace(&self, longer: Longer) {
        let old = self.current.load(Ordering::Acquire);
        let new = longer.0.as_ptr();
        core::mem::forget(longer);
        // SAFETY: `new` is not published yet, so this thread's own.
        unsafe { (*new).older = old };
        for index in 0..self.len() {
            // SAFETY: below the old length.
            let cache = unsafe { place(old, index) }.load(Ordering::Relaxed);
            // SAFETY: below the new length, which is larger.
            unsafe { place(new, index) }.store(cache, Ordering::Relaxed);
        }
        self.current.store(new, Ordering::Release);
        if !self.is_veiled() {
            self.shown.store(new, Ordering::Release);
        }
    }

    /// A table with room for `id`, and its size in bytes.
    pub(crate) fn longer(&self, id: usize) -> Option<(Longer, usize)> {
        let len = (id + 1).next_power_of_two().max(FIRST_LEN);
        // SAFETY: live by 1; never changes.
        let closed = unsafe { (*self.current.load(Ordering::Acquire)).closed };
        let table = Longer(allocate(len, closed)?);
        Some((table, layout(len).size()))
    }
}

/// Places of the first table that is allocated: 88 bytes. Models make do with
/// two, so that the second thread makes the table grow.
const FIRST_LEN: usize = if cfg!(any(millpond_loom, miri)) { 2 } else { 8 };

/// A table that nobody reads yet.
pub(crate) struct Longer(NonNull<Header>);

impl Longer {
    pub(crate) fn len(&self) -> usize {
        // SAFETY: live until dropped or published.
        unsafe { self.0.as_ref().len }
    }
}

impl Drop for Longer {
    fn drop(&mut self) {
        // SAFETY: never published, so nobody else has it.
        unsafe { free(self.0) };
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let header = self.current.load(Ordering::Acquire);
        for (_, cache) in self.filed() {
            // SAFETY: filed caches came from `Cache::allocate`, and with the
            // pool in its drop nobody uses them.
            unsafe { Cache::free(cache) };
        }
        #[cfg(millpond_loom)]
        // SAFETY: each model's closed cache is its own, see `Table::new`.
        unsafe {
            free_cache((*header).closed);
        }
        let mut next = header;
        while let Some(header) = NonNull::new(next) {
            #[cfg(not(millpond_loom))]
            if ptr::eq(header.as_ptr(), (&raw const EMPTY).cast::<Header>()) {
                break;
            }
            // SAFETY: live by 1.
            next = unsafe { header.as_ref().older };
            // SAFETY: no table of a dropped pool is read again.
            unsafe { free(header) };
        }
    }
}

/// # Safety
///
/// `cache` came from [`Cache::allocate`] and nobody uses it any more.
#[cfg(millpond_loom)]
unsafe fn free_cache(cache: *mut Cache) {
    if let Some(cache) = NonNull::new(cache) {
        // SAFETY: by the caller.
        unsafe { Cache::free(cache) };
    }
}

fn layout(len: usize) -> Layout {
    let bytes = offset_of!(Header, places) + len * size_of::<Place>();
    Layout::from_size_align(bytes, align_of::<Header>()).expect("a table is short")
}

fn allocate(len: usize, closed: *mut Cache) -> Option<NonNull<Header>> {
    let header = region::allocate(layout(len))?.cast::<Header>();
    let start = Header {
        len,
        older: ptr::null_mut(),
        closed,
        places: [],
    };
    // SAFETY: freshly allocated with the layout of a header and its places.
    unsafe { header.write(start) };
    for index in 0..len {
        // SAFETY: below the length.
        let place = unsafe { place_ptr(header.as_ptr(), index) };
        // SAFETY: inside the fresh allocation.
        unsafe { place.write(Place::new(closed)) };
    }
    Some(header)
}

/// # Safety
///
/// `header` came from [`allocate`] and nobody uses it any more.
unsafe fn free(header: NonNull<Header>) {
    // SAFETY: live by the caller.
    let len = unsafe { header.as_ref().len };
    for index in 0..len {
        // SAFETY: below the length.
        let place = unsafe { place_ptr(header.as_ptr(), index) };
        // SAFETY: initialised by `allocate`; drop glue exists in models only.
        unsafe { place.drop_in_place() };
    }
    // SAFETY: allocated with this layout.
    unsafe { region::free(header.cast(), layout(len)) };
}

/// # Safety
///
/// `header` is a live table and `index` below its length.
#[inline(always)]
unsafe fn place_ptr(header: *mut Header, index: usize) -> *mut Place {
    // SAFETY: the field is inside the table.
    let places = unsafe { (&raw mut (*header).places).cast::<Place>() };
    // SAFETY: by the caller.
    unsafe { places.add(index) }
}

/// # Safety
///
/// As [`place_ptr`]; the answer is used while the table lives.
#[inline(always)]
unsafe fn place<'t>(header: *mut Header, index: usize) -> &'t Place {
    // SAFETY: by the caller.
    let place = unsafe { place_ptr(header, index) };
    // SAFETY: by the caller; places are initialised when a table is allocated.
    unsafe { &*place }
}
