//! Driving a pool and the model together.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dice::Dice;
use crate::model::{Model, Token, Violation};
use crate::trace::{Op, Trace};
use crate::tracked;
use crate::under_test::PoolUnderTest;

/// A trace that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was done.
    pub trace: Trace,
    /// At which operation of the trace it showed; the number of operations, if
    /// at the end.
    pub step: usize,
    /// What was broken.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n  at step {} of: {}",
            self.violation, self.step, self.trace
        )
    }
}

impl std::error::Error for Failure {}

/// Leases that exist, with the model's names for them.
type Live<'p, P> = Vec<(Token, <P as PoolUnderTest>::Lease<'p>)>;

/// Does a trace to a fresh pool and the model, and compares after every step.
/// At the end everything is given back, and the pool is dropped.
///
/// # Errors
///
/// The first promise that was broken. A panic of the pool is one.
pub fn run_trace<P: PoolUnderTest>(make: impl Fn() -> P, trace: &Trace) -> Result<(), Failure> {
    let mut step = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let pool = make();
        let mut model = Model::new(pool.capacity());
        let mut live = Vec::new();
        for &op in &trace.ops {
            apply(&pool, &mut model, &mut live, op)?;
            model.check_counts(&pool)?;
            step += 1;
        }
        finish(&pool, &mut model, live)
    }));
    let result = outcome.unwrap_or_else(|panic| {
        let message = panic_message(&*panic);
        Err(Violation::Panicked { message })
    });
    result.map_err(|violation| Failure {
        trace: trace.clone(),
        step,
        violation,
    })
}

fn apply<'p, P: PoolUnderTest>(
    pool: &'p P,
    model: &mut Model,
    live: &mut Live<'p, P>,
    op: Op,
) -> Result<(), Violation> {
    match op {
        Op::Acquire => {
            let stamp = model.next_stamp();
            let Some(lease) = pool.acquire(stamp) else {
                return model.refused();
            };
            let token = model.acquired(stamp, pool.span(&lease))?;
            model.check_lease(pool, token, &lease)?;
            live.push((token, lease));
        }
        Op::Trim => {
            pool.trim();
            check_all(pool, model, live)?;
        }
        Op::Read(_) | Op::Write(_) | Op::Release(_) if live.is_empty() => {}
        Op::Read(index) => {
            let (token, lease) = &live[index % live.len()];
            model.check_lease(pool, *token, lease)?;
        }
        Op::Write(index) => {
            let index = index % live.len();
            let (token, lease) = &mut live[index];
            let stamp = model.next_stamp();
            pool.restamp(lease, stamp);
            model.restamped(*token, stamp);
            model.check_lease(pool, *token, lease)?;
        }
        Op::Release(index) => {
            let (token, lease) = live.swap_remove(index % live.len());
            model.check_lease(pool, token, &lease)?;
            model.released(token);
            pool.release(lease);
        }
    }
    Ok(())
}

fn check_all<'p, P: PoolUnderTest>(
    pool: &'p P,
    model: &Model,
    live: &Live<'p, P>,
) -> Result<(), Violation> {
    let mut live = live.iter();
    live.try_for_each(|(token, lease)| model.check_lease(pool, *token, lease))
}

/// Everything is intact, goes back, and is there to be had again, all of it.
fn finish<'p, P: PoolUnderTest>(
    pool: &'p P,
    model: &mut Model,
    live: Live<'p, P>,
) -> Result<(), Violation> {
    check_all(pool, model, &live)?;
    for (token, lease) in live {
        model.released(token);
        pool.release(lease);
    }
    model.check_counts(pool)?;
    drain(pool, model)
}

/// Exactly as many items as the capacity can be had at once.
fn drain<'p, P: PoolUnderTest>(pool: &'p P, model: &mut Model) -> Result<(), Violation> {
    let Some(capacity) = pool.capacity() else {
        return Ok(());
    };
    let mut live: Live<'p, P> = Vec::new();
    // One more than there can be.
    for _ in 0..=capacity {
        apply(pool, model, &mut live, Op::Acquire)?;
    }
    check_all(pool, model, &live)?;
    for (token, lease) in live {
        model.released(token);
        pool.release(lease);
    }
    model.check_counts(pool)
}

/// Does a random trace to fresh pools; if a promise breaks, looks for a shorter
/// trace that breaks one.
///
/// # Errors
///
/// The failure with the shortest trace found.
pub fn run_seed<P: PoolUnderTest>(
    make: impl Fn() -> P,
    seed: u64,
    steps: usize,
) -> Result<(), Failure> {
    run_trace(&make, &Trace::random(seed, steps)).map_err(|failure| shorten(&make, failure))
}

/// Does a trace that a failure printed.
///
/// # Errors
///
/// The first promise that was broken.
///
/// # Panics
///
/// If `trace` is not a trace.
pub fn replay<P: PoolUnderTest>(make: impl Fn() -> P, trace: &str) -> Result<(), Failure> {
    let trace: Trace = match trace.parse() {
        Ok(trace) => trace,
        Err(error) => panic!("{error}"),
    };
    run_trace(make, &trace)
}

/// Cuts pieces out of a failing trace, halving their size, as long as it keeps
/// failing.
fn shorten<P: PoolUnderTest>(make: impl Fn() -> P, mut failure: Failure) -> Failure {
    // Each attempt may print a panic, so there is a limit to patience.
    let mut attempts = 300;
    failure.trace.ops.truncate(failure.step + 1);
    let mut piece = failure.trace.ops.len().div_ceil(2);
    while piece > 0 {
        let mut start = 0;
        while start < failure.trace.ops.len() && attempts > 0 {
            attempts -= 1;
            let mut shorter = failure.trace.clone();
            let end = (start + piece).min(shorter.ops.len());
            shorter.ops.drain(start..end);
            match run_trace(&make, &shorter) {
                Err(shorter) => failure = shorter,
                Ok(()) => start += piece,
            }
        }
        piece /= 2;
    }
    failure
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "something that is not text".to_owned())
}

/// How to drive a pool from several threads at once.
#[derive(Debug, Clone, Copy)]
pub struct Threads {
    /// How many threads.
    pub threads: usize,
    /// Steps of each.
    pub steps: usize,
    /// The seed of the first; the others count on from it.
    pub seed: u64,
}

/// Drives a pool from several threads: leases are acquired here and released
/// there, and no two that exist at the same time may share memory.
///
/// Threads together never want more than the capacity, so that every refusal is
/// one while an item is free, wherever it is cached. At the end, on the calling
/// thread, exactly the capacity can be had at once.
///
/// # Panics
///
/// With the violation and the seed, if a promise breaks.
pub fn run_threads<'p, P>(pool: &'p P, plan: Threads)
where
    P: PoolUnderTest + Sync,
    P::Lease<'p>: Send,
{
    let shared = Shared {
        pool,
        model: Mutex::new(Model::new(pool.capacity())),
        exchange: Mutex::new(Vec::new()),
        permits: AtomicUsize::new(pool.capacity().unwrap_or(usize::MAX)),
    };
    let census = tracked::current();
    let outcome: Result<(), Violation> = std::thread::scope(|scope| {
        let start = |thread| {
            let seed = plan.seed.wrapping_add(thread);
            let (shared, steps) = (&shared, plan.steps);
            scope.spawn(move || tracked::within(census, || shared.work(Dice::new(seed), steps)))
        };
        let threads: Vec<_> = (0..plan.threads as u64).map(start).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|panic| {
                let message = panic_message(&*panic);
                Err(Violation::Panicked { message })
            })
        })
    });
    let outcome = outcome.and_then(|()| shared.finish());
    if let Err(violation) = outcome {
        panic!("{violation}\n  with {plan:?}");
    }
}

struct Shared<'p, P: PoolUnderTest> {
    pool: &'p P,
    model: Mutex<Model>,
    exchange: Mutex<Live<'p, P>>,
    /// Items that nobody holds or is about to hold. Taken before an acquire and
    /// put back after a release, so that it is never more than what is free.
    permits: AtomicUsize,
}

impl<'p, P: PoolUnderTest> Shared<'p, P> {
    fn work(&self, mut dice: Dice, steps: usize) -> Result<(), Violation> {
        let mut mine: Live<'p, P> = Vec::new();
        for _ in 0..steps {
            match dice.below(10) {
                0..5 => self.acquire(&mut mine)?,
                5..8 => {
                    let picked = pick(&mut mine, &mut dice);
                    picked.map_or(Ok(()), |lease| self.release(lease))?;
                }
                8 => lock(&self.exchange).extend(pick(&mut mine, &mut dice)),
                _ => {
                    let foreign = lock(&self.exchange).pop();
                    foreign.map_or(Ok(()), |lease| self.release(lease))?;
                }
            }
            if dice.below(200) == 0 {
                self.pool.trim();
            }
        }
        mine.into_iter().try_for_each(|lease| self.release(lease))
    }

    fn acquire(&self, mine: &mut Live<'p, P>) -> Result<(), Violation> {
        let take = |permits: usize| permits.checked_sub(1);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        if self.permits.fetch_update(order.0, order.1, take).is_err() {
            return Ok(());
        }
        let stamp = lock(&self.model).next_stamp();
        let Some(lease) = self.pool.acquire(stamp) else {
            let live = lock(&self.model).live();
            let capacity = self.pool.capacity();
            return Err(Violation::RefusedWhileFree { live, capacity });
        };
        let span = self.pool.span(&lease);
        let token = lock(&self.model).acquired(stamp, span)?;
        mine.push((token, lease));
        Ok(())
    }

    fn release(&self, (token, lease): (Token, P::Lease<'p>)) -> Result<(), Violation> {
        {
            let mut model = lock(&self.model);
            model.check_lease(self.pool, token, &lease)?;
            model.released(token);
        }
        self.pool.release(lease);
        self.permits.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn finish(self) -> Result<(), Violation> {
        let mut model = self
            .model
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let left = self
            .exchange
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        finish(self.pool, &mut model, left)
    }
}

/// Takes one of the leases.
fn pick<T>(leases: &mut Vec<T>, dice: &mut Dice) -> Option<T> {
    let index = dice.below(leases.len());
    (!leases.is_empty()).then(|| leases.swap_remove(index))
}

/// A thread that panicked has reported it already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
