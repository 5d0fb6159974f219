//! One of each pool under one budget: what a program sees, and what a report says.
//!
//! `cargo run --example pond -p millpond`

use millpond::arena::Scope;
use millpond::{Diagnosis, Level, Pond};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let pond = Pond::builder()
        .with_name("demo")
        .with_budget_bytes(64 << 20)
        .build()?;
    let nodes = pond.node_pool::<[u64; 8]>("nodes")?;
    let rows = pond.vector_pool::<f32>("embeddings", 256, 10_000)?;

    println!("Ten thousand requests, each with an arena, a buffer, a node and a row:");
    for request in 0..10_000 {
        let arena = pond.arena(Scope::Primitive)?;
        let name = arena.alloc_fmt(format_args!("request {request}"))?;
        let mut buffer = pond.buffer(1024)?;
        buffer.extend_from_slice(name.as_bytes())?;
        let node = nodes.acquire([request; 8])?;
        let mut row = rows.acquire_zeroed()?;
        row[0] = f32::from(u8::try_from(node[0] % 256)?);
    }
    println!("\n{}", pond.analytics().snapshot());
    let savings = pond.efficiency();
    println!(
        "{} allocations were not made, {} were; each byte that was allocated served {:.0} times.",
        savings.allocations_avoided,
        savings.allocations_made,
        savings.reuse_ratio().unwrap_or_default(),
    );

    println!("\nNobody needs anything now, so all of it goes back to the system:");
    println!("  held before: {} bytes", pond.budget().held());
    println!("  {}", pond.trim(Level::Full));
    println!("  held after:  {} bytes", pond.budget().held());

    println!("\nSomebody forgets a lease, and the pond is closed:");
    pond.set_diagnosis(Diagnosis::Full);
    let forgotten = nodes.acquire_owned([7; 8])?;
    println!("{}", pond.close(Duration::from_millis(10)));
    drop(forgotten);
    println!("The lease ends: {}.", pond.close(Duration::ZERO));
    Ok(())
}
