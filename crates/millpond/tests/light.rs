//! What a default build of a crate drags in: readers look at that first.

use std::collections::BTreeSet;
use std::process::Command;

/// The crates of others that `package` is built with by default, on Linux.
fn foreign(package: &str) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--edges", "normal", "--prefix", "none"]);
    tree.args(["--target", "x86_64-unknown-linux-gnu", "--package", package]);
    tree.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = tree.output().expect("cargo runs");
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{says}");
    let lines = String::from_utf8(output.stdout).expect("text");
    let names = lines.lines().filter_map(|line| line.split(' ').next());
    let others = names.filter(|name| !name.is_empty() && !name.starts_with("millpond"));
    others.map(String::from).collect()
}

#[test]
fn default_builds_stay_light() {
    for (package, most) in [("millpond", 14), ("millpond-fixed", 8)] {
        let found = foreign(package);
        assert!(
            found.contains("parking_lot"),
            "{package}: {found:?} is no tree"
        );
        assert!(
            found.len() <= most,
            "{package} has {}: {found:?}",
            found.len()
        );
        for heavy in ["serde", "toml", "tokio", "syn"] {
            assert!(!found.contains(heavy), "{package} drags in {heavy}");
        }
    }
}
