//! Budgets: how many bytes a tree of pools may hold at once.
//!
//! ```
//! use millpond_core::budget::Budget;
//!
//! let pond = Budget::new("pond", 1 << 20);
//! let arenas = pond.child("arenas", 512 << 10);
//!
//! let chunk = arenas.try_charge(256 << 10)?;
//! assert_eq!(pond.held(), 256 << 10);
//!
//! let refused = arenas.try_charge(300 << 10).unwrap_err();
//! assert_eq!(&*refused.name, "arenas");
//!
//! drop(chunk); // The receipt refunds.
//! assert_eq!(pond.held(), 0);
//! # Ok::<(), millpond_core::budget::BudgetExceeded>(())
//! ```
//!
//! ```text
//!   pond      limit 1024   held 700 = 300 + 400        one lock for the tree
//!   ├─ arenas limit  512   held 300
//!   └─ bytes  limit  800   held 400 = 400 + 0
//!      ├─ 4 KiB  no limit  held 400
//!      └─ 64 KiB no limit  held   0
//!
//!   charge ─► lock ─► every node on the way up has room? ─yes─► add, unlock
//!                          │ no: the first that has none
//!                          ▼
//!                     unlock, ask one member under that node to give bytes
//!                     back, lock, look again … until it fits or a whole round
//!                     of members gave nothing
//! ```
//!
//! # Cost
//!
//! A charge or refund is one uncontended lock and a few additions for each
//! level of nesting. Both happen when memory is created or given back to the
//! system, never when an item is acquired or released.
//!
//! # What is guaranteed
//!
//! At no instant does a node hold more than its limit, unless the limit was
//! lowered under what was held already. A charge is refused only if at some
//! instant during the call a node on the way up had no room for it: the whole
//! tree shares one lock, because separate counters that are rolled back would
//! refuse others falsely in between.
//!
//! # When it runs out
//!
//! A refused charge trims before it fails: everybody who registered as
//! [`Reclaim`] under the node that refused is asked in turn, with no lock held.
//! [`BudgetExceeded`] names the node that refused, its limit and what it held.
//!
//! # Threads
//!
//! A [`Budget`] is a handle: clone it, send it, share it.
//!
//! # What it is not for
//!
//! Counting items, or anything on a fast path.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

#[cfg(not(miri))]
use parking_lot::{Mutex, MutexGuard};
#[cfg(miri)]
use std::sync::{Mutex, MutexGuard};

/// Rounds of asking every member before a charge is refused although the last
/// round gave something back.
///
/// One round is the usual case: a member gives what it has. More help when a
/// member gives in portions or other threads take what was freed. The bound is
/// there for a member that claims progress and makes none.
const MAX_ROUNDS: usize = 8;

/// Something that can give bytes back when a charge would be refused.
pub trait Reclaim: Send + Sync {
    /// Gives back about `bytes_wanted` bytes, or what there is, and answers how
    /// many it gave back: 0 says that there is nothing.
    ///
    /// Give them back *through the budget*: the caller looks at the budget again
    /// and not at the answer, which only says whether asking again makes sense.
    ///
    /// Called with no lock of the budget held, on the thread whose charge was
    /// refused, which may be a thread that is growing this very pool: hold no
    /// lock of your own while you charge. A charge made in here is refused
    /// without trimming, so nobody is re-entered.
    fn reclaim(&self, bytes_wanted: usize) -> usize;
}

/// A limit on the bytes held at once, inside the limits above it.
///
/// A cheap handle: clones are the same budget. A budget lives as long as a
/// handle, a [`Charge`], a [`Membership`] or a child of it does.
#[derive(Clone)]
pub struct Budget {
    node: Arc<Node>,
}

/// One budget of a tree; dropping the last handle removes its entry.
struct Node {
    tree: Arc<Tree>,
    key: usize,
    name: Arc<str>,
    parent: Option<Budget>,
}

/// What the budgets from one root down share.
struct Tree {
    state: Mutex<State>,
}

/// The figures of a tree.
///
/// # Invariants
///
/// 1. An entry exists exactly as long as its `Node`; its parent's entry
///    outlives it.
/// 2. `held` of an entry is what was charged to it directly plus what was
///    charged to its children, those that are gone included.
/// 3. `vacant` holds the free positions of `entries`, and has room for all of
///    them, so that removing one never allocates.
/// 4. Members belong to entries that exist.
struct State {
    entries: Vec<Option<Entry>>,
    vacant: Vec<usize>,
    members: BTreeMap<u64, Member>,
    next_member: u64,
    /// Where the next round of asking begins, so that the same member is not
    /// always the first to lose its caches.
    turn: u64,
}

struct Entry {
    name: Arc<str>,
    parent: Option<usize>,
    limit: usize,
    held: usize,
    high_water: usize,
    refusals: u64,
    reclaimed_bytes: usize,
}

struct Member {
    key: usize,
    reclaim: Weak<dyn Reclaim>,
}

/// A charge that does not fit: where, and by how much.
struct Refusal {
    key: usize,
    error: BudgetExceeded,
    /// Bytes that must be given back first; `None` if that cannot help, because
    /// the charge exceeds the limit itself.
    shortfall: Option<usize>,
}

impl Budget {
    /// A root budget: nothing above it.
    ///
    /// `name` appears in errors and reports. A limit of `usize::MAX` is none;
    /// a limit of 0 refuses everything.
    #[must_use]
    pub fn new(name: &str, limit_bytes: usize) -> Self {
        let tree = Arc::new(Tree {
            state: Mutex::new(State {
                entries: Vec::new(),
                vacant: Vec::new(),
                members: BTreeMap::new(),
                next_member: 0,
                turn: 0,
            }),
        });
        Self::insert(tree, None, name, limit_bytes)
    }

    /// A budget inside this one. What it holds, this one holds too.
    ///
    /// The limit may exceed this one's: then this one refuses first.
    #[must_use]
    pub fn child(&self, name: &str, limit_bytes: usize) -> Self {
        let tree = Arc::clone(&self.node.tree);
        Self::insert(tree, Some(self.clone()), name, limit_bytes)
    }

    fn insert(tree: Arc<Tree>, parent: Option<Self>, name: &str, limit: usize) -> Self {
        let name: Arc<str> = Arc::from(name);
        let entry = Entry {
            name: Arc::clone(&name),
            parent: parent.as_ref().map(|parent| parent.node.key),
            limit,
            held: 0,
            high_water: 0,
            refusals: 0,
            reclaimed_bytes: 0,
        };
        let key = tree.lock().insert(entry);
        Self {
            node: Arc::new(Node {
                tree,
                key,
                name,
                parent,
            }),
        }
    }

    /// Charges `bytes` here and to every budget above, and returns the receipt.
    ///
    /// If there is no room, members are asked to give bytes back first; no lock
    /// is held meanwhile. Charging 0 bytes always succeeds.
    ///
    /// # Errors
    ///
    /// [`BudgetExceeded`] if a budget on the way up has no room and nobody under
    /// it could make any, or if the sum would overflow.
    pub fn try_charge(&self, bytes: usize) -> Result<Charge, BudgetExceeded> {
        self.charge_bytes(bytes)?;
        Ok(Charge {
            budget: self.clone(),
            bytes,
        })
    }

    /// Charges `bytes` without a receipt, for owners that keep their own sum.
    ///
    /// Every byte must come back by [`Budget::refund_bytes`].
    ///
    /// # Errors
    ///
    /// As [`Budget::try_charge`].
    pub fn charge_bytes(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        self.state(|state| state.charge(self.node.key, bytes))
            .or_else(|refusal| self.charge_after_reclaim(bytes, refusal))
    }

    /// As [`Budget::charge_bytes`], but asks nobody to give bytes back: for
    /// callers that hold a lock. To make room, let go of the lock and charge
    /// with a receipt that is dropped at once.
    ///
    /// # Errors
    ///
    /// As [`Budget::try_charge`].
    pub fn charge_now(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        self.state(|state| state.charge(self.node.key, bytes))
            .map_err(|refusal| refusal.error)
    }

    /// As [`Budget::charge_now`], with a receipt: for what is refunded if something
    /// goes wrong after it was charged, foreign code that panics for example.
    ///
    /// # Errors
    ///
    /// As [`Budget::try_charge`].
    pub fn try_charge_now(&self, bytes: usize) -> Result<Charge, BudgetExceeded> {
        self.charge_now(bytes)?;
        Ok(Charge {
            budget: self.clone(),
            bytes,
        })
    }

    /// Refunds `bytes` that [`Budget::charge_bytes`] charged, here and to every
    /// budget above.
    ///
    /// More than is held is a bug of the caller: an assertion in debug builds,
    /// clamped to what is held otherwise.
    pub fn refund_bytes(&self, bytes: usize) {
        let refunded = self.state(|state| state.refund(self.node.key, bytes));
        debug_assert!(
            refunded == bytes,
            "refund of {bytes} bytes to budget `{}`, which held {refunded}",
            self.name()
        );
    }

    /// The cold half of a charge: trim, look again, and only then fail.
    #[cold]
    fn charge_after_reclaim(&self, bytes: usize, refusal: Refusal) -> Result<(), BudgetExceeded> {
        let outcome = match Reclaiming::enter() {
            Some(_asking) => self.ask_until_it_fits(bytes, refusal),
            None => Err(refusal),
        };
        outcome.map_err(|refusal| {
            self.state(|state| state.entry(refusal.key).refusals += 1);
            refusal.error
        })
    }

    /// Rounds of asking members, with a look at the budget after each answer.
    fn ask_until_it_fits(&self, bytes: usize, mut refusal: Refusal) -> Result<(), Refusal> {
        for _ in 0..MAX_ROUNDS {
            let mut progress = false;
            let mut round = self.begin_round();
            while let Some(shortfall) = refusal.shortfall {
                let Some(member) = self.next_member(&mut round, refusal.key) else {
                    break;
                };
                let given = member.reclaim(shortfall);
                // Perhaps the last handle: its destructor may refund.
                drop(member);
                match self.charge_again(bytes, refusal.key, given) {
                    Ok(()) => return Ok(()),
                    Err(again) => {
                        // When another budget refuses now, this round has not
                        // asked all the members under that one.
                        progress |= given > 0 || again.key != refusal.key;
                        refusal = again;
                    }
                }
            }
            if !progress {
                break;
            }
        }
        Err(refusal)
    }

    fn charge_again(&self, bytes: usize, refused: usize, given: usize) -> Result<(), Refusal> {
        self.state(|state| {
            let refused = state.entry(refused);
            refused.reclaimed_bytes = refused.reclaimed_bytes.saturating_add(given);
            state.charge(self.node.key, bytes)
        })
    }

    /// Asks the members under this budget, each once, until they have given
    /// back `bytes_wanted`. Answers how much they say they gave.
    ///
    /// Nothing happens on a thread that is inside a [`Reclaim::reclaim`]
    /// already.
    #[allow(
        clippy::must_use_candidate,
        reason = "called for its effect; the figure is for reports"
    )]
    pub fn reclaim(&self, bytes_wanted: usize) -> usize {
        let Some(_guard) = Reclaiming::enter() else {
            return 0;
        };
        let mut given = 0_usize;
        let mut round = self.begin_round();
        while given < bytes_wanted {
            let Some(member) = self.next_member(&mut round, self.node.key) else {
                break;
            };
            given = given.saturating_add(member.reclaim(bytes_wanted - given));
        }
        self.state(|state| {
            let entry = state.entry(self.node.key);
            entry.reclaimed_bytes = entry.reclaimed_bytes.saturating_add(given);
        });
        given
    }

    fn begin_round(&self) -> Round {
        self.state(|state| Round {
            end: state.turn,
            next: state.turn,
            wrapped: false,
        })
    }

    fn next_member(&self, round: &mut Round, under: usize) -> Option<Arc<dyn Reclaim>> {
        self.state(|state| state.next_member(round, under))
    }

    /// Registers somebody who can give bytes back when this budget, or one
    /// above it, would refuse. Ends when the membership is dropped.
    #[must_use = "dropping the membership ends it"]
    pub fn register(&self, reclaim: Weak<dyn Reclaim>) -> Membership {
        let id = self.state(|state| {
            let id = state.next_member;
            state.next_member += 1;
            let key = self.node.key;
            state.members.insert(id, Member { key, reclaim });
            id
        });
        Membership {
            budget: self.clone(),
            id,
        }
    }

    /// The name given at creation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.node.name
    }

    /// The budget that this one is inside of.
    #[must_use]
    pub fn parent(&self) -> Option<&Self> {
        self.node.parent.as_ref()
    }

    /// Bytes held here and in everything below.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state(|state| state.entry(self.node.key).held)
    }

    /// Most bytes ever held at once.
    #[must_use]
    pub fn high_water(&self) -> usize {
        self.state(|state| state.entry(self.node.key).high_water)
    }

    /// Most bytes that may be held at once.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.state(|state| state.entry(self.node.key).limit)
    }

    /// Changes the limit.
    ///
    /// Nothing is taken from anybody: if more is held, charges are refused until
    /// enough has come back. [`Budget::reclaim`] asks for the excess.
    pub fn set_limit(&self, limit_bytes: usize) {
        self.state(|state| state.entry(self.node.key).limit = limit_bytes);
    }

    /// The figures of this budget and of everything below, taken at one instant.
    #[must_use]
    pub fn snapshot(&self) -> BudgetSnapshot {
        let mut rows = self.state(|state| state.rows());
        // Invariant 1: the entry of a live handle exists.
        subtree(&mut rows, self.node.key).unwrap_or_else(|| unreachable!("a live budget"))
    }

    /// Runs a few lines under the tree's lock.
    fn state<R>(&self, run: impl FnOnce(&mut State) -> R) -> R {
        run(&mut self.node.tree.lock())
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.node, &other.node)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("name", &self.name())
            .field("limit", &self.limit())
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut state = self.tree.lock();
        // Bytes that are still held stay counted above: whoever charged them
        // has not given them back, so the process still has them.
        let entry = state.entries[self.key].take();
        debug_assert!(entry.is_some(), "invariant 1: a node owns its entry");
        state.vacant.push(self.key);
        drop(state);
        drop(entry);
    }
}

impl Tree {
    #[cfg(not(miri))]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Miri refuses the system call by which `parking_lot` 0.12 parks a thread
    /// (the type of an argument), so it gets the standard lock.
    #[cfg(miri)]
    fn lock(&self) -> MutexGuard<'_, State> {
        use std::sync::PoisonError;
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// No user code runs under the lock, so a panic never leaves a tree half changed.
impl core::panic::RefUnwindSafe for Tree {}

impl State {
    fn insert(&mut self, entry: Entry) -> usize {
        if let Some(key) = self.vacant.pop() {
            self.entries[key] = Some(entry);
            return key;
        }
        self.entries.push(Some(entry));
        // Invariant 3. `vacant` is empty here.
        self.vacant.reserve(self.entries.len());
        self.entries.len() - 1
    }

    fn entry(&mut self, key: usize) -> &mut Entry {
        match &mut self.entries[key] {
            Some(entry) => entry,
            None => unreachable!("invariant 1: the entry of a live budget exists"),
        }
    }

    /// All or nothing, from the budget itself up to the root.
    fn charge(&mut self, key: usize, bytes: usize) -> Result<(), Refusal> {
        let mut next = Some(key);
        while let Some(key) = next {
            let entry = self.entry(key);
            if bytes > entry.room() && bytes > 0 {
                return Err(entry.refuse(key, bytes));
            }
            next = entry.parent;
        }
        let mut next = Some(key);
        while let Some(key) = next {
            let entry = self.entry(key);
            // Cannot overflow: what fits under the limit fits in a `usize`.
            entry.held += bytes;
            entry.high_water = entry.high_water.max(entry.held);
            next = entry.parent;
        }
        Ok(())
    }

    /// Answers the bytes refunded: what was asked for, or all there was.
    fn refund(&mut self, key: usize, bytes: usize) -> usize {
        let bytes = bytes.min(self.entry(key).held);
        let mut next = Some(key);
        while let Some(key) = next {
            let entry = self.entry(key);
            // By invariant 2 a parent holds what its child holds.
            entry.held -= bytes;
            next = entry.parent;
        }
        bytes
    }

    /// Whether `key` is `ancestor` or below it.
    fn is_under(&self, key: usize, ancestor: usize) -> bool {
        let mut next = Some(key);
        while let Some(key) = next {
            if key == ancestor {
                return true;
            }
            next = self.entries[key].as_ref().and_then(|entry| entry.parent);
        }
        false
    }

    /// The next member under `ancestor` that is still alive, each once a round.
    fn next_member(&mut self, round: &mut Round, ancestor: usize) -> Option<Arc<dyn Reclaim>> {
        loop {
            let until = if round.wrapped { round.end } else { u64::MAX };
            let found = self
                .members
                .range(round.next..until.max(round.next))
                .filter(|(_, member)| self.is_under(member.key, ancestor))
                .find_map(|(&id, member)| Some((id, member.reclaim.upgrade()?)));
            if let Some((id, member)) = found {
                round.next = id + 1;
                self.turn = id + 1;
                return Some(member);
            }
            if round.wrapped {
                return None;
            }
            round.wrapped = true;
            round.next = 0;
        }
    }

    fn rows(&self) -> Vec<Option<Row>> {
        let row = |entry: &Entry| Row {
            parent: entry.parent,
            snapshot: BudgetSnapshot {
                name: Arc::clone(&entry.name),
                limit: entry.limit,
                held: entry.held,
                high_water: entry.high_water,
                refusals: entry.refusals,
                reclaimed_bytes: entry.reclaimed_bytes,
                children: Vec::new(),
            },
        };
        self.entries
            .iter()
            .map(|entry| entry.as_ref().map(row))
            .collect()
    }
}

impl Entry {
    const fn room(&self) -> usize {
        self.limit.saturating_sub(self.held)
    }

    fn refuse(&self, key: usize, requested: usize) -> Refusal {
        Refusal {
            key,
            // `limit - requested` may be held for the charge to fit; more is.
            shortfall: self
                .limit
                .checked_sub(requested)
                .map(|most| self.held - most),
            error: BudgetExceeded {
                name: Arc::clone(&self.name),
                limit: self.limit,
                held: self.held,
                requested,
            },
        }
    }
}

/// A walk over the members of a tree, once around from where the last one
/// stopped.
struct Round {
    next: u64,
    end: u64,
    wrapped: bool,
}

/// Marks a thread that is asking members, until dropped.
struct Reclaiming(());

std::thread_local! {
    static RECLAIMING: Cell<bool> = const { Cell::new(false) };
}

impl Reclaiming {
    /// `None` if this thread is asking already.
    fn enter() -> Option<Self> {
        let entered = RECLAIMING.try_with(|reclaiming| !reclaiming.replace(true));
        // Lazily: a value that is dropped unused would clear the mark.
        entered.unwrap_or(false).then(|| Self(()))
    }
}

/// Runs `work`, in which a full budget refuses without asking its members: the
/// caller holds a lock that they may want.
pub(crate) fn without_asking<R>(work: impl FnOnce() -> R) -> R {
    let _asking = Reclaiming::enter();
    work()
}

impl Drop for Reclaiming {
    fn drop(&mut self) {
        // The variable has no destructor, so it is there as long as the thread.
        let _ = RECLAIMING.try_with(|reclaiming| reclaiming.set(false));
    }
}

/// A receipt for bytes charged to a [`Budget`]; refunds them when dropped.
#[must_use = "dropping the receipt refunds the bytes"]
pub struct Charge {
    budget: Budget,
    bytes: usize,
}

impl Charge {
    /// Bytes that this receipt stands for.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The budget that was charged.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Charges `bytes` more.
    ///
    /// # Errors
    ///
    /// As [`Budget::try_charge`]; the receipt is unchanged.
    pub fn grow(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        self.budget.charge_bytes(bytes)?;
        // Cannot overflow: the budget holds the sum.
        self.bytes += bytes;
        Ok(())
    }

    /// Refunds `bytes` of this receipt.
    ///
    /// More than it stands for is a bug of the caller: an assertion in debug
    /// builds, clamped otherwise.
    pub fn shrink(&mut self, bytes: usize) {
        debug_assert!(
            bytes <= self.bytes,
            "refund of {bytes} bytes from a receipt for {}",
            self.bytes
        );
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.refund_bytes(bytes);
    }

    /// Moves `bytes` into a receipt of their own; `None` if there are fewer.
    pub fn split(&mut self, bytes: usize) -> Option<Self> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(Self {
            budget: self.budget.clone(),
            bytes,
        })
    }

    /// Takes another receipt of the same budget into this one.
    ///
    /// # Errors
    ///
    /// The other receipt is handed back if it belongs to another budget.
    pub fn merge(&mut self, mut other: Self) -> Result<(), Self> {
        if !self.budget.is_same(&other.budget) {
            return Err(other);
        }
        self.bytes += core::mem::take(&mut other.bytes);
        Ok(())
    }

    /// Gives up the receipt without a refund: the bytes now are the caller's to
    /// refund by [`Budget::refund_bytes`].
    #[must_use = "these bytes must be refunded by hand"]
    pub fn into_bytes(mut self) -> usize {
        core::mem::take(&mut self.bytes)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.refund_bytes(self.bytes);
        }
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge")
            .field("budget", &self.budget.name())
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// A registration as somebody who can give bytes back; ends when dropped.
///
/// A member that is being asked at that moment on another thread still finishes
/// its answer.
#[must_use = "dropping the membership ends it"]
pub struct Membership {
    budget: Budget,
    id: u64,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let member = self.budget.state(|state| state.members.remove(&self.id));
        // Freed after unlocking.
        drop(member);
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("budget", &self.budget.name())
            .field("id", &self.id)
            .finish()
    }
}

/// A charge was refused: a budget would have held more than its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetExceeded {
    /// The budget that refused, which may be one above the one charged.
    pub name: Arc<str>,
    /// Its limit, in bytes.
    pub limit: usize,
    /// What it held, in bytes.
    pub held: usize,
    /// What was asked for, in bytes.
    pub requested: usize,
}

impl fmt::Display for BudgetExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "budget `{}` refused {} bytes: it holds {} of {}",
            self.name, self.requested, self.held, self.limit
        )
    }
}

impl core::error::Error for BudgetExceeded {}

impl From<BudgetExceeded> for std::io::Error {
    fn from(error: BudgetExceeded) -> Self {
        Self::new(std::io::ErrorKind::OutOfMemory, error)
    }
}

/// The figures of a budget at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetSnapshot {
    /// The name given at creation.
    pub name: Arc<str>,
    /// Most bytes that may be held.
    pub limit: usize,
    /// Bytes held here and in everything below.
    pub held: usize,
    /// Most bytes ever held at once.
    pub high_water: usize,
    /// Charges that this budget refused for good.
    pub refusals: u64,
    /// Bytes that members said they gave back because this budget had no room,
    /// or was told to reclaim.
    pub reclaimed_bytes: usize,
    /// The budgets inside, in no particular order.
    pub children: Vec<BudgetSnapshot>,
}

struct Row {
    parent: Option<usize>,
    snapshot: BudgetSnapshot,
}

/// Takes `key` and everything below out of the rows.
fn subtree(rows: &mut [Option<Row>], key: usize) -> Option<BudgetSnapshot> {
    let mut snapshot = rows[key].take()?.snapshot;
    for child in 0..rows.len() {
        let is_child = rows[child]
            .as_ref()
            .is_some_and(|row| row.parent == Some(key));
        if is_child {
            snapshot.children.extend(subtree(rows, child));
        }
    }
    Some(snapshot)
}

#[cfg(test)]
mod tests;
