//! Regions: the one door through which raw memory enters.
//!
//! Every pool asks here, and nowhere else, so that budgets, poison hooks and
//! failure tests see every byte. There are two doors in the wall:
//!
//! ```
//! use core::alloc::Layout;
//! use millpond_core::region::{self, HugePages, Region, RegionOptions};
//!
//! // The small door: tables, magazines, slots. Fallible, never panics.
//! let layout = Layout::new::<[u64; 16]>();
//! let table = region::allocate(layout).expect("128 bytes");
//! // SAFETY: `table` came from `allocate` with the same layout.
//! unsafe { region::free(table, layout) };
//!
//! // The large door: slabs and chunks, and a report of what was granted.
//! let options = RegionOptions::new().with_huge_pages(HugePages::Transparent);
//! let slab = Region::new(4 << 20, 64, &options)?;
//! assert!(slab.len() >= 4 << 20);
//! assert_eq!(slab.base().addr().get() % 64, 0);
//! # Ok::<(), region::RegionError>(())
//! ```
//!
//! ```text
//!   asked: len, align                    granted: base, len rounded up to pages
//!
//!   len < 64 KiB, or not Linux           heap   ┌────────────┐
//!                                               └────────────┘
//!   len ≥ 64 KiB on Linux                mmap   ┌───┬────────────────┬─────┐
//!                                               │ ✂ │     region     │  ✂  │
//!                                               └───┴────────────────┴─────┘
//!                                                   ^ align           trimmed ends
//! ```
//!
//! # Cost
//!
//! A heap region costs one allocator call and the zeroing of its bytes. A
//! mapped region costs one `mmap`, up to two `munmap` for the trimmed ends, and
//! a page fault at the first touch of each page unless it was prefaulted.
//! [`Region::granted`] reads a file of the kernel and belongs in reports.
//!
//! # What is guaranteed
//!
//! A new region reads as zero, is aligned as asked, and is never smaller than
//! asked. Nothing here keeps memory back: what is freed or dropped returns to
//! the allocator or the system at once.
//!
//! # When it runs out
//!
//! Nothing aborts and nothing panics. The small door answers `None`, the large
//! one a [`RegionError`]. Wishes (huge pages, a node, prefaulting) that the
//! system refuses are not failures; [`Region::granted`] says what became of
//! them.
//!
//! # Threads
//!
//! Everything here may be called from any thread. A [`Region`] is `Send` and
//! `Sync`: it never touches its own bytes after construction, except in
//! [`Region::discard`], whose caller vouches for the range.
//!
//! # What it is not for
//!
//! Per-item allocation. A region is a wholesale purchase; pools retail it.
#![allow(
    clippy::disallowed_methods,
    reason = "this module is the door that the lint points everybody else to"
)]

use alloc::alloc::Layout;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Range;
use core::ptr::{self, NonNull};

// Mapping needs a system that maps. Miri executes `mmap` but not `madvise`,
// and under loom addresses must be cheap, so both take the portable road.
#[cfg(all(target_os = "linux", feature = "std", not(miri), not(millpond_loom)))]
#[path = "region/linux.rs"]
mod system;
#[cfg(not(all(target_os = "linux", feature = "std", not(miri), not(millpond_loom))))]
#[path = "region/portable.rs"]
mod system;

/// Regions of at least this many bytes are mapped where the system can map.
///
/// A mapping can be discarded page by page, backed by huge pages, bound to a
/// node, and really goes back when it is dropped. It costs two system calls, a
/// fault for each page and one entry in the kernel's map of the process (65,530
/// by default): 6 µs, and 33 µs more to touch 64 KiB, against 0.65 µs for 60
/// zeroed KiB of a warm heap (November 2026, 2-core virtual machine, Zen 5, not
/// quiet). Regions are bought wholesale and kept, so that is paid once.
///
/// 64 KiB is sixteen small pages and the largest default byte class: a class
/// that is trimmed must really go back, which rules out 2 MiB. 4 KiB was
/// rejected because thousands of small pools would fill the process's map.
pub const MAP_THRESHOLD_BYTES: usize = 64 * 1024;

/// The size of a huge page, on the systems where we ask for one.
///
/// 2 MiB is the middle page size of x86-64 and of aarch64 with 4 KiB pages.
/// Where it does not exist the request is refused and reported.
pub const HUGE_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Allocates `layout` from the process's allocator; the bytes are
/// uninitialised.
///
/// This is the small door, for tables, magazines, caches and slots. A layout of
/// size zero costs nothing and yields a dangling, aligned pointer, which
/// [`free`] accepts.
///
/// Cost: one call of the global allocator.
///
/// ```
/// use core::alloc::Layout;
/// use millpond_core::region;
///
/// let layout = Layout::new::<u64>();
/// if let Some(slot) = region::allocate(layout) {
///     // SAFETY: same pointer, same layout, not used afterwards.
///     unsafe { region::free(slot, layout) };
/// }
/// ```
#[must_use]
pub fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    if layout.size() == 0 {
        return dangling(layout);
    }
    // SAFETY: the layout's size is not zero.
    NonNull::new(unsafe { alloc::alloc::alloc(layout) })
}

/// Allocates `layout` from the process's allocator; every byte is zero.
///
/// Otherwise like [`allocate`].
#[must_use]
pub fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    if layout.size() == 0 {
        return dangling(layout);
    }
    // SAFETY: the layout's size is not zero.
    NonNull::new(unsafe { alloc::alloc::alloc_zeroed(layout) })
}

/// Gives back what [`allocate`] or [`allocate_zeroed`] returned.
///
/// # Safety
///
/// `pointer` was returned by [`allocate`] or [`allocate_zeroed`] for this very
/// `layout`, and has not been freed since.
pub unsafe fn free(pointer: NonNull<u8>, layout: Layout) {
    if layout.size() == 0 {
        return;
    }
    // SAFETY: by the caller's promise the pointer is live and came from the
    // global allocator with this layout, whose size is not zero.
    unsafe { alloc::alloc::dealloc(pointer.as_ptr(), layout) };
}

/// Gives what [`allocate`] or [`allocate_zeroed`] returned another size, in
/// place where the process's allocator can, and keeps what fits of the content.
/// Bytes that are gained are uninitialised. `None` leaves the block as it was.
///
/// The result is freed with `new_size` and the old alignment.
///
/// Cost: one call of the global allocator, which may move pages instead of
/// copying them.
///
/// # Safety
///
/// As [`free`]; the old pointer is dead if there is a new one. The alignment of
/// `layout` with `new_size` makes a layout.
#[must_use]
pub unsafe fn reallocate(
    pointer: NonNull<u8>,
    layout: Layout,
    new_size: usize,
) -> Option<NonNull<u8>> {
    if layout.size() == 0 || new_size == 0 {
        let new = Layout::from_size_align(new_size, layout.align()).ok()?;
        let block = allocate(new)?;
        // SAFETY: by the caller; one of the two sizes is zero, so there is
        // nothing to copy.
        unsafe { free(pointer, layout) };
        return Some(block);
    }
    // SAFETY: by the caller the pointer is live and came from the global
    // allocator with this layout; neither size is zero.
    NonNull::new(unsafe { alloc::alloc::realloc(pointer.as_ptr(), layout, new_size) })
}

/// An aligned address that is never dereferenced. Always `Some`: an alignment
/// is not zero.
fn dangling(layout: Layout) -> Option<NonNull<u8>> {
    NonNull::new(ptr::without_provenance_mut(layout.align()))
}

/// Which pages to ask the system for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HugePages {
    /// Whatever the system does by itself.
    #[default]
    None,
    /// Ask for transparent huge pages, in regions of [`HUGE_PAGE_BYTES`] or more.
    /// A hint: the kernel grants what it has.
    Transparent,
    /// Take pages from the system's reserve of huge pages, and fall back to
    /// [`HugePages::Transparent`] where the reserve is empty. The length is
    /// rounded up to [`HUGE_PAGE_BYTES`].
    Explicit,
}

/// What to wish for when a [`Region`] is created.
///
/// ```
/// use millpond_core::region::{HugePages, RegionOptions};
///
/// const SLABS: RegionOptions = RegionOptions::new()
///     .with_huge_pages(HugePages::Transparent)
///     .with_prefault(true);
/// assert_eq!(SLABS.numa_node, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct RegionOptions {
    /// Which pages to ask for. Mapped regions only.
    pub huge_pages: HugePages,
    /// Whether to touch every page at once, so that no first use faults.
    pub prefault: bool,
    /// The NUMA node to prefer. Mapped regions only; a refusal is reported by
    /// [`Region::granted`] and is not an error.
    pub numa_node: Option<u32>,
}

impl RegionOptions {
    /// No wishes: the system's own pages, touched at first use.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            huge_pages: HugePages::None,
            prefault: false,
            numa_node: None,
        }
    }

    /// Asks for huge pages.
    #[must_use]
    pub const fn with_huge_pages(mut self, huge_pages: HugePages) -> Self {
        self.huge_pages = huge_pages;
        self
    }

    /// Asks for every page to be touched before [`Region::new`] returns.
    #[must_use]
    pub const fn with_prefault(mut self, prefault: bool) -> Self {
        self.prefault = prefault;
        self
    }

    /// Prefers the memory of a NUMA node.
    #[must_use]
    pub const fn with_numa_node(mut self, node: Option<u32>) -> Self {
        self.numa_node = node;
        self
    }
}

/// Where the bytes of a [`Region`] came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backing {
    /// The process's allocator.
    Heap,
    /// The system, in whole pages of the usual size.
    Mapped,
    /// The system, from its reserve of huge pages.
    MappedHuge,
    /// An allocator that the user supplied.
    Supplied,
}

/// Memory that the user supplies, in place of the process's allocator and of
/// mappings.
///
/// With the feature `allocator-api2`, every allocator of that crate that is
/// `Send + Sync` is one.
///
/// # Safety
///
/// A block that `allocate` answers is valid for reads and writes of the layout's
/// size at its alignment, belongs to the caller alone, and stays so until it is
/// handed to `free`, whatever thread that happens on and wherever the supplier
/// is moved.
pub unsafe trait Supply: Send + Sync {
    /// A block of memory, of any content, or `None` if there is none. Must not
    /// use the pool that it supplies, which holds a lock meanwhile: nor must what
    /// it runs, hooks of a pool that supplies another one among that. (A pool for
    /// one thread has no lock, and refuses what it would need more memory for.)
    /// Budgets that are full refuse here without asking their members. It may panic:
    /// then there was none.
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// `block` came from `allocate` of this supplier with the same layout, and
    /// nobody uses it any more.
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout);
}

/// A block of a supplier's. The pool that wants it holds a lock, which those may
/// want whom the supplier's budget would ask for memory: so it asks nobody.
#[cfg(feature = "std")]
fn supply(supplier: &dyn Supply, layout: Layout) -> Option<NonNull<u8>> {
    crate::budget::without_asking(|| supplier.allocate(layout))
}

/// A block of a supplier's.
#[cfg(not(feature = "std"))]
fn supply(supplier: &dyn Supply, layout: Layout) -> Option<NonNull<u8>> {
    supplier.allocate(layout)
}

#[cfg(feature = "allocator-api2")]
// SAFETY: what the trait asks is what `Allocator` promises, but that moving the
// allocator might end its blocks' lives; a supplier lives in an `Arc`.
unsafe impl<A: allocator_api2::alloc::Allocator + Send + Sync> Supply for A {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        allocator_api2::alloc::Allocator::allocate(self, layout)
            .ok()
            .map(NonNull::cast)
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: by the caller.
        unsafe { self.deallocate(block, layout) };
    }
}

/// What the system really granted, as opposed to what was wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Granted {
    /// Where the bytes came from.
    pub backing: Backing,
    /// Bytes that are backed by huge pages at this moment; `None` where the
    /// system does not say. Pages that were never touched have no backing yet.
    /// Where the kernel keeps this region and a neighbour in one entry of its
    /// map this is a lower bound.
    pub huge_page_bytes: Option<usize>,
    /// Whether every page was touched before [`Region::new`] returned.
    pub prefaulted: bool,
    /// The NUMA node whose memory is preferred, if that was asked and accepted.
    pub numa_node: Option<u32>,
    /// The NUMA node on which the pages lie that are backed at this moment, by a
    /// sample of 64 of them, evenly spaced. `None` if they lie on several nodes,
    /// none is backed, or the system does not say.
    pub placed_node: Option<u32>,
}

/// Why a [`Region`] could not be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionError {
    /// The alignment is not a power of two.
    BadAlignment {
        /// The alignment that was asked for, in bytes.
        align: usize,
    },
    /// No address space can hold it: the length, rounded up to pages and to the
    /// alignment, exceeds `isize::MAX`.
    TooLarge {
        /// The length that was asked for, in bytes.
        len: usize,
    },
    /// The system has no memory left for it.
    OutOfMemory {
        /// The length that was asked for, in bytes.
        len: usize,
    },
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadAlignment { align } => {
                write!(f, "alignment {align} is not a power of two")
            }
            Self::TooLarge { len } => {
                write!(f, "a region of {len} bytes exceeds the address space")
            }
            Self::OutOfMemory { len } => {
                write!(f, "the system refused a region of {len} bytes")
            }
        }
    }
}

impl core::error::Error for RegionError {}

/// A contiguous range of raw memory, owned.
///
/// # Invariants
///
/// 1. `base` is a multiple of `align`, and `align` is a power of two.
/// 2. `base` is valid for reads and writes of `len` bytes while the region
///    lives, and nobody else owns any of them. `len` is at most
///    `isize::MAX - (align - 1)`.
/// 3. If `backing` is `Heap`, `base` came from [`allocate_zeroed`] with the
///    layout `(len, align)`.
/// 4. If it is `Supplied`, `base` came from `supplier` with that layout.
/// 5. Otherwise `base..base + len` is exactly one stretch of our own private
///    anonymous mapping, in whole pages, with nothing mapped around it that
///    would be ours.
pub struct Region {
    base: NonNull<u8>,
    len: usize,
    align: usize,
    backing: Backing,
    prefaulted: bool,
    numa_node: Option<u32>,
    supplier: Option<Arc<dyn Supply>>,
}

// SAFETY: a region is the sole owner of its bytes (2) and is tied to no thread:
// both the global allocator and `munmap` may be called from any.
unsafe impl Send for Region {}
// SAFETY: through `&self` only the fields are read; the bytes themselves are
// reached through `base()` by callers who answer for their own accesses, and by
// `discard`, whose caller does.
unsafe impl Sync for Region {}

// A panic leaves a region as it was: all that is ever asked of a supplier later is
// to take the block back.
impl core::panic::UnwindSafe for Region {}
impl core::panic::RefUnwindSafe for Region {}

/// A request that has been checked: everything that can overflow has been
/// computed.
#[derive(Debug, Clone, Copy)]
struct Plan {
    layout: Layout,
    mapped: bool,
}

impl Plan {
    fn new(len: usize, align: usize, options: &RegionOptions) -> Result<Self, RegionError> {
        if !align.is_power_of_two() {
            return Err(RegionError::BadAlignment { align });
        }
        let mapped = system::CAN_MAP && len >= MAP_THRESHOLD_BYTES;
        let (rounded, align) = if mapped {
            let unit = match options.huge_pages {
                HugePages::Explicit => HUGE_PAGE_BYTES,
                HugePages::Transparent | HugePages::None => system::page_bytes(),
            };
            (len.checked_next_multiple_of(unit), align.max(unit))
        } else {
            (Some(len), align)
        };
        rounded
            .and_then(|rounded| Layout::from_size_align(rounded, align).ok())
            .map(|layout| Self { layout, mapped })
            .ok_or(RegionError::TooLarge { len })
    }
}

impl Region {
    /// Creates a region of at least `len` zeroed bytes at a multiple of
    /// `align`.
    ///
    /// `len` may be zero. `options` are wishes; see [`Region::granted`].
    ///
    /// # Errors
    ///
    /// [`RegionError::BadAlignment`] if `align` is not a power of two,
    /// [`RegionError::TooLarge`] if no address space could hold the region,
    /// [`RegionError::OutOfMemory`] if this one cannot at present.
    pub fn new(len: usize, align: usize, options: &RegionOptions) -> Result<Self, RegionError> {
        let plan = Plan::new(len, align, options)?;
        let region = if plan.mapped {
            Self::mapped(plan, options)
        } else {
            Self::heap(plan)
        };
        let mut region = region.ok_or(RegionError::OutOfMemory { len })?;
        if options.prefault {
            region.prefaulted = region.prefault();
        }
        Ok(region)
    }

    /// Creates a region of `len` zeroed bytes at a multiple of `align`, out of
    /// memory that `supplier` hands out, and gets back.
    ///
    /// # Errors
    ///
    /// As [`Region::new`].
    pub fn supplied(
        len: usize,
        align: usize,
        supplier: Arc<dyn Supply>,
    ) -> Result<Self, RegionError> {
        if !align.is_power_of_two() {
            return Err(RegionError::BadAlignment { align });
        }
        let layout = Layout::from_size_align(len, align);
        let layout = layout.map_err(|_| RegionError::TooLarge { len })?;
        let base = match len {
            0 => dangling(layout),
            _ => supply(&*supplier, layout),
        };
        let base = base.ok_or(RegionError::OutOfMemory { len })?;
        // SAFETY: fresh, and of this size.
        unsafe { base.write_bytes(0, len) };
        Ok(Self {
            base,
            len,
            align,
            backing: Backing::Supplied,
            prefaulted: false,
            numa_node: None,
            supplier: Some(supplier),
        })
    }

    /// The bytes that [`Region::new`] would take for the same arguments: `len`
    /// rounded up to whole pages where the region would be mapped.
    ///
    /// Budgets are charged before memory is created, so they need the figure
    /// first.
    ///
    /// # Errors
    ///
    /// As [`Region::new`], except for [`RegionError::OutOfMemory`].
    pub fn len_for(
        len: usize,
        align: usize,
        options: &RegionOptions,
    ) -> Result<usize, RegionError> {
        Plan::new(len, align, options).map(|plan| plan.layout.size())
    }

    fn layout(&self) -> Layout {
        // SAFETY: by 1 and 2 this is the layout that was valid when the region
        // was created.
        unsafe { Layout::from_size_align_unchecked(self.len, self.align) }
    }

    fn heap(plan: Plan) -> Option<Self> {
        Some(Self {
            base: allocate_zeroed(plan.layout)?,
            len: plan.layout.size(),
            align: plan.layout.align(),
            backing: Backing::Heap,
            prefaulted: false,
            numa_node: None,
            supplier: None,
        })
    }

    fn mapped(plan: Plan, options: &RegionOptions) -> Option<Self> {
        let (len, align) = (plan.layout.size(), plan.layout.align());
        let explicit = match options.huge_pages {
            HugePages::Explicit => system::map_huge(len, align),
            HugePages::Transparent | HugePages::None => None,
        };
        let (base, backing) = match explicit {
            Some(base) => (base, Backing::MappedHuge),
            None => (map_for(len, align, options.huge_pages)?, Backing::Mapped),
        };
        let mut region = Self {
            base,
            len,
            align,
            backing,
            prefaulted: false,
            numa_node: None,
            supplier: None,
        };
        // The order matters: policy and page size must be known to the kernel
        // before the first page is touched.
        let wants_huge = options.huge_pages != HugePages::None && len >= HUGE_PAGE_BYTES;
        if backing == Backing::Mapped && wants_huge {
            // A refusal shows in `granted`.
            // SAFETY: by 5 the range is our own mapping.
            unsafe { system::advise_huge(region.base, region.len) };
        }
        if let Some(node) = options.numa_node {
            // SAFETY: by 5 the range is our own mapping.
            let accepted = unsafe { system::prefer_node(region.base, region.len, node) };
            region.numa_node = accepted.then_some(node);
        }
        Some(region)
    }

    /// The first byte. Dangling if the region is empty.
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes owned, all of them usable: what was asked for, rounded up to whole
    /// pages where the region is mapped.
    #[must_use]
    #[allow(
        clippy::len_without_is_empty,
        reason = "a region is not a collection; an empty one is an edge case"
    )]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The alignment that is promised: what was asked for, or a page where the
    /// region is mapped.
    #[must_use]
    pub const fn align(&self) -> usize {
        self.align
    }

    /// Where the bytes came from.
    #[must_use]
    pub const fn backing(&self) -> Backing {
        self.backing
    }

    /// What the system really granted.
    ///
    /// Cost: reads the kernel's table of this process's mappings, some tens of
    /// microseconds and more in large processes. For reports, not for loops.
    #[must_use]
    pub fn granted(&self) -> Granted {
        let (huge_page_bytes, placed_node) = match self.backing {
            Backing::Heap | Backing::Supplied => (None, None),
            Backing::Mapped | Backing::MappedHuge => (
                system::huge_bytes(self.base, self.len),
                system::placed_node(self.base, self.len),
            ),
        };
        Granted {
            backing: self.backing,
            huge_page_bytes,
            prefaulted: self.prefaulted,
            numa_node: self.numa_node,
            placed_node,
        }
    }

    /// Bytes of this region that occupy physical memory at this moment; `None`
    /// where the system does not say, and for heap regions.
    ///
    /// Cost: one system call for every 2 MiB.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<usize> {
        match self.backing {
            Backing::Heap | Backing::Supplied => None,
            Backing::Mapped | Backing::MappedHuge => {
                // SAFETY: by 5 the range is our own mapping, in whole pages.
                unsafe { system::resident_bytes(self.base, self.len) }
            }
        }
    }

    /// Gives the pages inside `range` back to the system and keeps the
    /// addresses.
    ///
    /// `range` is in bytes from the base, and is shrunk to whole pages. Returns
    /// the bytes that occupied memory and were given back: 0 for a heap region,
    /// for a range without a whole page, for pages that were never touched and
    /// where the system refuses. Bytes given back read as zero afterwards; the
    /// rest of the range keeps its value. A huge page goes back when all of it
    /// has been discarded.
    ///
    /// Cost: two system calls for every 2 MiB, and a page fault at the next
    /// touch of each page.
    ///
    /// # Panics
    ///
    /// If `range` is decreasing or ends beyond the region.
    ///
    /// # Safety
    ///
    /// Nothing in `range` is referenced, read or written by anybody during the
    /// call, and no value in it is used afterwards.
    #[must_use = "the bytes given back must be refunded or reported"]
    pub unsafe fn discard(&self, range: Range<usize>) -> usize {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "discard of {range:?} in a region of {} bytes",
            self.len
        );
        let page = match self.backing {
            Backing::Heap | Backing::Supplied => return 0,
            Backing::Mapped => system::page_bytes(),
            Backing::MappedHuge => HUGE_PAGE_BYTES,
        };
        // By 5 the base is on a page boundary, so offsets round like addresses.
        // `len` is a multiple of the page, so rounding `start` up stays inside.
        let start = range.start.next_multiple_of(page);
        let end = range.end - range.end % page;
        if start >= end {
            return 0;
        }
        // SAFETY: `start < end <= len`, so by 2 the result is in bounds.
        let first = unsafe { self.base.add(start) };
        // SAFETY: by 5 the range is our own mapping, in whole pages; by the
        // caller's promise nobody uses it.
        unsafe { system::discard(first, end - start) }
    }

    /// Touches every page. Answers whether all of them are now backed.
    fn prefault(&self) -> bool {
        if matches!(self.backing, Backing::Mapped | Backing::MappedHuge) {
            // SAFETY: by 5 the range is our own mapping, in whole pages.
            match unsafe { system::populate(self.base, self.len) } {
                system::Populated::Yes => return true,
                // The system is short of pages. Touching would only turn that
                // into a signal.
                system::Populated::Refused => return false,
                system::Populated::Unknown => {}
            }
        }
        for offset in (0..self.len).step_by(system::page_bytes()) {
            // SAFETY: `offset < len`, so by 2 the result is in bounds.
            let byte = unsafe { self.base.add(offset) };
            // SAFETY: in bounds; the region is new, so nobody else has the
            // pointer and the byte is zero already.
            unsafe { byte.write_volatile(0) };
        }
        true
    }
}

/// Maps pages of the usual size, aligned for huge ones if they are wanted and
/// would fit.
fn map_for(len: usize, align: usize, huge_pages: HugePages) -> Option<NonNull<u8>> {
    let favourable = match huge_pages {
        HugePages::None => align,
        HugePages::Transparent | HugePages::Explicit if len < HUGE_PAGE_BYTES => align,
        HugePages::Transparent | HugePages::Explicit => align.max(HUGE_PAGE_BYTES),
    };
    system::map(len, favourable)
}

impl Drop for Region {
    fn drop(&mut self) {
        match self.backing {
            Backing::Supplied => {
                if let Some(supplier) = self.supplier.take().filter(|_| self.len > 0) {
                    // SAFETY: by 4 the base was allocated with this layout; it
                    // is freed once, here.
                    unsafe { supplier.free(self.base, self.layout()) };
                }
            }
            Backing::Heap => {
                let layout = self.layout();
                // SAFETY: by 3 the base was allocated with this layout; it is
                // freed once, here.
                unsafe { free(self.base, layout) };
            }
            Backing::Mapped | Backing::MappedHuge => {
                // SAFETY: by 5 the range is our own mapping, and by 2 nobody
                // else owns a byte of it; it is unmapped once, here.
                unsafe { system::unmap(self.base, self.len) };
            }
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("base", &self.base)
            .field("len", &self.len)
            .field("align", &self.align)
            .field("backing", &self.backing)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
