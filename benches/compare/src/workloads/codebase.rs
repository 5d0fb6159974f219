//! Chapter `codebase`: pools inside a code database with search.

use super::{
    HEAP, Job, Judge, MIMALLOC, Modes, POOLED, allocator_share, bytes, calls, documents, heap_use,
    share, versus, whole,
};
use anyhow::{Context, Result};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{Chapter, RowSpec, Section, Unit};
use millpond_bench::record::ChapterRecord;
use millpond_bench::stats::median;
use millpond_bench::worker::{Measurement, Request};
use millpond_workloads::codebase::{
    Codebase, DIMENSION, Heap, Index, Memory, Pooled, Primitive, Ranking, Store, embed,
};
use std::hint::black_box;

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
    tasks: |mode| super::tasks(mode, JOBS),
    work: |request| super::measure(request, Modes::Both, JOBS),
    bars,
};

const SAVE: &str = "save";
const SEARCH: &str = "search";
const PRIMITIVE: &str = "primitive";
const COMBINED: &str = "combined";
/// One kind of work, and what the reference says of it.
struct Operation {
    row: &'static str,
    share: &'static str,
    calls: &'static str,
    bytes: &'static str,
    /// The least by which pools are faster, in the reference's words and as a limit.
    claim: (&'static str, f64),
}

const OPERATIONS: [Operation; 3] = [
    Operation {
        row: SAVE,
        share: "save-share",
        calls: "save-allocations",
        bytes: "save-bytes",
        claim: ("30 to 50 % faster", 0.7),
    },
    Operation {
        row: SEARCH,
        share: "search-share",
        calls: "search-allocations",
        bytes: "search-bytes",
        claim: ("40 to 60 % faster", 0.6),
    },
    Operation {
        row: PRIMITIVE,
        share: "primitive-share",
        calls: "primitive-allocations",
        bytes: "primitive-bytes",
        claim: ("50 to 70 % faster", 0.5),
    },
];
const STORED: &str = "stored";
const DURABLE: &str = "durable";
const SHARES: &str = "shares";
const SPACE: &str = "space";
const LATENCY: &str = "latency";
const MEMORY: &str = "memory";
const RECALL: &str = "recall";

/// The operation that is timed alone.
const WHOLE: [&str; 3] = ["search p50", "search p99", "search p99.9"];

const ROWS: &[RowSpec] = &[
    RowSpec::new(
        SAVE,
        "save a changed file, without the store",
        "diff, symbols, words, embedding, graph",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        SEARCH,
        "hybrid search, ten hits",
        "words, embeddings and graph, fused",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        PRIMITIVE,
        "retrieve, JSON in and out",
        "a file and the record of its change",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        COMBINED,
        "a save, a search and a primitive",
        "the three above in turn",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        STORED,
        "save, store in memory",
        "the whole save with its commit",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        DURABLE,
        "save, store on disk",
        "the whole save with its commit and fsync",
        Unit::Micros,
        Section::RealInput,
    ),
    whole::percentiles(WHOLE)[0],
    whole::percentiles(WHOLE)[1],
    whole::percentiles(WHOLE)[2],
    whole::MEMORY[0],
    whole::MEMORY[1],
    share("save-share", "allocation share, save"),
    share("search-share", "allocation share, search"),
    share("primitive-share", "allocation share, primitive"),
    calls("save-allocations", "allocations, save"),
    calls("search-allocations", "allocations, search"),
    calls("primitive-allocations", "allocations, primitive"),
    bytes("save-bytes", "bytes, save"),
    bytes("search-bytes", "bytes, search"),
    bytes("primitive-bytes", "bytes, primitive"),
    RowSpec::new(
        RECALL,
        "nearest ten that are missed",
        "1 − recall@10 against exact search",
        Unit::Ratio,
        Section::Mechanism,
    ),
];

pub const JOBS: &[Job] = &[
    Job::all(SAVE, 3, |request, modes| contest(request, modes, SAVE)),
    Job::all(SEARCH, 3, |request, modes| contest(request, modes, SEARCH)),
    Job::all(PRIMITIVE, 3, |request, modes| {
        contest(request, modes, PRIMITIVE)
    }),
    Job::all(COMBINED, 3, |request, modes| {
        contest(request, modes, COMBINED)
    }),
    Job::all(STORED, 3, |request, modes| contest(request, modes, STORED)),
    Job::ours(DURABLE, 3, |request, modes| {
        contest(request, modes, DURABLE)
    }),
    Job::all(LATENCY, 12, |request, modes| {
        whole::latency(request, modes, prepare)
    }),
    Job::apart(MEMORY, 4, |request, _| whole::footprint(request, prepare)),
    Job::ours(SHARES, 8, |request, _| shares(request)),
    Job::all(SPACE, 4, space),
    Job::ours(RECALL, 4, |request, _| recall(request)),
];

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

fn contest(request: &Request, modes: Modes, operation: &str) -> Result<Vec<Measurement>> {
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
    let on_heap = || heap.run(operation);
    let measured = versus((request, modes), (operation, each), on_heap, || {
        pooled.run(operation)
    });
    drop((heap, pooled));
    std::fs::remove_dir_all(&folder)?;
    Ok(measured)
}

fn prepare(request: &Request, pooled: bool, with: &mut dyn FnMut(&mut dyn FnMut())) -> Result<()> {
    fn searched<M: Memory>(world: &World<M>, with: &mut dyn FnMut(&mut dyn FnMut())) {
        let mut turns = world.queries.iter().cycle();
        with(&mut || {
            black_box(turns.next().map(|query| world.search_for(query)));
        });
    }
    if pooled {
        searched(&on_pools(request, Store::in_memory()?)?, with);
    } else {
        searched(&on_heap(request, Store::in_memory()?)?, with);
    }
    Ok(())
}

fn shares(request: &Request) -> Result<Vec<Measurement>> {
    let mut world = on_heap(request, Store::in_memory()?)?;
    let shares = OPERATIONS.map(|Operation { row, share, .. }| {
        let shares = allocator_share(request.rounds, 2, || world.run(row));
        Measurement::new(share, HEAP, shares)
    });
    Ok(shares.into())
}

fn space(request: &Request, modes: Modes) -> Result<Vec<Measurement>> {
    fn used<M: Memory>(name: &str, mut world: World<M>) -> Vec<Measurement> {
        let each = |Operation {
                        row, calls, bytes, ..
                    }| {
            let operations = world.run(row) as f64;
            let (allocations, asked) = heap_use(|| world.run(row));
            [
                Measurement::new(calls, name, vec![allocations / operations]),
                Measurement::new(bytes, name, vec![asked / operations]),
            ]
        };
        OPERATIONS.into_iter().flat_map(each).collect()
    }
    let mut measured = used(HEAP, on_heap(request, Store::in_memory()?)?);
    if modes == Modes::Both {
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
    for Operation {
        row,
        share,
        calls,
        claim,
        ..
    } in OPERATIONS
    {
        let shares = record.row(share).and_then(|row| row.series(HEAP));
        let part = shares.map_or(0.0, |series| median(&series.values));
        let why = format!(
            "our bar: recovers 80 % of an allocation share of {:.1} %",
            part * 100.0
        );
        bars.push(judge.ratio(row, (POOLED, HEAP), 1.0 - RECOVERED * part, &why));
        if part >= LARGE_SHARE {
            let why = "our bar: 15 % faster";
            bars.push(judge.ratio(row, (POOLED, MIMALLOC), AHEAD_OF_MIMALLOC, why));
        }
        let (words, limit) = claim;
        let claimed = judge.ratio(row, (POOLED, HEAP), limit, "the claim");
        bars.push(claimed.beside(words));
        let why = "our bar: 95 % fewer calls of the allocator";
        bars.push(judge.ratio(calls, (POOLED, HEAP), 0.05, why));
    }
    bars.push(
        judge
            .ratio(COMBINED, (POOLED, HEAP), 1.0 - 0.45, "the claim")
            .beside("45 to 65 % faster; its demonstration prints 65.2 %"),
    );
    let nearest = "our bar: recall@10 of 0.95";
    bars.push(judge.at_most(RECALL, POOLED, (0.05, Figure::Ratio), nearest));
    bars
}
