//! The rows of the chapter, in the order of the report, and who takes part in each.

use millpond_bench::chapter::{RowSpec, Section, Unit};

pub const LOOK: &str = "look";
pub const RECORD: &str = "record";
pub const ADVISE: &str = "advise";

/// Ways to look at pools.
pub const SNAPSHOT: &str = "millpond, snapshot";
pub const TEXT: &str = "millpond, text 0.0.4";
pub const OPEN_METRICS: &str = "millpond, OpenMetrics";

/// Levels of diagnostics.
pub const OFF: &str = "millpond, off";
pub const SAMPLED: &str = "millpond, sampled";
pub const RECORDED: &str = "millpond, recorded";
pub const FULL: &str = "millpond, full";

pub const ADVISOR: &str = "millpond, six classes";

pub const ROWS: &[RowSpec] = &[
    RowSpec::new(
        LOOK,
        "look at 100 pools",
        "A hundred pools, in each of which 64 threads have caches, are looked at: as a snapshot, and as a scrape would.",
        Unit::Micros,
        Section::Time,
    ),
    RowSpec::time(
        RECORD,
        "a pair, by level of diagnostics",
        "An item of 64 bytes acquired and released while diagnostics are at each of their levels; the recording goes to a sink.",
    ),
    RowSpec::new(
        ADVISE,
        "advice on 10 million sizes",
        "Ten million recorded sizes, log-uniform from 16 bytes to 256 KiB, are counted, and the best table of six classes is computed.",
        Unit::Micros,
        Section::Time,
    ),
];
