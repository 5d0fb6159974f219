//! What happens on slow paths, for those who want to know when it happens.

use crate::entry::Entry;
use crate::error::Limit;
use crate::trim::TrimReport;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

/// Something that happened on a slow path of a pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// An acquire gave nothing, or a lease got no more memory.
    Refused {
        /// Which limit was hit.
        limit: &'e Limit,
        /// Items leased at that moment.
        in_use: usize,
    },
    /// The source created items.
    Grown {
        /// How many exist now.
        created: usize,
    },
    /// An acquire waited and got an item.
    Waited {
        /// For how long.
        time: Duration,
    },
    /// An item was allocated outside the capacity.
    FellBack {
        /// How many such items are leased now.
        in_use: usize,
    },
    /// A trim ended.
    Trimmed {
        /// What it did.
        report: &'e TrimReport,
    },
    /// A slot was written to while it was free.
    Damaged {
        /// The slot.
        item: Entry,
        /// Offset of the first byte that changed.
        offset: usize,
    },
    /// An item was released that is not out. It was not taken.
    DoubleRelease {
        /// The item.
        item: Entry,
    },
    /// An item was released that is not this pool's. It was not taken.
    ForeignRelease {
        /// The item.
        item: Entry,
    },
    /// A lease needed more than its item had, and got it.
    Outgrown {
        /// Bytes that the lease holds now, or held when it ended.
        held_bytes: usize,
    },
    /// What an item had was given back when it came home, instead of being kept.
    Discarded {
        /// Why.
        reason: &'static str,
        /// Bytes that were given back.
        bytes: usize,
    },
    /// The pool was closed.
    Closed {
        /// Items that were leased at that moment.
        leased: usize,
    },
}

/// Somebody who is told. Runs on the thread to which it happened, with no lock
/// of the pool held; it may use the pool.
#[derive(Clone)]
pub struct EventHook(Arc<Told>);

/// Called with the name of the pool and the event.
type Told = dyn Fn(&'static str, &Event<'_>) + Send + Sync;

impl EventHook {
    /// A hook that calls `told` with the name of the pool and the event.
    pub fn new(told: impl Fn(&'static str, &Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    /// Tells.
    pub fn call(&self, pool: &'static str, event: &Event<'_>) {
        (self.0)(pool, event);
    }
}

// Pools tell a hook when their own state is whole, and nothing that it does to its own
// is seen by them. A hook that panics says itself what becomes of what it holds.
impl core::panic::UnwindSafe for EventHook {}
impl core::panic::RefUnwindSafe for EventHook {}

impl fmt::Debug for EventHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventHook(..)")
    }
}
