//! Facade: what a crate shows, the facade shows too, by name.
//!
//! A name that a pool crate adds and the facade forgets is a name that users of the
//! facade do not have. The lists stay explicit, so that each thing has one name there.

use super::Violation;
use super::tree::Tree;

const CRATES: &[&str] = &["fixed", "arena", "vector", "bytes", "analytics"];
const FACADE: &str = "crates/millpond/src";

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    CRATES.iter().flat_map(|name| missing(tree, name)).collect()
}

fn missing(tree: &Tree, name: &str) -> Vec<Violation> {
    let page = tree.text(&format!("crates/millpond-{name}/src/lib.rs"));
    let own = format!("{FACADE}/{name}.rs");
    let shared = format!("{FACADE}/lib.rs");
    let exports = page.map(exports).unwrap_or_default();
    let forgotten = exports.into_iter().filter_map(|export| {
        // The engine's words belong to all pools, and stand at the root.
        let list = if export.of_the_engine { &shared } else { &own };
        let known = words(tree.text(list).unwrap_or_default());
        let what = format!("millpond-{name} shows `{}`, and this does not", export.name);
        (!known.contains(&export.name)).then(|| Violation::new(list.clone(), 1, what))
    });
    forgotten.collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Export<'t> {
    name: &'t str,
    of_the_engine: bool,
}

/// The names behind `pub use` and `pub mod` of a crate page.
fn exports(page: &str) -> Vec<Export<'_>> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find("\npub ") {
        rest = &rest[at + 5..];
        let Some(end) = rest.find([';', '{']) else {
            break;
        };
        let modules = rest[..end].strip_prefix("mod ");
        found.extend(modules.map(|name| Export {
            name: name.trim(),
            of_the_engine: false,
        }));
        let Some(path) = rest.strip_prefix("use ") else {
            continue;
        };
        let path = &path[..path.find(';').unwrap_or(path.len())];
        let of_the_engine = path.starts_with("millpond_core::");
        let names = path.rsplit_once('{').map_or(path, |(_, names)| names);
        found.extend(names.trim_end_matches('}').split(',').filter_map(|item| {
            let shown = item.rsplit_once(" as ").map_or(item, |(_, shown)| shown);
            let name = shown.rsplit("::").next().unwrap_or(shown).trim();
            (!name.is_empty()).then_some(Export {
                name,
                of_the_engine,
            })
        }));
    }
    found
}

/// Whatever could be a name.
fn words(text: &str) -> Vec<&str> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.split(|letter| !is_part(letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
mod pool;
pub mod ring;
pub use millpond_core::error::{AcquireError, Limit};
pub use pool::Pool;
pub use pool::{
    One, inner::Two,
};
";

    #[test]
    fn names_are_found_in_every_form() {
        let found = exports(PAGE);
        let names: Vec<_> = found.iter().map(|export| export.name).collect();
        assert_eq!(
            names,
            ["ring", "AcquireError", "Limit", "Pool", "One", "Two"]
        );
        assert_eq!(
            found.iter().filter(|export| export.of_the_engine).count(),
            2
        );
    }

    #[test]
    fn a_forgotten_name_is_a_violation_where_it_should_stand() {
        let complaints = |own, shared| {
            let tree = Tree::of_files(&[
                ("crates/millpond-bytes/src/lib.rs", PAGE),
                ("crates/millpond/src/bytes.rs", own),
                ("crates/millpond/src/lib.rs", shared),
            ]);
            check(&tree)
                .into_iter()
                .map(|violation| violation.file)
                .collect::<Vec<_>>()
        };
        let (own, shared) = ("{ring, Pool, One, Two}", "{AcquireError, Limit}");
        assert!(complaints(own, shared).is_empty());
        assert_eq!(
            complaints("{ring, Pool, OneTwo, Two}", shared),
            ["crates/millpond/src/bytes.rs"]
        );
        assert_eq!(complaints(own, "{Limit}"), ["crates/millpond/src/lib.rs"]);
    }
}
