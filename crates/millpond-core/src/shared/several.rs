//! Items that are created together for one caller, and a look at the source.

use super::SharedEngine;
use super::acquire::Changing;
use crate::error::{AcquireError, Limit};
use crate::source::Source;

impl<S: Source> SharedEngine<S> {
    /// Has `create` make `count` items, which are the caller's from then on.
    ///
    /// # Errors
    ///
    /// The limit that was hit. Free items do not count as room: trim first.
    ///
    /// # Safety
    ///
    /// If `create` answers `Ok` it has created exactly `count` items of the
    /// source, else none. It keeps the rules of [`Source`].
    pub unsafe fn acquire_created<R>(
        &self,
        count: usize,
        create: impl FnOnce(&mut S) -> Result<R, Limit>,
    ) -> Result<R, AcquireError> {
        self.create_for_one(count, create).map_err(|limit| {
            let mut state = self.state.lock();
            state.tally.exhausted += 1;
            let (capacity, waiting) = (state.capacity, state.waiters.len());
            let cached: usize = self.table.iter().map(|(_, cache)| cache.items()).sum();
            let in_use = state.leased().saturating_sub(cached);
            drop(state);
            AcquireError::new(self.name, limit, capacity, in_use, waiting)
        })
    }

    fn create_for_one<R>(
        &self,
        count: usize,
        create: impl FnOnce(&mut S) -> Result<R, Limit>,
    ) -> Result<R, Limit> {
        let mut source = self.population.lock();
        let mut state = self.state.lock();
        let needed = state.created.checked_add(count).ok_or(Limit::Capacity)?;
        if state.closed {
            return Err(Limit::Closed);
        }
        if needed > state.capacity {
            return Err(Limit::Capacity);
        }
        state.changing = true;
        drop(state);
        let changing = Changing(&self.state);
        let spare = self.fund(needed)?;
        let made = create(&mut source)?;
        core::mem::forget(spare);
        let mut state = self.state.lock();
        state.tally.held_bytes = source.held_bytes();
        state.created += count;
        state.tally.created += count as u64;
        state.tally.created_for += count as u64;
        state.note_outside();
        drop(state);
        drop(changing);
        Ok(made)
    }

    /// Misses `count` of the items that are out no longer; see
    /// [`Engine::disown`](crate::engine::Engine::disown).
    ///
    /// # Safety
    ///
    /// So many items are the caller's, who neither uses nor releases them
    /// afterwards.
    pub unsafe fn disown(&mut self, count: usize) {
        self.state.get_mut().created -= count;
    }

    /// Looks at the source, which waits meanwhile: nothing is created or given
    /// back until `look` is done.
    pub fn look_at_source<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.population.lock())
    }
}
