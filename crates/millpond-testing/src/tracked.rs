//! Tracked values: each is constructed once and dropped once, or a census says
//! which was not.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Specimen;

/// The books are kept outside of the values, which are two plain numbers: a
/// pool that drops a value twice must be caught doing it, and not bring the
/// books down.
static BOOKS: Mutex<Option<HashMap<u64, Book>>> = Mutex::new(None);

#[derive(Default)]
struct Book {
    constructed: u64,
    dropped: u64,
    dropped_twice: Vec<u64>,
    alive: HashSet<u64>,
}

thread_local! {
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

fn books<R>(run: impl FnOnce(&mut HashMap<u64, Book>) -> R) -> R {
    let mut books: MutexGuard<'_, _> = BOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    run(books.get_or_insert_default())
}

/// Counts the [`Tracked`] values that were made for it.
///
/// ```
/// use millpond_testing::Census;
///
/// let census = Census::new();
/// let value = census.track(7);
/// assert_eq!(census.alive(), 1);
/// drop(value);
/// census.assert_each_dropped_once();
/// ```
#[derive(Debug)]
pub struct Census {
    id: u64,
}

impl Census {
    /// A census that has counted nothing.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        // Number 0 is for values made outside of any census.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        books(|books| books.insert(id, Book::default()));
        Self { id }
    }

    /// A value for this census.
    #[must_use]
    pub fn track(&self, stamp: u64) -> Tracked {
        Tracked::register(self.id, stamp)
    }

    /// Runs `work` so that specimens of [`Tracked`] made on this thread belong
    /// to a new census, and asserts that each was dropped once.
    ///
    /// # Panics
    ///
    /// If a value that was made was not dropped, or was dropped twice; or if
    /// `work` panics.
    pub fn during<R>(work: impl FnOnce() -> R) -> R {
        let census = Self::new();
        let result = within(census.id, work);
        census.assert_each_dropped_once();
        result
    }

    /// Values made so far.
    #[must_use]
    pub fn constructed(&self) -> u64 {
        self.read(|book| book.constructed)
    }

    /// Values dropped so far, second times not counted.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.read(|book| book.dropped)
    }

    /// Values that exist now.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.read(|book| book.alive.len())
    }

    /// Stamps of the values that were dropped more than once.
    #[must_use]
    pub fn dropped_twice(&self) -> Vec<u64> {
        self.read(|book| book.dropped_twice.clone())
    }

    /// Asserts that no value is left and none was dropped twice.
    ///
    /// # Panics
    ///
    /// If that is not so.
    pub fn assert_each_dropped_once(&self) {
        let twice = self.dropped_twice();
        assert!(
            twice.is_empty(),
            "values with these stamps were dropped twice: {twice:?}"
        );
        let alive = self.alive();
        assert!(
            alive == 0,
            "{alive} of {} values were never dropped",
            self.constructed()
        );
    }

    fn read<R>(&self, look: impl FnOnce(&Book) -> R) -> R {
        books(|books| look(books.entry(self.id).or_default()))
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        books(|books| books.remove(&self.id));
    }
}

/// The census that specimens made on this thread belong to.
pub(crate) fn current() -> u64 {
    CURRENT.get()
}

/// Runs `work` with another census as the current one.
pub(crate) fn within<R>(census: u64, work: impl FnOnce() -> R) -> R {
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(census));
    work()
}

/// A value whose construction and drop are counted by a [`Census`].
///
/// It is recognised by a serial number of its own, so that two that look alike
/// are told apart.
#[derive(Debug)]
pub struct Tracked {
    census: u64,
    serial: u64,
    stamp: u64,
}

impl Tracked {
    fn register(census: u64, stamp: u64) -> Self {
        let serial = books(|books| {
            let book = books.entry(census).or_default();
            book.constructed += 1;
            book.alive.insert(book.constructed);
            book.constructed
        });
        Self {
            census,
            serial,
            stamp,
        }
    }

    /// The stamp that the value was made with.
    #[must_use]
    pub const fn stamp(&self) -> u64 {
        self.stamp
    }
}

impl Specimen for Tracked {
    fn stamped(stamp: u64) -> Self {
        Self::register(current(), stamp)
    }

    fn damage(&self, stamp: u64) -> Option<usize> {
        let alive = books(|books| {
            let book = books.entry(self.census).or_default();
            book.alive.contains(&self.serial)
        });
        (!alive || self.stamp != stamp).then_some(0)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        books(|books| {
            // The census itself may be gone, after a test that failed.
            let Some(book) = books.get_mut(&self.census) else {
                return;
            };
            if book.alive.remove(&self.serial) {
                book.dropped += 1;
            } else {
                book.dropped_twice.push(self.stamp);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn census_counts_each_value_once() {
        let census = Census::new();
        let values: Vec<Tracked> = (0..5).map(|stamp| census.track(stamp)).collect();
        assert_eq!((census.constructed(), census.alive()), (5, 5));
        drop(values);
        assert_eq!((census.dropped(), census.alive()), (5, 0));
        census.assert_each_dropped_once();
    }

    #[test]
    #[should_panic(expected = "dropped twice: [7]")]
    fn second_drop_is_caught() {
        let census = Census::new();
        let value = std::mem::ManuallyDrop::new(census.track(7));
        for _ in 0..2 {
            // SAFETY: a tracked value is plain numbers, so that reading it out
            // twice is harmless; that is what it is for.
            let copy = unsafe { std::ptr::read(&raw const *value) };
            drop(copy);
        }
        census.assert_each_dropped_once();
    }

    #[test]
    #[should_panic(expected = "1 of 2 values were never dropped")]
    fn value_that_is_never_dropped_is_caught() {
        Census::during(|| {
            drop(Tracked::stamped(1));
            std::mem::forget(Tracked::stamped(2));
        });
    }

    #[test]
    fn dead_value_counts_as_damaged() {
        let census = Census::new();
        let value = std::mem::ManuallyDrop::new(census.track(7));
        assert_eq!(value.damage(7), None);
        assert_eq!(value.damage(8), Some(0));
        // SAFETY: as above: plain numbers.
        drop(unsafe { std::ptr::read(&raw const *value) });
        assert_eq!(value.damage(7), Some(0));
    }
}
