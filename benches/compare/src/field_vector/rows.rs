//! The rows of the chapter, in the order of the report.

use millpond_bench::chapter::{RowSpec, Section, Unit};

pub const LEASE: &str = "lease";
pub const FILL: &str = "fill";
pub const COPY: &str = "copy";
pub const RAGGED: [(&str, usize); 2] = [("ragged-100", 100), ("ragged-300", 300)];
pub const BUILD: &str = "build";
pub const BUILD_AGAIN: &str = "build-again";
pub const SCAN: &str = "scan";
pub const GATHER: &str = "gather";
pub const EMBEDDINGS: &str = "embeddings";
pub const FOOTPRINT: &str = "footprint";
pub const GRANTED: &str = "granted";
pub const NODE: &str = "node";
pub const ALLOCATIONS: &str = "allocations";

pub const ROWS: &[RowSpec] = &[
    RowSpec::time(
        LEASE,
        "lease a row",
        "A row of 768 f32 acquired and released; nothing is written.",
    ),
    RowSpec::time(
        FILL,
        "lease and fill a row",
        "The same, with one number written to all 768 f32; beside filling a row that is held.",
    ),
    RowSpec::time(
        COPY,
        "lease and copy into a row",
        "The same, with 768 f32 copied from a slice, by the C library's copy; beside copying into a row that is held.",
    ),
    RowSpec::time(
        "ragged-100",
        "distance, 100 dimensions",
        "Dot products with 512 rows in the cache, by one kernel: padded rows of ours, and rows back to back.",
    ),
    RowSpec::time(
        "ragged-300",
        "distance, 300 dimensions",
        "The same with 300 dimensions.",
    ),
    RowSpec::time(
        BUILD,
        "build",
        "Rows of 128 f32 copied into a store that was empty, and the store torn down; 1,000,000 of them (quick: 32,768); time per row.",
    ),
    RowSpec::time(
        BUILD_AGAIN,
        "build again",
        "The same for our pool, each store in memory that one just like it gave back a moment ago: what the kinds of pages cost where the system has the memory at hand.",
    ),
    RowSpec::time(
        SCAN,
        "scan",
        "The dot product with every one of 100,000 stored rows of 768 f32 (quick: 40,000); beside three loops that only read the same pages; time per row.",
    ),
    RowSpec::time(
        GATHER,
        "gather",
        "Dot products with 20,000 of those rows in one random order of ids. Rows of the others were allocated in shuffled order; time per row.",
    ),
    RowSpec {
        id: EMBEDDINGS,
        title: "files of the corpus",
        what: "Hashed n-grams of each file as a row of 256 f32: all stored, the nearest of 32 files found by exact search, all dropped; time for one life.",
        unit: Unit::Micros,
        section: Section::RealInput,
    },
    RowSpec::space(
        FOOTPRINT,
        "memory per row",
        "Resident memory for each stored row of 768 f32 (3,072 bytes) and what names it, in a process of its own.",
        Unit::Bytes,
    ),
    RowSpec::space(
        GRANTED,
        "in small pages",
        "Of 64 MiB of rows, what the system did not put into huge pages, by what it was asked for; and of the store of the row \"build again\".",
        Unit::Mebibytes,
    ),
    RowSpec::space(
        NODE,
        "not on the node",
        "Of 64 MiB of rows, those whose pages do not lie on the node of memory that was asked for, by a sample of 64 pages of each slab.",
        Unit::Mebibytes,
    ),
    RowSpec::space(
        ALLOCATIONS,
        "heap allocations",
        "Heap allocations of a warmed store in 100,000 acquires, releases, inserts and removals; counted, not sampled.",
        Unit::Count,
    ),
];
