//! Proves that every output is what was looked at and found good. With
//! `BLESS=1` the files are rewritten: look at the difference.

mod fixture;

use fixture::{figures, server, snapshot};
use millpond_analytics::{
    Advisor, Calibration, Exporter, Format, Line, Page, Savings, Series, catalogue, dashboard,
    rules,
};
use std::fs;
use std::path::Path;

/// Compares with a file of this crate.
fn golden(file: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, now).unwrap();
    }
    let then = fs::read_to_string(&path).unwrap_or_default();
    let changed = then.lines().zip(now.lines()).position(|(a, b)| a != b);
    assert!(
        then == now,
        "{file} is not what it was, from line {} on; BLESS=1 rewrites it:\n{}",
        changed.map_or(0, |line| line + 1),
        now.lines().nth(changed.unwrap_or(0)).unwrap_or_default()
    );
}

fn machine() -> Calibration {
    let costs = r#"{"heap": [[16, 10.0], [65536, 100.0], [1048576, 900.0]], "hit_ns": 2.0, "miss_ns": 20.0}"#;
    serde_json::from_str(costs).unwrap()
}

#[test]
fn table_line_and_json() {
    let snapshot = snapshot();
    golden("tests/golden/table.txt", &snapshot.to_string());
    golden(
        "tests/golden/line.txt",
        &format!("{}\n", Line::of(&snapshot)),
    );
    golden(
        "tests/golden/snapshot.json",
        &format!("{}\n", snapshot.to_json()),
    );
    let savings = Savings::of(&snapshot, Some(&machine()));
    golden("tests/golden/savings.txt", &savings.to_string());
}

#[test]
fn page_with_everything_on_it() {
    let now = snapshot();
    let mut series = Series::new(50);
    let mut earlier = None;
    for (step, fortieths) in (0..40_u64).zip((20..33_usize).cycle()) {
        let mut then = now.clone();
        then.taken_unix_ms -= (40 - step) * 15_000;
        for pool in &mut then.pools {
            let all = pool.figures;
            pool.figures.acquires = all.acquires * step / 40;
            pool.figures.hits = pool.figures.acquires - all.acquires * step.min(10) / 80;
            pool.figures.used_bytes = all.held_bytes * fortieths / 40;
        }
        series.push(&then);
        earlier = Some(then);
    }
    series.push(&now);
    let holder =
        r#"{"location": "src/session.rs:114:22", "thread": "ThreadId(7)", "held_ns": 142000000}"#;
    let mut now = now;
    now.pools[2].holders = vec![serde_json::from_str(holder).unwrap()];
    let machine = machine();
    let map = server().registry.memory_map();
    let page = Page::of(&now).over(&series).calibrated(&machine);
    let page = page.mapped(&map);
    let page = page.against(earlier.as_ref().unwrap()).to_string();
    golden("tests/golden/page.html", &page);
    for outside in [
        "http:", "https:", "//", "url(", "<script", "<link", "@import",
    ] {
        assert!(!page.contains(outside), "the page asks for {outside}");
    }
}

#[test]
fn expositions() {
    let server = server();
    let exporter = Exporter::new(&server.registry);
    golden(
        "tests/golden/metrics.txt",
        &exporter.expose(Format::Text).body,
    );
    let open = exporter.expose(Format::OpenMetrics).body;
    golden("tests/golden/openmetrics.txt", &open);
}

#[test]
fn advice() {
    let advice = Advisor::new().classes(3).of_snapshot(&snapshot());
    golden("tests/golden/advice.txt", &advice.to_string());
    golden("tests/golden/advice.toml", &advice.to_toml());
}

#[test]
fn what_is_made_from_the_catalogue() {
    golden("prometheus/metrics.md", &catalogue::documentation());
    golden("prometheus/rules.yml", &rules::yaml());
    golden("prometheus/dashboard.json", &dashboard::json());
}

/// Every name that a query uses is exposed or recorded.
#[test]
fn queries_use_names_that_exist() {
    let known = rules::known_names();
    let queries = dashboard::expressions().join("\n") + &rules::yaml();
    let words = queries.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)));
    let names: Vec<&str> = words
        .filter(|word| word.starts_with("millpond_") || word.starts_with("millpond:"))
        .filter(|word| *word != "millpond_discards_") // In prose.
        .map(|word| word.trim_end_matches(':'))
        .collect();
    assert!(names.len() > 40);
    for name in names {
        assert!(
            known.iter().any(|known| known == name),
            "nothing is called {name}"
        );
    }
}

/// Whoever adds a figure decides how it is shown.
#[test]
fn every_figure_is_a_metric() {
    let all = serde_json::to_value(figures(&[])).unwrap();
    let fields = all.as_object().unwrap();
    // Two metrics are computed from several figures.
    assert_eq!(catalogue::FIGURES.len(), fields.len() + 2);
    for field in fields.keys() {
        let figures = figures(&[(field, 7_000_000_000)]);
        let shown = catalogue::FIGURES
            .iter()
            .filter(|row| (row.read)(&figures).as_f64() >= 7.0);
        assert!(shown.count() >= 1, "{field} is shown nowhere");
    }
}

#[test]
fn names_of_metrics_are_what_prometheus_wants() {
    let mut seen = std::collections::HashSet::new();
    for metric in catalogue::all() {
        let name = metric.name();
        assert!(seen.insert(name.clone()), "{name} twice");
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{name}"
        );
        assert!(metric.help.ends_with('.'), "{name}: help is a sentence");
        assert!(
            !metric.stem.ends_with("_total"),
            "{name}: the library adds it"
        );
    }
}
