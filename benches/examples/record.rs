//! Records a trace to try `cargo xtask replay` on: buffers of a server that reads
//! requests of many sizes and answers them in another order.
//!
//! ```text
//! cargo run --release -p millpond-bench --example record -- traffic.trace
//! cargo xtask replay traffic.trace
//! ```

use millpond_analytics::TraceRecorder;
use millpond_bench::stats::Random;
use millpond_fixed::{Diagnosis, FixedPool};
use std::fs::File;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: record FILE")?;
    let recorder = TraceRecorder::install(File::create(&path)?)?;
    let small = FixedPool::<[u8; 512]>::builder(1000).name("heads").build();
    let large = FixedPool::<[u8; 9000]>::builder(1000)
        .name("bodies")
        .build();
    small.set_diagnosis(Diagnosis::Recorded);
    large.set_diagnosis(Diagnosis::Recorded);
    let mut dice = Random::new(1);
    let (mut heads, mut bodies) = (Vec::new(), Vec::new());
    for _ in 0..20_000 {
        if heads.len() < 100 {
            heads.push(small.try_acquire([0; 512])?);
        }
        if bodies.len() < 20 && dice.below(4) == 0 {
            bodies.push(large.try_acquire([0; 9000])?);
        }
        if dice.below(2) == 0 && !heads.is_empty() {
            drop(heads.swap_remove(dice.below(heads.len())));
        }
        if dice.below(8) == 0 && !bodies.is_empty() {
            drop(bodies.swap_remove(dice.below(bodies.len())));
        }
    }
    drop((heads, bodies));
    recorder.finish()?;
    println!("{path}: {} events lost", recorder.lost());
    Ok(())
}
