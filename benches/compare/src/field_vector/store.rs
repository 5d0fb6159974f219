//! Many rows, kept: what an index of vectors does with them.

use super::OURS;
use super::row::{AlignedRow, rows_on};
use crate::contenders::Allocator;
use aligned_vec::{AVec, ConstAlign};
use arrow_buffer::MutableBuffer;
use millpond_vector::{HugePages, RowId, VectorPool};

/// A contender that keeps rows.
pub trait Store: 'static + Sized {
    /// The name that reports show.
    fn name() -> String;

    /// An empty store for `count` rows.
    fn new(dimension: usize, count: usize) -> Self;

    /// Keeps a copy of a row; rows are numbered in the order of the calls.
    fn push(&mut self, row: &[f32]);

    /// Calls `look` with every row, in the order that suits the store, and its
    /// number.
    fn scan(&self, look: impl FnMut(usize, &[f32]));

    /// Calls `look` with rows in the order of `numbers`.
    fn gather(&self, numbers: &[u32], look: impl FnMut(&[f32]));
}

/// Something that is done for each store.
pub trait Visitor {
    fn visit<S: Store>(&mut self);
}

pub fn visit_all(visitor: &mut impl Visitor) {
    visitor.visit::<Ours>();
    visitor.visit::<Each<Vec<f32>>>();
    visitor.visit::<Each<AlignedRow<std::alloc::System>>>();
    #[cfg(feature = "mimalloc")]
    visitor.visit::<Each<AlignedRow<mimalloc::MiMalloc>>>();
    #[cfg(feature = "jemalloc")]
    visitor.visit::<Each<AlignedRow<tikv_jemallocator::Jemalloc>>>();
    #[cfg(feature = "snmalloc")]
    visitor.visit::<Each<AlignedRow<snmalloc_rs::SnMalloc>>>();
    visitor.visit::<Each<AVec<f32, ConstAlign<64>>>>();
    visitor.visit::<Each<MutableBuffer>>();
}

/// Our pool, with transparent huge pages where the system grants them.
pub struct Ours {
    pub pool: VectorPool<f32>,
    pub ids: Vec<RowId<f32>>,
}

impl Ours {
    pub fn with(dimension: usize, count: usize, pages: HugePages, prefault: bool) -> Self {
        let pool = VectorPool::builder(dimension)
            .capacity(count)
            .huge_pages(pages)
            .prefault(prefault)
            .build();
        Self {
            pool: pool.expect("a small row"),
            ids: Vec::with_capacity(count),
        }
    }
}

impl Store for Ours {
    fn name() -> String {
        OURS.into()
    }

    fn new(dimension: usize, count: usize) -> Self {
        Self::with(dimension, count, HugePages::Transparent, false)
    }

    #[inline]
    fn push(&mut self, row: &[f32]) {
        self.ids.push(self.pool.insert(row).expect("room"));
    }

    fn scan(&self, mut look: impl FnMut(usize, &[f32])) {
        // Rows were stored in the order of memory and none was removed.
        let rows = self.pool.runs().flat_map(|run| run.rows_padded());
        for (number, row) in rows.enumerate() {
            look(number, row);
        }
    }

    fn gather(&self, numbers: &[u32], mut look: impl FnMut(&[f32])) {
        let ids: Vec<_> = numbers
            .iter()
            .map(|&number| self.ids[number as usize])
            .collect();
        for row in self.pool.gather(&ids) {
            look(row.expect("stored"));
        }
    }
}

/// A row that is an allocation of its own.
pub trait Own: 'static {
    fn name() -> String;
    fn of(numbers: &[f32]) -> Self;
    fn numbers(&self) -> &[f32];
}

/// A list of such rows.
pub struct Each<R>(Vec<R>);

impl<R> Each<R> {
    /// Keeps a row that was made elsewhere.
    pub fn take(&mut self, row: R) {
        self.0.push(row);
    }
}

impl<R: Own> Store for Each<R> {
    fn name() -> String {
        R::name()
    }

    fn new(_: usize, count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    #[inline]
    fn push(&mut self, row: &[f32]) {
        self.0.push(R::of(row));
    }

    fn scan(&self, mut look: impl FnMut(usize, &[f32])) {
        for (number, row) in self.0.iter().enumerate() {
            look(number, row.numbers());
        }
    }

    fn gather(&self, numbers: &[u32], mut look: impl FnMut(&[f32])) {
        for &number in numbers {
            look(self.0[number as usize].numbers());
        }
    }
}

impl Own for Vec<f32> {
    fn name() -> String {
        "Vec<Vec<f32>>".into()
    }

    fn of(numbers: &[f32]) -> Self {
        numbers.to_vec()
    }

    fn numbers(&self) -> &[f32] {
        self
    }
}

impl<A: Allocator> Own for AlignedRow<A> {
    fn name() -> String {
        rows_on::<A>()
    }

    fn of(numbers: &[f32]) -> Self {
        Self::filled(numbers)
    }

    fn numbers(&self) -> &[f32] {
        self.numbers()
    }
}

impl Own for AVec<f32, ConstAlign<64>> {
    fn name() -> String {
        "aligned-vec".into()
    }

    fn of(numbers: &[f32]) -> Self {
        Self::from_slice(64, numbers)
    }

    fn numbers(&self) -> &[f32] {
        self
    }
}

impl Own for MutableBuffer {
    fn name() -> String {
        "Arrow buffer".into()
    }

    fn of(numbers: &[f32]) -> Self {
        let mut row = Self::with_capacity(size_of_val(numbers));
        row.extend_from_slice(numbers);
        row
    }

    fn numbers(&self) -> &[f32] {
        self.typed_data()
    }
}
