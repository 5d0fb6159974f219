//! Bombs: values that panic in their construction or drop, on command.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::tracked::{Census, Tracked};

/// When a [`Bomb`] goes off: at the `k`-th event, counted from 1.
#[derive(Debug, Clone)]
pub struct Fuse {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    event: Event,
    at: usize,
    events: AtomicUsize,
    explosions: AtomicUsize,
    census: Census,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Construction,
    Drop,
}

impl Fuse {
    /// Bombs panic at the `k`-th construction; never, if `k` is 0.
    #[must_use]
    pub fn at_construction(k: usize) -> Self {
        Self::new(Event::Construction, k)
    }

    /// Bombs panic at the `k`-th drop; never, if `k` is 0.
    #[must_use]
    pub fn at_drop(k: usize) -> Self {
        Self::new(Event::Drop, k)
    }

    fn new(event: Event, at: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                event,
                at,
                events: AtomicUsize::new(0),
                explosions: AtomicUsize::new(0),
                census: Census::new(),
            }),
        }
    }

    /// Whether a bomb has gone off.
    #[must_use]
    pub fn has_burnt(&self) -> bool {
        self.shared.explosions.load(Ordering::Relaxed) > 0
    }

    /// The books of all bombs with this fuse: whatever went off, each must be
    /// dropped once.
    #[must_use]
    pub fn census(&self) -> &Census {
        &self.shared.census
    }

    fn burn(&self, event: Event) {
        if event != self.shared.event {
            return;
        }
        let count = self.shared.events.fetch_add(1, Ordering::Relaxed) + 1;
        // A second panic while unwinding would abort the test: that is a bug of
        // the program only if *it* panics in a drop.
        if count == self.shared.at && !std::thread::panicking() {
            self.shared.explosions.fetch_add(1, Ordering::Relaxed);
            panic!("a bomb went off at event {count}, as it was told to");
        }
    }
}

/// A value that panics when its [`Fuse`] says so.
#[derive(Debug)]
pub struct Bomb {
    fuse: Fuse,
    tracked: Option<Tracked>,
}

impl Bomb {
    /// A bomb with this fuse.
    ///
    /// # Panics
    ///
    /// If the fuse says so; nothing was constructed then.
    #[must_use]
    pub fn new(fuse: &Fuse, stamp: u64) -> Self {
        fuse.burn(Event::Construction);
        Self {
            fuse: fuse.clone(),
            tracked: Some(fuse.census().track(stamp)),
        }
    }

    /// The stamp that the bomb was made with.
    #[must_use]
    pub fn stamp(&self) -> u64 {
        self.tracked.as_ref().map_or(0, Tracked::stamp)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        // Recorded first, so that a panicking drop counts as a drop.
        drop(self.tracked.take());
        self.fuse.burn(Event::Drop);
    }
}

/// Runs `work` with a bomb that goes off at the first event, then at the
/// second, and so on, until it runs to its end without an explosion. Answers
/// how many explosions there were.
///
/// `fuse` is [`Fuse::at_construction`] or [`Fuse::at_drop`]. After each run all
/// bombs must have been dropped once.
///
/// ```
/// use millpond_testing::{Bomb, Fuse, explode_everywhere};
///
/// let explosions = explode_everywhere(Fuse::at_drop, |fuse| {
///     let bombs: Vec<Bomb> = (0..3).map(|stamp| Bomb::new(fuse, stamp)).collect();
///     drop(bombs);
/// });
/// assert_eq!(explosions, 3);
/// ```
///
/// # Panics
///
/// If `work` panics without an explosion, if a bomb was dropped twice or never,
/// or if there is no end.
pub fn explode_everywhere(fuse: impl Fn(usize) -> Fuse, work: impl Fn(&Fuse)) -> usize {
    /// More events than any test has on purpose.
    const ENDLESS: usize = 100_000;

    for k in 1..ENDLESS {
        let fuse = fuse(k);
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&fuse)));
        if let Err(panic) = outcome {
            if !fuse.has_burnt() {
                std::panic::resume_unwind(panic);
            }
        }
        fuse.census().assert_each_dropped_once();
        if !fuse.has_burnt() {
            return k - 1;
        }
    }
    panic!("bombs still go off at event {ENDLESS}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explosions_walk_over_every_construction() {
        let explosions = explode_everywhere(Fuse::at_construction, |fuse| {
            let bombs: Vec<Bomb> = (0..4).map(|stamp| Bomb::new(fuse, stamp)).collect();
            assert_eq!(bombs[3].stamp(), 3);
        });
        assert_eq!(explosions, 4);
    }

    #[test]
    #[cfg_attr(miri, ignore = "leaks on purpose, which Miri reports")]
    #[should_panic(expected = "never dropped")]
    fn work_that_leaks_after_an_explosion_is_caught() {
        explode_everywhere(Fuse::at_drop, |fuse| {
            let first = Bomb::new(fuse, 1);
            let mut second = std::mem::ManuallyDrop::new(Bomb::new(fuse, 2));
            drop(first);
            // SAFETY: dropped once, and not used afterwards.
            unsafe { std::mem::ManuallyDrop::drop(&mut second) };
        });
    }
}
