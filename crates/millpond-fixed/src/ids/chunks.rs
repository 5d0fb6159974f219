//! The memory of an id pool, and its slots as a source for the engine.

use super::directory::{CHUNKS, Cell, Directory, LEAST, MOST, place_of, slots_in};
use crate::builder::Builder;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::Ordering;
use millpond_core::budget::Budget;
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::id::Generation;
use millpond_core::observe::RegionFigures;
use millpond_core::receipt::Receipt;
use millpond_core::region::{Backing, Region, RegionOptions, Supply};
use millpond_core::source::{Batch, Source};
use millpond_core::tenancy::Tenancy;
use millpond_core::trim::Level;

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

/// Alignment of a chunk: a line, so that a cell that fits into one lies in one.
const CHUNK_ALIGN: usize = 64;

/// The source of the slots: their entries are indices.
///
/// # Invariants
///
/// 1. `chunks[k]` is what the directory has at `k`.
/// 2. Indices below `carved` were handed to the engine; it is what the directory
///    says.
/// 3. Cells below `paid` lie in chunks that are there, and their bytes are charged.
pub(super) struct Chunks<T> {
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
pub(super) struct RetiredChunks {
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
    /// None yet; made as the builder says.
    pub(super) fn new(builder: &Builder<T>, directory: &Arc<Directory<T>>) -> Self {
        Self {
            directory: Arc::clone(directory),
            chunks: Vec::new(),
            carved: 0,
            paid: 0,
            capacity: builder.capacity.total(),
            settled: false,
            floors: [0; CHUNKS],
            options: builder.region,
            supplier: builder.supplier.clone(),
            budget: builder.budget.clone(),
        }
    }

    /// Slots of the first chunk.
    fn first(&self) -> usize {
        self.directory.first.load(Ordering::Relaxed) as usize
    }

    fn slots(&self) -> usize {
        slots_in(self.chunks.len(), self.first())
    }

    fn charge(&self, bytes: usize) -> Result<Receipt, Limit> {
        Receipt::charge_now(self.budget.as_ref(), bytes)
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
        self.charge(bytes.saturating_sub(self.chunks[0].charged))?
            .keep();
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
        // Refunded if there is no memory, or the supplier panics.
        let receipt = self.charge(charged)?;
        let region = match &self.supplier {
            Some(supplier) => Region::supplied(bytes, align, Arc::clone(supplier)),
            None => Region::new(bytes, align, &self.options),
        };
        let region = region.map_err(|_| refused)?;
        receipt.keep();
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
                // Not with slots in hand: a supplier of memory may panic.
                if !batch.is_empty() {
                    break;
                }
                self.make_room()?;
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

    fn regions(&self, free: &[Entry]) -> Vec<RegionFigures> {
        let first = self.first();
        let mut home = alloc::vec![Vec::new(); self.chunks.len()];
        for entry in free {
            let index = u32::try_from(entry.as_index()).expect("below MOST");
            let (chunk, place) = place_of(index, u32::try_from(first).expect("below MOST"));
            home[chunk].push(place);
        }
        let chunks = self.chunks.iter().zip(home).enumerate();
        chunks
            .map(|(number, (chunk, home))| {
                let slots = first << number;
                let carved = self.carved.saturating_sub(slots_in(number, first));
                RegionFigures::of(
                    chunk.region.base().addr().get(),
                    chunk.region.len(),
                    size_of::<Cell<T>>(),
                    (slots, carved.min(slots)),
                    home,
                )
            })
            .collect()
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
