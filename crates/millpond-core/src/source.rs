//! Sources: where the items of a pool come from and where they go.

use crate::entry::Entry;
use crate::error::Limit;
use crate::observe::RegionFigures;
use crate::trim::Level;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

/// Creates and retires the items of one pool.
///
/// The engine calls a source with no lock of its fast or slow paths held, one
/// call at a time. An implementation may map memory and charge budgets; it must
/// not call back into the pool that it serves, and must not run a user's code.
pub trait Source {
    /// Items that were taken out of existence. Dropping the value gives their
    /// memory back, and may run user code: the engine holds no lock then.
    type Retired;

    /// Whether entries are the addresses of items, of at least one byte each, so
    /// that a thread that only releases can take their lines into its core's
    /// possession before it passes them on.
    const ADDRESSES: bool = false;

    /// Creates up to `want` items (at least 1) and puts their entries into
    /// `batch`. `most` is how many may still be asked for, this call included.
    ///
    /// # Errors
    ///
    /// The limit that was hit, if not even one item could be created.
    fn create(&mut self, want: usize, most: usize, batch: &mut Batch) -> Result<(), Limit>;

    /// Takes out of `free` the items that can be given back at `level`, and
    /// forgets them.
    fn retire(&mut self, free: &mut Vec<Entry>, level: Level) -> Self::Retired;

    /// Bytes that the items occupy, charged to the budget.
    fn held_bytes(&self) -> usize;

    /// Whether `entry` is an item of this source: for diagnostics, not fast.
    fn owns(&self, entry: Entry) -> bool;

    /// The regions in which the items lie, when those of `free` are home; empty for a
    /// source that does not know.
    fn regions(&self, free: &[Entry]) -> Vec<RegionFigures> {
        let _ = free;
        Vec::new()
    }
}

/// The most items that an engine asks for at once.
pub(crate) const LONGEST_BATCH: usize = 255;

/// Entries of freshly created items, at most a magazine of them.
#[derive(Debug)]
pub struct Batch {
    entries: [MaybeUninit<Entry>; LONGEST_BATCH],
    len: usize,
    want: usize,
}

impl Batch {
    /// Room for `want` entries.
    pub(crate) const fn new(want: usize) -> Self {
        assert!(
            want <= LONGEST_BATCH,
            "an engine asks for a magazine at most"
        );
        Self {
            entries: [const { MaybeUninit::uninit() }; LONGEST_BATCH],
            len: 0,
            want,
        }
    }

    /// Adds an entry.
    ///
    /// # Panics
    ///
    /// If the source creates more items than it was asked for.
    pub fn push(&mut self, entry: Entry) {
        assert!(self.len < self.want, "more items than were asked for");
        self.entries[self.len].write(entry);
        self.len += 1;
    }

    /// Replaces each entry: for sources whose items lie inside of what another
    /// source created.
    pub fn map(&mut self, replaced: impl Fn(Entry) -> Entry) {
        for entry in &mut self.entries[..self.len] {
            // SAFETY: entries below `len` were written by `push`.
            let before = unsafe { entry.assume_init() };
            entry.write(replaced(before));
        }
    }

    /// How many entries are inside.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was created.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries, in the order in which they were added: for sources that
    /// complete what another source created.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Entry> {
        self.entries[..self.len].iter().map(|entry| {
            // SAFETY: entries below `len` were written by `push`.
            unsafe { entry.assume_init() }
        })
    }
}
