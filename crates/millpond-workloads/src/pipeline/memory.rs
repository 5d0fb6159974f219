//! Where buffers and receipts come from: the heap, or pools made before the first run.
//!
//! ```text
//!  pooled   16 buffers of 192 bytes, last in first out     = 128 triples in flight
//!           1,024 receipts of 128 bytes, by index, reset
//!           together between runs                          = runs of 8,192 triples
//! ```

use super::receipt::Page;
use millpond_core::engine::Mode;
use millpond_core::error::AcquireError;
use millpond_fixed::{LocalObjectPool, ObjectLease, ObjectPool, Recycle};
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

/// The numbers of a run, in three lines of the processor's cache.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Words([u64; WORDS]);

/// What owns the numbers of a run, as the numbers.
#[derive(Debug)]
pub struct Buffer<W>(W);

impl<W: Deref<Target = Words>> Deref for Buffer<W> {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        &self.0.0
    }
}

impl<W: DerefMut<Target = Words>> DerefMut for Buffer<W> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.0.0
    }
}

impl Buffers for Heap {
    type Buffer<'m> = Buffer<Box<Words>>;

    #[inline]
    fn buffer(&self) -> Result<Buffer<Box<Words>>, Exhausted> {
        Ok(Buffer(Box::new(Words([0; WORDS]))))
    }
}

impl Ledger for Heap {
    #[inline]
    fn with_page<R>(&mut self, hooks: usize, body: impl FnOnce(&mut Page) -> R) -> R {
        body(&mut Page::new(hooks))
    }
}

/// Buffers are lent as they were left: a run overwrites every lane.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsLeft;

impl Recycle<Words> for AsLeft {
    fn construct(&self) -> Words {
        Words([0; WORDS])
    }
}

/// The pool of buffers for a pipeline on several threads.
pub type SharedBuffers = ObjectPool<Words, AsLeft>;

/// The pool of buffers for a pipeline on one thread.
pub type LocalBuffers = LocalObjectPool<Words, AsLeft>;

impl<M: Mode> Buffers for ObjectPool<Words, AsLeft, M> {
    type Buffer<'m>
        = Buffer<ObjectLease<'m, Words, AsLeft, M>>
    where
        M: 'm;

    #[inline]
    fn buffer(&self) -> Result<Self::Buffer<'_>, Exhausted> {
        match self.try_acquire() {
            Ok(words) => Ok(Buffer(words)),
            Err(error) => Err(Exhausted::Buffers(error)),
        }
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

/// Sixteen buffers for a pipeline on one thread, their memory already there.
#[must_use]
pub fn local_buffers() -> LocalBuffers {
    let pool = builder().build_local_objects(AsLeft);
    pool.warm_up(BUFFERS);
    pool
}

/// Sixteen buffers for a pipeline on several threads, their memory already there.
#[must_use]
pub fn shared_buffers() -> SharedBuffers {
    let pool = builder().build_objects(AsLeft);
    pool.warm_up(BUFFERS);
    pool
}

fn builder() -> millpond_fixed::Builder<Words> {
    millpond_fixed::LocalFixedPool::local_builder(BUFFERS).name("runs")
}

/// How many buffers of a pool are in flight.
#[must_use]
pub fn usage<M: Mode>(pool: &ObjectPool<Words, AsLeft, M>) -> Usage {
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
        let pool = local_buffers();
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
    fn eight_operations_at_once_always_find_a_buffer() {
        let pool = shared_buffers();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let pool = &pool;
                scope.spawn(move || {
                    for n in 0..2_000 {
                        let mut buffer = pool.buffer().expect("16 for 8");
                        buffer[0] = thread;
                        if n % 64 == 0 {
                            std::thread::yield_now();
                        }
                        assert_eq!(buffer[0], thread);
                    }
                });
            }
        });
        assert_eq!(usage(&pool).in_use, 0);
    }

    #[test]
    fn buffers_lie_on_lines() {
        let (heap, pool) = (Heap, local_buffers());
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
