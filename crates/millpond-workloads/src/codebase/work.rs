//! The work by which memory modes are compared: the same saves, searches and requests,
//! with a digest of what came out.

use super::database::Codebase;
use super::diff;
use super::heap::Heap;
use super::index::{Index, Ranking, terms};
use super::memory::Memory;
use super::primitive::Primitive;
use super::store::Store;
use super::symbols::Extractor;
use super::words::{DIMENSION, embed};
use crate::corpus::Document;
use anyhow::{Context, Result, ensure};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What a piece of work came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Operations.
    pub operations: usize,
    /// Of their results: the same in every mode.
    pub digest: u64,
}

impl Done {
    fn of(results: impl Iterator<Item = u64>) -> Self {
        results.fold(Self::default(), |done, result| Self {
            operations: done.operations + 1,
            digest: (done.digest.rotate_left(5) ^ result).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        })
    }
}

/// Files that are saved again and again.
const SAVED: usize = 8;

/// Queries that are asked.
const QUERIES: usize = 40;

/// A database with the files of a corpus, some of them in two versions, and what it is
/// asked.
///
/// ```
/// use millpond_workloads::codebase::work::Work;
/// use millpond_workloads::codebase::{Heap, Pooled, Store};
/// use millpond_workloads::corpus::Document;
///
/// let text = "pub fn fill(pond: &mut Pond) { pond.level += 1; }\n".repeat(60);
/// let documents = [Document { path: "pond.rs".into(), text }];
/// let mut heap = Work::new(|| Heap, &documents, Store::in_memory()?)?;
/// let mut pooled = Work::new(Pooled::new, &documents, Store::in_memory()?)?;
/// assert_eq!(heap.save(), pooled.save());
/// assert_eq!(heap.search(), pooled.search());
/// assert_eq!(heap.retrieve(), pooled.retrieve());
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Work<M: Memory> {
    memory: M,
    /// An index without a store, for saves without one.
    index: Index<M>,
    code: Codebase<M>,
    files: Vec<(String, [String; 2])>,
    queries: Vec<String>,
    requests: Vec<String>,
    turn: usize,
}

impl<M: Memory> std::fmt::Debug for Work<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl<M: Memory> Work<M> {
    /// Saves all documents; `make` is asked for memory twice, for a database and for an
    /// index without a store.
    ///
    /// # Errors
    ///
    /// If there is no document of 2 to 12 kB, or the store fails.
    pub fn new(make: impl Fn() -> M, documents: &[Document], store: Store) -> Result<Self> {
        let (memory, mut code) = (make(), Codebase::open(make(), store)?);
        let mut index = Index::new(&memory);
        for Document { path, text } in documents {
            index.update(&memory, path, "", text);
        }
        let all: Vec<(&str, &str)> = documents
            .iter()
            .map(|Document { path, text }| (&**path, &**text))
            .collect();
        code.save_files(&all, |_, _| ())?;
        let typical = |document: &&Document| (2_000..12_000).contains(&document.text.len());
        let files: Vec<(String, [String; 2])> = documents
            .iter()
            .filter(typical)
            .step_by(3)
            .take(SAVED)
            .map(|Document { path, text }| (path.clone(), [text.clone(), changed(text)]))
            .collect();
        ensure!(!files.is_empty(), "no document of 2 to 12 kB");
        let queries = documents.iter().step_by(documents.len() / QUERIES + 1);
        let mut requests = Vec::new();
        for (path, _) in &files {
            let path = serde_json::to_string(path).context("a path")?;
            requests.push(format!("{{\"path\":{path}}}"));
            requests.push(format!("{{\"path\":{path},\"change\":1}}"));
        }
        Ok(Self {
            memory,
            index,
            code,
            files,
            queries: queries.map(|document| query(&document.text)).collect(),
            requests,
            turn: 0,
        })
    }

    fn next_version(&mut self) -> usize {
        self.turn += 1;
        self.turn % 2
    }

    /// Saves some files, each as what it was not before, in the index only.
    pub fn save(&mut self) -> Done {
        let version = self.next_version();
        let (index, memory) = (&mut self.index, &self.memory);
        Done::of(self.files.iter().map(|(path, versions)| {
            let saved = index.update(memory, path, &versions[1 - version], &versions[version]);
            saved.version + u64::from(saved.added) + u64::from(saved.symbols)
        }))
    }

    /// Saves the same files in the database, each in a transaction.
    pub fn store(&mut self) -> Done {
        let version = self.next_version();
        let code = &mut self.code;
        Done::of(self.files.iter().map(|(path, versions)| {
            let saved = code.save_file(path, &versions[version]);
            saved.map_or(u64::MAX, |saved| saved.version)
        }))
    }

    /// Asks every query.
    pub fn search(&self) -> Done {
        Done::of(self.queries.iter().map(|query| self.search_for(query)))
    }

    /// Asks one query; a digest of its hits.
    pub fn search_for(&self, query: &str) -> u64 {
        let found = self.code.search(query, Ranking::Hybrid, 10, |hits| {
            let each = hits.iter().map(|hit| hit.path.len() as u64);
            Done::of(each).digest
        });
        found.unwrap_or(u64::MAX)
    }

    /// The queries.
    pub fn queries(&self) -> &[String] {
        &self.queries
    }

    /// Retrieves files and records of changes, JSON in and out.
    pub fn retrieve(&self) -> Done {
        Done::of(self.requests.iter().map(|request| {
            let asked = self.code.ask(Primitive::Retrieve, request, str::len);
            asked.map_or(u64::MAX, |length| length as u64)
        }))
    }

    /// What the database's own memory did.
    pub fn report(&self) -> serde_json::Value {
        self.code.report()
    }

    /// What saves and searches are made of: microseconds of each part alone, on the
    /// heap, over as long as `budget` each.
    pub fn parts(&self, budget: Duration) -> [(&'static str, f64); 8] {
        let each = |part: &mut dyn FnMut(&[String; 2])| {
            per_operation(budget, || {
                self.files.iter().for_each(|(_, versions)| part(versions));
                self.files.len()
            })
        };
        let asked = |ranking| {
            per_operation(budget, || {
                for query in &self.queries {
                    let found = self.code.search(query, ranking, 10, |hits| hits.len());
                    debug_assert!(found.is_ok());
                }
                self.queries.len()
            })
        };
        let (mut extractor, mut vector) = (Extractor::default(), [0.0; DIMENSION]);
        let embeddings = self.index.embeddings();
        let embedded = self.files.iter().map(|(_, [_, new])| {
            let mut row = [0.0; DIMENSION];
            embed(new, &mut row);
            row
        });
        let rows: Vec<_> = embedded.collect();
        [
            (
                "save: lines that differ",
                each(&mut |[old, new]| {
                    black_box(diff::edits(&Heap, old, new).is_ok());
                }),
            ),
            (
                "save: symbols and imports",
                each(&mut |[_, new]| {
                    let (mut symbols, mut imports) = (Vec::new(), Vec::new());
                    let found = extractor.symbols(new, &mut symbols);
                    black_box(
                        found
                            .and_then(|()| extractor.imports(new, &mut imports))
                            .is_ok(),
                    );
                }),
            ),
            (
                "save: words, counted",
                each(&mut |[old, new]| {
                    black_box([old, new].map(|text| terms(&Heap, text).is_ok()));
                }),
            ),
            (
                "save: embedding",
                each(&mut |[_, new]| embed(black_box(new), &mut vector)),
            ),
            (
                "save: near embeddings",
                per_operation(budget, || {
                    rows.iter()
                        .for_each(|row| drop(black_box(embeddings.plan(&Heap, row))));
                    rows.len()
                }),
            ),
            ("search: by words", asked(Ranking::Text)),
            ("search: by embeddings", asked(Ranking::Vector)),
            ("search: by graph", asked(Ranking::Graph)),
        ]
    }

    /// 1 − recall@10: of the ten nearest embeddings of each line, the share that the
    /// graph of neighbours does not find.
    pub fn missed(&self) -> f64 {
        let embeddings = self.index.embeddings();
        let mut vector = [0.0; DIMENSION];
        let (mut found, mut asked) = (0, 0);
        let texts = self.files.iter().map(|(_, [text, _])| text);
        for line in texts
            .flat_map(|text| text.lines())
            .filter(|line| line.len() > 20)
        {
            embed(line, &mut vector);
            let exact = embeddings.nearest_exactly(&vector, 10);
            let near = embeddings.nearest(&Heap, &vector, 10);
            let near = near.unwrap_or_default();
            let is_found = |id| near.iter().any(|near| near.id == id);
            found += exact.iter().filter(|exact| is_found(exact.id)).count();
            asked += exact.len();
        }
        1.0 - found as f64 / asked as f64
    }
}

/// Microseconds of each operation of `work`, which says how many it did.
fn per_operation(budget: Duration, mut work: impl FnMut() -> usize) -> f64 {
    let (began, mut operations) = (Instant::now(), 0);
    while began.elapsed() < budget || operations == 0 {
        operations += work();
    }
    began.elapsed().as_secs_f64() * 1e6 / operations as f64
}

/// The same text with a function more in its middle.
fn changed(text: &str) -> String {
    let ends = text.match_indices('\n').map(|(at, _)| at + 1);
    let middle = ends.into_iter().find(|at| at * 2 >= text.len());
    let (before, behind) = text.split_at(middle.unwrap_or(text.len()));
    format!("{before}pub fn added_between(a: u32) -> u32 {{\n    a + 1\n}}\n{behind}")
}

/// Some words of a text, as somebody would ask for it.
fn query(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphabetic());
    let long = words.filter(|word| word.len() > 4);
    let some: Vec<&str> = long.skip(20).step_by(7).take(3).collect();
    some.join(" ")
}
