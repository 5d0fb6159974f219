//! Capacities that follow demand: the part that pools of slots and pools of ids
//! share. How advice comes about: [`millpond_core::adaptive`].

use millpond_core::adaptive::{Adaptive, Control};
use millpond_core::observe::Observation;
use std::sync::Mutex;

/// Acquires between two looks at whether the capacity fits.
const WINDOW: u64 = 100;

/// Knows which capacity suits a pool.
pub(crate) struct Adapting {
    control: Mutex<Control>,
    /// Whether slow paths set that capacity.
    by_itself: bool,
}

impl Adapting {
    pub(crate) fn new(adaptive: Adaptive, by_itself: bool) -> Self {
        Self {
            control: Mutex::new(Control::new(adaptive)),
            by_itself,
        }
    }

    /// Looks at demand, on a slow path, and answers the capacity that is to be set
    /// now, if one is. Whoever is at it already does it for the others.
    pub(crate) fn due(&self, demand: impl FnOnce() -> Observation) -> Option<usize> {
        let mut control = self.control.try_lock().ok()?;
        let figures = demand();
        control.look(&figures);
        if !self.by_itself || control.window(&figures).acquires < WINDOW {
            return None;
        }
        control.advise(&figures)
    }

    /// The capacity that suits what happened since the last advice, if it is another
    /// one.
    pub(crate) fn advise(&self, demand: impl FnOnce() -> Observation) -> Option<usize> {
        let mut control = self.control.lock().ok()?;
        control.advise(&demand())
    }
}
