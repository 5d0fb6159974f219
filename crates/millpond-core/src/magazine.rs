//! Magazines: small arrays of entries that change hands whole.
//!
//! ```text
//!   ┌──────┬─────┬──────────┬────────┬────────┬─ ─ ─ ─┬────────┐
//!   │ next │ len │ capacity │ slot 0 │ slot 1 │       │ slot n │   128-aligned
//!   └──────┴─────┴──────────┴────────┴────────┴─ ─ ─ ─┴────────┘
//!     used in the depot only    filled from 0 up, taken from the top
//! ```
//!
//! While a cache has a magazine loaded, its length lives in the packed word of
//! the cache and `len` here is stale; while it lies in the depot, `len` counts.

use crate::entry::Entry;
use crate::region;
use crate::sync::UnsafeCell;
use core::alloc::Layout;
use core::mem::{MaybeUninit, offset_of};
use core::ptr::{self, NonNull};

/// The longest magazine that the length byte of a packed word can describe.
pub(crate) const LONGEST: usize = 255;

/// Alignment of everything that one thread writes on its fast path.
///
/// Two lines, because processors fetch lines in pairs: magazines off this
/// boundary made two threads at once twice as slow (1.5 → 3.3 ns a pair,
/// November 2026, 2-core virtual machine, Zen 5).
pub(crate) const PAIR_OF_LINES: usize = 128;

type Slot = UnsafeCell<MaybeUninit<Entry>>;

#[repr(C)]
struct Header {
    next: *mut Header,
    len: u16,
    capacity: u16,
    slots: [Slot; 0],
}

/// A handle to a magazine. Copying the handle does not copy the magazine.
///
/// # Invariants
///
/// 1. `header` points to a live allocation made by [`Magazine::allocate`] with
///    room for `capacity` slots behind it, and keeps its provenance.
/// 2. Whoever may touch the magazine (the owner of the cache that holds it,
///    under BUSY, or the holder of the pool's lock) is the only one: handles
///    are moved between the two under the lock.
/// 3. `len ≤ capacity ≤ LONGEST`, and slots below the current length are
///    initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Magazine(NonNull<Header>);

// SAFETY: by invariant 2 a magazine has one user at a time, and entries are
// plain numbers.
unsafe impl Send for Magazine {}

impl Magazine {
    fn layout(capacity: usize) -> Layout {
        let bytes = offset_of!(Header, slots) + capacity * size_of::<Slot>();
        Layout::from_size_align(bytes.next_multiple_of(PAIR_OF_LINES), PAIR_OF_LINES)
            .expect("a magazine is a few KiB at most")
    }

    /// Bytes that a magazine of `capacity` slots occupies.
    pub(crate) fn bytes(capacity: usize) -> usize {
        Self::layout(capacity).size()
    }

    /// An empty magazine, or `None` when no memory is left.
    pub(crate) fn allocate(capacity: usize) -> Option<Self> {
        debug_assert!((1..=LONGEST).contains(&capacity));
        let header = region::allocate(Self::layout(capacity))?.cast::<Header>();
        let capacity = u16::try_from(capacity).ok()?;
        let start = Header {
            next: ptr::null_mut(),
            len: 0,
            capacity,
            slots: [],
        };
        // SAFETY: freshly allocated with the layout of a header and its slots.
        unsafe { header.write(start) };
        let magazine = Self(header);
        for index in 0..usize::from(capacity) {
            // SAFETY: `index < capacity`.
            let slot = unsafe { magazine.slot(index) };
            // SAFETY: inside the fresh allocation.
            unsafe { slot.write(Slot::new(MaybeUninit::uninit())) };
        }
        Some(magazine)
    }

    /// Gives the memory back. Entries still inside are forgotten.
    ///
    /// # Safety
    ///
    /// Nobody uses any copy of this handle afterwards.
    pub(crate) unsafe fn free(self) {
        let capacity = self.capacity();
        for index in 0..capacity {
            // SAFETY: `index < capacity` (1).
            let slot = unsafe { self.slot(index) };
            // SAFETY: initialised by `allocate`, and nobody else looks (2).
            unsafe { slot.drop_in_place() };
        }
        // SAFETY: by 1 this is how it was allocated.
        unsafe { region::free(self.0.cast(), Self::layout(capacity)) };
    }

    /// # Safety
    ///
    /// `index < capacity`.
    #[inline(always)]
    unsafe fn slot(self, index: usize) -> NonNull<Slot> {
        // SAFETY: the field lies inside the allocation by 1.
        let slots = unsafe { (&raw mut (*self.0.as_ptr()).slots).cast::<Slot>() };
        // SAFETY: by the caller, inside the allocation (1).
        let slot = unsafe { slots.add(index) };
        // SAFETY: inside an allocation, so not null.
        unsafe { NonNull::new_unchecked(slot) }
    }

    /// The entry in slot `index`.
    ///
    /// # Safety
    ///
    /// The caller is the one user (2) and `index` is below the current length.
    #[inline(always)]
    pub(crate) unsafe fn get(self, index: usize) -> Entry {
        // SAFETY: below the length, so below the capacity (3).
        let slot = unsafe { self.slot(index) };
        // SAFETY: live for as long as the magazine (1).
        let slot = unsafe { slot.as_ref() };
        slot.with(|entry| {
            // SAFETY: the caller is the one user.
            let entry = unsafe { *entry };
            // SAFETY: initialised, because below the current length (3).
            unsafe { entry.assume_init() }
        })
    }

    /// Puts `entry` into slot `index`.
    ///
    /// # Safety
    ///
    /// The caller is the one user (2) and `index < capacity`.
    #[inline(always)]
    pub(crate) unsafe fn set(self, index: usize, entry: Entry) {
        // SAFETY: by the caller.
        let slot = unsafe { self.slot(index) };
        // SAFETY: live for as long as the magazine (1).
        let slot = unsafe { slot.as_ref() };
        slot.with_mut(|slot| {
            // SAFETY: the caller is the one user, so the write is exclusive.
            unsafe { (*slot).write(entry) };
        });
    }

    #[inline(always)]
    pub(crate) fn capacity(self) -> usize {
        // SAFETY: live by 1, and the capacity never changes.
        usize::from(unsafe { (*self.0.as_ptr()).capacity })
    }

    /// The length while the magazine lies in the depot.
    ///
    /// # Safety
    ///
    /// The caller is the one user (2).
    pub(crate) unsafe fn len(self) -> usize {
        // SAFETY: live by 1, exclusive by the caller.
        usize::from(unsafe { (*self.0.as_ptr()).len })
    }

    /// The entries below the length.
    ///
    /// # Safety
    ///
    /// The caller is the one user (2) for as long as it iterates.
    pub(crate) unsafe fn entries(self) -> impl Iterator<Item = Entry> {
        // SAFETY: by the caller.
        let len = unsafe { self.len() };
        (0..len).map(move |index| {
            // SAFETY: below the length, and by the caller.
            unsafe { self.get(index) }
        })
    }

    /// Fills the magazine with `entries`.
    ///
    /// # Safety
    ///
    /// The caller is the one user (2); there are at most as many as slots.
    pub(crate) unsafe fn write(self, entries: &[Entry]) {
        for (index, &entry) in entries.iter().enumerate() {
            // SAFETY: by the caller.
            unsafe { self.set(index, entry) };
        }
        // SAFETY: filled above.
        unsafe { self.set_len(entries.len()) };
    }

    /// # Safety
    ///
    /// The caller is the one user (2) and the slots below `len` are filled.
    pub(crate) unsafe fn set_len(self, len: usize) {
        debug_assert!(len <= self.capacity());
        let len = u16::try_from(len).expect("a length is at most 255");
        // SAFETY: live by 1, exclusive by the caller.
        unsafe { (*self.0.as_ptr()).len = len };
    }
}

/// A stack of magazines, linked through their headers: pushing and popping
/// allocate nothing.
#[derive(Debug)]
pub(crate) struct Stack {
    top: *mut Header,
}

// SAFETY: the stack owns its magazines, which are Send.
unsafe impl Send for Stack {}

impl Stack {
    pub(crate) const fn new() -> Self {
        Self {
            top: ptr::null_mut(),
        }
    }

    /// The magazines, from the top.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Magazine> {
        let mut next = self.top;
        core::iter::from_fn(move || {
            let magazine = NonNull::new(next)?;
            // SAFETY: a magazine on the stack is live and the stack's own.
            next = unsafe { (*magazine.as_ptr()).next };
            Some(Magazine(magazine))
        })
    }

    /// # Safety
    ///
    /// The caller is the one user of `magazine` and gives it up.
    pub(crate) unsafe fn push(&mut self, magazine: Magazine) {
        // SAFETY: live, and the caller is its one user.
        unsafe { (*magazine.0.as_ptr()).next = self.top };
        self.top = magazine.0.as_ptr();
    }

    pub(crate) fn pop(&mut self) -> Option<Magazine> {
        let top = NonNull::new(self.top)?;
        // SAFETY: a magazine on the stack is live and the stack's own.
        self.top = unsafe { (*top.as_ptr()).next };
        Some(Magazine(top))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        while let Some(magazine) = self.pop() {
            // SAFETY: it was the stack's own and nobody else has it.
            unsafe { magazine.free() };
        }
    }
}
