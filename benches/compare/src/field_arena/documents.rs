//! Real input: documents.

use super::OURS;
use anyhow::{Context, Result, ensure};
use millpond_arena::document::Value;
use millpond_arena::{ArenaManager, Lease, Scope};
use millpond_bench::runner::Contest;
use serde::de::DeserializeSeed;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The tree that everybody else builds.
pub const VALUE: &str = "serde_json::Value";

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[inline(never)]
fn repeat(iterations: u64, mut one: impl FnMut()) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        one();
    }
    began.elapsed()
}

/// What `cargo metadata` prints for the workspace.
fn cargo_metadata() -> Result<Vec<u8>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--offline"])
        .current_dir(WORKSPACE)
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed");
    Ok(output.stdout)
}

pub fn metadata() -> Result<Contest<'static>> {
    let json = cargo_metadata()?;
    let manager = ArenaManager::new();
    {
        // Both must have read the same.
        let arena = manager.lease(Scope::Json)?;
        let mut ours = Vec::new();
        arena.parse_json(&json)?.write_json(&mut ours)?;
        let theirs: serde_json::Value = serde_json::from_slice(&json)?;
        ensure!(serde_json::from_slice::<serde_json::Value>(&ours)? == theirs);
    }
    let mut contest = Contest::new();
    let document = json.clone();
    contest.add(OURS, move |n| {
        repeat(n, || {
            let arena = manager.lease(Scope::Json).expect("memory");
            black_box(&arena.parse_json(&document).expect("JSON"));
        })
    });
    let document = json.clone();
    contest.add(VALUE, move |n| {
        repeat(n, || {
            black_box(&serde_json::from_slice::<serde_json::Value>(&document).expect("JSON"));
        })
    });
    // It unescapes where the text lies, so each time needs a copy of the text.
    let (document, mut text) = (json.clone(), json.clone());
    let mut buffers = simd_json::Buffers::default();
    contest.add("simd-json, borrowed, reused buffers", move |n| {
        repeat(n, || {
            text.copy_from_slice(&document);
            let tree = simd_json::value::to_borrowed_value_with_buffers(&mut text, &mut buffers);
            black_box(&tree.expect("JSON"));
        })
    });
    let mut text = json.clone();
    let mut buffers = simd_json::Buffers::default();
    contest.add("simd-json, tape, reused buffers", move |n| {
        repeat(n, || {
            text.copy_from_slice(&json);
            black_box(&simd_json::to_tape_with_buffers(&mut text, &mut buffers).expect("JSON"));
        })
    });
    Ok(contest)
}

/// A file of the corpus.
enum File {
    Json(Vec<u8>),
    Toml(String),
}

pub fn files() -> Result<Contest<'static>> {
    let mut files = Vec::new();
    collect(Path::new(WORKSPACE), &mut files);
    // The manifests of the locked dependencies, and what lies beside them.
    let metadata: serde_json::Value = serde_json::from_slice(&cargo_metadata()?)?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = package["manifest_path"].as_str().map(Path::new);
        if let Some(directory) = manifest.and_then(Path::parent) {
            collect_here(directory, &mut files);
        }
    }
    ensure!(!files.is_empty(), "the corpus has neither JSON nor TOML");
    files.iter().try_for_each(reads_the_same)?;
    let mut contest = Contest::new();
    let files = std::sync::Arc::new(files);
    let (manager, ours) = (ArenaManager::new(), std::sync::Arc::clone(&files));
    let mut next = 0;
    contest.add(OURS, move |n| {
        repeat(n, || {
            let arena = manager.lease(Scope::Json).expect("memory");
            read_in(&arena, &ours[next]);
            next = (next + 1) % ours.len();
        })
    });
    let mut next = 0;
    contest.add("the heap", move |n| {
        repeat(n, || {
            read_on_heap(&files[next]);
            next = (next + 1) % files.len();
        })
    });
    Ok(contest)
}

fn read_in(arena: &Lease<'_>, file: &File) {
    match file {
        File::Json(json) => {
            black_box(&arena.parse_json(json).ok());
        }
        File::Toml(text) => {
            black_box(&tree_of_toml(arena, text));
        }
    }
}

fn tree_of_toml<'v>(arena: &'v Lease<'_>, text: &'v str) -> Option<Value<'v>> {
    let deserializer = toml::de::Deserializer::parse(text).ok()?;
    arena.document().deserialize(deserializer).ok()
}

/// Both must have read the same, and refused the same.
fn reads_the_same(file: &File) -> Result<()> {
    let manager = ArenaManager::new();
    let arena = manager.lease(Scope::Json)?;
    let (ours, theirs) = match file {
        File::Json(json) => (
            arena.parse_json(json).ok(),
            serde_json::from_slice(json).ok(),
        ),
        File::Toml(text) => {
            let theirs = toml::from_str::<toml::Value>(text).ok();
            let theirs = theirs.map(serde_json::to_value).transpose()?;
            (tree_of_toml(&arena, text), theirs)
        }
    };
    let ours = ours.map(serde_json::to_value).transpose()?;
    ensure!(ours == theirs, "a file of the corpus was read differently");
    Ok(())
}

fn read_on_heap(file: &File) {
    match file {
        File::Json(json) => {
            black_box(&serde_json::from_slice::<serde_json::Value>(json).ok());
        }
        File::Toml(text) => {
            black_box(&toml::from_str::<toml::Value>(text).ok());
        }
    }
}

fn collect(directory: &Path, files: &mut Vec<File>) {
    collect_here(directory, files);
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let skipped = [".git", "target"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !skipped {
            collect(&path, files);
        }
    }
}

fn collect_here(directory: &Path, files: &mut Vec<File>) {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    for path in paths {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            Some("json") => files.extend(std::fs::read(&path).ok().map(File::Json)),
            Some("toml") => files.extend(std::fs::read_to_string(&path).ok().map(File::Toml)),
            _ => {}
        }
    }
}
