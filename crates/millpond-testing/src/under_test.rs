//! What a pool is to the model: something that lends, says what it lends, and
//! takes back.

use std::marker::PhantomData;
use std::ops::DerefMut;

use crate::model::Span;
use crate::specimen::Specimen;

/// A pool, as the model sees it.
///
/// Contents are spoken of as stamps: the adapter writes a recognisable pattern
/// for a number, and later compares. Pools of values implement [`Lends`]
/// instead, which does that part.
pub trait PoolUnderTest {
    /// What an acquire yields. Borrowed, owned, or a plain handle.
    type Lease<'p>
    where
        Self: 'p;

    /// Acquires an item and writes the pattern of `stamp` into all of it;
    /// `None` if the pool is exhausted. Never waits.
    fn acquire(&self, stamp: u64) -> Option<Self::Lease<'_>>;

    /// The offset of the first byte that does not fit the stamp.
    fn damage(&self, lease: &Self::Lease<'_>, stamp: u64) -> Option<usize>;

    /// Writes the pattern of another stamp.
    fn restamp(&self, lease: &mut Self::Lease<'_>, stamp: u64);

    /// Which memory the lease gives access to; empty if it cannot be known.
    fn span(&self, lease: &Self::Lease<'_>) -> Span;

    /// Gives the item back.
    fn release<'p>(&'p self, lease: Self::Lease<'p>) {
        drop(lease);
    }

    /// How many items there are; `None` if there is no bound.
    fn capacity(&self) -> Option<usize>;

    /// How many items are leased, as the pool counts them.
    fn in_use(&self) -> usize;

    /// How many items are free, as the pool counts them; `None` if it does not.
    /// Do not derive it from the other two: conservation is what is tested.
    fn free(&self) -> Option<usize>;

    /// Gives back what can be given back. Leases must not notice.
    fn trim(&self) {}
}

/// A pool that lends values of one type, through a guard.
pub trait Lends<T: Specimen> {
    /// The guard.
    type Lease<'p>: DerefMut<Target = T>
    where
        Self: 'p;

    /// Acquires an item for `value`.
    ///
    /// # Errors
    ///
    /// The value comes back if the pool is exhausted.
    fn try_acquire(&self, value: T) -> Result<Self::Lease<'_>, T>;

    /// See [`PoolUnderTest::capacity`].
    fn capacity(&self) -> Option<usize>;

    /// See [`PoolUnderTest::in_use`].
    fn in_use(&self) -> usize;

    /// See [`PoolUnderTest::free`].
    fn free(&self) -> Option<usize>;

    /// See [`PoolUnderTest::trim`].
    fn trim(&self) {}
}

/// Makes a [`PoolUnderTest`] of a pool that [`Lends`] values.
#[derive(Debug)]
pub struct Lending<P, T> {
    pool: P,
    value: PhantomData<fn() -> T>,
}

impl<P, T> Lending<P, T> {
    /// Wraps a pool.
    #[must_use]
    pub const fn new(pool: P) -> Self {
        Self {
            pool,
            value: PhantomData,
        }
    }

    /// The pool itself.
    #[must_use]
    pub const fn pool(&self) -> &P {
        &self.pool
    }
}

impl<P: Lends<T>, T: Specimen> PoolUnderTest for Lending<P, T> {
    type Lease<'p>
        = P::Lease<'p>
    where
        Self: 'p;

    fn acquire(&self, stamp: u64) -> Option<Self::Lease<'_>> {
        match self.pool.try_acquire(T::stamped(stamp)) {
            Ok(lease) => Some(lease),
            Err(value) => {
                let damage = value.damage(stamp);
                assert_eq!(damage, None, "the refused value came back damaged");
                None
            }
        }
    }

    fn damage(&self, lease: &Self::Lease<'_>, stamp: u64) -> Option<usize> {
        lease.damage(stamp)
    }

    fn restamp(&self, lease: &mut Self::Lease<'_>, stamp: u64) {
        **lease = T::stamped(stamp);
    }

    fn span(&self, lease: &Self::Lease<'_>) -> Span {
        Span::of::<T>(lease)
    }

    fn capacity(&self) -> Option<usize> {
        self.pool.capacity()
    }

    fn in_use(&self) -> usize {
        self.pool.in_use()
    }

    fn free(&self) -> Option<usize> {
        self.pool.free()
    }

    fn trim(&self) {
        self.pool.trim();
    }
}
