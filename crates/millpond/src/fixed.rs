//! A set number of values of one type: `millpond-fixed`.

#[cfg(not(feature = "std"))]
pub use millpond_fixed::{Builder, FixedPool, Lease, LocalFixedPool};
#[cfg(feature = "std")]
pub use millpond_fixed::{Builder, FixedPool, Lease, LocalFixedPool, OwnedLease, PoolHandle};
