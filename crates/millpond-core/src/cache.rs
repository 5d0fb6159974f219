//! Caches: what one thread holds of one pool, and the fast paths.
//!
//! A cache is found by the owner's dense thread id and is one pair of lines:
//!
//! ```text
//!   word   63 ................ 9 │ 8    │ 7 ....... 0
//!          acquires              │ BUSY │ length of `loaded`     written by the owner only
//!   gate   0 = closed, else how many entries `loaded` may hold   written under the lock only
//!   loaded, previous            two magazines, exchanged with the depot whole
//!   notes                       what a pool counts beside acquires   by the owner only
//! ```
//!
//! | BUSY | gate   | the owner …                     | a reclaimer (under the lock) …        |
//! |------|--------|---------------------------------|----------------------------------------|
//! | 0    | open   | is outside                      | may close the gate                     |
//! | 1    | open   | is inside an operation          | closes the gate and waits for BUSY = 0 |
//! | 1    | closed | has yet to see the gate         | waits: the owner will turn away        |
//! | 0    | closed | goes to the lock                | may take everything                    |
//!
//! An operation is: BUSY ← 1, fence, read the gate, move the entry, and one
//! store of the word that counts, sets the length and clears BUSY together.
//! That store is the last touch of the pool's memory, so the pool may be freed
//! right behind it. About fifteen instructions, two stores, no atomic
//! read-modify-write, no lock. Counting is free: the counter is in the word.

use crate::barrier;
use crate::entry::Entry;
use crate::magazine::Magazine;
use crate::notes::Notes;
use crate::region;
use crate::sync::{AtomicU8, AtomicU64, Ordering, UnsafeCell};
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

const LENGTH: u64 = 0xff;
const BUSY: u64 = 1 << 8;
const ONE_ACQUIRE: u64 = 1 << 9;

/// What the fast path adds to the word for one acquire. A build with
/// `--cfg millpond_no_counters` exists to measure what counting costs.
const COUNT: u64 = if cfg!(millpond_no_counters) {
    0
} else {
    ONE_ACQUIRE
};

/// The two magazines of a cache.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) loaded: Option<Magazine>,
    pub(crate) previous: Option<Magazine>,
    /// Exchanges with the depot since the magazines were last enlarged.
    pub(crate) exchanges: u32,
    /// Acquires when the owner last asked whether it only releases.
    acquires_then: u64,
}

/// # Invariants
///
/// 1. `word` is stored to by the owner only. The owner is the thread that has
///    the id under which the cache is filed.
/// 2. `gate` is stored to under the pool's lock only, and raised from zero by
///    the owner only.
/// 3. `contents` is touched by the owner between its own BUSY store and commit
///    having read an open gate, or by the holder of the lock, who for a cache
///    that is not its own has closed the gate, run the barrier and seen BUSY
///    clear.
/// 4. While the gate is open, the word's length and `previous_len` are at most
///    the gate, both magazines are present and have at least that many slots,
///    and slots below the lengths hold items that belong to nobody else.
/// 5. `previous_len` and `stolen` follow the rule of `contents`, but may be
///    read by anybody.
/// 6. `stolen` is set by a reclaimer that emptied the magazines: the length in
///    the word is then stale, the gate closed, and the owner sets the length to
///    zero when it next holds the lock.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Cache {
    word: AtomicU64,
    gate: AtomicU8,
    previous_len: AtomicU8,
    stolen: AtomicU8,
    contents: UnsafeCell<Contents>,
    notes: Notes,
}

// Notes fill what two lines leave free.
#[cfg(not(millpond_loom))]
const _: () = assert!(size_of::<Cache>() == 128);

// SAFETY: the atomics are Sync, and `contents` has one user at a time by 3.
unsafe impl Sync for Cache {}
// SAFETY: entries are plain numbers and magazines are Send.
unsafe impl Send for Cache {}

impl Cache {
    /// A cache that nobody owns and whose gate stays closed: what threads
    /// without a cache of their own find.
    #[cfg(not(millpond_loom))]
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "an initial value, copied on purpose"
    )]
    pub(crate) const CLOSED: Self = Self {
        word: AtomicU64::new(0),
        gate: AtomicU8::new(0),
        previous_len: AtomicU8::new(0),
        stolen: AtomicU8::new(0),
        contents: UnsafeCell::new(Contents {
            loaded: None,
            previous: None,
            exchanges: 0,
            acquires_then: 0,
        }),
        notes: Notes::NONE,
    };

    #[cfg(not(millpond_loom))]
    fn new() -> Self {
        Self::CLOSED
    }

    #[cfg(millpond_loom)]
    fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            gate: AtomicU8::new(0),
            previous_len: AtomicU8::new(0),
            stolen: AtomicU8::new(0),
            contents: UnsafeCell::new(Contents {
                loaded: None,
                previous: None,
                exchanges: 0,
                acquires_then: 0,
            }),
            notes: Notes::NONE,
        }
    }

    /// A closed cache without magazines.
    pub(crate) fn allocate() -> Option<NonNull<Self>> {
        let place = region::allocate(Layout::new::<Self>())?.cast::<Self>();
        // SAFETY: freshly allocated with the layout of a cache.
        unsafe { place.write(Self::new()) };
        Some(place)
    }

    /// Two empty magazines, or neither.
    pub(crate) fn magazines(rounds: usize) -> Option<(Magazine, Magazine)> {
        let loaded = Magazine::allocate(rounds)?;
        let Some(previous) = Magazine::allocate(rounds) else {
            // SAFETY: allocated above, known to nobody else.
            unsafe { loaded.free() };
            return None;
        };
        Some((loaded, previous))
    }

    /// Frees a cache and its magazines; the entries in them are forgotten.
    ///
    /// # Safety
    ///
    /// `cache` came from [`Cache::allocate`] and nobody uses it any more.
    pub(crate) unsafe fn free(cache: NonNull<Self>) {
        // SAFETY: live, and ours alone by the caller.
        let (loaded, previous) = unsafe { cache.as_ref() }.contents.with_mut(|contents| {
            // SAFETY: ours alone by the caller.
            let contents = unsafe { &mut *contents };
            (contents.loaded.take(), contents.previous.take())
        });
        for magazine in [loaded, previous].into_iter().flatten() {
            // SAFETY: it was this cache's own.
            unsafe { magazine.free() };
        }
        // SAFETY: as above; a cache has drop glue only in models.
        unsafe { cache.drop_in_place() };
        // SAFETY: allocated with this layout.
        unsafe { region::free(cache.cast(), Layout::new::<Self>()) };
    }

    // ---- The fast paths: owner only -------------------------------------

    /// Marks the owner as inside an operation and reads the gate. Answers the
    /// word without BUSY, and the gate.
    #[inline(always)]
    fn enter(&self) -> (u64, u8) {
        let word = self.word.load(Ordering::Relaxed);
        // Only the closed cache has many users, and so may be found busy.
        debug_assert!(
            word & BUSY == 0 || self.gate.load(Ordering::Relaxed) == 0,
            "a pool is used by a signal handler inside its own operation"
        );
        if !cfg!(millpond_no_reclaim) {
            self.word.store(word.wrapping_add(BUSY), Ordering::Relaxed);
            barrier::owner();
        }
        (word, self.gate.load(Ordering::Relaxed))
    }

    /// Ends an operation. Release, because a reclaimer that sees BUSY clear
    /// must see what happened to the magazine; and the last touch of the pool.
    ///
    /// Takes the word and not the cache: the pool may be freed before this
    /// returns, and an argument that refers to more than atomics must not
    /// outlive what it refers to.
    #[inline(always)]
    fn commit(place: &AtomicU64, word: u64) {
        place.store(word, Ordering::Release);
    }

    /// Pops the entry that was released last. `None`: there is none, or the gate
    /// is closed.
    ///
    /// # Safety
    ///
    /// The caller is the owner, or this is the closed cache.
    #[inline(always)]
    pub(crate) unsafe fn pop(&self) -> Option<Entry> {
        let (word, gate) = self.enter();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the length is the low byte"
        )]
        let top = (word as u8).wrapping_sub(1);
        // One test for "empty" (255 is below no gate) and for "closed".
        if top >= gate {
            Self::commit(&self.word, word);
            return None;
        }
        let entry = self.contents.with(|contents| {
            // SAFETY: by 3 the owner may read: BUSY is set and the gate open.
            let loaded = unsafe { (*contents).loaded };
            // SAFETY: by 4 it is present while the gate is open.
            let loaded = unsafe { loaded.unwrap_unchecked() };
            // SAFETY: by 4 `top` is below the length.
            unsafe { loaded.get(usize::from(top)) }
        });
        Self::commit(&self.word, word.wrapping_add(COUNT).wrapping_sub(1));
        Some(entry)
    }

    /// Pushes an entry; `false` if there is no room or the gate is closed.
    ///
    /// # Safety
    ///
    /// `cache` is alive until the item is home. The caller is the owner, or this
    /// is the closed cache; the item belongs to the caller and, after `true`, no
    /// longer does.
    #[inline(always)]
    pub(crate) unsafe fn push(cache: *const Self, entry: Entry) -> bool {
        // Not `&self`: a reference that is an argument promises that what it
        // points to outlives the call, and the pool may be freed right after
        // the commit, by another thread.
        // SAFETY: alive by the caller.
        let this = unsafe { &*cache };
        let (word, gate) = this.enter();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the length is the low byte"
        )]
        let len = word as u8;
        if len >= gate {
            Self::commit(&this.word, word);
            return false;
        }
        this.contents.with(|contents| {
            // SAFETY: by 3 the owner may read: BUSY is set and the gate open.
            let loaded = unsafe { (*contents).loaded };
            // SAFETY: by 4 it is present while the gate is open.
            let loaded = unsafe { loaded.unwrap_unchecked() };
            // SAFETY: by 4 the magazine has at least `gate` slots.
            unsafe { loaded.set(usize::from(len), entry) };
        });
        Self::commit(&this.word, word.wrapping_add(1));
        true
    }

    /// Pops up to `out.len()` entries of `loaded` under one look at the gate, the
    /// warmest first; answers how many. 0: there is none, or the gate is closed.
    ///
    /// # Safety
    ///
    /// As [`Cache::pop`].
    #[inline]
    pub(crate) unsafe fn pop_many(&self, out: &mut [MaybeUninit<Entry>]) -> usize {
        let (word, gate) = self.enter();
        let len = (word & LENGTH) as usize;
        let many = if gate == 0 { 0 } else { len.min(out.len()) };
        if many == 0 {
            Self::commit(&self.word, word);
            return 0;
        }
        self.contents.with(|contents| {
            // SAFETY: by 3 the owner may read: BUSY is set and the gate open.
            let loaded = unsafe { (*contents).loaded };
            // SAFETY: by 4 it is present while the gate is open.
            let loaded = unsafe { loaded.unwrap_unchecked() };
            for (place, index) in out[..many].iter_mut().rev().zip(len - many..) {
                // SAFETY: below the length (4).
                place.write(unsafe { loaded.get(index) });
            }
        });
        let moved = many as u64;
        Self::commit(&self.word, word.wrapping_add(COUNT * moved) - moved);
        many
    }

    /// Pushes the last entries of `entries`, as many as there is room for under
    /// one look at the gate, so that the first ends up warmest; answers how many.
    ///
    /// # Safety
    ///
    /// As [`Cache::push`], for each entry. Once all are home the pool may be
    /// gone.
    #[inline]
    pub(crate) unsafe fn push_many(cache: *const Self, entries: &[Entry]) -> usize {
        // SAFETY: alive by the caller; see `push` for why this is a pointer.
        let this = unsafe { &*cache };
        let (word, gate) = this.enter();
        let len = (word & LENGTH) as usize;
        let many = usize::from(gate).saturating_sub(len).min(entries.len());
        if many == 0 {
            Self::commit(&this.word, word);
            return 0;
        }
        this.contents.with(|contents| {
            // SAFETY: by 3 the owner may read: BUSY is set and the gate open.
            let loaded = unsafe { (*contents).loaded };
            // SAFETY: by 4 it is present while the gate is open.
            let loaded = unsafe { loaded.unwrap_unchecked() };
            for (&entry, index) in entries.iter().rev().take(many).zip(len..) {
                // SAFETY: by 4 the magazine has at least `gate` slots.
                unsafe { loaded.set(index, entry) };
            }
        });
        Self::commit(&this.word, word + many as u64);
        many
    }

    // ---- Between fast path and lock: owner only --------------------------

    /// Exchanges `loaded` and `previous` if that lets the operation go on
    /// without the lock, and runs it. `None` has left the operation: BUSY is
    /// clear and the caller may take the lock.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    pub(crate) unsafe fn pop_previous(&self) -> Option<Entry> {
        let (word, gate) = self.enter();
        if gate != 0 && word & LENGTH == 0 {
            let len = usize::from(self.previous_len.load(Ordering::Relaxed));
            if len > 0 {
                // SAFETY: by 3 the owner may touch: BUSY is set and the gate open.
                let loaded = unsafe { self.exchange(0) };
                // SAFETY: by 4 `len - 1` is below the length of what is loaded now.
                let entry = unsafe { loaded.get(len - 1) };
                Self::commit(&self.word, (word + COUNT) | (len as u64 - 1));
                return Some(entry);
            }
        }
        Self::commit(&self.word, word);
        None
    }

    /// As [`Cache::pop_previous`], for a release.
    ///
    /// # Safety
    ///
    /// As [`Cache::push`].
    pub(crate) unsafe fn push_previous(cache: *const Self, entry: Entry) -> bool {
        // SAFETY: alive by the caller; see `push` for why this is a pointer.
        let this = unsafe { &*cache };
        let (word, gate) = this.enter();
        let full = gate != 0 && word & LENGTH == u64::from(gate);
        if full && this.previous_len.load(Ordering::Relaxed) == 0 {
            // SAFETY: by 3 the owner may touch: BUSY is set and the gate open.
            let loaded = unsafe { this.exchange(gate) };
            // SAFETY: by 4 the magazine has at least one slot.
            unsafe { loaded.set(0, entry) };
            Self::commit(&this.word, (word & !LENGTH) | 1);
            return true;
        }
        Self::commit(&this.word, word);
        false
    }

    /// Takes the first lines of the items in a full `loaded` magazine into this
    /// core's possession, if the owner has only released since it last asked.
    ///
    /// Such a thread is at the receiving end of a stream. It has read the items,
    /// so their lines are shared with the core that wrote them, and there every
    /// line would have to be asked back one by one. A line that was written here
    /// last moves whole: 17 → 6 ns an item through a ring of bare pointers, 71 →
    /// 22 where the cores are far apart (November 2026, 2-core virtual machine,
    /// Zen 4).
    ///
    /// # Safety
    ///
    /// The caller is the owner and holds an item of this pool, and entries of
    /// this pool are addresses.
    pub(crate) unsafe fn claim(cache: *const Self) {
        // SAFETY: alive by the caller.
        let this = unsafe { &*cache };
        let (word, gate) = this.enter();
        if gate != 0 && word & LENGTH == u64::from(gate) {
            this.contents.with_mut(|contents| {
                // SAFETY: by 3 the owner may touch: BUSY is set and the gate open.
                let contents = unsafe { &mut *contents };
                let acquires = word / ONE_ACQUIRE;
                if core::mem::replace(&mut contents.acquires_then, acquires) != acquires {
                    return;
                }
                // SAFETY: by 4 it is present while the gate is open.
                let loaded = unsafe { contents.loaded.unwrap_unchecked() };
                for index in 0..usize::from(gate) {
                    // SAFETY: below the length (4).
                    let entry = unsafe { loaded.get(index) };
                    // SAFETY: by 4 the item belongs to nobody else.
                    unsafe { rewrite(entry.as_ptr().as_ptr().cast()) };
                }
            });
        }
        Self::commit(&this.word, word);
    }

    /// Exchanges the magazines; `len` is the length of what becomes `previous`.
    /// Answers what is loaded now.
    ///
    /// # Safety
    ///
    /// The contents are the caller's to touch, and the gate is open.
    unsafe fn exchange(&self, len: u8) -> Magazine {
        self.previous_len.store(len, Ordering::Relaxed);
        self.contents.with_mut(|contents| {
            // SAFETY: by the caller.
            let contents = unsafe { &mut *contents };
            core::mem::swap(&mut contents.loaded, &mut contents.previous);
            // SAFETY: by 4 both magazines are present while the gate is open.
            unsafe { contents.loaded.unwrap_unchecked() }
        })
    }

    // ---- Under the lock ---------------------------------------------------

    /// Opens the gate for `rounds` entries. Owner only, under the lock.
    pub(crate) fn open(&self, rounds: u8) {
        self.gate.store(rounds, Ordering::Relaxed);
    }

    /// Closes the gate. Under the lock; the barrier comes next.
    pub(crate) fn close(&self) {
        self.gate.store(0, Ordering::Relaxed);
    }

    /// Whether the owner is outside. Acquire: what it did is visible if so.
    pub(crate) fn is_idle(&self) -> bool {
        self.word.load(Ordering::Acquire) & BUSY == 0
    }

    /// The contents.
    ///
    /// # Safety
    ///
    /// The caller holds the lock, and is the owner outside of an operation, or
    /// has closed the gate, run the barrier and seen [`Cache::is_idle`]; and
    /// does not call this again inside `f`.
    pub(crate) unsafe fn contents<R>(&self, f: impl FnOnce(&mut Contents) -> R) -> R {
        self.contents.with_mut(|contents| {
            // SAFETY: by 3 and the caller there is one user.
            f(unsafe { &mut *contents })
        })
    }

    /// Length of `loaded` as the word has it: stale while `stolen` is set.
    pub(crate) fn len(&self) -> usize {
        (self.word.load(Ordering::Relaxed) & LENGTH) as usize
    }

    /// Sets the length. Owner only, under the lock.
    pub(crate) fn set_len(&self, len: usize) {
        let word = self.word.load(Ordering::Relaxed);
        self.word
            .store((word & !LENGTH & !BUSY) | len as u64, Ordering::Release);
    }

    /// Length of `previous`.
    pub(crate) fn previous_len(&self) -> usize {
        usize::from(self.previous_len.load(Ordering::Relaxed))
    }

    /// Sets the length of `previous`. Under the lock, by whoever may touch the
    /// contents.
    pub(crate) fn set_previous_len(&self, len: usize) {
        self.previous_len.store(
            u8::try_from(len).expect("at most LONGEST"),
            Ordering::Relaxed,
        );
    }

    /// Whether a reclaimer emptied the magazines behind the word's back.
    pub(crate) fn is_stolen(&self) -> bool {
        self.stolen.load(Ordering::Relaxed) != 0
    }

    /// Set by a reclaimer, cleared by the owner; both under the lock.
    pub(crate) fn set_stolen(&self, stolen: bool) {
        self.stolen.store(u8::from(stolen), Ordering::Relaxed);
    }

    /// What the owner noted. Only the owner notes.
    #[inline(always)]
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Acquires on the fast path so far.
    pub(crate) fn acquires(&self) -> u64 {
        self.word.load(Ordering::Relaxed) / ONE_ACQUIRE
    }

    /// Items inside, by a glance from outside: exact for a cache that is
    /// stopped, else within one magazine.
    pub(crate) fn items(&self) -> usize {
        if self.is_stolen() {
            return 0;
        }
        self.len() + self.previous_len()
    }

    /// Makes a cache whose owner no longer exists idle: in a forked child the
    /// commit that would have cleared BUSY never comes, and without it nothing
    /// happened.
    ///
    /// # Safety
    ///
    /// The calling thread is the only one in the process.
    pub(crate) unsafe fn abandon(&self) {
        let word = self.word.load(Ordering::Relaxed);
        self.word.store(word & !BUSY, Ordering::Relaxed);
    }
}

/// Writes the first byte of an item with what it is, in a way that no compiler
/// deletes and that says nothing of what the byte means: it may be part of a
/// value, and need not be initialised. Not where a tool was told that it is dead.
///
/// # Safety
///
/// `item` is the address of at least one byte that nobody else reads or writes.
#[inline(always)]
unsafe fn rewrite(item: *mut u8) {
    #[cfg(all(target_arch = "x86_64", not(miri), not(millpond_valgrind)))]
    // SAFETY: by the caller; the byte is what it was.
    unsafe {
        core::arch::asm!(
            "mov {byte}, byte ptr [{item}]",
            "mov byte ptr [{item}], {byte}",
            item = in(reg) item,
            byte = out(reg_byte) _,
            options(nostack, preserves_flags)
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri), not(millpond_valgrind))))]
    let _ = item;
}
