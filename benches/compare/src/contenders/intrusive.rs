//! A bare intrusive free list for one thread: the least that a pool can do.
//!
//! No counter, no check that an item belongs here, no `Send`: the yardstick for
//! our single-thread pool, not something that we would publish.
//!
//! ```text
//!  head ─▶ ┌──────┐   ┌──────┐   ┌──────┐
//!          │ next ┼──▶│ next ┼──▶│ null │     a free slot's first word is the link
//!          └──────┘   └──────┘   └──────┘
//! ```

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

#[repr(C)]
union Slot<T: Copy> {
    next: *mut Slot<T>,
    _value: MaybeUninit<T>,
}

/// Slots of `T` on a free list.
///
/// # Invariants
/// 1. Every slot reachable from `head` is in `slots`, is on the list once, and holds `next`.
/// 2. A slot that is not reachable belongs to exactly one [`Held`].
/// 3. `slots` is never resized.
pub struct FreeList<T: Copy> {
    head: Cell<*mut Slot<T>>,
    _slots: Box<[UnsafeCell<Slot<T>>]>,
}

impl<T: Copy> FreeList<T> {
    /// A list of `capacity` free slots.
    pub fn new(capacity: usize) -> Self {
        let empty = || {
            UnsafeCell::new(Slot {
                next: ptr::null_mut(),
            })
        };
        let slots: Box<[_]> = std::iter::repeat_with(empty).take(capacity).collect();
        let head = Cell::new(ptr::null_mut::<Slot<T>>());
        for slot in slots.iter().rev() {
            let at = slot.get();
            // SAFETY: `at` points into `slots`, and nobody else refers to it yet.
            unsafe { at.write(Slot { next: head.get() }) };
            head.set(at);
        }
        Self {
            head,
            _slots: slots,
        }
    }

    /// Takes the first slot and puts `value` into it.
    #[inline(always)]
    pub fn acquire(&self, value: T) -> Option<Held<'_, T>> {
        let at = NonNull::new(self.head.get())?;
        // SAFETY: by invariant 1 the slot is alive and holds `next`.
        let next = unsafe { at.cast::<*mut Slot<T>>().read() };
        self.head.set(next);
        // SAFETY: by invariant 2 the slot is ours from here on.
        unsafe { at.cast::<T>().write(value) };
        Some(Held { at, list: self })
    }
}

/// A slot on loan.
pub struct Held<'a, T: Copy> {
    at: NonNull<Slot<T>>,
    list: &'a FreeList<T>,
}

impl<T: Copy> Deref for Held<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: by invariant 2 the slot is ours; `acquire` stored a value.
        unsafe { self.at.cast::<T>().as_ref() }
    }
}

impl<T: Copy> DerefMut for Held<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and we are borrowed mutably.
        unsafe { self.at.cast::<T>().as_mut() }
    }
}

impl<T: Copy> Drop for Held<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: by invariant 2 the slot is ours until it is on the list again;
        // only the link is written, since that is all a free slot holds.
        unsafe { self.at.cast::<*mut Slot<T>>().write(self.list.head.get()) };
        self.list.head.set(self.at.as_ptr());
    }
}
