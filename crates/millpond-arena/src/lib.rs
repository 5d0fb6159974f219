//! Arenas lent by scope: request-scoped memory that is freed in one step.
//!
//! # Example
//!
//! ```
//! use millpond_arena::{ArenaManager, Scope};
//!
//! let manager = ArenaManager::new();
//!
//! let request = manager.lease(Scope::Primitive)?;
//! let name = request.alloc_str("pond")?;
//! let mut squares = request.vec();
//! for n in 0..100u64 {
//!     squares.push(n * n)?;
//! }
//! assert_eq!((name.len(), squares[9]), (4, 81));
//! drop(squares);
//! drop(request); // Everything goes at once; the arena is reused.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Memory layout
//!
//! ```text
//!   scope   ┌─ cache of a thread ─┐  ┌─ depot ─┐        free arenas, any thread's
//!           │ arena  arena        │  │ arena … │
//!           └─────────────────────┘  └─────────┘
//!                │ lease
//!                ▼
//!   lease   ► arena ► chunk  ┌────────────┬────────────────────┐
//!                            │    free    │ c │ b │     a      │ footer
//!                            └────────────┴────────────────────┘
//!                   ► large objects, each an allocation of its own
//!                   ► destructors and callbacks to run, last in first out
//! ```
//!
//! Chunks are those of [`bumpalo`], and are divided here. An arena that outgrew its
//! chunk gets more, and is built in one piece next time. Large objects lie beside the
//! chunks.
//!
//! # Cost
//!
//! Leasing and returning an arena is a pop and a push in the calling thread's own
//! cache, and a reset: about seventy instructions, no lock, no atomic
//! read-modify-write. An allocation whose layout is a constant is five: nothing is
//! counted or charged for it. What is rare (another chunk, a large object, destructors) is
//! dealt with when it happens or when the lease ends, with no lock held. Figures
//! beside those of other arenas: `cargo xtask bench --chapter field-arena`.
//!
//! # Guarantees
//!
//! - *Nothing survives its lease*: not by escape, nor by a reset, nor in a
//!   [child](Lease::child). The compiler sees to it.
//! - *Limits hold*: neither a lease nor the [budget](millpond_core::budget) ever
//!   holds more than its limit, chunks and large objects together.
//! - *Nothing stays for ever*: an arena that ballooned keeps no more than its
//!   scope's ceiling when it comes home, and no more than twice what recent leases
//!   used. Arenas that nobody needs go by and by ([`ArenaManager::maintain`]), or
//!   at once ([`ArenaManager::trim`]), whichever thread used them last.
//! - *Destructors run or are refused*: at compile time by [`Lease::alloc`]; by
//!   [`Lease::alloc_drop`] they run when the lease ends.
//! - *Wiping misses nothing*, where a scope [asks](Wipe) for it.
//!
//! # Running out
//!
//! Every allocation and every append answers a `Result`; [`ArenaFull`] says which
//! limit was hit. Collections of other crates, which take `&Lease` as their
//! allocator, abort unless they are asked by `try_reserve`.
//!
//! # Threads
//!
//! An [`ArenaManager`] is shared; a [`Lease`] belongs to one thread at a time, may
//! be sent to another and dropped there, and may be kept across `.await`.
//! Allocating takes no atomic, so a lease is not `Sync`. Nothing here may be called
//! from a signal handler.
//!
//! # Not for
//!
//! Values that live longer than a request, values that are freed one by one in no
//! order, and sharing between threads at the same time.

#![no_std]
#![forbid(unsafe_op_in_unsafe_fn)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate std;

mod allocator;
mod arena;
mod chunk;
mod config;
mod copy;
#[cfg(feature = "serde")]
pub mod document;
mod drops;
mod error;
mod frontier;
mod hands;
mod large;
mod lease;
mod manager;
mod pool;
mod retention;
mod reuse;
mod scope;
mod source;
mod stats;
mod string;
mod tally;
mod vec;

pub use config::{ConfigError, ScopeConfig, Wipe};
pub use error::{ArenaFull, Full, LeaseError};
pub use lease::Lease;
pub use manager::{ArenaManager, BuildError, Builder, ScopeView};
pub use millpond_core::diagnostics::{Diagnosis, Holder};
pub use millpond_core::error::{AcquireError, Limit};
pub use millpond_core::observe::Observation;
pub use millpond_core::trim::{Level, TrimReport};
pub use scope::Scope;
pub use stats::{Discarded, ScopeStats};
pub use string::{ArenaString, UnboundString};
pub use vec::{ArenaVec, IntoIter, UnboundVec};
