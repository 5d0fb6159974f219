//! A configuration as it is written: the tree that reading it gives back.

use super::Settings;
use super::value::spread_word;
use super::value::{adaptive_words, pages_word, policy_words};
use crate::config::{PondConfig, PoolConfig};
use millpond_arena::{ScopeConfig, Wipe};
use millpond_core::region::{HugePages, RegionOptions};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::string::{String, ToString};

/// Written with all figures that have one: what is "no limit" or "as the pond" is
/// left out, as is the hook. Reading it gives an equal configuration.
impl Serialize for PondConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pond = Table::default();
        pond.text("name", self.name);
        pond.limit("budget_bytes", self.budget_bytes);
        pond.policy("exhaustion", Some(self.exhaustion));
        pond.number("nodes", self.nodes);
        pond.number("results", self.results);
        pond.flag("large_objects_from_bytes", self.large_objects_from_bytes);
        pond.table("bytes", bytes(self));
        let mut arenas = Table::default();
        for (name, figures) in self.arenas.scopes() {
            arenas.table(name, arena(&figures));
        }
        pond.table("arenas", arenas);
        let mut pools = Table::default();
        for (name, config) in &self.pools {
            pools.table(name, pool(config));
        }
        pond.table("pools", pools);
        pond.0.serialize(serializer)
    }
}

/// Read as [`Settings`] are, which say more about what is wrong.
impl<'de> Deserialize<'de> for PondConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let settings = Settings::deserialize(deserializer)?;
        settings.config().map_err(D::Error::custom)
    }
}

fn bytes(config: &PondConfig) -> Table {
    let mut table = Table::default();
    let bytes = &config.bytes;
    table.text("name", bytes.name());
    let sizes = bytes.sizes().iter().map(|&size| whole(size));
    table.0.insert("classes".into(), sizes.collect());
    table.limit("buffers_per_class", bytes.buffers_per_class());
    table.number("warm_up", config.bytes_warm_up);
    table.number("pool_min_size", bytes.pool_min_size());
    table.flag("wipe_on_release", bytes.wipes_on_release());
    table.region(bytes.region());
    table
}

fn arena(config: &ScopeConfig) -> Table {
    let mut table = Table::default();
    table.number("nominal_bytes", config.nominal_bytes);
    for (name, figure) in [
        ("limit_bytes", config.limit_bytes),
        ("retain_bytes", config.retain_bytes),
        ("large_bytes", config.large_bytes),
        ("parked", config.parked),
    ] {
        table.perhaps(name, figure);
    }
    table.number("prewarm", config.prewarm);
    table.number("percentile", config.percentile.into());
    table.flag("wipe", config.wipe == Wipe::Zero);
    table
}

fn pool(config: &PoolConfig) -> Table {
    let mut table = Table::default();
    table.perhaps("capacity", config.capacity);
    table.number("warm_up", config.warm_up);
    table.policy("exhaustion", config.exhaustion);
    if let Some(adaptive) = config.adaptive {
        table.text("adaptive", &adaptive_words(adaptive));
        table.flag("advice_only", config.advice_only);
    }
    table.region(config.region);
    table.perhaps("alignment", config.alignment.map(|align| align.bytes()));
    table.text("spread", config.spread.map_or("", spread_word));
    table.flag("norms", config.side_arrays.norms);
    table.flag("external_ids", config.side_arrays.external_ids);
    table.perhaps("slab_bytes", config.slab_bytes);
    table.perhaps("spare_rows", config.spare_rows);
    table
}

/// A table that is being written.
#[derive(Default)]
struct Table(Map<String, Value>);

impl Table {
    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.0.insert(name.into(), text.into());
        }
    }

    fn flag(&mut self, name: &str, flag: bool) {
        self.0.insert(name.into(), flag.into());
    }

    fn number(&mut self, name: &str, number: usize) {
        self.0.insert(name.into(), whole(number));
    }

    fn perhaps(&mut self, name: &str, number: Option<usize>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    /// A bound, unless it is none.
    fn limit(&mut self, name: &str, most: usize) {
        self.perhaps(name, Some(most).filter(|&most| most != usize::MAX));
    }

    fn policy(&mut self, name: &str, policy: Option<millpond_core::exhaustion::Exhaustion>) {
        if let Some(words) = policy.and_then(policy_words) {
            self.text(name, &words);
        }
    }

    fn region(&mut self, options: RegionOptions) {
        if options.huge_pages != HugePages::None {
            self.text("huge_pages", pages_word(options.huge_pages));
        }
        self.flag("prefault", options.prefault);
        self.perhaps("numa_node", options.numa_node.map(|node| node as usize));
    }

    fn table(&mut self, name: &str, table: Self) {
        if !table.0.is_empty() {
            self.0.insert(name.into(), Value::Object(table.0));
        }
    }
}

/// A number, or the text of one that TOML has no number for.
fn whole(number: usize) -> Value {
    match i64::try_from(number) {
        Ok(number) => number.into(),
        Err(_) => number.to_string().into(),
    }
}
