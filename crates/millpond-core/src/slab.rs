//! Slabs: equal slots in regions, the source of every pool of one size.
//!
//! ```text
//!   slab 0   ┌──────┬──────┬──────┬──────┐      first: as many slots as are asked for
//!            │ slot │ slot │ slot │ slot │
//!            └──────┴──────┴──────┴──────┘
//!   slab 1   ┌──────┬──────┬──────┬──────┬──────┬──────┬─ ─ ─   then doubling, to a
//!            │ slot │ slot │ ░░░░ │ ░░░░ │ ░░░░ │ ░░░░ │        bound
//!            └──────┴──────┴──────┴──────┴──────┴──────┴─ ─ ─
//!                          ▲ carved so far: the rest was never handed out or touched
//! ```
//!
//! Slots do not move. A slab goes back to the system when all its carved slots
//! are free at a trim.

use crate::entry::Entry;
use crate::error::Limit;
use crate::observe::RegionFigures;
use crate::poison;
use crate::receipt::Receipt;
use crate::region::{Region, RegionOptions, Supply};
use crate::source::{Batch, Source};
use crate::trim::Level;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;

#[cfg(feature = "std")]
use crate::budget::Budget;

/// Bytes of the largest slab that is made while slots still fit into it.
///
/// Large enough that a slab is rarely made and can hold a huge page's worth of
/// items together with its neighbour; small enough that one leased item pins
/// little. 256 KiB slabs measured the same and give the system eight times as
/// many mappings to keep; 16 MiB slabs almost never empty.
const LARGEST_SLAB_BYTES: usize = 2 * 1024 * 1024;

/// Alignment of a slab, whatever its slots need: a line, so that slots whose
/// size is a multiple of one share none.
const SLAB_ALIGN: usize = 64;

/// A source of equal slots.
///
/// # Invariants
///
/// 1. `slabs` is sorted by address, and slabs do not overlap.
/// 2. Slot `i` of a slab is at `base + i * stride`, and `slots * stride` is at
///    most the length of its region.
/// 3. Slots below `carved` were handed to the engine; those above never were.
pub struct Slabs {
    stride: usize,
    align: usize,
    options: RegionOptions,
    supplier: Option<Arc<dyn Supply>>,
    slabs: Vec<Slab>,
    /// Position of the slab that is being carved.
    open: usize,
    slots: usize,
    held_bytes: usize,
    #[cfg(feature = "std")]
    budget: Option<Budget>,
}

#[derive(Debug)]
struct Slab {
    region: Region,
    slots: usize,
    carved: usize,
}

impl Slab {
    fn start(&self) -> usize {
        self.region.base().addr().get()
    }

    /// The slots that were handed out, `stride` bytes apart.
    fn entries(&self, stride: usize) -> impl Iterator<Item = Entry> {
        (0..self.carved).map(move |slot| {
            // SAFETY: carved, so inside the region (2).
            let slot = unsafe { self.region.base().add(slot * stride) };
            Entry::from_ptr(slot.cast())
        })
    }
}

impl fmt::Debug for Slabs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slabs")
            .field("stride", &self.stride)
            .field("align", &self.align)
            .field("slots", &self.slots)
            .field("slabs", &self.slabs)
            .finish_non_exhaustive()
    }
}

/// Slabs on their way back to the system; dropping the value sends them.
#[derive(Debug)]
pub struct RetiredSlabs {
    slabs: Vec<Slab>,
    stride: usize,
    #[cfg(feature = "std")]
    budget: Option<Budget>,
}

impl RetiredSlabs {
    /// The slots that are on their way back: for sources that keep something in
    /// free slots.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let stride = self.stride;
        self.slabs.iter().flat_map(move |slab| slab.entries(stride))
    }
}

impl Drop for RetiredSlabs {
    fn drop(&mut self) {
        for slab in self.slabs.drain(..) {
            let bytes = slab.region.len();
            // SAFETY: nobody uses a slab that left its source.
            unsafe { poison::on_region_drop(slab.region.base(), bytes) };
            #[cfg(feature = "std")]
            crate::provenance::conceal(slab.region.base(), bytes);
            drop(slab);
            #[cfg(feature = "std")]
            if let Some(budget) = &self.budget {
                budget.refund_bytes(bytes);
            }
            #[cfg(not(feature = "std"))]
            let _ = bytes;
        }
    }
}

impl Slabs {
    /// Slots for items of `size` bytes at alignment `align`. Allocates nothing.
    ///
    /// Items of size 0 get slots of `align` bytes, so that every item has an
    /// address of its own.
    ///
    /// # Panics
    ///
    /// If `align` is not a power of two, or `size` rounded up to it overflows.
    #[must_use]
    pub const fn new(size: usize, align: usize) -> Self {
        assert!(align.is_power_of_two(), "alignments are powers of two");
        let size = if size == 0 { 1 } else { size };
        Self {
            stride: size.next_multiple_of(align),
            align,
            options: RegionOptions::new(),
            supplier: None,
            slabs: Vec::new(),
            open: 0,
            slots: 0,
            held_bytes: 0,
            #[cfg(feature = "std")]
            budget: None,
        }
    }

    /// The same source, with its bytes charged to `budget`.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn charged_to(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The same source, asking the system for regions in this way.
    #[must_use]
    pub const fn with_options(mut self, options: RegionOptions) -> Self {
        self.options = options;
        self
    }

    /// The same source, with its slabs out of the user's memory: the options for
    /// the system's regions then say nothing.
    #[must_use]
    pub fn supplied_by(mut self, supplier: Arc<dyn Supply>) -> Self {
        self.supplier = Some(supplier);
        self
    }

    /// Bytes from one slot to the next.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// All slots that were ever handed to the engine and are not given back.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let stride = self.stride;
        self.slabs.iter().flat_map(move |slab| slab.entries(stride))
    }

    /// Makes a slab of at least one slot and at most `most`: as many slots as
    /// there are already, or as are wanted, or one, whatever can be had.
    fn add_slab(&mut self, want: usize, most: usize) -> Result<(), Limit> {
        let largest = (LARGEST_SLAB_BYTES / self.stride).max(1);
        let doubled = self.slots.min(largest).max(want).min(most);
        self.add_slab_of(doubled, most)
            .or_else(|_| self.add_slab_of(want, most))
            .or_else(|_| self.add_slab_of(1, most))
    }

    fn add_slab_of(&mut self, slots: usize, most: usize) -> Result<(), Limit> {
        let too_large = Limit::Memory { bytes: usize::MAX };
        let align = self.align.max(SLAB_ALIGN);
        let bytes = slots.checked_mul(self.stride).ok_or(too_large.clone())?;
        let bytes = match self.supplier {
            Some(_) => bytes,
            None => Region::len_for(bytes, align, &self.options).map_err(|_| too_large)?,
        };
        self.slabs.try_reserve(1).map_err(|_| Limit::Memory {
            bytes: size_of::<Slab>(),
        })?;
        // Refunded if there is no memory, or the supplier panics.
        let receipt = self.charge(bytes)?;
        let region = match &self.supplier {
            Some(supplier) => Region::supplied(bytes, align, Arc::clone(supplier)),
            None => Region::new(bytes, align, &self.options),
        };
        let region = region.map_err(|_| Limit::Memory { bytes })?;
        receipt.keep();
        // SAFETY: nobody uses a slot before it is carved and leased.
        unsafe { poison::on_region_new(region.base(), region.len()) };
        // Pools are allocators, and get slots back by pointers to parts of them.
        #[cfg(feature = "std")]
        crate::provenance::expose(region.base(), region.len());
        let slab = Slab {
            slots: (region.len() / self.stride).min(most),
            carved: 0,
            region,
        };
        self.held_bytes += slab.region.len();
        self.slots += slab.slots;
        self.open = self
            .slabs
            .partition_point(|other| other.start() < slab.start());
        self.slabs.insert(self.open, slab);
        Ok(())
    }

    #[cfg(feature = "std")]
    fn charge(&self, bytes: usize) -> Result<Receipt, Limit> {
        Receipt::charge_now(self.budget.as_ref(), bytes)
    }

    #[cfg(not(feature = "std"))]
    fn charge(&self, _: usize) -> Result<Receipt, Limit> {
        Ok(Receipt::of_nothing())
    }

    /// A slab with slots that were never handed out, if there is one.
    fn uncarved(&mut self) -> Option<usize> {
        let has_room = |slab: &Slab| slab.carved < slab.slots;
        if !self.slabs.get(self.open).is_some_and(has_room) {
            self.open = self.slabs.iter().position(has_room)?;
        }
        Some(self.open)
    }

    /// Position of the slab that `entry` lies in.
    fn find(&self, entry: Entry) -> Option<usize> {
        self.find_at(entry.as_ptr().addr().get())
    }

    /// Position of the slab in which a slot begins at this address.
    fn find_at(&self, address: usize) -> Option<usize> {
        let after = self.slabs.partition_point(|slab| slab.start() <= address);
        let position = after.checked_sub(1)?;
        let slab = &self.slabs[position];
        let offset = address - slab.start();
        let carved = offset < slab.carved * self.stride && offset % self.stride == 0;
        carved.then_some(position)
    }

    /// The slot at an address that somebody claims to be one's, whatever pointer
    /// they have: an entry by which the slot's memory may be reached.
    #[must_use]
    pub fn slot_at(&self, address: usize) -> Option<Entry> {
        let slab = &self.slabs[self.find_at(address)?];
        let offset = address - slab.start();
        // SAFETY: carved, so inside the region (2).
        let slot = unsafe { slab.region.base().add(offset) };
        Some(Entry::from_ptr(slot.cast()))
    }
}

impl Source for Slabs {
    type Retired = RetiredSlabs;

    const ADDRESSES: bool = true;

    fn create(&mut self, want: usize, most: usize, batch: &mut Batch) -> Result<(), Limit> {
        while batch.len() < want {
            let Some(open) = self.uncarved() else {
                if !batch.is_empty() {
                    return Ok(());
                }
                self.add_slab(want, most)?;
                continue;
            };
            let slab = &mut self.slabs[open];
            // SAFETY: `carved < slots`, so the slot is inside the region by 2.
            let slot: NonNull<u8> = unsafe { slab.region.base().add(slab.carved * self.stride) };
            slab.carved += 1;
            batch.push(Entry::from_ptr(slot.cast()));
        }
        Ok(())
    }

    fn retire(&mut self, free: &mut Vec<Entry>, _: Level) -> RetiredSlabs {
        let mut retired = RetiredSlabs {
            slabs: Vec::new(),
            stride: self.stride,
            #[cfg(feature = "std")]
            budget: self.budget.clone(),
        };
        let mut home = Vec::new();
        let mut positions = Vec::new();
        let reserved = home
            .try_reserve(self.slabs.len())
            .and_then(|()| positions.try_reserve(free.len()))
            .and_then(|()| retired.slabs.try_reserve(self.slabs.len()));
        if reserved.is_err() {
            return retired;
        }
        home.resize(self.slabs.len(), 0usize);
        for &entry in free.iter() {
            let position = self.find(entry).expect("a free item lies in a slab");
            home[position] += 1;
            positions.push(position);
        }
        let whole = |position: usize| home[position] == self.slabs[position].carved;
        let mut positions_left = positions.iter();
        free.retain(|_| {
            !positions_left
                .next()
                .is_some_and(|&position| whole(position))
        });
        for position in (0..self.slabs.len()).rev() {
            if home[position] == self.slabs[position].carved {
                let slab = self.slabs.remove(position);
                self.held_bytes -= slab.region.len();
                self.slots -= slab.slots;
                retired.slabs.push(slab);
            }
        }
        self.open = 0;
        retired
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn owns(&self, entry: Entry) -> bool {
        self.find(entry).is_some()
    }

    fn regions(&self, free: &[Entry]) -> Vec<RegionFigures> {
        let mut home = alloc::vec![Vec::new(); self.slabs.len()];
        for &entry in free {
            if let Some(position) = self.find(entry) {
                let offset = entry.as_ptr().addr().get() - self.slabs[position].start();
                home[position].push(offset / self.stride);
            }
        }
        let slabs = self.slabs.iter().zip(home);
        slabs
            .map(|(slab, home)| {
                let (start, bytes) = (slab.start(), slab.region.len());
                RegionFigures::of(start, bytes, self.stride, (slab.slots, slab.carved), home)
            })
            .collect()
    }
}

impl Drop for Slabs {
    fn drop(&mut self) {
        drop(RetiredSlabs {
            slabs: core::mem::take(&mut self.slabs),
            stride: self.stride,
            #[cfg(feature = "std")]
            budget: self.budget.take(),
        });
    }
}
