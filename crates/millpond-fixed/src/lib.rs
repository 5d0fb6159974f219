//! Fixed pools: a set number of slots for values of one type.
//!
//! | pool | its items | until |
//! |---|---|---|
//! | [`FixedPool`] | values that you bring, behind leases | the lease ends |
//! | [`ObjectPool`] | objects that stay constructed, and are made clean | the lease ends |
//! | `IdPool` (with `std`) | values that are named by ids of eight bytes | they are removed |
//! | [`IndexPool`] | values in the order in which they came | all are taken back at once |
//!
//! # Example
//!
//! ```
//! use millpond_fixed::FixedPool;
//!
//! static PARTICLES: FixedPool<[f32; 3]> = FixedPool::new(1024);
//!
//! let mut particle = PARTICLES.try_acquire([0.0, 1.0, 2.0])?;
//! particle[1] += 0.5;
//! assert_eq!(*particle, [0.0, 1.5, 2.0]);
//! drop(particle); // The value is dropped, its slot goes back.
//! # Ok::<(), millpond_fixed::Refused<[f32; 3]>>(())
//! ```
//!
//! # Memory layout
//!
//! ```text
//!   slab     ┌──────┬──────┬──────┬──────┬ ─ ─     slots of one size, in order;
//!            │ slot │ slot │ slot │ slot │         they never move
//!            └──▲───┴──────┴──▲───┴──────┴ ─ ─
//!               │             │
//!   lease     item ┐          └─ free: its address lies in the cache of the
//!             home ┘─▶ pool      thread that released it, or in the depot
//! ```
//!
//! A lease is two words: where the value is, and where its slot goes. Slabs are
//! made when they are needed, up to the capacity, and given back by a trim once
//! all their slots are free.
//!
//! # Cost
//!
//! Acquire and release together are about thirty instructions: no atomic
//! read-modify-write, no lock, no call. Counting is part of that and costs
//! nothing extra. A cache and the depot exchange a magazine of up to 128 slots
//! under a lock that is held for a few pointer moves. Figures beside those of
//! other pools and allocators: `cargo xtask bench --chapter field-fixed`.
//!
//! # Guarantees
//!
//! A pool of `N` never has more than `N` values at once (unless its policy says
//! so), and refuses a value only if at some instant during the call all `N` were
//! leased, wherever free slots were cached. A value that panics in its
//! constructor or destructor neither loses its slot nor hands it out twice.
//! Memory is bounded by a [budget](millpond_core::budget) if the pool has one,
//! caches included, and a [trim](FixedPool::trim) reaches the caches of every
//! thread, idle ones included.
//!
//! # Running out
//!
//! [`FixedPool::try_acquire`] fails at once and hands the value back;
//! [`FixedPool::acquire`] does what the pool's [`Exhaustion`] policy says: fail,
//! grow, fall back to the heap, or wait. [`FixedPool::acquire_async`] waits in a
//! task.
//!
//! # Threads
//!
//! A [`FixedPool`] may be shared by any number of threads; leases may be sent
//! and released anywhere. A [`LocalFixedPool`] is for one thread, has the same
//! interface and leases, and uses no atomics. Nothing here may be called from a
//! signal handler.
//!
//! # Not for
//!
//! Values of many sizes, values that are cheaper to copy than to find, and
//! types whose construction is what costs: an [`ObjectPool`] recycles those
//! instead of dropping them.

#![no_std]
#![forbid(unsafe_op_in_unsafe_fn)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
mod adapting;
mod batch;
#[cfg(all(feature = "allocator-api2", feature = "std"))]
mod blocks;
mod builder;
#[cfg(feature = "std")]
mod counted;
mod dyn_lease;
mod forward;
#[cfg(feature = "std")]
mod handle;
#[cfg(feature = "std")]
mod ids;
mod index;
mod lease;
mod object;
mod place;
mod pool;
mod recycle;
mod slot;
mod vacant;

pub use batch::Batch;
pub use builder::Builder;
#[cfg(feature = "std")]
pub use counted::{Counted, SharedLease, SharedOwnedLease};
pub use dyn_lease::DynLease;
#[cfg(feature = "std")]
pub use handle::{Handle, PoolHandle};
#[cfg(feature = "std")]
pub use ids::{IdPool, LocalIdPool, Pinned, View};
pub use index::{IndexPool, Indexed, LocalIndexPool};
pub use lease::Lease;
#[cfg(feature = "std")]
pub use lease::OwnedLease;
pub use millpond_core::adaptive::Adaptive;
pub use millpond_core::capacity::Capacity;
#[cfg(feature = "std")]
pub use millpond_core::diagnostics::{Diagnosis, Holder};
#[cfg(feature = "std")]
pub use millpond_core::engine::Shared;
pub use millpond_core::engine::{Local, Mode};
pub use millpond_core::error::{AcquireError, Limit, Refused};
pub use millpond_core::exhaustion::Exhaustion;
#[cfg(feature = "std")]
pub use millpond_core::id::Id;
pub use millpond_core::observe::Observation;
pub use millpond_core::trim::{Level, TrimReport};
pub use object::{LocalObjectPool, ObjectLease, ObjectPool};
#[cfg(feature = "std")]
pub use object::{ObjectHandle, OwnedObjectLease};
pub use pool::{FixedPool, LocalFixedPool};
pub use recycle::{Clear, Clearable, Eviction, Hooks, Recycle, Verdict};
pub use slot::Pooled;
pub use vacant::Vacant;

#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
