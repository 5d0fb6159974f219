//! The rows of the chapter, in the order of the report.

use crate::variants;
use millpond_bench::chapter::{RowSpec, Section, Unit};

pub const LEASE: &str = "lease";
pub const SCALING: &str = "lease-scaling";
pub const REQUEST: &str = "request";
pub const ANY_REQUEST: &str = "request-any";
pub const TWO_THREADS: &str = "request-two-threads";
pub const COLLECTIONS: &str = "collections";
pub const EXTEND: &str = "extend";
pub const DOCUMENT: &str = "document";
pub const FILES: &str = "files";
pub const ALLOCATIONS: &str = "allocations";
pub const MECHANISM: &str = variants::ROW;
pub const COURSE: &str = "balloon-course";
pub const BALLOON: [(&str, u64); 5] = [
    ("balloon-before", 0),
    ("balloon-peak", 1),
    ("balloon-returned", 2),
    ("balloon-idle", 3),
    ("balloon-trimmed", 4),
];

pub const ROWS: &[RowSpec] = &[
    RowSpec::time(
        LEASE,
        "lease and return",
        "An arena is leased and given back; nothing is allocated.",
    ),
    RowSpec {
        id: SCALING,
        title: "lease, two threads ÷ one",
        what: "Leases on two pinned threads at once divided by the same on one, and by the same ratio of a loop without memory.",
        unit: Unit::Ratio,
        section: Section::Time,
    },
    RowSpec::time(
        REQUEST,
        "request",
        "100 allocations of 8 to 256 bytes, lease and return (or reset, or frees) included.",
    ),
    RowSpec::time(
        ANY_REQUEST,
        "request, layouts at run time",
        "The same with layouts that the compiler does not know.",
    ),
    RowSpec::time(
        TWO_THREADS,
        "request, two threads",
        "The same on two pinned threads at once; time per request and thread.",
    ),
    RowSpec::time(
        COLLECTIONS,
        "collections",
        "Per request: 200 words pushed, 2 KiB of bytes appended in slices of 64, and 50 boxes of 32 bytes.",
    ),
    RowSpec::time(
        EXTEND,
        "append slices",
        "64 slices of 64 bytes appended to a vector with room; time per slice.",
    ),
    RowSpec {
        id: DOCUMENT,
        title: "document tree",
        what: "The JSON that `cargo metadata` prints for this workspace, read into a tree that is then dropped; time per document.",
        unit: Unit::Nanos,
        section: Section::RealInput,
    },
    RowSpec {
        id: FILES,
        title: "every JSON and TOML file",
        what: "Every JSON file of the corpus read into a tree, and every TOML file too, each in a lease of its own; time per file.",
        unit: Unit::Nanos,
        section: Section::RealInput,
    },
    RowSpec::space(
        ALLOCATIONS,
        "heap allocations",
        "Heap allocations in 100,000 requests of warmed arenas on two threads at once; counted, not sampled.",
        Unit::Count,
    ),
    RowSpec::space(
        "balloon-before",
        "before the balloon",
        "Resident memory after 1,000 ordinary requests.",
        Unit::Mebibytes,
    ),
    RowSpec::space(
        "balloon-peak",
        "in the balloon",
        "The same while one request holds 64 MiB, all of it written.",
        Unit::Mebibytes,
    ),
    RowSpec::space(
        "balloon-returned",
        "balloon returned",
        "The same when that request has ended.",
        Unit::Mebibytes,
    ),
    RowSpec::space(
        "balloon-idle",
        "idle afterwards",
        "The same after 1,000 ordinary requests and 16 ticks without one, where there are ticks.",
        Unit::Mebibytes,
    ),
    RowSpec::space(
        "balloon-trimmed",
        "trimmed",
        "The same after a trim, where there is a way to ask for it.",
        Unit::Mebibytes,
    ),
    RowSpec::new(
        COURSE,
        "a balloon, then idle",
        "Resident memory: 4 × 250 requests, 64 MiB in one that grows, its end, 4 × 250 requests, 16 ticks without one where there are ticks, a trim where there is one.",
        Unit::Mebibytes,
        Section::OverTime,
    ),
    RowSpec::new(
        MECHANISM,
        "lease with statistics and without",
        "The same loop of leases, compiled with and without what we count.",
        Unit::Nanos,
        Section::Mechanism,
    ),
];
