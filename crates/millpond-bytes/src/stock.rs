//! Stocks: buffers that were zeroed ahead, when nobody waited for them.

use crate::class::Class;
use crate::pond::lock;
use crate::slot;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use millpond_core::engine::{Engine, Released};
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::shared::SharedEngine;
use millpond_core::trim::Level;
use std::sync::Mutex;
use std::vec::Vec;

/// The zeroed buffers of a class. To the engine they are leased.
#[derive(Debug)]
pub(crate) struct Stock {
    shelf: Mutex<Shelf>,
    /// As many as there are, for who only wants to know whether to look.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Shelf {
    entries: Vec<Entry>,
    /// Whether the class is in the table: what is put into another would wait for
    /// nobody.
    is_open: bool,
}

/// A buffer that was not put into the stock.
#[derive(Debug, PartialEq, Eq)]
enum Unstocked {
    /// The class is in no table any more.
    Closed,
    /// There is no memory for the list.
    Memory,
}

impl Stock {
    pub(crate) const fn new() -> Self {
        Self {
            shelf: Mutex::new(Shelf {
                entries: Vec::new(),
                is_open: true,
            }),
            count: AtomicUsize::new(0),
        }
    }

    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// A zeroed buffer, if there is one.
    #[cold]
    pub(crate) fn take(&self) -> Option<Entry> {
        let mut shelf = lock(&self.shelf);
        let entry = shelf.entries.pop();
        self.count.store(shelf.entries.len(), Ordering::Relaxed);
        entry
    }

    /// Puts a zeroed buffer in.
    fn put(&self, entry: Entry) -> Result<(), Unstocked> {
        let mut shelf = lock(&self.shelf);
        if !shelf.is_open {
            return Err(Unstocked::Closed);
        }
        let room = shelf.entries.try_reserve(1);
        room.map_err(|_| Unstocked::Memory)?;
        shelf.entries.push(entry);
        self.count.store(shelf.entries.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Takes buffers from here on, or none.
    pub(crate) fn set_open(&self, is_open: bool) {
        lock(&self.shelf).is_open = is_open;
    }
}

impl Class {
    /// Zeroes free buffers until `buffers` of them are in stock; answers how many
    /// it zeroed.
    pub(crate) fn zero_ahead(&self, buffers: usize) -> Result<usize, AcquireError> {
        let mut zeroed = 0;
        while self.stock.count() < buffers {
            let entry = self.engine.acquire(0)?;
            let bytes = slot::bytes_of(entry);
            // SAFETY: ours, and of this size.
            unsafe { millpond_core::poison::on_lease(bytes, self.size()) };
            // SAFETY: as above.
            unsafe { bytes.write_bytes(0, self.size()) };
            if let Err(reason) = self.stock.put(entry) {
                self.give_back(entry);
                return Err(self.unstocked(&reason, buffers));
            }
            zeroed += 1;
        }
        Ok(zeroed)
    }

    /// The error of a buffer that found no place in the stock, and was given back.
    #[cold]
    fn unstocked(&self, reason: &Unstocked, wanted: usize) -> AcquireError {
        let refused = |limit, capacity| {
            let name = self.engine.name();
            AcquireError::new(name, limit, capacity, self.stock.count(), 0)
        };
        let bytes = size_of::<Entry>();
        match reason {
            Unstocked::Memory => refused(Limit::Memory { bytes }, wanted),
            Unstocked::Closed => {
                // It came home after those who took the class out of the table had
                // given its buffers back.
                self.engine.trim(Level::Full);
                refused(Limit::Capacity, 0)
            }
        }
    }

    /// Releases what is in stock. The class must be known to live on.
    pub(crate) fn empty_stock(&self) {
        while let Some(entry) = self.stock.take() {
            self.give_back(entry);
        }
    }

    /// Releases a slot that the stock had.
    fn give_back(&self, entry: Entry) {
        let bytes = slot::bytes_of(entry);
        // SAFETY: ours.
        unsafe { millpond_core::poison::on_release(bytes, self.size()) };
        let engine = NonNull::from(&self.engine);
        // SAFETY: acquired by `zero_ahead`, and not used any more; by whoever
        // keeps the class alive it is not orphaned.
        let released = unsafe { SharedEngine::release(engine.as_ptr(), entry) };
        debug_assert_eq!(released, Released::Home);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BytePool, Config};
    use millpond_core::size_class::SizeClasses;

    #[test]
    fn what_is_zeroed_while_its_class_is_retired_goes_back_to_the_system() {
        let pool = BytePool::new(Config::new().with_sizes(&[1024])).expect("valid");
        let (class, _) = pool.pond().table().route(1).expect("of the class");
        let halfway = class.engine.acquire(0).expect("memory");
        let sizes = |sizes: &[usize]| SizeClasses::new(sizes).expect("valid");
        pool.apply(&sizes(&[4096])).expect("valid");

        assert_eq!(class.stock.put(halfway), Err(Unstocked::Closed));
        class.give_back(halfway);
        let error = class.unstocked(&Unstocked::Closed, 1);
        assert_eq!((error.limit(), error.capacity()), (&Limit::Capacity, 0));
        assert_eq!(Engine::observe(&class.engine).held_bytes, 0);

        pool.apply(&sizes(&[1024])).expect("valid");
        assert_eq!(pool.zero_ahead(1, 1).expect("it is in the table again"), 1);
    }
}
