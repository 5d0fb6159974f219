//! What was saved is there when the database is opened again, and answers as before.

use anyhow::Result;
use millpond_workloads::codebase::{Codebase, Fault, Heap, Primitive, Ranking, Store};

const FILES: [(&str, &str); 5] = [
    ("README.md", "# Garden\nHow to plant flowers.\n"),
    (
        "net/bytes.rs",
        "pub struct Buffer;\nimpl Buffer {\n    pub fn append(&mut self) {}\n}\n",
    ),
    (
        "net/socket.rs",
        "use crate::bytes::Buffer;\npub struct Socket;\nimpl Socket {\n    pub fn connect(&self) {}\n}\n",
    ),
    (
        "store/log.rs",
        "use crate::tree::Tree;\npub fn replay(tree: &mut Tree) {}\n",
    ),
    (
        "store/tree.rs",
        "pub struct Tree;\nimpl Tree {\n    pub fn insert(&mut self) {}\n    pub fn rebalance(&mut self) {}\n}\n",
    ),
];

fn paths(code: &Codebase<Heap>, query: &str, by: Ranking) -> Vec<String> {
    let named = |hits: &[millpond_workloads::codebase::Hit<'_>]| {
        hits.iter().map(|hit| hit.path.to_owned()).collect()
    };
    code.search(query, by, 10, named).unwrap()
}

fn filled(store: Store) -> Codebase<Heap> {
    let mut code = Codebase::open(Heap, store).unwrap();
    code.save_files(&FILES, |_, saved| assert_eq!(saved.version, 1))
        .unwrap();
    code
}

#[test]
fn a_reopened_database_gives_the_same_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("code.redb");
    let asked = ["rebalance", "socket connect", "plant flowers", "tree"];
    let mut code = filled(Store::open(&path)?);
    code.link("README.md", "store/tree.rs", "explains")?;
    code.save_file("store/tree.rs", "pub struct Tree;\npub fn rebalance() {}\n")?;
    let answers = asked.map(|query| paths(&code, query, Ranking::Hybrid));
    drop(code);

    let code = Codebase::open(Heap, Store::open(&path)?)?;
    assert_eq!(
        asked.map(|query| paths(&code, query, Ranking::Hybrid)),
        answers
    );
    assert_eq!(code.size().files, FILES.len());
    let version = code.retrieve("store/tree.rs", |version, content| {
        (version, content.lines().count())
    })?;
    assert_eq!(version, Some((2, 2)));
    let record = code.change("store/tree.rs", 2, str::to_owned)?.unwrap();
    assert!(
        record.contains("-    pub fn insert(&mut self) {}\n")
            && record.contains("symbol function 2 rebalance\n"),
        "{record}"
    );
    Ok(())
}

#[test]
fn each_ranking_finds_what_it_is_for() {
    let code = filled(Store::in_memory().unwrap());
    assert_eq!(paths(&code, "rebalance", Ranking::Text), ["store/tree.rs"]);
    assert_eq!(
        paths(&code, "flower planting", Ranking::Vector)[0],
        "README.md"
    );
    // The log imports the tree, whose symbol is named: only the graph knows.
    assert_eq!(
        paths(&code, "rebalance", Ranking::Graph),
        ["store/tree.rs", "store/log.rs"]
    );
    assert_eq!(
        paths(&code, "rebalance", Ranking::Hybrid)[0],
        "store/tree.rs"
    );
    assert!(paths(&code, "", Ranking::Hybrid).is_empty());
}

#[test]
fn primitives_answer_and_refuse_in_one_sentence() {
    let mut code = filled(Store::in_memory().unwrap());
    let mut call = |primitive, request: &str| code.call(primitive, request, str::to_owned);
    let stored = call(
        Primitive::Store,
        r#"{"path": "a.rs", "content": "fn \"a\"\n"}"#,
    )
    .unwrap();
    assert_eq!(
        stored,
        r#"{"path":"a.rs","version":1,"removed":0,"added":1,"symbols":0,"imports":0}"#
    );
    let changed = call(
        Primitive::Transform,
        r#"{"path": "a.rs", "edits": [{"find": "\"a\"", "replace": "b() {}"}]}"#,
    );
    assert!(
        changed
            .unwrap()
            .contains(r#""version":2,"removed":1,"added":1,"symbols":1"#)
    );
    let got = call(Primitive::Retrieve, r#"{"path": "a.rs"}"#).unwrap();
    assert_eq!(
        got,
        r#"{"path":"a.rs","version":2,"content":"fn b() {}\n"}"#
    );
    assert_eq!(
        call(
            Primitive::Link,
            r#"{"from": "a.rs", "to": "README.md", "kind": "see"}"#
        )
        .unwrap(),
        r#"{"new":true}"#
    );
    assert_eq!(
        call(
            Primitive::Link,
            r#"{"from": "a.rs", "to": "README.md", "kind": "see"}"#
        )
        .unwrap(),
        r#"{"new":false}"#
    );
    let hits = call(Primitive::Search, r#"{"query": "rebalance", "limit": 1}"#).unwrap();
    assert!(
        hits.starts_with(r#"{"hits":[{"path":"store/tree.rs","score":0."#)
            && hits.contains(r#""symbol":"rebalance","line":4}]}"#),
        "{hits}"
    );

    let mut refused = |primitive, request: &str, said: &str| match call(primitive, request) {
        Err(Fault::Refused(why)) => assert!(why.contains(said), "{why:?} does not say {said:?}"),
        other => panic!("{request}: {other:?}"),
    };
    refused(Primitive::Store, "{", "not JSON");
    refused(Primitive::Store, "[]", "an object is needed");
    refused(Primitive::Store, r#"{"path": "a"}"#, "content is missing");
    refused(
        Primitive::Store,
        r#"{"path": 3, "content": ""}"#,
        "path is a number",
    );
    refused(
        Primitive::Store,
        r#"{"path": "a", "content": "", "mode": 1}"#,
        "no argument \"mode\"; there is path, content",
    );
    refused(
        Primitive::Store,
        r#"{"path": "a", "content": "x", "path": "b"}"#,
        "path is there twice",
    );
    refused(
        Primitive::Transform,
        r#"{"path": "a.rs", "edits": [{"find": "a", "find": "b", "replace": ""}]}"#,
        "find is there twice",
    );
    refused(
        Primitive::Retrieve,
        r#"{"path": "nowhere"}"#,
        "no such file",
    );
    refused(
        Primitive::Retrieve,
        r#"{"path": "a.rs", "change": 0.5}"#,
        "change is 0.5",
    );
    refused(
        Primitive::Search,
        r#"{"query": "x", "limit": 1001}"#,
        "from 1 to 1000",
    );
    refused(
        Primitive::Search,
        r#"{"query": "x", "ranking": "best"}"#,
        "use hybrid",
    );
    refused(
        Primitive::Link,
        r#"{"from": "a.rs", "to": "nowhere", "kind": "see"}"#,
        "no file \"nowhere\"",
    );
    refused(
        Primitive::Link,
        r#"{"from": "a.rs", "to": "a.rs", "kind": "not a word"}"#,
        "letters, digits",
    );
    refused(
        Primitive::Transform,
        r#"{"path": "a.rs", "edits": [{"find": "zzz", "replace": ""}]}"#,
        "does not occur",
    );
    refused(
        Primitive::Transform,
        r#"{"path": "a.rs", "edits": []}"#,
        "edits is an array",
    );
    let long = format!(r#"{{"path": "a", "content": "{}"}}"#, "x".repeat(13 << 20));
    refused(Primitive::Store, &long, "at most");
}

#[test]
fn oversized_files_and_odd_paths_are_refused_and_nothing_is_stored() {
    let mut code = filled(Store::in_memory().unwrap());
    let before = code.size();
    for (path, content) in [
        ("", "x".into()),
        ("a\nb", "x".into()),
        ("a\0b", "x".into()),
        ("big", "x\n".repeat(5 << 20)),
    ] {
        code.save_file(path, &content).unwrap_err();
    }
    code.save_file(&"p".repeat(5000), "x").unwrap_err();
    assert_eq!(code.size(), before);
    assert_eq!(code.retrieve("big", |_, _| ()).unwrap(), None);
}

#[test]
fn saving_a_file_many_times_leaves_one_file() {
    let mut code = filled(Store::in_memory().unwrap());
    let before = code.size();
    for round in 0..50 {
        let content = format!("{}// round {round}\n", FILES[4].1);
        assert_eq!(
            code.save_file("store/tree.rs", &content).unwrap().version,
            round + 2
        );
    }
    code.save_file("store/tree.rs", FILES[4].1).unwrap();
    let after = code.size();
    assert_eq!(
        (after.files, after.nodes, after.edges),
        (before.files, before.nodes, before.edges)
    );
    assert_eq!(code.index().embeddings().count(), FILES.len());
}
