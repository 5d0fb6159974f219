//! What does an owned lease cost beside a borrowed one, and one thread beside many?
//!
//! A borrowed lease from a pool for one thread is the least that a lease can do;
//! an owned lease also keeps its pool alive.
//!
//! Not to be used to claim: what a program gains by changing the kind; programs
//! do more than acquire and release.

use criterion::{Criterion, criterion_group, criterion_main};
use millpond_fixed::{FixedPool, LocalFixedPool};
use std::hint::black_box;

const CAPACITY: usize = 256;

fn kinds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lease kind");
    let local = LocalFixedPool::<u64>::new_local(CAPACITY);
    group.bench_function("one thread, borrowed", |bencher| {
        bencher.iter(|| {
            local
                .try_acquire(7)
                .ok()
                .map(|lease| black_box(&raw const *lease))
        });
    });
    let shared = FixedPool::<u64>::new(CAPACITY);
    group.bench_function("shared, borrowed", |bencher| {
        bencher.iter(|| {
            shared
                .try_acquire(7)
                .ok()
                .map(|lease| black_box(&raw const *lease))
        });
    });
    let handle = FixedPool::<u64>::new(CAPACITY).into_handle();
    group.bench_function("shared, owned", |bencher| {
        bencher.iter(|| {
            handle
                .try_acquire_owned(7)
                .ok()
                .map(|lease| black_box(&raw const *lease))
        });
    });
    group.finish();
}

criterion_group!(benches, kinds);
criterion_main!(benches);
