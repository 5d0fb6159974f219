//! What the two engines have in common, so that one typed shell serves both.

#[cfg(feature = "std")]
use crate::diagnostics::{Diagnosis, Holder};
use crate::entry::Entry;
use crate::error::{AcquireError, Limit};
#[cfg(feature = "std")]
use crate::event::Event;
use crate::local::LocalEngine;
#[cfg(feature = "std")]
use crate::observe::RegionFigures;
use crate::observe::{Observation, Sampled};
#[cfg(feature = "std")]
use crate::shared::SharedEngine;
use crate::source::Source;
use crate::trim::{Level, TrimReport};
#[cfg(feature = "std")]
use alloc::vec::Vec;
use core::mem::MaybeUninit;
#[cfg(feature = "std")]
use core::panic::Location;
use core::time::Duration;

/// What became of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after `Last` the caller frees the pool"]
pub enum Released {
    /// The item is home, and the pool may be gone already: do not touch it.
    Home,
    /// The item was the last of an orphaned pool. Nobody uses the pool any
    /// more, and the caller, who alone got this answer, frees it.
    Last,
}

/// An engine: where a pool keeps its free items.
///
/// # Safety
///
/// An implementation gives an entry to one caller at a time: from the acquire
/// that returned it until it is released, no other acquire returns it, and it
/// was made by the source and not retired.
pub unsafe trait Engine {
    /// Where the items come from.
    type Source: Source;

    /// The name of the pool; `""` if it has none.
    fn name(&self) -> &'static str;

    /// Pops an item if that takes nanoseconds; `None` says nothing about
    /// whether others are free.
    fn try_pop(&self) -> Option<Entry>;

    /// Looks everywhere for an item, and never waits for one to be released.
    /// `room` is how many items may exist beyond the capacity.
    ///
    /// # Errors
    ///
    /// Which limit was hit.
    fn acquire_slow(&self, room: usize) -> Result<Entry, AcquireError>;

    /// As `acquire_slow`, but waits for an item to be released, for ever if
    /// `timeout` is `None`. An engine for one thread does not wait: nobody
    /// else could release one.
    ///
    /// # Errors
    ///
    /// Which limit was hit, the deadline among them.
    fn acquire_waiting(
        &self,
        room: usize,
        timeout: Option<Duration>,
    ) -> Result<Entry, AcquireError>;

    /// Gives an item back.
    ///
    /// # Safety
    ///
    /// `engine` is alive until the item is home. `entry` was given to the caller
    /// by an acquire of this engine, was not released since, and what it stands
    /// for is not used any more.
    unsafe fn release(engine: *const Self, entry: Entry) -> Released;

    /// Has `create` make `count` items, which are the caller's from then on.
    ///
    /// # Errors
    ///
    /// The limit that was hit. Free items do not count as room: trim first.
    ///
    /// # Safety
    ///
    /// If `create` answers `Ok` it has created exactly `count` items of the
    /// source, else none. It keeps the rules of [`Source`].
    unsafe fn acquire_created<R>(
        &self,
        count: usize,
        create: impl FnOnce(&mut Self::Source) -> Result<R, Limit>,
    ) -> Result<R, AcquireError>;

    /// Looks at the source, which waits meanwhile; `look` keeps the rules of
    /// [`Source`].
    fn look_at_source<R>(&self, look: impl FnOnce(&Self::Source) -> R) -> R;

    /// Pops up to `out.len()` items, as far as that takes nanoseconds, and answers
    /// how many: those are written to the front of `out`.
    #[inline]
    fn try_pop_many(&self, out: &mut [MaybeUninit<Entry>]) -> usize {
        let mut popped = 0;
        for place in out {
            let Some(entry) = self.try_pop() else { break };
            place.write(entry);
            popped += 1;
        }
        popped
    }

    /// Gives items back.
    ///
    /// # Safety
    ///
    /// As [`Engine::release`], for each of `entries`, which are different items.
    #[inline]
    unsafe fn release_many(engine: *const Self, entries: &[Entry]) -> Released {
        for &entry in entries.iter().rev() {
            // SAFETY: by the caller.
            if unsafe { Self::release(engine, entry) } == Released::Last {
                return Released::Last;
            }
        }
        Released::Home
    }

    /// Misses `count` of the items that are out no longer. For an owner who is
    /// about to drop the engine, which otherwise keeps a source that misses one.
    ///
    /// # Safety
    ///
    /// So many items are the caller's, who neither uses nor releases them
    /// afterwards.
    unsafe fn disown(&mut self, count: usize);

    /// All figures of the pool.
    fn observe(&self) -> Observation;

    /// What diagnostics have sampled.
    fn sampled(&self) -> Sampled {
        Sampled::default()
    }

    /// Everybody of whom diagnostics have a record, longest holder first.
    #[cfg(feature = "std")]
    fn holders(&self) -> Vec<Holder>;

    /// Where the items lie; see [`Observe::regions`](crate::observe::Observe::regions).
    #[cfg(feature = "std")]
    fn regions(&self) -> Vec<RegionFigures> {
        Vec::new()
    }

    /// Gives memory back.
    fn trim(&self, level: Level) -> TrimReport;

    /// Records that an item, which the slow path gave, is out. `None` if nobody
    /// wants to know, else whether its slot still holds the pattern with which
    /// it was filled when it was released.
    #[cfg(feature = "std")]
    fn record(&self, item: Entry, location: &'static Location<'static>) -> Option<bool>;

    /// Strikes the record of an item that is about to be released.
    #[cfg(feature = "std")]
    fn strike(&self, item: Entry);

    /// As `record`, of an item of which `bytes` were asked for: a recording says what
    /// the program wanted, and not what it got.
    #[cfg(feature = "std")]
    fn record_sized(
        &self,
        item: Entry,
        location: &'static Location<'static>,
        bytes: usize,
    ) -> Option<bool>;

    /// Whether to fill the slot of an item, which holds no value and is about to
    /// be released, with the pattern.
    #[cfg(feature = "std")]
    fn should_pattern(&self, item: Entry) -> bool;

    /// Tells the hook of the pool, if it has one.
    #[cfg(feature = "std")]
    fn tell(&self, event: &Event<'_>);

    /// Sets the level of diagnostics while the pool is in use.
    #[cfg(feature = "std")]
    fn set_diagnosis(&self, level: Diagnosis);

    /// Changes how many items may be out at once. Items beyond a lower capacity go
    /// with the next trim after they come home, and are not given before.
    fn set_capacity(&self, capacity: usize);
}

/// How a pool is used: by many threads, or by one. A type parameter of every
/// pool.
pub trait Mode {
    /// Whether more than one thread may be at work at once.
    const THREADS: bool;

    /// The engine that serves the mode.
    type Engine<S: Source>: Engine<Source = S>;
}

/// Any number of threads acquire and release through `&self`.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub enum Shared {}

/// One thread acquires and releases through `&self`; no atomics.
#[derive(Clone, Copy, Debug)]
pub enum Local {}

#[cfg(feature = "std")]
impl Mode for Shared {
    const THREADS: bool = true;

    type Engine<S: Source> = SharedEngine<S>;
}

impl Mode for Local {
    const THREADS: bool = false;

    type Engine<S: Source> = LocalEngine<S>;
}
