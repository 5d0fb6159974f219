//! The catalogue: every metric, once. Exposition, documentation, dashboard and
//! rules are made from it.

use crate::snapshot::BudgetFigures;
use millpond_core::observe::Observation;

/// What goes in front of every name.
pub const PREFIX: &str = "millpond";

/// Whether a metric only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only grows; `rate` is the question to ask.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values in buckets.
    Histogram,
}

/// What a metric is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// `pool`, and `class`, which is empty for pools of one kind of item.
    Class,
    /// `pool`.
    Pool,
    /// `budget`.
    Budget,
}

impl Scope {
    /// The names of the labels.
    #[must_use]
    pub const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Class => &["pool", "class"],
            Self::Pool => &["pool"],
            Self::Budget => &["budget"],
        }
    }
}

/// A value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A count of things or bytes.
    Count(u64),
    /// A share, a time in seconds, or infinity where there is no limit.
    Real(f64),
}

impl Value {
    /// As a floating-point number, which is what Prometheus keeps.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "Prometheus keeps no more")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Real(real) => real,
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// Its name without prefix, unit and `_total`.
    pub stem: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// The unit, which is part of the full name; `""` for counts.
    pub unit: &'static str,
    /// What tells its values apart.
    pub scope: Scope,
    /// What it says.
    pub help: &'static str,
}

impl Metric {
    /// The name without `_total`, as OpenMetrics names a family.
    #[must_use]
    pub fn family(&self) -> String {
        match self.unit {
            "" => format!("{PREFIX}_{}", self.stem),
            unit => format!("{PREFIX}_{}_{unit}", self.stem),
        }
    }

    /// The name of its samples, as queries use it.
    #[must_use]
    pub fn name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.family()),
            Kind::Gauge | Kind::Histogram => self.family(),
        }
    }
}

/// A metric that is read from the figures of a pool or a class.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FigureMetric {
    /// The metric.
    pub metric: Metric,
    /// Reads its value.
    pub read: fn(&Observation) -> Value,
}

/// A row of the catalogue: `counter "stem" unit: field, "help"`.
macro_rules! rows {
    ($($kind:ident $stem:literal $unit:literal = $read:expr, $help:literal;)*) => {
        &[$(FigureMetric {
            metric: Metric {
                stem: $stem,
                kind: Kind::$kind,
                unit: $unit,
                scope: Scope::Class,
                help: $help,
            },
            read: $read,
        }),*]
    };
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus keeps no more")]
fn seconds(nanos: u64) -> Value {
    Value::Real(nanos as f64 / 1e9)
}

fn count(count: usize) -> Value {
    Value::Count(count as u64)
}

/// What there may be; the largest number stands for no limit.
fn limit(most: u64) -> Value {
    match most < usize::MAX as u64 {
        true => Value::Count(most),
        false => Value::Real(f64::INFINITY),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn overflow(figures: &Observation) -> Value {
    let outside = figures.fallbacks.saturating_add(figures.exhausted);
    let asked = figures.acquires.saturating_add(outside);
    Value::Real(match asked {
        0 => 0.0,
        asked => outside as f64 / asked as f64,
    })
}

/// Metrics of pools and their classes, by the fields of `Observation`.
pub const FIGURES: &[FigureMetric] = rows! {
    Gauge "item" "bytes" = |o| count(o.item_bytes), "Size of one item; 0 where items differ.";
    Gauge "capacity" "" = |o| limit(o.capacity as u64), "Items that the pool may have.";
    Gauge "items" "" = |o| count(o.created), "Items that exist: leased, cached or in the depot.";
    Gauge "in_use" "" = |o| count(o.in_use), "Items that are leased.";
    Gauge "cached" "" = |o| count(o.cached), "Free items in the caches of threads.";
    Gauge "depot" "" = |o| count(o.depot), "Free items in the shared depot.";
    Gauge "high_water" "" = |o| count(o.high_water), "Most items ever outside the depot at once.";
    Gauge "waiting" "" = |o| count(o.waiting), "Callers that wait for an item.";
    Counter "acquires" "" = |o| Value::Count(o.acquires), "Acquires that gave an item.";
    Counter "hits" "" = |o| Value::Count(o.hits), "Acquires that the caller's own cache served.";
    Counter "misses" "" = |o| Value::Count(o.misses), "Acquires that took the lock.";
    Counter "misses_refilled" "" = |o| Value::Count(o.misses_refilled), "Misses served from the depot.";
    Counter "misses_created" "" = |o| Value::Count(o.misses_created), "Misses for which items were created.";
    Counter "misses_strict" "" = |o| Value::Count(o.misses_strict), "Misses without a cache, or with caches closed.";
    Counter "misses_waited" "" = |o| Value::Count(o.misses_waited), "Misses that waited for a release.";
    Counter "releases" "" = |o| Value::Count(o.releases), "Items that came home.";
    Counter "exhausted" "" = |o| Value::Count(o.exhausted), "Acquires that gave nothing.";
    Counter "waits" "" = |o| Value::Count(o.waits), "Acquires that waited in the queue.";
    Counter "timeouts" "" = |o| Value::Count(o.timeouts), "Waits that ended at their deadline.";
    Counter "wait" "seconds" = |o| seconds(o.wait_ns), "Time spent waiting for items.";
    Counter "discards" "" = |o| Value::Count(o.discards), "Releases whose item was not kept.";
    Counter "discards_full" "" = |o| Value::Count(o.discards_full), "Discards because enough free items were kept.";
    Counter "discards_large" "" = |o| Value::Count(o.discards_large), "Discards because the item had grown too large.";
    Counter "discards_rejected" "" = |o| Value::Count(o.discards_rejected), "Discards because a reset refused the item.";
    Counter "discards_misfit" "" = |o| Value::Count(o.discards_misfit), "Discards because the item fits no class.";
    Counter "refills" "" = |o| Value::Count(o.refills), "Times that a cache fetched from the depot.";
    Counter "spills" "" = |o| Value::Count(o.spills), "Times that a cache gave to the depot.";
    Counter "stops" "" = |o| Value::Count(o.stops), "Times that all caches were stopped.";
    Counter "items_created" "" = |o| Value::Count(o.created_total), "Items that were ever created.";
    Counter "items_retired" "" = |o| Value::Count(o.retired_total), "Items that were ever given back to the system.";
    Gauge "fallback_in_use" "" = |o| count(o.fallback_in_use), "Leased items outside the capacity.";
    Counter "fallbacks" "" = |o| Value::Count(o.fallbacks), "Items ever allocated outside the capacity.";
    Gauge "oversize_in_use" "" = |o| count(o.oversize_in_use), "Leased items larger than the largest class.";
    Counter "oversizes" "" = |o| Value::Count(o.oversizes), "Acquires of more than the largest class has.";
    Gauge "held" "bytes" = |o| count(o.held_bytes), "Memory that items occupy, leased or not.";
    Gauge "used" "bytes" = |o| count(o.used_bytes), "Memory of the items that are leased.";
    Gauge "wasted" "bytes" = |o| count(o.wasted_bytes), "Memory held for no item.";
    Counter "returned" "bytes" = |o| Value::Count(o.returned_bytes), "Memory ever given back to the system.";
    Gauge "machinery" "bytes" = |o| count(o.machinery_bytes), "Memory of caches, magazines and tables.";
    Gauge "overflow" "ratio" = overflow, "Share of all acquires that found the pool exhausted.";
    Gauge "advised_capacity" "" = |o| count(advised(o)), "Capacity that would have served 99 % of the demand so far.";
};

fn advised(figures: &Observation) -> usize {
    crate::advisor::Demand::of(figures).capacity_for(0.99)
}

/// For how long the longest lease has been out.
pub const LONGEST_HOLD: Metric = Metric {
    stem: "longest_hold",
    kind: Kind::Gauge,
    unit: "seconds",
    scope: Scope::Pool,
    help: "Time for which the longest lease that diagnostics know of has been out.",
};

/// Sampled hold times.
pub const HOLD: Metric = Metric {
    stem: "hold",
    kind: Kind::Histogram,
    unit: "seconds",
    scope: Scope::Class,
    help: "Time for which items were out, sampled by diagnostics.",
};

/// Sampled sizes of requests.
pub const REQUEST: Metric = Metric {
    stem: "request",
    kind: Kind::Histogram,
    unit: "bytes",
    scope: Scope::Class,
    help: "Sizes that were asked for, sampled by diagnostics.",
};

/// Reads a value from the figures of a budget.
pub type ReadBudget = fn(&BudgetFigures) -> Value;

/// Metrics of budgets, with how they are read.
pub const BUDGETS: &[(Metric, ReadBudget)] = &[
    (
        budget(
            Kind::Gauge,
            "budget_limit",
            "bytes",
            "Memory that the budget allows.",
        ),
        |b| limit(b.limit_bytes),
    ),
    (
        budget(
            Kind::Gauge,
            "budget_held",
            "bytes",
            "Memory held under the budget.",
        ),
        |b| Value::Count(b.held_bytes),
    ),
    (
        budget(
            Kind::Gauge,
            "budget_high_water",
            "bytes",
            "Most memory ever held under the budget.",
        ),
        |b| Value::Count(b.high_water_bytes),
    ),
    (
        budget(
            Kind::Counter,
            "budget_refusals",
            "",
            "Charges that the budget refused for good.",
        ),
        |b| Value::Count(b.refusals),
    ),
    (
        budget(
            Kind::Counter,
            "budget_reclaimed",
            "bytes",
            "Memory that members gave back for want of room.",
        ),
        |b| Value::Count(b.reclaimed_bytes),
    ),
];

const fn budget(kind: Kind, stem: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric {
        stem,
        kind,
        unit,
        scope: Scope::Budget,
        help,
    }
}

/// Every metric.
pub fn all() -> impl Iterator<Item = Metric> {
    let figures = FIGURES.iter().map(|row| row.metric);
    let budgets = BUDGETS.iter().map(|row| row.0);
    figures.chain([LONGEST_HOLD, HOLD, REQUEST]).chain(budgets)
}

/// The page that explains every metric, in Markdown.
#[must_use]
pub fn documentation() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(PAGE_HEAD);
    for metric in all() {
        let labels = metric.scope.labels().join(", ");
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {labels} | {} |",
            metric.name(),
            metric.help
        );
    }
    page
}

const PAGE_HEAD: &str = "\
# Metrics

Made from the catalogue in `crates/millpond-analytics/src/catalogue.rs`; do not edit.

`class` is empty for a pool of one kind of item. A pool of several classes has a series
for each of them and none for itself: sums over all labels mean something.

| metric | type | labels | says |
|---|---|---|---|
";
