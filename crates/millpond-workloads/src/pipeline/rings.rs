//! The stages on threads of their own, with rings between them.
//!
//! ```text
//!  load ──runs──▶ [ delta ring ] ──▶ reflex ──receipts──▶ [ assertion ring ] ──▶ emit
//!    ▲                                  │
//!    └────────── buffers ◀──────────────┘   released on a thread, acquired on another
//! ```
//!
//! A stage that finds a ring full, or no buffer free, lets others run and tries
//! again: exhaustion is how the pool tells the loader that it is too far ahead.

use super::memory::Buffers;
use super::receipt::Receipt;
use super::reflex::Hook;
use super::run::{LANES, Run, Triple};
use super::{Fault, Passed, reflex};
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use std::thread;

/// Runs and receipts that may wait in a ring.
///
/// Twice the runs that may exist, so that it is the pool that bounds them.
pub const DEPTH: usize = 32;

/// Takes `triples` through load, reflex and emit on three threads, the last of
/// them the caller's. Receipts arrive in order.
///
/// # Errors
///
/// None of its own; a `Result` as in [`Pipeline::process`](super::Pipeline::process).
///
/// # Panics
///
/// If a stage panicked.
pub fn stream<B>(
    buffers: &B,
    triples: &[Triple],
    hooks: &[Hook],
    mut emit: impl FnMut(&Receipt),
) -> Result<Passed, Fault>
where
    B: Buffers + Sync,
    for<'m> B::Buffer<'m>: Send,
{
    let (delta, runs) = RingBuffer::new(DEPTH);
    let (assertion, mut receipts) = RingBuffer::new(DEPTH);
    thread::scope(|scope| {
        let loader = scope.spawn(move || load(buffers, triples, delta));
        let asker = scope.spawn(move || ask(runs, hooks, assertion));
        let mut emitted = 0;
        while let Some(receipt) = pop(&mut receipts) {
            emit(&receipt);
            emitted += 1;
        }
        let runs = asker.join().expect("the reflex stage");
        loader.join().expect("the load stage")?;
        Ok(Passed {
            statements: triples.len() as u64,
            runs,
            receipts: emitted,
        })
    })
}

fn load<'m, B: Buffers>(
    buffers: &'m B,
    triples: &[Triple],
    mut delta: Producer<Run<B::Buffer<'m>>>,
) -> Result<(), Fault> {
    for lanes in triples.chunks(LANES) {
        let buffer = loop {
            match buffers.buffer() {
                Ok(buffer) => break buffer,
                Err(_) if !delta.is_abandoned() => thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        };
        push(&mut delta, Run::load_into(buffer, lanes)?);
    }
    Ok(())
}

fn ask<B>(mut runs: Consumer<Run<B>>, hooks: &[Hook], mut assertion: Producer<Receipt>) -> u64
where
    B: std::ops::DerefMut<Target = [u64]>,
{
    let mut tick = 0;
    while let Some(run) = pop(&mut runs) {
        let Ok(()) = reflex(&run, hooks, tick, |receipt| {
            push(&mut assertion, receipt);
            Ok::<_, std::convert::Infallible>(())
        });
        tick += 1;
    }
    tick
}

/// Waits for room; drops the item if nobody will read it.
fn push<T>(ring: &mut Producer<T>, mut item: T) {
    while let Err(PushError::Full(refused)) = ring.push(item) {
        if ring.is_abandoned() {
            return;
        }
        item = refused;
        thread::yield_now();
    }
}

/// Waits for an item; `None` once the other side is gone and the ring empty.
fn pop<T>(ring: &mut Consumer<T>) -> Option<T> {
    loop {
        // Asked before the pop: what was pushed last is not missed.
        let abandoned = ring.is_abandoned();
        match ring.pop() {
            Ok(item) => return Some(item),
            Err(_) if abandoned => return None,
            Err(_) => thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Heap, shared_buffers, usage};
    use super::super::reflex::Question;
    use super::*;

    #[test]
    fn every_receipt_arrives_once_and_in_order_whatever_lends_the_buffers() {
        let triples: Vec<Triple> = (1..=20_001).map(|n| [n % 7 + 1, n % 3 + 1, n]).collect();
        let hooks = [
            Hook::new([Some(1), None, None], Question::Count),
            Hook::new([None, Some(2), None], Question::Ask),
        ];
        let pool = shared_buffers();
        let mut pooled = Vec::new();
        let passed = stream(&pool, &triples, &hooks, |receipt| pooled.push(*receipt)).unwrap();
        let mut heap = Vec::new();
        stream(&Heap, &triples, &hooks, |receipt| heap.push(*receipt)).unwrap();
        assert_eq!((passed.runs, passed.receipts), (2_501, 5_002));
        assert!(
            pooled
                .iter()
                .map(|r| r.tick)
                .eq((0..2_501).flat_map(|tick| [tick; 2]))
        );
        assert_eq!(pooled, heap);
        assert_eq!(usage(&pool).in_use, 0);
    }
}
