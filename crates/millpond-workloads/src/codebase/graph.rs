//! The graph of files and symbols, with typed edges.
//!
//! ```text
//!   file ──contains──▶ symbol          node   first edge out ─▶ edge ─▶ edge
//!     │                                       first edge in  ─▶ edge
//!     ├──imports────▶ file             edge   from, to, kind, neighbours in both lists
//!     └──link───────▶ file
//! ```
//!
//! Nodes and edges are objects on shelves, linked by ids. Removing a node removes
//! its edges; nobody keeps a reference that could dangle.

use super::memory::Memory;
use super::shelf::{Id, Shelf};
use super::symbols::SymbolKind;
use rustc_hash::FxHashMap;

/// An interned name.
pub type NameId = u32;

/// A file or a symbol.
#[derive(Clone, Debug)]
pub struct Node {
    /// The symbol's name; of a file, its module name.
    pub name: NameId,
    /// `None` for a file.
    pub symbol: Option<SymbolKind>,
    /// The number of the file that it is, or that it is in.
    pub file: u32,
    /// Its line; 0 for a file.
    pub line: u32,
    ends: [Option<Id>; 2],
    namesake: Option<Id>,
}

/// What an edge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EdgeKind {
    /// A file contains a symbol.
    Contains,
    /// A file imports a file.
    Imports,
    /// A user linked two files, and named the link.
    Link(NameId),
}

#[derive(Clone, Debug)]
struct Edge {
    kind: EdgeKind,
    /// From and to.
    nodes: [Id; 2],
    /// The next edge out of `nodes[0]` and into `nodes[1]`.
    next: [Option<Id>; 2],
    previous: [Option<Id>; 2],
}

/// The direction in which edges are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a node to what it contains, imports or links to.
    Out,
    /// To a node from what contains, imports or links to it.
    In,
}

/// Files, symbols, and what connects them.
pub struct Graph<M: Memory> {
    nodes: Shelf<Node, M::Pool<Node>>,
    edges: Shelf<Edge, M::Pool<Edge>>,
    names: Names,
    /// The first node of each name, by the hash of its lower case.
    namesakes: FxHashMap<u64, Option<Id>>,
}

#[derive(Debug, Default)]
struct Names {
    ids: FxHashMap<Box<str>, NameId>,
    texts: Vec<(Box<str>, u64)>,
}

/// Nodes and edges that a pool has room for at first.
const POOL: usize = 10_000;

impl<M: Memory> Graph<M> {
    /// An empty graph.
    pub fn new(memory: &M) -> Self {
        Self {
            nodes: Shelf::new(memory.pool("graph nodes", POOL)),
            edges: Shelf::new(memory.pool("graph edges", POOL)),
            names: Names::default(),
            namesakes: FxHashMap::default(),
        }
    }

    /// The id of a name, new if it was not there.
    pub fn intern(&mut self, name: &str) -> NameId {
        if let Some(&id) = self.names.ids.get(name) {
            return id;
        }
        let id = NameId::try_from(self.names.texts.len()).expect("fewer than 2³² names");
        self.names.ids.insert(name.into(), id);
        self.names
            .texts
            .push((name.into(), super::words::hash_of_name(name)));
        id
    }

    /// The text of a name.
    pub fn name(&self, id: NameId) -> &str {
        &self.names.texts[id as usize].0
    }

    /// Adds a node.
    pub fn add(&mut self, name: &str, symbol: Option<SymbolKind>, file: u32, line: u32) -> Id {
        let name = self.intern(name);
        let head = self
            .namesakes
            .entry(self.names.texts[name as usize].1)
            .or_default();
        let node = Node {
            name,
            symbol,
            file,
            line,
            ends: [None; 2],
            namesake: *head,
        };
        let id = self.nodes.put(node);
        *head = Some(id);
        id
    }

    /// The node, unless it was removed.
    pub fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The nodes whose name has this hash, whatever its case.
    pub fn named(&self, hash: u64) -> impl Iterator<Item = (Id, &Node)> {
        let mut next = self.namesakes.get(&hash).copied().flatten();
        std::iter::from_fn(move || {
            let id = next?;
            let node = self.nodes.get(id)?;
            next = node.namesake;
            Some((id, node))
        })
    }

    /// Connects two nodes; nothing happens if one of them is gone.
    pub fn connect(&mut self, from: Id, to: Id, kind: EdgeKind) {
        let (Some(source), Some(target)) = (self.nodes.get(from), self.nodes.get(to)) else {
            return;
        };
        let next = [source.ends[0], target.ends[1]];
        let edge = self.edges.put(Edge {
            kind,
            nodes: [from, to],
            next,
            previous: [None; 2],
        });
        for (side, after) in next.into_iter().enumerate() {
            if let Some(after) = after.and_then(|id| self.edges.get_mut(id)) {
                after.previous[side] = Some(edge);
            }
        }
        for (side, end) in [from, to].into_iter().enumerate() {
            if let Some(node) = self.nodes.get_mut(end) {
                node.ends[side] = Some(edge);
            }
        }
    }

    /// The neighbours of a node, with the kind of the edge that leads there.
    pub fn neighbours(&self, id: Id, direction: Direction) -> impl Iterator<Item = (EdgeKind, Id)> {
        let side = usize::from(direction == Direction::In);
        let mut next = self.nodes.get(id).and_then(|node| node.ends[side]);
        std::iter::from_fn(move || {
            let edge = self.edges.get(next?)?;
            next = edge.next[side];
            Some((edge.kind, edge.nodes[1 - side]))
        })
    }

    /// Whether such an edge is there.
    pub fn connected(&self, from: Id, to: Id, kind: EdgeKind) -> bool {
        self.neighbours(from, Direction::Out)
            .any(|found| found == (kind, to))
    }

    /// Removes what a file contains and imports; what others say of it stays, and so
    /// do its links.
    pub fn clear_file(&mut self, file: Id) {
        let mut next = self.nodes.get(file).and_then(|node| node.ends[0]);
        while let Some(edge) = next.and_then(|id| self.edges.get(id)).cloned() {
            let id = next.expect("just looked up");
            next = edge.next[0];
            match edge.kind {
                EdgeKind::Link(_) => continue,
                EdgeKind::Contains => self.remove(edge.nodes[1]),
                EdgeKind::Imports => self.disconnect(id),
            }
        }
    }

    /// Removes a node with its edges.
    fn remove(&mut self, id: Id) {
        for side in 0..2 {
            while let Some(edge) = self.nodes.get(id).and_then(|node| node.ends[side]) {
                self.disconnect(edge);
            }
        }
        self.forget_name(id);
        self.nodes.remove(id);
    }

    fn disconnect(&mut self, id: Id) {
        let Some(edge) = self.edges.get(id).cloned() else {
            return;
        };
        for side in 0..2 {
            if let Some(after) = edge.next[side].and_then(|id| self.edges.get_mut(id)) {
                after.previous[side] = edge.previous[side];
            }
            if let Some(before) = edge.previous[side] {
                if let Some(before) = self.edges.get_mut(before) {
                    before.next[side] = edge.next[side];
                }
            } else if let Some(node) = self.nodes.get_mut(edge.nodes[side]) {
                node.ends[side] = edge.next[side];
            }
        }
        self.edges.remove(id);
    }

    /// Takes a node out of the list of its name.
    fn forget_name(&mut self, id: Id) {
        let Some(node) = self.nodes.get(id) else {
            return;
        };
        let (name, after) = (node.name, node.namesake);
        let Some(head) = self.namesakes.get_mut(&self.names.texts[name as usize].1) else {
            return;
        };
        if *head == Some(id) {
            *head = after;
            return;
        }
        let mut next = *head;
        while let Some(at) = next {
            let Some(before) = self.nodes.get_mut(at) else {
                return;
            };
            if before.namesake == Some(id) {
                before.namesake = after;
                return;
            }
            next = before.namesake;
        }
    }

    /// Nodes and edges.
    pub fn size(&self) -> (usize, usize) {
        (self.nodes.count(), self.edges.count())
    }
}

impl<M: Memory> std::fmt::Debug for Graph<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (nodes, edges) = self.size();
        f.debug_struct("Graph")
            .field("nodes", &nodes)
            .field("edges", &edges)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebase::heap::Heap;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Against the plainest model there is: a set of edges.
        #[test]
        fn the_graph_is_the_set_of_its_edges(
            steps in prop::collection::vec((0_u32..6, 0_u32..6, 0..4), 0..60),
        ) {
            let mut graph = Graph::new(&Heap);
            let files: Vec<Id> = (0..6).map(|n| graph.add(&format!("f{n}"), None, n, 0)).collect();
            let mut model = BTreeSet::new();
            for (from, to, what) in steps {
                let (a, b) = (files[from as usize], files[to as usize]);
                match what {
                    0 => {
                        graph.clear_file(a);
                        model.retain(|&(f, _)| f != from);
                    }
                    1 => {
                        let symbol = graph.add("symbol", Some(SymbolKind::Type), from, 1);
                        graph.connect(a, symbol, EdgeKind::Contains);
                        prop_assert_eq!(graph.named(super::super::words::hash_of_name("SYMBOL")).next().unwrap().0, symbol);
                    }
                    _ => {
                        if !graph.connected(a, b, EdgeKind::Imports) {
                            graph.connect(a, b, EdgeKind::Imports);
                            model.insert((from, to));
                        }
                    }
                }
            }
            let number = |id| graph.node(id).unwrap().file;
            fn graph_edges(graph: &Graph<Heap>, id: Id, direction: Direction) -> Vec<(Id, Id)> {
                graph.neighbours(id, direction).filter(|(kind, _)| *kind == EdgeKind::Imports)
                    .map(|(_, other)| if direction == Direction::Out { (id, other) } else { (other, id) }).collect()
            }
            for direction in [Direction::Out, Direction::In] {
                let found: BTreeSet<_> = files.iter().flat_map(|&f| graph_edges(&graph, f, direction))
                    .map(|(a, b)| (number(a), number(b))).collect();
                prop_assert_eq!(&found, &model);
            }
        }
    }

    #[test]
    fn a_symbol_that_is_gone_is_not_found_by_its_name() {
        let mut graph = Graph::new(&Heap);
        let file = graph.add("pool", None, 0, 0);
        for line in 1..4 {
            let symbol = graph.add("acquire", Some(SymbolKind::Function), 0, line);
            graph.connect(file, symbol, EdgeKind::Contains);
        }
        let hash = super::super::words::hash_of_name("acquire");
        assert_eq!(graph.named(hash).count(), 3);
        graph.clear_file(file);
        assert_eq!(graph.named(hash).count(), 0);
        assert_eq!(graph.size(), (1, 0));
    }
}
