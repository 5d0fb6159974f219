//! The seam between the two memory modes: one algorithm, two sources of memory.
//!
//! ```text
//!   for the moment   Scope   Vec and String          a leased arena
//!   for one object   Hold    Box                     a fixed pool
//!   for embeddings   Rows    Box<[f32]> each         a vector pool
//!   for messages     Buffer  Vec<u8>                 a byte pool
//! ```
//!
//! Operations are generic over [`Memory`] and compiled once for each mode, so
//! neither pays for the other. Whatever holds for the moment only may run out:
//! [`Full`] is handed up, and the operation is carried out on the heap instead.

use std::ops::{Deref, DerefMut};

/// An arena had no room; the operation starts again on the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What an operation needs memory of the moment for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A change: lines, symbols, terms.
    Primitive,
    /// A query: visited nodes, candidates, scores, hits.
    Search,
    /// A request and its answer.
    Json,
}

/// Memory for the moment: all of it goes when the scope goes.
pub trait Scope: Sized + 'static {
    /// A growable list.
    type List<'s, T: 's>: List<T>
    where
        Self: 's;
    /// A growable text.
    type Text<'s>: Text
    where
        Self: 's;

    /// An empty list with room for `capacity` elements.
    ///
    /// # Errors
    ///
    /// If there is no room left.
    fn list<T>(&self, capacity: usize) -> Result<Self::List<'_, T>, Full>;

    /// An empty text with room for `capacity` bytes.
    ///
    /// # Errors
    ///
    /// If there is no room left.
    fn text(&self, capacity: usize) -> Result<Self::Text<'_>, Full>;
}

/// A growable list in a [`Scope`].
pub trait List<T>: DerefMut<Target = [T]> {
    /// Appends an element.
    ///
    /// # Errors
    ///
    /// If there is no room left.
    fn push(&mut self, value: T) -> Result<(), Full>;

    /// Removes the last element.
    fn pop(&mut self) -> Option<T>;

    /// Forgets all but the first `len` elements.
    fn truncate(&mut self, len: usize);

    /// Appends `count` copies of `value`.
    ///
    /// # Errors
    ///
    /// If there is no room left.
    fn fill(&mut self, count: usize, value: T) -> Result<(), Full>
    where
        T: Copy;

    /// Appends copies of the elements of a slice.
    ///
    /// # Errors
    ///
    /// If there is no room left.
    fn extend(&mut self, values: &[T]) -> Result<(), Full>
    where
        T: Copy;
}

/// A growable text in a [`Scope`].
pub trait Text: Deref<Target = str> {
    /// Appends a piece of text.
    ///
    /// # Errors
    ///
    /// If there is no room left.
    fn push_str(&mut self, text: &str) -> Result<(), Full>;
}

/// Where objects of one type live.
pub trait Hold<T>: Send + Sync {
    /// An object in its place.
    type Held: DerefMut<Target = T> + Send + Sync;

    /// Puts an object into a place of its own. A pool that is exhausted takes it
    /// from the heap and counts that.
    fn hold(&self, value: T) -> Self::Held;
}

/// Where embeddings live.
pub trait Rows: Send + Sync {
    /// The name of a row.
    type Id: Copy + Send + Sync + 'static;

    /// Stores a row.
    fn put(&mut self, row: &[f32]) -> Self::Id;

    /// The row of an id that [`Rows::put`] gave and [`Rows::take`] has not taken.
    fn get(&self, id: Self::Id) -> &[f32];

    /// Gives a row's place back.
    fn take(&mut self, id: Self::Id);
}

/// The memory of one database.
pub trait Memory: Send + Sync + 'static {
    /// The mode's name, as flags and reports spell it.
    const NAME: &'static str;

    /// Memory for the moment.
    type Scope: Scope;
    /// Objects of one type.
    type Pool<T: Send + Sync + 'static>: Hold<T>;
    /// Embeddings.
    type Rows: Rows;
    /// Bytes of a message.
    type Buffer: DerefMut<Target = [u8]> + std::io::Write + Send;

    /// Memory for the moment, or `None` if none is left.
    fn scope(&self, purpose: Purpose) -> Option<Self::Scope>;

    /// Places for objects, `capacity` of them at first.
    fn pool<T: Send + Sync + 'static>(&self, name: &'static str, capacity: usize) -> Self::Pool<T>;

    /// Places for rows of `dimension` numbers.
    fn rows(&self, dimension: usize) -> Self::Rows;

    /// An empty buffer with room for `capacity` bytes.
    fn buffer(&self, capacity: usize) -> Self::Buffer;

    /// Notes that an operation was carried out on the heap, for want of room.
    fn fell_back(&self);

    /// What pools did, with what they saved, and the embeddings of `rows` among them.
    fn report(&self, rows: &Self::Rows) -> serde_json::Value;
}

/// Runs `$body` with `$scope` leased from `$memory`; if that runs out, again on the heap.
macro_rules! with_scope {
    ($memory:expr, $purpose:expr, |$scope:ident| $body:expr) => {{
        let memory = &$memory;
        let pooled = match memory.scope($purpose) {
            Some(lease) => {
                let $scope = &lease;
                $body
            }
            None => Err($crate::codebase::memory::Full),
        };
        match pooled {
            Ok(done) => done,
            Err($crate::codebase::memory::Full) => {
                memory.fell_back();
                let $scope = &$crate::codebase::heap::Heap;
                $body.expect("the heap hands out memory or ends the process")
            }
        }
    }};
}
pub(crate) use with_scope;
