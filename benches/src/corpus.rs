//! The real input: what every machine that built this project has.
//!
//! By default that is the dependency graph of the workspace and its locked
//! dependencies, as `cargo metadata` tells it. `--input DIR` takes another tree:
//! a Cargo workspace is read the same way, any other directory becomes the graph
//! of its entries. The digest covers names, versions and edges, never paths, so
//! that two machines with the same lock file have the same corpus.

use crate::refusal::Refusal;
use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, PackageId};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The graph that chapters on real input work on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corpus {
    /// Where it came from, for people.
    pub origin: String,
    /// A name for each node, sorted.
    pub nodes: Vec<String>,
    /// Pairs of indices into `nodes`, sorted: the first depends on the second.
    pub edges: Vec<(u32, u32)>,
    /// The directories that hold its files; in no digest, because they are this
    /// machine's.
    pub sources: Vec<PathBuf>,
}

/// A corpus without its contents: what a record keeps and compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorpusNote {
    /// Where it came from.
    pub origin: String,
    /// Nodes in it.
    pub nodes: usize,
    /// Edges in it.
    pub edges: usize,
    /// A digest of names and edges: equal digests mean comparable runs.
    pub digest: String,
}

impl Corpus {
    /// Reads the corpus of `workspace`, or of `input` where the user named one.
    ///
    /// # Errors
    ///
    /// A refusal if `input` is no readable directory; otherwise whatever
    /// `cargo metadata` complained about.
    pub fn load(workspace: &Path, input: Option<&Path>) -> Result<Self> {
        let Some(directory) = input else {
            let metadata = cargo_metadata(workspace).context("cargo metadata failed")?;
            return Ok(Self::of_packages(
                "the workspace and its locked dependencies",
                &metadata,
            ));
        };
        if let Err(error) = std::fs::read_dir(directory) {
            return Err(Refusal::because(format!(
                "--input {}: {error}",
                directory.display()
            )));
        }
        let corpus = if directory.join("Cargo.toml").is_file() {
            let metadata = cargo_metadata(directory).map_err(|error| {
                let line = first_line(&error.to_string());
                Refusal::because(format!("--input {}: {line}", directory.display()))
            })?;
            Self::of_packages("the packages of --input", &metadata)
        } else {
            Self::of_directory(directory)
        };
        if corpus.edges.is_empty() {
            let name = directory.display();
            return Err(Refusal::because(format!(
                "--input {name}: no dependencies or files in it"
            )));
        }
        Ok(corpus)
    }

    /// What records keep of this corpus.
    #[must_use]
    pub fn note(&self) -> CorpusNote {
        CorpusNote {
            origin: self.origin.clone(),
            nodes: self.nodes.len(),
            edges: self.edges.len(),
            digest: self.digest(),
        }
    }

    fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for node in &self.nodes {
            hasher.update(node.as_bytes());
            hasher.update(b"\n");
        }
        for (from, to) in &self.edges {
            hasher.update(&from.to_le_bytes());
            hasher.update(&to.to_le_bytes());
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }

    fn of_packages(origin: &str, metadata: &Metadata) -> Self {
        let mut packages: Vec<(String, &PackageId)> = metadata
            .packages
            .iter()
            .map(|package| (format!("{} {}", package.name, package.version), &package.id))
            .collect();
        packages.sort();
        let index: HashMap<&PackageId, u32> = packages.iter().map(|(_, id)| *id).zip(0..).collect();
        let resolved = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let mut edges: Vec<(u32, u32)> = resolved
            .flat_map(|node| node.deps.iter().map(move |dep| (&node.id, &dep.pkg)))
            .filter_map(|(from, to)| Some((*index.get(from)?, *index.get(to)?)))
            .collect();
        edges.sort_unstable();
        let nodes = packages.into_iter().map(|(name, _)| name).collect();
        Self {
            origin: origin.to_owned(),
            nodes,
            edges,
            sources: sources(metadata),
        }
    }

    fn of_directory(root: &Path) -> Self {
        let mut corpus = Self {
            origin: "the entries of --input".into(),
            nodes: vec![".".into()],
            edges: vec![],
            sources: vec![root.to_path_buf()],
        };
        corpus.add_entries(root, 0);
        corpus.edges.sort_unstable();
        corpus
    }

    /// Adds what is below `directory`; unreadable folders and links are leaves.
    fn add_entries(&mut self, directory: &Path, parent: u32) {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return;
        };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let Ok(index) = u32::try_from(self.nodes.len()) else {
                return;
            };
            self.nodes
                .push(entry.file_name().to_string_lossy().into_owned());
            self.edges.push((parent, index));
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add_entries(&entry.path(), index);
            }
        }
    }
}

/// The workspace, then its dependencies in the order of their names.
fn sources(metadata: &Metadata) -> Vec<PathBuf> {
    let outside = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some());
    let mut outside: Vec<_> = outside.collect();
    outside.sort_by_key(|package| (&package.name, &package.version));
    let folders = outside
        .into_iter()
        .filter_map(|package| package.manifest_path.parent());
    std::iter::once(metadata.workspace_root.as_path())
        .chain(folders)
        .map(|folder| folder.as_std_path().to_path_buf())
        .collect()
}

/// Locked and offline first; only a fresh machine needs the second attempt.
fn cargo_metadata(directory: &Path) -> Result<Metadata, cargo_metadata::Error> {
    let ask = |options: &[&str]| {
        MetadataCommand::new()
            .current_dir(directory)
            .other_options(
                options
                    .iter()
                    .map(|&option| option.to_owned())
                    .collect::<Vec<_>>(),
            )
            .exec()
    };
    ask(&["--locked", "--offline"]).or_else(|_| ask(&["--locked"]))
}

fn first_line(text: &str) -> String {
    let said = text
        .lines()
        .find(|line| line.contains("error: "))
        .or(text.lines().next());
    said.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    #[test]
    fn the_workspace_is_a_corpus_with_a_stable_digest() {
        let corpus = Corpus::load(workspace(), None).unwrap();
        assert!(
            corpus
                .nodes
                .iter()
                .any(|node| node.starts_with("millpond-bench "))
        );
        assert!(corpus.edges.len() > corpus.nodes.len());
        assert_eq!(
            corpus.note(),
            Corpus::load(workspace(), None).unwrap().note()
        );
    }

    #[test]
    fn any_directory_is_a_corpus() {
        let source = workspace().join("benches/src");
        let corpus = Corpus::load(workspace(), Some(&source)).unwrap();
        assert!(corpus.nodes.iter().any(|node| node == "corpus.rs"));
        assert_eq!(corpus.edges.len(), corpus.nodes.len() - 1);
    }

    #[test]
    fn a_missing_directory_is_refused_in_one_line() {
        let error = Corpus::load(workspace(), Some(Path::new("/no/such/place"))).unwrap_err();
        assert!(error.is::<Refusal>());
        assert_eq!(error.to_string().lines().count(), 1);
    }

    #[test]
    fn another_edge_is_another_digest() {
        let mut corpus = Corpus::load(workspace(), None).unwrap();
        let before = corpus.note().digest;
        corpus.edges.pop();
        assert_ne!(corpus.note().digest, before);
    }
}
