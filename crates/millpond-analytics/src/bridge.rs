//! The bridge to `metrics`: figures go into the recorder that the application
//! installed.

use crate::catalogue::{self, Kind, Value};
use crate::registry::Registry;
use metrics::{Label, counter, describe_counter, describe_gauge, gauge};

/// Copies the figures of a registry into the recorder of the application, under
/// the names of the [catalogue](crate::catalogue).
///
/// ```
/// use millpond_analytics::{Bridge, Registry};
///
/// let bridge = Bridge::new(&Registry::new());
/// bridge.report(); // Now and then: from a timer, or before a scrape.
/// ```
///
/// Histograms are not copied: `metrics` takes values one by one, and they were
/// counted long ago.
///
/// Cost: a snapshot, and a registration of each metric of each pool, some
/// microseconds a pool.
#[derive(Clone, Debug)]
pub struct Bridge {
    registry: Registry,
}

impl Bridge {
    /// A bridge for `registry`; tells the recorder what the metrics mean.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        for metric in catalogue::all() {
            match metric.kind {
                Kind::Counter => describe_counter!(metric.name(), metric.help),
                Kind::Gauge => describe_gauge!(metric.name(), metric.help),
                Kind::Histogram => {}
            }
        }
        Self {
            registry: registry.clone(),
        }
    }

    /// Copies the figures as of now.
    pub fn report(&self) {
        let snapshot = self.registry.snapshot();
        for row in catalogue::FIGURES {
            let name = row.metric.name();
            for pool in &snapshot.pools {
                for (class, figures, _) in pool.parts() {
                    let labels = vec![
                        Label::new("pool", pool.name.clone()),
                        Label::new("class", class.to_owned()),
                    ];
                    set(&name, row.metric.kind, labels, (row.read)(&figures));
                }
            }
        }
        let name = catalogue::LONGEST_HOLD.name();
        for (pool, held) in self.registry.longest_holds() {
            let labels = vec![Label::new("pool", pool)];
            set(&name, Kind::Gauge, labels, Value::Real(held.as_secs_f64()));
        }
        for (metric, read) in catalogue::BUDGETS {
            for budget in &snapshot.budgets {
                let labels = vec![Label::new("budget", budget.name.clone())];
                set(&metric.name(), metric.kind, labels, read(budget));
            }
        }
    }
}

fn set(name: &str, kind: Kind, labels: Vec<Label>, value: Value) {
    match (kind, value) {
        (Kind::Counter, Value::Count(count)) => {
            counter!(name.to_owned(), labels).absolute(count);
        }
        // A recorder counts in whole numbers: seconds are a gauge there.
        (_, value) => gauge!(name.to_owned(), labels).set(value.as_f64()),
    }
}
