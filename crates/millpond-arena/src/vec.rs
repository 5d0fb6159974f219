//! Vectors in arenas.

use crate::copy::copy;
use crate::error::ArenaFull;
use crate::lease::{Lease, NoDestructor};
use core::alloc::Layout;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Bytes of the first block of a vector, or four elements if those are more.
///
/// Vectors that are made to be filled skip the smallest sizes: each growth leaves
/// a block behind, and growing from 64 bytes instead of 4 elements of 1 saves
/// four of them.
const FIRST_BYTES: usize = 64;

/// A growable slice in an arena.
///
/// It copies at memory speed, grows in place where it was the last to allocate,
/// moves into blocks that others left behind where it was not, and becomes a
/// large object, which is really resized, above the scope's threshold. It has no
/// destructor: elements that need one are refused at compile time.
///
/// ```
/// use millpond_arena::{ArenaManager, Scope};
///
/// let manager = ArenaManager::new();
/// let arena = manager.lease(Scope::Json)?;
/// let mut bytes = arena.vec();
/// bytes.push(1u8)?;
/// bytes.extend_from_slice(&[2, 3])?;
/// assert_eq!(bytes, [1, 2, 3]);
///
/// let slice: &mut [u8] = bytes.into_slice(); // Lives as long as the lease.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail
/// # use millpond_arena::{ArenaManager, Scope};
/// # let arena = ArenaManager::new().lease(Scope::Json).unwrap();
/// let _ = arena.vec::<String>(); // Would leak.
/// ```
///
/// To keep one across `.await` in a task that moves between threads, see
/// [`ArenaVec::unbind`].
///
/// # Invariants
///
/// 1. `raw` is a vector in the arena of `lease`.
pub struct ArenaVec<'l, T> {
    raw: Raw<T>,
    lease: &'l Lease<'l>,
}

/// What both forms of a vector are.
///
/// # Invariants
///
/// 1. `start` is a block of `capacity` elements in an arena, or dangling if
///    `capacity` is 0 or elements have no size; the first `len` are initialised.
struct Raw<T> {
    start: NonNull<T>,
    len: usize,
    capacity: usize,
}

impl<T> Raw<T> {
    const EMPTY: Self = Self {
        start: NonNull::dangling(),
        len: 0,
        capacity: if size_of::<T>() == 0 { usize::MAX } else { 0 },
    };

    #[inline(always)]
    fn as_slice(&self) -> &[T] {
        // SAFETY: the first `len` elements are initialised (1).
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    #[inline(always)]
    fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: the first `len` elements are initialised (1).
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Writes behind the last element.
    ///
    /// # Safety
    ///
    /// There is room.
    #[inline(always)]
    unsafe fn put(&mut self, value: T) {
        // SAFETY: by the caller.
        let place = unsafe { self.start.add(self.len) };
        // SAFETY: inside of the block (1).
        unsafe { place.write(value) };
        self.len += 1;
    }

    /// Copies behind the last element.
    ///
    /// # Safety
    ///
    /// There is room.
    #[inline(always)]
    unsafe fn put_slice(&mut self, values: &[T])
    where
        T: Copy,
    {
        // SAFETY: by the caller.
        let place = unsafe { self.start.add(self.len) };
        // SAFETY: inside of the block (1), which nobody else refers to.
        unsafe { copy(values.as_ptr(), place.as_ptr(), values.len()) };
        self.len += values.len();
    }

    #[inline(always)]
    fn spare(&self) -> usize {
        self.capacity - self.len
    }

    /// The layout of the block.
    fn layout(&self) -> Layout {
        let size = size_of::<T>() * self.capacity;
        // SAFETY: the block was allocated with this layout (1).
        unsafe { Layout::from_size_align_unchecked(size, align_of::<T>()) }
    }

    /// How many elements to make room for, so that `more` fit: twice as many as
    /// now, or as many as are needed.
    fn amortised(&self, more: usize) -> Option<usize> {
        let needed = self.len.checked_add(more)?;
        let first = (FIRST_BYTES / size_of::<T>().max(1)).max(4);
        Some(needed.max(self.capacity.saturating_mul(2)).max(first))
    }

    /// Makes room for `capacity` elements in the arena of `lease`.
    ///
    /// # Safety
    ///
    /// If `in_place`, the block is in the arena of `lease`; else it is forgotten.
    #[cold]
    #[inline(never)]
    unsafe fn move_to(
        &mut self,
        capacity: Option<usize>,
        lease: &Lease<'_>,
        in_place: bool,
    ) -> Result<(), ArenaFull> {
        let layout = capacity.and_then(|capacity| Layout::array::<T>(capacity).ok());
        let (Some(capacity), Some(layout), true) = (capacity, layout, size_of::<T>() > 0) else {
            return Err(lease.overflow(usize::MAX));
        };
        let arena = lease.arena();
        let block = if in_place && self.capacity > 0 {
            // SAFETY: the block is in this arena with its layout (1), and the new
            // one is larger.
            unsafe { arena.grow(self.start.cast(), self.layout(), layout) }?
        } else {
            let block = arena.allocate(layout)?;
            // SAFETY: the block is longer than what is copied, and fresh.
            unsafe { block.cast().copy_from_nonoverlapping(self.start, self.len) };
            block
        };
        self.start = block.cast();
        self.capacity = capacity;
        Ok(())
    }
}

impl<'l, T> ArenaVec<'l, T> {
    /// An empty vector; allocates nothing.
    ///
    /// ```
    /// use millpond_arena::ArenaVec;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert!(ArenaVec::<u64>::new_in(&arena).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn new_in(lease: &'l Lease<'_>) -> Self {
        let () = NoDestructor::<T>::CHECKED;
        Self {
            raw: Raw::EMPTY,
            lease,
        }
    }

    /// An empty vector with room for `capacity` elements.
    ///
    /// ```
    /// use millpond_arena::ArenaVec;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let words = ArenaVec::<u64>::with_capacity_in(100, &arena)?;
    /// assert_eq!(words.capacity(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit.
    pub fn with_capacity_in(capacity: usize, lease: &'l Lease<'_>) -> Result<Self, ArenaFull> {
        let mut vec = Self::new_in(lease);
        vec.try_reserve_exact(capacity)?;
        Ok(vec)
    }

    /// A vector of what an iterator gives.
    ///
    /// ```
    /// use millpond_arena::ArenaVec;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert_eq!(ArenaVec::from_iter_in(1..4, &arena)?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; what the iterator gave until then is forgotten.
    pub fn from_iter_in(
        values: impl IntoIterator<Item = T>,
        lease: &'l Lease<'_>,
    ) -> Result<Self, ArenaFull> {
        let mut vec = Self::new_in(lease);
        vec.try_extend(values)?;
        Ok(vec)
    }

    /// Appends an element.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec();
    /// words.push(7)?;
    /// assert_eq!(words, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the vector is as it was.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), ArenaFull> {
        if self.raw.spare() == 0 {
            self.grow_slow(1)?;
        }
        // SAFETY: there is room now.
        unsafe { self.raw.put(value) };
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn grow_slow(&mut self, more: usize) -> Result<(), ArenaFull> {
        let capacity = self.raw.amortised(more);
        // SAFETY: the block is in the arena of the lease (1).
        unsafe { self.raw.move_to(capacity, self.lease, true) }
    }

    /// Appends copies of the elements of a slice, at memory speed.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut bytes = arena.vec();
    /// bytes.extend_from_slice(b"pond")?;
    /// assert_eq!(bytes, b"pond");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the vector is as it was.
    #[inline]
    pub fn extend_from_slice(&mut self, values: &[T]) -> Result<(), ArenaFull>
    where
        T: Copy,
    {
        if values.len() > self.raw.spare() {
            self.grow_slow(values.len())?;
        }
        // SAFETY: there is room now.
        unsafe { self.raw.put_slice(values) };
        Ok(())
    }

    /// Appends what an iterator gives. It may allocate in the arena too.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut squares = arena.vec();
    /// squares.try_extend((0..4).map(|n| n * n))?;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; what was appended until then stays.
    pub fn try_extend(&mut self, values: impl IntoIterator<Item = T>) -> Result<(), ArenaFull> {
        let values = values.into_iter();
        self.try_reserve(values.size_hint().0)?;
        for value in values {
            self.push(value)?;
        }
        Ok(())
    }

    /// Makes room for at least `more` elements, and more than that if the vector
    /// grows again and again.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec::<u64>();
    /// words.try_reserve(10)?;
    /// assert!(words.capacity() >= 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the vector is as it was.
    pub fn try_reserve(&mut self, more: usize) -> Result<(), ArenaFull> {
        if more > self.raw.spare() {
            self.grow_slow(more)?;
        }
        Ok(())
    }

    /// Makes room for at least `more` elements.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec::<u64>();
    /// words.try_reserve_exact(10)?;
    /// assert_eq!(words.capacity(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the vector is as it was.
    pub fn try_reserve_exact(&mut self, more: usize) -> Result<(), ArenaFull> {
        if more <= self.raw.spare() {
            return Ok(());
        }
        let capacity = self.raw.len.checked_add(more);
        // SAFETY: the block is in the arena of the lease (1).
        unsafe { self.raw.move_to(capacity, self.lease, true) }
    }

    /// Removes the last element.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec();
    /// words.push(7)?;
    /// assert_eq!((words.pop(), words.pop()), (Some(7), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.raw.len = self.raw.len.checked_sub(1)?;
        // SAFETY: below what was the length.
        let last = unsafe { self.raw.start.add(self.raw.len) };
        // SAFETY: initialised, and not part of the vector any more.
        Some(unsafe { last.read() })
    }

    /// Shortens the vector to `len` elements, if it has more.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec();
    /// words.extend_from_slice(&[1, 2, 3])?;
    /// words.truncate(1);
    /// assert_eq!(words, [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn truncate(&mut self, len: usize) {
        self.raw.len = self.raw.len.min(len);
    }

    /// Removes all elements and keeps the room.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec();
    /// words.push(7)?;
    /// words.clear();
    /// assert!(words.is_empty() && words.capacity() > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear(&mut self) {
        self.raw.len = 0;
    }

    /// Elements that there is room for.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// assert_eq!(arena.vec::<u64>().capacity(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.raw.capacity
    }

    /// The room behind the last element.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, ArenaVec, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut bytes = ArenaVec::<u8>::with_capacity_in(16, &arena)?;
    /// bytes.spare_capacity_mut()[0].write(7);
    /// // SAFETY: written above.
    /// unsafe { bytes.set_len(1) };
    /// assert_eq!(bytes, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<T>] {
        // SAFETY: the length is at most the capacity.
        let spare = unsafe { self.raw.start.add(self.raw.len) };
        let len = self.raw.spare();
        // SAFETY: inside of the block, nobody else's, and need not be initialised.
        unsafe { core::slice::from_raw_parts_mut(spare.cast().as_ptr(), len) }
    }

    /// Sets the length.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut bytes = arena.vec();
    /// bytes.extend_from_slice(&[1_u8, 2])?;
    /// // SAFETY: the first one is initialised.
    /// unsafe { bytes.set_len(1) };
    /// assert_eq!(bytes, [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    ///
    /// `len` is at most the capacity, and that many elements are initialised.
    pub unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.raw.capacity);
        self.raw.len = len;
    }

    /// The elements, for as long as the lease lasts.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec();
    /// words.push(7)?;
    /// let slice: &mut [u64] = words.into_slice();
    /// slice[0] += 1;
    /// assert_eq!(slice, [8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_slice(self) -> &'l mut [T] {
        // SAFETY: initialised, nobody else's, and there until the lease ends.
        unsafe { core::slice::from_raw_parts_mut(self.raw.start.as_ptr(), self.raw.len) }
    }

    /// The vector without its lease: one that may be sent to another thread, and
    /// kept across `.await`. The lease is then passed to what allocates.
    ///
    /// ```
    /// use millpond_arena::{ArenaManager, Scope};
    ///
    /// async fn collect(manager: ArenaManager) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    ///     let arena = manager.lease(Scope::Primitive)?;
    ///     let mut numbers = arena.vec().unbind();
    ///     for _ in 0..3 {
    ///         let number = async { 7 }.await; // `numbers` is kept across this.
    ///         numbers.push(&arena, number)?;
    ///     }
    ///     Ok(numbers.iter().sum())
    /// }
    ///
    /// fn spawn<F: Future + Send + 'static>(_: F) {}
    /// spawn(collect(ArenaManager::new()));
    /// ```
    #[must_use]
    pub fn unbind(self) -> UnboundVec<'l, T> {
        UnboundVec {
            raw: self.raw,
            arena: NonNull::from(self.lease.arena()).cast(),
            _elements: PhantomData,
        }
    }
}

/// An [`ArenaVec`] without its lease: `Send` if its elements are, so a task may
/// keep one across `.await`. What allocates takes the lease.
///
/// With another lease that lives as long it allocates there, and the old block
/// stays where it is until its own lease ends.
///
/// ```
/// # use millpond_arena::{ArenaManager, Scope};
/// # let arena = ArenaManager::new().lease(Scope::Json)?;
/// let mut words = arena.vec().unbind();
/// words.push(&arena, 7)?;
/// assert_eq!(words, [7]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. `raw` is a vector in `arena`, whose lease lives for `'l`; or has no block.
pub struct UnboundVec<'l, T> {
    raw: Raw<T>,
    /// To be compared, never followed.
    arena: NonNull<()>,
    _elements: PhantomData<&'l mut [T]>,
}

// SAFETY: it is a unique reference to its elements; the arena is not followed.
unsafe impl<T: Send> Send for UnboundVec<'_, T> {}
// SAFETY: as above: through `&UnboundVec` nothing but `&[T]` can be reached.
unsafe impl<T: Sync> Sync for UnboundVec<'_, T> {}

impl<'l, T> UnboundVec<'l, T> {
    fn is_in(&self, lease: &Lease<'_>) -> bool {
        self.arena == NonNull::from(lease.arena()).cast()
    }

    /// Appends an element.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec().unbind();
    /// words.push(&arena, "one")?;
    /// assert_eq!(words.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the vector is as it was.
    #[inline]
    pub fn push(&mut self, lease: &'l Lease<'_>, value: T) -> Result<(), ArenaFull> {
        self.try_reserve(lease, 1)?;
        // SAFETY: there is room now.
        unsafe { self.raw.put(value) };
        Ok(())
    }

    /// Appends copies of the elements of a slice, at memory speed.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut bytes = arena.vec().unbind();
    /// bytes.extend_from_slice(&arena, b"pond")?;
    /// assert_eq!(bytes, b"pond");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the vector is as it was.
    #[inline]
    pub fn extend_from_slice(&mut self, lease: &'l Lease<'_>, values: &[T]) -> Result<(), ArenaFull>
    where
        T: Copy,
    {
        self.try_reserve(lease, values.len())?;
        // SAFETY: there is room now.
        unsafe { self.raw.put_slice(values) };
        Ok(())
    }

    /// Makes room for at least `more` elements.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let mut words = arena.vec::<u64>().unbind();
    /// words.try_reserve(&arena, 10)?;
    /// assert!(words.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a limit was hit; the vector is as it was.
    #[inline]
    pub fn try_reserve(&mut self, lease: &'l Lease<'_>, more: usize) -> Result<(), ArenaFull> {
        if more > self.raw.spare() {
            self.grow_slow(lease, more)?;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn grow_slow(&mut self, lease: &'l Lease<'_>, more: usize) -> Result<(), ArenaFull> {
        let capacity = self.raw.amortised(more);
        let in_place = self.is_in(lease);
        // SAFETY: in place only if it is this lease's arena: the same arena is
        // not lent again while its lease lives, which is for `'l` (1).
        unsafe { self.raw.move_to(capacity, lease, in_place) }?;
        self.arena = NonNull::from(lease.arena()).cast();
        Ok(())
    }

    /// The vector with its lease again; `Err` if it is in another arena.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let words = arena.vec::<u64>().unbind();
    /// assert!(words.bind(&arena).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Hands the vector back.
    pub fn bind(self, lease: &'l Lease<'_>) -> Result<ArenaVec<'l, T>, Self> {
        if self.is_in(lease) {
            Ok(ArenaVec {
                raw: self.raw,
                lease,
            })
        } else {
            Err(self)
        }
    }
}

/// What both forms are to those who read and write elements.
macro_rules! elements {
    ($vec:ident) => {
        impl<T> Deref for $vec<'_, T> {
            type Target = [T];

            #[inline(always)]
            fn deref(&self) -> &[T] {
                self.raw.as_slice()
            }
        }

        impl<T> DerefMut for $vec<'_, T> {
            #[inline(always)]
            fn deref_mut(&mut self) -> &mut [T] {
                self.raw.as_mut_slice()
            }
        }

        impl<T> AsRef<[T]> for $vec<'_, T> {
            fn as_ref(&self) -> &[T] {
                self
            }
        }

        impl<T: fmt::Debug> fmt::Debug for $vec<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                <[T]>::fmt(self, f)
            }
        }

        impl<T: PartialEq, S: AsRef<[T]> + ?Sized> PartialEq<S> for $vec<'_, T> {
            fn eq(&self, other: &S) -> bool {
                **self == *other.as_ref()
            }
        }

        impl<T> Borrow<[T]> for $vec<'_, T> {
            fn borrow(&self) -> &[T] {
                self
            }
        }

        impl<T: Eq> Eq for $vec<'_, T> {}

        impl<T: PartialOrd> PartialOrd for $vec<'_, T> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                <[T]>::partial_cmp(self, other)
            }
        }

        impl<T: Ord> Ord for $vec<'_, T> {
            fn cmp(&self, other: &Self) -> Ordering {
                <[T]>::cmp(self, other)
            }
        }

        impl<T: Hash> Hash for $vec<'_, T> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                <[T]>::hash(self, state);
            }
        }

        impl<'v, T> IntoIterator for &'v $vec<'_, T> {
            type Item = &'v T;
            type IntoIter = core::slice::Iter<'v, T>;

            fn into_iter(self) -> Self::IntoIter {
                self.iter()
            }
        }

        impl<'v, T> IntoIterator for &'v mut $vec<'_, T> {
            type Item = &'v mut T;
            type IntoIter = core::slice::IterMut<'v, T>;

            fn into_iter(self) -> Self::IntoIter {
                self.iter_mut()
            }
        }

        #[cfg(feature = "serde")]
        impl<T: serde::Serialize> serde::Serialize for $vec<'_, T> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self)
            }
        }
    };
}

elements!(ArenaVec);
elements!(UnboundVec);

impl<T> Extend<T> for ArenaVec<'_, T> {
    /// For code that wants an [`Extend`].
    ///
    /// # Panics
    ///
    /// If a limit was hit, because the trait knows no error; everybody else uses
    /// [`ArenaVec::try_extend`].
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        if let Err(full) = self.try_extend(values) {
            panic!("{full}");
        }
    }
}

impl<'l, T> IntoIterator for ArenaVec<'l, T> {
    type Item = T;
    type IntoIter = IntoIter<'l, T>;

    fn into_iter(self) -> IntoIter<'l, T> {
        IntoIter {
            raw: self.raw,
            next: 0,
            _lease: PhantomData,
        }
    }
}

/// The elements of an [`ArenaVec`], by value. They lie in the arena, so its lease
/// stays:
///
/// ```compile_fail
/// # use millpond_arena::{ArenaManager, Scope};
/// let mut numbers = {
///     let arena = ArenaManager::new().lease(Scope::Json).unwrap();
///     let mut numbers = arena.vec();
///     numbers.push(1_u64).unwrap();
///     numbers.into_iter()
/// };
/// assert_eq!(numbers.next(), Some(1));
/// ```
///
/// # Invariants
///
/// 1. `raw` is a vector in an arena whose lease lives for `'l`.
pub struct IntoIter<'l, T> {
    raw: Raw<T>,
    next: usize,
    _lease: PhantomData<&'l ()>,
}

impl<T> Iterator for IntoIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.next == self.raw.len {
            return None;
        }
        // SAFETY: below the length.
        let place = unsafe { self.raw.start.add(self.next) };
        self.next += 1;
        // SAFETY: initialised, and read once.
        Some(unsafe { place.read() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.raw.len - self.next;
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for IntoIter<'_, T> {}

impl<T> core::iter::FusedIterator for IntoIter<'_, T> {}

impl<T> fmt::Debug for IntoIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter")
            .field("left", &self.len())
            .finish_non_exhaustive()
    }
}
