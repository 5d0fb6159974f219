//! Diagnostics of a shared pool: see [`crate::diagnostics`].

use super::stop::Patience;
use super::{SharedEngine, State};
use crate::diagnostics::{Diagnosis, Holder};
use crate::entry::Entry;
use crate::event::Event;
use crate::source::Source;
use alloc::vec::Vec;
use core::panic::Location;

impl<S: Source> SharedEngine<S> {
    /// Sets the level of diagnostics while the pool is in use.
    pub fn set_diagnosis(&self, level: Diagnosis) {
        self.diagnostics.set_level(level);
        self.pin();
    }

    /// The level of diagnostics.
    pub fn diagnosis(&self) -> Diagnosis {
        let (level, fresh) = self.diagnostics.level();
        if fresh {
            self.pin();
        }
        level
    }

    /// Keeps the pool strict for full diagnostics, or lets it go.
    fn pin(&self) {
        let mut state = self.state.lock();
        state.pinned = self.diagnostics.level().0 == Diagnosis::Full;
        if state.pinned {
            self.stop(&mut state, Patience::Endless);
        }
    }

    /// Records that `item`, which the slow path gave, is out. `None` if nobody
    /// wants to know, else whether its slot holds the pattern.
    pub fn record(&self, item: Entry, location: &'static Location<'static>) -> Option<bool> {
        match self.diagnosis() {
            Diagnosis::Off => None,
            Diagnosis::Sampled | Diagnosis::Full => Some(self.diagnostics.acquired(item, location)),
        }
    }

    /// Strikes the record of an item that is about to be released.
    pub fn strike(&self, item: Entry) {
        self.diagnostics.released(item);
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
