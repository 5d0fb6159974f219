//! The measuring side of millpond: an interleaved runner, records, and the report.
//!
//! ```text
//!  xtask ──builds──▶ millpond-compare ──starts──▶ workers, one fresh process a task
//!                      │  parent: plans, shows progress, judges bars, writes the report
//!                      └─ worker: pins itself, measures, prints one line of JSON
//! ```
//!
//! This crate knows how to measure, compare and show; it knows no pool and no
//! peer. Those meet in `benches/compare`, which has its own lock file because
//! its peers bring C and C++ along. The method, and what may not be claimed from
//! it, is in `docs/benchmarking.md`.
//!
//! What the parts promise:
//!
//! - [`runner`] measures contenders in turn, so that a noisy moment hits all of them;
//! - [`stats`] speaks in medians with intervals, never in single numbers;
//! - [`bar`] computes verdicts from intervals: met, missed, or undecided;
//! - [`replay`] does what a recorded program did, the same for every contender;
//! - [`report`] names no winner where intervals overlap, and hides no row.

pub mod against;
pub mod bar;
pub mod chapter;
pub mod clock;
pub mod corpus;
pub mod counting;
pub mod judge;
pub mod percentiles;
pub mod pin;
pub mod plan;
pub mod progress;
pub mod provenance;
pub mod record;
pub mod refusal;
pub mod replay;
pub mod report;
pub mod resident;
pub mod runner;
pub mod stats;
pub mod worker;
