//! A request that balloons, and what becomes of its memory.
//!
//! ```text
//! cargo run -p millpond-arena --example balloon
//! ```

use millpond_arena::{ArenaFull, ArenaManager, Discarded, Level, Scope, ScopeConfig};
use millpond_core::event::{Event, EventHook};
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A request that needs `bytes`, in pieces of a kilobyte.
fn request(manager: &ArenaManager, bytes: usize) -> Result<(), Box<dyn Error>> {
    manager.with(Scope::Search, |arena| {
        for _ in 0..bytes / KIB {
            arena.alloc([0_u8; KIB])?;
        }
        Ok::<_, ArenaFull>(())
    })??;
    Ok(())
}

/// What the manager told since the last line.
static OUTGROWN: AtomicUsize = AtomicUsize::new(0);
static DISCARDED: AtomicUsize = AtomicUsize::new(0);

fn show(manager: &ArenaManager, when: &str) -> Result<(), Box<dyn Error>> {
    let stats = manager.scope_stats(Scope::Search)?;
    println!("{when}");
    println!(
        "    {} KiB are parked in {} arena(s); the next is built with {} KiB",
        stats.parked_bytes / KIB,
        stats.parked,
        stats.target_bytes / KIB,
    );
    let (outgrown, discarded) = (OUTGROWN.swap(0, Relaxed), DISCARDED.swap(0, Relaxed));
    if outgrown + discarded > 0 {
        println!("    {outgrown} lease(s) outgrew their arena, {discarded} chunk(s) were not kept");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = ArenaManager::builder();
    builder.configure(
        Scope::Search,
        ScopeConfig::of(MIB)
            .with_limit(256 * MIB)
            .with_retention(4 * MIB),
    );
    builder.on_event(EventHook::new(|_, event| match event {
        Event::Outgrown { .. } => drop(OUTGROWN.fetch_add(1, Relaxed)),
        Event::Discarded { .. } => drop(DISCARDED.fetch_add(1, Relaxed)),
        _ => {}
    }));
    let manager = builder.build()?;

    for _ in 0..1000 {
        request(&manager, 200 * KIB)?;
    }
    show(&manager, "after 1,000 requests of 200 KiB:")?;

    request(&manager, 200 * MIB)?;
    show(&manager, "after one of 200 MiB:")?;

    for _ in 0..1000 {
        request(&manager, 200 * KIB)?;
    }
    show(&manager, "after 1,000 more of 200 KiB:")?;

    for _ in 0..3 {
        request(&manager, 3 * MIB)?;
    }
    show(&manager, "after three of 3 MiB, too few to matter:")?;
    for _ in 0..1000 {
        request(&manager, 3 * MIB)?;
    }
    show(
        &manager,
        "after 1,000 of 3 MiB, which had to become usual first:",
    )?;
    for _ in 0..1000 {
        request(&manager, 3 * MIB)?;
    }
    show(&manager, "after 1,000 more, each in one chunk:")?;

    let leases: Vec<_> = (0..8)
        .map(|_| manager.lease(Scope::Search))
        .collect::<Result<_, _>>()?;
    drop(leases);
    show(&manager, "after eight at once:")?;
    for tick in 1..=12 {
        manager.maintain();
        if tick % 4 == 0 {
            show(&manager, &format!("after {tick} ticks without a request:"))?;
        }
    }

    let report = manager.trim(Level::Full);
    println!("a full trim freed {} KiB", report.freed_bytes / KIB);
    show(&manager, "after it:")?;

    let stats = manager.scope_stats(Scope::Search)?;
    println!(
        "\n{} leases found an arena {} times and built one {} times; {} outgrew theirs.",
        stats.leases,
        stats.reuses(),
        stats.builds,
        stats.overflows
    );
    for why in Discarded::ALL {
        println!("  not kept, {}: {}", why.name(), stats.discarded(why));
    }
    Ok(())
}
