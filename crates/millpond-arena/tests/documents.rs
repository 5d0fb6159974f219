//! Documents read into arenas are what `serde_json` reads, and are written back.
// A dependency of the parser aligns pointers by hand, which Miri refuses where it
// takes alignment by its symbolic value.
#![cfg(all(feature = "serde_json", not(miri)))]

use millpond_arena::document::Value;
use millpond_arena::{ArenaManager, Scope, ScopeConfig};
use std::path::Path;

fn round_trip(text: &[u8]) {
    let manager = ArenaManager::new();
    let arena = manager.lease(Scope::Json).expect("memory");
    let ours = arena.parse_json(text);
    let theirs = serde_json::from_slice::<serde_json::Value>(text);
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(ours), Err(theirs)) => {
            assert_eq!(ours.to_string(), theirs.to_string());
            return;
        }
        (ours, theirs) => panic!("{ours:?} but {theirs:?}"),
    };
    let mut written = Vec::new();
    ours.write_json(&mut written).expect("a vector");
    let again: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
    assert_eq!(again, theirs);
}

#[test]
fn documents_mean_the_same_and_come_back() {
    for text in [
        "null",
        "[]",
        "{}",
        r#"[1,-1,1.5,true,false,null,"","a\n\u00e9\ud83d\ude00"]"#,
        r#"{"a":{"b":[{"c":[[[]]]}]},"\u0061":2,"a":3}"#,
        "18446744073709551615",
        "-9223372036854775808",
        "1e308",
        "[1,2",
        "{\"a\"}",
        "nul",
        "[1] 2",
        "\"\u{7}\"",
        "",
    ] {
        round_trip(text.as_bytes());
    }
    round_trip(b"\"\xff\"");
    let deep = ["[".repeat(500), "]".repeat(500)].concat();
    round_trip(deep.as_bytes());
}

#[test]
fn strings_without_escapes_are_borrowed() {
    let manager = ArenaManager::new();
    let arena = manager.lease(Scope::Json).expect("memory");
    let text = br#"["plain","esc\taped"]"#;
    let document = arena.parse_json(text).expect("JSON");
    let inside = |index: usize| {
        let part = document
            .at(index)
            .and_then(Value::as_str)
            .expect("a string");
        text.as_ptr_range().contains(&part.as_ptr())
    };
    assert!(inside(0));
    assert!(!inside(1));
    assert_eq!(document.at(1).and_then(Value::as_str), Some("esc\taped"));
}

#[test]
fn a_document_beyond_the_limit_is_refused() {
    let mut builder = ArenaManager::builder();
    builder.configure(Scope::Json, ScopeConfig::of(4096).with_limit(8192));
    let manager = builder.build().expect("good");
    let arena = manager.lease(Scope::Json).expect("memory");
    let text = format!("[{}1]", "1,".repeat(10_000));
    let error = arena.parse_json(text.as_bytes()).expect_err("too large");
    assert!(
        error
            .to_string()
            .contains("refused by the limit of the lease"),
        "{error}"
    );
}

#[test]
#[cfg_attr(miri, ignore = "reads the file system")]
fn every_json_file_at_hand_comes_back() {
    fn walk(directory: &Path, seen: &mut usize) {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
                walk(&path, seen);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                round_trip(&std::fs::read(&path).expect("a file"));
                *seen += 1;
            }
        }
    }
    let mut seen = 0;
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        &mut seen,
    );
    assert!(seen > 0, "the repository has JSON files");
}
