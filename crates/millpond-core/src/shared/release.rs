//! Releasing on the slow path.

use super::{CALM_RELEASES, SharedEngine, State};
use crate::cache::Cache;
use crate::engine::Released;
use crate::entry::Entry;
use crate::source::Source;
use crate::wait::{Turn, Wake};
use core::ptr::NonNull;

impl<S: Source> SharedEngine<S> {
    /// # Safety
    ///
    /// As [`SharedEngine::release`].
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn release_slow(engine: NonNull<Self>, entry: Entry) -> Released {
        // SAFETY: alive while the item is not home. The reference is no argument
        // and no guard is one below, for they would outlive the unlocking, and
        // with it perhaps the pool.
        let this = unsafe { engine.as_ref() };
        let cache = this.own_cache();
        if let Some(cache) = cache {
            // SAFETY: this thread's own cache; the item is the caller's to give.
            if unsafe { Cache::push_previous(NonNull::from(cache), entry) } {
                return Released::Home;
            }
        }
        let wake = {
            let mut state = this.lock_for(cache);
            if let Some(cache) = cache.filter(|cache| this.settle(&mut state, cache)) {
                // SAFETY: not strict, so nobody waits; the item is the caller's.
                unsafe { this.stow(&mut state, cache, entry) };
                return Released::Home;
            }
            if state.strict {
                state.calm += 1;
                if state.calm >= CALM_RELEASES && state.may_relax() {
                    state.strict = false;
                }
            }
            match state.place(entry) {
                Some(wake) => wake,
                None => return state.released(),
            }
        };
        // Nothing of the pool is touched any more: the one who was served may
        // be the last to hold it.
        wake.wake();
        Released::Home
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
