//! Acquiring on the slow path.

use super::stop::Patience;
use super::{SharedEngine, State};
use crate::budget::BudgetExceeded;
use crate::cache::Cache;
use crate::entry::Entry;
use crate::error::{AcquireError, Limit};
use crate::event::Event;
use crate::magazine::Magazine;
use crate::source::{Batch, Source};
use crate::sync::{Mutex, MutexGuard};
use crate::wait::Wakes;

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
        // Refusals come from a stopped pool, so what is not in the depot is
        // leased.
        let (capacity, in_use) = (state.capacity, state.leased());
        let (waiting, cached) = (state.waiters.len(), state.depot.count());
        drop(state);
        self.tell(&Event::Refused {
            limit: &limit,
            in_use,
        });
        AcquireError::new(self.name, limit, capacity, in_use, waiting).with_cached(cached)
    }

    /// Looks everywhere for an item, in the order of cost: the other magazine,
    /// the depot, the caches of threads that ended, the source, the caches of
    /// everybody.
    pub(super) fn attempt(&self, room: usize) -> Attempt<'_> {
        if let Some(cache) = self.behind_the_veil() {
            // SAFETY: this thread's own, or the closed one.
            if let Some(entry) = unsafe { cache.pop() } {
                return Attempt::Given(entry);
            }
        }
        let cache = self.own_cache();
        if let Some(cache) = cache {
            // SAFETY: this thread's own.
            if let Some(entry) = unsafe { cache.pop_previous() } {
                return Attempt::Given(entry);
            }
        }
        let mut state = self.lock_for(cache);
        let (mut refusal, mut asked, mut fresh) = (None, false, false);
        loop {
            if state.closed {
                return Attempt::Refused(Limit::Closed, state);
            }
            if let Some(entry) = self.take(&mut state, cache, room, fresh) {
                drop(state);
                return Attempt::Given(entry);
            }
            if state.changing {
                // Free items may be in the source's hands: come back when they
                // are not.
                drop(state);
                drop(self.population.lock());
                state = self.state.lock();
            } else if self.sweep(&mut state) > 0 {
                // What ended threads left behind comes before new items.
            } else if refusal.is_none() && state.created < state.limit(room) {
                drop(state);
                refusal = self.grow(room).err();
                fresh = refusal.is_none();
                state = self.state.lock();
            } else if !state.strict || state.skipped {
                if self.stop(&mut state, Patience::Endless) > 0 {
                    state.quota = (state.quota / 2).max(1);
                }
            } else if let (Some(Limit::Budget(exceeded)), false) = (&refusal, asked) {
                asked = true;
                let exceeded = exceeded.clone();
                drop(state);
                refusal = self.make_room(exceeded).err();
                state = self.state.lock();
            } else {
                state.calm = 0;
                return Attempt::Refused(refusal.unwrap_or(Limit::Capacity), state);
            }
        }
    }

    /// Takes an item out of the owner's magazines or the depot, if there is one;
    /// `fresh` says that items were created for this acquire.
    fn take(
        &self,
        state: &mut State,
        cache: Option<&Cache>,
        room: usize,
        fresh: bool,
    ) -> Option<Entry> {
        let usable = cache.filter(|cache| self.settle(state, cache));
        if !state.may_give(room) {
            return None;
        }
        let entry = match usable {
            Some(cache) => self.refill(state, cache)?,
            None => state.depot.pop()?,
        };
        let reason = match usable {
            _ if fresh => &mut state.tally.created_for,
            Some(_) => &mut state.tally.refilled,
            None => &mut state.tally.strict,
        };
        *reason += 1;
        state.note_outside();
        Some(entry)
    }

    /// Has the source create up to a magazine of items, and hands them to those
    /// who wait first. `Ok` without effect if somebody else was faster.
    #[cold]
    fn grow(&self, room: usize) -> Result<(), Limit> {
        let Some((created, wakes)) = self.create(|state| match state.depot.count() {
            0 => state.limit(room),
            _ => 0,
        })?
        else {
            return Ok(());
        };
        self.tell_of_growth(created, wakes);
        Ok(())
    }

    /// Wakes those who were served with new items, serves the others, and tells the
    /// hook. All of it is foreign code: nobody waits on because it panicked.
    fn tell_of_growth(&self, created: usize, wakes: Wakes) {
        let rest = Unserved(self);
        drop(wakes);
        self.serve();
        core::mem::forget(rest);
        self.tell(&Event::Grown { created });
    }

    /// Creates items until `items` exist, as far as the capacity allows, so that
    /// acquires need not; answers how many were created.
    ///
    /// # Errors
    ///
    /// Which limit of the source was hit. What was created by then stays.
    pub fn reserve(&self, items: usize) -> Result<usize, AcquireError> {
        let first = self.state.lock().created;
        let mut asked = false;
        loop {
            let made = self.create(|state| state.capacity.min(items));
            let refusal = match made {
                Ok(None) => return Ok(self.state.lock().created.saturating_sub(first)),
                Ok(Some((created, wakes))) => {
                    self.tell_of_growth(created, wakes);
                    continue;
                }
                Err(Limit::Budget(exceeded)) if !asked => {
                    asked = true;
                    self.make_room(exceeded).err()
                }
                Err(limit) => Some(limit),
            };
            if let Some(limit) = refusal {
                let state = self.state.lock();
                return Err(self.refuse(state, limit));
            }
        }
    }

    /// Makes others give back what the budget refused, by charging it with no
    /// lock held. It is refunded at once, so that whoever is first may use it.
    #[cold]
    fn make_room(&self, exceeded: BudgetExceeded) -> Result<(), Limit> {
        let Some(budget) = &self.budget else {
            return Err(Limit::Budget(exceeded));
        };
        let charge = budget.try_charge(exceeded.requested);
        charge.map(drop).map_err(Limit::Budget)
    }

    /// Has the source create items until `limit` exist, a magazine of them at
    /// most; answers how many exist, if it did, and whom to wake.
    fn create(&self, limit: impl FnOnce(&State) -> usize) -> Result<Option<(usize, Wakes)>, Limit> {
        let mut source = self.population.lock();
        let (capacity, existing, most) = {
            let mut state = self.state.lock();
            let limit = limit(&state);
            if state.closed || state.created >= limit {
                return Ok(None);
            }
            state.changing = true;
            (state.capacity, state.created, limit - state.created)
        };
        let changing = Changing(&self.state);
        let want = most.min(usize::from(self.rounds));
        let mut batch = Batch::new(want);
        let spare = self.fund(existing + want)?;
        source.create(want, most, &mut batch)?;
        core::mem::forget(spare);
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        state.tally.held_bytes = source.held_bytes();
        state.created += batch.len();
        state.tally.created += batch.len() as u64;
        if state.capacity < capacity {
            // Lowered while the source was at work, which had not counted yet.
            self.keep_capacity(&mut state);
        }
        for entry in batch.iter().rev() {
            if wakes.is_full() {
                state.depot.push(entry);
            } else if let Some(wake) = state.place(entry) {
                wakes.push(wake);
            }
        }
        let created = state.created;
        drop(state);
        drop(changing);
        Ok(Some((created, wakes)))
    }

    /// Creates items for those who wait, as far as a raised capacity allows.
    pub(super) fn fill_for_waiters(&self) {
        let rest = Unserved(self);
        loop {
            let state = self.state.lock();
            if state.waiters.is_empty() || state.created >= state.capacity {
                break;
            }
            drop(state);
            if self.grow(0).is_err() {
                break;
            }
        }
        core::mem::forget(rest);
    }

    /// Hands what lies in the depot to those who wait: after a change of the
    /// population, with no lock held, for it runs their wakers.
    pub(super) fn serve(&self) {
        let rest = Unserved(self);
        loop {
            let mut wakes = Wakes::new();
            let mut state = self.state.lock();
            while !state.waiters.is_empty() && !wakes.is_full() && state.may_give(0) {
                let Some(entry) = state.depot.pop() else {
                    break;
                };
                if let Some(wake) = state.place(entry) {
                    wakes.push(wake);
                }
            }
            drop(state);
            if wakes.is_empty() {
                break;
            }
        }
        core::mem::forget(rest);
    }

    /// Gives the depot room for so many items to come home, before there are as
    /// many. What it does not need goes if the answer is dropped: because there came
    /// no items, or a supplier of memory panicked.
    pub(super) fn fund(&self, items: usize) -> Result<Spare<'_, S>, Limit> {
        let spare = Spare(self);
        let rounds = usize::from(self.rounds);
        let bytes = Magazine::bytes(rounds);
        while self.state.lock().depot.slots() < items {
            if let Some(budget) = &self.budget {
                budget.charge_now(bytes).map_err(Limit::Budget)?;
            }
            let Some(magazine) = Magazine::allocate(rounds) else {
                self.refund(bytes);
                return Err(Limit::Memory { bytes });
            };
            let mut state = self.state.lock();
            state.tally.machinery_bytes += bytes;
            state.depot.fund(magazine);
        }
        Ok(spare)
    }
}

/// Waiters behind one whose waker panicked: they are served all the same.
struct Unserved<'e, S: Source>(&'e SharedEngine<S>);

impl<S: Source> Drop for Unserved<'_, S> {
    fn drop(&mut self) {
        self.0.serve();
        self.0.fill_for_waiters();
    }
}

/// Gives back the magazines that the depot does not need, when it is dropped.
pub(super) struct Spare<'e, S: Source>(&'e SharedEngine<S>);

impl<S: Source> Drop for Spare<'_, S> {
    #[cold]
    fn drop(&mut self) {
        let spare = self.0.state.lock().defund();
        self.0.free_magazines(spare);
    }
}

/// Says, for as long as it lives, that free items may be in the source's hands.
pub(super) struct Changing<'e>(pub(super) &'e Mutex<State>);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.lock().changing = false;
    }
}

impl State {
    /// How many items an acquire with `room` may bring into existence.
    fn limit(&self, room: usize) -> usize {
        self.capacity.saturating_add(room)
    }

    /// Whether a capacity that was lowered lets one more item be leased.
    fn may_give(&self, room: usize) -> bool {
        !self.shrinking || self.leased() < self.limit(room)
    }
}
