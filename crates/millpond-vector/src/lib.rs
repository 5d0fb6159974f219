//! Vector pools: rows of numbers that are aligned, padded with zeros, and never
//! move.
//!
//! # Example
//!
//! ```
//! use millpond_vector::{RowId, VectorPool};
//!
//! let pool = VectorPool::<f32>::new(768, 100_000)?;
//!
//! // Rows that stay, found by ids of eight bytes.
//! let ids: Vec<RowId<f32>> = (0..100u8)
//!     .map(|i| pool.insert(&[f32::from(i); 768]))
//!     .collect::<Result<_, _>>()?;
//! assert_eq!(pool.row(ids[7]).map(|row| row[0]), Some(7.0));
//!
//! // A row for the moment.
//! let mut query = pool.acquire_zeroed()?;
//! query[0] = 1.0;
//!
//! // Everything, in the order of memory.
//! let best = pool
//!     .runs()
//!     .flat_map(|run| run.rows_padded())
//!     .map(|row| row.iter().zip(query.row_padded()).map(|(a, b)| a * b).sum::<f32>())
//!     .fold(f32::MIN, f32::max);
//! assert_eq!(best, 99.0);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Memory layout
//!
//! ```text
//!   slab   ┌───────────────┬─────┬───────────────┬─────┬ ─ ─     2 MiB, one huge page
//!          │ dimension     │ 0 0 │ dimension     │ 0 0 │         if the system grants it
//!          └───────────────┴─────┴───────────────┴─────┴ ─ ─
//!          ▲ row 0          tail ▲ row 1: the next multiple of the alignment
//!
//!   lease    row ─▶ its numbers       id    ┌────────────┬────────────┐
//!            entry, home ─▶ the pool        │ generation │ row number │   8 bytes
//!                                           └────────────┴────────────┘
//! ```
//!
//! A row is padded to whole alignments, so that a kernel has whole lanes and no
//! code for the rest. The tail is zero from the birth of the slab to its death:
//! nothing here lets you write to it. Slabs do not move; what is about a row and
//! not in it (its generation, a norm, an external id) lies in arrays beside.
//!
//! # Cost
//!
//! Acquire and release together are some seventy instructions: no lock, no atomic
//! read-modify-write, no call. Storing a row is one ordered store; reading one by
//! its id is one ordered load and a comparison. A row costs its stride and four
//! bytes. Figures beside those of `Vec`, allocators and other crates:
//! `cargo xtask bench --chapter field-vector`.
//!
//! # Guarantees
//!
//! Every row is aligned as the pool says, initialised, and zero behind its
//! dimension. Rows do not move, except by [`VectorPool::compact`]. An id of a row
//! that is gone answers `None`, for ever: a row that was stored 2³¹ − 1 times is
//! retired. A pool of `N` has never more than `N` rows, and refuses one only if
//! at some instant during the call all `N` were leased or stored. Memory is
//! bounded by a [budget](millpond_core::budget) if the pool has one.
//!
//! # Running out
//!
//! [`VectorPool::try_acquire`] fails at once; [`VectorPool::acquire`] and
//! [`VectorPool::insert`] do what the pool's [`Exhaustion`] policy says. The error
//! names the limit that was hit.
//!
//! # Threads
//!
//! Any number of threads acquire, release, store and read through `&self`. What
//! writes to stored rows or removes them takes `&mut self`, so the borrow checker
//! keeps readers and writers apart and nothing is counted or locked for it. A
//! [`LocalVectorPool`] is for one thread.
//!
//! # Not for
//!
//! Rows of different lengths, values with destructors, and linear algebra: a pool
//! lays numbers out, and leaves the calculating to others.

#![no_std]
#![forbid(unsafe_op_in_unsafe_fn)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod acquire;
mod batch;
mod builder;
mod compact;
mod directory;
mod element;
mod gather;
mod granted;
#[cfg(any(feature = "bytemuck", feature = "arrow-buffer"))]
mod interop;
pub mod kernel;
mod layout;
mod lease;
#[cfg(feature = "std")]
mod owned;
mod pool;
#[cfg(feature = "rtrb")]
pub mod ring;
mod rows;
mod runs;
mod scratch;
mod side;
mod soa;
mod soa_pool;
mod spare;
mod stored;

pub use batch::RowBatch;
pub use builder::Builder;
pub use compact::Moved;
pub use element::{Bf16, Element, F16};
pub use gather::Gather;
pub use granted::GrantedSlabs;
pub use layout::{Alignment, RowLayout, ShapeError, Spread};
pub use lease::{RowId, RowLease};
#[cfg(feature = "std")]
pub use millpond_core::diagnostics::{Diagnosis, Holder};
#[cfg(feature = "std")]
pub use millpond_core::engine::Shared;
pub use millpond_core::engine::{Local, Mode};
pub use millpond_core::error::{AcquireError, Limit};
pub use millpond_core::exhaustion::Exhaustion;
pub use millpond_core::observe::Observation;
pub use millpond_core::region::HugePages;
pub use millpond_core::trim::{Level, TrimReport};
#[cfg(feature = "std")]
pub use owned::OwnedRow;
pub use pool::{LocalVectorPool, VectorPool};
pub use runs::{Run, Runs};
pub use scratch::{AlignedBuf, ScratchPool};
pub use side::SideArrays;
pub use soa::{Column, Lane, LaneError, Soa, Triples8};
pub use soa_pool::{
    CapacityUsage, DEFAULT_BLOCKS, LoadError, SoaLease, SoaPool, Triples8Lease, Triples8Pool,
};
pub use stored::InsertError;

#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
