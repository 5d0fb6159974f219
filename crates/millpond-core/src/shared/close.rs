//! Closing a pool, and dropping one whose items are still out.

use super::stop::Patience;
use super::{SharedEngine, State};
use crate::engine::Released;
use crate::event::Event;
use crate::source::Source;
use crate::sync::MutexGuard;
use crate::wait::{Turn, Wakes};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl<S: Source> SharedEngine<S> {
    /// Closes the pool: every later acquire fails, whoever waits is told so,
    /// and items come home under the lock. Closing twice changes nothing.
    pub fn close(&self) {
        let state = self.close_locked();
        let leased = state.leased();
        drop(state);
        self.tell(&Event::Closed { leased });
    }

    fn close_locked(&self) -> MutexGuard<'_, State> {
        let rest = Unheard(self);
        loop {
            let mut wakes = Wakes::new();
            let mut state = self.state.lock();
            state.closed = true;
            self.stop(&mut state, Patience::Endless);
            while !wakes.is_full() {
                // SAFETY: the lock is held.
                match unsafe { state.waiters.decide_first(Turn::Closed) } {
                    Ok(wake) => wakes.push(wake),
                    Err(_) => break,
                }
            }
            if wakes.is_empty() {
                core::mem::forget(rest);
                return state;
            }
            drop(state);
        }
    }

    /// Closes the pool for its owner, who is about to let go of it. `Last`: all
    /// items are home, free the pool now. `Home`: some are out; whoever
    /// releases the last one gets the answer `Last` instead.
    ///
    /// Items that were forgotten keep the pool alive for ever. A hook that panics
    /// when it is told does no harm, and nobody hears of it.
    ///
    /// # Safety
    ///
    /// `engine` is alive, and nobody acquires from it or looks at it any more.
    pub unsafe fn orphan(engine: *const Self) -> Released {
        // SAFETY: alive by the caller. Not an argument, which would promise
        // that it outlives the call: the last lease may free it meanwhile.
        let this = unsafe { &*engine };
        let leased = this.close_locked().leased();
        // Told while the pool certainly lives: once it is marked below, the
        // last lease may take it away. Which it does also if the hook panics:
        // there is nobody left who could.
        let tell = || this.tell(&Event::Closed { leased });
        let _panic = catch_unwind(AssertUnwindSafe(tell));
        let mut state = this.state.lock();
        state.orphaned = true;
        state.released()
    }

    /// Whether the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

/// Waiters behind one whose waker panicked: they are told all the same.
struct Unheard<'e, S: Source>(&'e SharedEngine<S>);

impl<S: Source> Drop for Unheard<'_, S> {
    #[cold]
    fn drop(&mut self) {
        drop(self.0.close_locked());
    }
}
