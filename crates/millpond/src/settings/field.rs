//! The fields that there are: one table, and one for each pool by name.

use super::ENVIRONMENT_PREFIX;
use super::error::SettingError;
use super::value::Kind;
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

fn variable(name: &str) -> String {
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

/// The fields of one scope of arenas.
macro_rules! scope {
    ($scope:literal, $nominal:literal) => {
        [
            field(
                concat!("arenas.", $scope, ".nominal_bytes"),
                Kind::Size { least: 4096 },
                concat!("bytes of a fresh arena (", $nominal, ")"),
            ),
            field(
                concat!("arenas.", $scope, ".limit_bytes"),
                Kind::Size { least: 4096 },
                "most bytes of one lease (64 × nominal)",
            ),
            field(
                concat!("arenas.", $scope, ".retain_bytes"),
                Kind::Size { least: 4096 },
                "most bytes that an arena keeps (4 × nominal)",
            ),
            field(
                concat!("arenas.", $scope, ".large_bytes"),
                Kind::Size { least: 1024 },
                "larger requests are allocations of their own (nominal ÷ 4)",
            ),
            field(
                concat!("arenas.", $scope, ".parked"),
                few(0),
                "arenas that are kept while nobody leases them (64)",
            ),
            field(
                concat!("arenas.", $scope, ".prewarm"),
                few(0),
                "arenas that are built with the pond (0)",
            ),
            field(
                concat!("arenas.", $scope, ".percentile"),
                Kind::Count {
                    least: 1,
                    most: 100,
                },
                "share of leases that should find room in one chunk (90)",
            ),
            field(
                concat!("arenas.", $scope, ".wipe"),
                Kind::Flag,
                "zero what was used when an arena comes home (false)",
            ),
        ]
    };
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

/// What can be said of one pool: behind `pools.NAME.`.
pub(super) static POOL_FIELDS: &[Field] = &[
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
        Kind::Range,
        "bounds between which the capacity follows demand; of fixed and object pools (off)",
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
        "slab_bytes",
        Kind::Size { least: 4096 },
        "bytes of a slab of rows; of pools of rows (2 MiB)",
    ),
];

/// What names of pools stand behind.
pub(super) const POOLS: &str = "pools.";

/// All fields but those of pools by name, in the order of the manual.
pub(super) static FIELDS: [&[Field]; 5] = {
    const PRIMITIVE: &[Field] = &scope!("primitive", "256 KiB");
    const SEARCH: &[Field] = &scope!("search", "1 MiB");
    const JSON: &[Field] = &scope!("json", "128 KiB");
    [&POND, &BYTES, PRIMITIVE, SEARCH, JSON]
};

/// All fields that have a name of their own.
pub(super) fn fixed() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().copied().flatten()
}

/// The field of this name.
pub(super) fn named(source: &str, name: &str) -> Result<&'static Field, SettingError> {
    if let Some(found) = fixed().find(|field| field.name == name) {
        return Ok(found);
    }
    let of_a_pool = name
        .strip_prefix(POOLS)
        .and_then(|rest| rest.rsplit_once('.'));
    let Some((pool, field)) = of_a_pool.filter(|(pool, _)| !pool.is_empty()) else {
        let nearest = nearest(name, fixed().map(|field| field.name.to_owned()));
        return Err(SettingError::unknown(source, name, nearest));
    };
    let found = POOL_FIELDS.iter().find(|known| known.name == field);
    found.ok_or_else(|| {
        let nearest = nearest(field, POOL_FIELDS.iter().map(|known| known.name.to_owned()));
        let nearest = nearest.map(|field| format!("{POOLS}{pool}.{field}"));
        SettingError::unknown(source, name, nearest)
    })
}

/// The field of an environment variable, and its name. Pools have the lower-case
/// names there that variables can say.
pub(super) fn of_variable(name: &str) -> Result<(&'static Field, String), SettingError> {
    if let Some(found) = fixed().find(|field| field.variable() == name) {
        return Ok((found, found.name.to_string()));
    }
    if let Some(rest) = name.strip_prefix(&variable(POOLS)) {
        for field in POOL_FIELDS {
            let behind = variable(field.name);
            let behind = behind.trim_start_matches(ENVIRONMENT_PREFIX);
            let pool = rest
                .strip_suffix(behind)
                .and_then(|pool| pool.strip_suffix('_'));
            if let Some(pool) = pool.filter(|pool| !pool.is_empty()) {
                let name = format!("{POOLS}{}.{}", pool.to_ascii_lowercase(), field.name);
                return Ok((field, name));
            }
        }
    }
    let nearest = nearest(name, fixed().map(Field::variable));
    Err(SettingError::unknown("environment", name, nearest))
}

/// The one of `names` that is most like `name`, if one is.
fn nearest(name: &str, names: impl Iterator<Item = String>) -> Option<String> {
    /// Likeness below which a name is another one and no slip of the fingers.
    const ALIKE: f64 = 0.75;
    let scored = names.map(|known| (strsim::jaro_winkler(name, &known), known));
    let alike = scored.filter(|(likeness, _)| *likeness >= ALIKE);
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map(|(_, known)| known)
}
