//! An HTTP/1.1 server whose requests and answers lie in buffers of size classes.
//!
//! ```text
//!   GET, HEAD  /any/path       a file below the root, streamed
//!   POST, PUT  /echo           the body again
//!   POST, PUT  /digest         its length and XXH3, streamed
//!   POST, PUT  /json           what a JSON document consists of
//!   GET, HEAD  /metrics        figures of the pools, for Prometheus
//!   GET, HEAD  /metrics.json   the same as JSON
//! ```
//!
//! Heads and chunk sizes are parsed by `httparse` in the buffer that they were read
//! into. Connections are kept, requests may be pipelined, bodies come by length or
//! in chunks. A request is read into the smallest class that holds its head, moves
//! to a larger one if its body needs that, and is answered through a buffer of the
//! class that fits the answer, up to 64 KiB at a time. A JSON document is parsed
//! in an arena that goes with the request.
//!
//! # Guarantees
//!
//! A connection that waits holds no buffer. A malformed request is answered 400,
//! and its connection closed. Nobody gets more bytes, connections or time than the
//! [`Limits`] say. No path leads out of the root. When [`Server::stop`] returns,
//! every buffer and arena is at home.
//!
//! # Not for
//!
//! The open Internet: there is no encryption. Files on a slow disk: a worker waits
//! for those that are not in the system's cache.

pub mod body;
pub mod connection;
pub mod date;
pub mod files;
pub mod head;
pub mod limits;
pub mod load;
pub mod memory;
pub mod paced;
pub mod server;
pub mod status;
pub mod wire;

pub use connection::Counts;
pub use limits::Limits;
pub use memory::{Heap, Memory, Pooled};
pub use server::Server;
