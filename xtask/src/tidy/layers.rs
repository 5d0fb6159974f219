//! Layers: edges between our packages go strictly down.
//!
//! ```text
//!  6 tools        xtask   millpond-load              5 millpond-bench   -variant   -probe
//!  4 systems      millpond-workloads              4 millpond-quiet  (knows nobody)
//!  3 facade       millpond
//!  2 analytics    millpond-analytics     (knows the engine only)
//!  1 pools        millpond-fixed   -arena   -vector   -bytes
//!  0 engine       millpond-core          millpond-testing (for tests only, knows nobody)
//! ```
//!
//! Siblings share a rank and an edge must lose rank, so they never see each other.
//! If two pools need one mechanism it sinks to the engine; if one does, it stays.

use super::Violation;
use super::tree::{Edge, Member, Tree};

const RANKS: &[(&str, u32)] = &[
    ("millpond-core", 0),
    (TESTING, 0),
    ("millpond-fixed", 1),
    ("millpond-arena", 1),
    ("millpond-vector", 1),
    ("millpond-bytes", 1),
    (ANALYTICS, 2),
    ("millpond", 3),
    ("millpond-workloads", 4),
    ("millpond-quiet", 4),
    ("millpond-bench", 5),
    ("millpond-variant", 5),
    ("millpond-probe", 5),
    ("millpond-load", 6),
    ("xtask", 6),
];

const TESTING: &str = "millpond-testing";
const ANALYTICS: &str = "millpond-analytics";

/// Tools run the shared test tables as programs, so for them it is an ordinary dependency.
const TOOL_RANK: u32 = 4;

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.members().iter().flat_map(check_member).collect()
}

fn check_member(member: &Member) -> Vec<Violation> {
    let manifest = format!("{}/Cargo.toml", member.directory);
    let Some(rank) = rank_of(&member.name) else {
        let what = format!(
            "{} has no rank: give it one in xtask/src/tidy/layers.rs",
            member.name
        );
        return vec![Violation::new(manifest, 1, what)];
    };
    let complaints = member
        .edges
        .iter()
        .filter_map(|edge| complaint(member, rank, edge));
    complaints
        .map(|what| Violation::new(manifest.clone(), 1, what))
        .collect()
}

fn complaint(member: &Member, rank: u32, edge: &Edge) -> Option<String> {
    let (from, to) = (&member.name, &edge.to);
    if from == to {
        return None; // Its own tests ask for its features.
    }
    if from == TESTING {
        return Some(format!("{from} knows nobody, but depends on {to}"));
    }
    if to == TESTING {
        let allowed = edge.only_for_tests || rank >= TOOL_RANK;
        return (!allowed).then(|| format!("{from} may have {to} as a dev-dependency only"));
    }
    if from == ANALYTICS && to != "millpond-core" {
        return Some(format!(
            "{from} knows millpond-core only, but depends on {to}"
        ));
    }
    let below = rank_of(to)?;
    (below >= rank).then(|| format!("{from} (rank {rank}) must not depend on {to} (rank {below})"))
}

fn rank_of(name: &str) -> Option<u32> {
    RANKS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, rank)| *rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(name: &str, edges: &[&str]) -> Vec<String> {
        let tree = Tree::default().with_member(name, edges);
        check(&tree)
            .into_iter()
            .map(|violation| violation.what)
            .collect()
    }

    #[test]
    fn edges_that_go_down_are_fine() {
        assert!(
            complaints("millpond-fixed", &["millpond-core", "dev:millpond-testing"]).is_empty()
        );
        assert!(
            complaints(
                "millpond",
                &["millpond-analytics", "millpond-fixed", "millpond-core"]
            )
            .is_empty()
        );
        assert!(complaints("xtask", &["millpond-bench"]).is_empty());
    }

    #[test]
    fn a_pool_that_sees_its_sibling_is_refused_even_in_tests() {
        assert_eq!(complaints("millpond-bytes", &["millpond-fixed"]).len(), 1);
        assert_eq!(
            complaints("millpond-bytes", &["dev:millpond-fixed"]).len(),
            1
        );
    }

    #[test]
    fn an_edge_that_goes_up_is_refused() {
        assert_eq!(complaints("millpond-core", &["millpond-fixed"]).len(), 1);
    }

    #[test]
    fn analytics_knows_the_engine_only() {
        assert!(complaints("millpond-analytics", &["millpond-core"]).is_empty());
        assert_eq!(
            complaints("millpond-analytics", &["millpond-bytes"]).len(),
            1
        );
    }

    #[test]
    fn the_test_tables_stay_out_of_what_is_published_and_know_nobody() {
        assert_eq!(complaints("millpond-fixed", &["millpond-testing"]).len(), 1);
        assert_eq!(complaints("millpond-testing", &["millpond-core"]).len(), 1);
    }

    #[test]
    fn a_member_without_a_rank_is_refused() {
        assert_eq!(complaints("millpond-mystery", &[]).len(), 1);
    }
}
