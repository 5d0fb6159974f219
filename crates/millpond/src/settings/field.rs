//! The fields that there are: one table.

use super::ENVIRONMENT_PREFIX;
use super::value::Kind;
use std::string::String;

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
        let mut variable = String::from(ENVIRONMENT_PREFIX);
        variable.extend(self.name.chars().map(|letter| match letter {
            '.' => '_',
            letter => letter.to_ascii_uppercase(),
        }));
        variable
    }
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
                Kind::Count {
                    least: 0,
                    most: u32::MAX as usize,
                },
                "arenas that are kept while nobody leases them (64)",
            ),
            field(
                concat!("arenas.", $scope, ".prewarm"),
                Kind::Count {
                    least: 0,
                    most: u32::MAX as usize,
                },
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

const POND: [Field; 4] = [
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
    field(
        "nodes",
        Kind::Count {
            least: 1,
            most: u32::MAX as usize,
        },
        "values of a node pool (10000)",
    ),
    field(
        "results",
        Kind::Count {
            least: 1,
            most: u32::MAX as usize,
        },
        "values of a result pool (1000)",
    ),
];

const BYTES: [Field; 4] = [
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
        "bytes.pool_min_size",
        Kind::Size { least: 0 },
        "smaller requests are not pooled (0)",
    ),
    field(
        "bytes.wipe_on_release",
        Kind::Flag,
        "zero every buffer when it is released (false)",
    ),
];

/// All fields, in the order of the manual.
pub(super) static FIELDS: &[Field] = {
    const ALL: [Field; 32] = {
        let [a, b, c, d] = POND;
        let [e, f, g, h] = BYTES;
        let [p0, p1, p2, p3, p4, p5, p6, p7] = scope!("primitive", "256 KiB");
        let [s0, s1, s2, s3, s4, s5, s6, s7] = scope!("search", "1 MiB");
        let [j0, j1, j2, j3, j4, j5, j6, j7] = scope!("json", "128 KiB");
        [
            a, b, c, d, e, f, g, h, p0, p1, p2, p3, p4, p5, p6, p7, s0, s1, s2, s3, s4, s5, s6, s7,
            j0, j1, j2, j3, j4, j5, j6, j7,
        ]
    };
    &ALL
};

/// The one of `names` that is most like `name`, if one is.
pub(super) fn nearest(name: &str, names: impl Iterator<Item = String>) -> Option<String> {
    /// Likeness below which a name is another one and no slip of the fingers.
    const ALIKE: f64 = 0.75;
    let scored = names.map(|known| (strsim::jaro_winkler(name, &known), known));
    let alike = scored.filter(|(likeness, _)| *likeness >= ALIKE);
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map(|(_, known)| known)
}
