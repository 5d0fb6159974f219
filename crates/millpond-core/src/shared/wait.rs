//! Waiting for an item, in a thread that blocks.

use super::acquire::Attempt;
use super::{SharedEngine, State};
use crate::entry::Entry;
use crate::error::{AcquireError, Limit};
use crate::event::Event;
use crate::source::Source;
use crate::sync;
use crate::wait::{Node, Turn, Wake};
use core::pin::pin;
use core::ptr::NonNull;
use core::time::Duration;
use std::time::Instant;

impl<S: Source> SharedEngine<S> {
    /// Acquires an item, waiting up to `timeout` for one (`None`: for ever).
    /// Items go to waiters in the order in which they came.
    ///
    /// # Errors
    ///
    /// `Limit::Deadline`, or `Limit::Closed` if the pool was closed meanwhile.
    #[cold]
    #[inline(never)]
    pub fn acquire_waiting(
        &self,
        room: usize,
        timeout: Option<Duration>,
    ) -> Result<Entry, AcquireError> {
        // A deadline that no clock reaches is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let began = Instant::now();
        // Taken before the lock, for it may allocate.
        let thread = sync::current();
        let (limit, mut state) = match self.attempt(room) {
            Attempt::Given(entry) => return Ok(entry),
            Attempt::Refused(limit, state) => (limit, state),
        };
        if !limit.is_worth_waiting(state.created) {
            return Err(self.refuse(state, limit));
        }
        let node = pin!(Node::new());
        let node = NonNull::from(&*node);
        state.tally.waits += 1;
        // SAFETY: the lock is held; the node is pinned in this frame, which is
        // left only after its turn was decided or it was unlinked.
        unsafe { state.waiters.push(node, Wake::Thread(thread)) };
        drop(state);
        loop {
            let in_time = park_until(deadline);
            let mut state = self.state.lock();
            // SAFETY: the node is in this frame.
            let waiter = unsafe { node.as_ref() };
            // SAFETY: the lock is held.
            let mut turn = unsafe { waiter.take() };
            if turn.is_none() && !in_time {
                // SAFETY: as above; waiting, so in this pool's queue.
                unsafe { state.waiters.unlink(node, Turn::Idle) };
                turn = Some(Turn::Idle);
            }
            let Some(turn) = turn else { continue };
            let time = began.elapsed();
            state.count_wait(time);
            let limit = match turn {
                Turn::Given(entry) => {
                    drop(state);
                    let given = Given::new(self, entry);
                    self.tell(&Event::Waited { time });
                    core::mem::forget(given);
                    return Ok(entry);
                }
                Turn::Closed => Limit::Closed,
                Turn::Idle | Turn::Waiting(_) => {
                    state.tally.timeouts += 1;
                    Limit::Deadline
                }
            };
            return Err(self.refuse(state, limit));
        }
    }
}

impl State {
    /// Counts the time that somebody waited, whatever came of it.
    pub(super) fn count_wait(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.tally.wait_ns = self.tally.wait_ns.saturating_add(nanos);
    }
}

/// An item that was handed over, until its new holder has it: foreign code that
/// panics gives it back.
pub(super) struct Given<'e, S: Source> {
    engine: &'e SharedEngine<S>,
    entry: Entry,
}

impl<'e, S: Source> Given<'e, S> {
    #[inline(always)]
    pub(super) const fn new(engine: &'e SharedEngine<S>, entry: Entry) -> Self {
        Self { engine, entry }
    }
}

impl<S: Source> Drop for Given<'_, S> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: handed over and used by nobody. The engine is borrowed, so its
        // owner has not let go of it: never the last.
        let _ = unsafe { SharedEngine::release(self.engine, self.entry) };
    }
}

/// Parks until somebody unparks this thread or the deadline has passed; answers
/// whether it has not. May return early, as parking may.
fn park_until(deadline: Option<Instant>) -> bool {
    let Some(deadline) = deadline else {
        sync::park();
        return true;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return false;
    }
    sync::park_timeout(left);
    true
}
