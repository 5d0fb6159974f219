//! The figures of a shared pool: read from structure when somebody asks.

use super::SharedEngine;
use crate::diagnostics::{Diagnosis, Holder};
use crate::engine::{Engine, Released};
use crate::entry::Entry;
use crate::error::{AcquireError, Limit};
use crate::event::Event;
use crate::observe::{Observation, RegionFigures, Sampled};
use crate::source::Source;
use crate::trim::{Level, TrimReport};
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::panic::Location;
use core::time::Duration;

impl<S: Source> SharedEngine<S> {
    fn observation(&self) -> Observation {
        let state = self.state.lock();
        let hits: u64 = self.table.iter().map(|(_, cache)| cache.acquires()).sum();
        let cached: usize = self.table.iter().map(|(_, cache)| cache.items()).sum();
        let (tally, created, depot) = (state.tally, state.created, state.depot.count());
        let in_use = (created - depot).saturating_sub(cached);
        let misses = tally.refilled + tally.created_for + tally.strict + tally.handed_over;
        let acquires = hits + misses;
        let item_bytes = self.item_bytes;
        Observation {
            item_bytes,
            capacity: state.capacity,
            created,
            in_use,
            cached,
            depot,
            high_water: tally.high_water,
            waiting: state.waiters.len(),
            acquires,
            hits,
            misses,
            misses_refilled: tally.refilled,
            misses_created: tally.created_for,
            misses_strict: tally.strict,
            misses_waited: tally.handed_over,
            releases: acquires.saturating_sub(in_use as u64),
            exhausted: tally.exhausted,
            waits: tally.waits,
            timeouts: tally.timeouts,
            wait_ns: tally.wait_ns,
            refills: tally.refills,
            spills: tally.spills,
            stops: tally.stops,
            created_total: tally.created,
            retired_total: tally.retired,
            held_bytes: tally.held_bytes,
            used_bytes: in_use * item_bytes,
            wasted_bytes: tally.held_bytes.saturating_sub(created * item_bytes),
            returned_bytes: tally.returned_bytes,
            machinery_bytes: tally.machinery_bytes,
            ..Observation::default()
        }
    }
}

// SAFETY: by invariant 1 of the engine an entry is in a magazine or in the hands
// of one caller, and every path that gives it to a caller takes it out of its
// magazine.
unsafe impl<S: Source> Engine for SharedEngine<S> {
    type Source = S;

    fn name(&self) -> &'static str {
        self.name
    }

    #[inline(always)]
    fn try_pop(&self) -> Option<Entry> {
        Self::try_pop(self)
    }

    fn acquire_slow(&self, room: usize) -> Result<Entry, AcquireError> {
        Self::acquire_slow(self, room)
    }

    fn acquire_waiting(
        &self,
        room: usize,
        timeout: Option<Duration>,
    ) -> Result<Entry, AcquireError> {
        Self::acquire_waiting(self, room, timeout)
    }

    #[inline(always)]
    unsafe fn release(engine: *const Self, entry: Entry) -> Released {
        // SAFETY: by the caller.
        unsafe { Self::release(engine, entry) }
    }

    unsafe fn acquire_created<R>(
        &self,
        count: usize,
        create: impl FnOnce(&mut S) -> Result<R, Limit>,
    ) -> Result<R, AcquireError> {
        // SAFETY: by the caller.
        unsafe { Self::acquire_created(self, count, create) }
    }

    fn look_at_source<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        Self::look_at_source(self, look)
    }

    unsafe fn disown(&mut self, count: usize) {
        // SAFETY: by the caller.
        unsafe { Self::disown(self, count) };
    }

    #[inline]
    fn try_pop_many(&self, out: &mut [MaybeUninit<Entry>]) -> usize {
        Self::try_pop_many(self, out)
    }

    #[inline]
    unsafe fn release_many(engine: *const Self, entries: &[Entry]) -> Released {
        // SAFETY: by the caller.
        unsafe { Self::release_many(engine, entries) }
    }

    fn set_diagnosis(&self, level: Diagnosis) {
        Self::set_diagnosis(self, level);
    }

    fn record(&self, item: Entry, location: &'static Location<'static>) -> Option<bool> {
        Self::record(self, item, location)
    }

    fn strike(&self, item: Entry) {
        Self::strike(self, item);
    }

    fn record_sized(
        &self,
        item: Entry,
        location: &'static Location<'static>,
        bytes: usize,
    ) -> Option<bool> {
        Self::record_sized(self, item, location, bytes)
    }

    fn sampled(&self) -> Sampled {
        Self::sampled(self)
    }

    fn holders(&self) -> Vec<Holder> {
        Self::holders(self)
    }

    fn regions(&self) -> Vec<RegionFigures> {
        Self::regions(self)
    }

    fn should_pattern(&self, item: Entry) -> bool {
        Self::should_pattern(self, item)
    }

    fn tell(&self, event: &Event<'_>) {
        Self::tell(self, event);
    }

    fn observe(&self) -> Observation {
        self.observation()
    }

    fn trim(&self, level: Level) -> TrimReport {
        Self::trim(self, level)
    }

    fn set_capacity(&self, capacity: usize) {
        let mut state = self.state.lock();
        state.capacity = capacity;
        self.keep_capacity(&mut state);
        // A lower capacity may have kept items back while somebody waits.
        let kept_back = !state.waiters.is_empty() && state.depot.count() > 0;
        drop(state);
        if kept_back {
            self.serve();
        }
        self.fill_for_waiters();
    }
}
