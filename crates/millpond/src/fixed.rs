//! A set number of values of one type: `millpond-fixed`.

pub use millpond_fixed::{
    Batch, Builder, Clear, Clearable, DynLease, Eviction, FixedPool, Hooks, IndexPool, Indexed,
    Lease, LocalFixedPool, LocalIndexPool, LocalObjectPool, ObjectLease, ObjectPool, Pooled,
    Recycle, Vacant, Verdict,
};
#[cfg(feature = "std")]
pub use millpond_fixed::{
    Counted, Handle, IdPool, LocalIdPool, ObjectHandle, OwnedLease, OwnedObjectLease, Pinned,
    PoolHandle, SharedLease, SharedOwnedLease, View,
};
