//! Space: resident memory, huge pages and heap allocations.

use super::row::DIMENSION;
use super::store::{Ours, Store, Visitor, visit_all};
use super::{OURS, rows};
use millpond_bench::worker::{Measurement, Request};
use millpond_bench::{counting, resident};
use millpond_vector::{HugePages, VectorPool};
use std::hint::black_box;

/// The names of all stores in this build.
pub fn names() -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        fn visit<S: Store>(&mut self) {
            self.0.push(S::name());
        }
    }
    let mut names = Names(Vec::new());
    visit_all(&mut names);
    names.0
}

/// Resident memory for each row of the one contender that the request names.
pub fn footprint(request: &Request) -> Vec<Measurement> {
    struct Finding<'a>(&'a Request, Vec<Measurement>);
    impl Visitor for Finding<'_> {
        fn visit<S: Store>(&mut self) {
            if S::name() == self.0.contender {
                let count = usize::try_from(self.0.count).unwrap_or(usize::MAX);
                self.1.extend(bytes_each::<S>(count));
            }
        }
    }
    let mut finding = Finding(request, Vec::new());
    visit_all(&mut finding);
    finding.1
}

fn bytes_each<S: Store>(count: usize) -> Option<Measurement> {
    let row = black_box(vec![1.0; DIMENSION]);
    let before = resident::anonymous_bytes()?;
    let mut store = S::new(DIMENSION, count);
    (0..count).for_each(|_| store.push(&row));
    let after = resident::anonymous_bytes()?;
    black_box(&store);
    let each = after.saturating_sub(before) as f64 / count as f64;
    Some(Measurement::new(rows::FOOTPRINT, S::name(), vec![each]))
}

/// Rows that fill 64 MiB.
const ROWS: usize = (64 << 20) / (DIMENSION * size_of::<f32>());

/// What of 64 MiB the system left in small pages, for each wish.
pub fn granted() -> Vec<Measurement> {
    let wishes = [
        ("no wish", HugePages::None, false),
        ("transparent", HugePages::Transparent, false),
        ("transparent, prefaulted", HugePages::Transparent, true),
        ("reserved, prefaulted", HugePages::Explicit, true),
    ];
    let mut measured = Vec::new();
    for (name, pages, prefault) in wishes {
        let mut store = Ours::with(DIMENSION, ROWS, pages, prefault);
        let row = [1.0; DIMENSION];
        (0..ROWS).for_each(|_| store.push(&row));
        measured.extend(in_small_pages(name, &store));
    }
    measured
}

/// What of a store the system left in small pages; nothing where it does not say.
pub fn in_small_pages(name: &str, store: &Ours) -> Option<Measurement> {
    let granted = store.pool.granted();
    let small = granted.bytes().saturating_sub(granted.huge_page_bytes()?);
    let small = small as f64 / f64::from(1 << 20);
    Some(Measurement::new(rows::GRANTED, name, vec![small]))
}

/// What of 64 MiB the system did not take from a node, for some nodes.
pub fn on_node() -> Vec<Measurement> {
    let nodes = [
        ("no wish, beside node 0", None),
        ("node 0", Some(0)),
        ("node 60, which few machines have", Some(60)),
    ];
    nodes
        .into_iter()
        .filter_map(|(name, node)| {
            let pool = VectorPool::<f32>::builder(DIMENSION)
                .numa_node(node)
                .build();
            let pool = pool.expect("a small row");
            let row = [1.0; DIMENSION];
            let ids: Vec<_> = (0..ROWS).map(|_| pool.insert(&row)).collect();
            black_box(ids);
            let granted = pool.granted();
            // Where the system says nothing there is nothing to show.
            let there = granted.placed_bytes(node.unwrap_or(0))?;
            let elsewhere = granted.bytes().saturating_sub(there) as f64;
            let elsewhere = elsewhere / f64::from(1 << 20);
            Some(Measurement::new(rows::NODE, name, vec![elsewhere]))
        })
        .collect()
}

/// Heap allocations of a warm pool.
pub fn allocations() -> Vec<Measurement> {
    const STEPS: usize = 25_000;
    let mut store = Ours::new(DIMENSION, 256);
    let row = [1.0; DIMENSION];
    let mut work = || {
        for step in 0..STEPS {
            drop(store.pool.try_acquire());
            store.push(&row);
            if store.ids.len() == 255 || step % 3 == 0 {
                store.ids.drain(..).for_each(|id| {
                    black_box(store.pool.remove(id));
                });
            }
        }
    };
    work();
    let before = counting::allocations();
    work();
    let counted = counting::allocations() - before;
    vec![Measurement::new(
        rows::ALLOCATIONS,
        OURS,
        vec![counted as f64],
    )]
}
