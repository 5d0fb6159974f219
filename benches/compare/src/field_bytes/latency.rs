//! Single operations, each timed alone.

use super::contenders::{Buffers, Memory, Visitor, visit_all};
use super::kernels;
use millpond_bench::percentiles::{EMPTY, Latencies, empty_measurement, of_pairs};
use millpond_bench::stats::Random;
use millpond_bench::worker::{Measurement, Request};

/// Buffers held at once.
const HELD: usize = 64;

/// Acquires and releases of mixed sizes, with 64 buffers held.
pub fn measure(request: &Request) -> Vec<Measurement> {
    let _pinned = millpond_bench::pin::to_core(0);
    let mut timing = Timing {
        operations: request.count,
        measured: Vec::new(),
    };
    let timer = empty_measurement(request.count);
    timing.measured.extend(of_pairs(EMPTY, &timer, &timer));
    visit_all(&mut timing);
    timing.measured
}

struct Timing {
    operations: u64,
    measured: Vec<Measurement>,
}

impl Visitor for Timing {
    fn visit<B: Buffers>(&mut self) {
        if !B::MIXED {
            return;
        }
        let buffers = B::new();
        // Once around for warmth, then for the record.
        hold_and_release(&buffers, self.operations / 10);
        let (acquires, releases) = hold_and_release(&buffers, self.operations);
        self.measured
            .extend(of_pairs(B::NAME, &acquires, &releases));
    }
}

/// Takes random places of 64: a full one is released, an empty one is filled.
#[inline(never)]
fn hold_and_release<B: Buffers>(buffers: &B, operations: u64) -> (Latencies, Latencies) {
    let (mut acquires, mut releases) = (Latencies::new(), Latencies::new());
    let (mut random, sizes) = (Random::new(999), kernels::drawn_sizes());
    let mut held: [Option<_>; HELD] = [const { None }; HELD];
    for word in 0..operations * 2 {
        let place = &mut held[random.below(HELD)];
        match place.take() {
            Some(buffer) => releases.time(|| drop(buffer)),
            None => {
                let len = sizes[word as usize % sizes.len()];
                let mut buffer = acquires.time(|| buffers.acquire_any(len));
                // SAFETY: every contender lends at least one byte.
                unsafe { buffer.start().write(word as u8) };
                *place = Some(buffer);
            }
        }
    }
    (acquires, releases)
}
