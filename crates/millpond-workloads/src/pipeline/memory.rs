//! Where buffers and receipts come from: the heap, or pools made before the first run.
//!
//! ```text
//!  pooled   16 buffers of 192 bytes, last in first out     = 128 triples in flight
//!           1,024 receipts of 128 bytes, by index, reset
//!           together between runs                          = runs of 8,192 triples
//! ```

use super::receipt::Page;
use millpond_vector::{
    AcquireError, Alignment, LocalVectorPool, Mode, RowLease, ShapeError, VectorPool,
};
use std::error::Error;
use std::fmt;
use std::ops::{Deref, DerefMut};

use super::run::WORDS;

/// Buffers of the pools: with eight triples each, 128 triples in flight.
pub const BUFFERS: usize = 16;

/// Receipts of the pools: with eight triples each, 8,192 triples.
pub const RECEIPTS: usize = 1_024;

/// Nothing is left of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// Every buffer is in flight.
    Buffers(AcquireError),
    /// Every receipt was written.
    Receipts {
        /// How many there are.
        total: usize,
    },
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffers(error) => write!(f, "no buffer for a run: {error}"),
            Self::Receipts { total } => {
                write!(f, "exhausted capacity: all {total} receipts are written")
            }
        }
    }
}

impl Error for Exhausted {}

/// How much of something is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What is taken.
    pub in_use: usize,
    /// What there is.
    pub total: usize,
}

/// Lends buffers for runs; dropping one gives it back.
pub trait Buffers {
    /// A buffer of [`WORDS`] numbers, at a line of the processor's cache.
    type Buffer<'m>: DerefMut<Target = [u64]>
    where
        Self: 'm;

    /// Lends a buffer.
    ///
    /// # Errors
    ///
    /// If all are lent.
    fn buffer(&self) -> Result<Self::Buffer<'_>, Exhausted>;
}

/// Lends the receipts of one run at a time.
pub trait Ledger {
    /// Calls `body` with an empty page for at least `hooks` receipts, or all there
    /// are, and takes the receipts back afterwards.
    fn with_page<R>(&mut self, hooks: usize, body: impl FnOnce(&mut Page) -> R) -> R;
}

/// The heap: a box for each buffer and a vector for each run's receipts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

#[repr(C, align(64))]
#[derive(Debug)]
struct Words([u64; WORDS]);

/// A buffer in a box.
#[derive(Debug)]
pub struct HeapBuffer(Box<Words>);

impl Deref for HeapBuffer {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        &self.0.0
    }
}

impl DerefMut for HeapBuffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.0.0
    }
}

impl Buffers for Heap {
    type Buffer<'m> = HeapBuffer;

    #[inline]
    fn buffer(&self) -> Result<HeapBuffer, Exhausted> {
        Ok(HeapBuffer(Box::new(Words([0; WORDS]))))
    }
}

impl Ledger for Heap {
    #[inline]
    fn with_page<R>(&mut self, hooks: usize, body: impl FnOnce(&mut Page) -> R) -> R {
        body(&mut Page::new(hooks))
    }
}

/// Rows of 24 numbers are buffers.
impl<M: Mode> Buffers for VectorPool<u64, M> {
    type Buffer<'m>
        = RowLease<'m, u64, M>
    where
        M: 'm;

    #[inline]
    fn buffer(&self) -> Result<RowLease<'_, u64, M>, Exhausted> {
        self.try_acquire().map_err(Exhausted::Buffers)
    }
}

/// One page of [`RECEIPTS`], reset between runs.
impl Ledger for Page {
    #[inline]
    fn with_page<R>(&mut self, _: usize, body: impl FnOnce(&mut Page) -> R) -> R {
        self.clear();
        body(self)
    }
}

/// The pool of buffers for a pipeline on one thread, its memory already there.
///
/// # Errors
///
/// Never for the shape of a run; the pool's own for others.
pub fn local_buffers() -> Result<LocalVectorPool<u64>, ShapeError> {
    let pool = shape(LocalVectorPool::<u64>::local_builder(WORDS)).build_local()?;
    warm(&pool);
    Ok(pool)
}

/// The pool of buffers for a pipeline on several threads, its memory already there.
///
/// # Errors
///
/// As [`local_buffers`].
pub fn shared_buffers() -> Result<VectorPool<u64>, ShapeError> {
    let pool = shape(VectorPool::<u64>::builder(WORDS)).build()?;
    warm(&pool);
    Ok(pool)
}

fn shape(builder: millpond_vector::Builder<u64>) -> millpond_vector::Builder<u64> {
    builder
        .capacity(BUFFERS)
        .name("runs")
        .alignment(Alignment::Bytes64)
        .slab_bytes(BUFFERS * WORDS * size_of::<u64>())
}

/// Creates every buffer, so that no run waits for memory.
fn warm<M: Mode>(pool: &VectorPool<u64, M>) {
    let all: Vec<_> = (0..BUFFERS)
        .map_while(|_| pool.try_acquire().ok())
        .collect();
    debug_assert_eq!(all.len(), BUFFERS);
}

/// How many buffers of a pool are in flight.
#[must_use]
pub fn usage<M: Mode>(pool: &VectorPool<u64, M>) -> Usage {
    let stats = pool.stats();
    Usage {
        in_use: stats.in_use,
        total: stats.capacity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::receipt::Receipt;

    #[test]
    fn the_seventeenth_buffer_is_refused_and_a_released_one_is_lent_again() {
        let pool = local_buffers().unwrap();
        let mut lent: Vec<_> = (0..BUFFERS).map(|_| pool.buffer().unwrap()).collect();
        assert_eq!(
            usage(&pool),
            Usage {
                in_use: 16,
                total: 16
            }
        );
        let refused = pool.buffer().unwrap_err();
        assert!(
            refused.to_string().starts_with("no buffer for a run"),
            "{refused}"
        );
        let last = lent.pop().unwrap().as_ptr();
        assert_eq!(pool.buffer().unwrap().as_ptr(), last);
        drop(lent);
        assert_eq!(usage(&pool).in_use, 0);
    }

    #[test]
    fn buffers_lie_on_lines() {
        let (heap, pool) = (Heap, local_buffers().unwrap());
        assert_eq!(heap.buffer().unwrap().as_ptr().addr() % 64, 0);
        assert_eq!(pool.buffer().unwrap().as_ptr().addr() % 64, 0);
    }

    #[test]
    fn receipts_run_out_and_are_taken_back_together() {
        let mut ledger = Page::new(RECEIPTS);
        for _ in 0..2 {
            ledger.with_page(1, |page| {
                let receipt = Receipt::default();
                assert!((0..RECEIPTS).all(|_| page.write(receipt).is_ok()));
                let refused = page.write(receipt).unwrap_err();
                assert_eq!(refused, Exhausted::Receipts { total: RECEIPTS });
            });
        }
    }
}
