//! Releasing on the slow path.

use super::{CALM_RELEASES, SharedEngine, State};
use crate::engine::Released;
use crate::entry::Entry;
use crate::source::Source;
use crate::sync::MutexGuard;
use crate::wait::{Turn, Wake};

impl<S: Source> SharedEngine<S> {
    /// # Safety
    ///
    /// As [`SharedEngine::release`].
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn release_slow(&self, entry: Entry) -> Released {
        let cache = self.own_cache();
        if let Some(cache) = cache {
            // SAFETY: this thread's own cache; the item is the caller's to give.
            if unsafe { cache.push_previous(entry) } {
                return Released::Home;
            }
        }
        let mut state = self.lock_for(cache);
        if let Some(cache) = cache.filter(|cache| self.settle(&mut state, cache)) {
            // SAFETY: not strict, so nobody waits; the item is the caller's.
            unsafe { self.stow(&mut state, cache, entry) };
            return Released::Home;
        }
        if state.strict {
            state.calm += 1;
            if state.calm >= CALM_RELEASES && state.may_relax() {
                state.strict = false;
            }
        }
        self.bring_home(state, entry)
    }

    /// Gives the item to whoever waits longest, else puts it into the depot.
    ///
    /// After a hand-over nothing of the pool is touched any more: the one who
    /// was served may be the last to hold it.
    fn bring_home(&self, mut state: MutexGuard<'_, State>, entry: Entry) -> Released {
        match state.place(entry) {
            Some(wake) => {
                drop(state);
                wake.wake();
                Released::Home
            }
            None => state.released(),
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
                self.tally.acquires += 1;
                Some(wake)
            }
            Err(_) => {
                self.depot.push(entry);
                None
            }
        }
    }

    /// Whether the caches of a strict pool may open again.
    fn may_relax(&self) -> bool {
        self.waiters.is_empty() && !self.closed && !self.pinned && !self.skipped
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
