//! The repository as the rules see it: files with their text, and the members.
//!
//! A rule never touches the disk. That keeps it a plain function, and its tests
//! a few lines of invented files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::DependencyKind;

use crate::workspace;

/// Directories and files that no rule looks at: made by tools, ignored by git.
const UNTRACKED: &[&str] = &[".git", "target", "mutants.out", "mutants.out.old"];

/// The whole repository, read once.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: Vec<File>,
    members: Vec<Member>,
}

/// One file; the path is relative to the root, with forward slashes.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) length_bytes: u64,
    /// Absent where the content is not UTF-8.
    pub(crate) text: Option<String>,
}

/// One package of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// The directory, relative to the root.
    pub(crate) directory: String,
    pub(crate) published: bool,
    pub(crate) edges: Vec<Edge>,
}

/// A dependency of one member on another.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) to: String,
    pub(crate) only_for_tests: bool,
}

impl Tree {
    /// Reads every file under `root` and asks cargo for the members.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        Ok(Self {
            files: read_files(root)?,
            members: members(root)?,
        })
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The text of one file, if there is such a file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|file| file.path == path)?
            .text
            .as_deref()
    }

    /// Whether a path names a file or a directory.
    pub(crate) fn has(&self, path: &str) -> bool {
        let inside = |file: &File| {
            file.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        path.is_empty()
            || self
                .files
                .iter()
                .any(|file| file.path == path || inside(file))
    }

    /// Every readable text with its path.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }

    /// Every Rust file with its path.
    pub(crate) fn rust_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| has_extension(path, "rs"))
    }
}

/// Whether a path ends in `.extension`.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found == extension)
}

/// Every file under a directory that a tool did not make, in order of path.
pub(crate) fn read_files(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn collect(root: &Path, directory: &Path, into: &mut Vec<File>) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if UNTRACKED.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(root, &path, into)?;
        } else {
            into.push(read_file(root, &path)?);
        }
    }
    Ok(())
}

fn read_file(root: &Path, path: &Path) -> Result<File> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let relative = path
        .strip_prefix(root)?
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    Ok(File {
        path: relative.collect::<Vec<_>>().join("/"),
        length_bytes: bytes.len() as u64,
        text: String::from_utf8(bytes).ok(),
    })
}

fn members(root: &Path) -> Result<Vec<Member>> {
    let metadata = workspace::metadata()?;
    let packages = metadata.workspace_packages();
    let names: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut found = Vec::new();
    for package in &packages {
        let directory = package
            .manifest_path
            .parent()
            .context("a manifest lies in a directory")?;
        let internal = package
            .dependencies
            .iter()
            .filter(|dependency| names.contains(&dependency.name.as_str()));
        found.push(Member {
            name: package.name.to_string(),
            directory: directory
                .as_std_path()
                .strip_prefix(root)?
                .to_string_lossy()
                .replace('\\', "/"),
            published: package
                .publish
                .as_ref()
                .is_none_or(|registries| !registries.is_empty()),
            edges: internal
                .map(|dependency| Edge {
                    to: dependency.name.clone(),
                    only_for_tests: dependency.kind == DependencyKind::Development,
                })
                .collect(),
        });
    }
    Ok(found)
}

#[cfg(test)]
impl Tree {
    /// An invented repository for the tests of the rules.
    pub(crate) fn of_files(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            length_bytes: text.len() as u64,
            text: Some((*text).to_owned()),
        };
        Self {
            files: files.iter().map(file).collect(),
            members: Vec::new(),
        }
    }

    /// Adds a member; an edge that starts with `dev:` is for tests only.
    pub(crate) fn with_member(mut self, name: &str, edges: &[&str]) -> Self {
        let edge = |word: &&str| Edge {
            to: word.trim_start_matches("dev:").to_owned(),
            only_for_tests: word.starts_with("dev:"),
        };
        self.members.push(Member {
            name: name.to_owned(),
            directory: format!("crates/{name}"),
            published: true,
            edges: edges.iter().map(edge).collect(),
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_read_with_its_members() {
        let tree = Tree::read(workspace::root()).unwrap();
        assert!(tree.has("Cargo.toml") && tree.has("crates/millpond-core"));
        assert!(!tree.has("target") && !tree.has(".git"));
        assert!(
            tree.members()
                .iter()
                .any(|member| member.name == "xtask" && !member.published)
        );
    }

    #[test]
    fn a_directory_is_found_by_whole_names_only() {
        let tree = Tree::of_files(&[("docs/testing.md", "")]);
        assert!(tree.has("docs") && tree.has("docs/testing.md"));
        assert!(!tree.has("doc") && !tree.has("docs/test"));
    }
}
