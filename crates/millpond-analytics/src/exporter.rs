//! Exposition for Prometheus: OpenMetrics by `prometheus-client`, and text 0.0.4
//! made from it.

use crate::catalogue::{self, Kind, Metric, Value};
use crate::registry::Registry;
use crate::snapshot::Snapshot;
use millpond_core::histogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry as ClientRegistry, Unit};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Most classes of one pool that are exposed; what lies beyond is left out, so
/// that a pool cannot fill a Prometheus server.
const MOST_CLASSES: usize = 64;

/// Buckets of hold times: powers of two from a microsecond to a quarter of an
/// hour.
const HOLD_EXPONENTS: std::ops::RangeInclusive<u32> = 10..=40;

/// Buckets of sizes: eight to the doubling, from 64 bytes to a megabyte, so that
/// what advises a fleet sees what advises one machine.
const SMALLEST_REQUEST: u64 = 64;
const LARGEST_REQUEST: u64 = 1 << 20;

/// The figures of a registry, for Prometheus.
///
/// ```
/// use millpond_analytics::{Exporter, Format, Registry};
///
/// let exporter = Exporter::new(&Registry::new());
/// let answer = exporter.answer(Some("application/openmetrics-text;version=1.0.0"));
/// assert_eq!(answer.format, Format::OpenMetrics);
/// assert!(answer.body.ends_with("# EOF\n"));
/// assert_eq!(exporter.answer(None).format, Format::Text);
/// ```
///
/// It is a [`Collector`] too: register it with the registry of
/// `prometheus-client` that the application has anyway.
///
/// Cost: a snapshot, a look at the holders, and some ten microseconds a pool.
#[derive(Clone, Debug)]
pub struct Exporter {
    registry: Registry,
}

/// A way to write metrics down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The value of the header `Content-Type`, without which Prometheus 3 refuses
    /// an answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What a client prefers, by its header `Accept`: OpenMetrics if it likes it
    /// at least as much as plain text, and text if it does not say.
    #[must_use]
    pub fn accepted_by(accept: &str) -> Self {
        let (mut open, mut text) = (0.0_f32, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |q| q.parse().unwrap_or(0.0_f32).clamp(0.0, 1.0));
            match media.as_str() {
                "application/openmetrics-text" => open = open.max(quality),
                "text/plain" => text = text.max(quality),
                _ => {}
            }
        }
        if open > 0.0 && open >= text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
}

/// An answer to a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exposition {
    /// How it is written.
    pub format: Format,
    /// The text.
    pub body: String,
}

impl Exporter {
    /// An exporter of what `registry` has at the time of a scrape.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
        }
    }

    /// What is exported.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The figures as of now, in the format that a header `Accept` asks for.
    #[must_use]
    pub fn answer(&self, accept: Option<&str>) -> Exposition {
        let format = accept.map_or(Format::Text, Format::accepted_by);
        self.expose(format)
    }

    /// The figures as of now.
    ///
    /// # Panics
    ///
    /// Never: writing to a string does not fail.
    #[must_use]
    pub fn expose(&self, format: Format) -> Exposition {
        let mut registry = ClientRegistry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut open = String::new();
        prometheus_client::encoding::text::encode(&mut open, &registry)
            .expect("writing to a string does not fail");
        let body = match format {
            Format::OpenMetrics => open,
            Format::Text => to_text(&open),
        };
        Exposition { format, body }
    }

    /// The exporter as a handler: give it a request, send what it answers.
    ///
    /// ```no_run
    /// use millpond_analytics::{Exporter, Registry};
    /// use axum::{Router, extract::Request, routing::get};
    ///
    /// let exporter = Exporter::new(&Registry::new());
    /// let app: Router = Router::new()
    ///     .route("/metrics", get(async move |request: Request| exporter.handle(&request)));
    /// ```
    ///
    /// # Panics
    ///
    /// Never: the headers are constants.
    #[cfg(feature = "http")]
    pub fn handle<B>(&self, request: &http::Request<B>) -> http::Response<String> {
        let accept = request.headers().get_all(http::header::ACCEPT).iter();
        let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
        let answer = self.answer(Some(&accept.join(",")));
        http::Response::builder()
            .header(http::header::CONTENT_TYPE, answer.format.content_type())
            .body(answer.body)
            .expect("the header is a constant")
    }
}

impl Collector for Exporter {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.registry.snapshot();
        for row in catalogue::FIGURES {
            let name = stem(&row.metric);
            let mut family = descriptor(&mut encoder, &row.metric, &name)?;
            for (pool, class, figures, _) in parts(&snapshot) {
                let labels = [("pool", pool), ("class", class)];
                encode(&mut family, &labels, row.metric.kind, (row.read)(&figures))?;
            }
        }
        encode_holds(&mut encoder, &self.registry.longest_holds())?;
        encode_sampled(&mut encoder, &snapshot)?;
        for (metric, read) in catalogue::BUDGETS {
            let name = stem(metric);
            let mut family = descriptor(&mut encoder, metric, &name)?;
            for budget in &snapshot.budgets {
                let labels = [("budget", budget.name.as_str())];
                encode(&mut family, &labels, metric.kind, read(budget))?;
            }
        }
        Ok(())
    }
}

/// Every class of every pool, as far as they are exposed.
fn parts(
    snapshot: &Snapshot,
) -> impl Iterator<
    Item = (
        &str,
        &str,
        millpond_core::observe::Observation,
        &millpond_core::observe::Sampled,
    ),
> {
    snapshot.pools.iter().flat_map(|pool| {
        let parts = pool.parts().take(MOST_CLASSES);
        parts.map(|(class, figures, sampled)| (pool.name.as_str(), class, figures, sampled))
    })
}

/// The name of a metric without the unit that [`descriptor`] adds.
fn stem(metric: &Metric) -> String {
    match unit(metric) {
        Some(_) => format!("{}_{}", catalogue::PREFIX, metric.stem),
        None => metric.family(),
    }
}

/// The unit of a metric, if it is one of those that OpenMetrics writes down.
fn unit(metric: &Metric) -> Option<&'static Unit> {
    static BYTES: Unit = Unit::Bytes;
    static SECONDS: Unit = Unit::Seconds;
    match metric.unit {
        "bytes" => Some(&BYTES),
        "seconds" => Some(&SECONDS),
        _ => None,
    }
}

fn descriptor<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    metric: &Metric,
    stem: &'e str,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    encoder.encode_descriptor(stem, metric.help, unit(metric), kind)
}

fn encode<const N: usize>(
    family: &mut MetricEncoder<'_>,
    labels: &[(&str, &str); N],
    kind: Kind,
    value: Value,
) -> fmt::Result {
    let mut sample = family.encode_family(labels)?;
    match (kind, value) {
        (Kind::Counter, Value::Count(count)) => {
            sample.encode_counter::<NoLabelSet, _, u64>(&count, None)
        }
        (Kind::Counter, Value::Real(real)) => {
            sample.encode_counter::<NoLabelSet, _, u64>(&real, None)
        }
        (_, Value::Count(count)) => sample.encode_gauge(&count),
        (_, Value::Real(real)) => sample.encode_gauge(&real),
    }
}

fn encode_holds(encoder: &mut DescriptorEncoder<'_>, holds: &[(String, Duration)]) -> fmt::Result {
    let name = stem(&catalogue::LONGEST_HOLD);
    let mut family = descriptor(encoder, &catalogue::LONGEST_HOLD, &name)?;
    for (pool, held) in holds {
        let labels = [("pool", pool.as_str())];
        family
            .encode_family(&labels)?
            .encode_gauge(&held.as_secs_f64())?;
    }
    Ok(())
}

/// The histograms, of those pools that have sampled anything.
fn encode_sampled(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let holds: Vec<u64> = HOLD_EXPONENTS.map(|exponent| 1 << exponent).collect();
    let name = stem(&catalogue::HOLD);
    let mut family = descriptor(encoder, &catalogue::HOLD, &name)?;
    for (pool, class, _, sampled) in parts(snapshot) {
        if !sampled.hold_ns.is_empty() {
            let labels = [("pool", pool), ("class", class)];
            encode_histogram(&mut family, &labels, &sampled.hold_ns, &holds, 1e9)?;
        }
    }
    let requests = request_bounds();
    let name = stem(&catalogue::REQUEST);
    let mut family = descriptor(encoder, &catalogue::REQUEST, &name)?;
    for (pool, class, _, sampled) in parts(snapshot) {
        if !sampled.sizes.is_empty() {
            let labels = [("pool", pool), ("class", class)];
            encode_histogram(&mut family, &labels, &sampled.sizes, &requests, 1.0)?;
        }
    }
    Ok(())
}

/// The bounds at which sizes are counted, always the same.
fn request_bounds() -> Vec<u64> {
    let all = Histogram::from_buckets(
        (SMALLEST_REQUEST..LARGEST_REQUEST)
            .step_by(8)
            .map(|s| (s, 1)),
        0,
    );
    let bounds = all.buckets().map(|(bound, _)| bound);
    bounds.collect()
}

/// `scale` is how much of the histogram's unit makes one of the metric's.
#[expect(clippy::cast_precision_loss, reason = "Prometheus keeps no more")]
fn encode_histogram<const N: usize>(
    family: &mut MetricEncoder<'_>,
    labels: &[(&str, &str); N],
    histogram: &Histogram,
    bounds: &[u64],
    scale: f64,
) -> fmt::Result {
    let mut buckets: Vec<(f64, u64)> = bounds.iter().map(|&b| (b as f64 / scale, 0)).collect();
    buckets.push((f64::INFINITY, 0));
    for (bound, count) in histogram.buckets() {
        let bucket = bounds.partition_point(|&own| own < bound);
        buckets[bucket].1 = buckets[bucket].1.saturating_add(count);
    }
    let sum = histogram.sum() as f64 / scale;
    let mut sample = family.encode_family(labels)?;
    sample.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)
}

/// Text 0.0.4 from OpenMetrics: families of counters are named as their samples
/// are, and nothing marks the end.
fn to_text(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help: Option<&str> = None;
    for line in open.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line); // Its name depends on the type, which comes next.
        } else if line.starts_with("# TYPE ") {
            let (head, kind) = line.rsplit_once(' ').unwrap_or((line, ""));
            let total = if kind == "counter" { "_total" } else { "" };
            if let Some(help) = help.take() {
                push_line(&mut text, &renamed(help, total));
            }
            push_line(&mut text, &format!("{head}{total} {kind}"));
        } else if line != "# EOF" && !line.starts_with("# UNIT ") {
            push_line(&mut text, line);
        }
    }
    text
}

/// A HELP line with something added to the name.
fn renamed<'l>(help: &'l str, end: &str) -> Cow<'l, str> {
    if end.is_empty() {
        return Cow::Borrowed(help);
    }
    let name = help.trim_start_matches("# HELP ");
    match name.split_once(' ') {
        Some((name, says)) => Cow::Owned(format!("# HELP {name}{end} {says}")),
        None => Cow::Borrowed(help),
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
