//! Notes about acquires (see [`crate::notes`]), and looking at the source.

use super::SharedEngine;
use crate::entry::Entry;
use crate::notes::Noted;
use crate::source::Source;
use crate::thread_id;

impl<S: Source> SharedEngine<S> {
    /// As [`SharedEngine::try_pop`], noting the bin of what the acquire asked
    /// for, and what it gives beyond that, if it succeeds. `bin` is taken modulo
    /// [`BINS`](crate::notes::BINS).
    #[inline(always)]
    pub fn try_pop_noted(&self, bin: usize, excess: usize) -> Option<Entry> {
        let cache = self.table.find(thread_id::current())?;
        // SAFETY: filed under this thread's id, so its own, or the closed one.
        let entry = unsafe { cache.pop() }?;
        // It gave an entry, so it is not the closed one but this thread's own.
        cache.notes().note(bin, excess);
        Some(entry)
    }

    /// Notes an acquire that took the slow path.
    pub fn note(&self, bin: usize, excess: usize) {
        let cache = self.table.find_behind(thread_id::current());
        match cache.filter(|cache| !self.table.is_closed(cache)) {
            Some(cache) => cache.notes().note(bin, excess),
            None => self.notes.note_among_many(bin, excess),
        }
    }

    /// What was noted so far, by all threads.
    pub fn noted(&self) -> Noted {
        let _state = self.state.lock();
        self.table
            .iter()
            .map(|(_, cache)| cache.notes().read())
            .fold(self.notes.read(), Noted::merge)
    }

    /// Runs `look` on the source, while no item can be created or retired.
    /// `look` must not use the pool.
    pub fn with_source<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.population.lock())
    }
}
