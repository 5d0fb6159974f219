//! Stop: the one control mechanism.
//!
//! Close every gate, run the process-wide barrier, wait for owners that are
//! inside an operation, empty every magazine into the depot. Exhaustion,
//! waiting, trimming, closing and diagnostics all begin with it. Owners find
//! their gates closed at the next operation and come to the lock; those of a
//! pool that is no longer strict open again there.

use super::owner::empty_into;
use super::{SharedEngine, State};
use crate::cache::Cache;
use crate::source::Source;
use crate::{barrier, sync, thread_id};
use core::time::Duration;

/// How long to wait for an owner that is inside an operation. It is there for
/// two nanoseconds, unless the scheduler took its processor away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Pass over a stuck cache, and remember that it was not looked at.
    Brief,
    /// Wait, for exhaustion may only be claimed of a pool that is known whole.
    Endless,
}

/// Looks at BUSY before the waiter yields, and before it sleeps.
const SPINS: u32 = 100;
const YIELDS: u32 = 200;

/// Sleep between looks at an owner that was not scheduled for hundreds of
/// yields: about the length of a short time slice.
const NAP: Duration = Duration::from_micros(50);

impl<S: Source> SharedEngine<S> {
    /// Stops the pool and leaves it strict; answers how many items were found
    /// in caches.
    pub(super) fn stop(&self, state: &mut State, patience: Patience) -> usize {
        state.strict = true;
        state.calm = 0;
        state.skipped = false;
        state.tally.stops += 1;
        for (_, cache) in self.table.iter() {
            cache.close();
        }
        barrier::everyone();
        let mut found = 0;
        for (_, cache) in self.table.iter() {
            if !await_idle(cache, patience) {
                state.skipped = true;
                continue;
            }
            // SAFETY: gate closed, barrier run, owner outside.
            found += unsafe { rob(state, cache) };
        }
        found
    }

    /// After a change of the capacity: if more items exist than it allows, no cache
    /// gives any until a trim or a higher one.
    pub(super) fn keep_capacity(&self, state: &mut State) {
        state.shrinking = state.created > state.capacity;
        if state.shrinking {
            self.stop(state, Patience::Endless);
        }
    }

    /// Empties the caches of threads that have ended, without a barrier: what
    /// a thread did happens before its id is free, and while the book of ids
    /// is held nobody else takes the id. Answers how many items were found.
    pub(super) fn sweep(&self, state: &mut State) -> usize {
        thread_id::with_ids(|ids| {
            if ids.deaths() == state.swept {
                return 0;
            }
            state.swept = ids.deaths();
            let mut found = 0;
            for (id, cache) in self.table.iter() {
                if !ids.is_taken(id) {
                    cache.close();
                    // SAFETY: nobody owns the cache, and nobody can come to
                    // own it before the book of ids is let go.
                    found += unsafe { rob(state, cache) };
                }
            }
            found
        })
    }
}

/// Empties a cache that is not the caller's to write: its owner will set the
/// length in the word.
///
/// # Safety
///
/// The lock is held and the contents are the caller's to touch.
unsafe fn rob(state: &mut State, cache: &Cache) -> usize {
    if cache.is_stolen() {
        return 0;
    }
    cache.set_stolen(true);
    // SAFETY: by the caller.
    unsafe { empty_into(state, cache) }
}

/// Waits until the owner is outside. `false`: it is not, and patience is at an
/// end.
fn await_idle(cache: &Cache, patience: Patience) -> bool {
    let mut looks = 0u32;
    while !cache.is_idle() {
        match looks {
            0..SPINS => sync::spin(),
            SPINS..YIELDS => sync::yield_now(),
            _ if patience == Patience::Brief => return false,
            _ => sync::sleep(NAP),
        }
        looks = looks.saturating_add(1);
    }
    true
}
