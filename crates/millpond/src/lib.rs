//! Memory pools under one budget.
//!
//! This crate gathers the pools of the family under one roof: it adds words and
//! composition, and no mechanism. Everything in it can be had from the pool
//! crates alone.
//!
//! # Example
//!
//! ```
//! # #[cfg(all(feature = "std", feature = "fixed", feature = "arena", feature = "bytes"))] {
//! use millpond::Pond;
//! use millpond::arena::Scope;
//!
//! let pond = Pond::builder().with_budget_bytes(64 << 20).build()?;
//!
//! // Memory for one request, freed in one step.
//! let request = pond.arena(Scope::Primitive)?;
//! let path = request.alloc_str("/index.html")?;
//!
//! // A buffer that goes back to its class, or is shared without a copy.
//! let mut buffer = pond.buffer(1024)?;
//! buffer.extend_from_slice(path.as_bytes())?;
//! let shared = buffer.freeze();
//!
//! // A set number of values of one type.
//! let sessions = pond.fixed_pool::<[u64; 8]>("sessions", 1000)?;
//! let session = sessions.try_acquire([0; 8])?;
//!
//! assert_eq!(&shared[..], b"/index.html");
//! assert!(pond.budget().held() <= 64 << 20);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which pool do I want?
//!
//! | you have | you want | in |
//! |---|---|---|
//! | values of one type that come and go one by one | [`FixedPool`](fixed::FixedPool) | [`fixed`] |
//! | the same, and making them is what costs | [`ObjectPool`](fixed::ObjectPool) | [`fixed`] |
//! | many small values of any type that go together | [`ArenaManager`](arena::ArenaManager) | [`arena`] |
//! | rows of numbers for kernels | [`VectorPool`](vector::VectorPool) | [`vector`] |
//! | bytes to read into and to send | [`BytePool`](bytes::BytePool) | [`bytes`] |
//! | several of these, and one limit for all | [`Pond`] | here |
//!
//! # Memory layout
//!
//! ```text
//!   Pond ──┬─ budget   one limit on live bytes  ◀── everything below is charged
//!          ├─ arenas   256 KiB, 1 MiB, 128 KiB and your own
//!          ├─ bytes    classes of 2 to 64 KiB
//!          └─ pools    nodes, results, objects, vectors: by name
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `std` (default) | shared pools and [`Pond`]; without it pools for one thread |
//! | `fixed`, `arena`, `vector`, `bytes` (default) | the pools |
//! | `analytics` | snapshots, savings and reports of a pond |
//! | `config` | a pond from TOML, JSON and the environment |
//! | `allocator-api2`, `arrow-buffer`, `bytemuck`, `bytes-crate`, `half`, `http`, `log`, `metrics`, `prometheus-client`, `rtrb`, `serde_json`, `tracing`, `zeroize` | integrations with the crates of these names (`bytes-crate`: `bytes`) |
//! | `endpoint`, `fleet` | figures on a socket of their own; advice from what a Prometheus server knows |
//!
//! # Cost
//!
//! A pool that a pond made is the pool itself: acquire and release are the same
//! instructions. `cargo xtask icount` counts both. Making a pool takes a lock.
//!
//! # Guarantees
//!
//! All that the pools of a pond hold, leased or not, is inside of its budget. What
//! the pools guarantee, each on its own page, holds here too: the pond adds
//! nothing between a program and its pool.
//!
//! # Running out
//!
//! A pond's pools do what the pond was told: go on from the heap, counted and
//! charged (the default), fail, grow, or wait. The budget bounds them all, and a
//! charge that it would refuse trims first.
//!
//! # Threads
//!
//! A [`Pond`] is a handle that may be cloned, and used from any thread. Call
//! [`Pond::tick`] now and then from one of them: nothing runs in the background.
//!
//! # Not for
//!
//! A pool that should go before the others do: a pond owns its pools. Make it
//! yourself, and charge it to [`Pond::budget`].

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "std", test))]
extern crate std;

#[cfg(feature = "analytics")]
pub mod analytics;
#[cfg(feature = "arena")]
pub mod arena;
#[cfg(feature = "bytes")]
pub mod bytes;
#[cfg(feature = "std")]
mod config;
#[cfg(feature = "std")]
mod error;
#[cfg(feature = "fixed")]
pub mod fixed;
#[cfg(feature = "std")]
mod leak;
#[cfg(all(doctest, feature = "config", feature = "http", feature = "bytes-crate"))]
mod manual;
#[cfg(feature = "std")]
mod member;
#[cfg(feature = "std")]
mod pond;
#[cfg(feature = "config")]
mod settings;
#[cfg(feature = "tracing")]
mod trace;
#[cfg(feature = "vector")]
pub mod vector;

#[cfg(feature = "std")]
pub use config::{DEFAULT_NODES, DEFAULT_RESULTS, PondConfig, PoolConfig};
#[cfg(feature = "std")]
pub use error::PondError;
#[cfg(feature = "std")]
pub use leak::{Leak, LeakReport};
#[cfg(feature = "std")]
pub use pond::Pond;
#[cfg(feature = "config")]
pub use settings::{ENVIRONMENT_PREFIX, SettingError, Settings};

#[cfg(feature = "tracing")]
pub use trace::tracing_hook;

// The words that all pools share.
pub use millpond_core::adaptive::Adaptive;
#[cfg(feature = "std")]
pub use millpond_core::budget::{Budget, BudgetExceeded, BudgetSnapshot};
pub use millpond_core::capacity::Capacity;
#[cfg(feature = "std")]
pub use millpond_core::diagnostics::{Diagnosis, Holder};
#[cfg(feature = "std")]
pub use millpond_core::engine::Shared;
pub use millpond_core::engine::{Local, Mode};
pub use millpond_core::error::{AcquireError, Limit, Refused};
#[cfg(feature = "std")]
pub use millpond_core::event::{Event, EventHook};
pub use millpond_core::exhaustion::Exhaustion;
pub use millpond_core::id::Id;
pub use millpond_core::observe::{Observation, Observe, RegionFigures, Tune};
pub use millpond_core::region::{HugePages, RegionOptions};
pub use millpond_core::trim::{Level, Trim, TrimReport};

#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
