//! Releasing on the slow path.

use super::{CALM_RELEASES, SharedEngine, State};
use crate::cache::Cache;
use crate::engine::Released;
use crate::entry::Entry;
use crate::source::Source;
use crate::wait::{Turn, Wake};

impl<S: Source> SharedEngine<S> {
    /// # Safety
    ///
    /// As [`SharedEngine::release`].
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn release_slow(engine: *const Self, entry: Entry) -> Released {
        // SAFETY: alive by the caller, as long as the item is not home.
        let this = unsafe { &*engine };
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
        let mut state = this.lock_for(cache);
        if let Some(cache) = cache.filter(|cache| this.settle(&mut state, cache)) {
            // SAFETY: not strict, so nobody waits; the item is the caller's.
            unsafe { this.stow(&mut state, cache, entry) };
            return Released::Home;
        }
        if state.strict {
            state.calm = state.calm.saturating_add(1);
            if state.calm >= CALM_RELEASES && state.may_relax() {
                state.strict = false;
            }
        }
        // After this nothing of the pool is touched any more: whoever gets the
        // item may be the last to hold it.
        let wake = state.place(entry);
        let released = state.released();
        drop(state);
        match wake {
            None => released,
            Some(wake) => {
                wake.wake();
                Released::Home
            }
        }
    }
}

impl State {
    /// Places one free item: with the first waiter, whom the caller wakes after
    /// unlocking, or in the depot.
    #[must_use]
    pub(super) fn place(&mut self, entry: Entry) -> Option<Wake> {
        // SAFETY: the lock is held: `self` is what it protects.
        match unsafe { self.waiters.decide_first(Turn::Given(entry)) } {
            Ok(wake) => {
                self.tally.handed_over += 1;
                self.count_acquire();
                Some(wake)
            }
            Err(_) => {
                self.depot.push(entry);
                None
            }
        }
    }

    /// Counts an acquire under the lock, after the item was taken out.
    pub(super) fn count_acquire(&mut self) {
        self.tally.acquires += 1;
        let outside = self.created - self.depot.count();
        self.tally.high_water = self.tally.high_water.max(outside);
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
