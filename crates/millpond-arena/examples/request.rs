//! A service that answers JSON from a lease per request: documents, maps, scratch
//! memory, limits.
//!
//! ```text
//! cargo run -p millpond-arena --example request --features serde_json
//! ```

use hashbrown::HashMap;
use millpond_arena::document::Value;
use millpond_arena::{ArenaManager, Lease, Scope, ScopeConfig};
use millpond_core::budget::Budget;
use std::error::Error;

/// Counts the words of `text` in the document, and answers a document.
fn answer(
    manager: &ArenaManager,
    request: &Lease<'_>,
    json: &[u8],
) -> Result<Vec<u8>, Box<dyn Error>> {
    let document = request.parse_json(json)?;
    let text = document.get("text").and_then(Value::as_str).unwrap_or("");

    // Scratch memory of its own: it is gone before the answer is written.
    let top = {
        let scratch = manager.lease_under(request, Scope::Search)?;
        let mut counts: HashMap<&str, u64, _, _> = HashMap::new_in(&scratch);
        for word in text.split_whitespace() {
            // The map would abort where a limit is hit, so it is asked first.
            if counts.try_reserve(1).is_err() {
                return Err("too many words".into());
            }
            *counts.entry(word).or_insert(0) += 1;
        }
        let mut ranked = scratch.vec();
        ranked.try_extend(counts.iter().map(|(&word, &count)| (word, count)))?;
        ranked.sort_unstable_by_key(|&(word, count)| (core::cmp::Reverse(count), word));
        // What outlives the scratch memory is put into the request's.
        let top = ranked
            .iter()
            .take(3)
            .map(|&(word, count)| (word, Value::Unsigned(count)));
        request.alloc_iter(top)?
    };
    let mut written = Vec::new();
    Value::Object(top).write_json(&mut written)?;
    Ok(written)
}

fn main() -> Result<(), Box<dyn Error>> {
    let budget = Budget::new("service", 16 << 20);
    let mut builder = ArenaManager::builder();
    builder.configure(Scope::Json, ScopeConfig::of(128 << 10).with_limit(1 << 20));
    let manager = builder.budget(&budget).build()?;

    let small = br#"{"text":"the pond and the mill and the miller"}"#;
    let lease = manager.lease(Scope::Json)?;
    println!(
        "{}",
        String::from_utf8_lossy(&answer(&manager, &lease, small)?)
    );
    println!(
        "  used {} bytes of an arena of {} KiB",
        lease.used_bytes(),
        lease.held_bytes() >> 10
    );
    drop(lease);

    for _ in 0..10_000 {
        let lease = manager.lease(Scope::Json)?;
        answer(&manager, &lease, small)?;
    }
    let stats = manager.scope_stats(Scope::Json)?;
    println!(
        "{} requests were answered with {} arena(s) built; {} KiB are charged to the service",
        stats.leases,
        stats.builds,
        budget.held() >> 10
    );

    // A request that is too large gets an error, not the service's memory.
    let huge = format!("[{}0]", "0,".repeat(100_000));
    let lease = manager.lease(Scope::Json)?;
    match lease.parse_json(huge.as_bytes()) {
        Ok(_) => println!("a document of {} bytes fitted", huge.len()),
        Err(refused) => println!("a document of {} bytes: {refused}", huge.len()),
    }
    Ok(())
}
