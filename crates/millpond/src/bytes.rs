//! Buffers in size classes: `millpond-bytes`.

pub use millpond_bytes::{
    Advice, BytePool, ClassStats, Clearing, Config, ConfigError, DEFAULT_SIZES, Discard, Discards,
    Full, Lent, LocalBuf, LocalBytePool, LocalBytes, Origin, PoolBuf, PoolBytes, PoolStats,
    PoolString, Pooled, RawParts, StaleError, StringPool, StringSize, SubPool, acquire,
    acquire_stale, acquire_zeroed, configure, global, load, measure_pool_min_size, try_acquire,
};
