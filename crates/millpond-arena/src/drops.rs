//! What runs when a lease ends: destructors and callbacks, last in, first out.
//!
//! ```text
//!   last ──► ┌──────────┬───────┐     ┌──────────┬───────┐
//!            │ before ──┼───────┼──►  │ before   │ value │ ──► none
//!            │ run      │ value │     │ run      │       │
//!            └──────────┴───────┘     └──────────┴───────┘
//! ```

use crate::arena::{Arena, DROPS};
use crate::error::ArenaFull;
use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;
use std::any::Any;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The list of an arena.
///
/// # Invariants
///
/// 1. Each link is the head of a [`Linked`] in the memory of the arena whose value
///    is there and has not been run.
#[derive(Default)]
pub(crate) struct Drops {
    last: Cell<Option<NonNull<Link>>>,
    /// What user code panicked with where nobody could be told: told when the lease
    /// ends.
    panic: Cell<Option<Panic>>,
}

#[derive(Debug)]
struct Link {
    before: Option<NonNull<Link>>,
    /// Ends the value behind the link.
    run: unsafe fn(NonNull<Link>),
}

/// A value with its link.
#[repr(C)]
struct Linked<T> {
    link: Link,
    value: T,
}

/// What user code panicked with.
pub(crate) type Panic = Box<dyn Any + Send>;

impl Drops {
    /// Calls user code. If it panics, that is kept until the lease ends, unless
    /// something panicked before.
    pub(crate) fn survive(&self, call: impl FnOnce()) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(call)) else {
            return;
        };
        match self.panic.take() {
            None => self.panic.set(Some(panic)),
            first => {
                self.panic.set(first);
                // What a panic carries may panic when it is dropped: that is the end of it.
                if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                    core::mem::forget(another);
                }
            }
        }
    }

    /// The first panic since it was last asked for.
    pub(crate) fn take_panic(&self) -> Option<Panic> {
        self.panic.take()
    }
}

impl Arena {
    /// Puts `value` into the arena; its destructor runs when the lease ends.
    pub(crate) fn allocate_drop<T: Send + 'static>(
        &self,
        value: T,
    ) -> Result<NonNull<T>, ArenaFull> {
        unsafe fn run<T>(link: NonNull<Link>) {
            // SAFETY: the link is the head of a `Linked<T>` that was not run (1).
            let value = unsafe { &raw mut (*link.cast::<Linked<T>>().as_ptr()).value };
            // SAFETY: as above, and it is not used afterwards.
            unsafe { value.drop_in_place() };
        }
        self.link(value, run::<T>)
    }

    /// Calls `callback` when the lease ends.
    pub(crate) fn defer(&self, callback: impl FnOnce() + Send + 'static) -> Result<(), ArenaFull> {
        unsafe fn run<F: FnOnce()>(link: NonNull<Link>) {
            // SAFETY: the link is the head of a `Linked` that was not run (1).
            let place = unsafe { &raw mut (*link.cast::<Linked<Option<F>>>().as_ptr()).value };
            // SAFETY: as above; nobody else looks at it.
            if let Some(callback) = unsafe { place.replace(None) } {
                callback();
            }
        }
        fn runs<F: FnOnce()>(_: &Option<F>) -> unsafe fn(NonNull<Link>) {
            run::<F>
        }
        // What is refused is dropped, as any value is.
        let callback = Some(callback);
        let run = runs(&callback);
        match self.link(callback, run) {
            Ok(_) => Ok(()),
            Err(full) => Err(full),
        }
    }

    fn link<T>(&self, value: T, run: unsafe fn(NonNull<Link>)) -> Result<NonNull<T>, ArenaFull> {
        let place = self
            .allocate(Layout::new::<Linked<T>>())?
            .cast::<Linked<T>>();
        let link = Link {
            before: self.drops.last.get(),
            run,
        };
        // SAFETY: just allocated with the layout of what is written.
        unsafe { place.write(Linked { link, value }) };
        self.drops.last.set(Some(place.cast()));
        self.raise(DROPS);
        // SAFETY: a field of a live place.
        let value = unsafe { &raw mut (*place.as_ptr()).value };
        // SAFETY: a field of something that is not null.
        Ok(unsafe { NonNull::new_unchecked(value) })
    }

    /// Runs everything on the list, all of it even if some panics.
    ///
    /// The caller has exclusive use of the arena: nobody looks at the values.
    pub(crate) fn run_drops(&self) {
        while let Some(link) = self.drops.last.get() {
            // SAFETY: on the list, so alive (1).
            let Link { before, run } = unsafe { link.read() };
            // Off the list before it runs.
            self.drops.last.set(before);
            // SAFETY: it was on the list until now, so it was not run (1).
            self.drops.survive(|| unsafe { run(link) });
        }
    }
}
