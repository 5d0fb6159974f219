//! The fields that there are: one table, and one for whatever has a name.

use super::ENVIRONMENT_PREFIX;
use super::error::SettingError;
use super::value::Kind;
use millpond_arena::Scope;
use std::borrow::ToOwned;
use std::format;
use std::string::{String, ToString};

/// A field of the settings.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name, with dots.
    pub(super) name: &'static str,
    /// What it is, in a few words.
    pub(super) about: &'static str,
    pub(super) kind: Kind,
}

impl Field {
    /// Its variable in the environment.
    pub(super) fn variable(&self) -> String {
        variable(self.name)
    }
}

/// The variable of a name.
pub(super) fn variable(name: &str) -> String {
    let mut variable = String::from(ENVIRONMENT_PREFIX);
    variable.extend(name.chars().map(|letter| match letter {
        '.' => '_',
        letter => letter.to_ascii_uppercase(),
    }));
    variable
}

const fn field(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, about, kind }
}

/// A number of things that fits into 32 bits.
const fn few(least: usize) -> Kind {
    Kind::Count {
        least,
        most: u32::MAX as usize,
    }
}

const POND: [Field; 6] = [
    field(
        "name",
        Kind::Name,
        "of the pond and its budget, in errors and reports (pond)",
    ),
    field(
        "budget_bytes",
        Kind::Size { least: 0 },
        "most bytes of all pools together (no limit)",
    ),
    field(
        "exhaustion",
        Kind::Policy,
        "what pools do when every item is leased (fallback)",
    ),
    field("nodes", few(1), "values of a node pool (10000)"),
    field("results", few(1), "values of a result pool (1000)"),
    field(
        "large_objects_from_bytes",
        Kind::Flag,
        "large objects of arenas are buffers of the byte pool (false)",
    ),
];

const BYTES: [Field; 9] = [
    field(
        "bytes.name",
        Kind::Name,
        "of the byte pool, in errors and reports (bytes)",
    ),
    field(
        "bytes.classes",
        Kind::Sizes,
        "sizes of the buffers (2, 4, 8, 16, 32 and 64 KiB)",
    ),
    field(
        "bytes.buffers_per_class",
        Kind::Count {
            least: 1,
            most: usize::MAX,
        },
        "buffers of each size (no limit)",
    ),
    field(
        "bytes.warm_up",
        few(0),
        "buffers of each size that are made with the pond (0)",
    ),
    field(
        "bytes.pool_min_size",
        Kind::Size { least: 0 },
        "smaller requests are not pooled (0)",
    ),
    field(
        "bytes.wipe_on_release",
        Kind::Flag,
        "zero every buffer when it is released (false)",
    ),
    field("bytes.huge_pages", Kind::Pages, PAGES),
    field("bytes.prefault", Kind::Flag, PREFAULT),
    field("bytes.numa_node", few(0), NODE),
];

const PAGES: &str = "pages to ask for (none)";
const PREFAULT: &str = "touch every page at once (false)";
const NODE: &str = "the NUMA node to prefer (any)";

/// What can be said of one scope of arenas.
const SCOPE: &[Field] = &[
    field(
        "nominal_bytes",
        Kind::Size { least: 4096 },
        "bytes of a fresh arena (256 KiB; `search` 1 MiB; `json` 128 KiB; other scopes must say it)",
    ),
    field(
        "limit_bytes",
        Kind::Size { least: 4096 },
        "most bytes of one lease (64 × nominal)",
    ),
    field(
        "retain_bytes",
        Kind::Size { least: 4096 },
        "most bytes that an arena keeps (4 × nominal)",
    ),
    field(
        "large_bytes",
        Kind::Size { least: 1024 },
        "larger requests are allocations of their own (nominal ÷ 4)",
    ),
    field(
        "parked",
        few(0),
        "arenas that are kept while nobody leases them (64)",
    ),
    field("prewarm", few(0), "arenas that are built with the pond (0)"),
    field(
        "percentile",
        Kind::Count {
            least: 1,
            most: 100,
        },
        "share of leases that should find room in one chunk (90)",
    ),
    field(
        "wipe",
        Kind::Flag,
        "zero what was used when an arena comes home (false)",
    ),
];

/// What can be said of one pool.
const POOL: &[Field] = &[
    field(
        "capacity",
        few(1),
        "items that the pool may have (what the program says)",
    ),
    field("warm_up", few(0), "items that are made with the pool (0)"),
    field(
        "exhaustion",
        Kind::Policy,
        "what it does when every item is leased (as the pond)",
    ),
    field(
        "adaptive",
        Kind::Adaptive,
        "bounds between which the capacity follows demand; of fixed and object pools (off)",
    ),
    field(
        "advice_only",
        Kind::Flag,
        "advise the capacity of `adaptive`, and apply it when told to (false)",
    ),
    field("huge_pages", Kind::Pages, PAGES),
    field("prefault", Kind::Flag, PREFAULT),
    field("numa_node", few(0), NODE),
    field(
        "alignment",
        Kind::OneOf(&["16", "32", "64", "128"]),
        "bytes to which rows are aligned; of pools of rows (64)",
    ),
    field(
        "spread",
        Kind::OneOf(&["packed", "prefix_scan"]),
        "how rows are spread over a slab; of pools of rows (packed)",
    ),
    field(
        "norms",
        Kind::Flag,
        "keep a norm beside each row; of pools of rows (false)",
    ),
    field(
        "external_ids",
        Kind::Flag,
        "keep the user's number beside each row; of pools of rows (false)",
    ),
    field(
        "slab_bytes",
        Kind::Size { least: 4096 },
        "bytes of a slab of rows; of pools of rows (2 MiB)",
    ),
    field(
        "spare_rows",
        Kind::Count {
            least: 0,
            most: usize::MAX,
        },
        "free rows that are kept when removals empty slabs; of pools of rows (those of two slabs)",
    ),
];

/// Fields that each of several named things has: behind `pools.NAME.`.
pub(super) struct Family {
    pub(super) prefix: &'static str,
    pub(super) fields: &'static [Field],
}

impl Family {
    /// The name of the thing and the name of its field, if `name` is one of these.
    pub(super) fn split<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        let parts = name.strip_prefix(self.prefix)?.rsplit_once('.');
        parts.filter(|(thing, _)| !thing.is_empty())
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// Scopes of arenas, by their names.
pub(super) static ARENAS: Family = Family {
    prefix: "arenas.",
    fields: SCOPE,
};

/// Pools, by the names that the program gives them.
pub(super) static POOLS: Family = Family {
    prefix: "pools.",
    fields: POOL,
};

pub(super) static FAMILIES: [&Family; 2] = [&ARENAS, &POOLS];

/// All fields that have a name of their own, in the order of the manual.
pub(super) fn fixed() -> impl Iterator<Item = &'static Field> {
    [&POND[..], &BYTES[..]].into_iter().flatten()
}

/// Names that a slip of the fingers may have meant: of fields, and of those of the
/// scopes that every pond has.
fn known() -> impl Iterator<Item = String> {
    let scopes = Scope::BUILT_IN.into_iter();
    let scopes = scopes.flat_map(|scope| {
        let fields = ARENAS.fields.iter();
        fields.map(move |field| format!("{}{scope}.{}", ARENAS.prefix, field.name))
    });
    fixed().map(|field| field.name.to_owned()).chain(scopes)
}

/// Whether fields have names that begin like this: a table may stand there in a file.
pub(super) fn is_table(name: &str) -> bool {
    let within = |field: &str| {
        field
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    fixed().any(|field| within(field.name))
        || FAMILIES.iter().any(|family| {
            let thing = name.strip_prefix(family.prefix);
            within(family.prefix) || thing.is_some_and(|thing| !thing.is_empty())
        })
}

/// The field of this name.
pub(super) fn named(source: &str, name: &str) -> Result<&'static Field, SettingError> {
    if let Some(found) = fixed().find(|field| field.name == name) {
        return Ok(found);
    }
    for family in FAMILIES {
        let Some((thing, field)) = family.split(name) else {
            continue;
        };
        return family.field(field).ok_or_else(|| {
            let nearest = nearest(field, family.fields.iter().map(|known| known.name.into()));
            let nearest = nearest.map(|field| format!("{}{thing}.{field}", family.prefix));
            SettingError::unknown(source, name, nearest)
        });
    }
    let nearest = nearest(name, known());
    Err(SettingError::unknown(source, name, nearest))
}

/// The field of an environment variable, and its name. Pools and scopes have the
/// lower-case names there that variables can say.
pub(super) fn of_variable(name: &str) -> Result<(&'static Field, String), SettingError> {
    if let Some(found) = fixed().find(|field| field.variable() == name) {
        return Ok((found, found.name.to_string()));
    }
    for family in FAMILIES {
        let Some(rest) = name.strip_prefix(&variable(family.prefix)) else {
            continue;
        };
        for field in family.fields {
            let behind = field.name.to_ascii_uppercase();
            let thing = rest.strip_suffix(&behind);
            let thing = thing.and_then(|thing| thing.strip_suffix('_'));
            if let Some(thing) = thing.filter(|thing| !thing.is_empty()) {
                let thing = thing.to_ascii_lowercase();
                return Ok((field, format!("{}{thing}.{}", family.prefix, field.name)));
            }
        }
    }
    let variables = known().map(|known| variable(&known));
    let nearest = nearest(&name.to_ascii_uppercase(), variables);
    Err(SettingError::unknown("environment", name, nearest))
}

/// The one of `names` that is most like `name`, if one is.
pub(super) fn nearest(name: &str, names: impl Iterator<Item = String>) -> Option<String> {
    /// Likeness below which a name is another one and no slip of the fingers.
    const ALIKE: f64 = 0.75;
    let scored = names.map(|known| (strsim::jaro_winkler(name, &known), known));
    let alike = scored.filter(|(likeness, _)| *likeness >= ALIKE);
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map(|(_, known)| known)
}
