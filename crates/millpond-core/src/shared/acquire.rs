//! Acquiring on the slow path.

use super::stop::Patience;
use super::{SharedEngine, State};
use crate::cache::Cache;
use crate::entry::Entry;
use crate::error::{AcquireError, Limit};
use crate::event::Event;
use crate::magazine::Magazine;
use crate::source::{Batch, Source};
use crate::sync::{Mutex, MutexGuard};
use crate::thread_id;

/// What an attempt came to.
pub(super) enum Attempt<'e> {
    Given(Entry),
    /// Nothing was free at some instant of this call; the lock is still held.
    Refused(Limit, MutexGuard<'e, State>),
}

impl<S: Source> SharedEngine<S> {
    /// Acquires an item, by the fast path if it can, and never waits for one.
    ///
    /// `room` is how many items may exist beyond the capacity, for pools that
    /// grow to a bound.
    ///
    /// # Errors
    ///
    /// Which limit was hit. `Limit::Capacity` means that at some instant during
    /// the call every item was leased, wherever free ones were cached.
    pub fn acquire(&self, room: usize) -> Result<Entry, AcquireError> {
        if let Some(entry) = self.try_pop() {
            return Ok(entry);
        }
        self.acquire_slow(room)
    }

    /// As [`SharedEngine::acquire`], for a caller that has tried the fast path.
    ///
    /// # Errors
    ///
    /// As [`SharedEngine::acquire`].
    #[cold]
    #[inline(never)]
    pub fn acquire_slow(&self, room: usize) -> Result<Entry, AcquireError> {
        match self.attempt(room) {
            Attempt::Given(entry) => Ok(entry),
            Attempt::Refused(limit, state) => Err(self.refuse(state, limit)),
        }
    }

    /// Counts a refusal, unlocks, tells of it and makes the error.
    pub(super) fn refuse(&self, mut state: MutexGuard<'_, State>, limit: Limit) -> AcquireError {
        state.tally.exhausted += 1;
        // Strict or closed, so what is not in the depot is leased.
        let (capacity, in_use) = (state.capacity, state.leased());
        let waiting = state.waiters.len();
        drop(state);
        self.tell(&Event::Refused {
            limit: &limit,
            in_use,
        });
        AcquireError::new(self.name, limit, capacity, in_use, waiting)
    }

    /// Looks everywhere for an item, in the order of cost: the other magazine,
    /// the depot, the caches of threads that ended, the source, the caches of
    /// everybody.
    pub(super) fn attempt(&self, room: usize) -> Attempt<'_> {
        let cache = self.own_cache();
        if let Some(cache) = cache {
            // SAFETY: this thread's own.
            if let Some(entry) = unsafe { cache.pop_previous() } {
                return Attempt::Given(entry);
            }
        }
        let mut state = self.lock_for(cache);
        let mut refusal = None;
        loop {
            if state.closed {
                return Attempt::Refused(Limit::Closed, state);
            }
            let refills = state.tally.refills;
            if let Some(entry) = self.take(&mut state, cache) {
                let refilled = state.tally.refills != refills;
                drop(state);
                if let Some(cache) = cache.filter(|_| refilled && S::PREFETCH) {
                    // SAFETY: this thread's own.
                    unsafe { cache.prefetch() };
                }
                return Attempt::Given(entry);
            }
            if let Some(by) = state.changing {
                if by == thread_id::current() {
                    // This very thread is inside the source, by way of a trim
                    // that ran somebody's destructor: waiting would be for ever.
                    return Attempt::Refused(Limit::Reentrant, state);
                }
                // Free items may be in the source's hands: come back when they
                // are not.
                drop(state);
                drop(self.population.lock());
                state = self.state.lock();
            } else if self.sweep(&mut state) > 0 {
                // What ended threads left behind comes before new items.
            } else if refusal.is_none() && state.created < state.capacity.saturating_add(room) {
                drop(state);
                refusal = self.grow(room).err();
                state = self.state.lock();
            } else if state.strict && !state.skipped {
                state.calm = 0;
                return Attempt::Refused(refusal.unwrap_or(Limit::Capacity), state);
            } else if self.stop(&mut state, Patience::Endless) > 0 {
                state.quota = (state.quota / 2).max(1);
            }
        }
    }

    /// Takes an item out of the owner's magazines or the depot, if there is one.
    fn take(&self, state: &mut MutexGuard<'_, State>, cache: Option<&Cache>) -> Option<Entry> {
        let usable = cache.filter(|cache| self.settle(state, cache));
        let entry = match usable {
            Some(cache) => self.refill(state, cache)?,
            None => state.depot.pop()?,
        };
        state.tally.acquires += 1;
        let outside = state.created - state.depot.count();
        state.tally.high_water = state.tally.high_water.max(outside);
        Some(entry)
    }

    /// Has the source create up to a magazine of items, and hands them to those
    /// who wait first. `Ok` without effect if somebody else was faster.
    #[cold]
    fn grow(&self, room: usize) -> Result<(), Limit> {
        if let Some(created) = self.create(room)? {
            self.serve();
            self.tell(&Event::Grown { created });
        }
        Ok(())
    }

    /// Has the source create items; answers how many exist, if it did.
    fn create(&self, room: usize) -> Result<Option<usize>, Limit> {
        let mut source = self.population.lock();
        let (most, slots) = {
            let mut state = self.state.lock();
            let limit = state.capacity.saturating_add(room);
            if state.depot.count() > 0 || state.closed || state.created >= limit {
                return Ok(None);
            }
            state.changing = Some(thread_id::current());
            let most = limit - state.created;
            (most, state.depot.slots() - state.created)
        };
        let want = most.min(usize::from(self.rounds));
        let _changing = Changing(&self.state);
        let mut batch = Batch::new();
        let created = self.fund(want > slots).and_then(|magazine| {
            source
                .create(want, most, &mut batch)
                .map(|()| magazine)
                .inspect_err(|_| {
                    if let Some(magazine) = magazine {
                        self.refund(Magazine::bytes(magazine.capacity()));
                        // SAFETY: allocated by `fund`, known to nobody else.
                        unsafe { magazine.free() };
                    }
                })
        });
        let mut state = self.state.lock();
        if let Some(magazine) = created? {
            state.tally.machinery_bytes += Magazine::bytes(magazine.capacity());
            state.depot.fund(magazine);
        }
        state.created += batch.len();
        state.tally.created += batch.len() as u64;
        for entry in batch.iter().rev() {
            state.depot.push(entry);
        }
        Ok(Some(state.created))
    }

    /// Creates items for those who wait, as far as a raised capacity allows.
    pub(super) fn fill_for_waiters(&self) {
        loop {
            let state = self.state.lock();
            if state.waiters.is_empty() || state.created >= state.capacity {
                return;
            }
            drop(state);
            if self.grow(0).is_err() {
                return;
            }
        }
    }

    /// Hands what lies in the depot to those who wait: after a change of the
    /// population, with no lock held, for it runs their wakers.
    pub(super) fn serve(&self) {
        let mut state = self.state.lock();
        while !state.waiters.is_empty() {
            let Some(entry) = state.depot.pop() else {
                return;
            };
            if let Some(wake) = state.place(entry) {
                drop(state);
                wake.wake();
                state = self.state.lock();
            }
        }
    }

    /// A magazine that gives the depot room for a batch, if it needs one.
    fn fund(&self, needed: bool) -> Result<Option<Magazine>, Limit> {
        if !needed {
            return Ok(None);
        }
        let rounds = usize::from(self.rounds);
        let bytes = Magazine::bytes(rounds);
        if let Some(budget) = &self.budget {
            budget.charge_bytes(bytes).map_err(Limit::Budget)?;
        }
        let magazine = Magazine::allocate(rounds);
        if magazine.is_none() {
            self.refund(bytes);
        }
        magazine.map(Some).ok_or(Limit::Memory { bytes })
    }
}

/// Says, for as long as it lives, that free items may be in the source's hands.
pub(super) struct Changing<'e>(pub(super) &'e Mutex<State>);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.lock().changing = None;
    }
}
