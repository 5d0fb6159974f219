//! Real input: text that every machine has that built this project.
//!
//! By default the files of the workspace and of its locked dependencies, in an
//! order that does not depend on where they lie. Any other tree will do as well.
//! [`Dice`] and [`Zipf`] generate what tests and scale need.

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its path below the root that it was found under, with `/` between names; its name
    /// if it is the root itself.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// Directories that hold what a build made, not what somebody wrote.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

/// Larger files are data more often than text.
const LARGEST_BYTES: u64 = 1 << 20;

/// The workspace and the sources of its locked dependencies, as `cargo metadata`
/// tells them.
///
/// # Errors
///
/// If `cargo metadata` fails.
pub fn default_roots() -> Result<Vec<PathBuf>> {
    // Offline first; only a fresh machine needs the second attempt.
    let ask = |flags: &[&str]| {
        MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
            .other_options(
                flags
                    .iter()
                    .map(|&flag| flag.into())
                    .collect::<Vec<String>>(),
            )
            .exec()
    };
    let metadata = ask(&["--locked", "--offline"])
        .or_else(|_| ask(&["--locked"]))
        .context("cargo metadata failed")?;
    let workspace = metadata.workspace_root.clone().into_std_path_buf();
    let mut packages: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some())
        .collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    let folders = packages
        .into_iter()
        .filter_map(|package| package.manifest_path.parent())
        .map(|folder| folder.to_path_buf().into_std_path_buf());
    Ok(std::iter::once(workspace).chain(folders).collect())
}

/// Files below `root`, in the order of their paths; `root` itself if it is a file.
///
/// Unreadable folders, links and what a build made are left out.
#[must_use]
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(root, &mut found, &mut |_, _| ());
    found
}

/// As [`files()`], for work that must not leave out a folder because it cannot be read.
///
/// # Errors
///
/// The first folder's that cannot be read, with its path.
pub fn every_file(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut refused) = (Vec::new(), Ok(()));
    walk(root, &mut found, &mut |folder, error| {
        if refused.is_ok() {
            refused = Err(error).with_context(|| folder.display().to_string());
        }
    });
    refused.map(|()| found)
}

type Refused<'r> = &'r mut dyn FnMut(&Path, io::Error);

fn walk(root: &Path, found: &mut Vec<PathBuf>, refused: Refused<'_>) {
    if root.is_file() {
        found.push(root.to_path_buf());
    } else {
        collect(root, found, refused);
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>, refused: Refused<'_>) {
    let read = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match read {
        Ok(entries) => entries,
        Err(error) => return refused(folder, error),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let skipped = SKIPPED.iter().any(|&name| entry.file_name() == name);
        if kind.is_dir() && !skipped {
            collect(&entry.path(), found, refused);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// UTF-8 files below `roots`, until they hold `limit_bytes`.
///
/// # Errors
///
/// If there is none, or the first is longer.
pub fn documents(roots: &[PathBuf], limit_bytes: usize) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    let mut left = limit_bytes;
    for root in roots {
        for file in files(root) {
            let Some(document) = read(root, &file) else {
                continue;
            };
            if document.text.len() > left {
                let (path, bytes) = (file.display(), document.text.len());
                let fits = !documents.is_empty();
                ensure!(
                    fits,
                    "{path}: {bytes} bytes, and the limit is {limit_bytes}"
                );
                return Ok(documents);
            }
            left -= document.text.len();
            documents.push(document);
        }
    }
    let first = roots.first().map(|root| root.display().to_string());
    ensure!(
        !documents.is_empty(),
        "no text below {}",
        first.unwrap_or_default()
    );
    Ok(documents)
}

fn read(root: &Path, file: &Path) -> Option<Document> {
    let length = file.metadata().ok()?.len();
    if length == 0 || length > LARGEST_BYTES {
        return None;
    }
    let text = String::from_utf8(fs::read(file).ok()?).ok()?;
    let path = below(root, file).to_string_lossy().replace('\\', "/");
    Some(Document { path, text })
}

/// The path of `file` below `root`, which is the name of the file if it is the root itself.
#[must_use]
pub fn below<'f>(root: &Path, file: &'f Path) -> &'f Path {
    match file.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below,
        _ => file.file_name().map_or(file, Path::new),
    }
}

/// A small seeded generator (`SplitMix64`), so that a test can be repeated.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator whose whole sequence is decided by `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let drawn = self.bits() % bound as u64;
        usize::try_from(drawn).unwrap_or(0)
    }

    /// A number from 0 up to, not including, 1.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Ranks of which the `n`-th is drawn in proportion to 1 / `n`, as words are in texts.
#[derive(Clone, Debug)]
pub struct Zipf {
    cumulated: Vec<f64>,
}

impl Zipf {
    /// A distribution over `ranks` ranks.
    ///
    /// # Panics
    ///
    /// If `ranks` is 0: nothing could be drawn.
    #[must_use]
    pub fn new(ranks: usize) -> Self {
        assert!(ranks > 0, "a distribution over nothing");
        let mut sum = 0.0;
        let add = |rank: usize| {
            sum += 1.0 / rank as f64;
            sum
        };
        Self {
            cumulated: (1..=ranks).map(add).collect(),
        }
    }

    /// Draws a rank, counted from 0.
    pub fn draw(&self, dice: &mut Dice) -> usize {
        let last = self.cumulated.len() - 1;
        let drawn = dice.share() * self.cumulated[last];
        self.cumulated
            .partition_point(|&sum| sum <= drawn)
            .min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_corpus_has_this_file_and_those_of_dependencies() {
        let roots = default_roots().unwrap();
        assert!(roots.len() > 20);
        let documents = documents(&roots[..1], usize::MAX).unwrap();
        let own = documents
            .iter()
            .find(|d| d.path.ends_with("millpond-workloads/src/corpus.rs"));
        assert!(own.is_some_and(|d| d.text.contains("the_default_corpus_has_this_file")));
        assert!(documents.iter().all(|d| !d.path.starts_with("target/")));
    }

    #[test]
    fn the_limit_holds_and_the_order_is_that_of_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.txt", "c.txt"] {
            fs::write(folder.path().join(name), name.repeat(10)).unwrap();
        }
        fs::write(folder.path().join("0.bin"), [0xFF, 0xFE]).unwrap();
        let found = documents(&[folder.path().into()], 100).unwrap();
        let paths: Vec<_> = found.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["a.txt", "b.txt"]);
    }

    #[test]
    fn a_root_that_is_a_file_is_known_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "text").unwrap();
        let found = documents(&[path], 100).unwrap();
        assert_eq!(found[0].path, "a.txt");
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_left_out_or_refused() {
        let gone = Path::new("/no/such/folder");
        assert!(files(gone).is_empty());
        let error = every_file(gone).unwrap_err();
        assert_eq!(error.to_string(), "/no/such/folder");
    }

    #[test]
    fn a_tree_without_text_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = documents(&[folder.path().into()], 100).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&*folder.path().to_string_lossy())
        );
    }

    #[test]
    fn low_ranks_are_drawn_more_often() {
        let (zipf, mut dice) = (Zipf::new(1000), Dice::new(1));
        let mut drawn = [0_usize; 1000];
        (0..100_000).for_each(|_| drawn[zipf.draw(&mut dice)] += 1);
        assert!(drawn[0] > drawn[9] * 5 && drawn[9] > drawn[99] * 5);
        assert_eq!(drawn.iter().sum::<usize>(), 100_000);
    }
}
