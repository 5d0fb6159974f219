//! What does it cost to look at pools, and to record them?
//!
//! A hundred pools that 64 threads have used are looked at, written for
//! Prometheus and shown; a table of size classes is computed for ten million
//! sizes; a pair of operations is timed at each level of diagnostics.
//!
//! Not to be used to claim: what a scrape costs over a network, or what
//! recording costs threads that contend for one pool.

use criterion::{Criterion, criterion_group, criterion_main};
use millpond_analytics::{Advisor, Exporter, Format, Page, Registry, TraceRecorder, count_sizes};
use millpond_fixed::{Diagnosis, FixedPool};
use std::hint::black_box;
use std::io;
use std::sync::{Arc, Barrier};
use std::thread;

const POOLS: usize = 100;
const THREADS: usize = 64;
const SIZES: u64 = 10_000_000;

/// Pools in which each of 64 threads, all alive at once, has a cache.
fn used_pools() -> (Registry, Vec<Arc<FixedPool<[u64; 8]>>>) {
    let registry = Registry::new();
    let pools: Vec<_> = (0..POOLS)
        .map(|index| {
            let name: &'static str = Box::leak(format!("pool {index}").into_boxed_str());
            let pool = Arc::new(FixedPool::builder(10_000).name(name).build());
            registry.register(&pool).expect("names differ");
            pool
        })
        .collect();
    let all_there = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                all_there.wait();
                for pool in &pools {
                    for _ in 0..10 {
                        drop(black_box(pool.try_acquire([1; 8])).expect("room for all"));
                    }
                }
                all_there.wait();
            });
        }
    });
    (registry, pools)
}

fn look(criterion: &mut Criterion) {
    let (registry, pools) = used_pools();
    let acquires: u64 = pools.iter().map(|pool| pool.stats().acquires).sum();
    assert_eq!(acquires, (POOLS * THREADS * 10) as u64);
    let exporter = Exporter::new(&registry);
    let mut group = criterion.benchmark_group("100 pools, 64 threads");
    group.bench_function("snapshot", |bencher| bencher.iter(|| registry.snapshot()));
    group.bench_function("text 0.0.4", |bencher| {
        bencher.iter(|| exporter.expose(Format::Text));
    });
    group.bench_function("OpenMetrics", |bencher| {
        bencher.iter(|| exporter.expose(Format::OpenMetrics));
    });
    let snapshot = registry.snapshot();
    group.bench_function("JSON", |bencher| bencher.iter(|| snapshot.to_json()));
    group.bench_function("page", |bencher| {
        bencher.iter(|| Page::of(&snapshot).to_string());
    });
    group.finish();
}

fn advise(criterion: &mut Criterion) {
    // Log-uniform from 16 bytes to 256 KiB, as sizes of requests tend to be.
    let mut state = 1_u64;
    let sizes: Vec<usize> = (0..SIZES)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let octave = 4 + (state >> 33) % 14;
            let rest = (state >> 40) % (1 << octave);
            usize::try_from((1 << octave) + rest).expect("small")
        })
        .collect();
    let mut group = criterion.benchmark_group("10 million sizes");
    group.sample_size(10);
    group.bench_function("counted, and a table of six classes", |bencher| {
        bencher.iter(|| {
            let counted = count_sizes(sizes.iter().copied());
            Advisor::new().class_table(&counted, &[]).expect("recorded")
        });
    });
    group.finish();
}

fn record(criterion: &mut Criterion) {
    let recorder = TraceRecorder::install(io::sink()).expect("the first of the process");
    let mut group = criterion.benchmark_group("pair");
    // (name, level)
    for (name, level) in [
        ("off", Diagnosis::Off),
        ("sampled", Diagnosis::Sampled),
        ("recorded", Diagnosis::Recorded),
        ("full", Diagnosis::Full),
    ] {
        let pool = FixedPool::<[u64; 8]>::builder(64).name("recorded").build();
        pool.set_diagnosis(level);
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(pool.try_acquire([1; 8])).is_ok());
        });
    }
    group.finish();
    recorder.finish().expect("a sink takes everything");
}

criterion_group!(benches, look, advise, record);
criterion_main!(benches);
