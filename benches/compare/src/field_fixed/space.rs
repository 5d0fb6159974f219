//! Space: resident memory and heap allocations, one fresh process a contender.

use super::rows;
use crate::contender::{Contender, Full, Item, Kind, Pool};
use crate::contenders::{Visitor, visit_all};
use crate::kernels::{self, Orders};
use millpond_bench::counting::in_steady_state;
use millpond_bench::worker::{Measurement, Request};
use millpond_bench::{pin, resident};
use std::cell::OnceCell;

/// Resident memory for each live object.
pub fn memory(request: &Request) -> Vec<Measurement> {
    for_contender(request, |count, measuring| measuring.memory(count))
}

/// Resident memory before, in and after a burst.
pub fn burst(request: &Request) -> Vec<Measurement> {
    for_contender(request, |count, measuring| measuring.burst(count))
}

/// What is measured for the one contender that the request names.
fn for_contender(
    request: &Request,
    measure: fn(usize, &dyn Measuring) -> Vec<Measurement>,
) -> Vec<Measurement> {
    struct Finding<'a>(&'a str, Option<Box<dyn Measuring>>);
    impl Visitor for Finding<'_> {
        fn visit<C: Contender>(&mut self) {
            if C::NAME == self.0 {
                self.1 = Some(Box::new(Of::<C>(std::marker::PhantomData)));
            }
        }
    }
    let mut finding = Finding(&request.contender, None);
    visit_all(&mut finding);
    let count = usize::try_from(request.count).unwrap_or(usize::MAX);
    finding
        .1
        .map_or(Vec::new(), |found| measure(count, &*found))
}

trait Measuring {
    fn memory(&self, count: usize) -> Vec<Measurement>;
    fn burst(&self, count: usize) -> Vec<Measurement>;
}

struct Of<C>(std::marker::PhantomData<C>);

impl<C: Contender> Measuring for Of<C> {
    fn memory(&self, count: usize) -> Vec<Measurement> {
        type Lease<'a, C> = <<C as Contender>::Pool<Full> as Pool<Full>>::Lease<'a>;
        let guard = size_of::<Lease<'_, C>>() as f64;
        let mut measured = vec![Measurement::new(rows::GUARD, C::NAME, vec![guard])];
        // The holder's own memory is there, and touched, before we look; the
        // pool is made after that, and dropped after the leases.
        let pool = OnceCell::new();
        let mut places = empty_places(count);
        let Some(before) = resident::anonymous_bytes() else {
            return measured;
        };
        fill(
            pool.get_or_init(|| C::Pool::with_capacity(count)),
            &mut places,
        );
        let after = resident::anonymous_bytes().unwrap_or(before);
        let each = after.saturating_sub(before) as f64 / count as f64;
        measured.push(Measurement::new(rows::MEMORY, C::NAME, vec![each]));
        measured
    }

    fn burst(&self, count: usize) -> Vec<Measurement> {
        let pool = C::Pool::<Full>::with_capacity(count);
        let (mut here, mut there) = (empty_places(count / 2), empty_places(count / 2));
        fill(&pool, &mut here[..WARM.min(count / 2)]);
        empty(&mut here);
        let Some(before) = resident::anonymous_bytes() else {
            return Vec::new();
        };
        on_two_threads(|| fill(&pool, &mut here), || fill(&pool, &mut there));
        let peak = resident::anonymous_bytes().unwrap_or(before);
        on_two_threads(|| empty(&mut here), || empty(&mut there));
        pool.trim();
        let after = resident::anonymous_bytes().unwrap_or(peak);
        [
            (rows::BURST_BEFORE, before),
            (rows::BURST_PEAK, peak),
            (rows::BURST_AFTER, after),
        ]
        .map(|(row, bytes)| Measurement::new(row, C::NAME, vec![mebibytes(bytes)]))
        .into()
    }
}

/// Items that a warmed pool has lent before the burst.
const WARM: usize = 1024;

/// Places for leases, written once so that their pages are resident.
fn empty_places<L>(count: usize) -> Vec<Option<L>> {
    let mut places = Vec::with_capacity(count);
    places.resize_with(count, || None);
    std::hint::black_box(&mut places);
    places
}

/// Leases an item for every place and writes all of it.
fn fill<'p, P: Pool<Full>>(pool: &'p P, places: &mut [Option<P::Lease<'p>>]) {
    for (word, place) in (1..).zip(places) {
        *place = Some(pool.acquire([word; 8]));
    }
}

fn empty<L>(places: &mut [Option<L>]) {
    places.iter_mut().for_each(|place| *place = None);
}

fn on_two_threads(here: impl FnOnce(), there: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(there);
        here();
    });
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Operations that are counted; as many again warm each thread up.
const OPERATIONS: u64 = 1_000_000;

/// Heap allocations of warmed pools.
pub fn allocations() -> Vec<Measurement> {
    let mut visitor = Allocations(Vec::new());
    visit_all(&mut visitor);
    visitor.0
}

struct Allocations(Vec<Measurement>);

impl Visitor for Allocations {
    fn visit<C: Contender>(&mut self) {
        if C::KIND == Kind::Allocator {
            return;
        }
        let pool = C::Pool::<Item>::with_capacity(8192);
        let orders = Orders::new();
        let work = |operations: u64| {
            kernels::pair(operations / 2, |item| pool.acquire(item));
            kernels::held(operations / 2, &orders, |item| pool.acquire(item));
        };
        let threads = pin::core_count().min(2);
        let counted = in_steady_state(threads, OPERATIONS, &work);
        self.0.push(Measurement::new(
            rows::ALLOCATIONS,
            C::NAME,
            vec![counted as f64],
        ));
    }
}
