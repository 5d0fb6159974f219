//! Waiting for an item, in a task.

use super::SharedEngine;
use super::acquire::Attempt;
use super::wait::Given;
use crate::entry::Entry;
use crate::error::{AcquireError, Limit};
use crate::source::Source;
use crate::wait::{Node, Turn, Wake};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};
use std::time::Instant;

/// A future for one item, made by [`SharedEngine::acquire_async`].
///
/// It allocates nothing: its place in the queue is inside it. Dropping it is
/// safe at any time: it leaves the queue, and an item that was already handed
/// to it goes to the next waiter.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'e, S: Source> {
    engine: &'e SharedEngine<S>,
    room: usize,
    node: Node,
    /// Since when it stands in the queue, if it does.
    queued: Option<Instant>,
}

impl<S: Source> SharedEngine<S> {
    /// Acquires an item, waiting for one without blocking the thread. Items go
    /// to waiters in the order in which they came.
    pub fn acquire_async(&self, room: usize) -> Acquire<'_, S> {
        Acquire {
            engine: self,
            room,
            node: Node::new(),
            queued: None,
        }
    }
}

impl<S: Source> Acquire<'_, S> {
    /// First poll: takes an item or enqueues, and then takes `wake`.
    fn begin(&mut self, wake: &mut Option<Wake>) -> Poll<Result<Entry, AcquireError>> {
        let began = Instant::now();
        let (limit, mut state) = match self.engine.attempt(self.room) {
            Attempt::Given(entry) => return Poll::Ready(Ok(entry)),
            Attempt::Refused(limit, state) => (limit, state),
        };
        if !limit.is_worth_waiting(state.created) {
            return Poll::Ready(Err(self.engine.refuse(state, limit)));
        }
        let Some(wake) = wake.take() else {
            unreachable!("a poll has a waker");
        };
        state.tally.waits += 1;
        // SAFETY: the lock is held; this future is pinned, and unlinks the node
        // in its destructor.
        unsafe { state.waiters.push(NonNull::from(&self.node), wake) };
        self.queued = Some(began);
        Poll::Pending
    }

    /// Later polls: sees whether the turn has come; if not, leaves in `wake` the one
    /// of the last poll.
    fn proceed(
        &mut self,
        since: Instant,
        wake: &mut Option<Wake>,
    ) -> Poll<Result<Entry, AcquireError>> {
        let mut state = self.engine.state.lock();
        // SAFETY: the lock is held.
        let Some(turn) = (unsafe { self.node.take() }) else {
            // SAFETY: the lock is held.
            *wake = wake.take().map(|wake| unsafe { self.node.rewake(wake) });
            return Poll::Pending;
        };
        self.queued = None;
        state.count_wait(since.elapsed());
        Poll::Ready(match turn {
            Turn::Given(entry) => Ok(entry),
            Turn::Closed | Turn::Idle | Turn::Waiting(_) => {
                Err(self.engine.refuse(state, Limit::Closed))
            }
        })
    }
}

impl<S: Source> Future for Acquire<'_, S> {
    type Output = Result<Entry, AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the node is not moved out of; no other field is pinned.
        let this = unsafe { self.get_unchecked_mut() };
        if this.queued.is_none() {
            if let Some(entry) = this.engine.try_pop() {
                return Poll::Ready(Ok(entry));
            }
        }
        // Cloned before the lock, and dropped after it: wakers are foreign code.
        let mut wake = Some(Wake::Task(cx.waker().clone()));
        let polled = match this.queued {
            Some(since) => this.proceed(since, &mut wake),
            None => this.begin(&mut wake),
        };
        if let Poll::Ready(Ok(entry)) = polled {
            let given = Given::new(this.engine, entry);
            drop(wake);
            core::mem::forget(given);
        }
        polled
    }
}

impl<S: Source> Drop for Acquire<'_, S> {
    fn drop(&mut self) {
        let Some(since) = self.queued else { return };
        let mut state = self.engine.state.lock();
        // SAFETY: the lock is held; if waiting, the node is in this queue.
        let wake = unsafe { state.waiters.unlink(NonNull::from(&self.node), Turn::Idle) };
        // SAFETY: the lock is held.
        let turn = unsafe { self.node.take() };
        state.count_wait(since.elapsed());
        drop(state);
        drop(wake);
        if let Some(Turn::Given(entry)) = turn {
            // SAFETY: handed to this future and used by nobody. The engine is
            // borrowed, so its owner has not let go of it: never the last.
            let _ = unsafe { SharedEngine::release(self.engine, entry) };
        }
    }
}

impl<S: Source> fmt::Debug for Acquire<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("queued", &self.queued.is_some())
            .finish_non_exhaustive()
    }
}
