//! What a contender must be able to do, and the things that are pooled.
//!
//! Contenders are types, not trait objects: each measured loop is compiled once
//! for each of them, with everything that the peer allows inlined.

use std::mem::MaybeUninit;
use std::ops::DerefMut;

/// Something that one could use instead of a millpond pool, or a millpond pool.
pub trait Contender: 'static {
    /// The name that reports show.
    const NAME: &'static str;
    /// Allocators hand out as much as there is; pools have a capacity.
    const KIND: Kind;
    /// The pool for one type.
    type Pool<T: Value>: Pool<T>;
}

/// What a contender is, which decides the rows that it takes part in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A general allocator: no capacity, and allocating is its business.
    Allocator,
    /// A pool that makes more items when it runs out.
    Growing,
    /// A pool that can be exhausted.
    Bounded,
}

/// A pool of `T`, shared by threads.
pub trait Pool<T: Value>: Send + Sync + Sized + 'static {
    /// The guard; dropping it releases the item.
    type Lease<'a>: DerefMut<Target = T> + Send
    where
        Self: 'a;

    /// A pool for `capacity` items, filled as its authors recommend.
    fn with_capacity(capacity: usize) -> Self;

    /// An item holding `value`, or `None` if the pool is exhausted.
    fn try_acquire(&self, value: T) -> Option<Self::Lease<'_>>;

    /// An item holding `value` from a pool that is known not to be exhausted.
    #[inline(always)]
    fn acquire(&self, value: T) -> Self::Lease<'_> {
        self.try_acquire(value)
            .expect("the benchmark stays within the capacity")
    }

    /// Gives memory back, where the contender has a way to ask for that.
    fn trim(&self) {}
}

/// What can be pooled here: plain data, so that every contender can hold it.
pub trait Value: Copy + Default + Send + Sync + 'static {}
impl<T: Copy + Default + Send + Sync + 'static> Value for T {}

/// The item of most rows: 64 bytes, of which an acquire writes the first eight.
///
/// Writing all of them would measure the copy. Rows that say "written and read"
/// use [`Full`].
#[derive(Clone, Copy)]
pub struct Item {
    /// Written on acquire.
    _word: u64,
    _rest: [MaybeUninit<u64>; 7],
}

impl Item {
    /// An item whose first word is written.
    #[inline(always)]
    pub fn new(word: u64) -> Self {
        Self {
            _word: word,
            _rest: [MaybeUninit::uninit(); 7],
        }
    }
}

impl Default for Item {
    fn default() -> Self {
        Self::new(0)
    }
}

/// 64 bytes, all of them written on acquire.
pub type Full = [u64; 8];
