//! Chapter `pipeline`: N-Triples to receipts, in cycles.

use super::{
    Bout, HEAP, Job, Judge, MIMALLOC, POOLED, allocator_share, bytes, calls, cycles, documents,
    share, uses, versus, whole,
};
use anyhow::Result;
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{Chapter, RowSpec, Section, Unit};
use millpond_bench::percentiles::EMPTY;
use millpond_bench::record::ChapterRecord;
use millpond_bench::stats::median;
use millpond_bench::worker::{Measurement, Request};
use millpond_bench::{clock, counting};
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
use std::thread;

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
    tasks: |mode| super::tasks(mode, JOBS),
    work: |request| super::measure(request, JOBS),
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
const EXHAUSTED: &str = "exhausted";
const SPACE: &str = "space";
const LATENCY: &str = "latency";
const MEMORY: &str = "memory";

/// The operation that is timed alone.
const WHOLE: [&str; 3] = ["run of 8 p50", "run of 8 p99", "run of 8 p99.9"];

const ROWS: &[RowSpec] = &[
    RowSpec::new(
        HOT,
        "buffer, acquire + release, hot",
        "the buffer of a run, on one thread; the loop's own cycles subtracted",
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
    share(SHARE, "allocation share, run of 8"),
    calls(ALLOCATIONS, "allocations, run of 8"),
    bytes(BYTES, "bytes, run of 8"),
    whole::percentiles(WHOLE)[0],
    whole::percentiles(WHOLE)[1],
    whole::percentiles(WHOLE)[2],
    whole::MEMORY[0],
    whole::MEMORY[1],
    RowSpec::new(
        MISSES,
        "misses, an acquire",
        "buffers made ÷ buffers acquired",
        Unit::Ratio,
        Section::Space,
    ),
    RowSpec::space(
        EXHAUSTED,
        "refused, eight operations at once",
        "of 80,000 acquires by eight threads, each with a buffer at a time",
        Unit::Count,
    ),
];

pub const JOBS: &[Job] = &[
    Job::all(HOT, 3, hot),
    Job::ours(COLD, 15, cold),
    Job::all(RECEIPT, 2, receipts),
    Job::all(RUN, 2, run),
    Job::ours(RINGS, 2, over_rings),
    Job::all(INGEST, 4, ingest),
    Job::all(LATENCY, 2, |request| whole::latency(request, prepare)),
    Job::apart(MEMORY, 0, |request| whole::footprint(request, prepare)),
    Job::ours(SHARE, 1, allocation_share),
    Job::ours(SPACE, 0, |_| space()),
];

/// Statements in the text of one iteration.
const STATEMENTS: usize = 4_000;

fn hot(request: &Request) -> Result<Vec<Measurement>> {
    let (pool, nothing) = (local_buffers(), 0_u64);
    let mut bout = Bout::new(request);
    bout.add(EMPTY, || black_box(&raw const nothing));
    bout.add(HEAP, || {
        let buffer = Heap.buffer();
        buffer.map(|buffer| black_box(buffer.as_ptr())).is_ok()
    });
    bout.add(POOLED, || {
        let buffer = pool.buffer();
        buffer.map(|buffer| black_box(buffer.as_ptr())).is_ok()
    });
    Ok(less_the_loop(bout.run(HOT, cycles())))
}

/// Takes what the loop itself takes off everybody's rounds.
fn less_the_loop(mut measured: Vec<Measurement>) -> Vec<Measurement> {
    let empty = measured.remove(0).values;
    for found in &mut measured {
        let rounds = found.values.iter_mut().zip(&empty);
        rounds.for_each(|(cycles, own)| *cycles = (*cycles - own).max(0.0));
    }
    measured
}

fn run(request: &Request) -> Result<Vec<Measurement>> {
    let pool = local_buffers();
    let (mut heap, mut pooled) = (heap(), hooked(&pool, Page::new(RECEIPTS)));
    let on_heap = || process(&mut heap);
    let measured = versus(request, (RUN, 1.0), on_heap, || process(&mut pooled));
    let in_cycles = measured.iter().map(|found| {
        let values = found.values.iter().map(|nanos| nanos * cycles()).collect();
        Measurement::new(RUN_CYCLES, found.contender.clone(), values)
    });
    let in_cycles: Vec<_> = in_cycles.collect();
    Ok(measured.into_iter().chain(in_cycles).collect())
}

fn allocation_share(request: &Request) -> Result<Vec<Measurement>> {
    let mut heap = heap();
    let shares = allocator_share(request.rounds, 20_000, || process(&mut heap));
    Ok(vec![Measurement::new(SHARE, HEAP, shares)])
}

fn prepare(_: &Request, pooled: bool, with: &mut dyn FnMut(&mut dyn FnMut())) -> Result<()> {
    if pooled {
        let pool = local_buffers();
        let mut pipeline = hooked(&pool, Page::new(RECEIPTS));
        with(&mut || {
            black_box(process(&mut pipeline));
        });
    } else {
        let mut pipeline = heap();
        with(&mut || {
            black_box(process(&mut pipeline));
        });
    }
    Ok(())
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

fn receipts(request: &Request) -> Result<Vec<Measurement>> {
    let written = Receipt::default();
    let write = |page: &mut Page| page.write(*black_box(&written)).is_ok();
    let (mut heap, mut pooled) = (Heap, Page::new(RECEIPTS));
    Ok(versus(
        request,
        (RECEIPT, cycles()),
        || heap.with_page(1, write),
        || pooled.with_page(1, write),
    ))
}

fn cold(request: &Request) -> Result<Vec<Measurement>> {
    counting::pause();
    let pool = local_buffers();
    Ok(vec![
        Measurement::new(
            COLD,
            HEAP,
            on_cold_caches(request.rounds, || Heap.buffer().is_ok()),
        ),
        Measurement::new(
            COLD,
            POOLED,
            on_cold_caches(request.rounds, || pool.buffer().is_ok()),
        ),
    ])
}

/// Cycles of one operation with cold caches, less what an empty measurement takes.
fn on_cold_caches(rounds: u32, mut operation: impl FnMut() -> bool) -> Vec<f64> {
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
    let pool = shared_buffers();
    let all: Vec<Triple> = triples()
        .into_iter()
        .cycle()
        .take(8 * RUNS as usize)
        .collect();
    let hooks = [Hook::new([None, Some(1), None], Question::Count)];
    let each = 1.0 / f64::from(RUNS);
    let mut bout = Bout::new(request).on_all_cores();
    bout.add(HEAP, || rings::stream(&Heap, &all, &hooks, |_| ()).is_ok());
    bout.add(POOLED, || {
        rings::stream(&pool, &all, &hooks, |_| ()).is_ok()
    });
    Ok(bout.run(RINGS, each))
}

fn ingest(request: &Request) -> Result<Vec<Measurement>> {
    let text = sample::ntriples(&documents(request, 400_000)?, STATEMENTS);
    let scale = 1.0 / text.lines().count() as f64;
    let pool = local_buffers();
    let (mut heap, mut pooled) = (heap(), hooked(&pool, Page::new(RECEIPTS)));
    let mut measured = versus(
        request,
        (INGEST, scale),
        || all_of(&mut heap, &text),
        || all_of(&mut pooled, &text),
    );
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
    Ok(measured)
}

fn all_of<B: Buffers, L: Ledger>(pipeline: &mut Pipeline<'_, B, L>, text: &str) -> bool {
    let emit = |receipt: &Receipt| {
        black_box(receipt.answer);
    };
    pipeline.ingest(text, emit).is_ok()
}

fn statements(text: &str, mut each: impl FnMut([&str; 3])) -> usize {
    let (mut parser, mut count) = (Parser::new(text), 0);
    while let Ok(Some(statement)) = parser.statement() {
        each(statement);
        count += 1;
    }
    count
}

fn space() -> Result<Vec<Measurement>> {
    let pool = local_buffers();
    let (mut heap, mut pooled) = (heap(), hooked(&pool, Page::new(RECEIPTS)));
    let on_heap = || process(&mut heap);
    let mut measured = uses([ALLOCATIONS, BYTES], on_heap, || process(&mut pooled));
    (0..10_000).for_each(|_| {
        black_box(process(&mut pooled));
    });
    let stats = pool.stats();
    let misses = stats.created as f64 / stats.acquires as f64;
    measured.push(Measurement::new(MISSES, POOLED, vec![misses]));
    measured.push(Measurement::new(EXHAUSTED, POOLED, vec![refused()]));
    Ok(measured)
}

/// Acquires that find no buffer while eight threads take one each, again and again.
fn refused() -> f64 {
    let pool = shared_buffers();
    let take = || (0..10_000).filter(|_| pool.buffer().is_err()).count();
    let refused: usize = thread::scope(|scope| {
        let takers = [(); 8].map(|()| scope.spawn(take));
        takers
            .into_iter()
            .map(|taker| taker.join().unwrap_or(1))
            .sum()
    });
    refused as f64
}

fn bars(record: &ChapterRecord) -> Vec<Bar> {
    let judge = Judge(record);
    let within = |row, limit, why| judge.at_most(row, POOLED, (limit, Figure::Cycles), why);
    vec![
        judge
            .ratio(RUN, (POOLED, HEAP), 0.875, "our bar")
            .beside("8 → 7 ticks"),
        judge.ratio(
            RUN,
            (POOLED, MIMALLOC),
            0.85,
            "our bar where the allocation share is ≥ 30 %",
        ),
        within(HOT, 5.0, "our bar"),
        within(HOT, 2.0, "the claim").beside("1 tick to get, 1 to return"),
        within(COLD, 50.0, "the claim").beside("50 ticks"),
        within(RECEIPT, 1.0, "the claim").beside("1 tick"),
        within(RUN_CYCLES, 8.0, "the claim").beside("8 ticks or fewer"),
        judge
            .at_most(ALLOCATIONS, POOLED, (0.0, Figure::Count), "our bar")
            .beside("none"),
        judge
            .at_most(MISSES, POOLED, (0.05, Figure::Ratio), "the claim")
            .beside("hit rate above 95 %"),
        judge
            .at_most(EXHAUSTED, POOLED, (0.0, Figure::Count), "the claim")
            .beside("never, with eight operations at once"),
    ]
}
