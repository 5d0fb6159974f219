//! The memory modes give the same bytes: answers, records, and what is stored.

use millpond_analytics::Snapshot;
use millpond_arena::{ArenaManager, Scope, ScopeConfig};
use millpond_workloads::codebase::{
    Codebase, Fault, Heap, Memory, Pooled, Primitive, Ranking, Store,
};
use millpond_workloads::corpus::{self, Dice};
use proptest::prelude::*;

/// Answers to requests, one after the other.
fn answers<M: Memory>(memory: M, requests: &[(Primitive, String)]) -> (Vec<String>, Codebase<M>) {
    let mut code = Codebase::open(memory, Store::in_memory().unwrap()).unwrap();
    let mut answer = |(primitive, request): &(Primitive, String)| {
        let called = code.call(*primitive, request, str::to_owned);
        called.unwrap_or_else(|fault: Fault| format!("error: {fault}"))
    };
    let answers = requests.iter().map(&mut answer).collect();
    (answers, code)
}

/// Arenas of a page that may not grow beyond two: most operations run out.
fn tiny() -> Pooled {
    let mut builder = ArenaManager::builder();
    for scope in [Scope::Primitive, Scope::Search, Scope::Json] {
        builder.configure(scope, ScopeConfig::of(4096).with_limit(8192));
    }
    Pooled::with_arenas(builder.build().unwrap())
}

fn request() -> impl Strategy<Value = (Primitive, String)> {
    let path = prop::sample::select(vec!["a/one.rs", "a/two.rs", "b/one.py", "b/lib.rs", "c.md"]);
    let line = prop::sample::select(vec![
        "use crate::one::Thing;",
        "pub fn take() {}",
        "struct Thing;",
        "def grow(self):",
        "words, more words",
        "\"quoted\\\\\"",
        "ünï çödé",
        "",
        "mod two;",
    ]);
    let content = prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"));
    let store = (path.clone(), content).prop_map(|(path, content)| {
        (
            Primitive::Store,
            serde_json::json!({ "path": path, "content": content }).to_string(),
        )
    });
    let query = prop::sample::select(vec![
        "take thing",
        "grow",
        "words",
        "one",
        "",
        "nothing at all",
    ]);
    let ranking = prop::sample::select(vec!["hybrid", "text", "vector", "graph"]);
    let search = (query, ranking, 1..12).prop_map(|(query, ranking, limit)| {
        (
            Primitive::Search,
            serde_json::json!({ "query": query, "ranking": ranking, "limit": limit }).to_string(),
        )
    });
    let retrieve = (path.clone(), prop::option::of(1_u64..4)).prop_map(
        |(path, change): (&str, Option<u64>)| {
            let mut asked = serde_json::json!({ "path": path });
            if let Some(change) = change {
                asked["change"] = change.into();
            }
            (Primitive::Retrieve, asked.to_string())
        },
    );
    let link = (path.clone(), path.clone()).prop_map(|(from, to)| {
        (
            Primitive::Link,
            serde_json::json!({ "from": from, "to": to, "kind": "see" }).to_string(),
        )
    });
    let transform = path.prop_map(|path| {
        let edits = serde_json::json!([{ "find": "words", "replace": "\"fewer\"\n" }]);
        (
            Primitive::Transform,
            serde_json::json!({ "path": path, "edits": edits }).to_string(),
        )
    });
    prop_oneof![4 => store, 3 => search, 1 => retrieve, 1 => link, 1 => transform, 1 => Just((Primitive::Store, "{".into()))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn modes_give_the_same_answers(requests in prop::collection::vec(request(), 1..40)) {
        let (expected, _) = answers(Heap, &requests);
        let (pooled, _) = answers(Pooled::new(), &requests);
        prop_assert_eq!(&pooled, &expected);
        let (cramped, _) = answers(tiny(), &requests);
        prop_assert_eq!(&cramped, &expected);
    }
}

#[test]
fn modes_agree_on_real_files_and_the_pools_are_used() {
    let roots = corpus::default_roots().unwrap();
    let mut documents = corpus::documents(&roots[..1], 3 << 20).unwrap();
    documents.truncate(300);
    let mut dice = Dice::new(3);
    let mut requests = Vec::new();
    for document in &documents {
        let path = &document.path;
        requests.push((
            Primitive::Store,
            serde_json::json!({ "path": path, "content": document.text }).to_string(),
        ));
    }
    for _ in 0..60 {
        let text = &documents[dice.below(documents.len())].text;
        let words: Vec<&str> = text
            .split_whitespace()
            .skip(dice.below(50))
            .take(4)
            .collect();
        requests.push((
            Primitive::Search,
            serde_json::json!({ "query": words.join(" ") }).to_string(),
        ));
    }
    let (expected, _) = answers(Heap, &requests);
    let (pooled, code) = answers(Pooled::new(), &requests);
    assert!(expected.iter().all(|answer| !answer.starts_with("error")));
    assert_eq!(pooled, expected);
    let report = code.report();
    assert_eq!(report["fallbacks"], 0, "{report}");
    assert!(report["reuse_ratio"].as_f64().unwrap() > 0.0, "{report}");
    // The JSON is what other tools read, and knows every pool.
    let snapshot = Snapshot::from_json(&report["snapshot"].to_string()).unwrap();
    let in_use = |name: &str| snapshot.pool(name).unwrap().figures.in_use;
    assert!(in_use("graph nodes") > documents.len(), "{report}");
    assert_eq!(in_use("embeddings"), in_use("embedding nodes"), "{report}");
    for name in ["graph edges", "embedding levels", "messages", "scopes"] {
        assert!(snapshot.pool(name).is_some(), "{name}: {report}");
    }
}

#[test]
fn a_scope_without_room_is_reported_and_the_work_is_done() {
    let mut code = Codebase::open(tiny(), Store::in_memory().unwrap()).unwrap();
    let content: String = (0..500)
        .map(|n| format!("pub fn function_{n}() {{}}\n"))
        .collect();
    assert_eq!(code.save_file("many.rs", &content).unwrap().symbols, 500);
    let found = code
        .search("function_77", Ranking::Hybrid, 1, |hits| {
            hits[0].symbol.map(|(_, line)| line)
        })
        .unwrap();
    assert_eq!(found, Some(78));
    assert!(code.memory().fallbacks() > 0);
}
