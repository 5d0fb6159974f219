//! What pools do, shown: `millpond-analytics`.

#[cfg(feature = "metrics")]
pub use millpond_analytics::Bridge;
#[cfg(feature = "fleet")]
pub use millpond_analytics::fleet;
pub use millpond_analytics::{
    Advice, Advisor, AllocatorCount, BudgetFigures, Calibration, CapacityAdvice, ClassAdvice,
    Demand, HolderFigures, Interval, LONGEST_NAME, Leak, Line, MOST_OPERATIONS, MOST_POOLS,
    MemoryMap, NominalAdvice, OUTSIDE, Observed, Operation, Page, PoolAdvice, PoolRegions,
    PoolSnapshot, RegisterError, Registry, Savings, Series, Snapshot, SnapshotError, Span, Trace,
    TraceError, TraceEvent, TraceRecorder, TracedOperation, Tracker, TrackerReport, VERSION, Watch,
    catalogue, count_sizes, dashboard, requests, rules,
};
#[cfg(feature = "endpoint")]
pub use millpond_analytics::{Endpoint, LOOPBACK};
#[cfg(feature = "prometheus-client")]
pub use millpond_analytics::{Exporter, Exposition, Format};
