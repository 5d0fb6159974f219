//! An allocator for tests: it counts, fails on command, and compares the layout
//! of every deallocation with that of its allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::ptr::NonNull;

/// Install it in a test binary:
///
/// ```
/// use millpond_testing::{TestAllocator, count};
///
/// #[global_allocator]
/// static ALLOCATOR: TestAllocator = TestAllocator::new();
///
/// let (_, counts) = count(|| drop(Box::new(5)));
/// assert_eq!((counts.allocations, counts.deallocations), (1, 1));
/// ```
///
/// Everything is per thread, so that tests that run at the same time do not
/// disturb each other.
///
/// Each block is preceded by a note of its layout. A deallocation or
/// reallocation with another layout, of a block that was freed already or that
/// was never allocated ends the process with a message.
///
/// ```text
///   ┌───────────┬──────┬───────┬───────┬───────────────────────┐
///   │  padding  │ size │ align │ seal  │ the block             │
///   └───────────┴──────┴───────┴───────┴───────────────────────┘
///   └────── max(align, size of the note) ─────┘
/// ```
///
/// Under Miri there are no notes: Miri compares layouts itself, and the pointer
/// that a `Box` gives back may not reach what precedes the box.
#[derive(Debug, Default)]
pub struct TestAllocator(());

/// What stands before each block.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Note {
    size: usize,
    align: usize,
    seal: usize,
}

/// Whether blocks have notes.
const NOTED: bool = !cfg!(miri);

/// A live block.
const SEAL: usize = 0x5EA1_ED00;
/// A block that was freed. Only seen if nobody has reused the memory.
const BROKEN_SEAL: usize = 0xDEAD_5EA1;

/// Which allocations of a thread fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failing {
    /// The one with this number, counted from 0.
    Nth(u64),
    /// The one with this number, and all after it.
    From(u64),
    /// Every so many: `Every(1)` is all of them, `Every(3)` each third.
    Every(u64),
}

/// What a thread asked of the allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Blocks allocated.
    pub allocations: u64,
    /// Blocks freed.
    pub deallocations: u64,
    /// Blocks that changed their size.
    pub reallocations: u64,
    /// Requests that were made to fail.
    pub failures: u64,
    /// Bytes allocated, reallocations included.
    pub bytes_allocated: u64,
    /// Bytes freed, reallocations included.
    pub bytes_freed: u64,
}

impl Counts {
    const ZERO: Self = Self {
        allocations: 0,
        deallocations: 0,
        reallocations: 0,
        failures: 0,
        bytes_allocated: 0,
        bytes_freed: 0,
    };

    /// Whether the allocator was not asked for anything.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::ZERO
    }
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts::ZERO) };
    /// What fails, and how many requests were made since it was decided.
    static FAILING: Cell<Option<(Failing, u64)>> = const { Cell::new(None) };
}

/// What this thread asked of the allocator while `work` ran.
///
/// All zero where [`TestAllocator`] is not installed: assert somewhere that it
/// counts.
pub fn count<R>(work: impl FnOnce() -> R) -> (R, Counts) {
    let before = COUNTS.get();
    let result = work();
    let after = COUNTS.get();
    let counts = Counts {
        allocations: after.allocations - before.allocations,
        deallocations: after.deallocations - before.deallocations,
        reallocations: after.reallocations - before.reallocations,
        failures: after.failures - before.failures,
        bytes_allocated: after.bytes_allocated - before.bytes_allocated,
        bytes_freed: after.bytes_freed - before.bytes_freed,
    };
    (result, counts)
}

impl Failing {
    /// Runs `work` while such allocations of this thread fail.
    ///
    /// Nothing but the code under test belongs in `work`: a message that is
    /// formatted in there allocates too, and ends the process when it cannot.
    pub fn during<R>(self, work: impl FnOnce() -> R) -> R {
        struct Disarm;
        impl Drop for Disarm {
            fn drop(&mut self) {
                FAILING.set(None);
            }
        }
        let _disarm = Disarm;
        FAILING.set(Some((self, 0)));
        work()
    }

    /// Whether the request with this number fails.
    const fn hits(self, number: u64) -> bool {
        match self {
            Self::Nth(n) => number == n,
            Self::From(n) => number >= n,
            Self::Every(0) => false,
            Self::Every(n) => number % n == n - 1,
        }
    }
}

/// Lets the first allocation of `attempt` fail, then the second, and so on,
/// until an attempt made no request that failed. Answers how many failure points
/// there were.
///
/// `attempt` is given a function in which to run the code under test, and looks
/// at the outcome outside of it, where allocations work.
///
/// ```
/// use millpond_testing::{TestAllocator, walk_failures};
///
/// #[global_allocator]
/// static ALLOCATOR: TestAllocator = TestAllocator::new();
///
/// let points = walk_failures(|failing| {
///     let mut list: Vec<u8> = Vec::new();
///     let outcome = failing.during(|| list.try_reserve_exact(100));
///     assert!(outcome.is_ok() || list.capacity() == 0);
/// });
/// assert_eq!(points, 1);
/// ```
///
/// # Panics
///
/// If `attempt` does, or if there is no end.
pub fn walk_failures(attempt: impl Fn(Failing)) -> u64 {
    /// More allocations than any operation of a pool makes.
    const ENDLESS: u64 = 100_000;

    for n in 0..ENDLESS {
        let ((), counts) = count(|| attempt(Failing::Nth(n)));
        if counts.failures == 0 {
            return n;
        }
    }
    panic!("allocation {ENDLESS} still fails");
}

impl TestAllocator {
    /// An allocator that takes its memory from the system's.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

/// Whether the next request fails. Late in a thread's life nothing does.
fn fails() -> bool {
    FAILING
        .try_with(|failing| {
            let Some((which, number)) = failing.get() else {
                return false;
            };
            failing.set(Some((which, number + 1)));
            which.hits(number)
        })
        .unwrap_or(false)
}

fn note(change: impl FnOnce(&mut Counts)) {
    // A thread that ends may still free; nobody is left to count for.
    let _ = COUNTS.try_with(|cell| {
        let mut counts = cell.get();
        change(&mut counts);
        cell.set(counts);
    });
}

/// The layout of a block with its note, and the offset of the block. `None` if
/// that is too large to exist.
fn whole(layout: Layout) -> Option<(Layout, usize)> {
    if !NOTED {
        return Some((layout, 0));
    }
    let align = layout.align().max(align_of::<Note>());
    let offset = size_of::<Note>().next_multiple_of(align);
    let size = offset.checked_add(layout.size())?;
    let whole = Layout::from_size_align(size, align).ok()?;
    Some((whole, offset))
}

/// Where the note of a block is: a whole note before it, which is a multiple of
/// its alignment like the block.
///
/// The address counts and not the pointer, which may have come through a `Box`
/// that reaches no further than its value. What the system gave was exposed when
/// it was allocated.
fn note_of(block: NonNull<u8>) -> *mut Note {
    std::ptr::with_exposed_provenance_mut(block.addr().get() - size_of::<Note>())
}

/// Ends the process: an allocator must not unwind.
#[cold]
fn abort(what: &str, found: Note, expected: Layout) -> ! {
    // Directly, because the macros go through the capture of the test harness,
    // which allocates.
    let _ = writeln!(
        std::io::stderr(),
        "{what}: given size {} and alignment {}, noted size {}, alignment {}, seal {:x}",
        expected.size(),
        expected.align(),
        found.size,
        found.align,
        found.seal,
    );
    std::process::abort();
}

/// Checks and breaks the seal of a block that goes away.
///
/// # Safety
///
/// `block` came from this allocator.
unsafe fn unseal(block: NonNull<u8>, layout: Layout) {
    let place = note_of(block);
    // SAFETY: the note was written when the block was allocated.
    let found = unsafe { place.read() };
    match found.seal {
        SEAL if found.size == layout.size() && found.align == layout.align() => {}
        SEAL => abort("a block is freed with another layout", found, layout),
        BROKEN_SEAL => abort("a block is freed twice", found, layout),
        _ => abort(
            "a block is freed that was never allocated, or was damaged",
            found,
            layout,
        ),
    }
    let seal = BROKEN_SEAL;
    // SAFETY: as for reading.
    unsafe { place.write(Note { seal, ..found }) };
}

impl TestAllocator {
    /// # Safety
    ///
    /// As [`GlobalAlloc::alloc`].
    unsafe fn allocate(layout: Layout, zeroed: bool) -> *mut u8 {
        let Some((whole, offset)) = whole(layout) else {
            return std::ptr::null_mut();
        };
        let base = if zeroed {
            // SAFETY: the size is at least that of a note.
            unsafe { System.alloc_zeroed(whole) }
        } else {
            // SAFETY: the size is at least that of a note.
            unsafe { System.alloc(whole) }
        };
        let Some(base) = NonNull::new(base) else {
            return std::ptr::null_mut();
        };
        // SAFETY: `offset` is at most the size.
        let block = unsafe { base.add(offset) };
        if NOTED {
            let _ = base.as_ptr().expose_provenance();
            let note = Note {
                size: layout.size(),
                align: layout.align(),
                seal: SEAL,
            };
            // SAFETY: a note fits between the base and the block, aligned.
            unsafe { note_of(block).write(note) };
        }
        block.as_ptr()
    }

    /// # Safety
    ///
    /// As [`GlobalAlloc::dealloc`].
    unsafe fn deallocate(block: *mut u8, layout: Layout) {
        if !NOTED {
            // SAFETY: without notes, blocks are the system's own.
            unsafe { System.dealloc(block, layout) };
            return;
        }
        let Some(address) = NonNull::new(block) else {
            return;
        };
        // SAFETY: by the caller's promise.
        unsafe { unseal(address, layout) };
        // The same layout was not too large when it was allocated.
        let Some((whole, offset)) = whole(layout) else {
            return;
        };
        // The address counts and not the pointer, as for the note.
        let base = std::ptr::with_exposed_provenance_mut(address.addr().get() - offset);
        // SAFETY: what the system gave begins at this offset before the block;
        // the seal says that it is live, and with which layout.
        unsafe { System.dealloc(base, whole) };
    }
}

// SAFETY: blocks are those of the system's allocator, moved by an offset that
// keeps the alignment and leaves the size; nothing here unwinds: counting is
// plain arithmetic, and a violation ends the process.
unsafe impl GlobalAlloc for TestAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails() {
            note(|counts| counts.failures += 1);
            return std::ptr::null_mut();
        }
        note(|counts| {
            counts.allocations += 1;
            counts.bytes_allocated += layout.size() as u64;
        });
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { Self::allocate(layout, false) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if fails() {
            note(|counts| counts.failures += 1);
            return std::ptr::null_mut();
        }
        note(|counts| {
            counts.allocations += 1;
            counts.bytes_allocated += layout.size() as u64;
        });
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { Self::allocate(layout, true) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(|counts| {
            counts.deallocations += 1;
            counts.bytes_freed += layout.size() as u64;
        });
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { Self::deallocate(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if fails() {
            note(|counts| counts.failures += 1);
            return std::ptr::null_mut();
        }
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return std::ptr::null_mut();
        };
        // Always moves, which is what finds pointers that were kept.
        // SAFETY: by the caller's promise the new size is not zero.
        let moved = unsafe { Self::allocate(new_layout, false) };
        if moved.is_null() {
            return moved;
        }
        note(|counts| {
            counts.reallocations += 1;
            counts.bytes_allocated += new_size as u64;
            counts.bytes_freed += layout.size() as u64;
        });
        let common = layout.size().min(new_size);
        // SAFETY: two different blocks, each of at least so many bytes.
        unsafe { moved.copy_from_nonoverlapping(block, common) };
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { Self::deallocate(block, layout) };
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: TestAllocator = TestAllocator::new();

    #[test]
    fn each_request_is_counted_once() {
        let (list, counts) = count(|| {
            let mut list: Vec<u8> = Vec::with_capacity(10);
            list.reserve_exact(100);
            list
        });
        assert_eq!((counts.allocations, counts.reallocations), (1, 1));
        assert_eq!((counts.bytes_allocated, counts.bytes_freed), (110, 10));
        let ((), counts) = count(|| drop(list));
        assert_eq!((counts.deallocations, counts.bytes_freed), (1, 100));
        let ((), counts) = count(|| {});
        assert!(counts.is_silent());
    }

    #[test]
    fn chosen_requests_fail_and_no_others() {
        let outcomes = |failing: Failing| {
            let mut outcomes = [false; 6];
            let mut lists: [Vec<u8>; 6] = Default::default();
            failing.during(|| {
                for (outcome, list) in outcomes.iter_mut().zip(&mut lists) {
                    *outcome = list.try_reserve(8).is_ok();
                }
            });
            outcomes
        };
        let (yes, no) = (true, false);
        assert_eq!(outcomes(Failing::Nth(2)), [yes, yes, no, yes, yes, yes]);
        assert_eq!(outcomes(Failing::From(4)), [yes, yes, yes, yes, no, no]);
        assert_eq!(outcomes(Failing::Every(3)), [yes, yes, no, yes, yes, no]);
        assert_eq!(outcomes(Failing::Every(1)), [no; 6]);
        assert!(Vec::<u8>::new().try_reserve(8).is_ok(), "disarmed");
    }

    #[test]
    fn every_failure_point_is_walked() {
        let points = walk_failures(|failing| {
            let (mut one, mut two) = (Vec::<u8>::new(), Vec::<u64>::new());
            let done = failing.during(|| one.try_reserve(1).is_ok() && two.try_reserve(1).is_ok());
            assert!(done || one.capacity() == 0 || two.capacity() == 0);
        });
        assert_eq!(points, 2);
    }

    #[test]
    fn blocks_are_aligned_and_zeroed_as_asked() {
        for align in [1, 2, 8, 16, 64, 4096] {
            for size in [1, 7, 64, 1000] {
                let layout = Layout::from_size_align(size, align).expect("valid");
                // SAFETY: the size is not zero.
                let block = unsafe { ALLOCATOR.alloc_zeroed(layout) };
                let block = NonNull::new(block).expect("memory");
                assert_eq!(block.addr().get() % align, 0);
                // SAFETY: so many zeroed bytes.
                let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), size) };
                assert!(bytes.iter().all(|&byte| byte == 0));
                // SAFETY: allocated above with the same layout.
                unsafe { ALLOCATOR.dealloc(block.as_ptr(), layout) };
            }
        }
    }

    /// The wrong layout ends the process, so another one has to try.
    #[test]
    #[cfg_attr(miri, ignore = "starts a process")]
    fn wrong_layout_ends_the_process() {
        const CHILD: &str = "MILLPOND_TEST_WRONG_LAYOUT";
        if std::env::var_os(CHILD).is_some() {
            let right = Layout::from_size_align(64, 8).expect("valid");
            let wrong = Layout::from_size_align(64, 16).expect("valid");
            // SAFETY: the size is not zero.
            let block = unsafe { ALLOCATOR.alloc(right) };
            // SAFETY: the layout is wrong; the allocator notices that before it
            // does anything with it.
            unsafe { ALLOCATOR.dealloc(block, wrong) };
            return;
        }
        let program = std::env::current_exe().expect("a test binary");
        let output = std::process::Command::new(program)
            .args(["--exact", "allocator::tests::wrong_layout_ends_the_process"])
            .env(CHILD, "1")
            .output()
            .expect("starts");
        assert!(!output.status.success());
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("freed with another layout"), "{message}");
    }
}
