//! Runs the seeds of the fuzz targets as a plain test: what is read is an error
//! or can be used, and nothing panics. The targets are in `fuzz`.

use millpond_analytics::{
    Advisor, Format, Page, Snapshot, SnapshotError, Trace, TraceError, fleet,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn seeds(target: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let files = fs::read_dir(directory).expect("the seeds are in the repository");
    let seed = |file: std::io::Result<fs::DirEntry>| {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        (name, fs::read(file.path()).unwrap())
    };
    files.map(seed).collect()
}

#[test]
fn snapshots() {
    let mut read = BTreeMap::new();
    for (name, seed) in seeds("snapshot") {
        let snapshot = Snapshot::from_json(std::str::from_utf8(&seed).unwrap());
        if let Ok(snapshot) = &snapshot {
            let _ = format!("{snapshot}{}", Page::of(snapshot).against(snapshot));
            let _ = Advisor::new().of_snapshot(snapshot).to_toml();
        }
        read.insert(name, snapshot);
    }
    assert!(read["server.json"].is_ok() && read["extreme.json"].is_ok());
    let twice = read["same-labels.json"].as_ref().unwrap();
    let labels: Vec<&str> = twice.pools[0].parts().map(|part| part.0).collect();
    assert_eq!(labels, ["", "outside"], "a label is one time series");
    assert!(matches!(
        read["newer.json"],
        Err(SnapshotError::Malformed(_))
    ));
}

#[test]
fn traces() {
    let read: BTreeMap<String, _> = seeds("trace")
        .into_iter()
        .map(|(name, seed)| (name, Trace::parse(&seed)))
        .collect();
    let pair = read["pair"].as_ref().unwrap();
    let operations = pair.operations();
    assert_eq!((operations.len(), operations[0].bytes), (1, 64));
    assert!(matches!(
        read["too-many-events"],
        Err(TraceError::Malformed { .. })
    ));
    assert_eq!(read["lost"].as_ref().unwrap().lost, u64::MAX);
    assert!(
        read["long-name"].as_ref().unwrap().pools.is_empty(),
        "cut off"
    );
    assert!(
        read["cut-off"]
            .as_ref()
            .unwrap()
            .pools
            .iter()
            .any(|pool| pool == "heads")
    );
}

#[test]
fn answers_and_headers() {
    for (name, seed) in seeds("query") {
        let text = String::from_utf8(seed).unwrap();
        let answer = fleet::parse_answer(&text);
        assert_eq!(answer.is_ok(), name == "vector.json", "{name}: {answer:?}");
        let _ = Format::accepted_by(&text);
    }
}
