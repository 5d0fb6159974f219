//! Buffers outside the classes: each an allocation of its own.

use crate::pond::lock;
use core::alloc::Layout;
use millpond_core::budget::Budget;
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::exhaustion::Fallback;
use std::sync::Mutex;
use std::vec::Vec;

/// Sizes are recorded in this many steps for each doubling: to within 12.5 %.
const STEPS: usize = 8;

/// Allocates, counts and frees, and records the sizes asked for.
#[derive(Debug)]
pub(crate) struct Direct {
    items: Fallback,
    /// Sizes, rounded up to a step, and how often they were asked for; sorted.
    sizes: Mutex<Vec<(usize, u64)>>,
}

impl Direct {
    pub(crate) fn new(budget: Option<&Budget>) -> Self {
        let items = Fallback::new();
        Self {
            items: match budget {
                Some(budget) => items.charged_to(budget.clone()),
                None => items,
            },
            sizes: Mutex::new(Vec::new()),
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

    pub(crate) fn total(&self) -> u64 {
        self.items.total() as u64
    }

    /// Records a request. Without memory for it, it is only counted.
    pub(crate) fn note(&self, len: usize) {
        let step = step_of(len);
        let mut sizes = lock(&self.sizes);
        match sizes.binary_search_by_key(&step, |&(size, _)| size) {
            Ok(position) => sizes[position].1 += 1,
            Err(position) => {
                if sizes.try_reserve(1).is_ok() {
                    sizes.insert(position, (step, 1));
                }
            }
        }
    }

    /// Sizes asked for, rounded up, with their counts.
    pub(crate) fn sizes(&self) -> Vec<(usize, u64)> {
        lock(&self.sizes).clone()
    }
}

/// `len` rounded up to its step.
fn step_of(len: usize) -> usize {
    let width = (len.max(STEPS).ilog2() - STEPS.ilog2()) as usize;
    len.div_ceil(1 << width).saturating_mul(1 << width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_by_an_eighth_at_most() {
        for len in (1..100_000).chain([usize::MAX / 3]) {
            let step = step_of(len);
            assert!(step >= len && step - len <= len / 8, "{len} to {step}");
        }
    }
}
