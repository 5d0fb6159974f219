//! Dense thread ids: small numbers that are reused.
//!
//! ```text
//!   ID     const-initialised thread local, no destructor:  0 = none
//!   GUARD  second thread local, owns the destructor: ID ← 0, then the id is free
//! ```
//!
//! Reading the id is one load relative to the thread pointer. The id is none
//! before the first slow operation of a thread and again once its thread
//! locals are being destroyed; the engine then works under its lock.
//!
//! Ids are handed out under one mutex, smallest first, so tables indexed by
//! them stay as long as the largest number of threads that were alive at once.
//! The mutex is also what makes reuse sound: a thread's last use of its caches
//! happens before the id is free, and that before the next owner's first use.

use crate::sync::Mutex;
use alloc::vec::Vec;
use core::cell::Cell;

/// What [`current`] answers for a thread without an id. Index 0 of every cache
/// table is a closed cache, so this needs no test on the fast path.
pub(crate) const NONE: usize = 0;

#[cfg(not(millpond_loom))]
mod local {
    use super::{Cell, Guard, Ids, Mutex, Vec};

    std::thread_local! {
        pub(super) static ID: Cell<u32> = const { Cell::new(0) };
        pub(super) static GUARD: Guard = Guard::take();
    }

    pub(super) fn ids() -> &'static Mutex<Ids> {
        static IDS: Mutex<Ids> = Mutex::new(Ids {
            taken: Vec::new(),
            deaths: 0,
        });
        &IDS
    }
}

#[cfg(millpond_loom)]
mod local {
    use super::{Cell, Guard, Ids, Mutex, Vec};
    use alloc::boxed::Box;

    loom::thread_local! {
        pub(super) static ID: Cell<u32> = Cell::new(0);
        pub(super) static GUARD: Guard = Guard::take();
    }

    // Leaked, because a model's lazy statics go with its first thread, and
    // the guards of the others may still want theirs then.
    loom::lazy_static! {
        static ref IDS: &'static Mutex<Ids> = Box::leak(Box::new(Mutex::new(Ids {
            taken: Vec::new(),
            deaths: 0,
        })));
    }

    pub(super) fn ids() -> &'static Mutex<Ids> {
        *IDS
    }
}

use local::{GUARD, ID, ids};

/// The calling thread's id, or [`NONE`].
#[inline(always)]
pub(crate) fn current() -> usize {
    #[cfg(not(millpond_loom))]
    return ID.try_with(Cell::get).map_or(NONE, |id| id as usize);
    #[cfg(millpond_loom)]
    ID.try_with(|id| id.get() as usize).unwrap_or(NONE)
}

/// The calling thread's id, taking one if it has none. `None` while the
/// thread's locals are being destroyed, or when no memory is left for the book
/// of ids.
#[cold]
pub(crate) fn current_or_take() -> Option<usize> {
    let id = match current() {
        NONE => GUARD.try_with(|guard| guard.id as usize).ok()?,
        id => id,
    };
    (id != NONE).then_some(id)
}

/// Runs `f` with the book of ids held still, so that no id changes hands
/// meanwhile.
pub(crate) fn with_ids<R>(f: impl FnOnce(&Ids) -> R) -> R {
    f(&ids().lock())
}

/// Which ids are taken: one bit each, bit 0 of word 0 standing for id 1.
#[derive(Debug)]
pub(crate) struct Ids {
    taken: Vec<u64>,
    deaths: u64,
}

impl Ids {
    /// How many ids were ever given back; changes exactly when a thread that
    /// had one ends.
    pub(crate) fn deaths(&self) -> u64 {
        self.deaths
    }

    /// Whether a living thread has `id`.
    pub(crate) fn is_taken(&self, id: usize) -> bool {
        let bit = id - 1;
        self.taken
            .get(bit / 64)
            .is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    fn take(&mut self) -> u32 {
        let word = match self.taken.iter().position(|&word| word != u64::MAX) {
            Some(word) => word,
            None if self.taken.try_reserve(1).is_err() => return 0,
            None => {
                self.taken.push(0);
                self.taken.len() - 1
            }
        };
        let bit = self.taken[word].trailing_ones();
        self.taken[word] |= 1 << bit;
        u32::try_from(word * 64 + 1).map_or(0, |base| base + bit)
    }

    fn give_back(&mut self, id: u32) {
        let bit = id - 1;
        self.taken[(bit / 64) as usize] &= !(1 << (bit % 64));
        self.deaths += 1;
    }

    /// Forgets every thread but the one with `id`.
    fn keep_only(&mut self, id: usize) {
        self.taken.fill(0);
        self.deaths += 1;
        if id != NONE {
            let bit = id - 1;
            self.taken[bit / 64] |= 1 << (bit % 64);
        }
    }
}

/// Owns the id of a thread; its destructor gives it back.
#[derive(Debug)]
struct Guard {
    id: u32,
    ids: &'static Mutex<Ids>,
}

impl Guard {
    fn take() -> Self {
        let ids = ids();
        let id = ids.lock().take();
        set(id);
        Self { id, ids }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // First nobody on this thread can find the id any more, then somebody
        // else may have it.
        set(0);
        if self.id != 0 {
            self.ids.lock().give_back(self.id);
        }
    }
}

fn set(id: u32) {
    #[cfg(not(millpond_loom))]
    ID.set(id);
    #[cfg(millpond_loom)]
    let _ = ID.try_with(|current| current.set(id));
}

/// Forgets every thread but the caller, whose id is `id`: what is true in a
/// forked child. Answers the number of deaths.
pub(crate) fn keep_only(id: usize) -> u64 {
    let mut book = ids().lock();
    book.keep_only(id);
    book.deaths
}

#[cfg(all(test, not(millpond_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_free_id_is_handed_out_first() {
        let mut ids = Ids {
            taken: Vec::new(),
            deaths: 0,
        };
        let all: Vec<u32> = (0..130).map(|_| ids.take()).collect();
        assert_eq!(all, (1..=130).collect::<Vec<u32>>());
        ids.give_back(70);
        ids.give_back(3);
        assert_eq!((ids.take(), ids.take(), ids.take()), (3, 70, 131));
        assert_eq!(ids.deaths(), 2);
    }

    #[test]
    fn a_thread_keeps_its_id_and_gives_it_back_when_it_ends() {
        let here = current_or_take().expect("ids are available");
        assert_eq!(current(), here);
        let there = std::thread::spawn(|| current_or_take().expect("ids are available"))
            .join()
            .expect("the thread ends normally");
        assert_ne!(here, there);
        assert!(with_ids(|ids| ids.is_taken(here)));
    }
}
