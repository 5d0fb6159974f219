//! What the owner of a cache does with it under the lock: find it, settle what
//! reclaimers did meanwhile, fill it, empty it, enlarge it.

use super::{FIRST_ROUNDS, SharedEngine, State};
use crate::cache::{Cache, Contents};
use crate::entry::Entry;
use crate::magazine::Magazine;
use crate::source::Source;
use crate::sync::MutexGuard;
use crate::{barrier, thread_id};

/// Exchanges with the depot after which a cache gets full-sized magazines.
pub(super) const BUSY_EXCHANGES: u32 = 4;

/// Refills without a stop after which the quota of caches doubles again.
const GENEROUS_REFILLS: u64 = 64;

impl<S: Source> SharedEngine<S> {
    /// While fast paths are led past all caches: the calling thread's own, or the
    /// closed one.
    #[inline]
    pub(super) fn behind_the_veil(&self) -> Option<&Cache> {
        match self.table.is_veiled() {
            true => self.table.find_behind(thread_id::current()),
            false => None,
        }
    }

    /// The calling thread's own cache, made if it has none. `None` for a thread
    /// that cannot have one; it works under the lock.
    #[cold]
    pub(super) fn own_cache(&self) -> Option<&Cache> {
        let id = thread_id::current_or_take()?;
        let cache = self.table.find_behind(id);
        cache
            .filter(|cache| !self.table.is_closed(cache))
            .or_else(|| self.file_cache(id))
    }

    /// Files a fresh, closed cache without magazines for this thread.
    fn file_cache(&self, id: usize) -> Option<&Cache> {
        if !barrier::available() {
            return None;
        }
        let longer = match self.table.len() {
            len if id < len => None,
            _ => Some(self.table.longer(id)?),
        };
        let table_bytes = longer.as_ref().map_or(0, |(_, bytes)| *bytes);
        let bytes = self.charge(table_bytes + size_of::<Cache>())?;
        let Some(cache) = Cache::allocate() else {
            self.refund(bytes);
            return None;
        };
        let mut state = self.state.lock();
        state.tally.machinery_bytes += bytes;
        let unused = match longer {
            // Another thread may have replaced the table by one that is long
            // enough, even longer: then ours is not needed.
            Some((longer, _)) if self.table.len() < longer.len() => {
                self.table.replace(longer);
                None
            }
            longer => longer,
        };
        if unused.is_some() {
            state.tally.machinery_bytes -= table_bytes;
        }
        self.table.file(id, cache);
        drop(state);
        if unused.is_some() {
            self.refund(table_bytes);
        }
        self.table.find_behind(id)
    }

    /// Charges `bytes` of machinery; answers them, for the tally. Asks nobody to
    /// give bytes back: a cache is a convenience, and releases come by here.
    pub(super) fn charge(&self, bytes: usize) -> Option<usize> {
        match &self.budget {
            None => Some(bytes),
            Some(budget) => budget.charge_now(bytes).ok().map(|()| bytes),
        }
    }

    pub(super) fn refund(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            budget.refund_bytes(bytes);
        }
    }

    /// Locks the state, having enlarged the caller's cache if it is due.
    pub(super) fn lock_for<'e>(&'e self, cache: Option<&Cache>) -> MutexGuard<'e, State> {
        let state = self.state.lock();
        let Some(cache) = cache else { return state };
        let rounds = self.rounds_due(&state, cache);
        if rounds == 0 {
            return state;
        }
        drop(state);
        self.enlarge(cache, rounds);
        self.state.lock()
    }

    /// Slots that the cache's magazines should be replaced to have, or 0.
    fn rounds_due(&self, state: &State, cache: &Cache) -> usize {
        if state.strict || state.closed {
            return 0;
        }
        let full = usize::from(self.rounds);
        // SAFETY: the lock is held, and the owner is outside of an operation.
        unsafe {
            cache.contents(|contents| match contents.loaded {
                None => FIRST_ROUNDS.min(full),
                Some(loaded) if loaded.capacity() < full => {
                    if contents.exchanges < BUSY_EXCHANGES {
                        0
                    } else {
                        full
                    }
                }
                Some(_) => 0,
            })
        }
    }

    /// Replaces the magazines by two of `rounds` slots. Where there is no
    /// memory or no budget for that, the cache stays as it is.
    #[cold]
    fn enlarge(&self, cache: &Cache, rounds: usize) {
        let bytes = 2 * Magazine::bytes(rounds);
        let fresh = self.charge(bytes).and_then(|bytes| {
            let fresh = Cache::magazines(rounds);
            if fresh.is_none() {
                self.refund(bytes);
            }
            fresh
        });
        let mut state = self.state.lock();
        self.settle(&mut state, cache);
        // SAFETY: the lock is held, and the owner is outside of an operation.
        let old = unsafe {
            cache.contents(|contents| {
                contents.exchanges = 0;
                let capacity = contents.loaded.map_or(0, Magazine::capacity);
                debug_assert!(capacity < rounds, "only the owner replaces its magazines");
                fresh.map(|fresh| replace_magazines(cache, contents, fresh))
            })
        };
        let Some((loaded, previous)) = old else {
            return;
        };
        let freed = loaded.map_or(0, |loaded| 2 * Magazine::bytes(loaded.capacity()));
        state.tally.machinery_bytes += bytes;
        state.tally.machinery_bytes -= freed;
        drop(state);
        for magazine in [loaded, previous].into_iter().flatten() {
            // SAFETY: taken out of the cache under the lock, so ours alone.
            unsafe { magazine.free() };
        }
        self.refund(freed);
    }

    /// Brings the owner's view up to date: applies a theft to the word, and in
    /// a strict pool puts into the depot what is left in the magazines. Answers
    /// whether the cache may be used.
    pub(super) fn settle(&self, state: &mut State, cache: &Cache) -> bool {
        if cache.is_stolen() {
            cache.set_len(0);
            cache.set_stolen(false);
        }
        if state.strict {
            // SAFETY: the lock is held, and the owner is outside of an operation.
            unsafe { empty_into(state, cache) };
            cache.set_len(0);
            return false;
        }
        // SAFETY: as above.
        unsafe { cache.contents(|contents| contents.loaded.is_some()) }
    }

    /// Opens the owner's cache and pops an entry, having refilled it from the
    /// depot if need be. `None` if there is nothing in either.
    pub(super) fn refill(&self, state: &mut State, cache: &Cache) -> Option<Entry> {
        let pop = |contents: &mut Contents| {
            let mut len = cache.len();
            if len == 0 {
                core::mem::swap(&mut contents.loaded, &mut contents.previous);
                len = cache.previous_len();
                cache.set_previous_len(0);
            }
            if len == 0 {
                // SAFETY: the contents are ours to touch.
                len = unsafe { self.load(state, contents) };
            }
            let loaded = contents.loaded?;
            if len == 0 {
                return None;
            }
            // SAFETY: below the length.
            let entry = unsafe { loaded.get(len - 1) };
            cache.set_len(len - 1);
            open(state, cache, loaded);
            Some(entry)
        };
        // SAFETY: the lock is held, and the owner is outside of an operation.
        unsafe { cache.contents(pop) }
    }

    /// Fills the empty `loaded` magazine from the depot; answers its length.
    ///
    /// # Safety
    ///
    /// The lock is held, and the contents are the caller's to touch.
    unsafe fn load(&self, state: &mut State, contents: &mut Contents) -> usize {
        let Some(loaded) = contents.loaded else {
            return 0;
        };
        if state.depot.count() == 0 {
            return 0;
        }
        contents.exchanges = contents.exchanges.saturating_add(1);
        state.tally.refills += 1;
        if state.tally.refills % GENEROUS_REFILLS == 0 {
            state.quota = state.quota.saturating_mul(2).min(self.rounds);
        }
        let most = loaded.capacity().min(usize::from(state.quota));
        if most == usize::from(self.rounds) {
            // SAFETY: `loaded` is empty and the caller's.
            if let Some(full) = unsafe { state.depot.swap_for_full(loaded) } {
                contents.loaded = Some(full);
                return most;
            }
        }
        // SAFETY: as above, with room for `most`.
        unsafe { state.depot.pour_out(loaded, most) }
    }

    /// Opens the owner's cache and pushes `entry`, having made room if need be.
    ///
    /// # Safety
    ///
    /// The item is the caller's to give, and the cache may be used.
    pub(super) unsafe fn stow(&self, state: &mut State, cache: &Cache, entry: Entry) {
        let push = |contents: &mut Contents| {
            let mut len = cache.len();
            let capacity = contents.loaded.map_or(0, Magazine::capacity);
            if len >= capacity.min(usize::from(state.quota)) {
                if cache.previous_len() > 0 {
                    // SAFETY: the contents are ours to touch.
                    unsafe { self.spill(state, cache, contents) };
                }
                core::mem::swap(&mut contents.loaded, &mut contents.previous);
                cache.set_previous_len(len);
                len = 0;
            }
            let loaded = contents.loaded.expect("a usable cache has magazines");
            // SAFETY: below the capacity, which is at least 1.
            unsafe { loaded.set(len, entry) };
            cache.set_len(len + 1);
            open(state, cache, loaded);
        };
        // SAFETY: the lock is held, and the owner is outside of an operation.
        unsafe { cache.contents(push) };
    }

    /// Puts the `previous` magazine, the colder one, into the depot.
    ///
    /// # Safety
    ///
    /// The lock is held, and the contents are the caller's to touch.
    unsafe fn spill(&self, state: &mut State, cache: &Cache, contents: &mut Contents) {
        let Some(previous) = contents.previous else {
            return;
        };
        let len = cache.previous_len();
        cache.set_previous_len(0);
        contents.exchanges = contents.exchanges.saturating_add(1);
        state.tally.spills += 1;
        if len == usize::from(self.rounds) {
            // SAFETY: full of this pool's items, and the caller's.
            contents.previous = Some(unsafe { state.depot.swap_for_empty(previous) });
        } else {
            // SAFETY: the first `len` slots hold this pool's items.
            unsafe { state.depot.pour_in(previous, len) };
        }
    }
}

/// Opens the owner's cache as far as the quota allows, and at least as far as
/// it is filled.
fn open(state: &State, cache: &Cache, loaded: Magazine) {
    let gate = loaded
        .capacity()
        .min(usize::from(state.quota))
        .max(cache.len())
        .max(cache.previous_len());
    cache.open(u8::try_from(gate).expect("at most LONGEST"));
}

/// Moves everything in the magazines to the depot; answers how many. The cold
/// ones go below the warm ones.
///
/// # Safety
///
/// The lock is held, and the contents are the caller's to touch. The length in
/// the word is stale afterwards.
pub(super) unsafe fn empty_into(state: &mut State, cache: &Cache) -> usize {
    let (len, previous_len) = (cache.len(), cache.previous_len());
    cache.set_previous_len(0);
    // SAFETY: by the caller.
    let magazines = unsafe { cache.contents(|contents| (contents.previous, contents.loaded)) };
    for (magazine, len) in [(magazines.0, previous_len), (magazines.1, len)] {
        let Some(magazine) = magazine else { continue };
        // SAFETY: the first `len` slots hold this pool's items.
        unsafe { state.depot.pour_in(magazine, len) };
    }
    previous_len + len
}

/// Installs two larger magazines, with what is in the old ones, which are
/// answered empty.
fn replace_magazines(
    cache: &Cache,
    contents: &mut Contents,
    (loaded, previous): (Magazine, Magazine),
) -> (Option<Magazine>, Option<Magazine>) {
    let old = (contents.loaded, contents.previous);
    for (from, to, len) in [
        (old.0, loaded, cache.len()),
        (old.1, previous, cache.previous_len()),
    ] {
        let Some(from) = from else { continue };
        for index in 0..len {
            // SAFETY: below the length of a magazine that is ours to touch.
            let entry = unsafe { from.get(index) };
            // SAFETY: the new magazine is larger.
            unsafe { to.set(index, entry) };
        }
    }
    contents.loaded = Some(loaded);
    contents.previous = Some(previous);
    old
}
