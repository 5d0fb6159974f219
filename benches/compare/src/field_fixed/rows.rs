//! The rows of the chapter, in the order of the report.

use millpond_bench::chapter::{RowSpec, Section, Unit};

pub const PAIR: [(&str, usize); 3] = [("pair-1", 1), ("pair-64", 64), ("pair-8192", 8192)];
pub const HELD: [(&str, usize); 2] = [("held-64", 64), ("held-8192", 8192)];
pub const BURST: &str = "burst-1000";
pub const TWO_THREADS: &str = "two-threads";
pub const SCALING: &str = "scaling";
pub const CROSS: &str = "cross";
pub const CHANNEL: &str = "channel";
pub const EXHAUSTED: &str = "exhausted";
pub const LOCAL_PAIR: &str = "local-pair";
pub const LOCAL_HELD: &str = "local-held";
pub const OBJECT: &str = "object-pair";
pub const LOOKUP: &str = "id-lookup";
pub const INSERT: &str = "id-insert";
pub const BATCH: &str = "batch";
pub const LARGE: &str = "large";
pub const LARGE_USED: &str = "large-used";
pub const MANY_POOLS: &str = "many-pools";
pub const GRAPH: &str = "graph";
pub const CODE: &str = "code-graph";
pub const MEMORY: &str = "memory";
pub const GUARD: &str = "guard";
pub const ALLOCATIONS: &str = "allocations";
pub const BURST_BEFORE: &str = "burst-before";
pub const BURST_PEAK: &str = "burst-peak";
pub const BURST_AFTER: &str = "burst-after";
pub const STEPPED_OVERFLOW: &str = "stepped-overflow";
pub const STEPPED_HELD: &str = "stepped-held";
pub const STEPPED_CAPACITY: &str = "stepped-capacity";
pub const MECHANISM: &str = crate::variants::ROW;

pub const ROWS: &[RowSpec] = &[
    RowSpec::time(
        "pair-1",
        "pair, N = 1",
        "Acquire with guard, write a word, release; a pool of one.",
    ),
    RowSpec::time("pair-64", "pair, N = 64", "The same on a pool of 64."),
    RowSpec::time(
        "pair-8192",
        "pair, N = 8192",
        "The same on a pool of 8,192.",
    ),
    RowSpec::time(
        "held-64",
        "64 held, N = 64",
        "All 64 held, then released in random order; time per item.",
    ),
    RowSpec::time(
        "held-8192",
        "64 held, N = 8192",
        "The same on a pool of 8,192.",
    ),
    RowSpec::time(
        BURST,
        "burst of 1,000",
        "1,000 acquired, then all released, on a pool of 8,192; time per item.",
    ),
    RowSpec::time(
        TWO_THREADS,
        "two threads",
        "Pairs on two pinned threads at once; time per pair and thread.",
    ),
    RowSpec {
        id: SCALING,
        title: "two threads ÷ one",
        what: "The row above divided by the same on one thread, and by the same ratio of a loop without memory.",
        unit: Unit::Ratio,
        section: Section::Time,
    },
    RowSpec::time(
        CROSS,
        "here to there, ring",
        "Acquired on one pinned thread, released on another, in batches of 256 through a spinning ring; items written and read.",
    ),
    RowSpec::time(
        CHANNEL,
        "here to there, channel",
        "The same through a channel that blocks.",
    ),
    RowSpec::time(
        EXHAUSTED,
        "exhausted",
        "An acquire that fails on a pool of 64 whose items are all leased.",
    ),
    RowSpec::time(
        LOCAL_PAIR,
        "one thread only, pair",
        "The pool without atomics beside a bare intrusive free list, and beside plurality, whose pools are one thread's: lent by borrow, and as boxes that any thread may drop; N = 8,192.",
    ),
    RowSpec::time(
        LOCAL_HELD,
        "one thread only, 64 held",
        "The same, 64 held and released in random order.",
    ),
    RowSpec::time(
        OBJECT,
        "recycled, pair",
        "A pool whose objects are recycled beside one whose values are dropped; N = 8,192.",
    ),
    RowSpec::time(
        LOOKUP,
        "id lookup",
        "4,096 values of 56 bytes looked up by id in random order, ours with the pool alone; slab knows no generations, sharded-slab pins what it finds.",
    ),
    RowSpec::time(
        INSERT,
        "id insert and remove",
        "A value of 56 bytes put in, named, and taken out by its name.",
    ),
    RowSpec::time(
        BATCH,
        "32 at once",
        "32 acquired and held, then all released; time per item.",
    ),
    RowSpec::time(
        LARGE,
        "large object",
        "A map with room for 1,000 entries, acquired and released, or constructed and dropped.",
    ),
    RowSpec::time(
        LARGE_USED,
        "large object, used",
        "The same with one entry put in: hashing it, and emptying the whole table afterwards, are in both.",
    ),
    RowSpec::time(
        MANY_POOLS,
        "a thousand pools in turn",
        "A pair on each of 1,000 pools in turn, beside the same on one.",
    ),
    RowSpec {
        id: GRAPH,
        title: "dependency graph",
        what: "The corpus as a graph of pooled nodes and edges: built, mutated, walked, torn down; time for one life.",
        unit: Unit::Micros,
        section: Section::RealInput,
    },
    RowSpec {
        id: CODE,
        title: "code graph",
        what: "Up to 1.5 MB of the corpus as a graph of files, symbols and imports whose edges are ids: built, walked from 16 files, torn down; time for one life.",
        unit: Unit::Micros,
        section: Section::RealInput,
    },
    latency("acquire-p50", "acquire p50"),
    latency("acquire-p99", "acquire p99"),
    latency("acquire-p99.9", "acquire p99.9"),
    latency("release-p50", "release p50"),
    latency("release-p99", "release p99"),
    latency("release-p99.9", "release p99.9"),
    RowSpec::space(
        MEMORY,
        "memory per live object",
        "Resident memory for each live 64-byte object, in a process of its own; guards are not counted, and in opool the guard holds the item.",
        Unit::Bytes,
    ),
    RowSpec::space(
        GUARD,
        "size of a guard",
        "What the holder keeps for each object.",
        Unit::Bytes,
    ),
    RowSpec::space(
        ALLOCATIONS,
        "heap allocations",
        "Heap allocations of a warmed pool in a million operations on two threads at once; counted, not sampled.",
        Unit::Count,
    ),
    RowSpec::space(
        BURST_BEFORE,
        "before a burst",
        "Resident memory of a warmed pool.",
        Unit::Mebibytes,
    ),
    RowSpec::space(
        BURST_PEAK,
        "in the burst",
        "Resident memory with every item of it leased and written.",
        Unit::Mebibytes,
    ),
    RowSpec::space(
        BURST_AFTER,
        "after the burst",
        "Resident memory with all leases returned and one trim, where there is a way to ask for it.",
        Unit::Mebibytes,
    ),
    RowSpec::space(
        STEPPED_OVERFLOW,
        "overflow rate, stepped demand",
        "16, 64, 24 and 128 pages of 4 KiB acquired and released, 200 times each: pages from outside of the pool ÷ pages.",
        Unit::Ratio,
    ),
    RowSpec::space(
        STEPPED_HELD,
        "memory held, stepped demand",
        "Bytes that the pool holds between the same rounds, with no page out: the mean of every tenth.",
        Unit::Bytes,
    ),
    RowSpec::new(
        STEPPED_CAPACITY,
        "capacity, stepped demand",
        "The pool's capacity after every tenth of the same rounds.",
        Unit::Count,
        Section::OverTime,
    ),
    RowSpec {
        id: MECHANISM,
        title: "reclaim and counters",
        what: "A pair on the same pool, compiled as shipped, without being reclaimable, and without counters; fresh processes in turn.",
        unit: Unit::Nanos,
        section: Section::Mechanism,
    },
];

const fn latency(id: &'static str, title: &'static str) -> RowSpec {
    let what = "One operation at a time, 64 held, random order, by the time-stamp counter.";
    RowSpec {
        id,
        title,
        what,
        unit: Unit::Nanos,
        section: Section::Latency,
    }
}
