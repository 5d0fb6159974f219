//! Chapter `pipeline`: N-Triples to receipts, in cycles.

use super::{
    Bout, HEAP, Judge, MIMALLOC, Modes, POOLED, allocator_share, cycles, documents, heap_use,
};
use anyhow::Result;
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{Chapter, RowSpec, Section, Unit};
use millpond_bench::clock;
use millpond_bench::plan::{Mode, Task};
use millpond_bench::record::ChapterRecord;
use millpond_bench::stats::median;
use millpond_bench::worker::{Measurement, Request};
use millpond_workloads::pipeline::memory::{
    Buffers, Heap, Ledger, RECEIPTS, local_buffers, shared_buffers,
};
use millpond_workloads::pipeline::ntriples::Parser;
use millpond_workloads::pipeline::receipt::{Page, Receipt};
use millpond_workloads::pipeline::reflex::{Hook, Question};
use millpond_workloads::pipeline::run::Triple;
use millpond_workloads::pipeline::terms::Terms;
use millpond_workloads::pipeline::{Pattern, Pipeline, rings, sample};
use std::hint::black_box;
use std::time::Duration;

pub const CHAPTER: Chapter = Chapter {
    name: "pipeline",
    question: "What do eight triples cost from load to receipts, on the heap and on pools?",
    caveats: &[
        "The reference never defines its tick. Ours is a cycle of the time-stamp counter, which runs at a constant rate that is not the core's.",
        "Cold means that 64 MiB were read in between; the timer's own cost is subtracted.",
        "Three hooks look at each run. The heap mode takes a box for the run and a vector for its receipts.",
        "Parsing and transforming are the same in all modes and are shown apart.",
    ],
    rows: ROWS,
    tasks,
    work: |request| measure(request, Modes::Both),
    bars,
};

const HOT: &str = "buffer-hot";
const COLD: &str = "buffer-cold";
const RECEIPT: &str = "receipt";
const RUN: &str = "run-8";
const RUN_CYCLES: &str = "run-8-cycles";
const PARSE: &str = "parse";
const TRANSFORM: &str = "transform";
const INGEST: &str = "ingest";
const RINGS: &str = "rings";
const SHARE: &str = "allocation-share";
const ALLOCATIONS: &str = "allocations";
const BYTES: &str = "bytes";
const MISSES: &str = "misses";
const SPACE: &str = "space";

const ROWS: &[RowSpec] = &[
    RowSpec::new(
        HOT,
        "buffer, acquire + release, hot",
        "the buffer of a run, on one thread",
        Unit::Cycles,
        Section::Time,
    ),
    RowSpec::new(
        COLD,
        "buffer, acquire + release, cold",
        "the same after 64 MiB were read",
        Unit::Cycles,
        Section::Time,
    ),
    RowSpec::new(
        RECEIPT,
        "receipt",
        "128 bytes written, taken back together",
        Unit::Cycles,
        Section::Time,
    ),
    RowSpec::new(
        RUN,
        "run of 8: load, reflex, emit",
        "three hooks, three receipts",
        Unit::Nanos,
        Section::Time,
    ),
    RowSpec::new(
        RUN_CYCLES,
        "run of 8, in cycles",
        "the same",
        Unit::Cycles,
        Section::Time,
    ),
    RowSpec::new(
        RINGS,
        "run of 8 over rings",
        "three stages on threads, two rings between them",
        Unit::Nanos,
        Section::Time,
    ),
    RowSpec::new(
        PARSE,
        "parse, a statement",
        "N-Triples to terms",
        Unit::Nanos,
        Section::RealInput,
    ),
    RowSpec::new(
        TRANSFORM,
        "parse and transform, a statement",
        "N-Triples to ids",
        Unit::Nanos,
        Section::RealInput,
    ),
    RowSpec::new(
        INGEST,
        "all stages, a statement",
        "N-Triples to receipts; times a million: milliseconds",
        Unit::Nanos,
        Section::RealInput,
    ),
    RowSpec::new(
        SHARE,
        "allocation share, run of 8",
        "what each allocation done twice adds, of the time",
        Unit::Ratio,
        Section::Mechanism,
    ),
    RowSpec::new(
        ALLOCATIONS,
        "allocations, run of 8",
        "calls of the allocator",
        Unit::Count,
        Section::Space,
    ),
    RowSpec::new(
        BYTES,
        "bytes, run of 8",
        "bytes asked of the allocator",
        Unit::Bytes,
        Section::Space,
    ),
    RowSpec::new(
        MISSES,
        "misses, an acquire",
        "buffers made ÷ buffers acquired",
        Unit::Ratio,
        Section::Space,
    ),
];

fn tasks(mode: Mode) -> Vec<Task> {
    let names = [
        (HOT, true, 2),
        (COLD, false, 8),
        (RECEIPT, true, 2),
        (RUN, true, 2),
        (RINGS, false, 2),
        (INGEST, true, 4),
        (SHARE, true, 2),
        (SPACE, false, 1),
    ];
    super::tasks(mode, &names, Duration::from_millis(8))
}

/// Statements in the text of one iteration.
const STATEMENTS: usize = 4_000;

pub fn measure(request: &Request, modes: Modes) -> Result<Vec<Measurement>> {
    let (pool, both) = (local_buffers()?, modes == Modes::Both);
    let mut bout = Bout::new(request);
    Ok(match request.task.as_str() {
        HOT => {
            bout.add(HEAP, || black_box(Heap.buffer()).is_ok());
            if both {
                bout.add(POOLED, || black_box(pool.buffer()).is_ok());
            }
            bout.run(HOT, cycles())
        }
        COLD => vec![
            Measurement::new(COLD, HEAP, cold(request.rounds, || Heap.buffer().is_ok())),
            Measurement::new(COLD, POOLED, cold(request.rounds, || pool.buffer().is_ok())),
        ],
        RECEIPT => receipts(request, both),
        RUN => {
            let (mut heap, mut pooled) = (heap(), hooked(&pool, Page::new(RECEIPTS)));
            bout.add(HEAP, move || process(&mut heap));
            if both {
                bout.add(POOLED, move || process(&mut pooled));
            }
            let measured = bout.run(RUN, 1.0);
            let in_cycles = measured.iter().map(|found| {
                let values = found.values.iter().map(|nanos| nanos * cycles()).collect();
                Measurement::new(RUN_CYCLES, found.contender.clone(), values)
            });
            let in_cycles: Vec<_> = in_cycles.collect();
            measured.into_iter().chain(in_cycles).collect()
        }
        RINGS => over_rings(request)?,
        INGEST => ingest(request, both)?,
        SHARE => {
            let mut heap = heap();
            let shares = allocator_share(request.rounds, 20_000, || {
                black_box(process(&mut heap));
            });
            vec![Measurement::new(SHARE, HEAP, shares)]
        }
        _ => space(),
    })
}

fn heap() -> Pipeline<'static, Heap, Heap> {
    hooked(&Heap, Heap)
}

fn hooked<B: Buffers, L: Ledger>(buffers: &B, ledger: L) -> Pipeline<'_, B, L> {
    let mut pipeline = Pipeline::new(buffers, ledger);
    let of = |predicate| Pattern {
        predicate: Some(predicate),
        ..Pattern::ANY
    };
    pipeline.hook(of(sample::MENTIONS), Question::Count);
    pipeline.hook(of(sample::LINES), Question::Ask);
    pipeline.hook(
        Pattern {
            object: Some("\"self\""),
            ..Pattern::ANY
        },
        Question::AtLeast(2),
    );
    pipeline
}

fn triples() -> [Triple; 8] {
    std::array::from_fn(|lane| [lane as u64 + 10, 1 + lane as u64 % 2, lane as u64])
}

fn process<B: Buffers, L: Ledger>(pipeline: &mut Pipeline<'_, B, L>) -> u64 {
    let mut answers = 0;
    let emit = |receipt: &Receipt| answers += u64::from(receipt.answer) ^ receipt.run;
    let done = pipeline.process(black_box(&triples()), emit);
    answers ^ u64::from(done.is_ok())
}

fn receipts(request: &Request, both: bool) -> Vec<Measurement> {
    let write = |page: &mut Page| page.write(black_box(Receipt::default())).is_ok();
    let (mut heap, mut bout) = (Heap, Bout::new(request));
    bout.add(HEAP, move || heap.with_page(1, |page| write(page)));
    if both {
        let mut pooled = Page::new(RECEIPTS);
        bout.add(POOLED, move || pooled.with_page(1, |page| write(page)));
    }
    bout.run(RECEIPT, cycles())
}

/// Cycles of one operation with cold caches, less what an empty measurement takes.
fn cold(rounds: u32, mut operation: impl FnMut() -> bool) -> Vec<f64> {
    const SAMPLES: usize = 9;
    let other = vec![1_u8; 64 << 20];
    let flush = || {
        black_box(
            other
                .iter()
                .step_by(64)
                .map(|byte| u64::from(*byte))
                .sum::<u64>(),
        )
    };
    operation();
    let mut once = |work: bool| {
        flush();
        let before = clock::start();
        if work {
            black_box(operation());
        }
        clock::stop().wrapping_sub(before) as f64
    };
    let mut middle = |work| median(&(0..SAMPLES).map(|_| once(work)).collect::<Vec<_>>());
    (0..rounds)
        .map(|_| (middle(true) - middle(false)).max(0.0))
        .collect()
}

fn over_rings(request: &Request) -> Result<Vec<Measurement>> {
    const RUNS: u32 = 2_000;
    let pool = shared_buffers()?;
    let all: Vec<Triple> = triples()
        .into_iter()
        .cycle()
        .take(8 * RUNS as usize)
        .collect();
    let hooks = [Hook::new([None, Some(1), None], Question::Count)];
    let each = 1.0 / f64::from(RUNS);
    let mut bout = Bout::new(request);
    bout.add(HEAP, || rings::stream(&Heap, &all, &hooks, |_| ()).is_ok());
    bout.add(POOLED, || {
        rings::stream(&pool, &all, &hooks, |_| ()).is_ok()
    });
    Ok(bout.run(RINGS, each))
}

fn ingest(request: &Request, both: bool) -> Result<Vec<Measurement>> {
    let text = sample::ntriples(&documents(request, 400_000)?, STATEMENTS);
    let count = text.lines().count();
    let scale = 1.0 / count as f64;
    let pool = local_buffers()?;
    let (mut heap, mut pooled) = (heap(), hooked(&pool, Page::new(RECEIPTS)));
    let mut bout = Bout::new(request);
    bout.add(HEAP, || {
        heap.ingest(&text, |receipt| {
            black_box(receipt.answer);
        })
        .is_ok()
    });
    if both {
        bout.add(POOLED, || {
            pooled
                .ingest(&text, |receipt| {
                    black_box(receipt.answer);
                })
                .is_ok()
        });
    }
    let mut measured = bout.run(INGEST, scale);
    if both {
        let mut apart = Bout::new(request);
        apart.add(HEAP, || statements(&text, |_| ()));
        measured.extend(apart.run(PARSE, scale));
        let (mut terms, mut apart) = (Terms::new(), Bout::new(request));
        apart.add(HEAP, || {
            statements(&text, |statement| {
                black_box(statement.map(|term| terms.id_of(term)));
            })
        });
        measured.extend(apart.run(TRANSFORM, scale));
    }
    Ok(measured)
}

fn statements(text: &str, mut each: impl FnMut([&str; 3])) -> usize {
    let (mut parser, mut count) = (Parser::new(text), 0);
    while let Ok(Some(statement)) = parser.statement() {
        each(statement);
        count += 1;
    }
    count
}

fn space() -> Vec<Measurement> {
    let pool = local_buffers().expect("the shape of a run is valid");
    let (mut heap, mut pooled) = (heap(), hooked(&pool, Page::new(RECEIPTS)));
    let on_heap = heap_use(|| process(&mut heap));
    let on_pools = heap_use(|| process(&mut pooled));
    (0..10_000).for_each(|_| {
        black_box(process(&mut pooled));
    });
    let stats = pool.stats();
    let misses = stats.created as f64 / stats.acquires as f64;
    vec![
        Measurement::new(ALLOCATIONS, HEAP, vec![on_heap.0]),
        Measurement::new(ALLOCATIONS, POOLED, vec![on_pools.0]),
        Measurement::new(BYTES, HEAP, vec![on_heap.1]),
        Measurement::new(BYTES, POOLED, vec![on_pools.1]),
        Measurement::new(MISSES, POOLED, vec![misses]),
    ]
}

fn bars(record: &ChapterRecord) -> Vec<Bar> {
    let judge = Judge(record);
    let cycles = |limit| (limit, Figure::Cycles);
    vec![
        judge.ratio(
            RUN,
            (POOLED, HEAP),
            0.875,
            "our bar; the reference claims 8 → 7 ticks",
        ),
        judge.ratio(
            RUN,
            (POOLED, MIMALLOC),
            0.85,
            "our bar where the allocation share is ≥ 30 %",
        ),
        judge.at_most(HOT, POOLED, cycles(5.0), "our bar: 5 cycles"),
        judge.at_most(
            ALLOCATIONS,
            POOLED,
            (0.0, Figure::Count),
            "our bar and the reference's claim: none",
        ),
        judge.at_most(
            HOT,
            POOLED,
            cycles(2.0),
            "the reference claims 1 tick each for get and return",
        ),
        judge.at_most(COLD, POOLED, cycles(50.0), "the reference claims 50 ticks"),
        judge.at_most(RECEIPT, POOLED, cycles(1.0), "the reference claims 1 tick"),
        judge.at_most(
            RUN_CYCLES,
            POOLED,
            cycles(8.0),
            "the reference claims 8 ticks or fewer",
        ),
        judge.at_most(
            MISSES,
            POOLED,
            (0.05, Figure::Ratio),
            "the reference claims a hit rate above 95 %",
        ),
    ]
}
