//! A pond from text: TOML, JSON, the environment, and code, in layers.

mod error;
mod field;
mod tree;
mod value;
mod written;

pub use error::SettingError;

use crate::config::{PondConfig, PoolConfig};
use field::{ARENAS, FAMILIES, Family, Field, POOLS};
use millpond_arena::{Scope, ScopeConfig, Wipe};
use millpond_core::region::RegionOptions;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _};
use std::borrow::ToOwned;
use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;
use tree::Tree;
use value::{Raw, Value};

/// What environment variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "MILLPOND_";

/// What errors call the environment.
const ENVIRONMENT: &str = "environment";

/// Whether a variable of this name is ours to read: the pools read one themselves.
fn is_setting(name: &str) -> bool {
    name.starts_with(ENVIRONMENT_PREFIX) && name != millpond_core::diagnostics::ENVIRONMENT_VARIABLE
}

/// Most scopes of one's own, and most bytes of the name of one: what a table or a
/// metric can still be read with.
const MOST_SCOPES: usize = 1024;
const LONGEST_SCOPE: usize = 64;

/// Bounds that no machine's memory reaches, and that tell a reader nothing.
const ANY: usize = usize::MAX >> 4;

/// Where a value comes from. A later one wins, in whatever order they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Toml,
    Json,
    Environment,
    Code,
}

/// The settings of a pond, from up to four layers: TOML, JSON, the environment
/// and code. Where two layers set the same field, the later one of this list
/// wins.
///
/// ```
/// use millpond::Settings;
///
/// let config = Settings::new()
///     .toml("pond.toml", r#"
///         budget_bytes = "256 MiB"
///         [bytes]
///         classes = ["4 KiB", "64 KiB"]
///         [arenas.json]
///         nominal_bytes = "128 KiB"
///     "#)?
///     .environment_of([("MILLPOND_BUDGET_BYTES", "64 MiB")])?
///     .set("exhaustion", "wait 50 ms")?
///     .config()?;
/// let pond = config.build()?;
/// assert_eq!(pond.budget().limit(), 64 << 20);
/// assert_eq!(pond.bytes().sizes(), [4096, 65536]);
///
/// let error = Settings::new().toml("pond.toml", "bytes.clases = []").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "pond.toml: there is no field bytes.clases; did you mean bytes.classes?"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Settings::reference`] lists all fields. Sizes are numbers of bytes or read
/// like `256 KiB`. As a part of an application's own configuration the settings
/// are read by `serde`, from any format.
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until a configuration is made of them"]
pub struct Settings {
    set: BTreeMap<String, Setting>,
    /// Scopes of which an empty table stands in a text, and which text that is.
    mentioned: BTreeMap<String, String>,
}

/// Where a value stands, and under which name.
struct Found<'f> {
    layer: Layer,
    source: &'f str,
    shown: &'f str,
}

/// A value with what is needed to say where it was found.
#[derive(Clone, Debug)]
struct Setting {
    layer: Layer,
    source: String,
    raw: String,
    value: Value,
}

impl Settings {
    /// Nothing set: [`Settings::config`] gives the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads TOML. Errors name `source`, which is usually the path of a file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its field and what is allowed.
    pub fn toml(self, source: &str, text: &str) -> Result<Self, SettingError> {
        let tree = toml::Deserializer::parse(text).and_then(|text| Tree("").deserialize(text));
        let tree = tree.map_err(|error| SettingError::syntax(source, error.to_string().trim()))?;
        self.read(Layer::Toml, source, &tree)
    }

    /// Reads JSON. Errors name `source`, which is usually the path of a file.
    ///
    /// # Errors
    ///
    /// As [`Settings::toml`].
    pub fn json(self, source: &str, text: &str) -> Result<Self, SettingError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let tree = Tree("").deserialize(&mut reader);
        let tree = tree.and_then(|tree| reader.end().map(|()| tree));
        let tree = tree.map_err(|error| SettingError::syntax(source, &error.to_string()))?;
        self.read(Layer::Json, source, &tree)
    }

    /// Reads the variables of the process that begin with [`ENVIRONMENT_PREFIX`]:
    /// `MILLPOND_BYTES_CLASSES` is `bytes.classes`, a list with commas,
    /// `MILLPOND_POOLS_SESSIONS_CAPACITY` is `pools.sessions.capacity`, and
    /// `MILLPOND_ARENAS_RENDER_WIPE` is `arenas.render.wipe`.
    ///
    /// # Errors
    ///
    /// As [`Settings::toml`]; a variable of this prefix that is no field is
    /// refused too, but for `MILLPOND_DIAGNOSTICS`, which the pools read.
    pub fn environment(self) -> Result<Self, SettingError> {
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if !is_setting(&name) {
                continue;
            }
            let value = value.into_string().map_err(|value| {
                let shown = value.to_string_lossy();
                SettingError::value(ENVIRONMENT, &name, &shown, "text in UTF-8 is allowed")
            })?;
            variables.push((name, value));
        }
        self.environment_of(variables)
    }

    /// As [`Settings::environment`], from variables of the caller's choice.
    ///
    /// # Errors
    ///
    /// As [`Settings::environment`].
    pub fn environment_of<N, V>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, SettingError>
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        for (name, value) in variables {
            let name = name.as_ref();
            if !is_setting(name) {
                continue;
            }
            let (field, place) = field::of_variable(name)?;
            let found = Found {
                layer: Layer::Environment,
                source: ENVIRONMENT,
                shown: name,
            };
            self.put(&found, place, field, &Raw::One(value.into()))?;
        }
        Ok(self)
    }

    /// Sets one field from code, over everything that was read.
    ///
    /// # Errors
    ///
    /// As [`Settings::toml`].
    pub fn set(mut self, field: &str, value: impl ToString) -> Result<Self, SettingError> {
        let found = Found {
            layer: Layer::Code,
            source: "code",
            shown: field,
        };
        let known = field::named("code", field)?;
        let raw = Raw::One(value.to_string());
        self.put(&found, field.to_owned(), known, &raw)?;
        Ok(self)
    }

    fn read(
        mut self,
        layer: Layer,
        source: &str,
        tree: &serde_json::Value,
    ) -> Result<Self, SettingError> {
        let Some(fields) = tree.as_object() else {
            let reason = format!("this is {tree}; a table of fields is allowed");
            return Err(SettingError::syntax(source, &reason));
        };
        let mut leaves = Vec::new();
        for (name, tree) in fields {
            value::flatten(tree, name.to_owned(), &mut leaves);
        }
        let mut seen = BTreeSet::new();
        for (name, leaf) in leaves {
            // A key may itself have dots.
            if !seen.insert(name.clone()) {
                return Err(SettingError::syntax(source, &tree::twice(&name)));
            }
            let field = match field::named(source, &name) {
                Err(_) if leaf.is_object() && field::is_table(&name) => {
                    self.mention(source, &name);
                    continue;
                }
                // With more dots it is rather a field that was misspelt.
                Err(_) if name.matches('.').count() < 2 && field::is_table(&name) => {
                    let raw = Raw::of(leaf);
                    let raw = raw.map_or_else(|| leaf.to_string(), |raw| raw.to_string());
                    let allowed = "a table of fields is allowed";
                    return Err(SettingError::value(source, &name, &raw, allowed));
                }
                found => found?,
            };
            let Some(raw) = Raw::of(leaf) else {
                let allowed = field.kind.allowed();
                return Err(SettingError::value(
                    source,
                    &name,
                    &leaf.to_string(),
                    &allowed,
                ));
            };
            let found = Found {
                layer,
                source,
                shown: &name,
            };
            self.put(&found, name.clone(), field, &raw)?;
        }
        Ok(self)
    }

    /// Nothing is set by an empty table, but a scope of one's own should be there.
    fn mention(&mut self, source: &str, table: &str) {
        if let Some(scope) = table.strip_prefix(ARENAS.prefix) {
            self.mentioned.insert(scope.to_owned(), source.to_owned());
        }
    }

    fn put(
        &mut self,
        found: &Found<'_>,
        place: String,
        field: &Field,
        raw: &Raw,
    ) -> Result<(), SettingError> {
        let text = raw.to_string();
        let value = field.kind.parse(raw).ok_or_else(|| {
            SettingError::value(found.source, found.shown, &text, &field.kind.allowed())
        })?;
        let setting = Setting {
            layer: found.layer,
            source: found.source.to_owned(),
            raw: text,
            value,
        };
        match self.set.get(&place) {
            Some(held) if held.layer > found.layer => {}
            _ => _ = self.set.insert(place, setting),
        }
        Ok(())
    }

    /// The fields that were set, each with its value and where that is from.
    pub fn effective(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let set = self.set.iter();
        set.map(|(name, setting)| (name.as_str(), setting.raw.as_str(), setting.source.as_str()))
    }

    /// The configuration, checked as a whole by the pools that it is for.
    ///
    /// # Errors
    ///
    /// Values that do not agree, with the source of the one that is refused.
    pub fn config(&self) -> Result<PondConfig, SettingError> {
        let mut config = PondConfig::default();
        if let Some(bytes) = self.number("budget_bytes") {
            config.budget_bytes = bytes;
        }
        if let Some(Value::Policy(policy)) = self.value("exhaustion") {
            config.exhaustion = *policy;
        }
        if let Some(name) = self.name("name") {
            config.name = name;
        }
        config.large_objects_from_bytes = self.flag("large_objects_from_bytes");
        config.nodes = self.number("nodes").unwrap_or(config.nodes);
        config.results = self.number("results").unwrap_or(config.results);
        self.arenas(&mut config.arenas)?;
        config.bytes = self.bytes()?;
        let most = config.bytes.buffers_per_class();
        config.bytes_warm_up = self.warm_up("bytes.warm_up", Some(most))?;
        for pool in self.things(&POOLS) {
            config.pools.insert(pool.to_owned(), self.pool(pool)?);
        }
        Ok(config)
    }

    /// The names of a family of which something was set.
    fn things<'s>(&'s self, family: &Family) -> BTreeSet<&'s str> {
        let names = self.set.keys();
        names
            .filter_map(|name| family.split(name).map(|(thing, _)| thing))
            .collect()
    }

    /// The scopes of every pond, and those of one's own.
    fn arenas(&self, arenas: &mut millpond_arena::Builder) -> Result<(), SettingError> {
        for scope in Scope::BUILT_IN {
            let figures = self.scope(&scope.to_string(), arenas.config(scope));
            arenas.configure(scope, figures);
        }
        for name in self.own_scopes()? {
            let figures = self.scope(name, ScopeConfig::default());
            arenas.own_scope(interned(name), figures);
        }
        arenas.check().map_err(|error| {
            let name = format!("{}{}.{}", ARENAS.prefix, error.scope, error.field);
            let allowed = match error.most {
                ANY.. => format!("{} or more are allowed", error.least),
                most => format!("{} to {most} are allowed", error.least),
            };
            self.disagrees(&name, &error.value.to_string(), &allowed)
        })
    }

    /// The scopes that are not those of every pond. Each says how large its arenas
    /// are, so that a slip of the fingers is no new scope.
    fn own_scopes(&self) -> Result<Vec<&str>, SettingError> {
        let built_in = Scope::BUILT_IN.map(|scope| scope.to_string());
        let mut own = Vec::new();
        let mut scopes = self.things(&ARENAS);
        scopes.extend(self.mentioned.keys().map(String::as_str));
        for scope in scopes {
            if built_in.iter().any(|known| known == scope) {
                continue;
            }
            let nominal = format!("arenas.{scope}.nominal_bytes");
            if scope.len() > LONGEST_SCOPE || own.len() == MOST_SCOPES {
                let reason = format!(
                    "{MOST_SCOPES} scopes of one's own with names of 1 to {LONGEST_SCOPE} bytes \
                     are allowed"
                );
                return Err(self.disagrees(&nominal, "", &reason));
            }
            if self.value(&nominal).is_none() {
                return Err(self.without_size(scope, &nominal, &built_in));
            }
            own.push(scope);
        }
        Ok(own)
    }

    fn without_size(&self, scope: &str, nominal: &str, built_in: &[String]) -> SettingError {
        let of_it = |name: &str| ARENAS.split(name).is_some_and(|(thing, _)| thing == scope);
        let said = self.set.iter().find(|(name, _)| of_it(name));
        let said = said.map(|(_, setting)| &setting.source);
        let source = said.or_else(|| self.mentioned.get(scope));
        let source = source.map_or("defaults", String::as_str);
        let nearest = field::nearest(scope, built_in.iter().cloned());
        let nearest = nearest.map(|name| format!("; did you mean arenas.{name}?"));
        let reason = format!(
            "arenas.{scope} is a scope of one's own and needs {nominal}{}",
            nearest.unwrap_or_default()
        );
        SettingError::missing(source, nominal, reason)
    }

    /// What was said of one pool.
    fn pool(&self, pool: &str) -> Result<PoolConfig, SettingError> {
        let name = |field: &str| format!("{}{pool}.{field}", POOLS.prefix);
        let mut config = PoolConfig::new();
        config.capacity = self.number(&name("capacity"));
        config.warm_up = self.warm_up(&name("warm_up"), config.capacity)?;
        if let Some(Value::Policy(policy)) = self.value(&name("exhaustion")) {
            config.exhaustion = Some(*policy);
        }
        if let Some(Value::Adaptive(adaptive)) = self.value(&name("adaptive")) {
            config.adaptive = Some(*adaptive);
        }
        config.advice_only = self.flag(&name("advice_only"));
        if config.advice_only && config.adaptive.is_none() {
            let reason = format!("{} must be set for advice to be given", name("adaptive"));
            return Err(self.disagrees(&name("advice_only"), "true", &reason));
        }
        config.region = self.region(&name("huge_pages"), &name("prefault"), &name("numa_node"));
        let bytes = self.word(&name("alignment")).and_then(|it| it.parse().ok());
        let mut known = millpond_vector::Alignment::ALL.into_iter();
        config.alignment = known.find(|known| Some(known.bytes()) == bytes);
        config.spread = self.word(&name("spread")).map(value::spread);
        config.side_arrays.norms = self.flag(&name("norms"));
        config.side_arrays.external_ids = self.flag(&name("external_ids"));
        config.slab_bytes = self.number(&name("slab_bytes"));
        config.spare_rows = self.number(&name("spare_rows"));
        Ok(config)
    }

    /// What is made in advance: no more than there may be, if that was said.
    fn warm_up(&self, name: &str, most: Option<usize>) -> Result<usize, SettingError> {
        let items = self.number(name).unwrap_or(0);
        match most {
            Some(most) if items > most => {
                let reason = format!("0 to {most} are allowed");
                Err(self.disagrees(name, &items.to_string(), &reason))
            }
            _ => Ok(items),
        }
    }

    fn region(&self, pages: &str, prefault: &str, node: &str) -> RegionOptions {
        let mut options = RegionOptions::new().with_prefault(self.flag(prefault));
        if let Some(Value::Pages(pages)) = self.value(pages) {
            options.huge_pages = *pages;
        }
        options.numa_node = self.number(node).and_then(|node| u32::try_from(node).ok());
        options
    }

    /// The figures of a scope: what it comes with, and what was set.
    fn scope(&self, scope: &str, comes_with: ScopeConfig) -> ScopeConfig {
        let name = |field: &str| format!("{}{scope}.{field}", ARENAS.prefix);
        let number = |field| self.number(&name(field));
        let nominal = number("nominal_bytes").unwrap_or(comes_with.nominal_bytes);
        let mut config = ScopeConfig::of(nominal);
        config.limit_bytes = number("limit_bytes");
        config.retain_bytes = number("retain_bytes");
        config.large_bytes = number("large_bytes");
        config.parked = number("parked");
        config.prewarm = number("prewarm").unwrap_or(0);
        if let Some(percent) = number("percentile").and_then(|most| u8::try_from(most).ok()) {
            config.percentile = percent;
        }
        if self.flag(&name("wipe")) {
            config.wipe = Wipe::Zero;
        }
        config
    }

    fn bytes(&self) -> Result<millpond_bytes::Config, SettingError> {
        use millpond_bytes::{BytePool, ConfigError};
        let mut config = PondConfig::default().bytes;
        if let Some(Value::Sizes(sizes)) = self.value("bytes.classes") {
            config = config.with_sizes(sizes);
        }
        if let Some(buffers) = self.number("bytes.buffers_per_class") {
            config = config.with_buffers_per_class(buffers);
        }
        if let Some(bytes) = self.number("bytes.pool_min_size") {
            config = config.with_pool_min_size(bytes);
        }
        if let Some(name) = self.name("bytes.name") {
            config = config.with_name(name);
        }
        config = config
            .with_wipe_on_release(self.flag("bytes.wipe_on_release"))
            .with_region(self.region("bytes.huge_pages", "bytes.prefault", "bytes.numa_node"));
        // A pool makes no buffer before it is asked for one: this is a check.
        let Err(error) = BytePool::new(config.clone()) else {
            return Ok(config);
        };
        let name = match error {
            ConfigError::PoolMinSize { .. } => "bytes.pool_min_size",
            ConfigError::NoBuffers => "bytes.buffers_per_class",
            _ => "bytes.classes",
        };
        Err(self.disagrees(name, "", &error.to_string()))
    }

    /// The error of a value that does not agree with others.
    fn disagrees(&self, name: &str, value: &str, reason: &str) -> SettingError {
        match self.set.get(name) {
            Some(setting) => SettingError::value(&setting.source, name, &setting.raw, reason),
            None => SettingError::value("defaults", name, value, reason),
        }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.set.get(name).map(|setting| &setting.value)
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Flag(true)))
    }

    fn word(&self, name: &str) -> Option<&'static str> {
        match self.value(name) {
            Some(Value::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn name(&self, name: &str) -> Option<&'static str> {
        match self.value(name) {
            Some(Value::Name(name)) => Some(interned(name)),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<usize> {
        match self.value(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// All fields, with their variables and what is allowed, as a table in
    /// Markdown: the page of the manual is made of it.
    #[must_use]
    pub fn reference() -> String {
        let fixed = field::fixed().map(|field| (field.name.to_owned(), field));
        let of_things = FAMILIES.into_iter().flat_map(|family| {
            let fields = family.fields.iter();
            fields.map(move |field| (format!("{}NAME.{}", family.prefix, field.name), field))
        });
        let mut page = String::from("| field, variable | what it is | allowed |\n|---|---|---|\n");
        for (name, Field { about, kind, .. }) in fixed.chain(of_things) {
            let (variable, allowed) = (field::variable(&name), kind.allowed());
            page += &format!("| `{name}`<br>`{variable}` | {about} | {allowed} |\n");
        }
        page
    }
}

/// A name that lives as long as the program, the same one for equal texts:
/// configurations are read again and again, with the same names.
fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    // A panic leaves the set whole.
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    name
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Tree("").deserialize(deserializer)?;
        let settings = Self::new().read(Layer::Toml, "configuration", &tree);
        settings.map_err(D::Error::custom)
    }
}
