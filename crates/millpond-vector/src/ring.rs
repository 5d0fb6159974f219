//! Rings: leases on their way from one stage of a pipeline to the next.
//!
//! A lease is two or three words, so a ring moves rows and blocks without
//! touching them, and the pool bounds how many are in flight. The ring is that of
//! the `rtrb` crate: bounded, wait-free, for one sender and one receiver; a lease
//! that finds it full is handed back in the error.

pub use rtrb::{Consumer, PopError, Producer, PushError};

/// A ring for `capacity` leases.
///
/// ```
/// use millpond_vector::{Triples8Pool, ring};
///
/// let pool = Triples8Pool::new()?;
/// let (mut sender, mut receiver) = ring::bounded(4);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut seen = 0;
///         while seen < 100 {
///             match receiver.pop() {
///                 Ok(run) => seen += run_length(&run), // Dropped: its block goes back.
///                 Err(_) => std::thread::yield_now(),
///             }
///         }
///     });
///     for i in 0..100 {
///         let mut run = loop {
///             match pool.try_load(&[[i, i + 1, i + 2]]) {
///                 Ok(run) => break run,
///                 Err(_) => std::thread::yield_now(),
///             }
///         };
///         while let Err(ring::PushError::Full(back)) = sender.push(run) {
///             run = back;
///             std::thread::yield_now();
///         }
///     }
/// });
/// # fn run_length(run: &millpond_vector::Triples8Lease<'_>) -> usize { run.len() }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[must_use]
pub fn bounded<L: Send>(capacity: usize) -> (Producer<L>, Consumer<L>) {
    rtrb::RingBuffer::new(capacity)
}
