//! Releasing on the slow path.

use super::{CALM_RELEASES, SharedEngine, State};
use crate::cache::Cache;
use crate::engine::Released;
use crate::entry::Entry;
use crate::source::Source;
use crate::wait::{Turn, Wake};

impl<S: Source> SharedEngine<S> {
    /// As [`SharedEngine::release`], for a caller that has tried the fast path.
    ///
    /// # Safety
    ///
    /// As [`SharedEngine::release`].
    #[cold]
    #[inline(never)]
    pub unsafe fn release_slow(engine: *const Self, entry: Entry) -> Released {
        // SAFETY: alive by the caller, as long as the item is not home.
        let this = unsafe { &*engine };
        if let Some(cache) = this.behind_the_veil() {
            // SAFETY: this thread's own cache or the closed one; the item is the
            // caller's to give.
            if unsafe { Cache::push(cache, entry) } {
                return Released::Home;
            }
        }
        let cache = this.own_cache();
        if let Some(cache) = cache {
            // SAFETY: this thread's own cache; the item is the caller's to give.
            if unsafe { Cache::push_previous(cache, entry) } {
                return Released::Home;
            }
        }
        if !this.may_come_home(entry) {
            return Released::Home;
        }
        if let Some(cache) = cache.filter(|_| S::ADDRESSES) {
            // SAFETY: as above; entries are addresses.
            unsafe { Cache::claim(cache) };
        }
        let wake = {
            // In a scope of its own, and not an argument of `drop`: the guard
            // refers to the pool, which may go as soon as it is unlocked.
            let mut state = this.lock_for(cache);
            if let Some(cache) = cache.filter(|cache| this.settle(&mut state, cache)) {
                // SAFETY: not strict, so nobody waits; the item is the caller's.
                unsafe { this.stow(&mut state, cache, entry) };
                return Released::Home;
            }
            state.count_calm();
            match state.place(entry) {
                Some(wake) => wake,
                None => return state.released(),
            }
        };
        // Nothing of the pool is touched any more: whoever was served may be the
        // last to hold it.
        wake.wake();
        Released::Home
    }
}

impl State {
    /// Places one free item: with the first waiter, whom the caller wakes after
    /// unlocking, or in the depot: also if somebody waits, while more are leased
    /// than a capacity that was lowered.
    #[must_use]
    pub(super) fn place(&mut self, entry: Entry) -> Option<Wake> {
        // Not in the depot yet, so counted among the leased ones.
        if self.shrinking && self.leased() > self.capacity {
            self.depot.push(entry);
            return None;
        }
        // SAFETY: the lock is held: `self` is what it protects.
        match unsafe { self.waiters.decide_first(Turn::Given(entry)) } {
            Ok(wake) => {
                self.tally.handed_over += 1;
                self.note_outside();
                Some(wake)
            }
            Err(_) => {
                self.depot.push(entry);
                None
            }
        }
    }

    /// Notes how many items are outside the depot, after one was taken out.
    pub(super) fn note_outside(&mut self) {
        let outside = self.created - self.depot.count();
        self.tally.high_water = self.tally.high_water.max(outside);
    }

    /// Counts a release under the lock; enough of them without a failure let the
    /// caches of a strict pool open again.
    fn count_calm(&mut self) {
        if self.strict {
            self.calm = self.calm.saturating_add(1);
            self.strict = self.calm < CALM_RELEASES || !self.may_relax();
        }
    }

    /// Whether the caches of a strict pool may open again.
    fn may_relax(&self) -> bool {
        self.waiters.is_empty() && !self.closed && !self.pinned && !self.shrinking
    }

    /// Whether the item that came home was the last of an orphaned pool.
    pub(super) fn released(&self) -> Released {
        if self.orphaned && self.depot.count() == self.created {
            Released::Last
        } else {
            Released::Home
        }
    }
}
