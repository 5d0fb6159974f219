//! Our shared pool as a contender.
//!
//! Items are built in place (`try_acquire_with`), as the other contenders do when
//! they write through a pointer; `try_acquire` carries the value along so that it
//! can hand it back, which the compiler does not always see through.

use crate::contender::{Contender, Kind, Pool, Value};
use millpond_fixed::{FixedPool, Lease, Level, Shared};

/// The shared pool's name.
pub const SHARED: &str = "millpond FixedPool";

/// The shared pool.
pub struct Ours;

impl Contender for Ours {
    const NAME: &'static str = SHARED;
    const KIND: Kind = Kind::Bounded;
    type Pool<T: Value> = FixedPool<T>;
}

impl<T: Value> Pool<T> for FixedPool<T> {
    type Lease<'a> = Lease<'a, T, Shared>;

    fn with_capacity(capacity: usize) -> Self {
        Self::new(capacity)
    }

    #[inline(always)]
    fn try_acquire(&self, value: T) -> Option<Lease<'_, T, Shared>> {
        FixedPool::try_acquire_with(self, || value).ok()
    }

    fn trim(&self) {
        FixedPool::trim(self, Level::Full);
    }
}
