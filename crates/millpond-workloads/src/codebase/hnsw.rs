//! Nearest embeddings: a hierarchical navigable small world.
//!
//! ```text
//!   level 2   ●───────────────────────●            few nodes, long links
//!   level 1   ●─────────●─────────────●────●       up to 16 links a node
//!   level 0   ●──●──●───●──●──●──●────●────●──●    all nodes, up to 32 links
//! ```
//!
//! A search walks down greedily and widens at the bottom. Links are ids, so a link
//! to a node that was removed answers nothing; a removal also reconnects the
//! neighbours that are left behind. Levels are drawn from a counter: the same
//! insertions give the same graph in every memory mode.

use super::memory::{Full, List, Memory, Rows, Scope};
use super::shelf::{Id, Shelf};
use super::words::{self, DIMENSION};
use std::cmp::Ordering;

/// Links of a node above level 0, and at level 0: twice as many, as its inventors
/// recommend (Malkov, Yashunin 2016).
const LINKS: usize = 16;
const LINKS_AT_BOTTOM: usize = 2 * LINKS;

/// Candidates kept while inserting. 100 gives recall@10 of 0.99 on 10,000 random
/// rows of 256 dimensions with `SEARCH_WIDTH`.
const BUILD_WIDTH: usize = 100;

/// Candidates kept while searching, at least.
const SEARCH_WIDTH: usize = 96;

/// Levels above the bottom; 16⁶ nodes fill them.
const TOP: usize = 6;

/// Ids of neighbours, in place.
#[derive(Clone, Debug)]
struct Links<const N: usize> {
    ids: [Option<Id>; N],
    len: u8,
}

impl<const N: usize> Links<N> {
    const NONE: Self = Self {
        ids: [None; N],
        len: 0,
    };
}

impl<const N: usize> Links<N> {
    fn of(ids: impl Iterator<Item = Id>) -> Self {
        let mut links = Self::NONE;
        for id in ids.take(N) {
            links.push(id);
        }
        links
    }

    fn ids(&self) -> &[Option<Id>] {
        &self.ids[..self.len as usize]
    }

    fn iter(&self) -> impl Iterator<Item = Id> {
        self.ids().iter().flatten().copied()
    }
}

/// Links of a level, whatever their number, to be changed.
trait Change {
    /// `false` if there is no room.
    fn push(&mut self, id: Id) -> bool;
    fn forget(&mut self, id: Id);
    fn set(&mut self, ids: &[Option<Id>]);
}

impl<const N: usize> Change for Links<N> {
    fn push(&mut self, id: Id) -> bool {
        let Some(place) = self.ids.get_mut(self.len as usize) else {
            return false;
        };
        *place = Some(id);
        self.len += 1;
        true
    }

    fn forget(&mut self, id: Id) {
        if let Some(at) = self.ids().iter().position(|&found| found == Some(id)) {
            self.len -= 1;
            self.ids.swap(at, self.len as usize);
        }
    }

    fn set(&mut self, ids: &[Option<Id>]) {
        *self = Self::of(ids.iter().flatten().copied());
    }
}

#[derive(Debug)]
struct Node<R> {
    row: R,
    file: u32,
    level: u8,
    bottom: Links<LINKS_AT_BOTTOM>,
    /// The node's links on level 1; those of level 2 hang behind it.
    upper: Option<Id>,
}

#[derive(Debug)]
struct Upper {
    links: Links<LINKS>,
    above: Option<Id>,
}

/// A node and how similar it is to what was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// The node.
    pub id: Id,
    /// The inner product.
    pub similarity: f32,
}

impl Near {
    /// The more similar first; equal ones by place, so that every mode agrees.
    fn rank(&self, other: &Self) -> Ordering {
        other
            .similarity
            .total_cmp(&self.similarity)
            .then(self.id.index().cmp(&other.id.index()))
    }
}

/// A node whose row is where the memory keeps rows.
type NodeOf<M> = Node<<<M as Memory>::Rows as Rows>::Id>;

/// Embeddings, and the graph by which near ones are found.
pub struct Hnsw<M: Memory> {
    nodes: Shelf<NodeOf<M>, M::Pool<NodeOf<M>>>,
    uppers: Shelf<Upper, M::Pool<Upper>>,
    rows: M::Rows,
    entry: Option<Id>,
    inserted: u64,
}

/// Where a new embedding will be linked: found first, because finding may run out
/// of room, and done then, because that cannot.
#[derive(Debug)]
pub struct Plan {
    level: usize,
    links: [Links<LINKS_AT_BOTTOM>; TOP + 1],
}

/// Nodes that a pool has room for at first.
const POOL: usize = 10_000;

impl<M: Memory> Hnsw<M> {
    /// An empty graph.
    pub fn new(memory: &M) -> Self {
        Self {
            nodes: Shelf::new(memory.pool("embedding nodes", POOL)),
            uppers: Shelf::new(memory.pool("embedding levels", POOL / LINKS)),
            rows: memory.rows(DIMENSION),
            entry: None,
            inserted: 0,
        }
    }

    /// The file that a node stands for.
    pub fn file(&self, id: Id) -> Option<u32> {
        self.nodes.get(id).map(|node| node.file)
    }

    /// Where the embeddings are.
    pub fn rows(&self) -> &M::Rows {
        &self.rows
    }

    /// Embeddings in the graph.
    pub fn count(&self) -> usize {
        self.nodes.count()
    }

    /// The `count` nodes nearest to `query`, the nearest first.
    ///
    /// # Errors
    ///
    /// If the scope has no room left.
    pub fn nearest<'s, S: Scope>(
        &self,
        scope: &'s S,
        query: &[f32],
        count: usize,
    ) -> Result<S::List<'s, Near>, Full> {
        let mut found = scope.list(count.max(SEARCH_WIDTH) + 1)?;
        let Some((mut at, top)) = self.entry_point(query) else {
            return Ok(found);
        };
        for level in (1..=top).rev() {
            at = self.descend(query, at, level);
        }
        let mut walk = Walk::new(scope, self.nodes.reach())?;
        self.widen(query, at, 0, count.max(SEARCH_WIDTH), &mut walk, &mut found)?;
        found.truncate(count);
        Ok(found)
    }

    /// The `count` nearest, by looking at all: what [`Hnsw::nearest`] is measured by.
    #[must_use]
    pub fn nearest_exactly(&self, query: &[f32], count: usize) -> Vec<Near> {
        let mut all: Vec<Near> = self.nodes.ids().map(|id| self.near(query, id)).collect();
        all.sort_unstable_by(Near::rank);
        all.truncate(count);
        all
    }

    /// Finds where an embedding belongs.
    ///
    /// # Errors
    ///
    /// If the scope has no room left.
    pub fn plan<S: Scope>(&self, scope: &S, row: &[f32]) -> Result<Plan, Full> {
        let level = drawn_level(self.inserted);
        let mut links = [const { Links::NONE }; TOP + 1];
        if let Some((mut at, top)) = self.entry_point(row) {
            for above in (level + 1..=top).rev() {
                at = self.descend(row, at, above);
            }
            let mut walk = Walk::new(scope, self.nodes.reach())?;
            let mut found = scope.list(BUILD_WIDTH + 1)?;
            for at_level in (0..=level.min(top)).rev() {
                self.widen(row, at, at_level, BUILD_WIDTH, &mut walk, &mut found)?;
                links[at_level] = Links::of(self.diverse(&found, room(at_level) / 2));
                at = found[0];
                found.truncate(0);
                walk.forget();
            }
        }
        Ok(Plan { level, links })
    }

    /// Adds an embedding where the plan says.
    pub fn add(&mut self, plan: &Plan, row: &[f32], file: u32) -> Id {
        let mut upper = None;
        for level in (1..=plan.level).rev() {
            let links = Links::of(plan.links[level].iter());
            upper = Some(self.uppers.put(Upper {
                links,
                above: upper,
            }));
        }
        let row = self.rows.put(row);
        let level = u8::try_from(plan.level).expect("at most TOP");
        let top = self
            .entry
            .and_then(|id| self.nodes.get(id))
            .map(|node| node.level);
        let id = self.nodes.put(Node {
            row,
            file,
            level,
            bottom: plan.links[0].clone(),
            upper,
        });
        for level in 0..=plan.level {
            for neighbour in plan.links[level].iter() {
                self.link(neighbour, id, level);
            }
        }
        if top.is_none_or(|top| level > top) {
            self.entry = Some(id);
        }
        self.inserted += 1;
        id
    }

    /// Removes an embedding, and reconnects those that were linked to it.
    pub fn remove(&mut self, id: Id) {
        let Some(level) = self.nodes.get(id).map(|node| node.level as usize) else {
            return;
        };
        for level in 0..=level {
            self.detach(id, level);
        }
        let node = self.nodes.get(id).expect("looked up above");
        let (row, mut upper) = (node.row, node.upper);
        while let Some(gone) = upper {
            upper = self.uppers.get(gone).and_then(|upper| upper.above);
            self.uppers.remove(gone);
        }
        self.rows.take(row);
        self.nodes.remove(id);
        if self.entry == Some(id) {
            let level = |id: &Id| self.nodes.get(*id).map_or(0, |node| node.level);
            self.entry = self
                .nodes
                .ids()
                .max_by(|a, b| level(a).cmp(&level(b)).then(b.index().cmp(&a.index())));
        }
    }

    /// Takes `id` out of its neighbours' links on one level; each gets the best of
    /// the others instead.
    fn detach(&mut self, id: Id, level: usize) {
        let left = Links::<LINKS_AT_BOTTOM>::of(self.live_links(id, level));
        for neighbour in left.iter() {
            self.with_links(neighbour, level, |links| links.forget(id));
        }
        for neighbour in left.iter() {
            let best = left
                .iter()
                .filter(|&other| {
                    other != neighbour && !self.live_links(neighbour, level).any(|id| id == other)
                })
                .map(|other| self.near(self.row(neighbour), other))
                .min_by(Near::rank);
            if let Some(best) = best {
                self.link(neighbour, best.id, level);
                self.link(best.id, neighbour, level);
            }
        }
    }

    fn entry_point(&self, query: &[f32]) -> Option<(Near, usize)> {
        let id = self.entry?;
        Some((self.near(query, id), self.nodes.get(id)?.level as usize))
    }

    fn row(&self, id: Id) -> &[f32] {
        self.nodes
            .get(id)
            .map_or(&[], |node| self.rows.get(node.row))
    }

    #[inline]
    fn near(&self, query: &[f32], id: Id) -> Near {
        Near {
            id,
            similarity: words::dot(query, self.row(id)),
        }
    }

    fn links(&self, id: Id, level: usize) -> &[Option<Id>] {
        let Some(node) = self.nodes.get(id) else {
            return &[];
        };
        if level == 0 {
            return node.bottom.ids();
        }
        let mut upper = node.upper.and_then(|id| self.uppers.get(id));
        for _ in 1..level {
            upper = upper.and_then(|upper| self.uppers.get(upper.above?));
        }
        upper.map_or(&[], |upper| upper.links.ids())
    }

    fn live_links(&self, id: Id, level: usize) -> impl Iterator<Item = Id> {
        let links = self.links(id, level).iter().flatten().copied();
        links.filter(|&id| self.nodes.get(id).is_some())
    }

    fn with_links(&mut self, id: Id, level: usize, change: impl FnOnce(&mut dyn Change)) {
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        if level == 0 {
            return change(&mut node.bottom);
        }
        let mut place = node.upper;
        for _ in 1..level {
            place = place.and_then(|id| self.uppers.get(id)?.above);
        }
        if let Some(upper) = place.and_then(|id| self.uppers.get_mut(id)) {
            change(&mut upper.links);
        }
    }

    /// Adds `to` to the links of `from`; if they are full, the most diverse stay.
    fn link(&mut self, from: Id, to: Id, level: usize) {
        let mut fitted = false;
        self.with_links(from, level, |links| fitted = links.push(to));
        if fitted {
            return;
        }
        let mut all = [Near {
            id: to,
            similarity: 0.0,
        }; LINKS_AT_BOTTOM + 1];
        let mut count = 1;
        all[0] = self.near(self.row(from), to);
        for id in self.live_links(from, level) {
            all[count] = self.near(self.row(from), id);
            count += 1;
        }
        all[..count].sort_unstable_by(Near::rank);
        let kept = Links::<LINKS_AT_BOTTOM>::of(self.diverse(&all[..count], room(level)));
        self.with_links(from, level, |links| links.set(kept.ids()));
    }

    /// Of candidates, the nearest first: those that are nearer to the node than to
    /// anyone chosen before, then the nearest of the rest.
    fn diverse<'a>(
        &'a self,
        candidates: &'a [Near],
        count: usize,
    ) -> impl Iterator<Item = Id> + 'a {
        let mut chosen = Links::<LINKS_AT_BOTTOM>::NONE;
        for candidate in candidates {
            if chosen.ids().len() >= count {
                break;
            }
            let row = self.row(candidate.id);
            let stands_alone = chosen
                .iter()
                .all(|other| words::dot(row, self.row(other)) < candidate.similarity);
            if stands_alone {
                chosen.push(candidate.id);
            }
        }
        for candidate in candidates {
            if chosen.ids().len() >= count {
                break;
            }
            if !chosen.ids().contains(&Some(candidate.id)) {
                chosen.push(candidate.id);
            }
        }
        (0..chosen.ids().len()).filter_map(move |at| chosen.ids[at])
    }

    /// Walks to the node of one level that is nearer than all its neighbours.
    fn descend(&self, query: &[f32], mut at: Near, level: usize) -> Near {
        loop {
            let nearer = self
                .live_links(at.id, level)
                .map(|id| self.near(query, id))
                .filter(|near| near.similarity > at.similarity)
                .min_by(Near::rank);
            match nearer {
                Some(nearer) => at = nearer,
                None => return at,
            }
        }
    }

    /// The best-first search of one level: `found` gets up to `width` nodes, the
    /// nearest first.
    fn widen<S: Scope>(
        &self,
        query: &[f32],
        from: Near,
        level: usize,
        width: usize,
        walk: &mut Walk<'_, S>,
        found: &mut impl List<Near>,
    ) -> Result<(), Full> {
        walk.visit(from.id);
        push_heap(&mut walk.ahead, from, Near::rank)?;
        push_heap(found, from, |a, b| b.rank(a))?;
        while let Some(next) = pop_heap(&mut walk.ahead, Near::rank) {
            if found.len() >= width && next.rank(&found[0]).is_gt() {
                break;
            }
            for id in self.live_links(next.id, level) {
                if !walk.visit(id) {
                    continue;
                }
                let near = self.near(query, id);
                if found.len() < width || near.rank(&found[0]).is_lt() {
                    push_heap(&mut walk.ahead, near, Near::rank)?;
                    push_heap(found, near, |a, b| b.rank(a))?;
                    if found.len() > width {
                        pop_heap(found, |a, b| b.rank(a));
                    }
                }
            }
        }
        walk.ahead.truncate(0);
        found.sort_unstable_by(Near::rank);
        Ok(())
    }
}

fn room(level: usize) -> usize {
    if level == 0 { LINKS_AT_BOTTOM } else { LINKS }
}

/// The level of the n-th insertion: each is reached by a sixteenth of the one below.
fn drawn_level(inserted: u64) -> usize {
    let drawn = words::hash(&inserted.to_le_bytes());
    (drawn.trailing_zeros() as usize / LINKS.trailing_zeros() as usize).min(TOP)
}

/// What a search remembers: where it was, and where it will go.
struct Walk<'s, S: Scope> {
    visited: S::List<'s, u64>,
    ahead: S::List<'s, Near>,
}

impl<'s, S: Scope> Walk<'s, S> {
    fn new(scope: &'s S, reach: usize) -> Result<Self, Full> {
        let words = reach.div_ceil(64);
        let mut visited = scope.list(words)?;
        visited.fill(words, 0)?;
        Ok(Self {
            visited,
            ahead: scope.list(4 * SEARCH_WIDTH)?,
        })
    }

    /// Whether this is the first visit.
    #[inline]
    fn visit(&mut self, id: Id) -> bool {
        let (word, bit) = (id.index() as usize / 64, 1 << (id.index() % 64));
        let first = self.visited[word] & bit == 0;
        self.visited[word] |= bit;
        first
    }

    fn forget(&mut self) {
        self.visited.iter_mut().for_each(|word| *word = 0);
    }
}

/// Adds to a binary heap whose root ranks first.
fn push_heap<L: List<Near>>(
    heap: &mut L,
    item: Near,
    rank: impl Fn(&Near, &Near) -> Ordering,
) -> Result<(), Full> {
    heap.push(item)?;
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if rank(&heap[at], &heap[parent]).is_ge() {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
    Ok(())
}

/// Takes the root of a binary heap.
fn pop_heap<L: List<Near>>(heap: &mut L, rank: impl Fn(&Near, &Near) -> Ordering) -> Option<Near> {
    let last = heap.len().checked_sub(1)?;
    heap.swap(0, last);
    let root = heap.pop();
    let mut at = 0;
    loop {
        let children = 2 * at + 1..(2 * at + 3).min(last);
        let Some(first) = children.min_by(|&a, &b| rank(&heap[a], &heap[b])) else {
            return root;
        };
        if rank(&heap[first], &heap[at]).is_ge() {
            return root;
        }
        heap.swap(first, at);
        at = first;
    }
}

impl<M: Memory> std::fmt::Debug for Hnsw<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hnsw")
            .field("inserted", &self.inserted)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebase::heap::Heap;

    fn rows(count: u64, seed: u64) -> Vec<Vec<f32>> {
        let draw = |n: u64| {
            let bits = words::hash(&n.to_le_bytes());
            (bits >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let row = |r: u64| -> Vec<f32> {
            // A cluster's centre and some noise: embeddings of real files come in families.
            let centre = words::hash(&(r % 37 + seed).to_le_bytes());
            let numbers =
                (0..DIMENSION as u64).map(|n| draw(centre ^ n) + 0.7 * draw((seed + r) << 20 | n));
            let row: Vec<f32> = numbers.collect();
            let length = words::dot(&row, &row).sqrt();
            row.iter().map(|number| number / length).collect()
        };
        (0..count).map(row).collect()
    }

    fn fill(hnsw: &mut Hnsw<Heap>, rows: &[Vec<f32>]) -> Vec<Id> {
        (0..)
            .zip(rows)
            .map(|(file, row)| {
                let plan = hnsw.plan(&Heap, row).unwrap();
                hnsw.add(&plan, row, file)
            })
            .collect()
    }

    fn recall(hnsw: &Hnsw<Heap>, queries: &[Vec<f32>]) -> f64 {
        let found: usize = queries
            .iter()
            .map(|query| {
                let exact = hnsw.nearest_exactly(query, 10);
                let near = hnsw.nearest(&Heap, query, 10).unwrap();
                near.iter()
                    .filter(|near| exact.iter().any(|e| e.id == near.id))
                    .count()
            })
            .sum();
        found as f64 / (10 * queries.len()) as f64
    }

    #[test]
    fn recall_at_ten_is_at_least_95_per_cent() {
        let mut hnsw = Hnsw::new(&Heap);
        fill(&mut hnsw, &rows(2000, 1));
        let recall = recall(&hnsw, &rows(200, 9));
        assert!(recall >= 0.95, "{recall}");
    }

    #[test]
    fn recall_survives_the_replacement_of_every_node() {
        let mut hnsw = Hnsw::new(&Heap);
        let ids = fill(&mut hnsw, &rows(800, 1));
        for (file, (id, row)) in (0..).zip(ids.into_iter().zip(rows(800, 3))) {
            hnsw.remove(id);
            let plan = hnsw.plan(&Heap, &row).unwrap();
            hnsw.add(&plan, &row, file);
        }
        assert_eq!(hnsw.count(), 800);
        let recall = recall(&hnsw, &rows(100, 9));
        assert!(recall >= 0.95, "{recall}");
    }

    #[test]
    fn an_emptied_graph_finds_nothing_and_fills_again() {
        let mut hnsw = Hnsw::new(&Heap);
        let all = rows(50, 1);
        for id in fill(&mut hnsw, &all) {
            hnsw.remove(id);
        }
        assert!(hnsw.nearest(&Heap, &all[0], 5).unwrap().is_empty());
        fill(&mut hnsw, &all);
        let near = hnsw.nearest(&Heap, &all[7], 1).unwrap();
        assert_eq!(hnsw.file(near[0].id), Some(7));
    }
}
