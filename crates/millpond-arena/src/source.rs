//! Where arenas come from: places on the heap, hollow at first.
//!
//! The engine moves places. A chunk is built by the first lease that finds its
//! place hollow, with no lock held, and may go again while the place stays.

use crate::arena::{Arena, HOLLOW};
use crate::config::Figures;
use crate::pool::ScopePool;
use crate::tally::Totals;
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use millpond_core::budget::Budget;
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::region;
use millpond_core::source::{Batch, Source};
use millpond_core::trim::Level;
use std::vec::Vec;

const PLACE: Layout = Layout::new::<Arena>();

/// The arenas of one scope.
///
/// # Invariants
///
/// 1. Each record's arena is alive, and was handed to the engine or is in the
///    hands of whoever acquired it from there.
#[derive(Debug)]
pub(crate) struct Arenas {
    pool: Option<NonNull<ScopePool>>,
    figures: Figures,
    budget: Option<Budget>,
    records: Vec<Record>,
    /// The counters of arenas that are gone.
    gone: Totals,
}

#[derive(Debug)]
struct Record {
    arena: NonNull<Arena>,
    /// Leases that had ended at the last tick.
    leases: u64,
    /// Ticks without a lease.
    idle: u32,
}

// SAFETY: arenas move between threads: what is in them is Send or not looked at
// again. The pool is alive by invariant 5 of arenas.
unsafe impl Send for Arenas {}

impl Arenas {
    pub(crate) const fn new(figures: Figures, budget: Option<Budget>) -> Self {
        Self {
            pool: None,
            figures,
            budget,
            records: Vec::new(),
            gone: Totals {
                used: [0; crate::retention::BINS],
                high_water: 0,
                large_objects: 0,
                large_bytes: 0,
            },
        }
    }

    /// Says whose arenas these are.
    pub(crate) fn belong_to(&mut self, pool: NonNull<ScopePool>) {
        self.pool = Some(pool);
    }

    /// All arenas, those on loan as well, of which only the atomics may be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arena> {
        self.records.iter().map(|record| {
            // SAFETY: alive by 1.
            unsafe { record.arena.as_ref() }
        })
    }

    /// The counters of all arenas that ever were.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.gone;
        for arena in self.iter() {
            totals.add(&arena.tally);
        }
        totals
    }

    /// Notes which arenas were leased since the last tick; answers whether there
    /// are some that were not for `ticks`.
    pub(crate) fn tick(&mut self, ticks: u32) -> bool {
        let mut stale = false;
        for record in &mut self.records {
            // SAFETY: alive by 1.
            let arena = unsafe { record.arena.as_ref() };
            let leases = arena.tally.leases();
            if leases == record.leases && !arena.leased.load(Relaxed) {
                record.idle = record.idle.saturating_add(1);
            } else {
                record.idle = 0;
            }
            record.leases = leases;
            stale |= record.idle >= ticks && arena.held_bytes() > 0;
        }
        stale
    }

    /// Takes arenas that were idle for `ticks` out of `free`, at most `most` of
    /// them. Answers what to drop, and its bytes.
    pub(crate) fn retire_idle(
        &mut self,
        free: &mut Vec<Entry>,
        ticks: u32,
        most: usize,
    ) -> (Retired, usize) {
        let mut left = most;
        let stale: Vec<Entry> = self
            .records
            .iter()
            .filter(|record| record.idle >= ticks)
            .map(|record| Entry::from_ptr(record.arena.cast()))
            .collect();
        self.retire_those(free, |entry| {
            let goes = left > 0 && stale.contains(&entry);
            left -= usize::from(goes);
            goes
        })
    }

    fn retire_those(
        &mut self,
        free: &mut Vec<Entry>,
        mut goes: impl FnMut(Entry) -> bool,
    ) -> (Retired, usize) {
        let mut retired = Retired {
            arenas: Vec::new(),
            budget: self.budget.clone(),
        };
        if retired.arenas.try_reserve(free.len()).is_err() {
            return (retired, 0);
        }
        let mut bytes = 0;
        let mut chunks = 0;
        free.retain(|&entry| {
            if !goes(entry) {
                return true;
            }
            let place = entry.as_ptr().cast::<Arena>();
            // SAFETY: free, so alive and nobody's.
            let arena = unsafe { place.as_ref() };
            arena.hands.touch();
            self.gone.add(&arena.tally);
            bytes += arena.held_bytes() + PLACE.size();
            chunks += usize::from(!arena.has(HOLLOW));
            retired.arenas.push(place);
            false
        });
        self.records
            .retain(|record| !retired.arenas.contains(&record.arena));
        if let Some(pool) = self.pool {
            // SAFETY: the pool is alive while its source is at work.
            unsafe { pool.as_ref() }.count_gone(chunks);
        }
        (retired, bytes)
    }
}

impl Source for Arenas {
    type Retired = Retired;

    fn create(&mut self, _: usize, _: usize, batch: &mut Batch) -> Result<(), Limit> {
        // One: others who want an arena at this moment come for their own.
        let bytes = PLACE.size();
        let memory = || Limit::Memory { bytes };
        let pool = self.pool.ok_or_else(memory)?;
        self.records.try_reserve(1).map_err(|_| memory())?;
        if let Some(budget) = &self.budget {
            budget.charge_now(bytes).map_err(Limit::Budget)?;
        }
        let Some(place) = region::allocate(PLACE) else {
            if let Some(budget) = &self.budget {
                budget.refund_bytes(bytes);
            }
            return Err(memory());
        };
        let arena = place.cast::<Arena>();
        // SAFETY: fresh, with the layout of an arena.
        unsafe { arena.write(Arena::hollow(pool, &self.figures)) };
        self.records.push(Record {
            arena,
            leases: 0,
            idle: 0,
        });
        batch.push(Entry::from_ptr(arena.cast()));
        Ok(())
    }

    fn retire(&mut self, free: &mut Vec<Entry>, _: Level) -> Retired {
        self.retire_those(free, |_| true).0
    }

    /// The places. What arenas hold beside them changes while they are leased.
    fn held_bytes(&self) -> usize {
        self.records.len() * PLACE.size()
    }

    fn owns(&self, entry: Entry) -> bool {
        self.records
            .iter()
            .any(|record| record.arena.cast() == entry.as_ptr())
    }
}

impl Drop for Arenas {
    fn drop(&mut self) {
        // The engine drops its source only when every arena is home.
        drop(Retired {
            arenas: self.records.drain(..).map(|record| record.arena).collect(),
            budget: self.budget.take(),
        });
    }
}

/// Arenas that left existence; dropping the value frees them.
#[derive(Debug)]
pub(crate) struct Retired {
    arenas: Vec<NonNull<Arena>>,
    budget: Option<Budget>,
}

impl Drop for Retired {
    fn drop(&mut self) {
        for arena in self.arenas.drain(..) {
            // SAFETY: nobody else knows the arena any more.
            let this = unsafe { arena.as_ref() };
            this.hands.touch();
            // SAFETY: ours, and nothing is allocated in it.
            unsafe { this.declare_alive() };
            let bytes = this.held_bytes() + PLACE.size();
            // SAFETY: as above; dropped once.
            unsafe { arena.drop_in_place() };
            // SAFETY: allocated with this layout.
            unsafe { region::free(arena.cast(), PLACE) };
            if let Some(budget) = &self.budget {
                budget.refund_bytes(bytes);
            }
        }
    }
}
