//! Diagnostics of a local pool: see [`crate::diagnostics`].
//!
//! A level that wants every acquire closes the gate. A release is not looked at,
//! so neither a double nor a foreign one is found; leases make both impossible.

use super::{CLOSED, LocalEngine};
use crate::diagnostics::{self, Diagnosis, Diagnostics, Holder};
use crate::entry::Entry;
use crate::event::Event;
use crate::observe::Sampled;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::panic::Location;

impl<S> LocalEngine<S> {
    /// Sets the level of diagnostics while the pool is in use.
    pub fn set_diagnosis(&self, level: Diagnosis) {
        self.known().set_level(level);
        self.settle();
    }

    /// The level of diagnostics.
    pub fn diagnosis(&self) -> Diagnosis {
        let chosen = self.diagnostics.get().and_then(|known| known.level());
        chosen.unwrap_or_else(|| {
            let asked = diagnostics::from_environment();
            if asked != Diagnosis::Off {
                self.set_diagnosis(asked);
            }
            asked
        })
    }

    fn known(&self) -> &Diagnostics {
        self.diagnostics
            .get_or_init(|| Box::new(Diagnostics::new()))
    }

    pub(super) fn forget_patterns(&self) {
        if let Some(known) = self.diagnostics.get() {
            known.forget_patterns();
        }
    }

    /// Records that `item`, which the slow path gave, is out. `None` if nobody
    /// wants to know, else whether its slot holds the pattern.
    pub fn record(&self, item: Entry, location: &'static Location<'static>) -> Option<bool> {
        self.record_sized(item, location, self.item_bytes)
    }

    /// As [`LocalEngine::record`], of an item of which `bytes` were asked for: a recording says what
    /// the program wanted, and not what it got.
    pub fn record_sized(
        &self,
        item: Entry,
        location: &'static Location<'static>,
        bytes: usize,
    ) -> Option<bool> {
        let level = self.diagnosis();
        let known = self.diagnostics.get()?;
        known.record(level, self.name, item, bytes, location)
    }

    /// Strikes the record of an item that is about to be released.
    pub fn strike(&self, item: Entry) {
        if let Some(known) = self.diagnostics.get() {
            known.strike(self.name, item);
        }
    }

    /// What was sampled so far.
    pub fn sampled(&self) -> Sampled {
        let known = self.diagnostics.get();
        known.map(|known| known.sampled()).unwrap_or_default()
    }

    /// Whether to fill the slot of an item, which holds no value and is about to
    /// be released, with the pattern.
    pub fn should_pattern(&self, item: Entry) -> bool {
        let known = self.diagnostics.get();
        known.is_some_and(|known| known.patterns(item))
    }

    /// Everybody of whom there is a record, longest holder first. Under
    /// `Sampled` the next acquire is recorded.
    pub fn holders(&self) -> Vec<Holder> {
        if self.diagnosis() == Diagnosis::Sampled {
            self.floor.set(CLOSED);
        }
        let known = self.diagnostics.get();
        known.map(|known| known.holders()).unwrap_or_default()
    }

    /// Tells the hook, if there is one.
    pub fn tell(&self, event: &Event<'_>) {
        if let Some(hook) = &self.hook {
            hook.call(self.name, event);
        }
    }
}
