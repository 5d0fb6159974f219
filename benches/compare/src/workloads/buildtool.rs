//! Chapter `buildtool`: strings, buffers and logs of a container build.

use super::{Bout, HEAP, Judge, MIMALLOC, Modes, POOLED, allocator_share, heap_use};
use anyhow::{Context, Result};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{Chapter, RowSpec, Section, Unit};
use millpond_bench::plan::{Mode, Task};
use millpond_bench::record::ChapterRecord;
use millpond_bench::worker::{Measurement, Request};
use millpond_workloads::buildtool::checksum::{self, Algorithm};
use millpond_workloads::buildtool::flags::Description;
use millpond_workloads::buildtool::log::{Level, Log};
use millpond_workloads::buildtool::memory::{Heap, Memory, Pooled, Purpose};
use millpond_workloads::buildtool::reference::Reference;
use millpond_workloads::buildtool::{Service, service};
use millpond_workloads::corpus;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub const CHAPTER: Chapter = Chapter {
    name: "buildtool",
    question: "What do pools buy in a container build: flags, names, checksums, archives, a log?",
    caveats: &[
        "Files are read from the system's cache: a disk would be slower, and hide more.",
        "The heap mode makes a string for each flag, as the arguments of a command are; pools keep them in one.",
        "Checksums of trees are won by threads and by the algorithm. Pools only spare the buffers.",
        "SHA-256 runs on the processor's instructions for it where there are any; without them the gap to XXH3 is wider.",
    ],
    rows: ROWS,
    tasks,
    work: |request| measure(request, Modes::Both),
    bars,
};

const FLAGS: &str = "flags";
const REFERENCE: &str = "reference";
const STRING: &str = "string";
const BUFFER: &str = "buffer";
const LOG: &str = "log";
const TREE: &str = "checksum";
const BUILD: &str = "service";
const BUILDS: &str = "specialised";
const SHARE: &str = "allocation-share";
const SPACE: &str = "space";
const MISSES: &str = "misses";
const ALLOCATIONS: [&str; 4] = [
    "allocations-flags",
    "allocations-reference",
    "allocations-log",
    "allocations-service",
];
const BYTES: [&str; 4] = [
    "bytes-flags",
    "bytes-reference",
    "bytes-log",
    "bytes-service",
];

const STREAMING: &str = "heap, SHA-256, one thread";
const HEAP_SHA: &str = "heap, SHA-256, two threads";
const POOLED_SHA: &str = "millpond, SHA-256, two threads";
const POOLED_ONE: &str = "millpond, SHA-256, one thread";
const POOLED_BLAKE: &str = "millpond, BLAKE3, two threads";
const POOLED_XXH: &str = "millpond, XXH3, two threads";

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
    RowSpec::new(
        TREE,
        "checksum of a tree",
        "the sources of the workspace and its dependencies",
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
    RowSpec::new(
        SHARE,
        "allocation share, flags",
        "what each allocation done twice adds, of the time",
        Unit::Ratio,
        Section::Mechanism,
    ),
    RowSpec::new(
        ALLOCATIONS[0],
        "allocations, flags",
        "calls of the allocator",
        Unit::Count,
        Section::Space,
    ),
    RowSpec::new(
        BYTES[0],
        "bytes, flags",
        "bytes asked of the allocator",
        Unit::Bytes,
        Section::Space,
    ),
    RowSpec::new(
        ALLOCATIONS[1],
        "allocations, image reference",
        "calls of the allocator",
        Unit::Count,
        Section::Space,
    ),
    RowSpec::new(
        BYTES[1],
        "bytes, image reference",
        "bytes asked of the allocator",
        Unit::Bytes,
        Section::Space,
    ),
    RowSpec::new(
        ALLOCATIONS[2],
        "allocations, 64 log entries",
        "calls of the allocator",
        Unit::Count,
        Section::Space,
    ),
    RowSpec::new(
        BYTES[2],
        "bytes, 64 log entries",
        "bytes asked of the allocator",
        Unit::Bytes,
        Section::Space,
    ),
    RowSpec::new(
        ALLOCATIONS[3],
        "allocations, build of a service",
        "calls of the allocator",
        Unit::Count,
        Section::Space,
    ),
    RowSpec::new(
        BYTES[3],
        "bytes, build of a service",
        "bytes asked of the allocator",
        Unit::Bytes,
        Section::Space,
    ),
    RowSpec::new(
        MISSES,
        "misses, an acquire",
        "all pools, over ten builds",
        Unit::Ratio,
        Section::Space,
    ),
];

fn tasks(mode: Mode) -> Vec<Task> {
    let names = [
        (FLAGS, true, 2),
        (REFERENCE, true, 2),
        (STRING, true, 2),
        (BUFFER, true, 2),
        (LOG, true, 2),
        (TREE, false, 90),
        (BUILD, true, 6),
        (BUILDS, true, 12),
        (SHARE, true, 2),
        (SPACE, false, 4),
    ];
    super::tasks(mode, &names, Duration::from_millis(8))
}

pub fn measure(request: &Request, modes: Modes) -> Result<Vec<Measurement>> {
    let (pools, both) = (Pooled::new()?, modes == Modes::Both);
    let description = description()?;
    let mut bout = Bout::new(request);
    Ok(match request.task.as_str() {
        FLAGS => {
            bout.add(HEAP, || description.as_flags());
            if both {
                bout.add(POOLED, || description.as_flags_in(&pools).is_ok());
            }
            bout.run(FLAGS, 1.0)
        }
        REFERENCE => {
            bout.add(HEAP, || name(&Heap));
            if both {
                bout.add(POOLED, || name(&pools));
            }
            bout.run(REFERENCE, 1.0)
        }
        STRING => {
            bout.add(HEAP, || string(&Heap));
            if both {
                bout.add(POOLED, || string(&pools));
            }
            bout.run(STRING, 1.0)
        }
        BUFFER => {
            bout.add(HEAP, || buffer(&Heap));
            if both {
                bout.add(POOLED, || buffer(&pools));
            }
            bout.run(BUFFER, 1.0)
        }
        LOG => {
            let mut heap = Log::new(&Heap, Level::Info, io::sink());
            let mut pooled = Log::new(&pools, Level::Info, io::sink());
            bout.add(HEAP, move || entry(&mut heap));
            if both {
                bout.add(POOLED, move || entry(&mut pooled));
            }
            bout.run(LOG, 1.0)
        }
        TREE => trees(request, &pools)?,
        task @ (BUILD | BUILDS) => builds(request, task, both)?,
        SHARE => {
            let shares = allocator_share(request.rounds, 5_000, || description.as_flags());
            vec![Measurement::new(SHARE, HEAP, shares)]
        }
        _ => space(request)?,
    })
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

fn trees(request: &Request, pools: &Pooled) -> Result<Vec<Measurement>> {
    let (_, files) = files(request, 24_000_000)?;
    let mut bout = Bout::new(request);
    bout.add(STREAMING, || {
        checksum::files(&files, Algorithm::Sha256, 1, &Heap).is_ok()
    });
    for (name, algorithm, threads) in [
        (POOLED_ONE, Algorithm::Sha256, 1),
        (POOLED_SHA, Algorithm::Sha256, 2),
        (POOLED_BLAKE, Algorithm::Blake3, 2),
        (POOLED_XXH, Algorithm::Xxh3, 2),
    ] {
        let files = &files;
        bout.add(name, move || {
            checksum::files(files, algorithm, threads, pools).is_ok()
        });
    }
    bout.add(HEAP_SHA, || {
        checksum::files(&files, Algorithm::Sha256, 2, &Heap).is_ok()
    });
    Ok(bout.run(TREE, 1e-3))
}

struct Job {
    description: Description,
    context: PathBuf,
    files: Vec<PathBuf>,
}

impl Job {
    fn of(request: &Request) -> Result<Self> {
        let (context, files) = files(request, 300_000)?;
        Ok(Self {
            description: description()?,
            context,
            files,
        })
    }

    fn build<M: Memory>(&self, memory: &M) -> bool {
        let Self {
            description,
            context,
            files,
        } = self;
        let job = Service {
            image: "example/service:v1",
            description,
            context,
            files,
        };
        let mut log = Log::new(memory, Level::Debug, io::sink());
        let built = service(&job, memory, 1, &mut log, io::sink());
        built.is_ok() && log.flush().is_ok()
    }
}

fn builds(request: &Request, task: &str, both: bool) -> Result<Vec<Measurement>> {
    let (job, pools) = (Job::of(request)?, Pooled::new()?);
    let services = if task == BUILDS { 3 } else { 1 };
    let mut bout = Bout::new(request);
    bout.add(HEAP, || (0..services).all(|_| job.build(&Heap)));
    if both {
        bout.add(POOLED, || (0..services).all(|_| job.build(&pools)));
    }
    Ok(bout.run(task, 1e-3))
}

fn space(request: &Request) -> Result<Vec<Measurement>> {
    let (job, pools) = (Job::of(request)?, Pooled::new()?);
    let mut measured = Vec::new();
    let mut note = |index: usize, mode: &str, (allocations, bytes): (f64, f64)| {
        measured.push(Measurement::new(
            ALLOCATIONS[index],
            mode,
            vec![allocations],
        ));
        measured.push(Measurement::new(BYTES[index], mode, vec![bytes]));
    };
    note(0, HEAP, heap_use(|| job.description.as_flags()));
    note(
        0,
        POOLED,
        heap_use(|| job.description.as_flags_in(&pools).is_ok()),
    );
    note(1, HEAP, heap_use(|| name(&Heap)));
    note(1, POOLED, heap_use(|| name(&pools)));
    let mut heap = Log::new(&Heap, Level::Info, io::sink());
    let mut pooled = Log::new(&pools, Level::Info, io::sink());
    note(2, HEAP, heap_use(|| (0..64).all(|_| entry(&mut heap))));
    note(2, POOLED, heap_use(|| (0..64).all(|_| entry(&mut pooled))));
    note(3, HEAP, heap_use(|| job.build(&Heap)));
    note(3, POOLED, heap_use(|| job.build(&pools)));
    let fresh = Pooled::new()?;
    let built = (0..10).all(|_| job.build(&fresh));
    let hits = fresh.pools().map(|(_, pool)| pool.stats().hit_rate());
    let worst = hits.into_iter().fold(1.0, f64::min);
    let misses = if built { 1.0 - worst } else { f64::NAN };
    measured.push(Measurement::new(MISSES, POOLED, vec![misses]));
    Ok(measured)
}

fn bars(record: &ChapterRecord) -> Vec<Bar> {
    let judge = Judge(record);
    let ratio = |limit| (limit, Figure::Ratio);
    let nanos = |limit| (limit, Figure::Nanos);
    vec![
        judge.ratio(
            FLAGS,
            (POOLED, HEAP),
            0.4,
            "our bar: 60 % less; the reference claims 742 → 326 ns",
        ),
        judge.ratio(
            BYTES[0],
            (POOLED, HEAP),
            0.4,
            "our bar: 60 % less; the reference claims 1,664 → 640 B",
        ),
        judge.ratio(
            FLAGS,
            (POOLED, MIMALLOC),
            0.85,
            "our bar where the allocation share is ≥ 30 %",
        ),
        judge.ratio(
            REFERENCE,
            (POOLED, HEAP),
            1.0,
            "our bar; the reference lost here: 140 → 679 ns",
        ),
        judge.ratio(
            REFERENCE,
            (POOLED, MIMALLOC),
            1.0,
            "not slower than mimalloc",
        ),
        judge.ratio(
            TREE,
            (POOLED_SHA, STREAMING),
            1.0 / 1.8,
            "our bar: 1.8 times faster; the reference claims 652 → 640 ms",
        ),
        judge.ratio(
            TREE,
            (POOLED_XXH, STREAMING),
            1.0 / 3.0,
            "our bar: 3 times faster where no cryptography is needed",
        ),
        judge.ratio(
            TREE,
            (POOLED_ONE, STREAMING),
            1.0,
            "pools alone: the reference claims 640 ÷ 652",
        ),
        judge.ratio(
            STRING,
            (POOLED, HEAP),
            37.0 / 152.0,
            "the reference claims 152 → 37 ns",
        ),
        judge.at_most(STRING, POOLED, nanos(37.0), "the reference claims 37 ns"),
        judge.ratio(
            BUILD,
            (POOLED, HEAP),
            42.8 / 41.6,
            "the reference claims 41.6 → 42.8 ms",
        ),
        judge.ratio(
            BUILDS,
            (POOLED, HEAP),
            127.0 / 123.0,
            "the reference claims 123 → 127 ms",
        ),
        judge.ratio(
            BYTES[2],
            (POOLED, HEAP),
            0.7,
            "the reference hopes for 30 to 50 % less memory in the log",
        ),
        judge.ratio(
            ALLOCATIONS[0],
            (POOLED, HEAP),
            0.05,
            "our bar: 95 % fewer calls",
        ),
        judge.at_most(
            MISSES,
            POOLED,
            ratio(0.15),
            "the reference claims hit rates above 80, 82 and 85 %",
        ),
    ]
}
