//! Pools in a forked child.

use super::SharedEngine;
use super::owner::empty_into;
use crate::source::Source;
use crate::thread_id;

impl<S: Source> SharedEngine<S> {
    /// Makes the pool usable in the child of a fork: takes over the caches of
    /// all threads that the child does not have.
    ///
    /// A cache is consistent at every instant: the one store that ends an
    /// operation had happened when the process forked, or had not, and then
    /// neither had the operation. Items that other threads had leased stay
    /// leased for ever. The child of a process with one thread need not call
    /// this.
    ///
    /// # Safety
    ///
    /// The caller is the only thread of the process, has just been forked, and
    /// when it was, no other thread was on a slow path of this pool, of its
    /// budget, or of another pool that calls this: none was acquiring its first
    /// item, filling or emptying its cache, trimming, waiting or closing. Locks
    /// that such a thread held are held for ever.
    pub unsafe fn after_fork_in_child(&self) {
        let own = thread_id::current();
        let mut state = self.state.lock();
        for (id, cache) in self.table.iter() {
            if id == own || cache.is_stolen() {
                continue;
            }
            cache.close();
            // SAFETY: by the caller this is the only thread.
            unsafe { cache.abandon() };
            cache.set_stolen(true);
            // SAFETY: nobody owns the cache any more.
            unsafe { empty_into(&mut state, cache) };
        }
        state.swept = thread_id::keep_only(own);
    }
}
