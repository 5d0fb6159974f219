//! What does a thread pay when it oscillates around a magazine's edge?
//!
//! A cache holds two magazines, so a thread that acquires and releases a few
//! items at a time should hardly ever meet the depot, wherever the edge lies.
//! The worst burst is one longer than both magazines, which exchanges one with
//! the depot each way.
//!
//! Not to be used to claim: anything about several threads, or about pools that
//! run out.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millpond_fixed::FixedPool;
use std::hint::black_box;

/// Items held at once: within a magazine, at the edges of one and two, beyond.
const BURSTS: [usize; 6] = [1, 31, 64, 128, 256, 512];

fn burst(criterion: &mut Criterion) {
    let pool = FixedPool::<u64>::new(8192);
    let mut group = criterion.benchmark_group("magazine edge");
    for size in BURSTS {
        let mut held = Vec::with_capacity(size);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                held.extend((0..size).map_while(|word| pool.try_acquire(word as u64).ok()));
                black_box(&mut held).clear();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, burst);
criterion_main!(benches);
