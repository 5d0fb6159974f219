//! Diagnostics of a shared pool: see [`crate::diagnostics`].

use super::stop::Patience;
use super::{SharedEngine, State};
use crate::diagnostics::{self, Diagnosis, Holder};
use crate::entry::Entry;
use crate::event::Event;
use crate::observe::Sampled;
use crate::source::Source;
use alloc::vec::Vec;
use core::panic::Location;

impl<S: Source> SharedEngine<S> {
    /// Sets the level of diagnostics while the pool is in use.
    pub fn set_diagnosis(&self, level: Diagnosis) {
        let mut state = self.state.lock();
        self.pin(&mut state, level);
        self.diagnostics.set_level(level);
    }

    /// The level of diagnostics.
    #[inline]
    pub fn diagnosis(&self) -> Diagnosis {
        match self.diagnostics.level() {
            Some(level) => level,
            None => self.diagnosis_slow(),
        }
    }

    #[cold]
    fn diagnosis_slow(&self) -> Diagnosis {
        // Read before the lock, for it may allocate.
        let asked = diagnostics::from_environment();
        let mut state = self.state.lock();
        // Somebody may have been faster, or have set it.
        self.diagnostics.level().unwrap_or_else(|| {
            self.pin(&mut state, asked);
            self.diagnostics.set_level(asked);
            asked
        })
    }

    /// Keeps the pool strict for full diagnostics and its caches veiled for a
    /// recording, or lets it go. Before the level is set: a slot that is patterned
    /// must not be used through a cache that is still open.
    ///
    /// A recording stops the pool once, so that whoever goes on has seen the veil.
    fn pin(&self, state: &mut State, level: Diagnosis) {
        state.pinned = level == Diagnosis::Full;
        self.table.set_veiled(level == Diagnosis::Recorded);
        if matches!(level, Diagnosis::Recorded | Diagnosis::Full) {
            let strict = state.strict;
            self.stop(state, Patience::Endless);
            state.strict = strict || state.pinned;
        }
    }

    /// Forgets which slots are patterned: some are about to go, and others may
    /// lie in their place.
    pub(super) fn forget_patterns(&self) {
        self.diagnostics.forget_patterns();
    }

    /// Records that `item`, which the slow path gave, is out. `None` if nobody
    /// wants to know, else whether its slot holds the pattern.
    #[inline]
    pub fn record(&self, item: Entry, location: &'static Location<'static>) -> Option<bool> {
        self.record_sized(item, location, self.item_bytes)
    }

    /// As [`SharedEngine::record`], of an item of which `bytes` were asked for: a recording says what
    /// the program wanted, and not what it got.
    #[inline]
    pub fn record_sized(
        &self,
        item: Entry,
        location: &'static Location<'static>,
        bytes: usize,
    ) -> Option<bool> {
        let level = self.diagnosis();
        self.diagnostics
            .record(level, self.name, item, bytes, location)
    }

    /// Strikes the record of an item that is about to be released.
    pub fn strike(&self, item: Entry) {
        self.diagnostics.strike(self.name, item);
    }

    /// What was sampled so far: hold times. Sizes are for a pool to add.
    pub fn sampled(&self) -> Sampled {
        self.diagnostics.sampled()
    }

    /// Whether to fill the slot of an item, which holds no value and is about to
    /// be released, with the pattern.
    pub fn should_pattern(&self, item: Entry) -> bool {
        self.diagnostics.patterns(item)
    }

    /// Everybody of whom there is a record, longest holder first. Under
    /// `Sampled` the next acquire of every thread is recorded.
    pub fn holders(&self) -> Vec<Holder> {
        if self.diagnosis() == Diagnosis::Sampled {
            let mut state = self.state.lock();
            let strict = state.strict;
            self.stop(&mut state, Patience::Brief);
            state.strict = strict;
        }
        self.diagnostics.holders()
    }

    /// Under full diagnostics: whether `entry` may come home. A pool's typed
    /// leases make the contrary impossible; this is for pools in the making.
    pub(super) fn may_come_home(&self, entry: Entry) -> bool {
        if self.diagnosis() != Diagnosis::Full {
            return true;
        }
        let foreign = !self.population.lock().owns(entry);
        let twice = !foreign && self.state.lock().depot.contains(entry);
        if foreign {
            self.tell(&Event::ForeignRelease { item: entry });
        } else if twice {
            self.tell(&Event::DoubleRelease { item: entry });
        }
        !foreign && !twice
    }

    /// Tells the hook, if there is one. With no lock held.
    pub fn tell(&self, event: &Event<'_>) {
        if let Some(hook) = &self.hook {
            hook.call(self.name, event);
        }
    }
}

impl State {
    /// Items that are leased, in a pool that is stopped.
    pub(super) fn leased(&self) -> usize {
        self.created - self.depot.count()
    }
}
