//! SIGKILL at any moment: what was committed is there, and nothing is there by half.
//!
//! The child saves files, each in a transaction of its own, and names each one once
//! it is committed. `TEST_KILLS=100 cargo test --test codebase_killed` kills it
//! at a hundred random moments; by default it is a few.

#![cfg(unix)]

use millpond_workloads::codebase::{Codebase, Heap, Store};
use millpond_workloads::corpus::Dice;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const FILES: usize = 400;

fn content(file: usize) -> String {
    (0..20 + file % 7)
        .map(|line| format!("pub fn f{file}_{line}() {{ call_{}(); }}\n", line * 31 % 17))
        .collect()
}

/// Starts an indexer, kills it a moment after it has saved `files` files, and answers
/// what it said was saved: version and path.
fn killed(folder: &Path, db: &Path, files: usize, moment: Duration) -> Vec<(u64, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_codebase"))
        .args(["index", "--each", "--db"])
        .arg(db)
        .arg("--input")
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut said = Vec::new();
    let mut next = || {
        let mut line = String::new();
        // A line without its end was cut off by the kill.
        let whole = lines.read_line(&mut line).is_ok() && line.ends_with('\n');
        whole.then_some(line)
    };
    said.extend(std::iter::from_fn(&mut next).take(files));
    std::thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap();
    said.extend(std::iter::from_fn(next));
    let saved = |line: &String| {
        let (version, path) = line.trim_end().split_once(' ')?;
        Some((version.parse().ok()?, path.to_owned()))
    };
    said.iter().filter_map(saved).collect()
}

#[test]
fn nothing_that_was_committed_is_lost() {
    let kills: u64 =
        std::env::var("TEST_KILLS").map_or(5, |n| n.parse().expect("TEST_KILLS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    for file in 0..FILES {
        std::fs::write(source.join(format!("{file:03}.rs")), content(file)).unwrap();
    }
    let db = folder.path().join("code.redb");
    let mut dice = Dice::new(9);
    let mut committed = std::collections::BTreeMap::new();
    for kill in 0..kills {
        let (files, moment) = (
            dice.below(60),
            Duration::from_micros(dice.below(8_000) as u64),
        );
        let said = killed(&source, &db, files, moment);
        assert!(
            said.len() >= files,
            "kill {kill}: {} of {files} files",
            said.len()
        );
        for (version, path) in said {
            let newest = committed.entry(path).or_insert(0);
            assert!(
                version > *newest,
                "kill {kill}: version {version} after {newest}"
            );
            *newest = version;
        }
        verify(&db, &committed, kill);
    }
    eprintln!("{kills} kills, {} files", committed.len());
}

fn verify(db: &Path, committed: &std::collections::BTreeMap<String, u64>, kill: u64) {
    let code = Codebase::open(Heap, Store::open(db).unwrap()).unwrap();
    for (path, &version) in committed {
        let number: usize = path
            .strip_prefix("source/")
            .unwrap()
            .strip_suffix(".rs")
            .unwrap()
            .parse()
            .unwrap();
        let there = code
            .retrieve(path, |version, text| (version, text == content(number)))
            .unwrap();
        let (stored, same) = there.unwrap_or_else(|| panic!("kill {kill}: {path} is lost"));
        assert!(
            stored >= version && same,
            "kill {kill}: {path} has version {stored}, {version} was committed"
        );
    }
    // Nothing by half: each file's newest change is recorded, and no newer one.
    for file in code.index().files() {
        let recorded = |version| {
            code.change(&file.path, version, str::len)
                .unwrap()
                .is_some()
        };
        assert!(
            recorded(file.version) && !recorded(file.version + 1),
            "kill {kill}: {}",
            file.path
        );
    }
}
