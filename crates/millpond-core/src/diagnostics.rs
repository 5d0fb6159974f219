//! Diagnostics that are switched while the program runs.
//!
//! | level     | what is recorded                                   | what it costs               |
//! |-----------|----------------------------------------------------|-----------------------------|
//! | `Off`     | nothing                                            | nothing                     |
//! | `Sampled` | acquires that take the slow path anyway            | a map insertion for those   |
//! | `Recorded`| every operation, by the [recorder](crate::recording)| every operation takes a detour, and no lock |
//! | `Full`    | every acquire; free slots are patterned and checked| every operation is slow     |
//!
//! A record says where an item was acquired, by which thread and when. When the
//! item comes home, the time for which it was out goes into a histogram; pools
//! of several sizes have one of the sizes that were asked for. `Full`
//! keeps the pool strict, so that every operation comes by here; it also finds
//! releases of items that are not out, and writes through stale pointers into
//! free slots.
//!
//! Pools for one thread have the same levels. Their release tests nothing, so they
//! find neither double nor foreign releases, which leases make impossible anyway.
//!
//! The level of a pool that was not told is that of the environment variable
//! `MILLPOND_DIAGNOSTICS` (`off`, `sampled`, `recorded`, `full`), read once per
//! process.

use crate::entry::Entry;
use crate::observe::Sampled;
use crate::recording;
use crate::sync::{AtomicU8, Mutex, Ordering};
use alloc::vec::Vec;
use core::panic::Location;
use core::str::FromStr;
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;
use std::thread::{self, ThreadId};
use std::time::Instant;

/// The variable that sets the level of pools that were not told.
pub const ENVIRONMENT_VARIABLE: &str = "MILLPOND_DIAGNOSTICS";

/// How much is recorded. See the [module](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Diagnosis {
    /// Nothing.
    #[default]
    Off,
    /// Acquires that take the slow path anyway.
    Sampled,
    /// Every acquire and release is shown to the recorder of the process.
    Recorded,
    /// Everything.
    Full,
}

impl FromStr for Diagnosis {
    type Err = UnknownDiagnosis;

    fn from_str(text: &str) -> Result<Self, UnknownDiagnosis> {
        match text {
            "off" => Ok(Self::Off),
            "sampled" => Ok(Self::Sampled),
            "recorded" => Ok(Self::Recorded),
            "full" => Ok(Self::Full),
            _ => Err(UnknownDiagnosis),
        }
    }
}

/// The text names no level of diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDiagnosis;

impl core::fmt::Display for UnknownDiagnosis {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("levels of diagnostics are `off`, `sampled`, `recorded` and `full`")
    }
}

impl core::error::Error for UnknownDiagnosis {}

/// Who has an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Address or index of the item.
    pub item: Entry,
    /// Where it was acquired.
    pub location: &'static Location<'static>,
    /// The thread that acquired it.
    pub thread: ThreadId,
    /// For how long it has been out.
    pub held: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    location: &'static Location<'static>,
    thread: ThreadId,
    since: Instant,
}

/// What the diagnostics of one pool know.
#[derive(Debug)]
pub(crate) struct Diagnostics {
    /// The level, one more than the enumeration: 0 says that nobody chose.
    level: AtomicU8,
    /// 1 once there may be a book: those who only strike need not lock to know.
    written: AtomicU8,
    book: Mutex<Option<Book>>,
}

/// The records; allocated when the first is made.
#[derive(Debug, Default)]
struct Book {
    out: HashMap<Entry, Record>,
    patterned: HashSet<Entry>,
    sampled: Sampled,
}

impl Diagnostics {
    crate::sync::const_unless_model! {
        pub(crate) fn new() -> Self {
            Self {
                level: AtomicU8::new(0),
                written: AtomicU8::new(0),
                book: Mutex::new(None),
            }
        }
    }

    /// The level; `None` if nobody chose.
    #[inline]
    pub(crate) fn level(&self) -> Option<Diagnosis> {
        match self.level.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Diagnosis::Off),
            2 => Some(Diagnosis::Sampled),
            3 => Some(Diagnosis::Recorded),
            _ => Some(Diagnosis::Full),
        }
    }

    /// Sets the level. What is recorded stays until the items come home; the
    /// patterns are forgotten, since from now on slots may be used unseen.
    pub(crate) fn set_level(&self, level: Diagnosis) {
        let mut book = self.book.lock();
        self.level.store(level as u8 + 1, Ordering::Relaxed);
        if let Some(book) = &mut *book {
            book.patterned.clear();
        }
    }

    /// Forgets which slots are patterned.
    pub(crate) fn forget_patterns(&self) {
        if let Some(book) = &mut *self.book.lock() {
            book.patterned.clear();
        }
    }

    /// Records that `item` of `pool`, which is at `level`, is out, when `bytes` were
    /// asked for. `None` if nobody
    /// wants to know, else whether its slot holds the pattern.
    #[inline]
    pub(crate) fn record(
        &self,
        level: Diagnosis,
        pool: &'static str,
        item: Entry,
        bytes: usize,
        location: &'static Location<'static>,
    ) -> Option<bool> {
        match level {
            Diagnosis::Off => None,
            Diagnosis::Recorded => {
                recording::recorder()?.acquired(pool, item, bytes);
                Some(false)
            }
            Diagnosis::Sampled | Diagnosis::Full => Some(self.acquired(item, location)),
        }
    }

    /// Strikes the record of an item of `pool` that is about to be released.
    #[inline]
    pub(crate) fn strike(&self, pool: &'static str, item: Entry) {
        if self.level() == Some(Diagnosis::Recorded) {
            if let Some(recorder) = recording::recorder() {
                recorder.released(pool, item);
            }
        }
        if self.written.load(Ordering::Relaxed) != 0 {
            self.released(item);
        }
    }

    /// Records an acquire; answers whether the item's slot was patterned when it
    /// was released.
    fn acquired(&self, item: Entry, location: &'static Location<'static>) -> bool {
        let record = Record {
            location,
            thread: thread::current().id(),
            since: Instant::now(),
        };
        // Whoever brings the item home has got it from here, and sees this.
        self.written.store(1, Ordering::Relaxed);
        let mut book = self.book.lock();
        let book = book.get_or_insert_default();
        book.out.insert(item, record);
        book.patterned.remove(&item)
    }

    /// Strikes the record of an item that comes home, and notes for how long it
    /// was out.
    fn released(&self, item: Entry) {
        let mut book = self.book.lock();
        let Some(book) = &mut *book else { return };
        if let Some(record) = book.out.remove(&item) {
            let held = Instant::now()
                .saturating_duration_since(record.since)
                .as_nanos();
            let held_ns = u64::try_from(held).unwrap_or(u64::MAX);
            book.sampled.hold_ns.record(held_ns);
        }
    }

    /// The histograms.
    pub(crate) fn sampled(&self) -> Sampled {
        let book = self.book.lock();
        book.as_ref()
            .map(|book| book.sampled.clone())
            .unwrap_or_default()
    }

    /// Notes that the slot of `item` is being filled with the pattern, before
    /// it is released. Answers whether to go ahead.
    #[inline]
    pub(crate) fn patterns(&self, item: Entry) -> bool {
        self.level() != Some(Diagnosis::Recorded) && self.notes_pattern(item)
    }

    fn notes_pattern(&self, item: Entry) -> bool {
        let mut book = self.book.lock();
        // Under the lock of the book, so that a change of the level that
        // forgets the patterns does not miss this one.
        let full = self.level() == Some(Diagnosis::Full);
        if full {
            book.get_or_insert_default().patterned.insert(item);
        }
        full
    }

    /// Everybody who has an item, longest first.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        let book = self.book.lock();
        let now = Instant::now();
        let out = book.iter().flat_map(|book| &book.out);
        let mut holders: Vec<Holder> = out
            .map(|(&item, record)| Holder {
                item,
                location: record.location,
                thread: record.thread,
                held: now.saturating_duration_since(record.since),
            })
            .collect();
        holders.sort_by_key(|holder| core::cmp::Reverse(holder.held));
        holders
    }
}

/// The level that the environment asks for; a value that names none is as good
/// as no value.
pub(crate) fn from_environment() -> Diagnosis {
    static LEVEL: OnceLock<Diagnosis> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        std::env::var(ENVIRONMENT_VARIABLE)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    })
}
