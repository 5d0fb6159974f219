//! What an acquire does when its pool has run out.

#[cfg(feature = "std")]
use crate::budget::Budget;
use crate::entry::Entry;
use crate::error::Limit;
use crate::region;
use core::alloc::Layout;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

/// What `acquire` does when every item of a pool is leased. `try_acquire` never
/// looks at it: it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exhaustion {
    /// Fail at once.
    #[default]
    Fail,
    /// Create up to this many items beyond the capacity. They are items like
    /// all others, and go with a trim.
    Grow {
        /// Items beyond the capacity.
        extra: usize,
    },
    /// Allocate outside the pool, at most this many items at a time, and free
    /// each when it is released.
    Fallback {
        /// Items outside the pool at a time.
        at_most: usize,
    },
    /// Wait until an item is released, first come, first served; fail after
    /// this long (`None`: never). A local pool, where nobody else could release
    /// one, fails at once.
    Block {
        /// The longest wait.
        timeout: Option<Duration>,
    },
}

impl Exhaustion {
    /// Items that may exist beyond the capacity.
    #[must_use]
    pub const fn room(self) -> usize {
        match self {
            Self::Grow { extra } => extra,
            _ => 0,
        }
    }
}

/// The items of a pool that lie outside its capacity: each an allocation of its
/// own, counted and charged.
#[derive(Debug)]
pub struct Fallback {
    in_use: AtomicUsize,
    bytes: AtomicUsize,
    total: AtomicUsize,
    #[cfg(feature = "std")]
    budget: Option<Budget>,
}

impl Default for Fallback {
    fn default() -> Self {
        Self::new()
    }
}

/// An item that is counted; no more once this is dropped.
struct Counted<'f>(&'f AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fallback {
    /// No items yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            in_use: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            total: AtomicUsize::new(0),
            #[cfg(feature = "std")]
            budget: None,
        }
    }

    /// The same, with every item charged to `budget`.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn charged_to(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Allocates an item unless `at_most` are out already.
    ///
    /// # Errors
    ///
    /// Which limit was hit.
    pub fn allocate(&self, layout: Layout, at_most: usize) -> Result<Entry, Limit> {
        let counted = self
            .in_use
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < at_most).then_some(count + 1)
            });
        if counted.is_err() {
            return Err(Limit::Capacity);
        }
        // Counted no more if there is no item, or those whom the budget asks panic.
        let counted = Counted(&self.in_use);
        let entry = self.allocate_counted(layout)?;
        core::mem::forget(counted);
        Ok(entry)
    }

    fn allocate_counted(&self, layout: Layout) -> Result<Entry, Limit> {
        #[cfg(feature = "std")]
        if let Some(budget) = &self.budget {
            budget.charge_bytes(layout.size()).map_err(Limit::Budget)?;
        }
        let Some(item) = region::allocate(layout) else {
            self.refund(layout.size());
            return Err(Limit::Memory {
                bytes: layout.size(),
            });
        };
        self.total.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(layout.size(), Ordering::Relaxed);
        Ok(Entry::from_ptr(item.cast()))
    }

    /// Frees an item.
    ///
    /// # Safety
    ///
    /// `entry` came from [`Fallback::allocate`] of this value with this layout,
    /// and is not used afterwards.
    pub unsafe fn free(&self, entry: Entry, layout: Layout) {
        // SAFETY: by the caller.
        unsafe { region::free(entry.as_ptr().cast(), layout) };
        self.refund(layout.size());
        self.bytes.fetch_sub(layout.size(), Ordering::Relaxed);
        self.in_use.fetch_sub(1, Ordering::Relaxed);
    }

    fn refund(&self, _bytes: usize) {
        #[cfg(feature = "std")]
        if let Some(budget) = &self.budget {
            budget.refund_bytes(_bytes);
        }
    }

    /// Items out now.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Bytes of the items that are out now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Items ever allocated.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fallback_items_are_bounded_and_counted() {
        let fallback = Fallback::new();
        let layout = Layout::new::<[u64; 4]>();
        let first = fallback.allocate(layout, 1).expect("one is allowed");
        assert_eq!(fallback.allocate(layout, 1), Err(Limit::Capacity));
        assert_eq!(fallback.bytes(), layout.size());
        // SAFETY: allocated above with this layout.
        unsafe { fallback.free(first, layout) };
        assert_eq!((fallback.in_use(), fallback.total()), (0, 1));
        assert_eq!(fallback.bytes(), 0);
    }

    #[cfg(feature = "std")]
    #[test]
    fn an_item_is_not_counted_if_a_member_of_the_budget_panics() {
        use crate::budget::Reclaim;
        use alloc::sync::Arc;
        use std::panic::{AssertUnwindSafe, catch_unwind};

        struct Panics;
        impl Reclaim for Panics {
            fn reclaim(&self, _: usize) -> usize {
                panic!("as it were")
            }
        }

        let budget = Budget::new("all", 40);
        let _hog = budget.try_charge(32).expect("room");
        let member: Arc<dyn Reclaim> = Arc::new(Panics);
        let _membership = budget.register(Arc::downgrade(&member));
        let fallback = Fallback::new().charged_to(budget);
        let layout = Layout::new::<[u64; 4]>();
        let ended = catch_unwind(AssertUnwindSafe(|| fallback.allocate(layout, 1)));
        assert!(ended.is_err());
        assert_eq!(fallback.in_use(), 0);
    }
}
