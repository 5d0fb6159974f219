//! Blocks of every size and alignment: where they lie, what is in them, and what is
//! refused.

use allocator_api2::alloc::Allocator;
use millpond_arena::{ArenaManager, ArenaString, ArenaVec, Full, Lease, Scope, ScopeConfig};
use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

const SCOPE: Scope = Scope::Json;
const KIB: usize = 1 << 10;

/// Chunks of 8 KiB, in which more than 2 KiB, or than a page of alignment, is large.
fn manager(limit: usize) -> ArenaManager {
    let mut builder = ArenaManager::builder();
    builder.configure(SCOPE, ScopeConfig::of(8 * KIB).with_limit(limit));
    builder.build().expect("figures that agree")
}

fn lease() -> Lease<'static> {
    manager(1 << 20).lease(SCOPE).expect("memory")
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

/// Every power of two up to two pages, which is large for whatever size.
fn alignments() -> impl Iterator<Item = usize> {
    // Miri takes its time.
    let some = |power: &u32| !cfg!(miri) || [0, 5, 13].contains(power);
    (0..=13).filter(some).map(|power| 1 << power)
}

/// On both sides of the threshold.
const SIZES: &[usize] = if cfg!(miri) {
    &[1, 2049]
} else {
    &[1, 1000, 2048, 2049, 20 * KIB]
};

/// Smaller and larger: in the chunk, out of it, beside it, and from nothing.
const RESIZES: &[(usize, usize)] = if cfg!(miri) {
    &[(24, 200), (24, 2100)]
} else {
    &[(24, 1000), (24, 4 * KIB), (3 * KIB, 9 * KIB), (0, 40)]
};

/// # Safety
///
/// The block is that long and nobody else's.
unsafe fn fill(block: NonNull<u8>, size: usize, byte: u8) {
    // SAFETY: by the caller.
    unsafe { block.write_bytes(byte, size) };
}

/// # Safety
///
/// The block is that long, and initialised.
unsafe fn holds(block: NonNull<u8>, size: usize, byte: u8) -> bool {
    // SAFETY: by the caller.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), size) };
    bytes.iter().all(|&found| found == byte)
}

#[test]
fn blocks_are_aligned_whatever_their_size() {
    for align in alignments() {
        for &size in SIZES {
            let lease = lease();
            for _ in 0..3 {
                let block = lease.alloc_layout(layout(size, align)).expect("room");
                assert_eq!(block.addr().get() % align, 0, "{size} aligned to {align}");
                // SAFETY: a fresh block.
                unsafe { fill(block, size, 1) };
            }
        }
    }
}

#[test]
fn values_that_want_more_than_words_get_it() {
    #[repr(align(32))]
    struct Vector([f32; 600]);
    #[repr(align(64))]
    struct Line([u8; 2400]);

    let lease = lease();
    for round in 0..3_u8 {
        let vector = lease.alloc(Vector([f32::from(round); 600])).expect("room");
        let line = lease.alloc_drop(Line([round; 2400])).expect("room");
        assert_eq!(core::ptr::from_ref(vector).addr() % 32, 0);
        assert_eq!(core::ptr::from_ref(line).addr() % 64, 0);
        assert!(vector.0[599] <= 2.0 && line.0[2399] == round);
    }
}

/// From each alignment to each other one, and between chunk and large object.
#[test]
fn what_is_resized_keeps_its_bytes_and_finds_its_alignment() {
    for (from, to) in alignments().flat_map(|from| alignments().map(move |to| (from, to))) {
        for &(small, large) in RESIZES {
            let lease = lease();
            let (old, new) = (layout(small, from), layout(large, to));
            let block = (&lease).allocate(old).expect("room").cast();
            let neighbour = (&lease).allocate(layout(40, 8)).expect("room").cast();
            // SAFETY: fresh blocks of those sizes.
            unsafe { fill(block, small, 7) };
            // SAFETY: as above.
            unsafe { fill(neighbour, 40, 9) };
            // SAFETY: allocated with that layout.
            let grown = unsafe { (&lease).grow_zeroed(block, old, new) };
            let grown = grown.expect("room").cast::<u8>();
            assert_eq!(grown.addr().get() % to, 0, "{old:?} to {new:?}");
            // SAFETY: the first bytes of the block.
            assert!(unsafe { holds(grown, small, 7) }, "{old:?} to {new:?}");
            // SAFETY: inside of the block.
            let gained = unsafe { grown.add(small) };
            // SAFETY: the rest of it, zeroed.
            assert!(unsafe { holds(gained, large - small, 0) });
            // SAFETY: allocated with that layout, and smaller now.
            let shrunk = unsafe { (&lease).shrink(grown, new, old) }.expect("room");
            assert_eq!(shrunk.addr().get() % from, 0, "{new:?} to {old:?}");
            // SAFETY: all that there is of the block.
            assert!(unsafe { holds(shrunk.cast(), small, 7) });
            // SAFETY: the model's own.
            assert!(unsafe { holds(neighbour, 40, 9) });
            // SAFETY: allocated with that layout; not used afterwards.
            unsafe { (&lease).deallocate(shrunk.cast(), old) };
            // SAFETY: as above.
            unsafe { (&lease).deallocate(neighbour, layout(40, 8)) };
        }
    }
}

/// A block of no bytes begins where another one does.
#[test]
fn a_block_of_nothing_is_no_neighbour() {
    let lease = lease();
    let (word, nothing) = (layout(8, 8), layout(0, 8));
    let first = (&lease).allocate(word).expect("room").cast();
    // SAFETY: a fresh block.
    unsafe { fill(first, 8, 1) };
    let empty = (&lease).allocate(nothing).expect("always").cast();
    assert_eq!(empty, first, "else there is nothing to test");
    // SAFETY: allocated with that layout.
    let grown = unsafe { (&lease).grow(empty, nothing, word) };
    let grown = grown.expect("room").cast();
    // SAFETY: a block of that size.
    unsafe { fill(grown, 8, 2) };
    // SAFETY: the model's own.
    assert!(unsafe { holds(first, 8, 1) });
    let empty = (&lease).allocate(nothing).expect("always").cast();
    // SAFETY: allocated with that layout; the last, so it is undone.
    unsafe { (&lease).deallocate(grown, word) };
    // SAFETY: as above.
    unsafe { (&lease).deallocate(first, word) };
    let next = (&lease).allocate(layout(32, 8)).expect("room").cast();
    // SAFETY: a fresh block.
    unsafe { fill(next, 32, 3) };
    // SAFETY: allocated with that layout.
    let grown = unsafe { (&lease).grow(empty, nothing, word) };
    // SAFETY: a block of that size.
    unsafe { fill(grown.expect("room").cast(), 8, 4) };
    // SAFETY: the model's own.
    assert!(unsafe { holds(next, 32, 3) });
}

#[test]
fn values_without_size_take_no_room() {
    #[repr(align(4096))]
    #[derive(Clone, Copy, Default)]
    struct Nothing;

    let lease = lease();
    let used = lease.used_bytes();
    lease.alloc(()).expect("always");
    lease.alloc(Nothing).expect("always");
    let many = lease.alloc_slice_uninit::<Nothing>(usize::MAX);
    assert_eq!(many.expect("always").len(), usize::MAX);
    let mut units = ArenaVec::<()>::from_iter_in([(), ()], &lease).expect("always");
    // SAFETY: nothing is there to be initialised.
    unsafe { units.set_len(usize::MAX) };
    let refused = units.push(()).unwrap_err();
    assert_eq!(refused.full(), Full::Overflow);
    assert_eq!(units.pop(), Some(()));
    units.push(()).expect("room for one");
    assert_eq!(units.into_slice().len(), usize::MAX);
    let aligned = lease.alloc_layout(layout(0, 1 << 40)).expect("always");
    assert_eq!(aligned.addr().get() % (1 << 40), 0);
    assert_eq!(lease.used_bytes(), used);
}

#[test]
fn what_no_address_space_has_is_refused() {
    let lease = lease();
    let most = isize::MAX as usize;
    for layout in [
        layout(most, 1),
        layout(most - 7, 8),
        layout(most - 15, 16),
        layout(most - 4095, 4096),
        layout(most - 8191, 8192),
        layout(8, 1 << 62),
        layout(8, 1 << 61),
        layout(1 << 62, 64),
    ] {
        let refused = lease.alloc_layout(layout).unwrap_err();
        assert!(
            matches!(refused.full(), Full::Overflow | Full::Lease),
            "{layout:?}: {refused}"
        );
    }
    for len in [usize::MAX, usize::MAX / 8, most / 8 + 1] {
        let refused = lease.alloc_slice_uninit::<u64>(len).unwrap_err();
        assert_eq!(refused.full(), Full::Overflow);
        assert!(ArenaVec::<u64>::with_capacity_in(len, &lease).is_err());
        assert!(lease.alloc_slice_fill_copy(len, 1_u64).is_err());
    }
    let mut words = lease.vec();
    words.extend_from_slice(&[1_u64, 2]).expect("room");
    for more in [usize::MAX, usize::MAX - 1, most / 8] {
        assert!(words.try_reserve(more).is_err());
        assert!(words.try_reserve_exact(more).is_err());
    }
    let mut unbound = words.unbind();
    assert!(unbound.try_reserve(&lease, usize::MAX).is_err());
    assert_eq!(unbound, [1, 2]);
    assert!(ArenaString::with_capacity_in(usize::MAX, &lease).is_err());
    // Nothing of that was charged, and the arena goes on.
    assert_eq!(lease.held_bytes(), 8 * KIB);
    lease.alloc([0_u8; 500]).expect("room");
}

/// Values that are made while others are.
#[test]
fn whoever_makes_a_value_may_allocate_meanwhile() {
    let manager = manager(1 << 20);
    let lease = manager.lease(SCOPE).expect("memory");
    let outer = lease.alloc_with(|| {
        let inner = lease.alloc_with(|| *lease.alloc(3_u64).expect("room") + 1);
        [*inner.expect("room"); 100]
    });
    let rows = lease.alloc_slice_fill_with(40, |at| {
        let scratch = lease.child().expect("memory");
        let copy = scratch.alloc_slice_fill_copy(300, at).expect("room");
        lease.alloc_slice_copy(copy).map(|row| &*row).expect("room")
    });
    assert_eq!(outer.expect("room"), &[4; 100]);
    for (at, row) in rows.expect("room").iter().enumerate() {
        assert_eq!(*row, [at; 300]);
    }

    let (mut left, mut right) = (lease.vec(), lease.vec());
    let words = (0..600_u64).inspect(|&word| right.push(!word).expect("room"));
    left.try_extend(words).expect("room");
    assert!(left.iter().zip(&right).all(|(left, right)| *left == !right));
    assert_eq!((left.len(), right.len()), (600, 600));
}

fn panics(work: impl FnOnce() -> bool) {
    catch_unwind(AssertUnwindSafe(work)).expect_err("it does");
}

#[test]
fn whoever_makes_a_value_may_panic() {
    let lease = lease();
    let kept = lease.alloc_slice_fill_copy(100, 7_u8).expect("room");
    let fails = |at: usize| assert!(at < 50, "as it were");
    let numbers = || (0..100_usize).inspect(|&at| fails(at));
    panics(|| lease.alloc_with(|| fails(90)).is_ok());
    panics(|| lease.alloc_slice_fill_with(100, fails).is_ok());
    panics(|| lease.alloc_iter(numbers()).is_ok());
    let mut words = lease.vec();
    panics(|| words.try_extend(numbers()).is_ok());
    assert!(words.iter().copied().eq(0..50), "what was given until then");
    words.push(50).expect("room");
    assert_eq!((words.len(), &kept[..]), (51, &[7; 100][..]));
}

/// At every size of what is asked for, a lease ends exactly at its limit or below.
#[test]
fn no_mixture_of_blocks_takes_more_than_the_limit() {
    for limit in [8 * KIB, 9 * KIB, 33 * KIB, 100 * KIB] {
        let manager = manager(limit);
        for seed in 0..if cfg!(miri) { 1 } else { 40 } {
            let lease = manager.lease(SCOPE).expect("memory");
            let mut dice = millpond_testing::Dice::new(seed);
            let mut vector = lease.vec::<u8>();
            for _ in 0..if cfg!(miri) { 30 } else { 300 } {
                let [size, align, what, ..] = dice.bits().to_le_bytes();
                let size = usize::from(size) * if what % 8 == 0 { 40 } else { 5 };
                if what % 3 == 0 {
                    let _refused = vector.try_reserve(size);
                } else {
                    let layout = layout(size, 1 << (align % 14));
                    let _refused = lease.alloc_layout(layout);
                }
                assert!(lease.held_bytes() <= limit, "{size} of {limit}");
                assert!(lease.used_bytes() <= limit);
            }
        }
    }
}
