//! Leases: an arena in one's hands, and typed allocation in it.
#![allow(
    clippy::mut_from_ref,
    reason = "each call answers fresh memory, which nobody else refers to"
)]

use crate::arena::Arena;
use crate::copy::copy;
use crate::error::{ArenaFull, Full, LeaseError};
use crate::pool::{ScopePool, clean};
use crate::string::ArenaString;
use crate::vec::ArenaVec;
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// An arena on loan. Dropping the lease ends everything in it in one step, and
/// gives the arena back, from whatever thread.
///
/// One word. Everything that is allocated borrows the lease, so nothing survives
/// its end or its [reset](Lease::reset). A lease may be sent to another thread,
/// and kept across `.await`; it is not shared: each request has its own.
///
/// `'p` is what the lease must not outlive: nothing for a lease from a manager,
/// the parent for a [child](Lease::child).
///
/// Types with destructors are refused at compile time, because nobody would run
/// them; see [`Lease::alloc_drop`].
///
/// ```
/// use millpond_arena::{ArenaManager, Scope};
///
/// let manager = ArenaManager::new();
/// let arena = manager.lease(Scope::Primitive)?;
/// std::thread::spawn(move || arena.alloc_str("elsewhere").map(|text| text.len()))
///     .join()
///     .expect("no panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. The lease is the holder of `arena`, which is not hollow.
#[must_use = "dropping a lease at once gives its arena back"]
pub struct Lease<'p> {
    arena: NonNull<Arena>,
    _parent: PhantomData<&'p ()>,
}

// SAFETY: values with destructors, and callbacks, are Send. Of anything else
// nothing is looked at again once the lease moves, for every reference to it
// borrows the lease.
unsafe impl Send for Lease<'_> {}

// What a panic may leave half changed is values, not the arena.
impl core::panic::UnwindSafe for Lease<'_> {}
impl core::panic::RefUnwindSafe for Lease<'_> {}

/// What is refused by allocations that run no destructors.
pub(crate) struct NoDestructor<T>(PhantomData<T>);

impl<T> NoDestructor<T> {
    pub(crate) const CHECKED: () = assert!(
        !core::mem::needs_drop::<T>(),
        "the type has a destructor, which an arena would not run: use `alloc_drop`"
    );
}

impl Drop for Lease<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the holder (1); what was allocated borrowed the lease.
        unsafe { ScopePool::take_back(self.arena) };
    }
}

impl<'p> Lease<'p> {
    /// # Safety
    ///
    /// `arena` was just lent, to nobody else.
    #[inline(always)]
    pub(crate) unsafe fn of(arena: NonNull<Arena>) -> Self {
        Self {
            arena,
            _parent: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn arena(&self) -> &Arena {
        // SAFETY: the holder (1).
        unsafe { self.arena.as_ref() }
    }

    /// An arena of the same scope that cannot outlive this one.
    ///
    /// It is an arena of its own, so this one stays usable, and a collection in
    /// this one that grows meanwhile grows here. For another scope, see
    /// [`ArenaManager::lease_under`](crate::ArenaManager::lease_under).
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// let arena = manager.lease(Scope::Json)?;
    /// let total = arena.alloc(0)?;
    /// for round in 0..3 {
    ///     let scratch = arena.child()?;
    ///     *total += scratch.alloc_slice_fill_copy(100, round)?.len();
    /// } // The scratch memory is gone; the parent has what it kept.
    /// assert_eq!(*total, 300);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ArenaManager::lease`](crate::ArenaManager::lease); also if the
    /// manager is gone.
    #[track_caller]
    pub fn child(&self) -> Result<Lease<'_>, LeaseError> {
        // The pool lives as long as this lease is out.
        let arena = self.arena().pool().lend()?;
        // SAFETY: lent to this lease.
        Ok(unsafe { Lease::of(arena) })
    }

    /// The name of the scope.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert_eq!(arena.scope_name(), "json");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn scope_name(&self) -> &'static str {
        self.arena().pool().name()
    }

    /// Bytes of chunks that allocations have, padding included; bytes that lie
    /// unused in full chunks count as well. Large objects do not. O(1).
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// arena.alloc(7_u8)?; // Rounded up to 8.
    /// assert_eq!(arena.used_bytes(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.arena().used_bytes()
    }

    /// Bytes that the lease holds: chunks and large objects. O(1).
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert_eq!(arena.held_bytes(), 128 << 10);
    /// arena.alloc_slice_uninit::<u8>(1 << 20)?; // A large object.
    /// assert!(arena.held_bytes() > 1 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.arena().occupied_bytes()
    }

    /// Bytes that the lease may hold.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert_eq!(arena.limit_bytes(), 64 * (128 << 10));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.arena().limit_bytes()
    }

    /// Ends everything in the arena, as dropping the lease would, and goes on
    /// with the same arena.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// let mut arena = manager.lease(Scope::Json)?;
    /// for document in ["[1]", "[2]"] {
    ///     let copy = arena.alloc_str(document)?;
    ///     assert_eq!(copy.len(), 3);
    ///     arena.reset();
    ///     assert_eq!(arena.used_bytes(), 0);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If a destructor or callback does, or somebody to whom a large object was
    /// given back: after all of them have run.
    pub fn reset(&mut self) {
        let arena = self.arena();
        arena.tally.note_peak(arena.used_bytes());
        // SAFETY: the borrow is exclusive, so nobody has anything of the arena.
        let panic = unsafe { clean(arena) };
        // SAFETY: as above; the large objects are gone.
        unsafe { Arena::reset_grown(self.arena) };
        if let Some(panic) = panic {
            std::panic::resume_unwind(panic);
        }
    }

    // ---- Values -----------------------------------------------------------

    /// Moves a value into the arena.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// let arena = manager.lease(Scope::Json)?;
    /// let point = arena.alloc((1.0, 2.0))?;
    /// point.0 += 1.0;
    /// assert_eq!(*point, (2.0, 2.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A type with a destructor does not compile:
    ///
    /// ```compile_fail
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json).unwrap();
    /// let _ = arena.alloc(String::from("would leak"));
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    #[inline]
    pub fn alloc<T>(&self, value: T) -> Result<&mut T, ArenaFull> {
        let () = NoDestructor::<T>::CHECKED;
        let place = self.arena().allocate(Layout::new::<T>())?.cast::<T>();
        // SAFETY: fresh memory with the layout of the value.
        unsafe { place.write(value) };
        // SAFETY: initialised, nobody else's, and there until the lease ends.
        Ok(unsafe { &mut *place.as_ptr() })
    }

    /// Constructs a value in the arena. `construct` may allocate in it too.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let squares = arena.alloc_with(|| [1_u64, 4, 9])?;
    /// assert_eq!(squares[2], 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; `construct` does not run then.
    #[inline]
    pub fn alloc_with<T>(&self, construct: impl FnOnce() -> T) -> Result<&mut T, ArenaFull> {
        let () = NoDestructor::<T>::CHECKED;
        let place = self.alloc_uninit::<T>()?;
        Ok(place.write(construct()))
    }

    /// Constructs a value that may fail to be constructed. The room of one that
    /// does is lost until the lease ends.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// # let arena = manager.lease(Scope::Json)?;
    /// let number = arena.alloc_try_with(|| "17".parse::<u64>())??;
    /// assert_eq!(*number, 17);
    /// assert!(arena.alloc_try_with(|| "x".parse::<u64>())?.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the constructor's own error is inside.
    #[inline]
    pub fn alloc_try_with<T, E>(
        &self,
        construct: impl FnOnce() -> Result<T, E>,
    ) -> Result<Result<&mut T, E>, ArenaFull> {
        let () = NoDestructor::<T>::CHECKED;
        let place = self.alloc_uninit::<T>()?;
        Ok(construct().map(|value| place.write(value)))
    }

    /// Room for a value.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let word = arena.alloc_uninit::<u64>()?.write(7);
    /// assert_eq!(*word, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    #[inline]
    pub fn alloc_uninit<T>(&self) -> Result<&mut MaybeUninit<T>, ArenaFull> {
        let place = self.arena().allocate(Layout::new::<T>())?;
        // SAFETY: fresh memory with the layout, nobody else's, there until the
        // lease ends; it need not be initialised.
        Ok(unsafe { &mut *place.cast::<MaybeUninit<T>>().as_ptr() })
    }

    /// Memory of a layout, uninitialised. It is valid until the lease ends or is
    /// reset, and is not given back by itself.
    ///
    /// ```
    /// use std::alloc::Layout;
    ///
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let block = arena.alloc_layout(Layout::from_size_align(100, 64)?)?;
    /// assert_eq!(block.addr().get() % 64, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    #[inline]
    pub fn alloc_layout(&self, layout: Layout) -> Result<NonNull<u8>, ArenaFull> {
        self.arena().allocate(layout)
    }

    // ---- Slices and strings -----------------------------------------------

    /// Room for `len` values.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let places = arena.alloc_slice_uninit::<u64>(3)?;
    /// assert_eq!(*places[2].write(7), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    #[inline]
    pub fn alloc_slice_uninit<T>(&self, len: usize) -> Result<&mut [MaybeUninit<T>], ArenaFull> {
        let Ok(layout) = Layout::array::<T>(len) else {
            return Err(self.overflow(len));
        };
        let place = self.arena().allocate(layout)?.cast::<MaybeUninit<T>>();
        // SAFETY: fresh memory for that many, nobody else's, there until the lease
        // ends; it need not be initialised.
        Ok(unsafe { core::slice::from_raw_parts_mut(place.as_ptr(), len) })
    }

    #[cold]
    pub(crate) fn overflow(&self, len: usize) -> ArenaFull {
        self.arena().full(Full::Overflow, len)
    }

    /// Copies a slice into the arena, at memory speed.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let numbers = arena.alloc_slice_copy(&[1, 2, 3])?;
    /// numbers.reverse();
    /// assert_eq!(numbers, [3, 2, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    #[inline]
    pub fn alloc_slice_copy<T: Copy>(&self, slice: &[T]) -> Result<&mut [T], ArenaFull> {
        let place = self.arena().allocate(Layout::for_value(slice))?.cast::<T>();
        // SAFETY: fresh memory of the same length.
        unsafe { copy(slice.as_ptr(), place.as_ptr(), slice.len()) };
        // SAFETY: initialised, nobody else's, there until the lease ends.
        Ok(unsafe { core::slice::from_raw_parts_mut(place.as_ptr(), slice.len()) })
    }

    /// A slice of `len` values that `fill` makes, in order.
    ///
    /// If `fill` panics, what it made is forgotten.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let squares = arena.alloc_slice_fill_with(4, |n| n * n)?;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; `fill` is not called then.
    #[inline]
    pub fn alloc_slice_fill_with<T>(
        &self,
        len: usize,
        mut fill: impl FnMut(usize) -> T,
    ) -> Result<&mut [T], ArenaFull> {
        let () = NoDestructor::<T>::CHECKED;
        let slice = self.alloc_slice_uninit::<T>(len)?;
        for (index, place) in slice.iter_mut().enumerate() {
            place.write(fill(index));
        }
        // SAFETY: every value was written.
        Ok(unsafe { &mut *(core::ptr::from_mut(slice) as *mut [T]) })
    }

    /// A slice of `len` copies of a value.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert_eq!(arena.alloc_slice_fill_copy(3, 7)?, [7, 7, 7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    #[inline]
    pub fn alloc_slice_fill_copy<T: Copy>(
        &self,
        len: usize,
        value: T,
    ) -> Result<&mut [T], ArenaFull> {
        self.alloc_slice_fill_with(len, |_| value)
    }

    /// A slice of `len` default values.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert_eq!(arena.alloc_slice_default::<u32>(2)?, [0, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    #[inline]
    pub fn alloc_slice_default<T: Default>(&self, len: usize) -> Result<&mut [T], ArenaFull> {
        self.alloc_slice_fill_with(len, |_| T::default())
    }

    /// A slice of what an iterator gives. It may allocate in the arena too.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// # let arena = manager.lease(Scope::Json)?;
    /// let words = arena.alloc_iter("one two".split(' '))?;
    /// assert_eq!(words, ["one", "two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; what the iterator gave until then is forgotten.
    #[inline]
    pub fn alloc_iter<T>(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<&mut [T], ArenaFull> {
        Ok(ArenaVec::from_iter_in(values, self)?.into_slice())
    }

    /// Copies a string into the arena, at memory speed.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let name = arena.alloc_str("pond")?;
    /// name.make_ascii_uppercase();
    /// assert_eq!(name, "POND");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    #[inline]
    pub fn alloc_str(&self, text: &str) -> Result<&mut str, ArenaFull> {
        let bytes = self.alloc_slice_copy(text.as_bytes())?;
        // SAFETY: a copy of valid UTF-8.
        Ok(unsafe { core::str::from_utf8_unchecked_mut(bytes) })
    }

    /// Formats into the arena.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// # let arena = manager.lease(Scope::Json)?;
    /// assert_eq!(arena.alloc_fmt(format_args!("{}-{}", 1, 2))?, "1-2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    ///
    /// # Panics
    ///
    /// If a `Display` of an argument fails without reason, as `format!` does.
    pub fn alloc_fmt(&self, arguments: fmt::Arguments<'_>) -> Result<&mut str, ArenaFull> {
        let mut text = self.string();
        text.push_fmt(arguments)?;
        Ok(text.into_str())
    }

    // ---- Collections ------------------------------------------------------

    /// An empty vector in the arena.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec();
    /// words.push("one")?;
    /// assert_eq!(words, ["one"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn vec<T>(&self) -> ArenaVec<'_, T> {
        ArenaVec::new_in(self)
    }

    /// An empty string in the arena.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut text = arena.string();
    /// text.push_str("one")?;
    /// assert_eq!(&*text, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn string(&self) -> ArenaString<'_> {
        ArenaString::new_in(self)
    }

    // ---- What runs when the lease ends ------------------------------------

    /// Moves a value with a destructor into the arena. The destructor runs when
    /// the lease ends or is reset: last in, first out, on the thread where that
    /// happens, and even if another destructor panics.
    ///
    /// The value may borrow nothing, because what it borrowed from the arena
    /// could be gone by then.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let manager = ArenaManager::new();
    /// # let arena = manager.lease(Scope::Json)?;
    /// let names = arena.alloc_drop(vec![String::from("freed at the end")])?;
    /// names.push(String::from("as well"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the value is dropped.
    pub fn alloc_drop<T: Send + 'static>(&self, value: T) -> Result<&mut T, ArenaFull> {
        let place = self.arena().allocate_drop(value)?;
        // SAFETY: initialised, nobody else's, there until the lease ends.
        Ok(unsafe { &mut *place.as_ptr() })
    }

    /// Calls `callback` when the lease ends or is reset, among the destructors of
    /// [`Lease::alloc_drop`]: last in, first out.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// arena.defer(move || drop(sender.send("ended")))?;
    /// drop(arena);
    /// assert_eq!(receiver.recv()?, "ended");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the callback is dropped without being called.
    pub fn defer(&self, callback: impl FnOnce() + Send + 'static) -> Result<(), ArenaFull> {
        self.arena().defer(callback)
    }
}

impl fmt::Debug for Lease<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("scope", &self.scope_name())
            .field("used_bytes", &self.used_bytes())
            .field("held_bytes", &self.held_bytes())
            .finish_non_exhaustive()
    }
}
