//! What a database knows about its files, in memory: graph, words, embeddings.
//!
//! A save is done in two steps. [`Index::analyse`] reads both versions and works in
//! memory of the moment, which may run out; nothing has changed then. [`Index::apply`]
//! changes the index and cannot run out.

use super::bm25::{Term, TextIndex, count_terms};
use super::diff;
use super::graph::{Direction, EdgeKind, Graph};
use super::hnsw::{Hnsw, Near, Plan};
use super::memory::{Full, List, Memory, Purpose, Scope, with_scope};
use super::record;
use super::shelf::Id;
use super::symbols::{Extractor, Symbol, module_name, segments};
use super::words::{self, DIMENSION};
use rustc_hash::FxHashMap;

/// A file, as the index knows it.
#[derive(Debug)]
pub struct File {
    /// Its path.
    pub path: Box<str>,
    /// How often it was saved.
    pub version: u64,
    /// Its node in the graph.
    pub node: Id,
    embedding: Option<Id>,
}

/// The index of a database.
pub struct Index<M: Memory> {
    files: Vec<File>,
    by_path: FxHashMap<Box<str>, u32>,
    graph: Graph<M>,
    text: TextIndex,
    embeddings: Hnsw<M>,
    extractor: Extractor,
}

/// What a save changes, found out before anything is changed.
pub struct Analysis<'s, S: Scope> {
    /// The record of the change, to be stored.
    pub record: S::Text<'s>,
    /// What the save does; the version is known once it is applied.
    pub saved: Saved,
    symbols: S::List<'s, Symbol<'s>>,
    imports: S::List<'s, &'s str>,
    before: S::List<'s, Term>,
    after: S::List<'s, Term>,
    embedding: S::List<'s, f32>,
    plan: Plan,
}

/// What a save did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The file's version, from 1.
    pub version: u64,
    /// Lines that went.
    pub removed: u32,
    /// Lines that came.
    pub added: u32,
    /// Symbols that the file defines.
    pub symbols: u32,
    /// Imports that it has, known or not.
    pub imports: u32,
}

/// A file that a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit<'a> {
    /// Its path.
    pub path: &'a str,
    /// The fused score; comparable within one answer only.
    pub score: f32,
    /// Its rank by text, by embedding and in the graph; `None` where it has none.
    pub ranks: [Option<u32>; 3],
    /// The symbol that the query names, and its line.
    pub symbol: Option<(&'a str, u32)>,
}

/// Which rankings take part in a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// Text, embeddings and graph, fused.
    Hybrid,
    /// Words only.
    Text,
    /// Embeddings only.
    Vector,
    /// The graph only.
    Graph,
}

/// Ranks are fused by 1 / (FUSION + rank), summed: the usual 60 (Cormack 2009).
const FUSION: f32 = 60.0;

/// Files that each ranking hands to the fusion.
const SHORTLIST: usize = 64;

/// Files by text from which the graph is searched, beside symbols that are named.
const SEEDS: usize = 8;

/// What a step along an edge leaves of the relevance.
const DECAY: f32 = 0.5;

impl<M: Memory> Index<M> {
    /// An empty index.
    pub fn new(memory: &M) -> Self {
        Self {
            files: Vec::new(),
            by_path: FxHashMap::default(),
            graph: Graph::new(memory),
            text: TextIndex::default(),
            embeddings: Hnsw::new(memory),
            extractor: Extractor::default(),
        }
    }

    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.by_path
            .get(path)
            .map(|&file| &self.files[file as usize])
    }

    /// All files, in the order in which they were first saved.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The graph.
    pub fn graph(&self) -> &Graph<M> {
        &self.graph
    }

    /// The embeddings.
    pub fn embeddings(&self) -> &Hnsw<M> {
        &self.embeddings
    }

    /// Different words that were ever in a file.
    pub fn vocabulary(&self) -> usize {
        self.text.vocabulary()
    }

    /// Finds out what a save changes.
    ///
    /// # Errors
    ///
    /// If the scope has no room left; nothing has changed.
    pub fn analyse<'s, S: Scope>(
        &mut self,
        scope: &'s S,
        old: &str,
        new: &'s str,
    ) -> Result<Analysis<'s, S>, Full> {
        let edits = diff::edits(scope, old, new)?;
        let mut symbols = scope.list(new.len() / 256)?;
        self.extractor.symbols(new, &mut symbols)?;
        let mut imports = scope.list(8)?;
        self.extractor.imports(new, &mut imports)?;
        let before = terms(scope, old)?;
        let after = terms(scope, new)?;
        let mut embedding = scope.list(DIMENSION)?;
        embedding.fill(DIMENSION, 0.0)?;
        words::embed(new, &mut embedding);
        let plan = self.embeddings.plan(scope, &embedding)?;
        let record = record::write(scope, (old, new), &edits, &symbols, &imports)?;
        let saved = Saved {
            version: 0,
            removed: edits.iter().map(|edit| edit.removed).sum(),
            added: edits.iter().map(|edit| edit.added).sum(),
            symbols: u32::try_from(symbols.len()).unwrap_or(u32::MAX),
            imports: u32::try_from(imports.len()).unwrap_or(u32::MAX),
        };
        Ok(Analysis {
            record,
            saved,
            symbols,
            imports,
            before,
            after,
            embedding,
            plan,
        })
    }

    /// Both steps, for a file that is stored already or not at all.
    pub fn update(&mut self, memory: &M, path: &str, old: &str, new: &str) -> Saved {
        with_scope!(*memory, Purpose::Primitive, |scope| self
            .analyse(scope, old, new)
            .map(|found| Saved {
                version: self.apply(path, &found),
                ..found.saved
            }))
    }

    /// Makes `path` what the analysis found, and answers its version.
    pub fn apply<S: Scope>(&mut self, path: &str, found: &Analysis<'_, S>) -> u64 {
        let number = self.file_number(path);
        let file = &mut self.files[number as usize];
        file.version += 1;
        let (version, node) = (file.version, file.node);
        if let Some(embedding) = file.embedding.take() {
            self.text.remove(number, &found.before);
            self.embeddings.remove(embedding);
        }
        self.text.add(number, &found.after);
        let embedding = self.embeddings.add(&found.plan, &found.embedding, number);
        self.files[number as usize].embedding = Some(embedding);
        self.graph.clear_file(node);
        for symbol in found.symbols.iter() {
            let symbol = self
                .graph
                .add(symbol.name, Some(symbol.kind), number, symbol.line);
            self.graph.connect(node, symbol, EdgeKind::Contains);
        }
        for import in found.imports.iter() {
            let Some(target) = self.resolve(number, import) else {
                continue;
            };
            if !self.graph.connected(node, target, EdgeKind::Imports) {
                self.graph.connect(node, target, EdgeKind::Imports);
            }
        }
        version
    }

    /// Sets the version of a file that was read back from a store.
    pub fn set_version(&mut self, path: &str, version: u64) {
        if let Some(&file) = self.by_path.get(path) {
            self.files[file as usize].version = version;
        }
    }

    /// Links two files; `false` if they were linked so already, `None` if one is not there.
    pub fn link(&mut self, from: &str, to: &str, kind: &str) -> Option<bool> {
        let (from, to) = (self.file(from)?.node, self.file(to)?.node);
        let kind = EdgeKind::Link(self.graph.intern(kind));
        let new = !self.graph.connected(from, to, kind);
        if new {
            self.graph.connect(from, to, kind);
        }
        Some(new)
    }

    /// Makes a path known, so that imports of it are understood before it is applied.
    pub fn announce(&mut self, path: &str) {
        self.file_number(path);
    }

    fn file_number(&mut self, path: &str) -> u32 {
        if let Some(&number) = self.by_path.get(path) {
            return number;
        }
        let number = u32::try_from(self.files.len()).expect("fewer than 2³² files");
        let node = self.graph.add(module_name(path), None, number, 0);
        self.files.push(File {
            path: path.into(),
            version: 0,
            node,
            embedding: None,
        });
        self.by_path.insert(path.into(), number);
        number
    }

    /// The file that an import means: of those with the name of its last known
    /// segment, the one whose path has most in common with the importer's.
    fn resolve(&self, importer: u32, import: &str) -> Option<Id> {
        let own = &self.files[importer as usize].path;
        let in_common = |id: &u32| common_prefix(&self.files[*id as usize].path, own);
        segments(import).find_map(|segment| {
            let named = self.graph.named(words::hash_of_name(segment));
            let files = named.filter(|(_, node)| node.symbol.is_none() && node.file != importer);
            let best = files
                .map(|(_, node)| node.file)
                .max_by_key(|id| (in_common(id), u32::MAX - id));
            best.map(|file| self.files[file as usize].node)
        })
    }

    /// The files that a query means, the best first.
    ///
    /// # Errors
    ///
    /// If the scope has no room left.
    pub fn search<'s, S: Scope>(
        &'s self,
        scope: &'s S,
        query: &str,
        ranking: Ranking,
        count: usize,
    ) -> Result<S::List<'s, Hit<'s>>, Full> {
        let mut words = scope.list::<u64>(16)?;
        words::each_word(query, |word, _| words.push(word))?;
        let takes_part = |which| ranking == which || ranking == Ranking::Hybrid;
        let by_text = self.text.score(scope, &words)?;
        let mut fused = scope.list(self.files.len())?;
        fused.fill(self.files.len(), Fused::default())?;
        if takes_part(Ranking::Text) {
            fuse(&mut fused, 0, &best(scope, &by_text, SHORTLIST)?);
        }
        if takes_part(Ranking::Vector) {
            fuse(&mut fused, 1, &self.by_embedding(scope, query)?);
        }
        if takes_part(Ranking::Graph) {
            let scores = self.by_graph(scope, &words, &by_text)?;
            fuse(&mut fused, 2, &best(scope, &scores, SHORTLIST)?);
        }
        let mut scores = scope.list(fused.len())?;
        for file in fused.iter() {
            scores.push(file.score)?;
        }
        let mut hits = scope.list(count)?;
        for &file in best(scope, &scores, count)?.iter() {
            hits.push(self.hit(file, &fused[file as usize], &words))?;
        }
        Ok(hits)
    }

    fn by_embedding<'s, S: Scope>(
        &self,
        scope: &'s S,
        query: &str,
    ) -> Result<S::List<'s, u32>, Full> {
        let mut embedding = scope.list(DIMENSION)?;
        embedding.fill(DIMENSION, 0.0)?;
        words::embed(query, &mut embedding);
        let near: S::List<'s, Near> = self.embeddings.nearest(scope, &embedding, SHORTLIST)?;
        let mut files = scope.list(near.len())?;
        for near in near.iter().filter(|near| near.similarity > 0.0) {
            if let Some(file) = self.embeddings.file(near.id) {
                files.push(file)?;
            }
        }
        Ok(files)
    }

    /// Relevance that flows from the symbols that a query names, and from the best
    /// files by text, along edges in both directions.
    fn by_graph<'s, S: Scope>(
        &self,
        scope: &'s S,
        words: &[u64],
        by_text: &[f32],
    ) -> Result<S::List<'s, f32>, Full> {
        let mut scores = scope.list(self.files.len())?;
        scores.fill(self.files.len(), 0.0)?;
        let mut seeds = scope.list::<(u32, f32)>(SEEDS)?;
        for &word in words {
            let found = self.graph.named(word).count();
            for (_, node) in self.graph.named(word) {
                seeds.push((node.file, 1.0 / (1.0 + found as f32)))?;
            }
        }
        for (rank, &file) in best(scope, by_text, SEEDS)?.iter().enumerate() {
            seeds.push((file, 1.0 / (2.0 + rank as f32)))?;
        }
        for &(file, relevance) in seeds.iter() {
            scores[file as usize] += relevance;
            let node = self.files[file as usize].node;
            for direction in [Direction::Out, Direction::In] {
                for (kind, other) in self.graph.neighbours(node, direction) {
                    let Some(other) = self.graph.node(other) else {
                        continue;
                    };
                    if kind != EdgeKind::Contains {
                        scores[other.file as usize] += relevance * DECAY;
                    }
                }
            }
        }
        Ok(scores)
    }

    fn hit<'s>(&'s self, file: u32, fused: &Fused, words: &[u64]) -> Hit<'s> {
        let named = words.iter().flat_map(|&word| self.graph.named(word));
        let mut inside = named.filter(|(_, node)| node.file == file && node.symbol.is_some());
        let symbol = inside
            .next()
            .map(|(_, node)| (self.graph.name(node.name), node.line));
        Hit {
            path: &self.files[file as usize].path,
            score: fused.score,
            ranks: fused.ranks,
            symbol,
        }
    }
}

/// A file's ranks and what they add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Fused {
    score: f32,
    ranks: [Option<u32>; 3],
}

fn fuse(fused: &mut [Fused], which: usize, ranked: &[u32]) {
    for (rank, &file) in (1_u32..).zip(ranked) {
        let file = &mut fused[file as usize];
        file.score += 1.0 / (FUSION + rank as f32);
        file.ranks[which] = Some(rank);
    }
}

/// The numbers of the `count` highest scores above 0, the highest first.
fn best<'s, S: Scope>(
    scope: &'s S,
    scores: &[f32],
    count: usize,
) -> Result<S::List<'s, u32>, Full> {
    let mut files = scope.list(scores.len())?;
    for (file, _) in (0_u32..).zip(scores).filter(|(_, score)| **score > 0.0) {
        files.push(file)?;
    }
    let order = |a: &u32, b: &u32| {
        scores[*b as usize]
            .total_cmp(&scores[*a as usize])
            .then(a.cmp(b))
    };
    if files.len() > count && count > 0 {
        files.select_nth_unstable_by(count - 1, order);
    }
    files.truncate(count);
    files.sort_unstable_by(order);
    Ok(files)
}

pub(super) fn terms<'s, S: Scope>(scope: &'s S, text: &str) -> Result<S::List<'s, Term>, Full> {
    let mut hashes = scope.list::<u64>(text.len() / 4)?;
    words::each_word(text, |word, _| hashes.push(word))?;
    let mut terms = scope.list(hashes.len() / 3)?;
    count_terms(&mut hashes, &mut terms)?;
    Ok(terms)
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

impl<M: Memory> std::fmt::Debug for Index<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("files", &self.files.len())
            .field("graph", &self.graph)
            .finish_non_exhaustive()
    }
}

impl<S: Scope> std::fmt::Debug for Analysis<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analysis")
            .field("saved", &self.saved)
            .finish_non_exhaustive()
    }
}
