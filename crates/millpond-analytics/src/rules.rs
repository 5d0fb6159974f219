//! Recording and alerting rules for Prometheus, made from the catalogue.

use crate::catalogue::{self, PREFIX};
use std::fmt::Write as _;

/// A figure that Prometheus computes and keeps.
struct Recording {
    name: &'static str,
    expr: &'static str,
}

/// A condition that wakes somebody up.
struct Alert {
    name: &'static str,
    expr: &'static str,
    lasting: &'static str,
    severity: &'static str,
    summary: &'static str,
    action: &'static str,
}

/// `{p}` stands for the prefix of all metrics.
const RECORDINGS: &[Recording] = &[
    Recording {
        name: "hit_ratio:rate5m",
        expr: "sum by (job, instance, pool) (rate({p}_hits_total[5m])) / \
               (sum by (job, instance, pool) (rate({p}_acquires_total[5m])) > 0)",
    },
    Recording {
        name: "overflow_ratio:rate5m",
        expr: "sum by (job, instance, pool) (rate({p}_exhausted_total[5m])) / \
               (sum by (job, instance, pool) (rate({p}_acquires_total[5m]) + \
               rate({p}_exhausted_total[5m])) > 0)",
    },
    Recording {
        name: "utilisation:ratio",
        expr: "sum by (job, instance, pool) ({p}_used_bytes) / \
               (sum by (job, instance, pool) ({p}_held_bytes) > 0)",
    },
    Recording {
        name: "budget_utilisation:ratio",
        expr: "{p}_budget_held_bytes / ({p}_budget_limit_bytes > 0)",
    },
];

const ALERTS: &[Alert] = &[
    Alert {
        name: "MillpondHitRateLow",
        expr: "{p}:hit_ratio:rate5m < 0.95",
        lasting: "10m",
        severity: "warning",
        summary: "Pool {{ $labels.pool }} serves {{ $value | humanizePercentage }} from its caches",
        action: "Warm up more items before traffic, or raise the capacity.",
    },
    Alert {
        name: "MillpondDiscards",
        expr: "sum by (job, instance, pool) (increase({p}_discards_total[5m])) > 0",
        lasting: "0m",
        severity: "warning",
        summary: "Pool {{ $labels.pool }} does not keep items that come home",
        action: "Look at the reasons in millpond_discards_*; raise what may be kept.",
    },
    Alert {
        name: "MillpondLeaseHeldLong",
        expr: "{p}_longest_hold_seconds > 0.1",
        lasting: "0m",
        severity: "warning",
        summary: "A lease of pool {{ $labels.pool }} has been out for {{ $value | humanizeDuration }}",
        action: "Ask the program for its holders: lease late, release early.",
    },
    Alert {
        name: "MillpondExhausted",
        expr: "sum by (job, instance, pool) (increase({p}_exhausted_total[5m])) > 0",
        lasting: "0m",
        severity: "critical",
        summary: "Pool {{ $labels.pool }} had nothing to give",
        action: "Raise the capacity towards millpond_advised_capacity, or look for leaks.",
    },
    Alert {
        name: "MillpondOverflowHigh",
        expr: "{p}:overflow_ratio:rate5m > 0.05",
        lasting: "5m",
        severity: "warning",
        summary: "Pool {{ $labels.pool }} turns away {{ $value | humanizePercentage }} of its acquires",
        action: "Raise the capacity towards millpond_advised_capacity.",
    },
    Alert {
        name: "MillpondBudgetNearlyFull",
        expr: "{p}:budget_utilisation:ratio > 0.9",
        lasting: "1m",
        severity: "warning",
        summary: "Budget {{ $labels.budget }} is {{ $value | humanizePercentage }} full",
        action: "Raise the limit, or trim the pools that hold most.",
    },
];

/// The rule file, in YAML.
#[must_use]
pub fn yaml() -> String {
    let mut yaml = String::from(HEAD);
    // Writing to a string does not fail.
    let _ = write!(yaml, "groups:\n  - name: {PREFIX}-recording\n    rules:\n");
    for rule in RECORDINGS {
        let _ = writeln!(yaml, "      - record: {PREFIX}:{}", rule.name);
        let _ = writeln!(yaml, "        expr: {}", quoted(&expression(rule.expr)));
    }
    let _ = write!(yaml, "  - name: {PREFIX}-alerts\n    rules:\n");
    for rule in ALERTS {
        let _ = writeln!(yaml, "      - alert: {}", rule.name);
        let _ = writeln!(yaml, "        expr: {}", quoted(&expression(rule.expr)));
        let _ = writeln!(yaml, "        for: {}", rule.lasting);
        let _ = writeln!(
            yaml,
            "        labels:\n          severity: {}",
            rule.severity
        );
        let _ = writeln!(yaml, "        annotations:");
        let _ = writeln!(yaml, "          summary: {}", quoted(rule.summary));
        let _ = writeln!(yaml, "          action: {}", quoted(rule.action));
    }
    yaml
}

const HEAD: &str = "# Made by millpond-analytics from its catalogue; do not edit.\n";

/// The names of everything that the rules record, as queries use them.
#[must_use]
pub fn recorded() -> Vec<String> {
    let rules = RECORDINGS.iter();
    rules
        .map(|rule| format!("{PREFIX}:{}", rule.name))
        .collect()
}

/// Every metric name that the rules and the dashboard may use: what is exposed
/// and what is recorded.
#[must_use]
pub fn known_names() -> Vec<String> {
    let mut names = recorded();
    for metric in catalogue::all() {
        if metric.kind == catalogue::Kind::Histogram {
            names.extend(["bucket", "sum", "count"].map(|end| format!("{}_{end}", metric.name())));
        } else {
            names.push(metric.name());
        }
    }
    names
}

pub(crate) fn expression(template: &str) -> String {
    template.replace("{p}", PREFIX)
}

/// A YAML string in single quotes, in which only the quote itself is special.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
