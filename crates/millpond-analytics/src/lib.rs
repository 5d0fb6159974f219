//! What the millpond memory pools do, shown: whether they earn their keep, who
//! holds what for how long, and what to change.
//!
//! This crate guarantees that what it shows was counted or measured. It knows
//! nothing of any pool but the interface
//! [`Observe`](millpond_core::observe::Observe), and costs the pools nothing:
//! their counters are there anyway, and are read when somebody asks.
//!
//! # Example
//!
//! ```
//! use millpond_analytics::{Calibration, Registry, Savings};
//! use millpond_core::observe::{Observation, Observe};
//! use std::sync::Arc;
//!
//! # struct Frames;
//! # impl Observe for Frames {
//! #     fn name(&self) -> &str { "frames" }
//! #     fn observe(&self) -> Observation { Observation::default() }
//! # }
//! # let frames = Arc::new(Frames);
//! let registry = Registry::new();
//! registry.register(&frames)?; // Any pool, in an `Arc`; or a static one.
//!
//! let snapshot = registry.snapshot();
//! println!("{snapshot}");            // A table.
//! println!("{}", snapshot.to_json()); // For programs, and to compare later.
//! println!("{}", Savings::of(&snapshot, Some(&Calibration::measure())));
//! # Ok::<(), millpond_analytics::RegisterError>(())
//! ```
//!
//! # What there is
//!
//! ```text
//!   Registry ──► Snapshot ──┬──► table, JSON, Line (log, tracing), page (HTML)
//!   pools and               ├──► since, merge ──► rates, fleets
//!   budgets,                ├──► Savings  ◄── Calibration
//!   held weakly             ├──► Series ──► Advisor ──► Advice
//!      │                    └──► Exporter (Prometheus), Bridge (metrics)
//!      └──► Watch, Tracker          TraceRecorder ──► Trace ──► Advisor
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `prometheus-client` | `Exporter`: text 0.0.4 and OpenMetrics by content negotiation |
//! | `http` | the exporter as a handler for axum, hyper and others |
//! | `endpoint` | `Endpoint`: the exporter on a socket of its own |
//! | `metrics` | `Bridge`: into the recorder that the application installed |
//! | `log`, `tracing` | a line now and then |
//! | `fleet` | `millpond-advise`: advice from what a Prometheus server knows |
//!
//! Rules, dashboard and the page of all metrics are made from [`catalogue`], and
//! lie ready in the directory `prometheus` of this crate.
//!
//! # Cost
//!
//! Nothing on the paths of the pools. A snapshot of a hundred pools that 64
//! threads use takes some tens of microseconds; see
//! `cargo bench -p millpond-bench --bench analytics`. What diagnostics cost is
//! said in [`millpond_core::diagnostics`]: without them there are no hold times,
//! sizes or holders.
//!
//! # Not for
//!
//! Billing. A sum that is read while threads run may be off by what is in flight.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod advisor;
#[cfg(feature = "metrics")]
mod bridge;
mod calibration;
pub mod catalogue;
pub mod dashboard;
#[cfg(feature = "endpoint")]
mod endpoint;
#[cfg(feature = "prometheus-client")]
mod exporter;
mod figure;
#[cfg(feature = "fleet")]
pub mod fleet;
mod leak;
mod line;
mod map;
mod page;
mod registry;
pub mod rules;
mod savings;
mod series;
mod snapshot;
mod table;
mod trace;
mod tracker;
mod watch;

pub use advisor::{
    Advice, Advisor, CapacityAdvice, ClassAdvice, Demand, NominalAdvice, PoolAdvice, count_sizes,
    requests,
};
#[cfg(feature = "metrics")]
pub use bridge::Bridge;
pub use calibration::Calibration;
#[cfg(feature = "endpoint")]
pub use endpoint::{Endpoint, LOOPBACK};
#[cfg(feature = "prometheus-client")]
pub use exporter::{Exporter, Exposition, Format};
pub use leak::Leak;
pub use line::Line;
pub use map::{MemoryMap, PoolRegions};
pub use page::Page;
pub use registry::{LONGEST_NAME, MOST_POOLS, Observed, RegisterError, Registry};
pub use savings::Savings;
pub use series::{Interval, Series};
pub use snapshot::{
    BudgetFigures, HolderFigures, OUTSIDE, PoolSnapshot, Snapshot, SnapshotError, VERSION,
};
pub use trace::{Trace, TraceError, TraceEvent, TraceRecorder, TracedOperation};
pub use tracker::{AllocatorCount, MOST_OPERATIONS, Operation, Span, Tracker, TrackerReport};
pub use watch::Watch;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
