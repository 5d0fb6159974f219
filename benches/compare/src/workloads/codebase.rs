//! Chapter `codebase`: pools inside a code database with search.

mod objects;

use self::objects::{AMONG_MANY, CHURN, HELD, IDS, MANY, OBJECT, OVERHEAD, PLACE, WORST};
use super::{
    HEAP, Job, Judge, MIMALLOC, POOLED, allocator_share, bytes, calls, documents, heap_use, share,
    versus, whole,
};
use anyhow::Result;
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{Chapter, RowSpec, Section, Unit};
use millpond_bench::counting;
use millpond_bench::record::ChapterRecord;
use millpond_bench::stats::median;
use millpond_bench::worker::{Measurement, Request};
use millpond_workloads::codebase::work::{Done, Work};
use millpond_workloads::codebase::{Heap, Memory, Pooled, Store};
use serde_json::{Map, Value};
use std::hint::black_box;
use std::time::Duration;

pub const CHAPTER: Chapter = Chapter {
    name: "codebase",
    question: "What do pools win in a code database: saves, searches, JSON primitives?",
    caveats: &[
        "Pooling can win what the allocator takes and no more: the heap mode's allocation share stands beside every operation, and the parts of a save and of a search say what the rest is.",
        "Who wants saves and searches to be faster reserves capacity and borrows texts first, which this heap mode does, and then looks at the largest part: pools are for calls of the allocator, its locks and its fragmentation.",
        "An object in a pool costs its place, the lease that names it, which knows its pool (16 bytes, a box has 8), and an entry of 8 by which the place is free, before and after. Many small objects with one owner: ids.",
        "The reference's heap mode allocates for every node and candidate; ours reserves capacity and borrows, so there is less to win.",
        "A save without the store is diff, symbols, words, embedding and graph; what redb takes and allocates is shown apart and is the same in all modes.",
        "One thread. What the tool protocol costs is not in these figures.",
    ],
    rows: ROWS,
    tasks: |mode| super::tasks(mode, JOBS),
    work: |request| super::measure(request, JOBS),
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
const PARTS: &str = "parts";
const ANALYTICS: &str = "analytics";

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
    RowSpec::new(
        PARTS,
        "parts of a save and of a search",
        "heap mode, each part alone",
        Unit::Micros,
        Section::Mechanism,
    ),
    objects::TIMES[0],
    objects::TIMES[1],
    objects::TIMES[2],
    share("save-share", "allocation share, save"),
    share("search-share", "allocation share, search"),
    share("primitive-share", "allocation share, primitive"),
    calls("save-allocations", "allocations, save"),
    calls("search-allocations", "allocations, search"),
    calls("primitive-allocations", "allocations, primitive"),
    bytes("save-bytes", "bytes, save"),
    bytes("search-bytes", "bytes, search"),
    bytes("primitive-bytes", "bytes, primitive"),
    objects::SPACES[0],
    objects::SPACES[1],
    RowSpec::space(
        ANALYTICS,
        "allocations made, of all acquires",
        "saves, searches and primitives, the filling of the database included; by the pools' own analytics",
        Unit::Ratio,
    ),
    RowSpec::new(
        RECALL,
        "nearest ten that are missed",
        "1 − recall@10 against exact search",
        Unit::Ratio,
        Section::Mechanism,
    ),
];

pub const JOBS: &[Job] = &[
    Job::all(SAVE, 4, |request| contest(request, SAVE)),
    Job::all(SEARCH, 4, |request| contest(request, SEARCH)),
    Job::all(PRIMITIVE, 4, |request| contest(request, PRIMITIVE)),
    Job::all(COMBINED, 4, |request| contest(request, COMBINED)),
    Job::all(STORED, 4, |request| contest(request, STORED)),
    Job::ours(DURABLE, 4, |request| contest(request, DURABLE)),
    Job::all(LATENCY, 5, |request| whole::latency(request, prepare)),
    Job::apart(MEMORY, 2, |request| whole::footprint(request, prepare)),
    Job::ours(SHARES, 4, shares),
    Job::all(SPACE, 6, space),
    Job::apart(OVERHEAD, 0, objects::overhead),
    Job::apart(CHURN, 1, objects::churn),
    Job::all(OBJECT, 9, objects::object),
    Job::once(PARTS, 2, parts),
    Job::once(ANALYTICS, 2, analytics),
    Job::ours(RECALL, 4, recall),
];

/// Text of the corpus that is in the database.
const SOME_BYTES: usize = 1_500_000;

fn on_heap(request: &Request, store: Store) -> Result<Work<Heap>> {
    Work::new(|| Heap, &documents(request, SOME_BYTES)?, store)
}

fn on_pools(request: &Request, store: Store) -> Result<Work<Pooled>> {
    Work::new(Pooled::new, &documents(request, SOME_BYTES)?, store)
}

/// Carries out what a row is about, once around.
fn run<M: Memory>(work: &mut Work<M>, row: &str) -> Done {
    match row {
        SAVE => work.save(),
        SEARCH => work.search(),
        PRIMITIVE => work.retrieve(),
        STORED | DURABLE => work.store(),
        _ => {
            // As many searches and requests as saves.
            let saved = work.save();
            let asked = work.queries().iter().take(saved.operations);
            black_box(asked.map(|query| work.search_for(query)).max());
            black_box(work.retrieve());
            saved
        }
    }
}

fn contest(request: &Request, operation: &str) -> Result<Vec<Measurement>> {
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
    let each = 1e-3 / run(&mut heap, operation).operations as f64;
    let on_heap = || run(&mut heap, operation);
    let measured = versus(request, (operation, each), on_heap, || {
        run(&mut pooled, operation)
    });
    drop((heap, pooled));
    std::fs::remove_dir_all(&folder)?;
    Ok(measured)
}

fn prepare(request: &Request, pooled: bool, with: &mut dyn FnMut(&mut dyn FnMut())) -> Result<()> {
    fn searched<M: Memory>(work: &Work<M>, with: &mut dyn FnMut(&mut dyn FnMut())) {
        let mut turns = work.queries().iter().cycle();
        with(&mut || {
            black_box(turns.next().map(|query| work.search_for(query)));
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
    let mut work = on_heap(request, Store::in_memory()?)?;
    let shares = OPERATIONS.map(|Operation { row, share, .. }| {
        let shares = allocator_share(request.rounds, 2, || run(&mut work, row));
        Measurement::new(share, HEAP, shares)
    });
    Ok(shares.into())
}

fn space(request: &Request) -> Result<Vec<Measurement>> {
    fn used<M: Memory>(name: &str, mut work: Work<M>) -> Vec<Measurement> {
        let each = |Operation {
                        row, calls, bytes, ..
                    }| {
            let operations = run(&mut work, row).operations as f64;
            let (allocations, asked) = heap_use(|| run(&mut work, row));
            [
                Measurement::new(calls, name, vec![allocations / operations]),
                Measurement::new(bytes, name, vec![asked / operations]),
            ]
        };
        OPERATIONS.into_iter().flat_map(each).collect()
    }
    let mut measured = used(HEAP, on_heap(request, Store::in_memory()?)?);
    if request.contender != HEAP {
        measured.extend(used(POOLED, on_pools(request, Store::in_memory()?)?));
    }
    Ok(measured)
}

/// What the time of the heap mode is made of.
fn parts(request: &Request) -> Result<Vec<Measurement>> {
    counting::pause();
    let work = on_heap(request, Store::in_memory()?)?;
    let parts = work.parts(Duration::from_micros(request.slice_micros));
    let rows = parts.map(|(part, micros)| Measurement::new(PARTS, part, vec![micros]));
    Ok(rows.into())
}

/// What the pools say of themselves after some of everything.
fn analytics(request: &Request) -> Result<Vec<Measurement>> {
    let mut work = on_pools(request, Store::in_memory()?)?;
    for _ in 0..20 {
        for row in [STORED, SEARCH, PRIMITIVE] {
            run(&mut work, row);
        }
    }
    let report = work.report();
    let of = |figure: &str| report["savings"][figure].as_f64().unwrap_or(f64::NAN);
    let (made, avoided) = (of("allocations_made"), of("allocations_avoided"));
    let made = Measurement::new(ANALYTICS, POOLED, vec![made / (made + avoided)]);
    Ok(vec![made.with_note(in_lines(&report, 0))])
}

/// A report as JSON with a line for each pool, and without what is zero or empty.
fn in_lines(report: &Value, depth: usize) -> String {
    let (indent, deeper) = ("  ".repeat(depth), depth + 1);
    let lines = |lines: Vec<String>| lines.join(&format!(",\n{indent}  "));
    match report {
        Value::Object(fields) if depth < 2 => {
            let fields = fields.iter();
            let each = fields.map(|(name, value)| format!("{name:?}: {}", in_lines(value, deeper)));
            format!("{{\n{indent}  {}\n{indent}}}", lines(each.collect()))
        }
        Value::Array(values) if depth < 3 && !values.is_empty() => {
            let each = values.iter().map(|value| in_lines(value, deeper));
            format!("[\n{indent}  {}\n{indent}]", lines(each.collect()))
        }
        other => without_zeros(other.clone()).to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    let no_fields = value.as_object().is_some_and(Map::is_empty);
    no_fields || value.as_array().is_some_and(Vec::is_empty)
}

fn without_zeros(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| *value != 0);
            let fields = fields.map(|(name, value)| (name, without_zeros(value)));
            fields.filter(|(_, value)| !is_empty(value)).collect()
        }
        Value::Array(values) => values.into_iter().map(without_zeros).collect(),
        other => other,
    }
}

fn recall(request: &Request) -> Result<Vec<Measurement>> {
    let missed = [
        (HEAP, on_heap(request, Store::in_memory()?)?.missed()),
        (POOLED, on_pools(request, Store::in_memory()?)?.missed()),
    ];
    let rows = missed.map(|(mode, missed)| Measurement::new(RECALL, mode, vec![missed]));
    Ok(rows.into())
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
    bars.push(
        judge
            .ratio(OVERHEAD, (POOLED, HEAP), 0.5, "the claim")
            .beside("50 to 70 % less: 24 bytes a malloc, none a slot"),
    );
    bars.push(
        judge
            .ratio(
                OVERHEAD,
                (IDS, HEAP),
                0.5,
                "the claim, where ids name objects",
            )
            .beside("50 to 70 % less: 24 bytes a malloc, none a slot"),
    );
    bars.push(
        judge
            .ratio(OBJECT, (POOLED, HEAP), 1.0 - 0.6, "the claim")
            .beside("a net saving of 60 to 70 % an allocation"),
    );
    bars.push(
        judge
            .beyond(OBJECT, PLACE, (POOLED, HEAP), 1.0 - 0.6, "the claim")
            .beside("a net saving of 60 to 70 % an allocation"),
    );
    bars.push(
        judge
            .at_most(WORST, POOLED, (1e6, Figure::Nanos), "the claim")
            .beside("pool operations below a millisecond"),
    );
    // What takes a step more for each doubling takes this much longer among a hundred
    // times as many.
    let why = "the claim: less than what is logarithmic grows by";
    let times = judge.ratio(MANY, (AMONG_MANY[1], POOLED), 5.0 / 3.0, why);
    bars.push(times.beside("pool operations O(1)"));
    bars.push(
        judge
            .at_most(CHURN, HELD, (0.0, Figure::Ratio), "the claim")
            .beside("zero fragmentation"),
    );
    let nearest = "our bar: recall@10 of 0.95";
    bars.push(judge.at_most(RECALL, POOLED, (0.05, Figure::Ratio), nearest));
    bars
}
