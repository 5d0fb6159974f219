//! The reference systems: what the pools are for, each small enough to read in a sitting.
//!
//! ```text
//!  encoder     text to glyph codes and back, against earlier documents     `encode`
//!  codebase    files, symbols, search, a tool server                        `codebase`
//!  pipeline    N-Triples through structure-of-arrays runs to receipts       `pipeline`
//!  buildtool   flags, references, checksums, archives, a log                `buildtool`
//!  httpd       files, uploads, JSON and metrics over HTTP/1.1 (Unix)        `httpd`
//! ```
//!
//! Every system runs in the modes of [`memory`] on the same work, with results
//! that are the same byte for byte. What the modes cost is measured by
//! `cargo xtask bench`, a chapter for each system.
//!
//! [`corpus`] is the real input that all of them work on, and [`cli`] what
//! their binaries have in common.

pub mod buildtool;
pub mod cli;
pub mod codebase;
pub mod corpus;
pub mod encoder;
#[cfg(unix)]
pub mod httpd;
pub mod memory;
pub mod pipeline;
