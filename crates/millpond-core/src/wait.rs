//! The queue of those who wait for an item: first in, first out.
//!
//! A waiter enqueues under the pool's lock, and only after a stop that found
//! nothing, so no release can slip past it: until the queue is empty again
//! every release takes the lock and finds the first waiter. Hand-off, time-out
//! and cancellation are all decided under that one lock; whoever hands an item
//! over wakes the waiter after unlocking.

use crate::entry::Entry;
use crate::sync::{Thread, UnsafeCell};
use core::marker::PhantomPinned;
use core::ptr::{self, NonNull};
use core::task::Waker;

/// How to tell a waiter that its turn has come.
#[derive(Debug)]
pub(crate) enum Wake {
    Thread(Thread),
    Task(Waker),
}

impl Wake {
    /// Runs foreign code (a waker): never under a lock.
    pub(crate) fn wake(self) {
        match self {
            Self::Thread(thread) => thread.unpark(),
            Self::Task(waker) => waker.wake(),
        }
    }
}

/// Where a waiter stands.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Not in the queue, nothing received.
    Idle,
    /// In the queue.
    Waiting(Wake),
    /// Out of the queue, with an item that is this waiter's to use or release.
    Given(Entry),
    /// Out of the queue: the pool was closed.
    Closed,
}

#[derive(Debug)]
struct Links {
    before: *const Node,
    behind: *const Node,
    turn: Turn,
}

/// One waiter. It lives where the waiter lives (a stack frame, a future), so
/// that waiting allocates nothing.
///
/// # Invariants
///
/// 1. `links` is touched only under the lock of the pool waited for.
/// 2. While `turn` is `Waiting` the node is in that pool's queue, neither moves
///    nor goes away; its owner unlinks it first.
#[derive(Debug)]
pub(crate) struct Node {
    links: UnsafeCell<Links>,
    _pinned: PhantomPinned,
}

// SAFETY: by 1 a lock orders every access.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) fn new() -> Self {
        Self {
            links: UnsafeCell::new(Links {
                before: ptr::null(),
                behind: ptr::null(),
                turn: Turn::Idle,
            }),
            _pinned: PhantomPinned,
        }
    }

    /// # Safety
    ///
    /// The caller holds the lock of the pool waited for, and does not use any
    /// node inside `f`.
    unsafe fn links<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        self.links.with_mut(|links| {
            // SAFETY: by 1 and the caller, one user at a time.
            f(unsafe { &mut *links })
        })
    }

    /// Takes the turn if it is decided; `None` while waiting.
    ///
    /// # Safety
    ///
    /// The caller holds the lock of the pool waited for.
    pub(crate) unsafe fn take(&self) -> Option<Turn> {
        // SAFETY: by the caller.
        unsafe {
            self.links(|links| match links.turn {
                Turn::Waiting(_) => None,
                _ => Some(core::mem::replace(&mut links.turn, Turn::Idle)),
            })
        }
    }

    /// Replaces how a waiting node is woken. Answers what is left over, to be
    /// dropped after unlocking: wakers are foreign code.
    ///
    /// # Safety
    ///
    /// The caller holds the lock of the pool waited for.
    pub(crate) unsafe fn rewake(&self, wake: Wake) -> Wake {
        // SAFETY: by the caller.
        unsafe {
            self.links(|links| match &mut links.turn {
                Turn::Waiting(old) => core::mem::replace(old, wake),
                _ => wake,
            })
        }
    }
}

/// # Invariants
///
/// 1. `first` and `last` are both null or both in the queue, which is a doubly
///    linked list of waiting nodes, and so by `Node` 2 alive.
#[derive(Debug)]
pub(crate) struct Queue {
    first: *const Node,
    last: *const Node,
    len: usize,
}

// SAFETY: it is a part of what the pool's lock protects, and so are the nodes.
unsafe impl Send for Queue {}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            first: ptr::null(),
            last: ptr::null(),
            len: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Enqueues `node` at the end.
    ///
    /// # Safety
    ///
    /// Under the lock; `node` is idle, and stays in place until its turn is no
    /// longer `Waiting`.
    pub(crate) unsafe fn push(&mut self, node: NonNull<Node>, wake: Wake) {
        let before = self.last;
        // SAFETY: alive by the caller.
        let this = unsafe { node.as_ref() };
        // SAFETY: under the lock.
        unsafe {
            this.links(|links| {
                debug_assert!(
                    matches!(links.turn, Turn::Idle),
                    "a node waits once at a time"
                );
                links.before = before;
                links.behind = ptr::null();
                links.turn = Turn::Waiting(wake);
            });
        }
        match NonNull::new(before.cast_mut()) {
            None => self.first = node.as_ptr(),
            // SAFETY: in the queue; under the lock.
            Some(before) => unsafe { set_behind(before, node.as_ptr()) },
        }
        self.last = node.as_ptr();
        self.len += 1;
    }

    /// Takes the first waiter out and decides its turn.
    ///
    /// # Safety
    ///
    /// Under the lock.
    pub(crate) unsafe fn decide_first(&mut self, turn: Turn) -> Result<Wake, Turn> {
        let Some(first) = NonNull::new(self.first.cast_mut()) else {
            return Err(turn);
        };
        // SAFETY: in the queue, and under the lock.
        match unsafe { self.unlink(first, turn) } {
            Some(wake) => Ok(wake),
            None => unreachable!("what is in the queue is waiting"),
        }
    }

    /// Takes `node` out if it is waiting, leaving it with `turn`.
    ///
    /// # Safety
    ///
    /// Under the lock; `node` is alive and, if waiting, in this queue.
    pub(crate) unsafe fn unlink(&mut self, node: NonNull<Node>, turn: Turn) -> Option<Wake> {
        // SAFETY: alive by the caller.
        let this = unsafe { node.as_ref() };
        // SAFETY: under the lock.
        let (before, behind, wake) = unsafe {
            this.links(|links| match links.turn {
                Turn::Waiting(_) => {
                    let Turn::Waiting(wake) = core::mem::replace(&mut links.turn, turn) else {
                        unreachable!("matched above");
                    };
                    Some((links.before, links.behind, wake))
                }
                _ => None,
            })
        }?;
        match NonNull::new(before.cast_mut()) {
            None => self.first = behind,
            // SAFETY: in the queue; under the lock.
            Some(before) => unsafe { set_behind(before, behind) },
        }
        match NonNull::new(behind.cast_mut()) {
            None => self.last = before,
            // SAFETY: in the queue; under the lock.
            Some(behind) => unsafe { set_before(behind, before) },
        }
        self.len -= 1;
        Some(wake)
    }
}

/// # Safety
///
/// Under the lock; `node` is in the queue, and so alive.
unsafe fn set_behind(node: NonNull<Node>, behind: *const Node) {
    // SAFETY: alive by the caller.
    let node = unsafe { node.as_ref() };
    // SAFETY: under the lock.
    unsafe { node.links(|links| links.behind = behind) };
}

/// # Safety
///
/// Under the lock; `node` is in the queue, and so alive.
unsafe fn set_before(node: NonNull<Node>, before: *const Node) {
    // SAFETY: alive by the caller.
    let node = unsafe { node.as_ref() };
    // SAFETY: under the lock.
    unsafe { node.links(|links| links.before = before) };
}

/// Waiters whose turn was decided under the lock, to be woken after unlocking.
/// Wakers are foreign code: if one panics, the others are woken all the same.
pub(crate) struct Wakes {
    wakes: [Option<Wake>; Self::ROOM],
    len: usize,
}

impl Wakes {
    /// Turns that are decided at one go.
    const ROOM: usize = 32;

    pub(crate) const fn new() -> Self {
        Self {
            wakes: [const { None }; Self::ROOM],
            len: 0,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len == Self::ROOM
    }

    /// # Panics
    ///
    /// If it is full.
    pub(crate) fn push(&mut self, wake: Wake) {
        self.wakes[self.len] = Some(wake);
        self.len += 1;
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        /// Wakes who is left, also when a waker before them panicked; a second
        /// panic then aborts, as any panic in a destructor does.
        struct Rest<'w>(core::slice::IterMut<'w, Option<Wake>>);

        impl Rest<'_> {
            fn wake(&mut self) {
                self.0
                    .by_ref()
                    .filter_map(Option::take)
                    .for_each(Wake::wake);
            }
        }

        impl Drop for Rest<'_> {
            fn drop(&mut self) {
                self.wake();
            }
        }

        Rest(self.wakes[..self.len].iter_mut()).wake();
    }
}
