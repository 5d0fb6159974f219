//! What pools do, shown: `millpond-analytics`.

#[cfg(feature = "metrics")]
pub use millpond_analytics::Bridge;
pub use millpond_analytics::{
    Advice, Advisor, AllocatorCount, BudgetFigures, Calibration, CapacityAdvice, ClassAdvice,
    Demand, HolderFigures, Interval, LONGEST_NAME, Line, MOST_OPERATIONS, MOST_POOLS,
    NominalAdvice, Observed, Operation, Page, PoolAdvice, PoolSnapshot, RegisterError, Registry,
    Savings, Series, Snapshot, SnapshotError, Span, Tracker, TrackerReport, VERSION, Watch,
    catalogue, count_sizes, dashboard, requests, rules,
};
#[cfg(feature = "prometheus-client")]
pub use millpond_analytics::{Exporter, Exposition, Format};
