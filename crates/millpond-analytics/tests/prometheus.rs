//! Proves that a real Prometheus scrapes a running program and then knows what
//! the snapshot knows, that `promtool` accepts the rules and every expression of
//! the dashboard, that alerts fire, and that `millpond-advise` gets its answers
//! from the server.
//!
//! Needs the programs `prometheus` and `promtool` (the Debian package has both).
//! Without them the tests say that they proved nothing; where the variable `CI`
//! is set, they fail.

mod fixture;

use fixture::{HOSTILE, Told, Working, figures, server};
use millpond_analytics::{
    Advisor, Endpoint, Exporter, Registry, catalogue, dashboard, fleet, rules,
};
use millpond_core::diagnostics::Diagnosis;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Whether a program is there. Says loudly if not, and fails where it must be: where
/// `TEST_PROMETHEUS_IS_HERE` is set.
fn has(program: &str) -> bool {
    let there = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        assert!(
            std::env::var_os("TEST_PROMETHEUS_IS_HERE").is_none(),
            "there is no `{program}`: install it"
        );
        // To the terminal itself, for the harness hides what tests that pass print.
        let notice =
            format!("\n*** NOT PROVED: there is no `{program}`; its tests were skipped ***\n");
        let terminal = fs::OpenOptions::new().append(true).open("/dev/stderr");
        let _ = terminal.and_then(|mut terminal| terminal.write_all(notice.as_bytes()));
        eprintln!("{notice}");
    }
    there
}

fn promtool(arguments: &[&str], directory: &Path) -> Result<String, String> {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}

#[test]
fn promtool_accepts_the_rules_and_every_expression_of_the_dashboard() {
    if !has("promtool") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("rules.yml"), rules::yaml()).unwrap();
    promtool(&["check", "rules", "rules.yml"], path).unwrap();

    let wrap = |expressions: &[String]| {
        let rule = |(index, expression): (usize, &String)| {
            format!("  - record: panel:{index}\n    expr: {expression:?}\n")
        };
        let rules: String = expressions.iter().enumerate().map(rule).collect();
        format!("groups:\n- name: dashboard\n  rules:\n{rules}")
    };
    let mut expressions = dashboard::expressions();
    assert!(expressions.len() > 20);
    fs::write(path.join("panels.yml"), wrap(&expressions)).unwrap();
    promtool(&["check", "rules", "panels.yml"], path).unwrap();
    // The check can fail.
    expressions.push("rate(millpond_hits_total)".to_owned());
    fs::write(path.join("panels.yml"), wrap(&expressions)).unwrap();
    promtool(&["check", "rules", "panels.yml"], path).unwrap_err();
}

#[test]
fn every_alert_fires_when_it_must_and_not_before() {
    if !has("promtool") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rules.yml"), rules::yaml()).unwrap();
    // (alert, series that make it fire, series that must not, labels)
    let pool = r#"job="a",instance="b",pool="p",class="""#;
    let rate = |hits: u32| {
        vec![
            (
                format!("millpond_hits_total{{{pool}}}"),
                format!("0+{hits}x60"),
            ),
            (
                format!("millpond_acquires_total{{{pool}}}"),
                "0+100x60".to_owned(),
            ),
        ]
    };
    let grows = |name: &str, by: u32| vec![(format!("{name}{{{pool}}}"), format!("0+{by}x60"))];
    let refused = |by: u32| {
        let mut series = grows("millpond_exhausted_total", by);
        series.extend(grows("millpond_acquires_total", 100));
        series
    };
    let held = |value: &str| {
        let name = r#"millpond_longest_hold_seconds{job="a",instance="b",pool="p"}"#;
        vec![(name.to_owned(), format!("{value}x60"))]
    };
    let budget = |bytes: u32| {
        let labels = r#"{job="a",instance="b",budget="p"}"#;
        vec![
            (
                format!("millpond_budget_held_bytes{labels}"),
                format!("{bytes}x60"),
            ),
            (
                format!("millpond_budget_limit_bytes{labels}"),
                "100x60".to_owned(),
            ),
        ]
    };
    let cases = [
        ("MillpondHitRateLow", rate(90), rate(96)),
        (
            "MillpondDiscards",
            grows("millpond_discards_total", 1),
            grows("millpond_discards_total", 0),
        ),
        ("MillpondLeaseHeldLong", held("0.2"), held("0.05")),
        ("MillpondExhausted", refused(1), refused(0)),
        ("MillpondOverflowHigh", refused(10), refused(2)),
        ("MillpondBudgetNearlyFull", budget(95), budget(85)),
    ];
    let mut test = String::from("rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n");
    for (alert, fires, silent) in &cases {
        for (series, count) in [(fires, 1), (silent, 0)] {
            test += "- interval: 1m\n  input_series:\n";
            for (name, values) in series {
                test += &format!("  - series: '{name}'\n    values: '{values}'\n");
            }
            // How many, so that the wording is not written down twice.
            test += &format!(
                "  promql_expr_test:\n  - expr: count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}) or vector(0)\n    eval_time: 40m\n    exp_samples:\n    - value: {count}\n"
            );
        }
    }
    fs::write(directory.path().join("test.yml"), &test).unwrap();
    promtool(&["test", "rules", "test.yml"], directory.path())
        .unwrap_or_else(|said| panic!("{said}\n{test}"));
    for (alert, ..) in &cases {
        assert!(rules::yaml().contains(&format!("alert: {alert}\n")));
    }
    assert_eq!(
        rules::yaml().matches("alert: ").count(),
        cases.len(),
        "an alert without a test"
    );
}

#[test]
fn promtool_finds_nothing_to_say_about_the_exposition() {
    if !has("promtool") {
        return;
    }
    let body = Exporter::new(&server().registry).answer(None).body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}

/// A server that is stopped when it is dropped.
struct Prometheus {
    child: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn start(targets: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\nscrape_configs:\n- job_name: millpond\n  static_configs:\n  - targets: {targets:?}\n"
        );
        fs::write(path.join("rules.yml"), rules::yaml()).unwrap();
        fs::write(path.join("prometheus.yml"), config).unwrap();
        promtool(&["check", "config", "prometheus.yml"], path).unwrap();
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let log = fs::File::create(path.join("log")).unwrap();
        let child = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(path)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            url: format!("http://{address}"),
            _directory: directory,
        }
    }

    /// Asks until the answer is what is wanted; fails after half a minute.
    fn until(&self, query: &str, good: impl Fn(&fleet::Samples) -> bool) -> fleet::Samples {
        let client = fleet::Server::new(&self.url);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = client.query(query);
            match answer {
                Ok(samples) if good(&samples) => return samples,
                last if Instant::now() > deadline => panic!("{query}: {last:?}"),
                _ => thread::sleep(Duration::from_millis(200)),
            }
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Key = BTreeMap<String, String>;

/// What the snapshot says, as Prometheus would label it.
fn expected(registry: &Registry) -> Vec<(String, Key, f64)> {
    let snapshot = registry.snapshot();
    let mut expected = Vec::new();
    for row in catalogue::FIGURES {
        for pool in &snapshot.pools {
            for (class, figures, _) in pool.parts() {
                let mut labels = Key::from([("pool".to_owned(), pool.name.clone())]);
                if !class.is_empty() {
                    labels.insert("class".to_owned(), class.to_owned());
                }
                expected.push((row.metric.name(), labels, (row.read)(&figures).as_f64()));
            }
        }
    }
    for (metric, read) in catalogue::BUDGETS {
        for budget in &snapshot.budgets {
            let labels = Key::from([("budget".to_owned(), budget.name.clone())]);
            expected.push((metric.name(), labels, read(budget).as_f64()));
        }
    }
    expected
}

#[test]
fn a_real_prometheus_knows_what_the_snapshot_knows() {
    if !has("prometheus") || !has("promtool") {
        return;
    }
    let server = server();
    let hostile: Vec<_> = HOSTILE
        .iter()
        .map(|name| Arc::new(Told::new(name, figures(&[("acquires", 12), ("hits", 3)]))))
        .collect();
    for pool in &hostile {
        server.registry.register(pool).unwrap();
    }
    let endless = Arc::new(Told::new("endless", figures(&[("capacity", u64::MAX)])));
    server.registry.register(&endless).unwrap();
    let exporter = Exporter::new(&server.registry);
    let endpoint = Endpoint::bind(exporter, "127.0.0.1:0".parse().unwrap()).unwrap();
    let prometheus = Prometheus::start(&[endpoint.address().to_string()]);
    prometheus.until("up{job=\"millpond\"}", |up| {
        up.iter().any(|sample| sample.1 == 1.0)
    });

    // The program works while it is scraped: its counters grow.
    for _ in 0..10 {
        let mut frames = server.pools[0].figures.lock().unwrap();
        frames.acquires += 50;
        frames.hits += 10;
        frames.misses += 40;
        frames.exhausted += 1;
        drop(frames);
        thread::sleep(Duration::from_millis(400));
    }
    let total = server.pools[0].figures.lock().unwrap().acquires as f64;
    let query = "millpond_acquires_total{pool=\"frames\"}";
    prometheus.until(query, |samples| {
        samples.iter().any(|sample| sample.1 == total)
    });

    let client = fleet::Server::new(&prometheus.url);
    let scraped = client.query("{__name__=~\"millpond_.*\"}").unwrap();
    let scraped: BTreeMap<Key, f64> = scraped
        .into_iter()
        .map(|(mut labels, value)| {
            labels.remove("job");
            labels.remove("instance");
            (labels, value)
        })
        .collect();
    let expected = expected(&server.registry);
    assert!(expected.len() > 700, "{} values", expected.len());
    for (name, mut labels, value) in expected {
        labels.insert("__name__".to_owned(), name);
        assert_eq!(scraped.get(&labels), Some(&value), "{labels:?}");
    }

    // Rules are evaluated, and the alert is on.
    prometheus.until("ALERTS{alertname=\"MillpondExhausted\"}", |alerts| {
        !alerts.is_empty()
    });
    let ratio = prometheus.until("millpond:hit_ratio:rate5m{pool=\"frames\"}", |r| {
        !r.is_empty()
    });
    assert!((ratio[0].1 - 0.2).abs() < 0.01, "{ratio:?}");
    for expression in dashboard::expressions() {
        client.query(&expression).unwrap();
    }

    advise(&prometheus, &client);
}

/// The sizes that the fleet recorded come through the server to the advice. They
/// did not grow while the server looked, so a second program brings them.
fn advise(prometheus: &Prometheus, client: &fleet::Server) {
    let fleet = client.snapshot("10m").unwrap();
    let frames = fleet.pool("frames").unwrap();
    assert_eq!(frames.figures.item_bytes, 4096);
    assert!(frames.figures.acquires >= 400, "{frames:?}");
    let buffers = fleet.pool("buffers").unwrap();
    let labels: Vec<&str> = buffers.classes.iter().map(|class| &*class.label).collect();
    assert_eq!(labels, ["outside", "2048", "4096", "8192"]);

    let program = env!("CARGO_BIN_EXE_millpond-advise");
    let advise = |arguments: &[&str]| Command::new(program).args(arguments).output().unwrap();
    let output = advise(&[
        "--prometheus",
        &prometheus.url,
        "--window",
        "10m",
        "--output",
        "toml",
    ]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let advice: toml::Table = said.parse().unwrap();
    assert!(
        advice["pools"]["frames"]["capacity"].as_integer().unwrap() > 0,
        "{said}"
    );

    let output = advise(&["--prometheus", &prometheus.url, "--window", "ten"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("\"ten\" is no window"));
}

/// One machine of a fleet: a pool of which requests of one size are made, and its
/// endpoint.
struct Machine {
    registry: Registry,
    pool: Arc<Working>,
    endpoint: Endpoint,
    bytes: usize,
}

impl Machine {
    fn start(bytes: usize) -> Self {
        let registry = Registry::new();
        let pool = Arc::new(Working::new("buffers", 100, 4096));
        registry.register(&pool).unwrap();
        pool.engine.set_diagnosis(Diagnosis::Full);
        let exporter = Exporter::new(&registry);
        let endpoint = Endpoint::bind(exporter, "127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            registry,
            pool,
            endpoint,
            bytes,
        }
    }

    fn work(&self) {
        self.pool.engine.exercise(10).unwrap();
        self.pool
            .sizes
            .lock()
            .unwrap()
            .record_many(self.bytes as u64, 10);
    }
}

/// Each machine sees one size; the table for the fleet has a class for either, as the
/// merged snapshots of the machines say too.
#[test]
fn the_histograms_of_a_fleet_are_merged_by_the_server() {
    if !has("prometheus") || !has("promtool") {
        return;
    }
    let machines = [Machine::start(1000), Machine::start(3000)];
    let targets = machines
        .each_ref()
        .map(|m| m.endpoint.address().to_string());
    let prometheus = Prometheus::start(&targets);
    let up = "up{job=\"millpond\"} == 1";
    prometheus.until(up, |up| up.len() == machines.len());
    for _ in 0..20 {
        machines.iter().for_each(Machine::work);
        thread::sleep(Duration::from_millis(200));
    }
    let acquires = "sum(millpond_acquires_total)";
    prometheus.until(acquires, |sum| sum.iter().any(|sum| sum.1 == 400.0));

    let fleet = fleet::Server::new(&prometheus.url).snapshot("10m").unwrap();
    assert_eq!(fleet.machines, 2);
    let buffers = fleet.pool("buffers").unwrap();
    assert!(buffers.figures.acquires > 200, "{buffers:?}");
    let sizes = |snapshot: &millpond_analytics::Snapshot| {
        let advice = Advisor::new().classes(2).of_snapshot(snapshot);
        advice.pools[0].classes.clone().unwrap().sizes
    };
    let [one, other] = machines.each_ref().map(|m| m.registry.snapshot());
    assert_eq!((sizes(&one).len(), sizes(&other).len()), (1, 1));
    let merged = one.merge(&other);
    assert_eq!(sizes(&fleet), sizes(&merged));
    assert_eq!(sizes(&fleet).len(), 2, "a class for the requests of either");
}
