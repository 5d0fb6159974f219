//! Classes that follow the traffic, changed while buffers are out.
//!
//! `cargo run --example adapt -p millpond-bytes`

use millpond_bytes::BytePool;
use std::error::Error;

/// Messages of a protocol that nobody had in mind when the classes were chosen.
const MESSAGES: [usize; 5] = [2100, 2200, 2500, 9000, 34_000];

fn main() -> Result<(), Box<dyn Error>> {
    let pool = BytePool::default();
    traffic(&pool)?;
    println!("With the default classes:\n{}\n", pool.stats());

    let advice = pool.advise(4, 1 << 20)?;
    println!(
        "Four classes that fit better: {:?}, and buffers at once: {:?}.\n\
         Sizes are known to an eighth of their class. Of such sizes, {:.1} % would be wasted\n\
         beyond that eighth, instead of {:.1} %.\n",
        advice.sizes.sizes(),
        advice.depths,
        advice.waste_then.share() * 100.0,
        advice.waste_now.share() * 100.0,
    );

    let held = pool.acquire(2100)?;
    pool.apply(&advice.sizes)?;
    println!(
        "Applied. A buffer that was out keeps its {} bytes; the next one has {}.\n",
        held.capacity(),
        pool.acquire(2100)?.capacity()
    );
    drop(held);
    pool.reset_stats();
    traffic(&pool)?;
    println!(
        "The same traffic, with the classes that fit it:\n{}",
        pool.stats()
    );
    Ok(())
}

fn traffic(pool: &BytePool) -> Result<(), Box<dyn Error>> {
    for turn in 0..50_000 {
        let mut message = pool.acquire(MESSAGES[turn % MESSAGES.len()])?;
        message.push(0)?;
    }
    Ok(())
}
