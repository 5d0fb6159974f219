//! The rows of the chapter, in the order of the report.

use millpond_bench::chapter::{RowSpec, Section, Unit};

pub const PAIR: [(&str, usize); 6] = [
    ("pair-2k", 2 << 10),
    ("pair-4k", 4 << 10),
    ("pair-8k", 8 << 10),
    ("pair-16k", 16 << 10),
    ("pair-32k", 32 << 10),
    ("pair-64k", 64 << 10),
];
pub const MIXED: &str = "mixed";
pub const ZEROED: &str = "zeroed-4k";
pub const WIPED: &str = "wiped-4k";
pub const TWO_THREADS: &str = "two-threads";
pub const SCALING: &str = "scaling";
pub const TOUCHED: &str = "touched-64k";
pub const LOAD: &str = "load";
pub const LOAD_TOUCHED: &str = "load-touched";
pub const REUSE: &str = "reuse";
pub const FREEZE: &str = "freeze";
pub const CORPUS: &str = "corpus";
pub const ALLOCATIONS: &str = "allocations";
pub const MISSES: [&str; 4] = ["misses-1k", "misses-10k", "misses-100k", "misses-more"];
pub const HELD: [&str; 4] = ["held-1k", "held-10k", "held-100k", "held-more"];
pub const COLD: [&str; 6] = [
    "cold-2k", "cold-4k", "cold-8k", "cold-16k", "cold-32k", "cold-64k",
];
pub const READ: &str = "corpus-read";
pub const STATISTICS: &str = "mechanism";

pub const ROWS: &[RowSpec] = &[
    RowSpec::time("pair-2k", "pair, 2 KiB", "Acquire, write a byte, release."),
    RowSpec::time(
        "pair-4k",
        "pair, 4 KiB",
        "The same with 4 KiB; the reference claims 41 to 43 ns for each of these sizes.",
    ),
    RowSpec::time("pair-8k", "pair, 8 KiB", "The same with 8 KiB."),
    RowSpec::time("pair-16k", "pair, 16 KiB", "The same with 16 KiB."),
    RowSpec::time("pair-32k", "pair, 32 KiB", "The same with 32 KiB."),
    RowSpec::time("pair-64k", "pair, 64 KiB", "The same with 64 KiB."),
    RowSpec::time(
        MIXED,
        "mixed sizes",
        "Pairs of the six sizes in random order, not constant; the reference claims 57.6 ns.",
    ),
    RowSpec::time(
        ZEROED,
        "zeroed, 4 KiB",
        "Pairs of 4 KiB that are zero when they are handed out; the reference claims 87.7 ns.",
    ),
    RowSpec::time(
        WIPED,
        "wiped, 4 KiB",
        "Pairs from a pool that zeroes what comes home, beside pairs whose holder zeroes 4 KiB with a memset.",
    ),
    RowSpec::time(
        TWO_THREADS,
        "two threads, 4 KiB",
        "Pairs on two pinned threads at once; time per pair and thread. The reference claims 81.1 ns on eight.",
    ),
    RowSpec {
        id: SCALING,
        title: "two threads ÷ one",
        what: "The row above divided by the same on one thread, and by the same ratio of a loop without memory.",
        unit: Unit::Ratio,
        section: Section::Time,
    },
    RowSpec::time(
        TOUCHED,
        "two threads, 64 KiB touched",
        "The same with 64 KiB, a byte of every page written.",
    ),
    RowSpec::time(
        LOAD,
        "load test",
        "Two threads acquire and release mixed sizes as fast as they can: wall time per operation. 6.25 ns are 160 million in a second; the reference claims 16.35 million.",
    ),
    RowSpec::time(
        LOAD_TOUCHED,
        "load test, touched",
        "The same with a byte of every page written.",
    ),
    RowSpec::time(
        REUSE,
        "reuse of 1,024 × 64 KiB",
        "1,024 buffers that exist, one taken, a byte of every line written, one put back: last in, first out, beside a queue.",
    ),
    RowSpec::time(
        FREEZE,
        "freeze, share, thaw",
        "A buffer frozen, cloned, both dropped or thawed; Bytes cannot come back without a copy, and is frozen from BytesMut.",
    ),
    RowSpec {
        id: CORPUS,
        title: "files of the workspace",
        what: "Every file copied through a buffer of its size and summed up: time per file.",
        unit: Unit::Nanos,
        section: Section::RealInput,
    },
    RowSpec::new(
        READ,
        "files of the workspace, read",
        "Every file opened, and read into a buffer of its size: time per file.",
        Unit::Nanos,
        Section::RealInput,
    ),
    RowSpec::space(
        ALLOCATIONS,
        "heap allocations",
        "Heap allocations of a warmed pool in a million pairs of mixed sizes on two threads; counted, not sampled.",
        Unit::Count,
    ),
    RowSpec::space(
        "misses-1k",
        "planning: 50 workers, 100 warm",
        "Misses in a million requests of a simulated server; the reference claims a hit rate above 99 %, which is 10,000.",
        Unit::Count,
    ),
    RowSpec::space(
        "misses-10k",
        "planning: 200 workers, 1,000 warm",
        "The same; above 98 %, which is 20,000.",
        Unit::Count,
    ),
    RowSpec::space(
        "misses-100k",
        "planning: 1,000 workers, 5,000 warm",
        "The same; above 97 %, which is 30,000.",
        Unit::Count,
    ),
    RowSpec::space(
        "misses-more",
        "planning: 4,000 workers, 10,000 warm",
        "The same; above 95 %, which is 50,000.",
        Unit::Count,
    ),
    held(HELD[0], "planning: 600 buffers, reserved"),
    held(HELD[1], "planning: 6,000 buffers, reserved"),
    held(HELD[2], "planning: 30,000 buffers, reserved"),
    held(HELD[3], "planning: 60,000 buffers, reserved"),
    cold(COLD[0], "allocations, 2 KiB"),
    cold(COLD[1], "allocations, 4 KiB"),
    cold(COLD[2], "allocations, 8 KiB"),
    cold(COLD[3], "allocations, 16 KiB"),
    cold(COLD[4], "allocations, 32 KiB"),
    cold(COLD[5], "allocations, 64 KiB"),
    latency("acquire-p50", "acquire, p50"),
    latency("acquire-p99", "acquire, p99"),
    latency("acquire-p99.9", "acquire, p99.9"),
    latency("release-p50", "release, p50"),
    latency("release-p99", "release, p99"),
    latency("release-p99.9", "release, p99.9"),
    RowSpec::new(
        STATISTICS,
        "statistics",
        "Pairs of 3,000 bytes from the same pool, compiled as shipped and without counters; fresh processes in turn.",
        Unit::Nanos,
        Section::Mechanism,
    ),
];

const fn held(id: &'static str, title: &'static str) -> RowSpec {
    let what = "Address space of the warm pool of the row above. Pages that no request has touched cost nothing but that.";
    RowSpec::space(id, title, what, Unit::Mebibytes)
}

const fn cold(id: &'static str, title: &'static str) -> RowSpec {
    let what = "Buffers that had to be allocated for a million, eight held at once, from a pool that nobody warmed; the reference saves 98.8 to 99.96 % of direct allocation's.";
    RowSpec::space(id, title, what, Unit::Count)
}

const fn latency(id: &'static str, title: &'static str) -> RowSpec {
    let what =
        "One operation at a time, mixed sizes, 64 held, random order, by the time-stamp counter.";
    RowSpec::new(id, title, what, Unit::Nanos, Section::Latency)
}
