//! Does the cost of a pair depend on the size of the item?
//!
//! It should not, beyond the bytes that are written: the engine moves addresses.
//! The item is built in place, so that the answer is not the cost of a copy.
//!
//! Not to be used to claim: the cost of items that do not fit the cache.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use millpond_fixed::FixedPool;
use std::hint::black_box;
use std::mem::MaybeUninit;

/// An item of which an acquire writes the first word, whatever its size.
struct Sized<const WORDS: usize> {
    _first: u64,
    _rest: [MaybeUninit<u64>; WORDS],
}

fn pair<const WORDS: usize>(criterion: &mut Criterion) {
    let pool = FixedPool::<Sized<WORDS>>::new(256);
    let bytes = size_of::<Sized<WORDS>>();
    let mut group = criterion.benchmark_group("item size");
    group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
        bencher.iter(|| {
            let item = || Sized {
                _first: 7,
                _rest: [MaybeUninit::uninit(); WORDS],
            };
            pool.try_acquire_with(item)
                .ok()
                .map(|lease| black_box(&raw const *lease))
        });
    });
    group.finish();
}

criterion_group!(benches, pair::<0>, pair::<7>, pair::<63>, pair::<511>);
criterion_main!(benches);
