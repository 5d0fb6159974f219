//! Chapter `httpd`: an HTTP server under load, its buffers on the heap and in classes.

mod servers;
mod wrk;

use super::{
    Bout, HEAP, Job, Judge, MIMALLOC, POOLED, allocator_share, bytes, calls, share, uses, whole,
};
use anyhow::{Context, Result};
use millpond_bench::bar::{Bar, Figure};
use millpond_bench::chapter::{Chapter, RowSpec, Section, Unit};
use millpond_bench::record::ChapterRecord;
use millpond_bench::worker::{Measurement, Request};
use millpond_bench::{counting, pin};
use millpond_workloads::corpus;
use millpond_workloads::httpd::load::{Call, Load};
use millpond_workloads::httpd::paced::Paced;
use millpond_workloads::httpd::{Heap, Limits, Memory, Pooled, Server};
use servers::{Remote, in_all_modes, loads};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const CHAPTER: Chapter = Chapter {
    name: "httpd",
    question: "What do pooled buffers buy in an HTTP server: requests, their slowest, memory?",
    caveats: &[
        "Server and clients share this machine and the loopback device: most of the time is the kernel's, in all modes alike.",
        "Each mode has a process of its own, which serves on one core by one thread; they are asked in turn.",
        "One thread serves on a core, one asks on another over kept connections; the next request on a connection waits for the last answer, so slow answers slow the asking down. Under half load requests come when they are due, as from many users, and a wait before one is sent counts.",
        "wrk counts a pause once for every request that it would have made in it, so its p99.9 is made of a few pauses of the machine: waits for a core, in all modes alike. Who wants a shorter tail needs fewer connections a thread, and cores that nobody else uses.",
        "All modes release the buffers of idle connections; a heap mode that kept them would allocate less and hold more.",
        "Files come from the system's cache. What buffers cost alone stands in field-bytes, the load test and the planning table too.",
    ],
    rows: ROWS,
    tasks: |mode| super::tasks(mode, JOBS),
    work: |request| super::measure(request, JOBS),
    bars,
};

const MIXED: &str = "mixed";
const SMALL: &str = "small";
const PIPELINED: &str = "pipelined";
const LARGE: &str = "large";
const HALVES: &str = "halves";
const LATENCY: &str = "latency";
const HALVES_LATENCY: &str = "halves-latency";
const MEMORY: &str = "memory";
const SHARE: &str = "allocation-share";
const ALLOCATIONS: &str = "allocations";
const BYTES: &str = "bytes";
const SPACE: &str = "space";
const MISSES: &str = "misses";
const PACED: &str = "paced";
const WRK: &str = "wrk";
const WRK_PERCENTILES: [&str; 3] = ["wrk-p50", "wrk-p99", "wrk-p999"];

const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];
const PERCENTILES: [&str; 3] = ["latency-p50", "latency-p99", "latency-p999"];
const HALVES_PERCENTILES: [&str; 3] = ["halves-p50", "halves-p99", "halves-p999"];
const PACED_PERCENTILES: [&str; 3] = ["paced-p50", "paced-p99", "paced-p999"];

const fn latency_row(id: &'static str, title: &'static str) -> RowSpec {
    let what = "from the request's first byte sent to the answer's last read; median over rounds";
    RowSpec::new(id, title, what, Unit::Nanos, Section::Latency)
}

const fn paced_row(id: &'static str, title: &'static str) -> RowSpec {
    let what = "an open loop at half of what the heap mode can serve, 64 connections; from when the request was due";
    RowSpec::new(id, title, what, Unit::Nanos, Section::Latency)
}

const fn wrk_row(id: &'static str, title: &'static str) -> RowSpec {
    let what = "as wrk says, 64 connections; median over its runs";
    RowSpec::new(id, title, what, Unit::Nanos, Section::Latency)
}

const ROWS: &[RowSpec] = &[
    RowSpec::new(
        MIXED,
        "request, mixed traffic",
        "files of 2, 12 and 60 KiB, JSON, uploads of 48 KiB; 16 connections. 10 µs are 100,000 a second",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        SMALL,
        "request, small",
        "files of 2 KiB and JSON in turn; 16 connections",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        PIPELINED,
        "request, small, pipelined",
        "the same, 16 at once on each of 4 connections",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        LARGE,
        "request, large",
        "a file of 60 KiB and an upload of 48 KiB in turn; 16 connections",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        HALVES,
        "request, mixed, in two pieces",
        "mixed traffic; 64 connections on which requests are half read at once, as from far away",
        Unit::Micros,
        Section::RealInput,
    ),
    RowSpec::new(
        WRK,
        "request under wrk",
        "mixed traffic from the program of that name, 64 connections",
        Unit::Micros,
        Section::RealInput,
    ),
    wrk_row(WRK_PERCENTILES[0], "under wrk p50"),
    wrk_row(WRK_PERCENTILES[1], "under wrk p99"),
    wrk_row(WRK_PERCENTILES[2], "under wrk p99.9"),
    latency_row(PERCENTILES[0], "mixed traffic p50"),
    latency_row(PERCENTILES[1], "mixed traffic p99"),
    latency_row(PERCENTILES[2], "mixed traffic p99.9"),
    latency_row(HALVES_PERCENTILES[0], "in two pieces p50"),
    latency_row(HALVES_PERCENTILES[1], "in two pieces p99"),
    latency_row(HALVES_PERCENTILES[2], "in two pieces p99.9"),
    paced_row(PACED_PERCENTILES[0], "at half load p50"),
    paced_row(PACED_PERCENTILES[1], "at half load p99"),
    paced_row(PACED_PERCENTILES[2], "at half load p99.9"),
    whole::MEMORY[0],
    whole::MEMORY[1],
    share(SHARE, "allocation share, mixed traffic"),
    calls(ALLOCATIONS, "allocations, request of mixed traffic"),
    bytes(BYTES, "bytes, request of mixed traffic"),
    RowSpec::space(
        MISSES,
        "misses, an acquire",
        "buffers made ÷ buffers acquired, mixed traffic on a warm pool",
        Unit::Ratio,
    ),
];

pub const JOBS: &[Job] = &[
    Job::ours(MIXED, 4, |request| throughput(request, MIXED)),
    Job::ours(SMALL, 4, |request| throughput(request, SMALL)),
    Job::ours(PIPELINED, 4, |request| throughput(request, PIPELINED)),
    Job::ours(LARGE, 4, |request| throughput(request, LARGE)),
    Job::ours(HALVES, 4, |request| throughput(request, HALVES)),
    Job::ours(LATENCY, 15, |request| latency(request, MIXED, PERCENTILES)),
    Job::ours(HALVES_LATENCY, 20, |request| {
        latency(request, HALVES, HALVES_PERCENTILES)
    }),
    Job::ours(PACED, 17, paced),
    Job::ours(WRK, 39, wrk::measure),
    Job::asked(servers::SERVE, servers::serve),
    Job::apart(MEMORY, 2, |request| whole::footprint(request, prepare)),
    Job::ours(SHARE, 6, allocation_share),
    Job::ours(SPACE, 2, space),
];

/// Connections of the load, where they do not pipeline.
const CONNECTIONS: usize = 16;

/// Connections of the load that does not wait for answers: more than are ever busy.
const PACED_CONNECTIONS: usize = 64;

/// Decides when its requests are due.
const SEED: u64 = 9;

/// Fewer times than these say nothing about one in a thousand.
const SAMPLES: usize = 2_000;

/// Files of the corpus and documents about it, to be asked for and sent.
struct Traffic {
    root: PathBuf,
    small: Call,
    medium: Call,
    large: Call,
    json: Call,
    upload: Call,
}

impl Traffic {
    fn of(request: &Request) -> Result<Self> {
        let corpus = request.corpus.as_ref().context("needs the corpus")?;
        let root = corpus.sources.first().context("no sources")?.clone();
        let mut files = corpus::files(&root);
        files.sort();
        let json = document(&root, &files)?;
        let upload = std::fs::read(closest(&files, 48 << 10)?)?;
        let get = |bytes| Ok::<_, anyhow::Error>(Call::get(&path(&root, closest(&files, bytes)?)?));
        Ok(Self {
            small: get(2 << 10)?,
            medium: get(12 << 10)?,
            large: get(60 << 10)?,
            json: Call::post("/json", json.as_bytes()),
            upload: Call::post("/digest", &upload),
            root,
        })
    }

    /// The calls of a row, in the order that they are made in.
    fn calls(&self, row: &str) -> Vec<Call> {
        let Self {
            small,
            medium,
            large,
            json,
            upload,
            ..
        } = self;
        let calls: &[&Call] = match row {
            SMALL | PIPELINED => &[small, json],
            LARGE => &[large, upload],
            _ => &[small, json, medium, small, large, json, upload],
        };
        calls.iter().copied().cloned().collect()
    }

    /// A load on `server` as a row says.
    fn on(&self, server: SocketAddr, row: &str) -> Result<Load> {
        let (connections, depth) = match row {
            PIPELINED => (4, 16),
            SPACE => (1, 1),
            HALVES => (64, 1),
            _ => (CONNECTIONS, 1),
        };
        let load = Load::new(server, connections, depth, self.calls(row))?;
        Ok(if row == HALVES {
            load.in_halves()
        } else {
            load
        })
    }
}

/// The file whose size is closest to `bytes`.
fn closest(files: &[PathBuf], bytes: u64) -> Result<&Path> {
    let size = |file: &PathBuf| file.metadata().map_or(u64::MAX, |found| found.len());
    let closest = files.iter().min_by_key(|file| size(file).abs_diff(bytes));
    closest.map(PathBuf::as_path).context("no files")
}

/// The path that a server of `root` knows a file by.
fn path(root: &Path, file: &Path) -> Result<String> {
    let below = file.strip_prefix(root)?.to_str();
    let below = below.filter(|below| below.is_ascii() && !below.contains([' ', '%', '?', '#']));
    let below = below.with_context(|| format!("{}: no plain name", file.display()))?;
    Ok(format!("/{below}"))
}

/// What a client might send about files: an array of objects, some 2 KiB.
fn document(root: &Path, files: &[PathBuf]) -> Result<String> {
    let mut text = String::from("[");
    for file in files.iter().step_by(files.len() / 20 + 1) {
        let bytes = file.metadata()?.len();
        let name = path(root, file).unwrap_or_default();
        let comma = if text.len() > 1 { "," } else { "" };
        write!(
            text,
            "{comma}{{\"name\":\"{name}\",\"bytes\":{bytes},\"tags\":[\"file\",true,null]}}"
        )?;
    }
    text.push(']');
    Ok(text)
}

/// The core of whoever asks, `wrk` included, and that of the server, whose threads begin
/// where they are started. Left to the system, they share one in some processes and not in
/// others, which is more than any allocator makes of it.
const CLIENT: usize = 0;
const SERVER: usize = 1;

fn start<M: Memory + Sync>(traffic: &Traffic, memory: M) -> Result<Server<M>> {
    let any = "127.0.0.1:0".parse()?;
    let _ = pin::to_core(SERVER);
    let server = Server::start(any, &traffic.root, 1, Limits::default(), memory);
    let _ = pin::to_core(CLIENT);
    server
}

/// Pools that have seen traffic.
fn warm() -> Result<Pooled> {
    let pools = Pooled::new(None)?;
    pools.warm_up(128)?;
    Ok(pools)
}

/// Turns that each mode has in a round: many short ones, since what disturbs them lasts.
const TURNS: u32 = 4;

/// Microseconds a request.
fn throughput(request: &Request, row: &str) -> Result<Vec<Measurement>> {
    let traffic = Traffic::of(request)?;
    let servers = in_all_modes(request)?;
    let mut loads = loads(&servers, &traffic, row)?;
    let requests = loads[0].1.turn(|_| ())?;
    let mut bout = Bout::in_short_turns(request, TURNS).on_all_cores();
    for (mode, load) in &mut loads {
        bout.add(mode, || load.turn(|_| ()).expect("the server answers"));
    }
    Ok(bout.run(row, 1e-3 / requests as f64))
}

/// Percentiles of single requests under load, where the next waits for the last.
fn latency(request: &Request, row: &str, rows: [&str; 3]) -> Result<Vec<Measurement>> {
    counting::pause();
    let traffic = Traffic::of(request)?;
    let servers = in_all_modes(request)?;
    let mut loads = loads(&servers, &traffic, row)?;
    let slice = 5 * Duration::from_micros(request.slice_micros);
    percentiles(request.rounds, &servers, rows, |place, seen| {
        let began = Instant::now();
        while began.elapsed() < slice || seen.len() < SAMPLES {
            loads[place].1.turn(|took| seen.push(nanos(took)))?;
        }
        Ok(())
    })
}

/// Percentiles of single requests that come when they are due, at the same times in all
/// modes: on average as far apart as makes the heap mode busy half of the time.
fn paced(request: &Request) -> Result<Vec<Measurement>> {
    counting::pause();
    let traffic = Traffic::of(request)?;
    let servers = in_all_modes(request)?;
    let gap = 2 * service_time(&mut traffic.on(servers[0].address, MIXED)?)?;
    let slice = 5 * Duration::from_micros(request.slice_micros);
    let calls = (slice.as_secs_f64() / gap.as_secs_f64()).max(SAMPLES as f64) as u64;
    let load = |server: &Remote| {
        let calls = traffic.calls(PACED);
        Ok(Paced::new(server.address, PACED_CONNECTIONS, calls, SEED)?)
    };
    let mut loads: Vec<Paced> = servers.iter().map(load).collect::<Result<_>>()?;
    // Half as many rounds: enough requests for one take twice as long as elsewhere.
    let rounds = request.rounds / 2;
    percentiles(rounds, &servers, PACED_PERCENTILES, |place, seen| {
        Ok(loads[place].run(calls, gap, |took| seen.push(nanos(took)))?)
    })
}

/// What a request takes of a server that is never idle: the least of some looks, because
/// what disturbs one makes it longer.
fn service_time(load: &mut Load) -> Result<Duration> {
    let mut least = Duration::MAX;
    for _ in 0..20 {
        let (began, mut requests) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_millis(2) {
            requests += load.turn(|_| ())?;
        }
        least = least.min(began.elapsed().div_f64(requests as f64));
    }
    Ok(least)
}

fn nanos(took: Duration) -> f64 {
    took.as_secs_f64() * 1e9
}

/// Has `ask` push the times of one round of the server in that place, round by round,
/// the servers in turn.
fn percentiles(
    rounds: u32,
    servers: &[Remote],
    rows: [&str; 3],
    mut ask: impl FnMut(usize, &mut Vec<f64>) -> Result<()>,
) -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for server in servers {
        measured.extend(rows.map(|row| Measurement::new(row, server.mode, Vec::new())));
    }
    let mut seen = Vec::with_capacity(1 << 16);
    // The first round is for warmth.
    for round in 0..=rounds as usize {
        for turn in 0..servers.len() {
            let place = (round + turn) % servers.len();
            ask(place, &mut seen)?;
            seen.sort_unstable_by(f64::total_cmp);
            let found = &mut measured[place * rows.len()..][..rows.len()];
            for (measurement, quantile) in found.iter_mut().zip(QUANTILES).filter(|_| round > 0) {
                let place = (seen.len() - 1) as f64 * quantile;
                measurement.values.push(seen[place as usize]);
            }
            seen.clear();
        }
    }
    Ok(measured)
}

fn prepare(request: &Request, pooled: bool, with: &mut dyn FnMut(&mut dyn FnMut())) -> Result<()> {
    let traffic = Traffic::of(request)?;
    if pooled {
        let server = start(&traffic, Pooled::new(None)?)?;
        under_load(&traffic, &server, with)
    } else {
        let server = start(&traffic, Heap::default())?;
        under_load(&traffic, &server, with)
    }
}

fn under_load<M: Memory>(
    traffic: &Traffic,
    server: &Server<M>,
    with: &mut dyn FnMut(&mut dyn FnMut()),
) -> Result<()> {
    let mut load = traffic.on(server.address(), MIXED)?;
    with(&mut || {
        load.turn(|_| ()).expect("the server answers");
    });
    Ok(())
}

fn allocation_share(request: &Request) -> Result<Vec<Measurement>> {
    let traffic = Traffic::of(request)?;
    let server = start(&traffic, Heap::default())?;
    let mut load = traffic.on(server.address(), MIXED)?;
    let shares = allocator_share(request.rounds, 60, || load.turn(|_| ()).is_ok());
    Ok(vec![Measurement::new(SHARE, HEAP, shares)])
}

/// Allocations of single requests, and how often the pools had to ask the system.
fn space(request: &Request) -> Result<Vec<Measurement>> {
    let traffic = Traffic::of(request)?;
    let heap = start(&traffic, Heap::default())?;
    let pools = warm()?;
    let pooled = start(&traffic, pools.clone())?;
    // A request is one of seven, so seven turns are one operation.
    let round = traffic.calls(SPACE).len();
    let mut on_heap = traffic.on(heap.address(), SPACE)?;
    let mut on_pools = traffic.on(pooled.address(), SPACE)?;
    let mut measured = uses(
        [ALLOCATIONS, BYTES],
        || (0..round).all(|_| on_heap.turn(|_| ()).is_ok()),
        || (0..round).all(|_| on_pools.turn(|_| ()).is_ok()),
    );
    for found in &mut measured {
        found.values.iter_mut().for_each(|sum| *sum /= round as f64);
    }
    let mut load = traffic.on(pooled.address(), MIXED)?;
    for _ in 0..200 {
        load.turn(|_| ())?;
    }
    let misses = 1.0 - pools.stats().hit_rate();
    measured.push(Measurement::new(MISSES, POOLED, vec![misses]));
    Ok(measured)
}

fn bars(record: &ChapterRecord) -> Vec<Bar> {
    let judge = Judge(record);
    let over = |row, other, limit, why| judge.in_turn(row, (POOLED, other), limit, why);
    let hits = |share: f64, why| judge.at_most(MISSES, POOLED, (1.0 - share, Figure::Ratio), why);
    let mut bars = vec![
        hits(0.999, "our bar: a hit rate of 99.9 %"),
        hits(
            0.98,
            "the reference claims above 98 % at 1,000 to 10,000 requests a second",
        ),
        hits(0.95, "the reference calls 95 % excellent"),
        over(PERCENTILES[2], HEAP, 0.8, "our bar"),
        over(HALVES_PERCENTILES[2], HEAP, 0.8, "our bar"),
        over(WRK_PERCENTILES[2], HEAP, 0.8, "our bar"),
        over(PACED_PERCENTILES[2], HEAP, 0.8, "our bar"),
    ];
    for row in [WRK, MIXED, SMALL, PIPELINED, LARGE, HALVES] {
        bars.push(over(
            row,
            MIMALLOC,
            1.0,
            "our bar: throughput not below mimalloc's",
        ));
        bars.push(over(row, HEAP, 1.0, "not slower than the heap"));
    }
    bars.extend([
        over(ALLOCATIONS, HEAP, 0.05, "our bar: 95 % fewer calls"),
        over(
            ALLOCATIONS,
            HEAP,
            0.012,
            "the reference claims 98.8 to 99.96 % fewer, by size",
        ),
        judge.at_most(
            ALLOCATIONS,
            POOLED,
            (1.0002, Figure::Count),
            "the reference's load test makes 1.0002 allocations an operation",
        ),
    ]);
    bars
}
