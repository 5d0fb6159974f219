//! Giving memory back: how hard to try, and what came of it.

use core::fmt;

/// How hard a trim tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Only what lies in the shared depot. No thread is disturbed.
    Light,
    /// What lies in the caches of all threads too, idle threads included. Each
    /// thread pays one slow operation afterwards.
    Moderate,
    /// As `Moderate`, and the magazines of the caches go as well.
    Full,
}

/// What a trim did, in items and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrimReport {
    /// Items that no longer exist.
    pub freed_items: usize,
    /// Bytes given back to the system, machinery included.
    pub freed_bytes: usize,
    /// Items that were leased and so could not be given back.
    pub leased: usize,
    /// Free items that stay because their slab also holds leased ones.
    pub pinned: usize,
    /// Items in caches whose owner was stopped by the scheduler in the middle
    /// of an operation; the next trim finds them.
    pub unreachable: usize,
}

impl TrimReport {
    /// The sum of two reports.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            freed_items: self.freed_items + other.freed_items,
            freed_bytes: self.freed_bytes + other.freed_bytes,
            leased: self.leased + other.leased,
            pinned: self.pinned + other.pinned,
            unreachable: self.unreachable + other.unreachable,
        }
    }
}

impl fmt::Display for TrimReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "freed {} items and {} bytes; {} leased, {} pinned, {} unreachable",
            self.freed_items, self.freed_bytes, self.leased, self.pinned, self.unreachable
        )
    }
}

/// What can give memory back.
pub trait Trim {
    /// Gives back what `level` allows and says what came of it.
    fn trim(&self, level: Level) -> TrimReport;
}
