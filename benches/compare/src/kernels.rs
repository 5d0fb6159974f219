//! The measured loops. Nothing else is timed.
//!
//! Each is generic over the guard, compiled once per contender and never inlined,
//! so that all contenders meet the same loop. `black_box` gets the address of
//! every item: the compiler must then believe that somebody wrote to it, and can
//! delete neither the store nor the item.

use crate::contender::{Full, Item};
use millpond_bench::pin;
use millpond_bench::stats::Random;
use rtrb::RingBuffer;
use std::hint::{black_box, spin_loop};
use std::mem::MaybeUninit;
use std::ops::DerefMut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Items held at once in rows with random order.
pub const HELD: usize = 64;

/// Items of one burst: so many that no cache of a thread holds them.
pub const BURST: usize = 1000;

/// Items that cross the ring in one batch.
pub const BATCH: usize = 256;

/// Batches in flight at most: enough that neither side waits for the other's
/// every step, few enough that the items stay in the second-level cache.
const IN_FLIGHT: usize = 4;

/// Acquire, write one word, release.
#[inline(never)]
pub fn pair<L: DerefMut<Target = Item>>(iterations: u64, acquire: impl Fn(Item) -> L) -> Duration {
    let began = Instant::now();
    for word in 0..iterations {
        let lease = acquire(Item::new(word));
        black_box(&raw const *lease);
    }
    began.elapsed()
}

/// Acquire 64, then release them in random order; time per item.
///
/// Places written once and dropped by name, in place of `Option`s in an array
/// made by a function: the loop neither tests, for each item, whether its place
/// was empty, nor copies the guards, which would charge a wide guard for the
/// array and not for the pool.
#[inline(never)]
pub fn held<L: DerefMut<Target = Item>>(
    iterations: u64,
    orders: &Orders,
    acquire: impl Fn(Item) -> L,
) -> Duration {
    let batches = iterations.div_ceil(HELD as u64);
    let mut held = [const { MaybeUninit::<L>::uninit() }; HELD];
    let began = Instant::now();
    for batch in 0..batches {
        for place in &mut held {
            let lease = acquire(Item::new(batch));
            black_box(&raw const *lease);
            place.write(lease);
        }
        for &index in orders.of(batch) {
            // SAFETY: written above, and an order names each of the 64 places
            // once, so each lease is dropped once and not used afterwards.
            unsafe { held[usize::from(index)].assume_init_drop() };
        }
    }
    scaled(began.elapsed(), iterations, batches * HELD as u64)
}

/// Acquire 1,000, then release them all in the order of acquiring; time per item.
#[inline(never)]
pub fn burst<L: DerefMut<Target = Item>>(iterations: u64, acquire: impl Fn(Item) -> L) -> Duration {
    let bursts = iterations.div_ceil(BURST as u64);
    let mut held = Vec::with_capacity(BURST);
    let began = Instant::now();
    for burst in 0..bursts {
        held.extend((0..BURST).map(|_| {
            let lease = acquire(Item::new(burst));
            black_box(&raw const *lease);
            lease
        }));
        held.clear();
    }
    scaled(began.elapsed(), iterations, bursts * BURST as u64)
}

/// Orders of release, drawn ahead of time: each a permutation of the 64 places.
#[derive(Clone)]
pub struct Orders(Vec<[u8; HELD]>);

impl Orders {
    /// So many different orders that a branch predictor learns none of them.
    const COUNT: u64 = 64;

    /// Seeded: every contender and every run releases in the same orders.
    pub fn new() -> Self {
        let mut random = Random::new(64);
        let mut order: [u8; HELD] = std::array::from_fn(|index| index as u8);
        let orders = (0..Self::COUNT).map(|_| {
            random.shuffle(&mut order);
            order
        });
        Self(orders.collect())
    }

    #[inline(always)]
    fn of(&self, batch: u64) -> &[u8; HELD] {
        &self.0[(batch % Self::COUNT) as usize]
    }
}

/// An acquire that fails, on a pool whose items are all leased.
#[inline(never)]
pub fn exhausted<L>(iterations: u64, try_acquire: impl Fn(Item) -> Option<L>) -> Duration {
    let began = Instant::now();
    for word in 0..iterations {
        assert!(
            try_acquire(Item::new(word)).is_none(),
            "the pool is exhausted"
        );
    }
    began.elapsed()
}

/// A loop without memory: what two threads cost each other before any pool.
#[inline(never)]
pub fn arithmetic(iterations: u64) -> Duration {
    let mut state = black_box(1_u64);
    let began = Instant::now();
    for _ in 0..iterations {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
    }
    black_box(state);
    began.elapsed()
}

/// Runs `work` on `threads` pinned threads at once; the mean of their times.
pub fn on_threads(
    threads: usize,
    iterations: u64,
    work: &(impl Fn(u64) -> Duration + Sync),
) -> Duration {
    let ready = AtomicUsize::new(0);
    let run = |core: usize| {
        let _pinned = pin::to_core(core);
        // Gives the thread its caches before the clock starts.
        work(iterations / 16 + 1);
        meet(&ready, threads);
        work(iterations)
    };
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..threads)
            .map(|core| scope.spawn(move || run(core)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a measured thread"))
            .collect()
    });
    times.iter().sum::<Duration>() / threads as u32
}

/// Acquire on one pinned thread, release on another, in batches through a
/// spinning ring; every word of every item is written here and read there.
#[inline(never)]
pub fn cross<L: DerefMut<Target = Full> + Send>(
    iterations: u64,
    acquire: impl Fn(Full) -> L + Sync,
) -> Duration {
    let (mut sender, mut receiver) = RingBuffer::<L>::new(BATCH * IN_FLIGHT);
    let batches = iterations.div_ceil(BATCH as u64);
    let ready = AtomicUsize::new(0);
    let elapsed = std::thread::scope(|scope| {
        let acquire = &acquire;
        let producer = scope.spawn({
            let ready = &ready;
            move || {
                let _pinned = pin::to_core(0);
                meet(ready, 2);
                let began = Instant::now();
                for batch in 0..batches {
                    spin_until(|| sender.slots() >= BATCH);
                    let chunk = sender.write_chunk_uninit(BATCH).expect("room for a batch");
                    chunk.fill_from_iter((0..BATCH).map(|_| acquire([batch; 8])));
                }
                began
            }
        });
        let consumer = scope.spawn({
            let ready = &ready;
            move || {
                let _pinned = pin::to_core(1);
                meet(ready, 2);
                for batch in 0..batches {
                    spin_until(|| receiver.slots() >= BATCH);
                    let chunk = receiver.read_chunk(BATCH).expect("a batch is there");
                    chunk.into_iter().for_each(|lease| check(batch, lease));
                }
                Instant::now()
            }
        });
        let began = producer.join().expect("the acquiring thread");
        consumer.join().expect("the releasing thread") - began
    });
    scaled(elapsed, iterations, batches * BATCH as u64)
}

/// The same through a channel that blocks; empty vectors travel back, so that
/// the channel itself allocates nothing.
#[inline(never)]
pub fn channel<L: DerefMut<Target = Full> + Send>(
    iterations: u64,
    acquire: impl Fn(Full) -> L + Sync,
) -> Duration {
    let (full, arriving) = mpsc::sync_channel::<Vec<L>>(IN_FLIGHT);
    let (empty, returning) = mpsc::sync_channel::<Vec<L>>(IN_FLIGHT * 2);
    for _ in 0..IN_FLIGHT {
        let _ = empty.send(Vec::with_capacity(BATCH));
    }
    let batches = iterations.div_ceil(BATCH as u64);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let acquire = &acquire;
        scope.spawn(move || {
            let _pinned = pin::to_core(0);
            for batch in 0..batches {
                let mut leases = returning.recv().expect("the releasing thread lives");
                leases.extend((0..BATCH).map(|_| acquire([batch; 8])));
                full.send(leases).expect("the releasing thread lives");
            }
        });
        scope.spawn(move || {
            let _pinned = pin::to_core(1);
            for (batch, mut leases) in (0..).zip(arriving) {
                leases.drain(..).for_each(|lease| check(batch, lease));
                let _ = empty.send(leases);
            }
        });
    });
    scaled(began.elapsed(), iterations, batches * BATCH as u64)
}

/// Reads what the other thread wrote, then releases.
#[inline(always)]
fn check<L: DerefMut<Target = Full>>(batch: u64, lease: L) {
    let sum = lease
        .iter()
        .fold(0, |sum: u64, word| sum.wrapping_add(*word));
    assert!(
        sum == batch.wrapping_mul(8),
        "the item holds what was written"
    );
}

/// Spins, and yields once in a while in case the other thread shares the core.
fn spin_until(mut ready: impl FnMut() -> bool) {
    loop {
        for _ in 0..1 << 14 {
            if ready() {
                return;
            }
            spin_loop();
        }
        std::thread::yield_now();
    }
}

/// Waits until `threads` threads are here.
fn meet(ready: &AtomicUsize, threads: usize) {
    ready.fetch_add(1, Ordering::AcqRel);
    spin_until(|| ready.load(Ordering::Acquire) >= threads);
}

/// Loops that work in batches do a little more than they were asked.
fn scaled(elapsed: Duration, asked: u64, done: u64) -> Duration {
    elapsed.mul_f64(asked as f64 / done as f64)
}
