//! Members: pools on the heap as their budget sees them.
//!
//! ```text
//!   budget ──weak──▶ member ──▶ pool      asked: join, trim, leave
//!                      ▲          │
//!                      └──────────┘       taken out before the pool goes
//! ```
//!
//! A pool that counts its users itself cannot be held by the weak reference that a
//! budget wants, and its type may borrow. So the budget knows a small thing that
//! knows the pool for as long as there is one.

use crate::budget::{Budget, Membership, Reclaim};
use alloc::sync::{Arc, Weak};
use core::fmt;
use core::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A pool on the heap that lives for as long as somebody takes part in it.
///
/// # Safety
///
/// A pool that was joined is alive until it is left.
pub unsafe trait Joined {
    /// Takes part in the pool, if somebody still does.
    ///
    /// # Safety
    ///
    /// It is alive.
    unsafe fn join(pool: NonNull<Self>) -> bool;

    /// Gives back what lies free; answers the bytes.
    fn give_back(&self) -> usize;

    /// Ends one part, and perhaps the pool.
    ///
    /// # Safety
    ///
    /// The part is the caller's, who does not use the pool afterwards.
    unsafe fn leave(pool: NonNull<Self>);
}

/// The registration of a pool with a budget, which asks it to give back what it can
/// spare. Ends when it is dropped.
pub struct Member {
    known: Arc<Known>,
    _membership: Membership,
}

/// # Invariants
///
/// 1. While `pool` is present it is alive: it is taken out, under the lock, before
///    the pool goes.
struct Known {
    pool: Mutex<Option<Erased>>,
}

/// A pool whose type is forgotten, with what it does.
#[derive(Clone, Copy)]
struct Erased {
    pool: NonNull<()>,
    join: unsafe fn(NonNull<()>) -> bool,
    give_back: unsafe fn(NonNull<()>) -> usize,
    leave: unsafe fn(NonNull<()>),
}

// SAFETY: only pools that may be shared between threads are known.
unsafe impl Send for Erased {}

/// A part in a pool; dropping this ends it, also if giving back panics.
struct Part(Erased);

impl Drop for Part {
    fn drop(&mut self) {
        // SAFETY: joined by whoever made this, and left once.
        unsafe { (self.0.leave)(self.0.pool) };
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Option<Erased>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reclaim for Known {
    fn reclaim(&self, _: usize) -> usize {
        let pool = self.lock();
        let Some(this) = *pool else { return 0 };
        // SAFETY: alive by 1 while the lock is held.
        if !unsafe { (this.join)(this.pool) } {
            return 0;
        }
        drop(pool);
        let part = Part(this);
        // SAFETY: joined above, so alive.
        unsafe { (part.0.give_back)(part.0.pool) }
    }
}

impl Member {
    /// Registers a pool that does not exist yet: it is asked from [`Member::know`]
    /// on.
    #[must_use = "dropping it ends the membership"]
    pub fn of(budget: &Budget) -> Self {
        let known = Arc::new(Known {
            pool: Mutex::new(None),
        });
        let weak: Weak<dyn Reclaim> = Arc::downgrade(&known) as _;
        Self {
            _membership: budget.register(weak),
            known,
        }
    }

    /// From here on `pool` is asked.
    ///
    /// # Safety
    ///
    /// It may be shared between threads, and stays where it is and alive until
    /// [`Member::forget`].
    pub unsafe fn know<P: Joined>(&self, pool: NonNull<P>) {
        /// # Safety
        ///
        /// As [`Joined::join`], of a `P`.
        unsafe fn join<P: Joined>(pool: NonNull<()>) -> bool {
            // SAFETY: by the caller.
            unsafe { P::join(pool.cast()) }
        }

        /// # Safety
        ///
        /// `pool` is a live `P`.
        unsafe fn give_back<P: Joined>(pool: NonNull<()>) -> usize {
            // SAFETY: by the caller.
            unsafe { pool.cast::<P>().as_ref() }.give_back()
        }

        /// # Safety
        ///
        /// As [`Joined::leave`], of a `P`.
        unsafe fn leave<P: Joined>(pool: NonNull<()>) {
            // SAFETY: by the caller.
            unsafe { P::leave(pool.cast()) };
        }

        *self.known.lock() = Some(Erased {
            pool: pool.cast(),
            join: join::<P>,
            give_back: give_back::<P>,
            leave: leave::<P>,
        });
    }

    /// From here on nobody is asked: before the pool goes.
    pub fn forget(&self) {
        *self.known.lock() = None;
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").finish_non_exhaustive()
    }
}
