//! A small code database with search and a tool server.
//!
//! ```
//! use millpond_workloads::codebase::{Codebase, Heap, Primitive, Store};
//!
//! let mut code = Codebase::open(Heap, Store::in_memory()?)?;
//! let request = r#"{"path": "pond.rs", "content": "pub struct Pond;\n"}"#;
//! let answer = code.call(Primitive::Store, request, str::to_owned).unwrap();
//! assert!(answer.contains("\"version\":1"));
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! ```text
//!   server      tools over the Model Context Protocol
//!   primitive   JSON in, JSON out
//!   database    save, retrieve, search, link
//!     ├─ index    graph · bm25 · hnsw, rebuilt when the database is opened
//!     └─ store    files, changes, links in redb
//!   memory      heap or pooled: all of the above is generic over it
//! ```
//!
//! What it costs is measured by `cargo xtask bench --chapter codebase`. A save is one
//! transaction; what was committed survives the end of the process at any moment.
//! Searches run side by side; a save waits for them.
//!
//! Not for: code that must be understood exactly (symbols are found by their looks),
//! and more files than fit into memory with their index.

#![expect(
    clippy::missing_panics_doc,
    reason = "the panics are for more than 2³² things and for states that cannot be"
)]

pub mod bm25;
pub mod database;
pub mod diff;
pub mod graph;
pub mod heap;
pub mod hnsw;
pub mod index;
pub mod json;
pub mod memory;
pub mod pooled;
pub mod primitive;
pub mod record;
pub mod server;
pub mod shelf;
pub mod store;
pub mod symbols;
pub mod words;
pub mod work;

pub use database::{Codebase, LARGEST_FILE, LONGEST_PATH, MOST_HITS, Size};
pub use graph::{Direction, EdgeKind, Graph, Node};
pub use heap::{BoxedRows, Heap};
pub use hnsw::{Hnsw, Near, Plan};
pub use index::{Analysis, File, Hit, Index, Ranking, Saved};
pub use memory::{Full, Hold, List, Memory, Purpose, Rows, Scope, Text};
pub use pooled::Pooled;
pub use primitive::{Fault, LONGEST_REQUEST, Primitive};
pub use server::{LONGEST_LINE, ToolServer};
pub use shelf::{Id, Shelf};
pub use store::{Batch, Store};
pub use symbols::SymbolKind;
pub use words::{DIMENSION, embed};
