//! The source of rows: slabs in regions, zeroed, with their side arrays behind
//! the rows.
//!
//! ```text
//!   slab  ┌───────┬───────┬───────┬ ─ ─ ┬─────────┬───────────────┐
//!         │ row 0 │ row 1 │ row 2 │     │ norms   │ external ids  │
//!         └───────┴───────┴───────┴ ─ ─ ┴─────────┴───────────────┘
//!                     ▲ carved so far: the rest was never handed out or touched
//! ```

use crate::directory::{Directory, LARGEST_SLAB_BYTES};
use crate::layout::RowLayout;
use crate::side::{Side, SideArrays};
use crate::spare::Spare;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ptr;
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::observe::RegionFigures;
use millpond_core::poison;
use millpond_core::receipt::Receipt;
use millpond_core::region::{Granted, HUGE_PAGE_BYTES, HugePages, Region, RegionOptions, Supply};
use millpond_core::source::{Batch, Source};
use millpond_core::trim::Level;

#[cfg(feature = "std")]
use millpond_core::budget::Budget;

/// Bytes of a slab, unless the pool asks for others.
///
/// One huge page: the largest piece of memory that a leased row can pin, and
/// the smallest that a huge page can back.
pub(crate) const SLAB_BYTES: usize = HUGE_PAGE_BYTES;

/// Slabs of rows, as they were asked for. What the builder fills in.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) layout: RowLayout,
    pub(crate) side: SideArrays,
    pub(crate) slab_bytes: usize,
    pub(crate) spare: Option<usize>,
    pub(crate) options: RegionOptions,
    pub(crate) supplier: Option<Arc<dyn Supply>>,
    #[cfg(feature = "std")]
    pub(crate) budget: Option<Budget>,
}

impl Plan {
    /// Rows of a slab of full size.
    pub(crate) fn full_rows(&self) -> usize {
        let each = self.layout.stride_bytes() + self.side.bytes_each();
        // A number of a row has 32 bits, and some of them are for the slab.
        (self.slab_bytes.min(LARGEST_SLAB_BYTES) / each).clamp(1, 1 << 24)
    }

    /// Free rows that are kept when slabs empty.
    pub(crate) fn spare(&self) -> Spare {
        let two_slabs = self.full_rows().saturating_mul(2);
        Spare::of(self.spare.unwrap_or(two_slabs))
    }

    fn wants_huge(&self) -> bool {
        self.options.huge_pages != HugePages::None
    }
}

/// The source of a pool of rows.
///
/// # Invariants
///
/// 1. Slab `i` is the memory under slab number `i` of the directory, and has
///    room for `rows` rows and their side arrays.
/// 2. Rows below `carved` were handed to the engine; those above never were,
///    and read as zero.
/// 3. The tail of every row, and the gap behind it, read as zero: regions begin
///    so, and nobody writes there.
pub(crate) struct Rows {
    plan: Plan,
    directory: Arc<Directory>,
    full: usize,
    slabs: Vec<Option<Slab>>,
    /// The slab that is being carved.
    open: usize,
    /// Rows of all slabs.
    rows: usize,
    held_bytes: usize,
}

#[derive(Debug)]
struct Slab {
    region: Region,
    rows: usize,
    carved: usize,
}

/// Slabs on their way back to the system; dropping the value sends them.
pub(crate) struct Retired {
    regions: Vec<Region>,
    #[cfg(feature = "std")]
    budget: Option<Budget>,
}

impl Drop for Retired {
    fn drop(&mut self) {
        for region in self.regions.drain(..) {
            let _bytes = give_back(region);
            #[cfg(feature = "std")]
            if let Some(budget) = &self.budget {
                budget.refund_bytes(_bytes);
            }
        }
    }
}

/// Gives a slab's memory, which nobody uses, back to the system; answers the
/// bytes.
fn give_back(region: Region) -> usize {
    let bytes = region.len();
    // SAFETY: nobody uses a slab that left its source.
    unsafe { poison::on_region_drop(region.base(), bytes) };
    drop(region);
    bytes
}

const TOO_LARGE: Limit = Limit::Memory { bytes: usize::MAX };

impl Rows {
    pub(crate) fn new(plan: Plan) -> Self {
        let full = plan.full_rows();
        Self {
            directory: Arc::new(Directory::new(plan.layout.stride_bytes(), full, plan.side)),
            plan,
            full,
            slabs: Vec::new(),
            open: 0,
            rows: 0,
            held_bytes: 0,
        }
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// What the system granted, slab by slab.
    pub(crate) fn granted(&self) -> Vec<(usize, Granted)> {
        let slabs = self.slabs.iter().flatten();
        slabs
            .map(|slab| (slab.region.len(), slab.region.granted()))
            .collect()
    }

    /// Hands out `count` rows side by side that were never handed out: the
    /// number of the first.
    pub(crate) fn carve(&mut self, count: usize) -> Result<usize, Limit> {
        if count > self.full {
            return Err(TOO_LARGE);
        }
        let has_room =
            |slab: &Option<Slab>| matches!(slab, Some(slab) if slab.rows - slab.carved >= count);
        let found = match self.slabs.get(self.open).is_some_and(has_room) {
            true => Some(self.open),
            false => self.slabs.iter().position(has_room),
        };
        let slab = match found {
            Some(slab) => slab,
            None => self.add_slab(count, usize::MAX)?,
        };
        let Some(open) = &mut self.slabs[slab] else {
            return Err(TOO_LARGE);
        };
        let row = open.carved;
        open.carved += count;
        Ok(self.directory.number(slab, row))
    }

    /// Makes a slab of at least `want` rows: as many as there are already, or of
    /// full size for huge pages; or fewer, whatever can be had.
    fn add_slab(&mut self, want: usize, most: usize) -> Result<usize, Limit> {
        let usual = if self.plan.wants_huge() {
            self.full
        } else {
            self.rows.clamp(1, self.full)
        };
        let usual = usual.max(want.min(self.full)).min(most);
        self.add_slab_of(usual, want.min(self.full))
            .or_else(|_| self.add_slab_of(want.min(self.full), want.min(self.full)))
    }

    /// Makes a slab of `rows` rows, or of as many as a vacant number is for, if
    /// those are at least `want`.
    fn add_slab_of(&mut self, rows: usize, want: usize) -> Result<usize, Limit> {
        let vacant = (0..self.slabs.len()).find(|&slab| {
            let fits = |rows: usize| rows >= want;
            self.slabs[slab].is_none() && fits(self.rows_of(slab))
        });
        let rows = vacant.map_or(rows, |slab| self.rows_of(slab));
        let region = self.region(rows)?;
        let slab = match vacant {
            Some(slab) => slab,
            None => match self.number(rows) {
                Ok(slab) => slab,
                Err(limit) => {
                    self.refund(give_back(region));
                    return Err(limit);
                }
            },
        };
        self.directory.set_base(slab, region.base().as_ptr());
        self.held_bytes += region.len();
        self.rows += rows;
        self.open = slab;
        self.slabs[slab] = Some(Slab {
            region,
            rows,
            carved: 0,
        });
        Ok(slab)
    }

    /// For how many rows slab number `slab` is.
    fn rows_of(&self, slab: usize) -> usize {
        self.directory.head(slab).map_or(0, |head| head.rows())
    }

    /// A new slab number, with room for what is to be known of its rows.
    fn number(&mut self, rows: usize) -> Result<usize, Limit> {
        if self.slabs.len() >= self.directory.most_slabs() {
            return Err(TOO_LARGE);
        }
        let refused = |bytes| Limit::Memory { bytes };
        self.slabs
            .try_reserve(1)
            .map_err(|_| refused(size_of::<Slab>()))?;
        let (cost, before) = (self.directory.cost(rows), self.directory.bytes());
        self.charge(cost)?.keep();
        let added = self.directory.add(rows);
        self.refund(cost - (self.directory.bytes() - before));
        let slab = added.ok_or(refused(cost))?;
        self.slabs.push(None);
        debug_assert_eq!(slab + 1, self.slabs.len());
        Ok(slab)
    }

    /// Memory for a slab of `rows` rows, charged.
    fn region(&self, rows: usize) -> Result<Region, Limit> {
        let layout = &self.plan.layout;
        let align = layout.alignment().bytes();
        let bytes = Side::new(layout.stride_bytes(), rows, self.plan.side).end();
        let bytes = bytes.ok_or(TOO_LARGE)?;
        let bytes = match self.plan.wants_huge() {
            true => bytes.checked_next_multiple_of(HUGE_PAGE_BYTES),
            false => Some(bytes),
        };
        let bytes = bytes.ok_or(TOO_LARGE)?;
        let bytes = match self.plan.supplier {
            Some(_) => bytes,
            None => Region::len_for(bytes, align, &self.plan.options).map_err(|_| TOO_LARGE)?,
        };
        // Refunded if there is no memory, or the supplier panics.
        let receipt = self.charge(bytes)?;
        let region = match &self.plan.supplier {
            Some(supplier) => Region::supplied(bytes, align, Arc::clone(supplier)),
            None => Region::new(bytes, align, &self.plan.options),
        };
        let region = region.map_err(|_| Limit::Memory { bytes })?;
        receipt.keep();
        Ok(region)
    }

    #[cfg(feature = "std")]
    fn charge(&self, bytes: usize) -> Result<Receipt, Limit> {
        Receipt::charge_now(self.plan.budget.as_ref(), bytes)
    }

    #[cfg(not(feature = "std"))]
    fn charge(&self, _: usize) -> Result<Receipt, Limit> {
        Ok(Receipt::of_nothing())
    }

    fn refund(&self, _bytes: usize) {
        #[cfg(feature = "std")]
        if let Some(budget) = &self.plan.budget {
            budget.refund_bytes(_bytes);
        }
    }
}

impl Source for Rows {
    type Retired = Retired;

    fn create(&mut self, want: usize, most: usize, batch: &mut Batch) -> Result<(), Limit> {
        while batch.len() < want {
            let room = |slab: &Option<Slab>| {
                let slab = slab.as_ref();
                slab.is_some_and(|slab| slab.carved < slab.rows)
            };
            let first = match self.slabs.get(self.open).is_some_and(room) {
                true => Some(self.open),
                false => self.slabs.iter().position(room),
            };
            let slab = match first {
                Some(slab) => slab,
                None if !batch.is_empty() => return Ok(()),
                // Fewer rows than are wanted may fit where those did not.
                None => self.add_slab(want, most).or_else(|limit| match want {
                    1 => Err(limit),
                    _ => self.add_slab(1, most.min(1)),
                })?,
            };
            self.open = slab;
            let Some(open) = &mut self.slabs[slab] else {
                continue;
            };
            let end = open.rows.min(open.carved + (want - batch.len()));
            for row in open.carved..end {
                let number = self.directory.number(slab, row);
                batch.push(self.directory.entry(number));
            }
            open.carved = end;
        }
        Ok(())
    }

    fn retire(&mut self, free: &mut Vec<Entry>, _: Level) -> Retired {
        let mut retired = Retired {
            regions: Vec::new(),
            #[cfg(feature = "std")]
            budget: self.plan.budget.clone(),
        };
        let mut home = Vec::new();
        let reserved = home
            .try_reserve(self.slabs.len())
            .and_then(|()| retired.regions.try_reserve(self.slabs.len()));
        if reserved.is_err() {
            return retired;
        }
        home.resize(self.slabs.len(), 0usize);
        let directory = Arc::clone(&self.directory);
        let slab_of = |entry: &Entry| Directory::slab_of(*entry);
        for entry in free.iter() {
            home[slab_of(entry)] += 1;
        }
        let mut surplus = free.len().saturating_sub(directory.to_leave());
        // The last first: the rows that are left are found in fewer slabs.
        for (slab, place) in self.slabs.iter_mut().enumerate().rev() {
            let is_empty = |whole: &mut Slab| whole.carved == home[slab] && whole.carved <= surplus;
            let Some(gone) = place.take_if(is_empty) else {
                continue;
            };
            surplus -= gone.carved;
            directory.set_base(slab, ptr::null_mut());
            self.held_bytes -= gone.region.len();
            self.rows -= gone.rows;
            retired.regions.push(gone.region);
        }
        free.retain(|entry| self.slabs[slab_of(entry)].is_some());
        self.open = 0;
        retired
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn owns(&self, entry: Entry) -> bool {
        let (slab, row) = self.directory.split(self.directory.number_of(entry));
        let slab = self.slabs.get(slab).and_then(Option::as_ref);
        slab.is_some_and(|slab| row < slab.carved)
    }

    fn regions(&self, free: &[Entry]) -> Vec<RegionFigures> {
        let mut home = alloc::vec![Vec::new(); self.slabs.len()];
        for &entry in free {
            let (slab, row) = self.directory.split(self.directory.number_of(entry));
            home[slab].push(row);
        }
        let stride = self.plan.layout.stride_bytes();
        let slabs = self.slabs.iter().zip(home);
        slabs
            .filter_map(|(slab, home)| {
                let slab = slab.as_ref()?;
                let (base, bytes) = (slab.region.base().addr().get(), slab.region.len());
                let items = (slab.rows, slab.carved);
                Some(RegionFigures::of(base, bytes, stride, items, home))
            })
            .collect()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        for slab in core::mem::take(&mut self.slabs).into_iter().flatten() {
            self.refund(give_back(slab.region));
        }
        self.refund(self.directory.bytes());
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("layout", &self.plan.layout)
            .field("rows", &self.rows)
            .field("slabs", &self.slabs)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::layout::{Alignment, Spread};

    /// A slab of one row, where slabs may be so long that few have a number.
    #[test]
    #[cfg_attr(miri, ignore = "the same step, 255 times")]
    fn slabs_beyond_the_last_number_are_refused_and_not_paid() {
        let layout = RowLayout::new::<u8>(1, Alignment::Bytes16, Spread::Packed);
        let budget = Budget::new("rows", usize::MAX);
        let mut rows = Rows::new(Plan {
            layout: layout.expect("a small row"),
            side: SideArrays::NONE,
            slab_bytes: usize::MAX,
            spare: None,
            options: RegionOptions::new(),
            supplier: None,
            budget: Some(budget.clone()),
        });
        let most = rows.directory.most_slabs();
        assert_eq!(most, 255, "24 of 32 bits are for the row");
        for slab in 0..most {
            assert_eq!(rows.add_slab_of(1, 1), Ok(slab));
        }
        let held = budget.held();
        assert_eq!(rows.add_slab_of(1, 1), Err(TOO_LARGE));
        assert_eq!(budget.held(), held);
        drop(rows);
        assert_eq!(budget.held(), 0);
    }
}
