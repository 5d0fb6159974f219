//! Chapter `buildtool`: strings, buffers and logs of a container build.

use super::{
    Bout, HEAP, Job, Judge, MIMALLOC, POOLED, allocator_share, bytes, calls, share, uses, versus,
    whole,
};
use anyhow::{Context, Result, ensure};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{Chapter, RowSpec, Section, Unit};
use millpond_bench::record::ChapterRecord;
use millpond_bench::worker::{Measurement, Request};
use millpond_workloads::buildtool::checksum::{self, Algorithm};
use millpond_workloads::buildtool::flags::Description;
use millpond_workloads::buildtool::intern::Interner;
use millpond_workloads::buildtool::log::{Level, Log};
use millpond_workloads::buildtool::memory::{Heap, Memory, Pooled, Purpose};
use millpond_workloads::buildtool::reference::Reference;
use millpond_workloads::buildtool::runtime::{Runtime, StandIn};
use millpond_workloads::buildtool::{Service, Workshop};
use millpond_workloads::corpus;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

pub const CHAPTER: Chapter = Chapter {
    name: "buildtool",
    question: "What do pools buy in a container build: flags, names, checksums, archives, a log?",
    caveats: &[
        "Files are read from the system's cache: a disk would be slower, and hide more.",
        "The heap mode makes a string for each flag, as the arguments of a command are; pools keep them in one.",
        "Checksums of trees are won by threads and by the algorithm. Pools only spare the buffers.",
        "A pooled string costs a lease, its return, and the room that is asked for at each append, beyond the writing, which the string that is kept has alone: who writes many in turn keeps one and clears it.",
        "SHA-256 runs on the processor's instructions for it where there are any; without them the gap to XXH3 is wider.",
    ],
    rows: ROWS,
    tasks: |mode| super::tasks(mode, JOBS),
    work: |request| super::measure(request, JOBS),
    bars,
};

const FLAGS: &str = "flags";
const REFERENCE: &str = "reference";
const STRING: &str = "string";
const BUFFER: &str = "buffer";
const LOG: &str = "log";
const KEYS: &str = "keys";
const AGAIN: &str = "again";
const RUNTIME: &str = "runtime";
const TREE: &str = "checksum";
const BUILD: &str = "service";
const BUILDS: &str = "specialised";
const SHARE: &str = "allocation-share";
const SPACE: &str = "space";
const MISSES: &str = "misses";
const LATENCY: &str = "latency";
const MEMORY: &str = "memory";
const ALLOCATIONS: [&str; 5] = [
    "allocations-flags",
    "allocations-reference",
    "allocations-log",
    "allocations-service",
    "allocations-read",
];
const BYTES: [&str; 5] = [
    "bytes-flags",
    "bytes-reference",
    "bytes-log",
    "bytes-service",
    "bytes-read",
];

const KEPT: &str = "a string that is kept";
const HEAP_SHA: &str = "heap, SHA-256, two threads";
/// The pools of a build, by the names that they report.
const POOLS: [&str; 4] = [
    "millpond strings",
    "millpond hash",
    "millpond archive",
    "millpond output",
];
const POOLED_SHA: &str = "millpond, SHA-256, two threads";
const POOLED_BLAKE: &str = "millpond, BLAKE3, two threads";
const POOLED_XXH: &str = "millpond, XXH3, two threads";

/// The operation that is timed alone.
const WHOLE: [&str; 3] = ["build p50", "build p99", "build p99.9"];

const ROWS: &[RowSpec] = &[
    RowSpec::new(
        FLAGS,
        "flags of a build",
        "four labels, four build arguments, two platforms",
        Unit::Nanos,
        Section::Time,
    ),
    RowSpec::new(
        REFERENCE,
        "image reference",
        "read, checked and written in full",
        Unit::Nanos,
        Section::Time,
    ),
    RowSpec::new(
        STRING,
        "string builder",
        "200 bytes in four parts",
        Unit::Nanos,
        Section::Time,
    ),
    RowSpec::new(
        BUFFER,
        "buffer of 64 KiB, first line written",
        "to read a file into",
        Unit::Nanos,
        Section::Time,
    ),
    RowSpec::new(
        LOG,
        "log entry",
        "in batches of 64, to nowhere",
        Unit::Nanos,
        Section::Time,
    ),
    RowSpec::time(
        KEYS,
        "64 keys of labels, 16 different ones",
        "a string each, or each text once and a number",
    ),
    RowSpec::new(
        RUNTIME,
        "request to the container runtime",
        "a stand-in on this machine; a connection each, or one of a pool of connections",
        Unit::Micros,
        Section::Time,
    ),
    RowSpec::new(
        TREE,
        "checksum of a tree",
        "the sources of the workspace and its dependencies; SHA-256 on one thread, where nothing else is said",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        BUILD,
        "build of a service",
        "flags, name, SHA-256, tar and log of a small tree",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        BUILDS,
        "specialised build",
        "three services on one tree",
        Unit::Micros,
        Section::RealInput,
    ),
    whole::percentiles(WHOLE)[0],
    whole::percentiles(WHOLE)[1],
    whole::percentiles(WHOLE)[2],
    RowSpec::new(
        AGAIN,
        "build of a service, again",
        "digests of files that have not changed are known",
        Unit::Micros,
        Section::RealInput,
    ),
    share(SHARE, "allocation share, flags"),
    calls(ALLOCATIONS[0], "allocations, flags"),
    bytes(BYTES[0], "bytes, flags"),
    calls(ALLOCATIONS[1], "allocations, image reference"),
    bytes(BYTES[1], "bytes, image reference"),
    calls(ALLOCATIONS[2], "allocations, 64 log entries"),
    bytes(BYTES[2], "bytes, 64 log entries"),
    calls(ALLOCATIONS[3], "allocations, build of a service"),
    bytes(BYTES[3], "bytes, build of a service"),
    calls(ALLOCATIONS[4], "allocations, files of a build read"),
    bytes(BYTES[4], "bytes, files of a build read"),
    whole::MEMORY[0],
    whole::MEMORY[1],
    RowSpec::new(
        MISSES,
        "misses, an acquire",
        "over ten builds, from the first on; all pools together, and each",
        Unit::Ratio,
        Section::Space,
    ),
];

pub const JOBS: &[Job] = &[
    Job::all(FLAGS, 2, flags),
    Job::all(REFERENCE, 2, |request| {
        each(request, REFERENCE, name::<Heap>, name::<Pooled>)
    }),
    Job::all(STRING, 3, strings),
    Job::all(BUFFER, 2, |request| {
        each(request, BUFFER, buffer::<Heap>, buffer::<Pooled>)
    }),
    Job::all(LOG, 2, logging),
    Job::all(KEYS, 2, keys),
    Job::all(RUNTIME, 5, asked),
    Job::all(AGAIN, 3, again),
    Job::all(TREE, 11, trees),
    Job::all(BUILD, 2, |request| builds(request, BUILD, 1)),
    Job::all(BUILDS, 2, |request| builds(request, BUILDS, 3)),
    Job::all(LATENCY, 12, |request| whole::latency(request, prepare)),
    Job::apart(MEMORY, 2, |request| whole::footprint(request, prepare)),
    Job::ours(SHARE, 1, |request| {
        let description = description()?;
        let shares = allocator_share(request.rounds, 5_000, || description.as_flags());
        Ok(vec![Measurement::new(SHARE, HEAP, shares)])
    }),
    Job::ours(SPACE, 2, space),
];

/// A small operation in both modes.
fn each<T>(
    request: &Request,
    row: &str,
    heap: fn(&Heap) -> T,
    pooled: fn(&Pooled) -> T,
) -> Result<Vec<Measurement>> {
    let pools = Pooled::new()?;
    Ok(versus(
        request,
        (row, 1.0),
        || heap(&Heap),
        || pooled(&pools),
    ))
}

fn flags(request: &Request) -> Result<Vec<Measurement>> {
    let (pools, description) = (Pooled::new()?, description()?);
    let on_pools = || description.as_flags_in(&pools).is_ok();
    Ok(versus(
        request,
        (FLAGS, 1.0),
        || description.as_flags(),
        on_pools,
    ))
}

fn keys(request: &Request) -> Result<Vec<Measurement>> {
    let texts: Vec<String> = (0..64)
        .map(|n| format!("org.opencontainers.image.label{}", n % 16))
        .collect();
    let pools = Pooled::new()?;
    let mut interner = Interner::new(pools.text(2048)?);
    let owned = || {
        texts
            .iter()
            .map(|text| text.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let mut numbers = Vec::with_capacity(texts.len());
    let interned = || {
        numbers.clear();
        numbers.extend(texts.iter().filter_map(|text| interner.key(text).ok()));
        numbers.len()
    };
    Ok(versus(request, (KEYS, 1.0), owned, interned))
}

/// Asks a stand-in on this machine, on a new connection each or on pooled ones.
fn asked(request: &Request) -> Result<Vec<Measurement>> {
    let system = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_io()
        .build()?;
    let stand_in = system.block_on(StandIn::bind(LOOPBACK, u32::MAX))?;
    let address = stand_in.address()?;
    let serving = system.spawn(stand_in.serve(Arc::default()));
    let pooled = Runtime::new(address, 4);
    let each = || {
        let alone = Runtime::new(address, 1);
        system.block_on(alone.ask("ping")).is_ok()
    };
    let measured = versus(request, (RUNTIME, 1e-3), each, || {
        system.block_on(pooled.ask("ping")).is_ok()
    });
    serving.abort();
    Ok(measured)
}

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn logging(request: &Request) -> Result<Vec<Measurement>> {
    let pools = Pooled::new()?;
    let mut heap = Log::new(&Heap, Level::Info, io::sink());
    let mut pooled = Log::new(&pools, Level::Info, io::sink());
    Ok(versus(
        request,
        (LOG, 1.0),
        || entry(&mut heap),
        || entry(&mut pooled),
    ))
}

fn prepare(request: &Request, pooled: bool, with: &mut dyn FnMut(&mut dyn FnMut())) -> Result<()> {
    let work = Work::of(request, 30_000)?;
    if pooled {
        let pools = Pooled::new()?;
        with(&mut || {
            black_box(work.build(&pools));
        });
    } else {
        with(&mut || {
            black_box(work.build(&Heap));
        });
    }
    Ok(())
}

fn description() -> Result<Description> {
    let mut description = Description::default();
    for part in ["title", "version", "revision", "source"] {
        description.label(
            &format!("org.opencontainers.image.{part}"),
            "a value of some length",
        )?;
        description.argument(&part.to_uppercase(), "another value")?;
    }
    description.platform("linux/amd64")?;
    description.platform("linux/arm64")?;
    Ok(description)
}

fn name<M: Memory>(memory: &M) -> usize {
    let parsed = Reference::parse(black_box("ghcr.io/example/service:v1.2.3"));
    let text = parsed.and_then(|reference| reference.text_in(memory));
    text.map_or(0, |text| black_box(text).len())
}

/// Strings of both modes, and the writing alone: into a string that is never given back.
fn strings(request: &Request) -> Result<Vec<Measurement>> {
    let (pools, mut kept) = (Pooled::new()?, String::with_capacity(200));
    let mut bout = Bout::new(request);
    bout.add(HEAP, || string(&Heap));
    bout.add(POOLED, || string(&pools));
    bout.add(KEPT, || {
        kept.clear();
        let part = black_box("fifty bytes of text, as they stand in a description");
        (0..4).for_each(|_| kept.push_str(&part[..50]));
        black_box(&*kept).len()
    });
    Ok(bout.run(STRING, 1.0))
}

fn string<M: Memory>(memory: &M) -> usize {
    let Ok(mut text) = memory.text(200) else {
        return 0;
    };
    let part = black_box("fifty bytes of text, as they stand in a description");
    let written = (0..4).all(|_| text.write_str(&part[..50]).is_ok());
    black_box(&*text).len() + usize::from(written)
}

fn buffer<M: Memory>(memory: &M) -> usize {
    let Ok(mut buffer) = memory.buffer(Purpose::Hash) else {
        return 0;
    };
    buffer[..64].fill(black_box(1));
    black_box(&buffer[..64]).len()
}

fn entry<M: Memory>(log: &mut Log<'_, M, io::Sink>) -> bool {
    log.entry(
        Level::Info,
        format_args!("copied {} of {} files", black_box(7), 12),
    )
    .is_ok()
}

/// Files of the corpus, so many bytes of them.
fn files(request: &Request, limit_bytes: u64) -> Result<(PathBuf, Vec<PathBuf>)> {
    let corpus = request.corpus.as_ref().context("needs the corpus")?;
    let mut left = limit_bytes;
    let mut chosen = Vec::new();
    for file in corpus.sources.iter().flat_map(|root| corpus::files(root)) {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        if length <= left {
            left -= length;
            chosen.push(file);
        }
    }
    let root = corpus.sources.first().context("no sources")?.clone();
    Ok((root, chosen))
}

fn trees(request: &Request) -> Result<Vec<Measurement>> {
    let (pools, (_, files)) = (Pooled::new()?, files(request, 12_000_000)?);
    let mut bout = Bout::new(request).on_all_cores();
    bout.add(HEAP, || {
        checksum::files(&files, Algorithm::Sha256, 1, &Heap, &|_| ()).is_ok()
    });
    for (name, algorithm, threads) in [
        (POOLED, Algorithm::Sha256, 1),
        (POOLED_SHA, Algorithm::Sha256, 2),
        (POOLED_BLAKE, Algorithm::Blake3, 2),
        (POOLED_XXH, Algorithm::Xxh3, 2),
    ] {
        let (files, pools) = (&files, &pools);
        bout.add(name, move || {
            checksum::files(files, algorithm, threads, pools, &|_| ()).is_ok()
        });
    }
    bout.add(HEAP_SHA, || {
        checksum::files(&files, Algorithm::Sha256, 2, &Heap, &|_| ()).is_ok()
    });
    Ok(bout.run(TREE, 1e-3))
}

/// A build of a service.
struct Work {
    description: Description,
    context: PathBuf,
    files: Vec<PathBuf>,
}

impl Work {
    fn of(request: &Request, limit_bytes: u64) -> Result<Self> {
        let (context, files) = files(request, limit_bytes)?;
        Ok(Self {
            description: description()?,
            context,
            files,
        })
    }

    fn build<M: Memory>(&self, memory: &M) -> bool {
        let workshop = Workshop::new(memory, 1);
        workshop.is_ok_and(|mut workshop| self.build_in(&mut workshop, memory))
    }

    /// What of a build reads files.
    fn read<M: Memory>(&self, memory: &M) -> bool {
        checksum::files(&self.files, Algorithm::Sha256, 1, memory, &|_| ()).is_ok()
    }

    fn build_in<M: Memory>(&self, workshop: &mut Workshop<'_, M>, memory: &M) -> bool {
        let service = Service {
            image: "example/service:v1",
            description: &self.description,
            context: &self.context,
            files: &self.files,
        };
        let mut log = Log::new(memory, Level::Debug, io::sink());
        let built = workshop.build(&service, &mut log, io::sink(), |_| ());
        built.is_ok() && log.flush().is_ok()
    }
}

fn builds(request: &Request, row: &str, services: usize) -> Result<Vec<Measurement>> {
    let (work, pools) = (Work::of(request, 300_000)?, Pooled::new()?);
    let on_heap = || (0..services).all(|_| work.build(&Heap));
    let on_pools = || (0..services).all(|_| work.build(&pools));
    Ok(versus(request, (row, 1e-3), on_heap, on_pools))
}

/// The same build in a workshop that has built it before.
fn again(request: &Request) -> Result<Vec<Measurement>> {
    let (work, pools) = (Work::of(request, 300_000)?, Pooled::new()?);
    let (mut heap, mut pooled) = (Workshop::new(&Heap, 1)?, Workshop::new(&pools, 1)?);
    let on_heap = || work.build_in(&mut heap, &Heap);
    let on_pools = || work.build_in(&mut pooled, &pools);
    Ok(versus(request, (AGAIN, 1e-3), on_heap, on_pools))
}

fn space(request: &Request) -> Result<Vec<Measurement>> {
    let (work, pools) = (Work::of(request, 300_000)?, Pooled::new()?);
    let rows = |index: usize| [ALLOCATIONS[index], BYTES[index]];
    let on_pools = || work.description.as_flags_in(&pools).is_ok();
    let mut measured = uses(rows(0), || work.description.as_flags(), on_pools);
    measured.extend(uses(rows(1), || name(&Heap), || name(&pools)));
    let mut heap = Log::new(&Heap, Level::Info, io::sink());
    let mut pooled = Log::new(&pools, Level::Info, io::sink());
    measured.extend(uses(
        rows(2),
        || (0..64).all(|_| entry(&mut heap)),
        || (0..64).all(|_| entry(&mut pooled)),
    ));
    measured.extend(uses(rows(3), || work.build(&Heap), || work.build(&pools)));
    measured.extend(uses(rows(4), || work.read(&Heap), || work.read(&pools)));
    measured.extend(misses(&work)?);
    Ok(measured)
}

/// Of all pools together and of each, over some builds on pools that were empty.
fn misses(work: &Work) -> Result<Vec<Measurement>> {
    let fresh = Pooled::new()?;
    ensure!((0..10).all(|_| work.build(&fresh)), "a build failed");
    let (mut acquires, mut missed, mut measured) = (0.0, 0.0, Vec::new());
    for ((_, pool), name) in fresh.pools().into_iter().zip(POOLS) {
        let (stats, misses) = (pool.stats(), 1.0 - pool.stats().hit_rate());
        acquires += stats.acquires() as f64;
        missed += stats.acquires() as f64 * misses;
        measured.push(Measurement::new(MISSES, name, vec![misses]));
    }
    measured.push(Measurement::new(MISSES, POOLED, vec![missed / acquires]));
    Ok(measured)
}

fn bars(record: &ChapterRecord) -> Vec<Bar> {
    let judge = Judge(record);
    let pools = |row, limit, why| judge.ratio(row, (POOLED, HEAP), limit, why);
    let trees = |own, limit, why| judge.ratio(TREE, (own, HEAP), limit, why);
    let hits =
        |pool, least: f64| judge.at_most(MISSES, pool, (1.0 - least, Figure::Ratio), "the claim");
    let nanos = (37.0, Figure::Nanos);
    vec![
        pools(FLAGS, 0.4, "our bar: 60 % less").beside("742 → 300 to 326 ns"),
        pools(BYTES[0], 0.4, "our bar: 60 % less").beside("1,664 → 640 B"),
        pools(ALLOCATIONS[0], 0.05, "our bar: 95 % fewer").beside("2 → 1"),
        judge.ratio(
            FLAGS,
            (POOLED, MIMALLOC),
            0.85,
            "our bar where the allocation share is ≥ 30 %",
        ),
        pools(REFERENCE, 1.0, "our bar: not slower").beside("140 → 679 ns"),
        pools(BYTES[1], 1.0, "our bar: not more").beside("112 → 248 B"),
        pools(ALLOCATIONS[1], 1.0, "our bar: not more").beside("2 → 9"),
        judge.ratio(
            REFERENCE,
            (POOLED, MIMALLOC),
            1.0,
            "not slower than mimalloc",
        ),
        trees(POOLED_SHA, 1.0 / 1.8, "our bar: 1.8 times faster").beside("652 → 640 ms"),
        trees(
            POOLED_XXH,
            1.0 / 3.0,
            "our bar: 3 times faster without cryptography",
        ),
        trees(POOLED, 640.0 / 652.0, "pools alone: the claim").beside("652 → 640 ms"),
        pools(STRING, 37.0 / 152.0, "the claim").beside("152 → 37 ns"),
        judge
            .beyond(STRING, KEPT, (POOLED, HEAP), 37.0 / 152.0, "the claim")
            .beside("152 → 37 ns"),
        judge
            .at_most(STRING, POOLED, nanos, "the claim")
            .beside("152 → 37 ns"),
        pools(BUILD, 42.8 / 41.6, "the claim").beside("41.6 → 42.8 ms"),
        pools(BUILDS, 127.0 / 123.0, "the claim").beside("123 → 127 ms"),
        pools(ALLOCATIONS[3], 0.05, "our bar: 95 % fewer")
            .beside("59, and 177 for three: unchanged"),
        pools(ALLOCATIONS[2], 0.05, "our bar: 95 % fewer"),
        pools(ALLOCATIONS[4], 0.05, "our bar: 95 % fewer"),
        pools(KEYS, 1.0, "not slower"),
        pools(AGAIN, 1.0, "not slower"),
        pools(RUNTIME, 1.0, "a connection each: not slower"),
        pools(BYTES[2], 0.7, "the claim").beside("30 to 50 % less, unmeasured"),
        pools(ALLOCATIONS[4], 0.4, "the claim").beside("60 % fewer I/O allocations"),
        hits(POOLS[0], 0.80).beside("string builders hit above 80 %"),
        hits(POOLS[1], 0.85).beside("buffers hit above 85 %"),
        hits(POOLS[2], 0.85).beside("buffers hit above 85 %"),
        hits(POOLS[3], 0.85).beside("buffers hit above 85 %"),
        hits(POOLED, 0.82).beside("all pools hit above 82 %"),
    ]
}
