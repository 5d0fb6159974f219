//! Buffers outside the classes: each an allocation of its own.

use crate::config::Config;
use crate::pond::lock;
use core::alloc::Layout;
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::exhaustion::Fallback;
use millpond_core::histogram::Histogram;
use std::sync::Mutex;

/// Allocates, counts and frees, and records the sizes asked for.
#[derive(Debug)]
pub(crate) struct Direct {
    items: Fallback,
    /// Sizes asked for.
    sizes: Mutex<Histogram>,
}

impl Direct {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            items: config.outside(),
            sizes: Mutex::new(Histogram::new()),
        }
    }

    pub(crate) fn allocate(&self, layout: Layout, at_most: usize) -> Result<Entry, Limit> {
        self.items.allocate(layout, at_most)
    }

    /// # Safety
    ///
    /// As [`Fallback::free`].
    pub(crate) unsafe fn free(&self, entry: Entry, layout: Layout) {
        // SAFETY: by the caller.
        unsafe { self.items.free(entry, layout) };
    }

    pub(crate) fn in_use(&self) -> usize {
        self.items.in_use()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.items.bytes()
    }

    pub(crate) fn total(&self) -> u64 {
        self.items.total() as u64
    }

    /// Records a request.
    pub(crate) fn note(&self, len: usize) {
        lock(&self.sizes).record(len as u64);
    }

    /// Sizes asked for.
    pub(crate) fn sizes(&self) -> Histogram {
        lock(&self.sizes).clone()
    }
}
