//! Chapter `encoder`: pages that adapt, inside a streaming encoder.

use super::{
    Bout, HEAP, Job, Judge, MIMALLOC, POOLED, allocator_share, bytes, calls, documents, share,
    uses, versus, whole,
};
use anyhow::{Context, Result};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{Chapter, RowSpec, Section, Unit};
use millpond_bench::record::ChapterRecord;
use millpond_bench::worker::{Measurement, Request};
use millpond_workloads::corpus::Document;
use millpond_workloads::encoder::memory::{Heap, Memory, PAGE_BYTES, Pooled};
use millpond_workloads::encoder::sizing::Sizing;
use millpond_workloads::encoder::{Dictionary, Encoder, archive};
use std::hint::black_box;
use std::io;
use std::time::Instant;

pub const CHAPTER: Chapter = Chapter {
    name: "encoder",
    question: "What does a pool of output pages cost and save inside a streaming encoder?",
    caveats: &[
        "The reference's figures for acquire and release (800 ns to 37 µs) include its interpreter; ours are shown beside the limit that they set.",
        "The allocator's part of an encoder's time is small, so no mode can be much faster than another: that is the result.",
        "One by one means that each document learns and carries a dictionary of its own, as it must to be decoded by itself.",
        "The overhead is what acquires and releases take, each timed alone, over the time of encoding.",
    ],
    rows: ROWS,
    tasks: |mode| super::tasks(mode, JOBS),
    work: |request| super::measure(request, JOBS),
    bars,
};

const SIZES: [(usize, &str); 4] = [
    (16, "page-16"),
    (32, "page-32"),
    (64, "page-64"),
    (128, "page-128"),
];
const DOCUMENTS: &str = "documents";
const STEPS: &str = "steps";
const STEPS_BYTES: &str = "steps-bytes";
const STEPS_PEAK: &str = "steps-peak";
const STEPS_OVERFLOWS: &str = "steps-overflows";
const COURSE: &str = "course";
const COURSE_SIZE: &str = "course-size";
const COURSE_RATE: &str = "course-rate";
const BATCH: &str = "batch";
const OVERHEAD: &str = "overhead";
const RATIO: &str = "ratio";
const SHARE: &str = "allocation-share";
const ALLOCATIONS: &str = "allocations";
const BYTES: &str = "bytes";
const POOL_BYTES: &str = "pool-bytes";
const UNUSED: &str = "unused";
const LOST: &str = "lost";
const SPACE: &str = "space";
const LATENCY: &str = "latency";
const MEMORY: &str = "memory";

const ONE_BY_ONE: &str = "one by one";
const KEPT: &str = "millpond pooled, dictionary kept";
const ASKED: &str = "pages asked for";
const FIXED_16: &str = "millpond fixed at 16";
const FIXED_32: &str = "millpond fixed at 32";
const FIXED_128: &str = "millpond fixed at 128";

/// The operation that is timed alone.
const WHOLE: [&str; 3] = ["document p50", "document p99", "document p99.9"];

const ROWS: &[RowSpec] = &[
    RowSpec::time(
        "page-16",
        "page, acquire + release, pool of 16",
        "15 pages held",
    ),
    RowSpec::time(
        "page-32",
        "page, acquire + release, pool of 32",
        "31 pages held",
    ),
    RowSpec::time(
        "page-64",
        "page, acquire + release, pool of 64",
        "63 pages held",
    ),
    RowSpec::time(
        "page-128",
        "page, acquire + release, pool of 128",
        "127 pages held",
    ),
    RowSpec::new(
        DOCUMENTS,
        "encode 100 kB of documents",
        "one encoder, warm",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        BATCH,
        "batch against one by one, a document",
        "one encoder for all, or a dictionary for each",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        STEPS,
        "demand that steps up and down, an encoding",
        "5, 30 and 5 pages each, 300 times",
        Unit::Micros,
        Section::Time,
    ),
    RowSpec::new(
        STEPS_BYTES,
        "demand that steps: held afterwards",
        "bytes of the page pool",
        Unit::Bytes,
        Section::Space,
    ),
    RowSpec::new(
        STEPS_PEAK,
        "demand that steps: most held",
        "bytes of the page pool and of pages from outside",
        Unit::Bytes,
        Section::Space,
    ),
    RowSpec::new(
        STEPS_OVERFLOWS,
        "demand that steps: overflow rate",
        "pages from outside ÷ pages",
        Unit::Ratio,
        Section::Space,
    ),
    RowSpec::new(
        OVERHEAD,
        "pool overhead",
        "acquires and releases ÷ time of encoding",
        Unit::Ratio,
        Section::Mechanism,
    ),
    RowSpec::new(
        COURSE_SIZE,
        "pages of the pool, while demand steps",
        "every 20 of 900 encodings",
        Unit::Count,
        Section::OverTime,
    ),
    RowSpec::new(
        COURSE_RATE,
        "overflow rate, while demand steps",
        "pages from outside ÷ pages, of the last 20 encodings",
        Unit::Ratio,
        Section::OverTime,
    ),
    share(SHARE, "allocation share, documents"),
    RowSpec::new(
        RATIO,
        "compressed ÷ text",
        "an archive of 2 MB of documents",
        Unit::Ratio,
        Section::Space,
    ),
    RowSpec::new(
        POOL_BYTES,
        "page pool when full",
        "bytes of pages",
        Unit::Bytes,
        Section::Space,
    ),
    RowSpec::new(
        UNUSED,
        "pages that were never in use",
        "1 − most in use at once ÷ pages, the archive of 2 MB",
        Unit::Ratio,
        Section::Space,
    ),
    RowSpec::space(
        LOST,
        "pages that did not come home",
        "the archive of 2 MB",
        Unit::Count,
    ),
    calls(ALLOCATIONS, "allocations, 100 kB of documents"),
    bytes(BYTES, "bytes, 100 kB of documents"),
    whole::percentiles(WHOLE)[0],
    whole::percentiles(WHOLE)[1],
    whole::percentiles(WHOLE)[2],
    whole::MEMORY[0],
    whole::MEMORY[1],
];

pub const JOBS: &[Job] = &[
    Job::all("page-16", 2, |request| pages(request, 16)),
    Job::all("page-32", 2, |request| pages(request, 32)),
    Job::all("page-64", 2, |request| pages(request, 64)),
    Job::all("page-128", 2, |request| pages(request, 128)),
    Job::all(DOCUMENTS, 2, encoding),
    Job::ours(BATCH, 3, batch),
    Job::ours(STEPS, 6, |_| steps()),
    Job::once(COURSE, 4, |_| course()),
    Job::ours(OVERHEAD, 2, overhead),
    Job::ours(SHARE, 1, allocation_share),
    Job::all(LATENCY, 10, |request| whole::latency(request, prepare)),
    Job::apart(MEMORY, 2, |request| whole::footprint(request, prepare)),
    Job::ours(SPACE, 6, space),
];

fn pages(request: &Request, size: usize) -> Result<Vec<Measurement>> {
    let pools = Pooled::new(Sizing::fixed(size))?;
    let held: Vec<_> = (1..size).map(|_| (Heap.page(), pools.page())).collect();
    let row = SIZES.iter().find(|(pages, _)| *pages == size);
    let (_, row) = row.context("no row for a pool of this size")?;
    let measured = versus(
        request,
        (row, 1.0),
        || black_box(Heap.page()).map(|mut page| page.push(1)).is_ok(),
        || black_box(pools.page()).map(|mut page| page.push(1)).is_ok(),
    );
    drop(held);
    Ok(measured)
}

fn prepare(request: &Request, pooled: bool, with: &mut dyn FnMut(&mut dyn FnMut())) -> Result<()> {
    fn each<M: Memory>(
        request: &Request,
        memory: &M,
        with: &mut dyn FnMut(&mut dyn FnMut()),
    ) -> Result<()> {
        let documents = documents(request, SOME_BYTES)?;
        let dictionary = learned(&documents);
        let (mut encoder, mut out) = (Encoder::new(&dictionary, memory), Vec::new());
        let mut turns = (0..documents.len()).cycle();
        with(&mut || {
            let document = &documents[turns.next().unwrap_or(0)];
            black_box(encode_all(
                &mut encoder,
                std::slice::from_ref(document),
                &mut out,
            ));
        });
        Ok(())
    }
    if pooled {
        each(request, &Pooled::new(Sizing::adaptive())?, with)
    } else {
        each(request, &Heap, with)
    }
}

fn learned(documents: &[Document]) -> Dictionary {
    Dictionary::learn(documents.iter().map(|document| document.text.as_str()))
}

/// Encodes everything once; the bytes that came out.
fn encode_all<'m, M: Memory>(
    encoder: &mut Encoder<'m, M>,
    documents: &[Document],
    out: &mut Vec<M::Page<'m>>,
) -> usize {
    let mut bytes = 0;
    for document in documents {
        let done = encoder.encode(&document.text, out);
        bytes += out.iter().map(|page| page.len()).sum::<usize>() + usize::from(done.is_err());
        out.clear();
    }
    bytes
}

const SOME_BYTES: usize = 100_000;

fn encoding(request: &Request) -> Result<Vec<Measurement>> {
    let documents = documents(request, SOME_BYTES)?;
    let dictionary = learned(&documents);
    let pools = Pooled::new(Sizing::adaptive())?;
    let (mut heap, mut on_heap) = (Encoder::new(&dictionary, &Heap), Vec::new());
    let (mut pooled, mut on_pools) = (Encoder::new(&dictionary, &pools), Vec::new());
    Ok(versus(
        request,
        (DOCUMENTS, 1e-3),
        || encode_all(&mut heap, &documents, &mut on_heap),
        || encode_all(&mut pooled, &documents, &mut on_pools),
    ))
}

/// The dictionary of an earlier batch: of documents of the corpus that are not in `batch`.
fn earlier(request: &Request, batch: &[Document], limit_bytes: usize) -> Result<Dictionary> {
    let all = documents(request, limit_bytes)?;
    let known = |document: &&Document| batch.iter().all(|here| here.path != document.path);
    let others = all.iter().filter(known);
    Ok(Dictionary::learn(
        others.map(|document| document.text.as_str()),
    ))
}

fn batch(request: &Request) -> Result<Vec<Measurement>> {
    let documents = documents(request, SOME_BYTES)?;
    let pools = Pooled::new(Sizing::adaptive())?;
    let each = 1e-3 / documents.len() as f64;
    let earlier = earlier(request, &documents, 4 * SOME_BYTES)?;
    let mut bout = Bout::new(request);
    bout.add(POOLED, || {
        archive::pack(&documents, &pools, &mut io::sink(), |_| ()).is_ok()
    });
    bout.add(KEPT, || {
        archive::pack_with(&earlier, &documents, &pools, &mut io::sink(), |_| ()).is_ok()
    });
    bout.add(ONE_BY_ONE, || {
        let alone = |document| archive::pack(document, &pools, &mut io::sink(), |_| ()).is_ok();
        documents.chunks(1).all(alone)
    });
    Ok(bout.run(BATCH, each))
}

/// Demand in pages for each encoding, 300 times each.
const DEMAND: [usize; 3] = [5, 30, 5];
const TIMES: usize = 300;

/// One long word for each demand: literals only, so that text and codes are about as
/// long.
fn demands() -> [String; 3] {
    DEMAND.map(|pages| "é".repeat((pages - 1) * PAGE_BYTES / 2))
}

/// Encodings between two points of a course.
const POINT: usize = 20;

/// Sizes and overflow rates while demand steps.
fn course() -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for (name, sizing) in [
        (POOLED, Sizing::adaptive()),
        (FIXED_16, Sizing::fixed(16)),
        (FIXED_32, Sizing::fixed(32)),
        (FIXED_128, Sizing::fixed(128)),
    ] {
        let pools = Pooled::new(sizing)?;
        let Course { sizes, rates, most } = coursing(&pools)?;
        let most = most as f64;
        measured.push(Measurement::new(STEPS_PEAK, name, vec![most]));
        measured.push(Measurement::new(COURSE_SIZE, name, sizes));
        measured.push(Measurement::new(COURSE_RATE, name, rates));
    }
    let pages = DEMAND
        .iter()
        .flat_map(|pages| [*pages as f64; TIMES / POINT]);
    measured.push(Measurement::new(COURSE_SIZE, ASKED, pages.collect()));
    Ok(measured)
}

struct Course {
    /// The pool's sizes.
    sizes: Vec<f64>,
    rates: Vec<f64>,
    /// Most bytes of pages at once.
    most: usize,
}

/// The pool's size and the overflow rate of each [`POINT`] encodings.
fn coursing(pools: &Pooled) -> Result<Course> {
    let dictionary = Dictionary::default();
    let (mut encoder, mut out) = (Encoder::new(&dictionary, pools), Vec::new());
    let (mut sizes, mut rates, mut most) = (Vec::new(), Vec::new(), 0);
    for text in &demands() {
        for _ in 0..TIMES / POINT {
            let before = pools.stats();
            for _ in 0..POINT {
                encoder.encode(text, &mut out)?;
                let seen = pools.stats();
                most = most.max(seen.held_bytes + seen.outside * PAGE_BYTES);
                out.clear();
            }
            let now = pools.stats();
            let acquires = (now.acquires - before.acquires).max(1) as f64;
            sizes.push(now.pool_size as f64);
            rates.push((now.overflows - before.overflows) as f64 / acquires);
        }
    }
    Ok(Course { sizes, rates, most })
}

fn steps() -> Result<Vec<Measurement>> {
    millpond_bench::counting::pause();
    let mut measured = Vec::new();
    for (name, sizing) in [
        (POOLED, Sizing::adaptive()),
        (FIXED_16, Sizing::fixed(16)),
        (FIXED_32, Sizing::fixed(32)),
        (FIXED_128, Sizing::fixed(128)),
    ] {
        let pools = Pooled::new(sizing)?;
        let micros = stepping(&pools)?;
        let stats = pools.stats();
        measured.push(Measurement::new(STEPS, name, vec![micros]));
        measured.push(Measurement::new(
            STEPS_BYTES,
            name,
            vec![stats.held_bytes as f64],
        ));
        measured.push(Measurement::new(
            STEPS_OVERFLOWS,
            name,
            vec![stats.overflow_rate],
        ));
    }
    let micros = stepping(&Heap)?;
    measured.push(Measurement::new(STEPS, HEAP, vec![micros]));
    Ok(measured)
}

/// Microseconds an encoding.
fn stepping<M: Memory>(memory: &M) -> Result<f64> {
    let dictionary = Dictionary::default();
    let (mut encoder, mut out) = (Encoder::new(&dictionary, memory), Vec::new());
    let texts = demands();
    let began = Instant::now();
    for text in &texts {
        for _ in 0..TIMES {
            encoder.encode(text, &mut out)?;
            out.clear();
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / (TIMES * DEMAND.len()) as f64)
}

fn overhead(request: &Request) -> Result<Vec<Measurement>> {
    let documents = documents(request, SOME_BYTES)?;
    let dictionary = learned(&documents);
    let pools = Pooled::new(Sizing::adaptive())?;
    let (mut encoder, mut out) = (Encoder::new(&dictionary, &pools), Vec::new());
    encode_all(&mut encoder, &documents, &mut out);
    let before = pools.stats().acquires;
    encode_all(&mut encoder, &documents, &mut out);
    let acquires = (pools.stats().acquires - before) as f64;
    let mut bout = Bout::new(request);
    bout.add("pair", || black_box(pools.page()).is_ok());
    bout.add("all", || encode_all(&mut encoder, &documents, &mut out));
    let timed = bout.run(OVERHEAD, 1.0);
    let of = |name| timed.iter().find(|found| found.contender == name);
    let shares = of("pair").zip(of("all")).map(|(pair, all)| {
        let rounds = pair.values.iter().zip(&all.values);
        rounds.map(|(pair, all)| acquires * pair / all).collect()
    });
    Ok(vec![Measurement::new(
        OVERHEAD,
        POOLED,
        shares.unwrap_or_default(),
    )])
}

fn allocation_share(request: &Request) -> Result<Vec<Measurement>> {
    let documents = documents(request, SOME_BYTES)?;
    let dictionary = learned(&documents);
    let (mut encoder, mut out) = (Encoder::new(&dictionary, &Heap), Vec::new());
    let shares = allocator_share(request.rounds, 2, || {
        black_box(encode_all(&mut encoder, &documents, &mut out));
    });
    Ok(vec![Measurement::new(SHARE, HEAP, shares)])
}

fn space(request: &Request) -> Result<Vec<Measurement>> {
    let some = documents(request, SOME_BYTES)?;
    let dictionary = learned(&some);
    let pools = Pooled::new(Sizing::fixed(128))?;
    let (mut heap, mut on_heap) = (Encoder::new(&dictionary, &Heap), Vec::new());
    let (mut pooled, mut on_pools) = (Encoder::new(&dictionary, &pools), Vec::new());
    let mut measured = uses(
        [ALLOCATIONS, BYTES],
        || encode_all(&mut heap, &some, &mut on_heap),
        || encode_all(&mut pooled, &some, &mut on_pools),
    );
    for (name, size) in [(FIXED_16, 16), (FIXED_32, 32), (FIXED_128, 128)] {
        let pools = Pooled::new(Sizing::fixed(size))?;
        let held: Vec<_> = (0..size).map(|_| pools.page()).collect();
        let bytes = pools.stats().held_bytes as f64;
        drop(held);
        measured.push(Measurement::new(POOL_BYTES, name, vec![bytes]));
    }
    let many = documents(request, 2_000_000)?;
    let on_heap = archive::pack(&many, &Heap, &mut io::sink(), |_| ())?;
    let adaptive = Pooled::new(Sizing::adaptive())?;
    let on_pools = archive::pack(&many, &adaptive, &mut io::sink(), |_| ())?;
    let stats = adaptive.stats();
    let unused = (1.0 - stats.efficiency).max(0.0);
    let lost = (stats.pool_size - stats.available + stats.outside) as f64;
    measured.push(Measurement::new(UNUSED, POOLED, vec![unused]));
    measured.push(Measurement::new(LOST, POOLED, vec![lost]));
    let earlier = earlier(request, &many, 3_000_000)?;
    let kept = archive::pack_with(&earlier, &many, &adaptive, &mut io::sink(), |_| ())?;
    for (mode, packed) in [(HEAP, on_heap), (POOLED, on_pools), (KEPT, kept)] {
        let ratio = packed.archive_bytes as f64 / packed.text_bytes as f64;
        measured.push(Measurement::new(RATIO, mode, vec![ratio]));
    }
    Ok(measured)
}

fn bars(record: &ChapterRecord) -> Vec<Bar> {
    let judge = Judge(record);
    let share = (0.015, Figure::Ratio);
    let pools = |row, limit, why| judge.ratio(row, (POOLED, HEAP), limit, why);
    let mut bars = vec![
        judge
            .across(
                [(POOL_BYTES, FIXED_16), (POOL_BYTES, FIXED_32)],
                0.5,
                "our bar: half",
            )
            .beside("128 → 64 KiB"),
        judge
            .at_most(OVERHEAD, POOLED, share, "our bar")
            .beside("1.5 %"),
        pools(RATIO, 1.0, "our bar: unchanged").beside("2.1 × before and after"),
        judge
            .at_most(RATIO, POOLED, (1.0 / 2.1, Figure::Ratio), "the claim")
            .beside("2.1 ×"),
        judge
            .ratio(
                BATCH,
                (POOLED, ONE_BY_ONE),
                1.0 / 3.0,
                "our bar: 3 times faster",
            )
            .beside("3 to 5 times the throughput"),
        judge
            .at_most(LOST, POOLED, (0.0, Figure::Count), "the claim")
            .beside("zero leaks"),
        judge
            .at_most(UNUSED, POOLED, (1.0 - 0.032, Figure::Ratio), "the claim")
            .beside("3.2 % of the pool in use"),
        judge
            .across(
                [(BATCH, KEPT), (BATCH, ONE_BY_ONE)],
                1.0 / 3.0,
                "our bar, with a dictionary of an earlier batch",
            )
            .beside("3 to 5 times the throughput"),
        pools(DOCUMENTS, 1.0, "not slower than the heap"),
        judge.ratio(
            DOCUMENTS,
            (POOLED, MIMALLOC),
            1.0,
            "not slower than mimalloc",
        ),
        pools(ALLOCATIONS, 0.05, "our bar: 95 % fewer"),
        judge.across(
            [(STEPS_BYTES, POOLED), (STEPS_BYTES, FIXED_32)],
            1.0,
            "adaptive holds no more than 32 pages once demand has gone",
        ),
    ];
    let claims = [
        (12_786.8, 24_262.5),
        (6_231.5, 1_078.1),
        (37_198.0, 796.9),
        (5_806.1, 637.5),
    ];
    for ((_, id), (acquire, release)) in SIZES.into_iter().zip(claims) {
        let limit = (acquire + release, Figure::Nanos);
        let claim = format!("{acquire} + {release} ns");
        bars.push(judge.at_most(id, POOLED, limit, "the claim").beside(claim));
    }
    bars
}
