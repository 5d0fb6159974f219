//! Buffers in size classes: `millpond-bytes`.

pub use millpond_bytes::{
    BytePool, ClassStats, Config, ConfigError, DEFAULT_SIZES, Discard, Discards, Full, Origin,
    PoolBuf, PoolBytes, PoolStats, Pooled, RawParts, StaleError, acquire, acquire_stale,
    acquire_zeroed, configure, global,
};
