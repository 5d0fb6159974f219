//! The database: an index in memory over a store that lasts.

use super::index::{Hit, Index, Ranking, Saved};
use super::memory::{Full, Memory, Purpose, Scope, with_scope};
use super::store::{Batch, Store};
use anyhow::{Context, Result, ensure};

/// A longer path is refused.
pub const LONGEST_PATH: usize = 4096;

/// A larger file is refused: code is smaller, and data belongs elsewhere.
pub const LARGEST_FILE: usize = 8 << 20;

/// More hits are refused.
pub const MOST_HITS: usize = 1000;

/// A code database.
///
/// ```
/// use millpond_workloads::codebase::{Codebase, Heap, Ranking, Store};
///
/// let mut code = Codebase::open(Heap, Store::in_memory()?)?;
/// code.save_file("src/pool.rs", "pub fn acquire() {}\n")?;
/// code.save_file("src/main.rs", "mod pool;\nfn main() {}\n")?;
/// let first = code.search("acquire", Ranking::Hybrid, 5, |hits| hits[0].path.to_owned())?;
/// assert_eq!(first, "src/pool.rs");
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Codebase<M: Memory> {
    memory: M,
    index: Index<M>,
    store: Store,
}

/// A database's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Size {
    /// Files.
    pub files: usize,
    /// Files and symbols in the graph.
    pub nodes: usize,
    /// Edges in the graph.
    pub edges: usize,
    /// Different words.
    pub words: usize,
}

impl<M: Memory> Codebase<M> {
    /// Opens a database: reads all files and builds the index.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn open(memory: M, store: Store) -> Result<Self> {
        let mut index = Index::new(&memory);
        store.each_file(|path, _, _| {
            index.announce(path);
            Ok(())
        })?;
        store.each_file(|path, version, content| {
            index.update(&memory, path, "", content);
            index.set_version(path, version);
            Ok(())
        })?;
        store.each_link(|from, to, kind| {
            index.link(from, to, kind);
        })?;
        Ok(Self {
            memory,
            index,
            store,
        })
    }

    /// Saves a file in a transaction of its own.
    ///
    /// # Errors
    ///
    /// If the path or the content is refused, or the store fails.
    pub fn save_file(&mut self, path: &str, content: &str) -> Result<Saved> {
        let mut answer = None;
        self.save_files(&[(path, content)], |_, saved| answer = Some(saved))?;
        answer.context("nothing was saved")
    }

    /// Saves many files in one transaction. `each` hears of every file before the
    /// transaction is committed. Imports among the files are known whatever their
    /// order; an import of a file that is saved later is known once the importer is
    /// saved again, or the database opened again.
    ///
    /// # Errors
    ///
    /// If a path or a content is refused, or the store fails. Nothing of the
    /// transaction is stored then; if the store failed, the index knows more than
    /// the store, and the database should be opened again.
    pub fn save_files(
        &mut self,
        files: &[(&str, &str)],
        mut each: impl FnMut(&str, Saved),
    ) -> Result<()> {
        for (path, content) in files {
            check(path, content)?;
        }
        let batch = self.store.begin()?;
        let Self { memory, index, .. } = self;
        for (path, _) in files {
            index.announce(path);
        }
        for &(path, content) in files {
            let saved = with_scope!(*memory, Purpose::Primitive, |scope| put(
                index, scope, &batch, path, content
            ))?;
            each(path, saved);
        }
        batch.commit()
    }

    /// Calls `with` with the version and content of a file, if it is there.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn retrieve<R>(&self, path: &str, with: impl FnOnce(u64, &str) -> R) -> Result<Option<R>> {
        self.store.file(path, with)
    }

    /// Calls `with` with the record of a change, if it is there.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn change<R>(
        &self,
        path: &str,
        version: u64,
        with: impl FnOnce(&str) -> R,
    ) -> Result<Option<R>> {
        self.store.change(path, version, with)
    }

    /// Links two files; `false` if they were linked so already.
    ///
    /// # Errors
    ///
    /// If a file is not there, the kind is no word, or the store fails.
    pub fn link(&mut self, from: &str, to: &str, kind: &str) -> Result<bool> {
        for path in [from, to] {
            ensure!(self.index.file(path).is_some(), "no file {path:?}");
        }
        let is_word = (1..=64).contains(&kind.len())
            && kind
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        ensure!(
            is_word,
            "link kind {kind:?}: use 1 to 64 letters, digits, '-' and '_'"
        );
        let batch = self.store.begin()?;
        batch.link(from, to, kind)?;
        batch.commit()?;
        self.index
            .link(from, to, kind)
            .with_context(|| format!("no file {from:?}"))
    }

    /// Calls `with` with the files that a query means, the best first.
    ///
    /// # Errors
    ///
    /// If `count` is above [`MOST_HITS`].
    pub fn search<R>(
        &self,
        query: &str,
        ranking: Ranking,
        count: usize,
        with: impl Fn(&[Hit<'_>]) -> R,
    ) -> Result<R> {
        ensure!(
            count <= MOST_HITS,
            "{count} hits, at most {MOST_HITS} are allowed"
        );
        Ok(with_scope!(self.memory, Purpose::Search, |scope| self
            .index
            .search(scope, query, ranking, count)
            .map(|hits| with(&hits))))
    }

    /// Where this database's memory comes from.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// What its memory did, for people: on pools a snapshot of all of them and what they
    /// saved, in JSON.
    pub fn report(&self) -> serde_json::Value {
        self.memory.report(self.index.embeddings().rows())
    }

    /// The index.
    pub fn index(&self) -> &Index<M> {
        &self.index
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        let (nodes, edges) = self.index.graph().size();
        Size {
            files: self.index.files().len(),
            nodes,
            edges,
            words: self.index.vocabulary(),
        }
    }
}

/// Saves one file within a transaction. The outer error is a scope without room, and
/// then nothing has changed.
fn put<M: Memory, S: Scope>(
    index: &mut Index<M>,
    scope: &S,
    batch: &Batch,
    path: &str,
    content: &str,
) -> Result<Result<Saved>, Full> {
    let found = match batch.file(path, |old| index.analyse(scope, old, content)) {
        Ok(found) => found?,
        Err(error) => return Ok(Err(error)),
    };
    let version = index.apply(path, &found);
    let written = batch.save(path, version, content, &found.record);
    Ok(written.map(|()| Saved {
        version,
        ..found.saved
    }))
}

fn check(path: &str, content: &str) -> Result<()> {
    let (length, size) = (path.len(), content.len());
    ensure!(
        (1..=LONGEST_PATH).contains(&length),
        "path of {length} bytes: 1 to {LONGEST_PATH} are allowed"
    );
    ensure!(
        !path.contains('\0') && !path.contains('\n'),
        "path {path:?}: line ends and zeros are not allowed"
    );
    ensure!(
        size <= LARGEST_FILE,
        "{path}: {size} bytes, at most {LARGEST_FILE} are allowed"
    );
    Ok(())
}

impl<M: Memory> std::fmt::Debug for Codebase<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codebase")
            .field("memory", &M::NAME)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
