//! A bound that workers share: who finds nothing is refused, or waits; and what is
//! released is used again, warm.
//!
//! ```text
//! cargo run --release -p millpond-fixed --example workers
//! ```

use millpond_fixed::{Clear, Exhaustion, FixedPool, Level, ObjectPool};
use std::error::Error;
use std::thread;
use std::time::Duration;

/// What a worker needs for a job: of these there are two, for eight workers.
struct Connection {
    number: u32,
}

const WORKERS: u32 = 8;
const JOBS: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let pool = FixedPool::<Connection>::builder(2)
        .name("connections")
        .exhaustion(Exhaustion::Block {
            timeout: Some(Duration::from_secs(10)),
        })
        .build();

    let first = pool.try_acquire(Connection { number: 1 })?;
    let second = pool.try_acquire(Connection { number: 2 })?;
    let refused = pool.try_acquire(Connection { number: 3 });
    let refused = refused.err().ok_or("two is the bound")?;
    println!("Two are leased, and a third is refused:\n  {refused}");
    let back = refused.into_value();
    println!(
        "Nothing is lost: connection {} was handed back.\n",
        back.number
    );
    drop((first, second));

    thread::scope(|scope| {
        for number in 0..WORKERS {
            let pool = &pool;
            scope.spawn(move || {
                for _ in 0..JOBS {
                    // Waits for its turn, as the pool was told.
                    let connection = pool.acquire(Connection { number });
                    thread::sleep(Duration::from_micros(50)); // The job.
                    drop(connection);
                }
            });
        }
    });
    let figures = pool.stats();
    println!(
        "{WORKERS} workers did {} jobs with {} slots: at most {} at once, {} waited.\n",
        WORKERS * JOBS,
        figures.created,
        figures.high_water,
        figures.waits,
    );

    // Objects that are dear to make are cleared between two users, and not dropped.
    let lines = ObjectPool::<String, _>::new(4, Clear::rejecting_above(64 << 10));
    for _ in 0..JOBS {
        lines.acquire()?.push_str("as much as it ever had room for");
    }
    let figures = lines.stats();
    println!(
        "{} texts were built in {} strings.",
        figures.acquires, figures.created
    );

    let report = lines.trim(Level::Full);
    println!(
        "Nobody needs it now: {} bytes went back.",
        report.freed_bytes
    );
    Ok(())
}
