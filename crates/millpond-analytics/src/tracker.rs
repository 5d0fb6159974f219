//! Tracking: what an operation did to the pools and to memory.

use crate::figure;
use crate::registry::Registry;
use crate::snapshot::Snapshot;
use crate::table::{as_f64, new_table, printable};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Most names of operations that a tracker tells apart; further ones are counted
/// together under `other`, so that a name made of user input cannot fill memory.
pub const MOST_OPERATIONS: usize = 256;

/// What a counting allocator has counted: calls and bytes.
pub type AllocatorCount = fn() -> (u64, u64);

/// Times operations and notes what they did to the pools of a registry.
///
/// ```
/// use millpond_analytics::{Registry, Tracker};
///
/// let tracker = Tracker::new(&Registry::new());
/// {
///     let _span = tracker.span("import");
///     // ... the operation ...
/// }
/// let report = tracker.report();
/// assert_eq!(report.operations[0].name, "import");
/// assert_eq!(report.operations[0].calls, 1);
/// ```
///
/// Cost: two snapshots a span, some two microseconds a pool each; for operations
/// of a millisecond and more. Spans of several threads at once see each other's
/// acquires.
#[derive(Clone, Debug)]
pub struct Tracker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    allocator: Option<AllocatorCount>,
    operations: Mutex<BTreeMap<String, Operation>>,
}

/// What the calls of one operation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// How often it ran.
    pub calls: u64,
    /// For how long, all calls together.
    pub total_ns: u64,
    /// For how long, the longest call.
    pub longest_ns: u64,
    /// Acquires of all pools meanwhile.
    pub acquires: u64,
    /// Misses of all pools meanwhile.
    pub misses: u64,
    /// Acquires that gave nothing or fell back, and items not kept, meanwhile.
    pub lost: u64,
    /// Allocator calls meanwhile, where something counts them.
    pub allocations: Option<u64>,
    /// Bytes allocated meanwhile, where something counts them.
    pub allocated_bytes: Option<u64>,
    /// Resident memory after the last call, where the system says.
    pub resident_bytes: Option<u64>,
    /// The most that was ever resident, by then.
    pub peak_bytes: Option<u64>,
}

/// All operations of a tracker, those first that took longest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrackerReport {
    /// The operations.
    pub operations: Vec<Operation>,
}

impl Tracker {
    /// A tracker of what happens to the pools of `registry`.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self::with(registry, None)
    }

    /// The same in a program with a counting allocator, which `count` asks.
    #[must_use]
    pub fn with_allocator(registry: &Registry, count: AllocatorCount) -> Self {
        Self::with(registry, Some(count))
    }

    fn with(registry: &Registry, allocator: Option<AllocatorCount>) -> Self {
        Self(Arc::new(Inner {
            registry: registry.clone(),
            allocator,
            operations: Mutex::new(BTreeMap::new()),
        }))
    }

    /// Begins an operation, which ends when the span is dropped.
    pub fn span(&self, name: &str) -> Span {
        Span {
            name: name.to_owned(),
            tracker: Arc::clone(&self.0),
            before: self.0.registry.snapshot(),
            allocated: self.0.allocator.map(|count| count()),
            began: Instant::now(),
        }
    }

    /// What was tracked so far.
    #[must_use]
    pub fn report(&self) -> TrackerReport {
        let operations = self.0.operations.lock();
        let mut operations: Vec<Operation> = operations.values().cloned().collect();
        operations.sort_by_key(|operation| std::cmp::Reverse(operation.total_ns));
        TrackerReport { operations }
    }
}

/// An operation that is going on.
#[derive(Debug)]
#[must_use = "a span ends when it is dropped"]
pub struct Span {
    name: String,
    tracker: Arc<Inner>,
    before: Snapshot,
    allocated: Option<(u64, u64)>,
    began: Instant,
}

impl Drop for Span {
    fn drop(&mut self) {
        let took = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // Asked before the snapshot, which allocates.
        let now = self.tracker.allocator.map(|count| count());
        let done = self.tracker.registry.snapshot().since(&self.before).total();
        let memory = resident();
        let mut operations = self.tracker.operations.lock();
        let is_new = !operations.contains_key(&self.name);
        if is_new && operations.len() >= MOST_OPERATIONS {
            self.name = "other".to_owned();
        }
        let operation = operations.entry(self.name.clone()).or_default();
        operation.name.clone_from(&self.name);
        operation.calls += 1;
        operation.total_ns = operation.total_ns.saturating_add(took);
        operation.longest_ns = operation.longest_ns.max(took);
        operation.acquires += done.acquires;
        operation.misses += done.misses;
        operation.lost += crate::table::lost(&done);
        if let (Some((calls, bytes)), Some((now_calls, now_bytes))) = (self.allocated, now) {
            let add = |sum: Option<u64>, more| Some(sum.unwrap_or(0) + more);
            let (calls, bytes) = (
                now_calls.saturating_sub(calls),
                now_bytes.saturating_sub(bytes),
            );
            operation.allocations = add(operation.allocations, calls);
            operation.allocated_bytes = add(operation.allocated_bytes, bytes);
        }
        operation.resident_bytes = memory.map(|(resident, _)| resident);
        operation.peak_bytes = memory.map(|(_, peak)| peak);
    }
}

/// Bytes that are resident and the most that ever were, where the system says.
fn resident() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

impl fmt::Display for TrackerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "–".to_owned();
        let mut table = new_table(&[
            "operation",
            "calls",
            "total",
            "longest",
            "acquires",
            "misses",
            "lost",
            "allocations",
            "allocated",
            "resident",
            "peak",
        ]);
        for operation in &self.operations {
            table.add_row([
                printable(&operation.name),
                figure::count(operation.calls),
                figure::nanos(as_f64(operation.total_ns)),
                figure::nanos(as_f64(operation.longest_ns)),
                figure::count(operation.acquires),
                figure::count(operation.misses),
                figure::count(operation.lost),
                operation.allocations.map_or_else(unknown, figure::count),
                operation
                    .allocated_bytes
                    .map_or_else(unknown, figure::bytes),
                operation.resident_bytes.map_or_else(unknown, figure::bytes),
                operation.peak_bytes.map_or_else(unknown, figure::bytes),
            ]);
        }
        writeln!(f, "{}", table.trim_fmt())
    }
}
