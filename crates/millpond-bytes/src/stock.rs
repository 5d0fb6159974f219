//! Stocks: buffers that were zeroed ahead, when nobody waited for them.

use crate::class::Class;
use crate::pond::lock;
use crate::slot;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use millpond_core::engine::Released;
use millpond_core::entry::Entry;
use millpond_core::error::{AcquireError, Limit};
use millpond_core::shared::SharedEngine;
use std::sync::Mutex;
use std::vec::Vec;

/// The zeroed buffers of a class. To the engine they are leased.
#[derive(Debug)]
pub(crate) struct Stock {
    entries: Mutex<Vec<Entry>>,
    /// As many as there are, for who only wants to know whether to look.
    count: AtomicUsize,
}

impl Stock {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Mutex::new(Vec::new()),
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
        let mut entries = lock(&self.entries);
        let entry = entries.pop();
        self.count.store(entries.len(), Ordering::Relaxed);
        entry
    }

    /// Puts a zeroed buffer in, if there is room for it without allocating.
    fn put(&self, entry: Entry) -> Result<(), Entry> {
        let mut entries = lock(&self.entries);
        if entries.try_reserve(1).is_err() {
            return Err(entry);
        }
        entries.push(entry);
        self.count.store(entries.len(), Ordering::Relaxed);
        Ok(())
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
            if let Err(entry) = self.stock.put(entry) {
                self.give_back(entry);
                let bytes = size_of::<Entry>();
                let limit = Limit::Memory { bytes };
                return Err(AcquireError::new("", limit, buffers, self.stock.count(), 0));
            }
            zeroed += 1;
        }
        Ok(zeroed)
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
