//! The one door to atomics, locks and thread locals.
//!
//! Everything that two threads may touch is written against these names, so
//! that a build with `--cfg millpond_loom` runs the very same code inside the
//! loom model checker.

#[cfg(not(millpond_loom))]
mod real {
    pub(crate) use core::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence,
    };
    #[cfg(not(miri))]
    pub(crate) use parking_lot::{Mutex, MutexGuard};

    /// `parking_lot` parks threads by way of integers that it turns back into
    /// pointers, which strict provenance forbids: under Miri the standard
    /// library's mutex stands in.
    #[cfg(miri)]
    pub(crate) use super::miri::{Mutex, MutexGuard};

    /// A cell whose accesses loom can watch; here it is a plain cell.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    pub(crate) fn spin() {
        core::hint::spin_loop();
    }

    pub(crate) use std::thread::{Thread, current, park, park_timeout, sleep, yield_now};
}

#[cfg(miri)]
mod miri {
    pub(crate) use std::sync::MutexGuard;

    /// The standard mutex with the interface of `parking_lot`, poisoning left
    /// out.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0
                .get_mut()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

#[cfg(millpond_loom)]
mod model {
    pub(crate) use core::sync::atomic::Ordering;
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, fence};
    pub(crate) use loom::thread::{Thread, current, park, yield_now};

    /// loom's mutex with the interface of `parking_lot`: a panic in a model
    /// ends the model, so poisoning carries no news.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a model does not go on after a panic")
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0
                .get_mut()
                .expect("a model does not go on after a panic")
        }
    }

    /// Models have no clock: spinning, sleeping and timing out all mean
    /// "let somebody else run".
    pub(crate) fn spin() {
        yield_now();
    }

    pub(crate) fn sleep(_: core::time::Duration) {
        yield_now();
    }

    pub(crate) fn park_timeout(_: core::time::Duration) {
        yield_now();
    }
}

#[cfg(millpond_loom)]
pub(crate) use model::*;
#[cfg(not(millpond_loom))]
pub(crate) use real::*;

/// A function that is `const`, except in models: loom's types are made at run
/// time.
macro_rules! const_unless_model {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => {
        #[cfg(not(millpond_loom))]
        $(#[$meta])*
        #[must_use]
        $vis const fn $($rest)*
        #[cfg(millpond_loom)]
        $(#[$meta])*
        #[must_use]
        $vis fn $($rest)*
    };
}
pub(crate) use const_unless_model;
