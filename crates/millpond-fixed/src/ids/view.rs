//! Ways to look at the values of an id pool: all at rest, or one under a pin.

use super::IdPool;
use super::directory::{Cell, Directory, live};
use crate::pool::DefaultMode;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::Ordering;
use millpond_core::engine::{Mode, Shared};
use millpond_core::id::Id;

/// The values of an [`IdPool`] at rest: see [`IdPool::view`].
///
/// # Invariants
///
/// 1. `first` and `flat` are what the directory says, which does not change while
///    the pool is borrowed mutably for the view.
pub struct View<'v, T> {
    first: *const Cell<T>,
    flat: u32,
    directory: &'v Directory<T>,
    _values: PhantomData<&'v T>,
}

// SAFETY: a view is a `&T` to each of the values, and nothing is inserted or
// ended through it.
unsafe impl<T: Sync> Send for View<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for View<'_, T> {}

impl<'v, T> View<'v, T> {
    /// Of what is in `directory`, whose pool is borrowed mutably for `'v`.
    #[inline]
    pub(super) fn of(directory: &'v Directory<T>) -> Self {
        Self {
            first: directory.chunks[0].load(Ordering::Relaxed),
            flat: directory.flat.load(Ordering::Relaxed),
            directory,
            _values: PhantomData,
        }
    }

    /// The value that `id` names.
    #[inline(always)]
    #[must_use]
    pub fn get(self, id: Id<T>) -> Option<&'v T> {
        let index = id.raw().index();
        let cell = if index < self.flat {
            // SAFETY: below `flat`, so inside the first chunk (1).
            let cell = unsafe { self.first.add(index as usize) };
            // SAFETY: initialised, and alive as long as the pool is borrowed.
            unsafe { &*cell }
        } else {
            self.directory.cell_beyond(index)?
        };
        if !cell.tenancy.is_named_by(id.raw()) {
            return None;
        }
        // SAFETY: by 1 of the cell there is a value, and nothing ends or changes
        // it while the pool is borrowed mutably for the view.
        Some(unsafe { &*cell.value.get().cast::<T>() })
    }

    /// All values with their ids, in order of their slots.
    pub fn iter(self) -> impl Iterator<Item = (Id<T>, &'v T)> {
        live(self.directory).map(|(id, cell)| {
            // SAFETY: as for `get`.
            (id, unsafe { &*cell.value.get().cast::<T>() })
        })
    }
}

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for View<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A value that its id led to, and that lives at least as long as this.
///
/// # Invariants
///
/// 1. A pin of `cell` is counted for this.
#[must_use = "the value may go at once when its pin does"]
pub struct Pinned<'p, T, M: Mode = DefaultMode> {
    pub(super) pool: &'p IdPool<T, M>,
    pub(super) cell: &'p Cell<T>,
    pub(super) index: u32,
}

// SAFETY: it is a `&T`, and may be the last to end the value.
unsafe impl<T: Send + Sync> Send for Pinned<'_, T, Shared> {}
// SAFETY: through `&Pinned` nothing but `&T` can be reached.
unsafe impl<T: Sync, M: Mode> Sync for Pinned<'_, T, M> {}

impl<T, M: Mode> Deref for Pinned<'_, T, M> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: by 1 the value lives, and nobody changes it.
        unsafe { &*self.cell.value.get().cast::<T>() }
    }
}

impl<T, M: Mode> Drop for Pinned<'_, T, M> {
    #[inline]
    fn drop(&mut self) {
        // Counted (1), and ended here.
        if self.cell.tenancy.unpin() {
            // SAFETY: told so.
            unsafe { self.pool.finish(self.index, self.cell) };
        }
    }
}

impl<T: fmt::Debug, M: Mode> fmt::Debug for Pinned<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: fmt::Display, M: Mode> fmt::Display for Pinned<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
