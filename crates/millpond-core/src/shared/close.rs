//! Closing a pool, and dropping one whose items are still out.

use super::stop::Patience;
use super::{SharedEngine, State};
use crate::engine::Released;
use crate::source::Source;
use crate::sync::MutexGuard;
use crate::wait::Turn;
use core::ptr::NonNull;

impl<S: Source> SharedEngine<S> {
    /// Closes the pool: every later acquire fails, whoever waits is told so,
    /// and items come home under the lock. Closing twice changes nothing.
    pub fn close(&self) {
        drop(self.close_locked());
    }

    fn close_locked(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.closed = true;
        self.stop(&mut state, Patience::Endless);
        // SAFETY: the lock is held.
        while let Ok(wake) = unsafe { state.waiters.decide_first(Turn::Closed) } {
            drop(state);
            wake.wake();
            state = self.state.lock();
        }
        state
    }

    /// Closes the pool for its owner, who is about to let go of it. `Last`: all
    /// items are home, free the pool now. `Home`: some are out; whoever
    /// releases the last one gets the answer `Last` instead.
    ///
    /// Items that were forgotten keep the pool alive for ever.
    ///
    /// # Safety
    ///
    /// The engine is alive, and freed by nobody but whoever is told `Last`. That
    /// may be before this returns, hence no reference to it as an argument.
    pub unsafe fn orphan(engine: NonNull<Self>) -> Released {
        // SAFETY: alive until the lock is let go of at the end.
        let this = unsafe { engine.as_ref() };
        let mut state = this.close_locked();
        state.orphaned = true;
        state.released()
    }

    /// Whether the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}
