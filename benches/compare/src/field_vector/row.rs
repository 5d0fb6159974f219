//! One row of 768 f32: leased from a pool, or made and dropped.

use super::OURS;
use crate::contenders::Allocator;
use aligned_vec::{AVec, ConstAlign};
use arrow_buffer::MutableBuffer;
use millpond_vector::{RowLease, VectorPool};
use std::alloc::{Layout, handle_alloc_error};
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Elements of a row.
pub const DIMENSION: usize = 768;

/// Where a contender gets rows from.
pub trait Rows: 'static {
    /// One row; dropping it gives it back.
    type Row<'a>;

    /// The name that reports show.
    fn name() -> String;

    fn new() -> Self;

    /// A row of unspecified numbers, or of none where they must be written first.
    fn bare(&self) -> Self::Row<'_>;

    /// A row full of one number.
    fn full(&self, number: f32) -> Self::Row<'_>;

    /// A row with a copy of `numbers`.
    fn filled(&self, numbers: &[f32]) -> Self::Row<'_>;
}

/// Something that is done for each contender.
pub trait Visitor {
    fn visit<R: Rows>(&mut self);
}

pub fn visit_all(visitor: &mut impl Visitor) {
    visitor.visit::<VectorPool<f32>>();
    visitor.visit::<Vecs>();
    visitor.visit::<Aligned<std::alloc::System>>();
    #[cfg(feature = "mimalloc")]
    visitor.visit::<Aligned<mimalloc::MiMalloc>>();
    #[cfg(feature = "jemalloc")]
    visitor.visit::<Aligned<tikv_jemallocator::Jemalloc>>();
    #[cfg(feature = "snmalloc")]
    visitor.visit::<Aligned<snmalloc_rs::SnMalloc>>();
    visitor.visit::<AlignedVecs>();
    visitor.visit::<ArrowBuffers>();
}

impl Rows for VectorPool<f32> {
    type Row<'a> = RowLease<'a, f32>;

    fn name() -> String {
        OURS.into()
    }

    fn new() -> Self {
        Self::new(DIMENSION, 64).expect("a small row")
    }

    #[inline(always)]
    fn bare(&self) -> RowLease<'_, f32> {
        let row = self.try_acquire().expect("one at a time");
        black_box(row.as_ptr());
        row
    }

    #[inline(always)]
    fn full(&self, number: f32) -> RowLease<'_, f32> {
        let mut row = self.try_acquire().expect("one at a time");
        row.fill(number);
        black_box(row.as_ptr());
        row
    }

    #[inline(always)]
    fn filled(&self, numbers: &[f32]) -> RowLease<'_, f32> {
        let mut row = self.try_acquire().expect("one at a time");
        row.copy_from_slice(numbers);
        black_box(row.as_ptr());
        row
    }
}

/// `Vec<f32>` on the process's allocator.
pub struct Vecs;

impl Rows for Vecs {
    type Row<'a> = Vec<f32>;

    fn name() -> String {
        "Vec<f32>".into()
    }

    fn new() -> Self {
        Self
    }

    #[inline(always)]
    fn bare(&self) -> Vec<f32> {
        let row = Vec::with_capacity(DIMENSION);
        black_box(row.as_ptr());
        row
    }

    #[inline(always)]
    fn full(&self, number: f32) -> Vec<f32> {
        let row = vec![number; DIMENSION];
        black_box(row.as_ptr());
        row
    }

    #[inline(always)]
    fn filled(&self, numbers: &[f32]) -> Vec<f32> {
        let row = numbers.to_vec();
        black_box(row.as_ptr());
        row
    }
}

/// Rows on lines of their own, on the allocator `A`.
pub struct Aligned<A>(PhantomData<A>);

/// One of them.
///
/// # Invariants
/// 1. `at` came from `A` with the layout of `len` f32 at 64 bytes, and is owned by this alone.
/// 2. The first `written` of them are initialised.
pub struct AlignedRow<A: Allocator> {
    at: NonNull<f32>,
    len: usize,
    written: usize,
    allocator: PhantomData<A>,
}

impl<A: Allocator> AlignedRow<A> {
    #[inline(always)]
    fn layout(len: usize) -> Layout {
        let bytes = (len * size_of::<f32>()).max(1);
        Layout::from_size_align(bytes, 64).expect("a small row")
    }

    #[inline(always)]
    fn bare(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not 0.
        let memory = unsafe { A::VALUE.alloc(layout) };
        let Some(at) = NonNull::new(memory.cast()) else {
            handle_alloc_error(layout)
        };
        Self {
            at,
            len,
            written: 0,
            allocator: PhantomData,
        }
    }

    #[inline(always)]
    pub fn filled(numbers: &[f32]) -> Self {
        let mut row = Self::bare(numbers.len());
        let from = numbers.as_ptr();
        // SAFETY: by 1 there is room for as many, and the memory is fresh.
        unsafe { row.at.as_ptr().copy_from_nonoverlapping(from, row.len) };
        row.written = row.len;
        row
    }

    #[inline(always)]
    fn full(len: usize, number: f32) -> Self {
        let mut row = Self::bare(len);
        for at in 0..len {
            // SAFETY: by 1 there is room for as many.
            let place = unsafe { row.at.add(at) };
            // SAFETY: as above.
            unsafe { place.write(number) };
        }
        row.written = len;
        row
    }

    pub fn numbers(&self) -> &[f32] {
        // SAFETY: by 1 and 2.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.written) }
    }
}

impl<A: Allocator> Drop for AlignedRow<A> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: by 1, with the same layout, once.
        unsafe { A::VALUE.dealloc(self.at.as_ptr().cast(), Self::layout(self.len)) };
    }
}

/// "Box on X" of the fixed pools' chapter, here "rows on X".
pub fn rows_on<A: Allocator>() -> String {
    A::NAME.replace("Box", "aligned rows")
}

impl<A: Allocator> Rows for Aligned<A> {
    type Row<'a> = AlignedRow<A>;

    fn name() -> String {
        rows_on::<A>()
    }

    fn new() -> Self {
        Self(PhantomData)
    }

    #[inline(always)]
    fn bare(&self) -> AlignedRow<A> {
        let row = AlignedRow::bare(DIMENSION);
        black_box(row.at);
        row
    }

    #[inline(always)]
    fn full(&self, number: f32) -> AlignedRow<A> {
        let row = AlignedRow::full(DIMENSION, number);
        black_box(row.at);
        row
    }

    #[inline(always)]
    fn filled(&self, numbers: &[f32]) -> AlignedRow<A> {
        let row = AlignedRow::filled(numbers);
        black_box(row.at);
        row
    }
}

/// `AVec<f32>` of `aligned-vec`.
pub struct AlignedVecs;

impl Rows for AlignedVecs {
    type Row<'a> = AVec<f32, ConstAlign<64>>;

    fn name() -> String {
        "aligned-vec".into()
    }

    fn new() -> Self {
        Self
    }

    #[inline(always)]
    fn bare(&self) -> Self::Row<'_> {
        let row = AVec::with_capacity(64, DIMENSION);
        black_box(row.as_ptr());
        row
    }

    #[inline(always)]
    fn full(&self, number: f32) -> Self::Row<'_> {
        let mut row = AVec::with_capacity(64, DIMENSION);
        row.resize(DIMENSION, number);
        black_box(row.as_ptr());
        row
    }

    #[inline(always)]
    fn filled(&self, numbers: &[f32]) -> Self::Row<'_> {
        let row = AVec::from_slice(64, numbers);
        black_box(row.as_ptr());
        row
    }
}

/// Arrow's buffers.
pub struct ArrowBuffers;

impl Rows for ArrowBuffers {
    type Row<'a> = MutableBuffer;

    fn name() -> String {
        "Arrow buffer".into()
    }

    fn new() -> Self {
        Self
    }

    #[inline(always)]
    fn bare(&self) -> MutableBuffer {
        let row = MutableBuffer::with_capacity(DIMENSION * size_of::<f32>());
        black_box(row.as_ptr());
        row
    }

    #[inline(always)]
    fn full(&self, number: f32) -> MutableBuffer {
        let mut row = MutableBuffer::with_capacity(DIMENSION * size_of::<f32>());
        row.extend(std::iter::repeat_n(number, DIMENSION));
        black_box(row.as_ptr());
        row
    }

    #[inline(always)]
    fn filled(&self, numbers: &[f32]) -> MutableBuffer {
        let mut row = MutableBuffer::with_capacity(size_of_val(numbers));
        row.extend_from_slice(numbers);
        black_box(row.as_ptr());
        row
    }
}
