//! The engine under the millpond pools: it moves eight-byte entries between
//! threads, and knows nothing of what they stand for.
//!
//! This is an implementation crate. Programs use a pool crate such as
//! `millpond-fixed`, or the facade; pool crates use this one. Its interface
//! changes with the pools that stand on it, and follows semantic versioning.
//!
//! ```text
//!   engine     SharedEngine: caches per thread over one depot      LocalEngine: one stack
//!                 │ asks for items, gives them back                    │
//!   source     Slabs: equal slots in regions           (or a pool's own: arenas, boxes)
//!                 │ raw memory                              │ bytes
//!   region     mapped or heap memory                   budget: nested live limits
//! ```
//!
//! A pool is a typed shell: it owns an engine over a source, turns entries into
//! leases, and runs the user's constructors and destructors outside of both.
//!
//! ```
//! use millpond_core::engine::Released;
//! use millpond_core::shared::SharedEngine;
//! use millpond_core::slab::Slabs;
//!
//! let engine = SharedEngine::new(64, 32, Slabs::new(32, 8));
//! let entry = match engine.try_pop() {
//!     Some(entry) => entry,                    // the caller's own cache had one
//!     None => engine.acquire_slow(0)?,         // other caches, depot, source
//! };
//! // SAFETY: acquired above, released once, not used afterwards.
//! let released = unsafe { SharedEngine::release(&engine, entry) };
//! assert_eq!(released, Released::Home);
//! # Ok::<(), millpond_core::error::AcquireError>(())
//! ```
//!
//! # What this crate is not
//!
//! It is not a general allocator, does not construct or drop values, and does
//! not choose what happens when a pool runs out. It is not lock-free: fast
//! paths take no lock, everything else does, and a thread that is descheduled
//! inside its few instructions makes others wait on their slow paths. Nothing
//! here may be called from a signal handler.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod adaptive;
#[cfg(feature = "std")]
mod barrier;
#[cfg(feature = "std")]
pub mod budget;
#[cfg(feature = "std")]
mod cache;
pub mod capacity;
#[cfg(feature = "std")]
pub mod claim;
#[cfg(feature = "std")]
mod depot;
#[cfg(feature = "std")]
pub mod diagnostics;
#[cfg(feature = "alloc")]
pub mod engine;
pub mod entry;
pub mod error;
#[cfg(feature = "std")]
pub mod event;
#[cfg(feature = "alloc")]
pub mod exhaustion;
#[cfg(feature = "alloc")]
pub mod histogram;
pub mod home;
pub mod id;
pub mod life;
#[cfg(feature = "alloc")]
pub mod local;
#[cfg(feature = "std")]
mod magazine;
#[cfg(feature = "std")]
pub mod member;
#[cfg(feature = "std")]
pub mod notes;
pub mod observe;
pub mod poison;
#[cfg(feature = "std")]
pub mod provenance;
pub mod receipt;
#[cfg(feature = "std")]
pub mod recording;
#[cfg(feature = "alloc")]
pub mod region;
#[cfg(feature = "std")]
pub mod shared;
#[cfg(feature = "alloc")]
pub mod sharing;
#[cfg(feature = "alloc")]
pub mod size_class;
#[cfg(feature = "alloc")]
pub mod slab;
#[cfg(feature = "alloc")]
pub mod source;
#[cfg(feature = "std")]
mod sync;
#[cfg(feature = "std")]
mod table;
#[cfg(feature = "std")]
pub mod tenancy;
#[cfg(feature = "std")]
mod thread_id;
pub mod trim;
#[cfg(feature = "std")]
mod wait;
pub mod wipe;
