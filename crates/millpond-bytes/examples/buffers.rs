//! The life of a buffer: acquired, written, frozen, shared, and mutable again.
//!
//! `cargo run --example buffers -p millpond-bytes`

use millpond_bytes::{BytePool, Config};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let pool = BytePool::new(Config::for_network().with_name("connections"))?;
    println!("A pool with classes of {:?} bytes.\n", pool.sizes());

    let mut buffer = pool.acquire(3000)?;
    println!("3,000 bytes asked for, {} given.", buffer.capacity());
    write!(buffer, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")?;
    let place = buffer.as_mut_ptr();

    let response = buffer.freeze();
    let body = response.slice(response.len() - 5..);
    println!(
        "Frozen: {} bytes, of which the body is {:?}; nothing was copied or allocated.",
        response.len(),
        std::str::from_utf8(&body)?
    );

    let sent = std::thread::spawn(move || response.len()).join();
    println!(
        "Another thread sent {} bytes and let go of its view.",
        sent.map_err(|_| "the thread panicked")?
    );

    let mut again = body
        .try_into_mut()
        .map_err(|_| "somebody else has a view")?;
    again.clear();
    println!(
        "The last view became a buffer again, the same one: {}.",
        again.as_mut_ptr() == place
    );
    drop(again);

    for turn in 0..100_000 {
        let mut buffer = pool.acquire(500 + turn % 60_000)?;
        buffer.push(1)?;
    }
    println!(
        "\nAfter 100,000 requests of 500 to 60,499 bytes:\n{}",
        pool.stats()
    );
    println!(
        "Misses are the buffers that had to be made. Waste is what was given beyond the request."
    );
    Ok(())
}
