//! Real input: the code of the corpus as a graph whose edges are ids.
//!
//! ```text
//!  file ──defines──▶ symbol          an edge is an id, a key, or an Rc
//!    └────imports──▶ file
//! ```
//!
//! One life: put every file and symbol in and connect them; walk what is reachable
//! from some files; take everything out. The lists of edges are plain vectors for
//! all; every contender must arrive at the same checksum.

use super::graph::{Checksum, agree, in_micros, mix_word};
use super::{kinds, rows, time};
use anyhow::Result;
use millpond_bench::runner::Contest;
use millpond_bench::worker::{Measurement, Request};
use millpond_fixed::{Id, IdPool};
use millpond_workloads::codebase::symbols::{Extractor, Symbol, module_name, segments};
use millpond_workloads::codebase::words::hash_of_name;
use millpond_workloads::corpus::Document;
use slotmap::{DefaultKey, SlotMap};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Nodes that are counted, and live where the allocator puts them.
const COUNTED: &str = "Rc<RefCell<_>>";

/// Who takes part.
pub const CONTENDERS: usize = 3;

/// Text of the corpus that becomes a graph.
const SOME_BYTES: usize = 1_500_000;

/// Files that a walk begins at, evenly spread.
const WALKS: usize = 16;

pub fn measure(request: &Request) -> Result<Vec<Measurement>> {
    let documents = crate::workloads::documents(request, SOME_BYTES)?;
    let plan = Rc::new(Plan::of(&documents)?);
    let mut contest = Contest::new();
    let nodes = plan.names.len();
    let checksums = [
        enter(&mut contest, kinds::IDS, &plan, Ids(IdPool::new(nodes))),
        enter(
            &mut contest,
            kinds::SLOTMAP,
            &plan,
            Keys(SlotMap::with_capacity(nodes)),
        ),
        enter(&mut contest, COUNTED, &plan, Counted),
    ];
    let timed = contest.run(time::schedule_of(request));
    agree(&checksums)?;
    Ok(in_micros(rows::CODE, timed))
}

fn enter(
    contest: &mut Contest<'static>,
    name: &str,
    plan: &Rc<Plan>,
    mut store: impl Store + 'static,
) -> Checksum {
    let (plan, checksum) = (Rc::clone(plan), Checksum::default());
    let found = Rc::clone(&checksum);
    contest.add(name, move |lives| {
        let (sum, elapsed) = live(&plan, &mut store, lives);
        found.set(sum);
        elapsed
    });
    checksum
}

/// The code as numbers: nothing here is timed.
struct Plan {
    /// Of files, then of symbols.
    names: Vec<u64>,
    edges: Vec<(u32, u32)>,
    starts: Vec<u32>,
}

impl Plan {
    fn of(documents: &[Document]) -> Result<Self> {
        let mut extractor = Extractor::default();
        let mut files = HashMap::<&str, u32>::new();
        let mut names = Vec::new();
        for (file, document) in (0..).zip(documents) {
            let module = module_name(&document.path);
            files.entry(module).or_insert(file);
            names.push(hash_of_name(module));
        }
        let mut edges = Vec::new();
        for (file, document) in (0..).zip(documents) {
            let mut symbols = Vec::<Symbol<'_>>::new();
            let found = extractor.symbols(&document.text, &mut symbols);
            found.expect("a vector grows");
            for symbol in symbols {
                edges.push((file, u32::try_from(names.len())?));
                names.push(hash_of_name(symbol.name));
            }
            let mut imports = Vec::new();
            let found = extractor.imports(&document.text, &mut imports);
            found.expect("a vector grows");
            let imported = imports.into_iter().filter_map(|import| {
                let mut known = segments(import).filter_map(|segment| files.get(segment));
                known.find(|&&known| known != file).copied()
            });
            edges.extend(imported.map(|imported| (file, imported)));
        }
        let apart = documents.len().div_ceil(WALKS);
        let starts = (0..documents.len()).step_by(apart);
        Ok(Self {
            names,
            edges,
            starts: starts.map(|file| file as u32).collect(),
        })
    }
}

/// A file or a symbol, in a store whose edges are `E`.
struct Node<E> {
    name: u64,
    /// The last walk that was here.
    visited: u64,
    edges: Vec<E>,
}

impl<E: Clone> Node<E> {
    const fn named(name: u64) -> Self {
        Self {
            name,
            visited: 0,
            edges: Vec::new(),
        }
    }

    /// Folds the node into `sum` and puts its edges `ahead`, once in a walk.
    #[inline]
    fn visit(&mut self, walk: u64, sum: u64, ahead: &mut Vec<E>) -> u64 {
        if self.visited == walk {
            return sum;
        }
        self.visited = walk;
        ahead.extend_from_slice(&self.edges);
        mix_word(sum, self.name)
    }
}

/// Where nodes live.
trait Store {
    /// Names a node, for its owner and for other nodes.
    type Edge: Clone;

    fn insert(&mut self, name: u64) -> Self::Edge;

    /// Does `work` with the node that `edge` names.
    fn with<R>(&mut self, edge: &Self::Edge, work: impl FnOnce(&mut Node<Self::Edge>) -> R) -> R;

    /// Takes the node out, and its edges with it.
    fn remove(&mut self, edge: Self::Edge);
}

struct Ids(IdPool<ById>);
struct ById(Node<Id<ById>>);

impl Store for Ids {
    type Edge = Id<ById>;

    #[inline]
    fn insert(&mut self, name: u64) -> Id<ById> {
        let inserted = self.0.try_insert(ById(Node::named(name)));
        inserted.expect("within the capacity")
    }

    #[inline]
    fn with<R>(&mut self, id: &Id<ById>, work: impl FnOnce(&mut Node<Id<ById>>) -> R) -> R {
        work(&mut self.0.get_mut(*id).expect("not removed").0)
    }

    #[inline]
    fn remove(&mut self, id: Id<ById>) {
        drop(self.0.remove(id));
    }
}

struct Keys(SlotMap<DefaultKey, Node<DefaultKey>>);

impl Store for Keys {
    type Edge = DefaultKey;

    #[inline]
    fn insert(&mut self, name: u64) -> DefaultKey {
        self.0.insert(Node::named(name))
    }

    #[inline]
    fn with<R>(&mut self, key: &DefaultKey, work: impl FnOnce(&mut Node<DefaultKey>) -> R) -> R {
        work(self.0.get_mut(*key).expect("not removed"))
    }

    #[inline]
    fn remove(&mut self, key: DefaultKey) {
        drop(self.0.remove(key));
    }
}

struct Counted;
struct ByCount(RefCell<Node<Rc<ByCount>>>);

impl Store for Counted {
    type Edge = Rc<ByCount>;

    #[inline]
    fn insert(&mut self, name: u64) -> Rc<ByCount> {
        Rc::new(ByCount(RefCell::new(Node::named(name))))
    }

    #[inline]
    fn with<R>(&mut self, node: &Rc<ByCount>, work: impl FnOnce(&mut Node<Rc<ByCount>>) -> R) -> R {
        work(&mut node.0.borrow_mut())
    }

    /// Cuts the edges, without which a circle of imports would never be freed.
    #[inline]
    fn remove(&mut self, node: Rc<ByCount>) {
        let edges = std::mem::take(&mut node.0.borrow_mut().edges);
        drop(edges);
    }
}

/// Lives `lives` times in the same store; the last checksum, and the time.
#[inline(never)]
fn live<S: Store>(plan: &Plan, store: &mut S, lives: u64) -> (u64, Duration) {
    let mut nodes = Vec::with_capacity(plan.names.len());
    let mut ahead = Vec::with_capacity(plan.edges.len());
    let mut sum = 0;
    let began = Instant::now();
    for _ in 0..lives {
        nodes.extend(plan.names.iter().map(|&name| store.insert(name)));
        for &(from, to) in &plan.edges {
            let to = nodes[to as usize].clone();
            store.with(&nodes[from as usize], |node| node.edges.push(to));
        }
        sum = 0;
        for (walk, &start) in (1..).zip(&plan.starts) {
            ahead.push(nodes[start as usize].clone());
            while let Some(edge) = ahead.pop() {
                sum = store.with(&edge, |node| node.visit(walk, sum, &mut ahead));
            }
        }
        nodes.drain(..).for_each(|node| store.remove(node));
    }
    (sum, began.elapsed())
}
