//! Byte pools: buffers in size classes.
//!
//! # Example
//!
//! ```
//! let mut buffer = millpond_bytes::acquire(100)?;
//! write!(buffer, "HTTP/1.1 {} {}\r\n", 200, "OK")?;
//!
//! let response = buffer.freeze(); // Shared from here on, nothing allocated.
//! let status = response.slice(9..12);
//! assert_eq!(status, "200");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Memory layout
//!
//! ```text
//!   pool   table ─▶ 2 KiB ─▶ slab ┌────────┬───────┬────────┬───────┬ ─ ─
//!                   4 KiB         │ header │ bytes │ header │ bytes │
//!                   …             └────────┴───▲───┴───▲────┴───▲───┴ ─ ─
//!                                              │       │        │
//!   buffer   bytes, start, end, capacity, home ┘       │        │
//!   frozen   first, len, bytes ────────────────────────┼────────┘
//!                                                      └─ count of views
//! ```
//!
//! A buffer points to its bytes and knows its class. The header in front of the
//! bytes is touched only when a buffer is frozen or taken apart.
//!
//! # Cost
//!
//! Acquire and release together: some 70 instructions, no atomic read-modify-write, no
//! lock, no call, and two additions to memory for the statistics. Zeroing is a memset of what was
//! asked for. Freezing writes one line; a clone of a view is one atomic addition.
//! Figures beside those of other pools and allocators:
//! `cargo xtask bench --chapter field-bytes`.
//!
//! # Guarantees
//!
//! Bytes of an earlier lease are never visible in a buffer that was acquired
//! empty or zeroed, and no safe function shows uninitialised memory. A buffer
//! goes back to the class that it came from, once. Freezing and thawing allocate
//! nothing. Memory is bounded by a [budget](millpond_core::budget) if the pool
//! has one, caches and oversize buffers included, and a [trim](BytePool::trim)
//! reaches the caches of every thread.
//!
//! # Running out
//!
//! [`BytePool::try_acquire`] fails at once; [`BytePool::acquire`] does what the
//! pool's [`Exhaustion`] policy says. Requests above the largest class are
//! allocated directly and counted. Writing beyond the capacity is an error
//! ([`Full`]); [`PoolBuf::reserve`] moves on to a larger class.
//!
//! # Threads
//!
//! A [`BytePool`] is a handle that may be cloned and shared; buffers and frozen
//! views borrow nothing and may be sent and released anywhere. A [`LocalBytePool`]
//! is for one thread: no atomics, no caches, buffers and views that borrow it and stay
//! where they are. Nothing here may be called from a signal handler.
//!
//! # Not for
//!
//! Bytes that live as long as the program, and buffers of a few dozen bytes:
//! allocators are as good at those.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
mod adapt;
mod buf;
#[cfg(feature = "std")]
mod class;
mod config;
#[cfg(feature = "std")]
mod direct;
mod figures;
#[cfg(feature = "std")]
mod global;
#[cfg(feature = "bytes")]
mod interop;
#[cfg(feature = "std")]
mod io;
#[cfg(feature = "std")]
pub mod load;
mod local;
mod origin;
#[cfg(feature = "std")]
mod pond;
#[cfg(feature = "std")]
mod pool;
#[cfg(feature = "std")]
mod raw;
#[cfg(feature = "zeroize")]
mod secret;
mod sink;
mod slot;
mod span;
mod stale;
#[cfg(feature = "std")]
mod stats;
#[cfg(feature = "std")]
mod stock;
#[cfg(feature = "std")]
mod string;
#[cfg(feature = "std")]
mod sub_pool;
#[cfg(feature = "std")]
mod supply;
mod table;
mod view;

#[cfg(feature = "std")]
pub use adapt::{Advice, measure_pool_min_size};
pub use buf::{Full, PoolBuf};
pub use config::{Config, ConfigError, DEFAULT_SIZES};
pub use figures::{ClassStats, Discards, PoolStats};
#[cfg(feature = "std")]
pub use global::{acquire, acquire_stale, acquire_zeroed, configure, global, try_acquire};
pub use local::{Lent, LocalBuf, LocalBytePool, LocalBytes};
#[cfg(feature = "std")]
pub use millpond_core::diagnostics::{Diagnosis, Holder};
pub use millpond_core::error::{AcquireError, Limit};
pub use millpond_core::exhaustion::Exhaustion;
pub use millpond_core::observe::Observation;
pub use millpond_core::trim::{Level, TrimReport};
pub use origin::{Origin, Pooled};
#[cfg(feature = "std")]
pub use pool::BytePool;
#[cfg(feature = "std")]
pub use raw::{Discard, RawParts};
pub use stale::StaleError;
#[cfg(feature = "std")]
pub use string::{PoolString, StringPool, StringSize};
#[cfg(feature = "std")]
pub use sub_pool::{Clearing, SubPool};
pub use view::PoolBytes;
