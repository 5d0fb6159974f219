//! Single operations, each timed alone.

use crate::contender::{Contender, Item, Pool};
use crate::contenders::{Visitor, visit_all};
use crate::kernels::HELD;
use millpond_bench::percentiles::{EMPTY, Latencies, empty_measurement, of_pairs};
use millpond_bench::stats::Random;
use millpond_bench::worker::{Measurement, Request};

pub fn measure(request: &Request) -> Vec<Measurement> {
    let _pinned = millpond_bench::pin::to_core(0);
    let mut visitor = Timing {
        operations: request.count,
        measured: Vec::new(),
    };
    let timer = empty_measurement(request.count);
    visitor.measured.extend(of_pairs(EMPTY, &timer, &timer));
    visit_all(&mut visitor);
    visitor.measured
}

struct Timing {
    operations: u64,
    measured: Vec<Measurement>,
}

impl Visitor for Timing {
    fn visit<C: Contender>(&mut self) {
        let pool = C::Pool::<Item>::with_capacity(8192);
        // Once around for warmth, then for the record.
        hold_and_release(&pool, self.operations / 10);
        let (acquires, releases) = hold_and_release(&pool, self.operations);
        self.measured
            .extend(of_pairs(C::NAME, &acquires, &releases));
    }
}

/// Takes random places of 64: a full one is released, an empty one is filled.
#[inline(never)]
fn hold_and_release(pool: &impl Pool<Item>, operations: u64) -> (Latencies, Latencies) {
    let (mut acquires, mut releases) = (Latencies::new(), Latencies::new());
    let mut random = Random::new(999);
    let mut held: [Option<_>; HELD] = [const { None }; HELD];
    for word in 0..operations * 2 {
        let place = &mut held[random.below(HELD)];
        match place.take() {
            Some(lease) => releases.time(|| drop(lease)),
            None => *place = Some(acquires.time(|| pool.acquire(Item::new(word)))),
        }
    }
    (acquires, releases)
}
