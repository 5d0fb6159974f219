//! A fleet: what a Prometheus server knows of all machines, as a snapshot.
//!
//! The server adds up the machines and merges their histograms; here its answers
//! become a [`Snapshot`], which the [`Advisor`](crate::Advisor) takes like any
//! other.

use crate::catalogue::{self, PREFIX};
use crate::snapshot::{PoolSnapshot, Snapshot};
use millpond_core::histogram::Histogram;
use millpond_core::observe::{Class, Observation, Sampled};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Longest answer of a server that is read, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// For how long a server may think.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Prometheus server.
///
/// ```no_run
/// use millpond_analytics::{Advisor, fleet::Server};
///
/// let server = Server::new("http://prometheus:9090");
/// let fleet = server.snapshot("1d")?;
/// print!("{}", Advisor::new().of_snapshot(&fleet).to_toml());
/// # Ok::<(), millpond_analytics::fleet::FleetError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    url: String,
    agent: ureq::Agent,
}

/// An answer of the server: samples with their labels.
pub type Samples = Vec<(BTreeMap<String, String>, f64)>;

impl Server {
    /// The server at `url`, such as `http://prometheus:9090`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE));
        Self {
            url: url.trim_end_matches('/').to_owned(),
            agent: config.build().into(),
        }
    }

    /// The pools of all machines, added up, over a window such as `1h` or `7d`:
    /// counters as they grew in it, gauges at their highest.
    ///
    /// # Errors
    ///
    /// If the window is none, the server cannot be reached, or its answer is not
    /// understood.
    pub fn snapshot(&self, window: &str) -> Result<Snapshot, FleetError> {
        check_window(window)?;
        let mut fleet = Fleet::default();
        for (name, field) in FIELDS {
            let query = match catalogue_kind(name) {
                catalogue::Kind::Gauge => {
                    format!("sum by (pool, class) (max_over_time({PREFIX}_{name}[{window}]))")
                }
                _ => format!("sum by (pool, class) (increase({PREFIX}_{name}[{window}]))"),
            };
            fleet.add_figures(&self.query(&query)?, *field);
        }
        let sizes = format!(
            "sum by (pool, class, le) (increase({}_bucket[{window}]))",
            catalogue::REQUEST.name()
        );
        fleet.add_sizes(&self.query(&sizes)?);
        let machines = format!("count(count by (instance) ({PREFIX}_items))");
        let machines = self.query(&machines)?;
        let count = machines.first().map_or(0.0, |sample| sample.1);
        Ok(fleet.into_snapshot(count))
    }

    /// Asks one question.
    ///
    /// # Errors
    ///
    /// As [`Server::snapshot`].
    pub fn query(&self, query: &str) -> Result<Samples, FleetError> {
        let unreachable = |error: ureq::Error| FleetError::Unreachable(error.to_string());
        let request = self
            .agent
            .get(format!("{}/api/v1/query", self.url))
            .query("query", query);
        let mut response = request.call().map_err(unreachable)?;
        let body = response.body_mut().with_config().limit(MOST_BYTES);
        parse_answer(&body.read_to_string().map_err(unreachable)?)
    }
}

/// The figures that advice needs, and where they go.
const FIELDS: &[(&str, Pick)] = &[
    ("item_bytes", |o| Field::Largest(&mut o.item_bytes)),
    ("capacity", |o| Field::Gauge(&mut o.capacity)),
    ("items", |o| Field::Gauge(&mut o.created)),
    ("in_use", |o| Field::Gauge(&mut o.in_use)),
    ("high_water", |o| Field::Gauge(&mut o.high_water)),
    ("held_bytes", |o| Field::Gauge(&mut o.held_bytes)),
    ("acquires_total", |o| Field::Counter(&mut o.acquires)),
    ("hits_total", |o| Field::Counter(&mut o.hits)),
    ("misses_total", |o| Field::Counter(&mut o.misses)),
    ("exhausted_total", |o| Field::Counter(&mut o.exhausted)),
    ("fallbacks_total", |o| Field::Counter(&mut o.fallbacks)),
    ("discards_total", |o| Field::Counter(&mut o.discards)),
];

/// Picks a figure out of an observation.
type Pick = fn(&mut Observation) -> Field<'_>;

/// A figure of an observation.
enum Field<'o> {
    Counter(&'o mut u64),
    Gauge(&'o mut usize),
    /// The same on every machine, so that adding it up makes no sense.
    Largest(&'o mut usize),
}

fn catalogue_kind(name: &str) -> catalogue::Kind {
    match name.ends_with("_total") {
        true => catalogue::Kind::Counter,
        false => catalogue::Kind::Gauge,
    }
}

fn check_window(window: &str) -> Result<(), FleetError> {
    let digits = window.trim_end_matches(|unit: char| unit.is_ascii_lowercase());
    let unit = &window[digits.len()..];
    let known = ["ms", "s", "m", "h", "d", "w", "y"].contains(&unit);
    let number = digits.parse::<u32>().is_ok_and(|number| number > 0);
    match known && number {
        true => Ok(()),
        false => Err(FleetError::Window(window.to_owned())),
    }
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// Reads an answer of `/api/v1/query`.
///
/// # Errors
///
/// If it is none, if the server refused, or if it is not a vector.
pub fn parse_answer(body: &str) -> Result<Samples, FleetError> {
    let answer: Answer =
        serde_json::from_str(body).map_err(|error| FleetError::Malformed(error.to_string()))?;
    if answer.status != "success" {
        return Err(FleetError::Refused(answer.error.unwrap_or(answer.status)));
    }
    let data = answer
        .data
        .ok_or_else(|| FleetError::Malformed("no data".to_owned()))?;
    if data.kind != "vector" {
        return Err(FleetError::Malformed(format!(
            "a {}, not a vector",
            data.kind
        )));
    }
    let samples = data.result.into_iter().map(|sample| {
        let value = sample.value.1.parse();
        let value = value.map_err(|_| FleetError::Malformed(format!("{:?}", sample.value.1)))?;
        Ok((sample.metric, value))
    });
    samples.collect()
}

/// Pools and classes as their answers come in.
#[derive(Default)]
struct Fleet {
    parts: BTreeMap<(String, String), (Observation, Sampled)>,
}

impl Fleet {
    fn part(&mut self, labels: &BTreeMap<String, String>) -> &mut (Observation, Sampled) {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        self.parts
            .entry((label("pool"), label("class")))
            .or_default()
    }

    fn add_figures(&mut self, samples: &Samples, field: Pick) {
        for (labels, value) in samples {
            let count = whole(*value);
            match field(&mut self.part(labels).0) {
                Field::Counter(counter) => *counter = counter.saturating_add(count),
                Field::Gauge(gauge) => {
                    *gauge = gauge.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
                }
                Field::Largest(gauge) => {
                    *gauge = (*gauge).max(usize::try_from(count).unwrap_or(usize::MAX));
                }
            }
        }
    }

    /// Sizes come as cumulative counts, in any order.
    fn add_sizes(&mut self, samples: &Samples) {
        let mut cumulative: BTreeMap<(String, String), Vec<(u64, f64)>> = BTreeMap::new();
        for (labels, value) in samples {
            let bound = labels.get("le").and_then(|le| le.parse::<f64>().ok());
            let Some(bound) = bound.filter(|bound| bound.is_finite()) else {
                continue; // What is beyond the last bound is oversize.
            };
            let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
            let part = cumulative
                .entry((label("pool"), label("class")))
                .or_default();
            part.push((whole(bound), *value));
        }
        for (part, mut bounds) in cumulative {
            bounds.sort_by_key(|bound| bound.0);
            let mut below = 0.0;
            let mut sizes = Histogram::new();
            for (bound, count) in bounds {
                sizes.record_many(bound, whole((count - below).round()));
                below = count.max(below);
            }
            self.parts.entry(part).or_default().1.sizes = sizes;
        }
    }

    fn into_snapshot(self, machines: f64) -> Snapshot {
        let mut snapshot = Snapshot::new(0);
        snapshot.machines = u32::try_from(whole(machines)).unwrap_or(u32::MAX);
        let mut pools: BTreeMap<String, Vec<(String, Observation, Sampled)>> = BTreeMap::new();
        for ((pool, class), (figures, sampled)) in self.parts {
            pools
                .entry(pool)
                .or_default()
                .push((class, figures, sampled));
        }
        snapshot.pools = pools.into_iter().map(pool_of).collect();
        snapshot
    }
}

/// A pool from its classes, the smallest first.
fn pool_of((name, mut parts): (String, Vec<(String, Observation, Sampled)>)) -> PoolSnapshot {
    parts.sort_by_key(|(_, figures, _)| figures.item_bytes);
    let mut pool = PoolSnapshot::of(&name, &Nothing);
    let figures = parts.iter().map(|part| part.1);
    pool.figures = figures
        .reduce(|sum, part| sum.merge(part))
        .unwrap_or_default();
    for (_, _, sampled) in &parts {
        pool.sampled.merge(sampled);
    }
    let is_whole = matches!(parts.as_slice(), [(class, ..)] if class.is_empty());
    if !is_whole {
        let classes = parts.into_iter();
        let classes = classes
            .map(|(label, figures, sampled)| Class::new(label, figures).with_sampled(sampled));
        pool.classes = classes.collect();
    }
    pool
}

/// A pool of which nothing is known yet.
struct Nothing;

impl millpond_core::observe::Observe for Nothing {
    fn name(&self) -> &str {
        ""
    }

    fn observe(&self) -> Observation {
        Observation::default()
    }
}

/// A count out of a floating-point number; what is none counts as nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of floats saturate, and take no number for 0"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// Why a fleet could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FleetError {
    /// No server answered.
    Unreachable(String),
    /// The server understood the question and refused it.
    Refused(String),
    /// The answer is not one of Prometheus.
    Malformed(String),
    /// The text is no window.
    Window(String),
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the server did not answer: {why}"),
            Self::Refused(why) => write!(f, "the server refused: {why}"),
            Self::Malformed(why) => write!(f, "not an answer of Prometheus: {why}"),
            Self::Window(text) => write!(
                f,
                "{text:?} is no window; a number with ms, s, m, h, d, w or y is allowed"
            ),
        }
    }
}

impl std::error::Error for FleetError {}
