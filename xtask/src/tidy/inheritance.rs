//! Inheritance: every member takes version, edition, licence and lints from the root.
//!
//! One place decides; a member that spells out its own drifts unnoticed. Published
//! packages also inherit `rust-version`, because that is a promise to users, and say
//! what they are.

use toml::{Table, Value};

use super::Violation;
use super::tree::{Member, Tree};

const EVERY_MEMBER: &[&str] = &["version", "edition", "license", "authors"];
const PUBLISHED: &[&str] = &["rust-version", "keywords", "categories"];

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    tree.members()
        .iter()
        .flat_map(|member| check_member(tree, member))
        .collect()
}

fn check_member(tree: &Tree, member: &Member) -> Vec<Violation> {
    let path = format!("{}/Cargo.toml", member.directory);
    let parsed = tree.text(&path).map(str::parse::<Table>);
    let Some(Ok(manifest)) = parsed else {
        return vec![Violation::new(path, 1, "the manifest cannot be read")];
    };
    let complaints = missing(&manifest, member, tree);
    complaints
        .into_iter()
        .map(|what| Violation::new(path.clone(), 1, what))
        .collect()
}

fn missing(manifest: &Table, member: &Member, tree: &Tree) -> Vec<String> {
    let package = |key: &str| manifest.get("package").and_then(|package| package.get(key));
    let mut complaints = Vec::new();
    let also = if member.published { PUBLISHED } else { &[] };
    for key in EVERY_MEMBER.iter().chain(also) {
        if !package(key).is_some_and(is_inherited) {
            complaints.push(format!("`{key}.workspace = true` is missing"));
        }
    }
    if !manifest.get("lints").is_some_and(is_inherited) {
        complaints.push("`[lints] workspace = true` is missing".to_owned());
    }
    if package("description").is_none() {
        complaints.push("`description` is missing".to_owned());
    }
    if member.published && !tree.has(&format!("{}/README.md", member.directory)) {
        complaints.push("a published package has a README.md of its own".to_owned());
    }
    complaints
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = 'a'\ndescription = 'A.'\nversion.workspace = true\n\
        edition.workspace = true\nlicense.workspace = true\nauthors.workspace = true\n\
        rust-version.workspace = true\nkeywords.workspace = true\ncategories.workspace = true\n\
        [lints]\nworkspace = true\n";

    fn complaints(manifest: &str) -> Vec<String> {
        let files = [
            ("crates/a/Cargo.toml", manifest),
            ("crates/a/README.md", "A."),
        ];
        let tree = Tree::of_files(&files).with_member("a", &[]);
        check(&tree)
            .into_iter()
            .map(|violation| violation.what)
            .collect()
    }

    #[test]
    fn a_member_that_inherits_is_fine() {
        assert_eq!(complaints(GOOD), [""; 0]);
    }

    #[test]
    fn an_own_edition_is_found() {
        let own = GOOD.replace("edition.workspace = true", "edition = '2021'");
        assert_eq!(complaints(&own), ["`edition.workspace = true` is missing"]);
    }

    #[test]
    fn missing_lints_are_found() {
        let own = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(complaints(&own), ["`[lints] workspace = true` is missing"]);
    }

    #[test]
    fn a_published_package_without_readme_is_found() {
        let tree = Tree::of_files(&[("crates/a/Cargo.toml", GOOD)]).with_member("a", &[]);
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn a_broken_manifest_is_found() {
        assert_eq!(complaints("[package"), ["the manifest cannot be read"]);
    }
}
