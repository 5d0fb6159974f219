//! Chapter `codebase`: pools inside a code database with search.

use super::{Bout, HEAP, Judge, MIMALLOC, Modes, POOLED, allocator_share, documents, heap_use};
use anyhow::{Context, Result};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{Chapter, RowSpec, Section, Unit};
use millpond_bench::plan::{Mode, Task};
use millpond_bench::record::ChapterRecord;
use millpond_bench::stats::median;
use millpond_bench::worker::{Measurement, Request};
use millpond_workloads::codebase::{
    Codebase, DIMENSION, Heap, Index, Memory, Pooled, Primitive, Ranking, Store, embed,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

pub const CHAPTER: Chapter = Chapter {
    name: "codebase",
    question: "What do pools win in a code database: saves, searches, JSON primitives?",
    caveats: &[
        "Pooling can win what the allocator takes and no more: the heap mode's allocation share stands beside every operation.",
        "The reference's heap mode allocates for every node and candidate; ours reserves capacity and borrows, so there is less to win.",
        "A save without the store is diff, symbols, words, embedding and graph; what redb takes and allocates is shown apart and is the same in all modes.",
        "One thread. What the tool protocol costs is not in these figures.",
    ],
    rows: ROWS,
    tasks,
    work: |request| measure(request, Modes::Both),
    bars,
};

const SAVE: &str = "save";
const SEARCH: &str = "search";
const PRIMITIVE: &str = "primitive";
const COMBINED: &str = "combined";
/// Operation, the row of its allocation share, of its allocations and bytes, and
/// the least and the most by which the reference says that pools are faster.
const OPERATIONS: [(&str, &str, &str, &str, (f64, f64)); 3] = [
    (
        SAVE,
        "save-share",
        "save-allocations",
        "save-bytes",
        (0.3, 0.5),
    ),
    (
        SEARCH,
        "search-share",
        "search-allocations",
        "search-bytes",
        (0.4, 0.6),
    ),
    (
        PRIMITIVE,
        "primitive-share",
        "primitive-allocations",
        "primitive-bytes",
        (0.5, 0.7),
    ),
];
const STORED: &str = "stored";
const DURABLE: &str = "durable";
const SHARES: &str = "shares";
const SPACE: &str = "space";
const LATENCY: &str = "latency";
const PERCENTILES: [(&str, f64); 3] = [
    ("search-p50", 0.5),
    ("search-p99", 0.99),
    ("search-p999", 0.999),
];
const RECALL: &str = "recall";

const fn row(
    id: &'static str,
    title: &'static str,
    what: &'static str,
    unit: Unit,
    section: Section,
) -> RowSpec {
    RowSpec {
        id,
        title,
        what,
        unit,
        section,
    }
}

const fn share(id: &'static str, title: &'static str) -> RowSpec {
    row(
        id,
        title,
        "the allocator's part of the heap mode's time",
        Unit::Ratio,
        Section::Mechanism,
    )
}

const fn calls(id: &'static str, title: &'static str) -> RowSpec {
    row(
        id,
        title,
        "calls of the allocator, an operation",
        Unit::Count,
        Section::Space,
    )
}

const fn bytes(id: &'static str, title: &'static str) -> RowSpec {
    row(
        id,
        title,
        "bytes asked of the allocator, an operation",
        Unit::Bytes,
        Section::Space,
    )
}

const ROWS: &[RowSpec] = &[
    row(
        SAVE,
        "save a changed file, without the store",
        "diff, symbols, words, embedding, graph",
        Unit::Micros,
        Section::RealInput,
    ),
    row(
        SEARCH,
        "hybrid search, ten hits",
        "words, embeddings and graph, fused",
        Unit::Micros,
        Section::RealInput,
    ),
    row(
        PRIMITIVE,
        "retrieve, JSON in and out",
        "a file and the record of its change",
        Unit::Micros,
        Section::RealInput,
    ),
    row(
        COMBINED,
        "a save, a search and a primitive",
        "the three above in turn",
        Unit::Micros,
        Section::RealInput,
    ),
    row(
        STORED,
        "save, store in memory",
        "the whole save with its commit",
        Unit::Micros,
        Section::RealInput,
    ),
    row(
        DURABLE,
        "save, store on disk",
        "the whole save with its commit and fsync",
        Unit::Micros,
        Section::RealInput,
    ),
    row(
        "search-p50",
        "search, p50",
        "single searches, in turn over 40 queries",
        Unit::Micros,
        Section::Latency,
    ),
    row(
        "search-p99",
        "search, p99",
        "the same",
        Unit::Micros,
        Section::Latency,
    ),
    row(
        "search-p999",
        "search, p99.9",
        "the same",
        Unit::Micros,
        Section::Latency,
    ),
    share("save-share", "allocation share, save"),
    share("search-share", "allocation share, search"),
    share("primitive-share", "allocation share, primitive"),
    calls("save-allocations", "allocations, save"),
    calls("search-allocations", "allocations, search"),
    calls("primitive-allocations", "allocations, primitive"),
    bytes("save-bytes", "bytes, save"),
    bytes("search-bytes", "bytes, search"),
    bytes("primitive-bytes", "bytes, primitive"),
    row(
        RECALL,
        "nearest ten that are missed",
        "1 − recall@10 against exact search",
        Unit::Ratio,
        Section::Mechanism,
    ),
];

fn tasks(mode: Mode) -> Vec<Task> {
    let names = [
        (SAVE, true, 3),
        (SEARCH, true, 3),
        (PRIMITIVE, true, 3),
        (COMBINED, true, 3),
        (STORED, true, 3),
        (DURABLE, false, 3),
        (LATENCY, true, 12),
        (SHARES, false, 8),
        (SPACE, true, 4),
        (RECALL, false, 4),
    ];
    super::tasks(mode, &names, Duration::from_millis(12))
}

pub fn measure(request: &Request, modes: Modes) -> Result<Vec<Measurement>> {
    let both = modes == Modes::Both;
    match request.task.as_str() {
        LATENCY => latency(request, both),
        SHARES => shares(request),
        SPACE => space(request, both),
        RECALL => recall(request),
        operation => contest(request, operation, both),
    }
}

/// Text of the corpus that is in the database.
const SOME_BYTES: usize = 1_500_000;

/// Files that are saved again, in turn; a power of two.
const SAVED: usize = 8;

/// A database, its files in two versions each, and what it is asked.
struct World<M: Memory> {
    memory: M,
    index: Index<M>,
    code: Codebase<M>,
    files: Vec<(String, [String; 2])>,
    queries: Vec<String>,
    requests: Vec<(String, String)>,
    turn: usize,
}

impl<M: Memory> World<M> {
    fn new(request: &Request, memory: [M; 2], store: Store) -> Result<Self> {
        let [memory, of_code] = memory;
        let documents = documents(request, SOME_BYTES)?;
        let mut index = Index::new(&memory);
        let mut code = Codebase::open(of_code, store)?;
        for document in &documents {
            index.update(&memory, &document.path, "", &document.text);
        }
        let all: Vec<_> = documents
            .iter()
            .map(|d| (d.path.as_str(), d.text.as_str()))
            .collect();
        code.save_files(&all, |_, _| ())?;
        let typical =
            |d: &&millpond_workloads::corpus::Document| (2_000..12_000).contains(&d.text.len());
        let chosen = documents.iter().filter(typical).step_by(3).take(SAVED);
        let files: Vec<_> = chosen
            .map(|d| (d.path.clone(), [d.text.clone(), changed(&d.text)]))
            .collect();
        anyhow::ensure!(!files.is_empty(), "the corpus has no file of 2 to 12 kB");
        let queries = documents
            .iter()
            .step_by(documents.len() / 40 + 1)
            .map(|d| query(&d.text))
            .collect();
        let quoted = |path: &String| serde_json::to_string(path).context("a path");
        let request_for = |(path, _): &(String, [String; 2])| {
            let path = quoted(path)?;
            anyhow::Ok((
                format!("{{\"path\":{path}}}"),
                format!("{{\"path\":{path},\"change\":1}}"),
            ))
        };
        let requests = files.iter().map(request_for).collect::<Result<_>>()?;
        Ok(Self {
            memory,
            index,
            code,
            files,
            queries,
            requests,
            turn: 0,
        })
    }

    fn next(&mut self) -> usize {
        self.turn += 1;
        self.turn
    }

    /// Saves each of the files once, as what it was not before.
    fn save(&mut self) -> u64 {
        let version = self.next() % 2;
        let (index, memory) = (&mut self.index, &self.memory);
        let saved = self.files.iter().map(|(path, versions)| {
            index
                .update(memory, path, &versions[1 - version], &versions[version])
                .version
        });
        saved.sum()
    }

    fn search(&mut self) -> usize {
        let found = self.queries.iter().map(|query| self.search_for(query));
        found.sum()
    }

    fn search_for(&self, query: &str) -> usize {
        let found = self.code.search(query, Ranking::Hybrid, 10, |hits| {
            hits.len() + hits.first().map_or(0, |hit| hit.path.len())
        });
        found.unwrap_or(0)
    }

    fn primitive(&mut self) -> usize {
        let ask = |request: &String| {
            self.code
                .ask(Primitive::Retrieve, request, str::len)
                .unwrap_or(0)
        };
        self.requests
            .iter()
            .map(|(file, change)| ask(file) + ask(change))
            .sum()
    }

    fn stored(&mut self) -> u64 {
        let version = self.next() % 2;
        let code = &mut self.code;
        let saved = self.files.iter().map(|(path, versions)| {
            code.save_file(path, &versions[version])
                .map_or(0, |saved| saved.version)
        });
        saved.sum()
    }

    /// Runs an operation; answers how many of it that was.
    fn run(&mut self, operation: &str) -> usize {
        match operation {
            SAVE => drop(black_box(self.save())),
            SEARCH => drop(black_box(self.search())),
            PRIMITIVE => drop(black_box(self.primitive())),
            STORED | DURABLE => drop(black_box(self.stored())),
            _ => drop(black_box((
                self.save(),
                self.search_for(&self.queries[0]),
                self.primitive(),
            ))),
        }
        match operation {
            SEARCH => self.queries.len(),
            PRIMITIVE => 2 * self.requests.len(),
            _ => self.files.len(),
        }
    }
}

/// The same text with a function more in its middle.
fn changed(text: &str) -> String {
    let middle = text[text.len() / 2..]
        .find('\n')
        .map_or(text.len(), |at| text.len() / 2 + at + 1);
    format!(
        "{}pub fn added_between(a: u32) -> u32 {{\n    a + 1\n}}\n{}",
        &text[..middle],
        &text[middle..]
    )
}

/// Some words of a text, as somebody would ask for it.
fn query(text: &str) -> String {
    let words = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| word.len() > 4);
    words
        .skip(20)
        .step_by(7)
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

fn on_heap(request: &Request, store: Store) -> Result<World<Heap>> {
    World::new(request, [Heap, Heap], store)
}

fn on_pools(request: &Request, store: Store) -> Result<World<Pooled>> {
    World::new(request, [Pooled::new(), Pooled::new()], store)
}

fn contest(request: &Request, operation: &str, both: bool) -> Result<Vec<Measurement>> {
    let folder = std::env::temp_dir().join(format!("millpond-codebase-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let store = |name: &str| {
        if operation == DURABLE {
            Store::open(&folder.join(name))
        } else {
            Store::in_memory()
        }
    };
    let mut heap = on_heap(request, store("heap")?)?;
    let mut pooled = on_pools(request, store("pooled")?)?;
    let each = 1e-3 / heap.run(operation) as f64;
    let mut bout = Bout::new(request);
    bout.add(HEAP, || heap.run(operation));
    if both {
        bout.add(POOLED, || pooled.run(operation));
    }
    let measured = bout.run(operation, each);
    drop((heap, pooled));
    std::fs::remove_dir_all(&folder)?;
    Ok(measured)
}

/// Single searches that are timed.
const SEARCHES: usize = 2_000;

fn latency(request: &Request, both: bool) -> Result<Vec<Measurement>> {
    millpond_bench::counting::pause();
    fn percentiles<M: Memory>(name: &str, world: &World<M>) -> Vec<Measurement> {
        let timed = |query: &String| {
            let began = Instant::now();
            black_box(world.search_for(query));
            began.elapsed().as_secs_f64() * 1e6
        };
        let mut micros: Vec<f64> = world
            .queries
            .iter()
            .cycle()
            .take(SEARCHES)
            .map(timed)
            .collect();
        micros.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
        PERCENTILES
            .map(|(row, share)| Measurement::new(row, name, vec![at(share)]))
            .into()
    }
    let mut measured = percentiles(HEAP, &on_heap(request, Store::in_memory()?)?);
    if both {
        measured.extend(percentiles(
            POOLED,
            &on_pools(request, Store::in_memory()?)?,
        ));
    }
    Ok(measured)
}

fn shares(request: &Request) -> Result<Vec<Measurement>> {
    let mut world = on_heap(request, Store::in_memory()?)?;
    let shares = OPERATIONS.map(|(operation, row, ..)| {
        let shares = allocator_share(request.rounds, 2, || world.run(operation));
        Measurement::new(row, HEAP, shares)
    });
    Ok(shares.into())
}

fn space(request: &Request, both: bool) -> Result<Vec<Measurement>> {
    fn used<M: Memory>(name: &str, mut world: World<M>) -> Vec<Measurement> {
        let each = |(operation, _, calls, bytes, _): (&str, _, &str, &str, _)| {
            let operations = world.run(operation) as f64;
            let (allocations, asked) = heap_use(|| world.run(operation));
            [
                Measurement::new(calls, name, vec![allocations / operations]),
                Measurement::new(bytes, name, vec![asked / operations]),
            ]
        };
        OPERATIONS.into_iter().flat_map(each).collect()
    }
    let mut measured = used(HEAP, on_heap(request, Store::in_memory()?)?);
    if both {
        measured.extend(used(POOLED, on_pools(request, Store::in_memory()?)?));
    }
    Ok(measured)
}

fn recall(request: &Request) -> Result<Vec<Measurement>> {
    fn missed<M: Memory>(world: &World<M>) -> f64 {
        let embeddings = world.index.embeddings();
        let mut vector = [0.0; DIMENSION];
        let (mut found, mut asked) = (0, 0);
        for (_, [text, _]) in &world.files {
            for line in text.lines().filter(|line| line.len() > 20) {
                embed(line, &mut vector);
                let exact = embeddings.nearest_exactly(&vector, 10);
                let near = embeddings.nearest(&Heap, &vector, 10).unwrap_or_default();
                let ids: Vec<_> = near.iter().map(|near| near.id).collect();
                found += exact.iter().filter(|exact| ids.contains(&exact.id)).count();
                asked += exact.len();
            }
        }
        1.0 - found as f64 / asked as f64
    }
    Ok(vec![
        Measurement::new(
            RECALL,
            HEAP,
            vec![missed(&on_heap(request, Store::in_memory()?)?)],
        ),
        Measurement::new(
            RECALL,
            POOLED,
            vec![missed(&on_pools(request, Store::in_memory()?)?)],
        ),
    ])
}

/// Of the allocation share, what pools should recover.
const RECOVERED: f64 = 0.8;

/// The allocation share from which pools should beat mimalloc, and by how much.
const LARGE_SHARE: f64 = 0.3;
const AHEAD_OF_MIMALLOC: f64 = 0.85;

fn bars(record: &ChapterRecord) -> Vec<Bar> {
    let judge = Judge(record);
    let mut bars = Vec::new();
    for (operation, share, calls, _, (least, most)) in OPERATIONS {
        let shares = record.row(share).and_then(|row| row.series(HEAP));
        let part = shares.map_or(0.0, |series| median(&series.values));
        let why = format!(
            "our bar: recovers 80 % of an allocation share of {:.1} %",
            part * 100.0
        );
        bars.push(judge.ratio(operation, (POOLED, HEAP), 1.0 - RECOVERED * part, &why));
        if part >= LARGE_SHARE {
            bars.push(judge.ratio(
                operation,
                (POOLED, MIMALLOC),
                AHEAD_OF_MIMALLOC,
                "our bar: 15 % faster",
            ));
        }
        let why = format!(
            "the reference claims {:.0} to {:.0} % faster",
            least * 100.0,
            most * 100.0
        );
        bars.push(judge.ratio(operation, (POOLED, HEAP), 1.0 - least, &why));
        bars.push(judge.ratio(
            calls,
            (POOLED, HEAP),
            0.05,
            "our bar: 95 % fewer calls of the allocator",
        ));
    }
    bars.push(judge.ratio(
        COMBINED,
        (POOLED, HEAP),
        1.0 - 0.45,
        "the reference claims 45 to 65 % faster, 65.2 % printed",
    ));
    let nearest = "our bar: recall@10 of 0.95";
    bars.push(judge.at_most(RECALL, POOLED, (0.05, Figure::Ratio), nearest));
    bars
}
