//! Recycling: what becomes of an object between two users.

use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

/// How the objects of a pool are made, made ready for the next user, and let go.
///
/// All of it runs with no lock of the pool held, and may panic or use the pool.
/// An object whose `recycle` or `is_valid` panics is dropped.
///
/// ```
/// use millpond_fixed::{Eviction, ObjectPool, Recycle, Verdict};
///
/// struct Connections;
/// # #[derive(Debug, PartialEq)] struct Connection { open: bool, unread: Vec<u8> }
///
/// impl Recycle<Connection> for Connections {
///     fn construct(&self) -> Connection {
///         Connection { open: true, unread: Vec::new() }
///     }
///     fn recycle(&self, connection: &mut Connection) -> Verdict {
///         connection.unread.clear();
///         if connection.unread.capacity() > 1 << 20 { Verdict::Evict } else { Verdict::Keep }
///     }
///     fn is_valid(&self, connection: &mut Connection) -> bool {
///         connection.open
///     }
///     fn evicted(&self, connection: Connection, why: Eviction) {
///         println!("{connection:?} goes: {why:?}");
///     }
/// }
///
/// let pool = ObjectPool::new(8, Connections);
/// pool.try_acquire()?.open = false;
/// assert!(pool.try_acquire()?.open, "a new one");
/// # Ok::<(), millpond_fixed::AcquireError>(())
/// ```
pub trait Recycle<T> {
    /// A new object, for a slot that has none.
    fn construct(&self) -> T;

    /// Makes an object that was released ready for the next user, and says
    /// whether to keep it. Runs on the thread that releases.
    #[inline]
    fn recycle(&self, _object: &mut T) -> Verdict {
        Verdict::Keep
    }

    /// Whether an object that was kept may be lent again. Runs on the thread that
    /// acquires.
    #[inline]
    fn is_valid(&self, _object: &mut T) -> bool {
        true
    }

    /// Takes an object that is not kept. By default it is dropped.
    #[inline]
    fn evicted(&self, object: T, _reason: Eviction) {
        drop(object);
    }
}

/// Whether an object is kept for the next user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays in its slot.
    Keep,
    /// It goes, and the next user of the slot gets a new one.
    Evict,
}

/// Why an object was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Eviction {
    /// [`Recycle::recycle`] said so.
    Rejected,
    /// [`Recycle::is_valid`] said so.
    Invalid,
    /// It was made outside the capacity of the pool.
    Fallback,
    /// A trim gave its slot back.
    Trimmed,
    /// Its pool was dropped.
    PoolDropped,
}

/// Recycling by two functions: one makes an object, one resets it.
///
/// ```
/// use millpond_fixed::{Hooks, ObjectPool};
///
/// let pool = ObjectPool::new(4, Hooks::new(|| vec![0u8; 512], |buffer| buffer.fill(0)));
/// pool.try_acquire()?[0] = 7;
/// assert_eq!(pool.try_acquire()?[0], 0);
/// # Ok::<(), millpond_fixed::AcquireError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Hooks<C, R> {
    construct: C,
    reset: R,
}

impl<C, R> Hooks<C, R> {
    /// Objects come from `construct`, and go through `reset` when they are
    /// released.
    pub const fn new<T>(construct: C, reset: R) -> Self
    where
        C: Fn() -> T,
        R: Fn(&mut T),
    {
        Self { construct, reset }
    }
}

impl<T, C: Fn() -> T, R: Fn(&mut T)> Recycle<T> for Hooks<C, R> {
    #[inline]
    fn construct(&self) -> T {
        (self.construct)()
    }

    #[inline]
    fn recycle(&self, object: &mut T) -> Verdict {
        (self.reset)(object);
        Verdict::Keep
    }
}

/// Recycling of collections: cleared when they are released, with their capacity
/// kept up to a bound.
///
/// ```
/// use millpond_fixed::{Clear, ObjectPool};
///
/// let pool = ObjectPool::<Vec<u8>, _>::new(4, Clear::shrinking_above(1024));
/// let mut buffer = pool.try_acquire()?;
/// buffer.extend([1; 100_000]);
/// drop(buffer);
/// let buffer = pool.try_acquire()?;
/// assert!(buffer.is_empty() && buffer.capacity() <= 1024);
/// # Ok::<(), millpond_fixed::AcquireError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clear {
    at_most: usize,
    grown: Grown,
}

/// What happens to a collection whose capacity is above the bound.
#[derive(Clone, Copy, Debug)]
enum Grown {
    Keep,
    Shrink,
    Evict,
}

impl Clear {
    /// Keeps whatever capacity a collection has.
    #[must_use]
    pub const fn keeping_all() -> Self {
        let (at_most, grown) = (usize::MAX, Grown::Keep);
        Self { at_most, grown }
    }

    /// Shrinks what has a capacity of more than `at_most` elements to that.
    #[must_use]
    pub const fn shrinking_above(at_most: usize) -> Self {
        let grown = Grown::Shrink;
        Self { at_most, grown }
    }

    /// Drops what has a capacity of more than `at_most` elements.
    #[must_use]
    pub const fn rejecting_above(at_most: usize) -> Self {
        let grown = Grown::Evict;
        Self { at_most, grown }
    }
}

impl<T: Clearable + Default> Recycle<T> for Clear {
    fn construct(&self) -> T {
        T::default()
    }

    #[inline]
    fn recycle(&self, object: &mut T) -> Verdict {
        let grown = match self.grown {
            Grown::Keep => false,
            _ => object.capacity() > self.at_most,
        };
        match self.grown {
            // Without dropping its elements one by one here and the rest there.
            Grown::Evict if grown => return Verdict::Evict,
            // Emptying a table costs its capacity, not its length.
            _ if object.is_empty() => (),
            _ => object.clear(),
        }
        if grown {
            object.shrink_to(self.at_most);
        }
        Verdict::Keep
    }
}

/// A collection that can be emptied without giving up its memory.
pub trait Clearable {
    /// Drops all elements and keeps the memory.
    fn clear(&mut self);
    /// Whether there is nothing to clear.
    fn is_empty(&self) -> bool;
    /// Elements that fit without another allocation.
    fn capacity(&self) -> usize;
    /// Gives up what is more than `capacity` elements need.
    fn shrink_to(&mut self, capacity: usize);
}

macro_rules! clearable {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<$($generics)*> Clearable for $type {
            #[inline]
            fn clear(&mut self) {
                <$type>::clear(self);
            }
            #[inline]
            fn is_empty(&self) -> bool {
                <$type>::is_empty(self)
            }
            #[inline]
            fn capacity(&self) -> usize {
                <$type>::capacity(self)
            }
            fn shrink_to(&mut self, capacity: usize) {
                <$type>::shrink_to(self, capacity);
            }
        }
    )*};
}

clearable! {
    [T] Vec<T>;
    [T] VecDeque<T>;
    [T: Ord] BinaryHeap<T>;
    [] String;
}

#[cfg(feature = "std")]
clearable! {
    [K: Eq + core::hash::Hash, V, S: core::hash::BuildHasher] std::collections::HashMap<K, V, S>;
    [T: Eq + core::hash::Hash, S: core::hash::BuildHasher] std::collections::HashSet<T, S>;
}

/// Trees give their memory up when they are cleared: they have no capacity.
macro_rules! tree {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<$($generics)*> Clearable for $type {
            fn clear(&mut self) {
                <$type>::clear(self);
            }
            #[inline]
            fn is_empty(&self) -> bool {
                <$type>::is_empty(self)
            }
            fn capacity(&self) -> usize {
                self.len()
            }
            fn shrink_to(&mut self, _: usize) {}
        }
    )*};
}

tree! {
    [K: Ord, V] BTreeMap<K, V>;
    [T: Ord] BTreeSet<T>;
}
