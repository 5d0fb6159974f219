//! Sequences of operations, read from bytes, on several leases at once: blocks of
//! the allocator interface, vectors that grow in turns, destructors, children,
//! resets, trims. The reference is a copy of every byte on the heap. The fuzz
//! target runs the same sequences.

use allocator_api2::alloc::Allocator;
use millpond_arena::{ArenaManager, ArenaVec, Diagnosis, Lease, Level, Scope, ScopeConfig, Wipe};
use millpond_core::budget::Budget;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

/// At most so many leases, and so many blocks and vectors in each.
const LEASES: usize = 3;
const BLOCKS: usize = 12;
const VECTORS: usize = 3;

/// What one lease may hold, and all of them together.
const LIMIT: usize = 96 << 10;
const BUDGET: usize = 240 << 10;

/// Numbers of the values with destructors that were dropped, in order.
type Log = Arc<Mutex<Vec<u64>>>;

/// Bytes as a source of decisions; zeroes once they are used up.
struct Script<'s>(&'s [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// Sizes on both sides of the threshold for large objects, which is 1 KiB.
    fn size(&mut self) -> usize {
        let fine = self.below(64);
        match self.below(8) {
            0 => 0,
            1..5 => fine * 4 + 1,
            5 => 1000 + fine,
            6 => fine * 150,
            _ => fine * 700,
        }
    }

    fn align(&mut self) -> usize {
        // Beyond 16 bumpalo aligns by arithmetic, which Miri's symbolic check does
        // not follow.
        const ALIGNS: [usize; 10] = [1, 8, 2, 16, 4, 8, 64, 4096, 32, 8192];
        let choices = if cfg!(miri) { 6 } else { ALIGNS.len() };
        ALIGNS[self.below(choices)]
    }
}

/// A block and what must be in it.
struct Block {
    at: NonNull<[u8]>,
    layout: Layout,
    expected: Vec<u8>,
}

impl Block {
    fn new(at: NonNull<[u8]>, layout: Layout, stamp: u8) -> Self {
        assert_eq!(
            at.cast::<u8>().addr().get() % layout.align(),
            0,
            "{layout:?}"
        );
        assert!(at.len() >= layout.size());
        let mut block = Self {
            at,
            layout,
            expected: Vec::new(),
        };
        block.stamp(0, stamp);
        block
    }

    /// Writes the bytes from `from` on; those before must be as expected.
    fn stamp(&mut self, from: usize, stamp: u8) {
        self.expected.truncate(from);
        for offset in from..self.layout.size() {
            let byte = stamp.wrapping_add(offset.to_le_bytes()[0].wrapping_mul(13));
            self.expected.push(byte);
        }
        let fresh = &self.expected[from..];
        // SAFETY: inside of the block.
        let place = unsafe { self.at.cast::<u8>().add(from) };
        // SAFETY: the block is the model's alone, and that long.
        unsafe {
            place
                .as_ptr()
                .copy_from_nonoverlapping(fresh.as_ptr(), fresh.len());
        };
    }

    fn bytes(&self, len: usize) -> &[u8] {
        // SAFETY: the block is the model's alone, that long, and written.
        unsafe { core::slice::from_raw_parts(self.at.as_ptr().cast(), len) }
    }

    fn check(&self) {
        assert_eq!(self.bytes(self.expected.len()), self.expected);
    }
}

/// Notes its number when it is dropped.
struct Noted(u64, Log);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.lock().expect("nobody panics with it").push(self.0);
    }
}

/// A lease with everything in it.
///
/// The vectors borrow the lease for what looks like ever: they go before it is
/// reset or dropped.
struct Held {
    vectors: Vec<(ArenaVec<'static, u32>, Vec<u32>)>,
    blocks: Vec<Block>,
    /// Numbers of the destructors that are due, in order of their allocation.
    due: Vec<u64>,
    lease: NonNull<Lease<'static>>,
}

impl Held {
    fn new(lease: Lease<'static>) -> Self {
        Self {
            vectors: Vec::new(),
            blocks: Vec::new(),
            due: Vec::new(),
            lease: NonNull::from(Box::leak(Box::new(lease))),
        }
    }

    fn lease(&self) -> &'static Lease<'static> {
        // SAFETY: alive until `end`; whatever borrows it goes before.
        unsafe { self.lease.as_ref() }
    }

    fn check(&self) {
        self.blocks.iter().for_each(Block::check);
        for (ours, theirs) in &self.vectors {
            assert_eq!(ours, theirs);
        }
        assert!(self.lease().held_bytes() <= LIMIT);
        assert!(self.lease().used_bytes() <= self.lease().held_bytes());
    }

    /// What the destructors must have noted when everything ends.
    fn forget(&mut self) -> Vec<u64> {
        self.vectors.clear();
        self.blocks.clear();
        let mut due = core::mem::take(&mut self.due);
        due.reverse();
        due
    }

    fn reset(&mut self, log: &Log) {
        let due = self.forget();
        // SAFETY: nothing borrows it any more.
        unsafe { self.lease.as_mut() }.reset();
        assert_eq!(taken(log), due, "last in, first out");
        assert_eq!(self.lease().used_bytes(), 0);
    }

    fn end(mut self, log: &Log) {
        let due = self.forget();
        // SAFETY: leaked by `new`, and nothing borrows it any more.
        drop(unsafe { Box::from_raw(self.lease.as_ptr()) });
        assert_eq!(taken(log), due, "last in, first out");
    }
}

fn taken(log: &Log) -> Vec<u64> {
    core::mem::take(&mut *log.lock().expect("nobody panics with it"))
}

fn manager(budget: &Budget) -> (ArenaManager, [Scope; 2]) {
    let plain = ScopeConfig::of(4096).with_limit(LIMIT).with_parked(2);
    let mut builder = ArenaManager::builder();
    let scopes = [
        builder.own_scope("plain", plain),
        builder.own_scope("wiped", plain.with_wipe(Wipe::Zero)),
    ];
    let manager = builder.budget(budget).build().expect("figures that agree");
    (manager, scopes)
}

/// Runs the sequence that `script` describes, and compares after each step.
pub(crate) fn run(script: &[u8]) {
    let mut script = Script(script);
    let budget = Budget::new("all", BUDGET);
    let (manager, scopes) = manager(&budget);
    let log = Log::default();
    let mut held: Vec<Held> = Vec::new();
    let mut ended = 0;
    while !script.0.is_empty() {
        let operation = script.below(16);
        if held.is_empty() || (operation == 0 && held.len() < LEASES) {
            match manager.lease(scopes[script.below(2)]) {
                Ok(lease) => held.push(Held::new(lease)),
                Err(_) => assert!(!held.is_empty(), "there is room for one"),
            }
        } else if operation == 1 {
            let index = script.below(held.len());
            held.swap_remove(index).end(&log);
            ended += 1;
        } else if operation == 2 {
            ended += change_the_manager(&manager, scopes, &mut script);
        } else {
            let index = script.below(held.len());
            ended += step(&mut held[index], operation, &mut script, &log);
        }
        held.iter().for_each(Held::check);
        assert!(budget.held() <= BUDGET);
    }
    ended += held.len() as u64;
    held.into_iter().for_each(|held| held.end(&log));
    finish(&manager, scopes, ended);
    drop(manager);
    assert_eq!(budget.held(), 0, "everything was refunded");
}

/// What must be true when every lease has ended.
fn finish(manager: &ArenaManager, scopes: [Scope; 2], ended: u64) {
    let stats = scopes.map(|scope| manager.scope_stats(scope).expect("ours"));
    assert_eq!(stats.iter().map(|stats| stats.leases).sum::<u64>(), ended);
    for stats in stats {
        assert_eq!(stats.live, 0);
        assert!(stats.parked <= 2, "{stats:?}");
        assert!(stats.parked_bytes <= 2 * 4 * 4096, "{stats:?}");
    }
    manager.trim(Level::Full);
    for scope in scopes {
        let stats = manager.scope_stats(scope).expect("ours");
        assert_eq!((stats.parked, stats.parked_bytes), (0, 0));
    }
}

/// Answers how many leases ended meanwhile.
fn change_the_manager(manager: &ArenaManager, scopes: [Scope; 2], script: &mut Script<'_>) -> u64 {
    match script.below(8) {
        0 => drop(manager.trim(Level::Light)),
        1 => drop(manager.trim(Level::Full)),
        2 => manager.set_diagnosis(Diagnosis::Full),
        3 => manager.set_diagnosis(Diagnosis::Off),
        4..7 => drop(manager.maintain()),
        _ => {
            let ended = manager.with(scopes[script.below(2)], |lease| {
                lease.alloc([7u8; 100]).map(|_| ())
            });
            return u64::from(ended.is_ok());
        }
    }
    0
}

/// One operation on one of the leases; answers how many others ended meanwhile.
fn step(held: &mut Held, operation: usize, script: &mut Script<'_>, log: &Log) -> u64 {
    match operation {
        3..6 => allocate(held, script),
        6..9 => resize(held, script),
        9 => deallocate(held, script),
        10..13 => extend(held, script),
        13 => leave_a_destructor(held, script, log),
        14 => return look_into_a_child(held, script),
        _ if script.below(4) == 0 => held.reset(log),
        _ => unbind(held, script),
    }
    0
}

fn allocate(held: &mut Held, script: &mut Script<'_>) {
    if held.blocks.len() == BLOCKS {
        return deallocate(held, script);
    }
    let layout = Layout::from_size_align(script.size(), script.align()).expect("small");
    let zeroed = script.below(3) == 0;
    let at = match zeroed {
        true => held.lease().allocate_zeroed(layout),
        false => held.lease().allocate(layout),
    };
    let Ok(at) = at else {
        return assert!(layout.size() > 0, "nothing always fits");
    };
    if zeroed {
        // SAFETY: that long, and zeroed, so written.
        let bytes: &[u8] =
            unsafe { core::slice::from_raw_parts(at.as_ptr().cast(), layout.size()) };
        assert!(bytes.iter().all(|&byte| byte == 0));
    }
    held.blocks.push(Block::new(at, layout, script.byte()));
}

fn deallocate(held: &mut Held, script: &mut Script<'_>) {
    if held.blocks.is_empty() {
        return;
    }
    let index = script.below(held.blocks.len());
    let block = held.blocks.swap_remove(index);
    // SAFETY: allocated from this lease with this layout, and forgotten.
    unsafe { held.lease().deallocate(block.at.cast(), block.layout) };
}

fn resize(held: &mut Held, script: &mut Script<'_>) {
    if held.blocks.is_empty() {
        return;
    }
    let index = script.below(held.blocks.len());
    let lease = held.lease();
    let block = &mut held.blocks[index];
    let (size, align) = (script.size(), script.align());
    let new = Layout::from_size_align(size, align).expect("small");
    let (at, old) = (block.at.cast::<u8>(), block.layout);
    let zeroed = script.below(3) == 0;
    let resized = match size >= old.size() {
        // SAFETY: allocated with this layout, and larger now.
        true if zeroed => unsafe { lease.grow_zeroed(at, old, new) },
        // SAFETY: as above.
        true => unsafe { lease.grow(at, old, new) },
        // SAFETY: as above, smaller.
        false => unsafe { lease.shrink(at, old, new) },
    };
    // A block that could not be resized is as it was; `check` looks.
    let Ok(at) = resized else { return };
    assert_eq!(at.cast::<u8>().addr().get() % align, 0);
    let kept = old.size().min(size);
    block.expected.truncate(kept);
    (block.at, block.layout) = (at, new);
    block.check();
    if zeroed && size > kept {
        assert!(block.bytes(size)[kept..].iter().all(|&byte| byte == 0));
    }
    block.stamp(kept, script.byte());
}

fn extend(held: &mut Held, script: &mut Script<'_>) {
    if held.vectors.is_empty() || (held.vectors.len() < VECTORS && script.below(4) == 0) {
        held.vectors.push((held.lease().vec(), Vec::new()));
    }
    let index = script.below(held.vectors.len());
    let (ours, theirs) = &mut held.vectors[index];
    let word = u32::from(script.byte());
    match script.below(8) {
        0..3 => {
            if ours.push(word).is_ok() {
                theirs.push(word);
            }
        }
        3..6 => {
            let words: Vec<u32> = (0..word * 2).collect();
            if ours.extend_from_slice(&words).is_ok() {
                theirs.extend(words);
            }
        }
        6 => assert_eq!(ours.pop(), theirs.pop()),
        _ => {
            let len = theirs.len() / 2;
            ours.truncate(len);
            theirs.truncate(len);
        }
    }
}

/// Takes a vector from its lease, and gives it back.
fn unbind(held: &mut Held, script: &mut Script<'_>) {
    let lease = held.lease();
    let Some((ours, mut theirs)) = held.vectors.pop() else {
        return;
    };
    let mut ours = ours.unbind();
    let words = [u32::from(script.byte()); 30];
    if ours.extend_from_slice(lease, &words).is_ok() {
        theirs.extend(words);
    }
    let ours = ours.bind(lease).expect("the same lease");
    held.vectors.push((ours, theirs));
}

fn leave_a_destructor(held: &mut Held, script: &mut Script<'_>, log: &Log) {
    let number = u64::from(script.byte());
    let noted = Noted(number, Arc::clone(log));
    let left = match script.below(3) {
        0 => held.lease().defer(move || drop(noted)).is_ok(),
        1 => held.lease().alloc_drop((noted, [1u8; 2000])).is_ok(),
        _ => held.lease().alloc_drop(noted).is_ok(),
    };
    if left {
        held.due.push(number);
    } else {
        assert_eq!(taken(log), [number], "a value that is refused is dropped");
    }
}

/// A child comes and goes while its parent has blocks. Answers how many did.
fn look_into_a_child(held: &mut Held, script: &mut Script<'_>) -> u64 {
    let Ok(child) = held.lease().child() else {
        return 0;
    };
    let byte = script.byte();
    if let Ok(inside) = child.alloc_slice_fill_copy(script.size(), byte) {
        allocate(held, script);
        assert!(inside.iter().all(|&other| other == byte));
    }
    1
}
