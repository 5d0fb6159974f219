//! Pool crates that one finds when one looks for a pool.
//!
//! Each is filled before it is measured, so that no row times its first
//! allocations, and holds `Box<T>`, so that items keep their address and moving a
//! guard moves a pointer. `opool` is shown in both forms: as its documentation
//! shows it, with items inside its queue and its guards, and boxed.

use crate::contender::{Contender, Kind, Pool, Value};
use std::ops::{Deref, DerefMut};

/// The crate `opool`: an `ArrayQueue` of items, with guards that hold them.
pub struct Opool;

impl Contender for Opool {
    const NAME: &'static str = "opool";
    const KIND: Kind = Kind::Bounded;
    type Pool<T: Value> = opool::Pool<Defaults, T>;
}

/// Makes default items; resets nothing, because acquire writes the value.
pub struct Defaults;

impl<T: Value> opool::PoolAllocator<T> for Defaults {
    fn allocate(&self) -> T {
        T::default()
    }
}

impl<T: Value> Pool<T> for opool::Pool<Defaults, T> {
    type Lease<'a> = opool::RefGuard<'a, Defaults, T>;

    fn with_capacity(capacity: usize) -> Self {
        Self::new_prefilled(capacity, Defaults)
    }

    #[inline(always)]
    fn try_acquire(&self, value: T) -> Option<Self::Lease<'_>> {
        let mut guard = self.try_get()?;
        *guard = value;
        Some(guard)
    }
}

/// The crate `opool` with boxed items.
pub struct OpoolOfBox;

impl Contender for OpoolOfBox {
    const NAME: &'static str = "opool of Box";
    const KIND: Kind = Kind::Bounded;
    type Pool<T: Value> = opool::Pool<Boxes, Box<T>>;
}

/// Makes default items in boxes.
pub struct Boxes;

impl<T: Value> opool::PoolAllocator<Box<T>> for Boxes {
    fn allocate(&self) -> Box<T> {
        Box::default()
    }
}

impl<T: Value> Pool<T> for opool::Pool<Boxes, Box<T>> {
    type Lease<'a> = Unboxed<opool::RefGuard<'a, Boxes, Box<T>>>;

    fn with_capacity(capacity: usize) -> Self {
        Self::new_prefilled(capacity, Boxes)
    }

    #[inline(always)]
    fn try_acquire(&self, value: T) -> Option<Self::Lease<'_>> {
        self.try_get().map(|guard| Unboxed::holding(guard, value))
    }
}

/// The crate `object-pool`: a mutex around a vector.
pub struct ObjectPool;

impl Contender for ObjectPool {
    const NAME: &'static str = "object-pool";
    const KIND: Kind = Kind::Bounded;
    type Pool<T: Value> = object_pool::Pool<Box<T>>;
}

impl<T: Value> Pool<T> for object_pool::Pool<Box<T>> {
    type Lease<'a> = Unboxed<object_pool::Reusable<'a, Box<T>>>;

    fn with_capacity(capacity: usize) -> Self {
        Self::new(capacity, Box::default)
    }

    #[inline(always)]
    fn try_acquire(&self, value: T) -> Option<Self::Lease<'_>> {
        self.try_pull().map(|guard| Unboxed::holding(guard, value))
    }
}

/// The crate `lockfree-object-pool`: linked pages with a bitmap each.
pub struct LockfreeObjectPool;

impl Contender for LockfreeObjectPool {
    const NAME: &'static str = "lockfree-object-pool";
    const KIND: Kind = Kind::Growing;
    type Pool<T: Value> = lockfree_object_pool::LinearObjectPool<Box<T>>;
}

impl<T: Value> Pool<T> for lockfree_object_pool::LinearObjectPool<Box<T>> {
    type Lease<'a> = Unboxed<lockfree_object_pool::LinearReusable<'a, Box<T>>>;

    /// It has no capacity and grows by pages, so filling it means using it once.
    fn with_capacity(capacity: usize) -> Self {
        let pool = Self::new(Box::default, |_| {});
        let first = capacity.min(64);
        drop((0..first).map(|_| pool.pull()).collect::<Vec<_>>());
        pool
    }

    #[inline(always)]
    fn try_acquire(&self, value: T) -> Option<Self::Lease<'_>> {
        Some(Unboxed::holding(self.pull(), value))
    }
}

/// A guard over a `Box<T>`, seen as a guard over `T`.
pub struct Unboxed<G>(G);

impl<G: DerefMut<Target = Box<T>>, T> Unboxed<G> {
    #[inline(always)]
    fn holding(mut guard: G, value: T) -> Self {
        **guard = value;
        Self(guard)
    }
}

impl<G: Deref<Target = Box<T>>, T> Deref for Unboxed<G> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<G: DerefMut<Target = Box<T>>, T> DerefMut for Unboxed<G> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
