//! Other crates' views of rows, without copying.
//!
//! A row is a slice, so most of it is there already: `bytemuck::cast_slice` turns
//! a row of `f32` into bytes, and Arrow's typed data goes into
//! [`VectorPool::insert`](crate::VectorPool::insert) as it is. What is missing is
//! here.

#[cfg(feature = "bytemuck")]
mod casts {
    use crate::element::{Bf16, F16};
    use crate::soa::{Column, Soa};

    // SAFETY: a `u16` and nothing else.
    unsafe impl bytemuck::Zeroable for F16 {}
    // SAFETY: as above.
    unsafe impl bytemuck::Pod for F16 {}
    // SAFETY: as above.
    unsafe impl bytemuck::Zeroable for Bf16 {}
    // SAFETY: as above.
    unsafe impl bytemuck::Pod for Bf16 {}
    // SAFETY: an array of numbers that are zero when their bytes are.
    unsafe impl<E: bytemuck::Zeroable, const LANES: usize> bytemuck::Zeroable for Column<E, LANES> {}
    // SAFETY: an array of columns, as above.
    unsafe impl<E: bytemuck::Zeroable, const FIELDS: usize, const LANES: usize> bytemuck::Zeroable
        for Soa<E, FIELDS, LANES>
    {
    }
    // SAFETY: 64 bytes of numbers are a whole line, without padding.
    unsafe impl bytemuck::Pod for Column<u64, 8> {}
    // SAFETY: three such columns.
    unsafe impl bytemuck::Pod for crate::soa::Triples8 {}
}

#[cfg(feature = "arrow-buffer")]
mod arrow {
    use crate::batch::RowBatch;
    use crate::element::Element;
    use crate::lease::RowLease;
    use crate::owned::OwnedRow;
    use alloc::sync::Arc;
    use arrow_buffer::{Buffer, ScalarBuffer};
    use core::ptr::NonNull;

    /// A row as a buffer of Arrow, which gives it back when the last of its clones
    /// goes. For rows of a pool that lives as long as the program, such as one in
    /// a static `LazyLock`.
    ///
    /// ```
    /// use arrow_buffer::{Buffer, ScalarBuffer};
    /// use millpond_vector::VectorPool;
    /// use std::sync::LazyLock;
    ///
    /// static ROWS: LazyLock<VectorPool<f32>> =
    ///     LazyLock::new(|| VectorPool::new(100, 1000).expect("a small row"));
    ///
    /// let mut row = ROWS.try_acquire()?;
    /// row.fill(1.5);
    /// let address = row.as_ptr();
    /// let buffer = Buffer::from(row);
    /// assert_eq!(buffer.as_ptr(), address.cast());
    /// assert_eq!(ScalarBuffer::<f32>::from(buffer)[99], 1.5);
    /// assert_eq!(ROWS.stats().in_use, 0);
    /// # Ok::<(), millpond_vector::AcquireError>(())
    /// ```
    impl<E: Element> From<RowLease<'static, E>> for Buffer {
        fn from(row: RowLease<'static, E>) -> Self {
            let (start, len) = (NonNull::from(&*row).cast(), size_of_val(&*row));
            // SAFETY: so many initialised bytes, which the lease owns and nobody
            // writes to any more; the buffer keeps the lease.
            unsafe { Self::from_custom_allocation(start, len, Arc::new(row)) }
        }
    }

    /// An owned row as a buffer of Arrow, which gives it back, and lets go of the
    /// pool, when the last of its clones goes.
    impl<E: Element> From<OwnedRow<E>> for Buffer {
        fn from(row: OwnedRow<E>) -> Self {
            let (start, len) = (NonNull::from(&*row).cast(), size_of_val(&*row));
            // SAFETY: as above: the row keeps its pool, and so its place.
            unsafe { Self::from_custom_allocation(start, len, Arc::new(row)) }
        }
    }

    /// A batch as a buffer of Arrow: all rows, with their tails and gaps.
    impl<E: Element> From<RowBatch<'static, E>> for Buffer {
        fn from(batch: RowBatch<'static, E>) -> Self {
            let all = batch.as_slice();
            let (start, len) = (NonNull::from(all).cast(), size_of_val(all));
            // SAFETY: as above, of a batch.
            unsafe { Self::from_custom_allocation(start, len, Arc::new(batch)) }
        }
    }

    // What the documentation above promises must be a type of Arrow's.
    const _: fn(Buffer) -> ScalarBuffer<f32> = ScalarBuffer::from;
}
