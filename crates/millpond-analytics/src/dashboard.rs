//! The Grafana dashboard, made from the catalogue.

use crate::rules::expression;
use serde_json::{Value, json};

/// A picture: a title, its unit in Grafana's words, and queries with legends.
struct Panel {
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
}

/// Selects what the variables at the top of the dashboard choose.
const CHOSEN: &str = r#"{instance=~"$instance",pool=~"$pool"}"#;

/// `{p}` is the prefix, `{s}` the selection.
const PANELS: &[Panel] = &[
    Panel {
        title: "Hit rate",
        unit: "percentunit",
        queries: &[(
            "sum by (pool) (rate({p}_hits_total{s}[$__rate_interval])) / (sum by (pool) (rate({p}_acquires_total{s}[$__rate_interval])) > 0)",
            "{{pool}}",
        )],
    },
    Panel {
        title: "Acquires a second",
        unit: "ops",
        queries: &[(
            "sum by (pool) (rate({p}_acquires_total{s}[$__rate_interval]))",
            "{{pool}}",
        )],
    },
    Panel {
        title: "Misses a second, by reason",
        unit: "ops",
        queries: &[
            (
                "sum(rate({p}_misses_refilled_total{s}[$__rate_interval]))",
                "refilled",
            ),
            (
                "sum(rate({p}_misses_created_total{s}[$__rate_interval]))",
                "created",
            ),
            (
                "sum(rate({p}_misses_strict_total{s}[$__rate_interval]))",
                "strict",
            ),
            (
                "sum(rate({p}_misses_waited_total{s}[$__rate_interval]))",
                "waited",
            ),
        ],
    },
    Panel {
        title: "Lost: refused, fallen back, discarded",
        unit: "ops",
        queries: &[
            (
                "sum by (pool) (rate({p}_exhausted_total{s}[$__rate_interval]))",
                "{{pool}} refused",
            ),
            (
                "sum by (pool) (rate({p}_fallbacks_total{s}[$__rate_interval]))",
                "{{pool}} fallback",
            ),
            (
                "sum by (pool) (rate({p}_discards_total{s}[$__rate_interval]))",
                "{{pool}} discarded",
            ),
        ],
    },
    Panel {
        title: "Items in use and capacity",
        unit: "short",
        queries: &[
            ("sum by (pool) ({p}_in_use{s})", "{{pool}} in use"),
            ("sum by (pool) ({p}_capacity{s})", "{{pool}} capacity"),
            (
                "sum by (pool) ({p}_advised_capacity{s})",
                "{{pool}} advised",
            ),
        ],
    },
    Panel {
        title: "Memory",
        unit: "bytes",
        queries: &[
            ("sum({p}_used_bytes{s})", "used"),
            (
                "sum({p}_held_bytes{s}) - sum({p}_used_bytes{s}) - sum({p}_wasted_bytes{s})",
                "free",
            ),
            ("sum({p}_wasted_bytes{s})", "wasted"),
            ("sum({p}_machinery_bytes{s})", "machinery"),
        ],
    },
    Panel {
        title: "Given back a second",
        unit: "Bps",
        queries: &[(
            "sum by (pool) (rate({p}_returned_bytes_total{s}[$__rate_interval]))",
            "{{pool}}",
        )],
    },
    Panel {
        title: "Waiting",
        unit: "short",
        queries: &[
            ("sum by (pool) ({p}_waiting{s})", "{{pool}} waiting"),
            (
                "sum by (pool) (rate({p}_wait_seconds_total{s}[$__rate_interval]))",
                "{{pool}} seconds a second",
            ),
        ],
    },
    Panel {
        title: "Held for: 99 % and longest",
        unit: "s",
        queries: &[
            (
                "histogram_quantile(0.99, sum by (pool, le) (rate({p}_hold_seconds_bucket{s}[$__rate_interval])))",
                "{{pool}} 99 %",
            ),
            (
                "max by (pool) ({p}_longest_hold_seconds{s})",
                "{{pool}} longest",
            ),
        ],
    },
    Panel {
        title: "Sizes asked for: half, 90 %, 99 %",
        unit: "bytes",
        queries: &[
            (
                "histogram_quantile(0.5, sum by (le) (rate({p}_request_bytes_bucket{s}[$__rate_interval])))",
                "half",
            ),
            (
                "histogram_quantile(0.9, sum by (le) (rate({p}_request_bytes_bucket{s}[$__rate_interval])))",
                "90 %",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate({p}_request_bytes_bucket{s}[$__rate_interval])))",
                "99 %",
            ),
        ],
    },
    Panel {
        title: "Budgets",
        unit: "percentunit",
        queries: &[(
            "{p}_budget_held_bytes{instance=~\"$instance\"} / ({p}_budget_limit_bytes{instance=~\"$instance\"} > 0)",
            "{{budget}}",
        )],
    },
];

/// The dashboard, in Grafana's JSON: import it and choose a data source.
#[must_use]
pub fn json() -> String {
    let panels: Vec<Value> = PANELS.iter().enumerate().map(panel).collect();
    let dashboard = json!({
        "title": "millpond",
        "uid": "millpond",
        "tags": ["memory", "millpond"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus" },
            variable("instance", "label_values(millpond_items, instance)"),
            variable("pool", "label_values(millpond_items{instance=~\"$instance\"}, pool)"),
        ] },
        "panels": panels,
    });
    format!("{dashboard:#}\n")
}

fn panel((index, panel): (usize, &Panel)) -> Value {
    let letters = ('A'..='Z').map(String::from);
    let targets: Vec<Value> = panel
        .queries
        .iter()
        .zip(letters)
        .map(|(&(query, legend), letter)| {
            json!({
                "refId": letter,
                "expr": expression(query).replace("{s}", CHOSEN),
                "legendFormat": legend,
            })
        })
        .collect();
    json!({
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": { "type": "prometheus", "uid": "${datasource}" },
        "gridPos": { "h": 8, "w": 12, "x": index % 2 * 12, "y": index / 2 * 8 },
        "fieldConfig": { "defaults": { "unit": panel.unit, "min": 0 }, "overrides": [] },
        "targets": targets,
    })
}

fn variable(name: &str, query: &str) -> Value {
    json!({
        "name": name,
        "type": "query",
        "datasource": { "type": "prometheus", "uid": "${datasource}" },
        "query": { "query": query, "refId": name },
        "refresh": 2,
        "includeAll": true,
        "multi": true,
        "allValue": ".*",
        "current": { "text": "All", "value": "$__all" },
    })
}

/// Every expression of the dashboard, with Grafana's variables filled in so that
/// Prometheus itself can check them.
#[must_use]
pub fn expressions() -> Vec<String> {
    let queries = PANELS.iter().flat_map(|panel| panel.queries);
    let filled = queries.map(|&(query, _)| {
        expression(query)
            .replace("{s}", CHOSEN)
            .replace("$__rate_interval", "5m")
            .replace("$instance", ".*")
            .replace("$pool", ".*")
    });
    filled.collect()
}
