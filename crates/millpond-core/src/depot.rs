//! The depot: where magazines wait between caches. Everything here happens
//! under the pool's lock and allocates nothing.
//!
//! ```text
//!   full    ▓▓▓▓ → ▓▓▓▓ → ▓▓▓▓          every slot taken
//!   loose   ▓▓░░                        at most one that is partly filled
//!   empty   ░░░░ → ░░░░
//! ```

use crate::entry::Entry;
use crate::magazine::{Magazine, Stack};

/// # Invariants
///
/// 1. All magazines here have `rounds` slots, and the depot is their one user.
/// 2. Those in `full` are full, those in `empty` are empty, `loose` is neither
///    full nor (between calls) empty.
/// 3. `count` is the number of entries inside.
/// 4. `slots` is the number of slots inside, and is at least the number of
///    items in existence: so there is always room for an entry that comes
///    home, and a release cannot fail.
#[derive(Debug)]
pub(crate) struct Depot {
    full: Stack,
    loose: Option<Magazine>,
    empty: Stack,
    rounds: usize,
    count: usize,
    slots: usize,
}

impl Depot {
    pub(crate) const fn new(rounds: usize) -> Self {
        Self {
            full: Stack::new(),
            loose: None,
            empty: Stack::new(),
            rounds,
            count: 0,
            slots: 0,
        }
    }

    /// Entries inside.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Slots inside; see invariant 4.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Whether `entry` is inside. Looks at every entry: for diagnostics.
    pub(crate) fn contains(&self, entry: Entry) -> bool {
        let inside = |magazine: Magazine| {
            // SAFETY: the depot is the one user of its magazines (1).
            unsafe { magazine.entries() }.any(|other| other == entry)
        };
        self.loose.is_some_and(inside) || self.full.iter().any(inside)
    }

    /// Adds an empty magazine of the depot's own size.
    pub(crate) fn fund(&mut self, magazine: Magazine) {
        debug_assert_eq!(magazine.capacity(), self.rounds);
        self.slots += self.rounds;
        // SAFETY: the caller gave us the only handle.
        unsafe { magazine.set_len(0) };
        // SAFETY: as above.
        unsafe { self.empty.push(magazine) };
    }

    /// Takes all full magazines out, with their slots. What remains still has
    /// room for every item that remains.
    pub(crate) fn take_full(&mut self) -> Stack {
        let full = core::mem::replace(&mut self.full, Stack::new());
        let taken = full.iter().count() * self.rounds;
        self.count -= taken;
        self.slots -= taken;
        full
    }

    /// Puts a full magazine in, with its slots.
    ///
    /// # Safety
    ///
    /// The caller is the one user of `full`, every slot of which is taken by an
    /// item of this pool, and gives it up.
    pub(crate) unsafe fn put_full(&mut self, full: Magazine) {
        debug_assert_eq!(full.capacity(), self.rounds);
        self.count += self.rounds;
        self.slots += self.rounds;
        // SAFETY: by the caller.
        unsafe { full.set_len(self.rounds) };
        // SAFETY: by the caller.
        unsafe { self.full.push(full) };
    }

    /// Takes an empty magazine out for good if `needed` slots remain without it.
    pub(crate) fn defund(&mut self, needed: usize) -> Option<Magazine> {
        if self.slots < needed + self.rounds {
            return None;
        }
        let magazine = self.empty.pop()?;
        self.slots -= self.rounds;
        Some(magazine)
    }

    /// Puts one entry in.
    pub(crate) fn push(&mut self, entry: Entry) {
        let loose = match self.loose {
            Some(loose) => loose,
            None => self
                .empty
                .pop()
                .expect("invariant 4: there is room for every item"),
        };
        // SAFETY: the depot is the one user of its magazines (1).
        let len = unsafe { loose.len() };
        // SAFETY: as above, and a magazine that is not full has room (2).
        unsafe { loose.set(len, entry) };
        // SAFETY: as above; the slots below are filled.
        unsafe { loose.set_len(len + 1) };
        self.count += 1;
        if len + 1 == self.rounds {
            self.loose = None;
            // SAFETY: the depot's own (1).
            unsafe { self.full.push(loose) };
        } else {
            self.loose = Some(loose);
        }
    }

    /// Takes one entry out, the one that came home last.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let loose = match self.loose {
            Some(loose) => loose,
            None => self.full.pop()?,
        };
        // SAFETY: the depot's own (1).
        let len = unsafe { loose.len() } - 1;
        // SAFETY: the depot's own, and `len` is below its length.
        let entry = unsafe { loose.get(len) };
        // SAFETY: the depot's own.
        unsafe { loose.set_len(len) };
        self.count -= 1;
        if len == 0 {
            self.loose = None;
            // SAFETY: the depot's own (1).
            unsafe { self.empty.push(loose) };
        } else {
            self.loose = Some(loose);
        }
        Some(entry)
    }

    /// Exchanges an empty magazine for a full one: two pointer swaps.
    ///
    /// # Safety
    ///
    /// The caller is the one user of `empty`, which holds nothing, and gives
    /// it up if the answer is a magazine.
    pub(crate) unsafe fn swap_for_full(&mut self, empty: Magazine) -> Option<Magazine> {
        debug_assert_eq!(empty.capacity(), self.rounds);
        let full = self.full.pop()?;
        self.count -= self.rounds;
        // SAFETY: by the caller.
        unsafe { empty.set_len(0) };
        // SAFETY: by the caller.
        unsafe { self.empty.push(empty) };
        Some(full)
    }

    /// Exchanges a full magazine for an empty one. There always is one: the
    /// entries that were not here before find room by invariant 4.
    ///
    /// # Safety
    ///
    /// The caller is the one user of `full`, every slot of which is taken by an
    /// item of this pool, and gives it up.
    pub(crate) unsafe fn swap_for_empty(&mut self, full: Magazine) -> Magazine {
        debug_assert_eq!(full.capacity(), self.rounds);
        let empty = self
            .empty
            .pop()
            .expect("invariant 4: there is room for every item");
        self.count += self.rounds;
        // SAFETY: by the caller.
        unsafe { full.set_len(self.rounds) };
        // SAFETY: by the caller.
        unsafe { self.full.push(full) };
        empty
    }

    /// Copies the lowest (coldest) `len` entries of `from` in.
    ///
    /// # Safety
    ///
    /// The caller is the one user of `from`, and its first `len` slots hold
    /// items of this pool, which now live here.
    pub(crate) unsafe fn pour_in(&mut self, from: Magazine, len: usize) {
        for index in 0..len {
            // SAFETY: by the caller.
            self.push(unsafe { from.get(index) });
        }
    }

    /// Copies up to `most` entries into `to` from slot 0 on; answers how many.
    ///
    /// # Safety
    ///
    /// The caller is the one user of `to`, which holds nothing and has room
    /// for `most`.
    pub(crate) unsafe fn pour_out(&mut self, to: Magazine, most: usize) -> usize {
        let len = most.min(self.count);
        // The entry that came home last goes on top, to be used first.
        for index in (0..len).rev() {
            let entry = self.pop().expect("counted above");
            // SAFETY: by the caller, `index < most`.
            unsafe { to.set(index, entry) };
        }
        len
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        if let Some(loose) = self.loose.take() {
            // SAFETY: the depot's own (1).
            unsafe { loose.free() };
        }
    }
}
