//! In whose hands an arena is, for loom to watch.
//!
//! The engine hands an arena from one holder to the next. What a holder does with
//! its plain cells and with bumpalo's memory loom does not see; it sees this cell,
//! which every holder touches when it takes the arena and when it lets go. Two
//! holders at once, or one that does not see what the last one did, fail the model.
#![forbid(unsafe_code)]

#[cfg(not(millpond_loom))]
#[derive(Debug)]
pub(crate) struct Hands;

#[cfg(not(millpond_loom))]
impl Hands {
    pub(crate) fn new() -> Self {
        Self
    }

    /// The caller is the holder. Nothing, but in a model.
    #[inline(always)]
    pub(crate) fn touch(&self) {}
}

#[cfg(millpond_loom)]
#[derive(Debug)]
pub(crate) struct Hands(loom::cell::UnsafeCell<()>);

#[cfg(millpond_loom)]
impl Hands {
    pub(crate) fn new() -> Self {
        Self(loom::cell::UnsafeCell::new(()))
    }

    pub(crate) fn touch(&self) {
        self.0.with_mut(|_| ());
    }
}
