//! Giving memory back, from every thread's cache, idle threads included.

use super::acquire::Changing;
use super::stop::Patience;
use super::{SharedEngine, State};
use crate::entry::Entry;
use crate::event::Event;
use crate::magazine::{Magazine, Stack};
use crate::observe::RegionFigures;
use crate::source::Source;
use crate::trim::{Level, TrimReport};
use alloc::vec::Vec;

/// What a trim takes out of the pool while it works.
struct Taken {
    /// Full magazines of the depot.
    full: Stack,
    /// Those of them whose entries are on a list now.
    emptied: Stack,
    /// What lay in the depot's loose magazine.
    loose: Vec<Entry>,
    /// Magazines of caches.
    machinery: Stack,
}

impl<S: Source> SharedEngine<S> {
    /// Gives back what `level` allows. Items leave existence under the lock and
    /// their memory goes after unlocking, so an acquire meanwhile may create
    /// new ones, but is never told that items are leased which are not.
    pub fn trim(&self, level: Level) -> TrimReport {
        self.trim_with(level, |source, free| {
            let before = source.held_bytes();
            let retired = source.retire(free, level);
            (retired, before - source.held_bytes())
        })
    }

    /// As [`SharedEngine::trim`], for a pool that chooses what goes: `retire`
    /// takes out of the free items those that leave existence, and answers them
    /// with their bytes.
    ///
    /// It runs as a source does: under the population lock, so it must not call
    /// the engine, nor a user's code.
    pub fn trim_with(
        &self,
        level: Level,
        retire: impl FnOnce(&mut S, &mut Vec<Entry>) -> (S::Retired, usize),
    ) -> TrimReport {
        let mut report = TrimReport::default();
        let mut loose = Vec::new();
        if loose.try_reserve(usize::from(self.rounds)).is_err() {
            return report;
        }
        let mut source = self.population.lock();
        let mut taken = self.take_out(level, loose, &mut report);
        let changing = Changing(&self.state);
        let Some(mut free) = taken.entries() else {
            // No memory for the list: the items stay.
            let machinery = self.put_back(taken, &[], 0);
            drop(changing);
            drop(source);
            report.freed_bytes = self.free_magazines(machinery);
            return report;
        };
        let home = free.len();
        let (retired, bytes) = retire(&mut source, &mut free);
        report.freed_items = home - free.len();
        report.pinned = free.len();
        report.freed_bytes = bytes;
        let machinery = self.put_back(taken, &free, report.freed_items);
        let mut state = self.state.lock();
        state.tally.held_bytes = source.held_bytes();
        state.tally.returned_bytes += report.freed_bytes as u64;
        drop(state);
        drop(changing);
        drop(source);
        report.freed_bytes += self.free_magazines(machinery);
        self.forget_patterns();
        // From here on foreign code runs, which may panic.
        self.serve();
        // Memory goes, and foreign destructors may run, with no lock held.
        drop(retired);
        self.tell(&Event::Trimmed { report: &report });
        report
    }

    /// Where the items lie, and which of them are leased: takes the free items out as
    /// a trim does, looks, and puts them back.
    pub fn regions(&self) -> Vec<RegionFigures> {
        let mut loose = Vec::new();
        if loose.try_reserve(usize::from(self.rounds)).is_err() {
            return Vec::new();
        }
        let source = self.population.lock();
        let mut taken = self.take_out(Level::Moderate, loose, &mut TrimReport::default());
        let changing = Changing(&self.state);
        let free = taken.entries();
        let regions = free.as_deref().map(|free| source.regions(free));
        let machinery = self.put_back(taken, free.as_deref().unwrap_or(&[]), 0);
        drop(changing);
        drop(source);
        self.free_magazines(machinery);
        self.serve();
        regions.unwrap_or_default()
    }

    /// Takes the free items out, by a few pointers, and, for a full trim, the
    /// magazines out of the caches.
    fn take_out(&self, level: Level, loose: Vec<Entry>, report: &mut TrimReport) -> Taken {
        let mut state = self.state.lock();
        let mut taken = Taken {
            full: Stack::new(),
            emptied: Stack::new(),
            loose,
            machinery: Stack::new(),
        };
        if level > Level::Light {
            let strict = state.strict;
            self.stop(&mut state, Patience::Brief);
            // Only exhaustion makes a pool strict for longer than a moment. A
            // cache that was passed over still has its gate closed: its owner
            // opens it again.
            state.strict = strict;
            if level == Level::Full {
                self.take_magazines(&mut taken.machinery);
            }
        }
        let cached: usize = self.table.iter().map(|(_, cache)| cache.items()).sum();
        if level > Level::Light {
            report.unreachable = cached;
        }
        report.leased = state.leased().saturating_sub(cached);
        taken.full = state.depot.take_full();
        while taken.loose.len() < taken.loose.capacity() {
            let Some(entry) = state.depot.pop() else {
                break;
            };
            taken.loose.push(entry);
        }
        state.changing = true;
        taken
    }

    /// Takes the magazines out of stopped caches.
    fn take_magazines(&self, machinery: &mut Stack) {
        for (_, cache) in self.table.iter() {
            if !cache.is_stolen() {
                continue;
            }
            // SAFETY: stolen, so stopped: gate closed, barrier run, owner outside.
            let (loaded, previous) = unsafe {
                cache.contents(|contents| {
                    contents.exchanges = 0;
                    (contents.loaded.take(), contents.previous.take())
                })
            };
            for magazine in [loaded, previous].into_iter().flatten() {
                // SAFETY: taken out of the cache, so ours alone.
                unsafe { machinery.push(magazine) };
            }
        }
    }

    /// Puts back what the source kept, in the magazines it came in, and answers
    /// those that nobody needs any more.
    fn put_back(&self, taken: Taken, kept: &[Entry], retired: usize) -> Stack {
        let mut magazines = taken.emptied;
        let mut full = taken.full;
        let mut chunks = kept.chunks_exact(usize::from(self.rounds));
        for chunk in chunks.by_ref() {
            let Some(magazine) = magazines.pop() else {
                unreachable!("as many magazines as were taken hold what was in them");
            };
            // SAFETY: as below; a chunk is a magazine full.
            unsafe { magazine.write(chunk) };
            // SAFETY: taken out of the depot, so ours alone.
            unsafe { full.push(magazine) };
        }
        let mut state = self.state.lock();
        state.created -= retired;
        state.tally.retired += retired as u64;
        state.shrinking &= state.created > state.capacity;
        while let Some(magazine) = full.pop() {
            // SAFETY: ours alone, and every slot was written.
            unsafe { state.depot.put_full(magazine) };
        }
        while let Some(magazine) = magazines.pop() {
            state.depot.fund(magazine);
        }
        for &entry in chunks.remainder().iter().chain(&taken.loose) {
            state.depot.push(entry);
        }
        let mut spare = state.defund();
        let mut machinery = taken.machinery;
        while let Some(magazine) = machinery.pop() {
            // SAFETY: popped, so ours alone.
            unsafe { spare.push(magazine) };
        }
        spare
    }

    /// Frees magazines and refunds them; answers the bytes.
    pub(super) fn free_magazines(&self, mut magazines: Stack) -> usize {
        let mut bytes = 0;
        while let Some(magazine) = magazines.pop() {
            bytes += Magazine::bytes(magazine.capacity());
            // SAFETY: popped, so ours alone.
            unsafe { magazine.free() };
        }
        if bytes > 0 {
            self.state.lock().tally.machinery_bytes -= bytes;
            self.refund(bytes);
        }
        bytes
    }
}

impl State {
    /// Takes the magazines that are not needed out of the depot.
    pub(super) fn defund(&mut self) -> Stack {
        let mut spare = Stack::new();
        while let Some(magazine) = self.depot.defund(self.created) {
            // SAFETY: taken out of the depot, so ours alone.
            unsafe { spare.push(magazine) };
        }
        spare
    }
}

impl Taken {
    /// Moves everything that was taken into one list, and the magazines it was
    /// in to `emptied`. `None`, and nothing is moved, if there is no memory.
    fn entries(&mut self) -> Option<Vec<Entry>> {
        let count: usize = self.full.iter().map(Magazine::capacity).sum();
        self.loose.try_reserve(count).ok()?;
        let mut entries = core::mem::take(&mut self.loose);
        while let Some(magazine) = self.full.pop() {
            // SAFETY: taken out of the depot, so ours alone.
            entries.extend(unsafe { magazine.entries() });
            // SAFETY: as above.
            unsafe { self.emptied.push(magazine) };
        }
        Some(entries)
    }
}
