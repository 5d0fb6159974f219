//! Real input: the dependency graph, with every node and edge on loan from a pool.
//!
//! ```text
//!  nodes[i] ─lease─▶ Node { first: edge, … }      edges[j] ─lease─▶ Edge { to, next: edge }
//! ```
//!
//! One life: acquire all nodes and edges; rewire packages as an incremental
//! build does, releasing a node with its edges and acquiring it anew; walk what
//! is reachable; release all. Every contender runs the same steps on the same
//! corpus and must arrive at the same checksum.

use super::{rows, time};
use crate::contender::{Contender, Pool};
use crate::contenders::{Visitor, visit_all};
use anyhow::{Context, Result, ensure};
use millpond_bench::corpus::Corpus;
use millpond_bench::runner::{Contest, Timed};
use millpond_bench::stats::Random;
use millpond_bench::worker::{Measurement, Request};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Rewirings in one life; each touches a node and all its edges.
const REWIRINGS: usize = 2_000;

/// A walk follows after so many rewirings.
const WALK_EVERY: usize = 250;

/// No edge.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Default)]
struct Node {
    name: u64,
    first: u32,
    degree: u32,
    visited: u64,
}

#[derive(Clone, Copy, Default)]
struct Edge {
    to: u32,
    next: u32,
    weight: u64,
}

pub fn measure(request: &Request) -> Result<Vec<Measurement>> {
    let corpus = request
        .corpus
        .as_ref()
        .context("the graph needs the corpus")?;
    let mut entering = Entering {
        plan: Rc::new(Plan::of(corpus)),
        contest: Contest::new(),
        checksums: Vec::new(),
    };
    visit_all(&mut entering);
    let timed = entering.contest.run(time::schedule_of(request));
    agree(&entering.checksums)?;
    Ok(in_micros(rows::GRAPH, timed))
}

/// What a contender's last life arrived at.
pub type Checksum = Rc<Cell<u64>>;

/// All contenders must have arrived at the same.
pub fn agree(checksums: &[Checksum]) -> Result<()> {
    let sums: Vec<u64> = checksums.iter().map(|sum| sum.get()).collect();
    ensure!(
        sums.iter().all(|&sum| sum == sums[0] && sum != 0),
        "checksums differ: {sums:x?}"
    );
    Ok(())
}

/// Timed lives as measurements of `row`, which is in microseconds.
pub fn in_micros(row: &str, timed: Vec<Timed>) -> Vec<Measurement> {
    let mut measured = time::into_measurements(row, timed);
    measured
        .iter_mut()
        .flat_map(|m| &mut m.values)
        .for_each(|nanos| *nanos /= 1e3);
    measured
}

struct Entering {
    plan: Rc<Plan>,
    contest: Contest<'static>,
    checksums: Vec<Checksum>,
}

impl Visitor for Entering {
    fn visit<C: Contender>(&mut self) {
        let plan = Rc::clone(&self.plan);
        let checksum = Checksum::default();
        self.checksums.push(Rc::clone(&checksum));
        let nodes = C::Pool::<Node>::with_capacity(plan.names.len());
        let edges = C::Pool::<Edge>::with_capacity(plan.edge_count());
        self.contest.add(C::NAME, move |lives| {
            let (sum, elapsed) = live(&plan, &nodes, &edges, lives);
            checksum.set(sum);
            elapsed
        });
    }
}

/// The corpus as numbers, with the rewirings drawn ahead: nothing here is timed.
struct Plan {
    names: Vec<u64>,
    targets: Vec<Vec<u32>>,
    rewirings: Vec<u32>,
}

impl Plan {
    fn of(corpus: &Corpus) -> Self {
        let hash = |name: &String| name.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        let mut targets = vec![Vec::new(); corpus.nodes.len()];
        for &(from, to) in &corpus.edges {
            targets[from as usize].push(to);
        }
        let mut random = Random::new(2026);
        let draw = |_| random.below(corpus.nodes.len()) as u32;
        let rewirings = (0..REWIRINGS).map(draw).collect();
        Self {
            names: corpus.nodes.iter().map(hash).collect(),
            targets,
            rewirings,
        }
    }

    fn edge_count(&self) -> usize {
        self.targets.iter().map(Vec::len).sum()
    }
}

/// Lives `lives` times on the same pools; the last checksum, and the time.
#[inline(never)]
fn live<N: Pool<Node>, E: Pool<Edge>>(
    plan: &Plan,
    nodes: &N,
    edges: &E,
    lives: u64,
) -> (u64, Duration) {
    let mut graph = Graph::over(plan, nodes, edges);
    let mut sum = 0;
    let began = Instant::now();
    for _ in 0..lives {
        sum = graph.live_once();
    }
    (sum, began.elapsed())
}

/// Tables of leases, made once and refilled in each life.
struct Graph<'p, N: Pool<Node>, E: Pool<Edge>> {
    plan: &'p Plan,
    node_pool: &'p N,
    edge_pool: &'p E,
    nodes: Vec<Option<N::Lease<'p>>>,
    edges: Vec<Option<E::Lease<'p>>>,
    /// Indices of `edges` that hold nothing.
    vacant: Vec<u32>,
    /// Nodes still to be visited by a walk.
    ahead: Vec<u32>,
}

impl<'p, N: Pool<Node>, E: Pool<Edge>> Graph<'p, N, E> {
    fn over(plan: &'p Plan, node_pool: &'p N, edge_pool: &'p E) -> Self {
        let edges = plan.edge_count();
        Self {
            plan,
            node_pool,
            edge_pool,
            nodes: (0..plan.names.len()).map(|_| None).collect(),
            edges: (0..edges).map(|_| None).collect(),
            vacant: (0..edges as u32).rev().collect(),
            ahead: Vec::with_capacity(edges),
        }
    }

    fn live_once(&mut self) -> u64 {
        (0..self.nodes.len()).for_each(|index| self.add(index, 0));
        let mut sum = 0;
        for (step, &index) in self.plan.rewirings.iter().enumerate() {
            self.remove(index as usize);
            self.add(index as usize, step);
            if (step + 1) % WALK_EVERY == 0 {
                sum = mix_word(sum, self.walk_from(index, step as u64 + 1));
            }
        }
        (0..self.nodes.len()).for_each(|index| self.remove(index));
        sum
    }

    /// Leases a node and its edges; `turn` rotates their order.
    fn add(&mut self, index: usize, turn: usize) {
        let plan = self.plan;
        let targets = &plan.targets[index];
        let mut first = NIL;
        for place in 0..targets.len() {
            let to = targets[(place + turn) % targets.len()];
            let edge = Edge {
                to,
                next: first,
                weight: turn as u64,
            };
            first = self.vacant.pop().expect("as many places as edges");
            self.edges[first as usize] = Some(self.edge_pool.acquire(edge));
        }
        let (name, degree) = (plan.names[index], targets.len() as u32);
        let node = Node {
            name,
            first,
            degree,
            visited: 0,
        };
        self.nodes[index] = Some(self.node_pool.acquire(node));
    }

    /// Releases a node and its edges.
    fn remove(&mut self, index: usize) {
        let Some(node) = self.nodes[index].take() else {
            return;
        };
        let mut next = node.first;
        while let Some(edge) = self.edges.get_mut(next as usize).and_then(Option::take) {
            self.vacant.push(next);
            next = edge.next;
        }
    }

    /// Folds what is reachable from `start` into a sum; `walk` marks the visited.
    fn walk_from(&mut self, start: u32, walk: u64) -> u64 {
        let mut sum = walk;
        self.ahead.push(start);
        while let Some(index) = self.ahead.pop() {
            let Some(node) = self.nodes[index as usize].as_mut() else {
                continue;
            };
            if node.visited == walk {
                continue;
            }
            node.visited = walk;
            sum = mix_word(sum, node.name ^ u64::from(node.degree));
            let mut next = node.first;
            while let Some(edge) = self.edges.get(next as usize).and_then(Option::as_ref) {
                sum = mix_word(sum, edge.weight);
                self.ahead.push(edge.to);
                next = edge.next;
            }
        }
        sum
    }
}

fn mix(sum: u64, byte: u8) -> u64 {
    mix_word(sum, u64::from(byte))
}

pub fn mix_word(sum: u64, word: u64) -> u64 {
    (sum ^ word)
        .wrapping_mul(0x0000_0100_0000_01b3)
        .rotate_left(23)
}
