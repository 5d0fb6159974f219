//! The contract of `Allocator`, for every allocator that a pool exports.

use allocator_api2::alloc::Allocator;
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

const ALIGNS: [usize; 6] = [1, 8, 16, 64, 4096, 8192];
/// On both sides of the threshold for large objects, which is 2 KiB below.
/// Under Miri, where each byte takes its time, none is long for no reason.
const SIZES: [usize; 9] = if cfg!(miri) {
    [0, 1, 7, 64, 100, 200, 2048, 2049, 2100]
} else {
    [0, 1, 7, 64, 1000, 2048, 2049, 3000, 9000]
};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a small layout")
}

/// What a block is stamped with, and what it is compared with when it was zeroed:
/// as a whole, because Miri pays for each access and not for each byte.
const LONGEST: usize = 1 << 14;
static STAMP: [u8; LONGEST] = stamps();
static ZEROES: [u8; LONGEST] = [0; LONGEST];

const fn stamps() -> [u8; LONGEST] {
    let mut bytes = [0; LONGEST];
    let mut offset = 0;
    while offset < LONGEST {
        bytes[offset] = (offset % 251).to_le_bytes()[0];
        offset += 1;
    }
    bytes
}

/// Writes the bytes from `from` on.
fn stamp(block: NonNull<[u8]>, from: usize) {
    let fresh = &STAMP[from..block.len().clamp(from, LONGEST)];
    // SAFETY: inside of the block.
    let place = unsafe { block.cast::<u8>().add(from) };
    // SAFETY: the test's own, and that long.
    unsafe {
        place
            .as_ptr()
            .copy_from_nonoverlapping(fresh.as_ptr(), fresh.len());
    };
}

/// The first `len` bytes, which were written before.
fn written<'b>(block: NonNull<[u8]>, len: usize) -> &'b [u8] {
    // SAFETY: inside of the block, which is the test's own.
    unsafe { core::slice::from_raw_parts(block.as_ptr().cast(), len) }
}

fn is_stamped(block: NonNull<[u8]>, len: usize) -> bool {
    written(block, len) == &STAMP[..len]
}

fn is_zero(block: NonNull<[u8]>, from: usize, to: usize) -> bool {
    written(block, to)[from..] == ZEROES[from..to]
}

fn pairs() -> impl Iterator<Item = (Layout, Layout)> {
    let step = if cfg!(miri) { 211 } else { 1 };
    let all = ALIGNS.into_iter().flat_map(|before| {
        ALIGNS.into_iter().flat_map(move |after| {
            SIZES.into_iter().flat_map(move |small| {
                let larger = SIZES.into_iter().filter(move |&size| size >= small);
                larger.map(move |large| (layout(small, before), layout(large, after)))
            })
        })
    });
    all.step_by(step)
}

/// The block as a box gives it back: by a pointer that is good for as many bytes as
/// were asked for, and not for those around them that the allocator knows of. Miri sees
/// the difference.
fn given(block: NonNull<[u8]>, layout: Layout) -> NonNull<u8> {
    let bytes = block.as_ptr().cast::<MaybeUninit<u8>>();
    // SAFETY: the test's own block, at least that long.
    NonNull::from(unsafe { core::slice::from_raw_parts_mut(bytes, layout.size()) }).cast()
}

fn fits(block: NonNull<[u8]>, layout: Layout) {
    assert!(block.len() >= layout.size());
    assert_eq!(
        block.cast::<u8>().addr().get() % layout.align(),
        0,
        "{layout:?}"
    );
}

/// Everything that the trait promises, with neighbours that must not notice.
///
/// # Panics
///
/// If the allocator does not keep the contract, or has no room.
pub fn conforms<A: Allocator>(allocator: &A) {
    // A neighbour on each side must not notice anything.
    let guard = layout(48, 8);
    for (small, large) in pairs() {
        let before = allocator.allocate(guard).expect("room");
        stamp(before, 0);
        let block = allocator.allocate(small).expect("room");
        fits(block, small);
        stamp(block, 0);
        let after = allocator.allocate(guard).expect("room");
        stamp(after, 0);

        // SAFETY: allocated with a layout that fits, and larger now.
        let grown = unsafe { allocator.grow(given(block, small), small, large) }.expect("room");
        fits(grown, large);
        assert!(is_stamped(grown, small.size()), "{small:?} to {large:?}");
        stamp(grown, small.size());

        // SAFETY: as above, smaller now.
        let shrunk = unsafe { allocator.shrink(given(grown, large), large, small) }.expect("room");
        fits(shrunk, small);
        assert!(is_stamped(shrunk, small.size()), "{large:?} to {small:?}");

        // SAFETY: as above; everything that is gained is zero.
        let zeroed =
            unsafe { allocator.grow_zeroed(given(shrunk, small), small, large) }.expect("room");
        fits(zeroed, large);
        assert!(is_stamped(zeroed, small.size()));
        assert!(is_zero(zeroed, small.size(), large.size()));
        stamp(zeroed, 0);
        // SAFETY: allocated above with this layout.
        unsafe { allocator.deallocate(given(zeroed, large), large) };

        let again = allocator.allocate_zeroed(large).expect("room");
        fits(again, large);
        assert!(is_zero(again, 0, large.size()));
        assert!(is_stamped(before, 48) && is_stamped(after, 48));
        for (block, layout) in [(again, large), (before, guard), (after, guard)] {
            // SAFETY: allocated above with this layout.
            unsafe { allocator.deallocate(given(block, layout), layout) };
        }
    }
}

/// The last block may grow and shrink in place: without neighbours.
///
/// # Panics
///
/// As [`conforms`].
pub fn conforms_alone<A: Allocator>(allocator: &A) {
    for (small, large) in pairs() {
        let block = allocator.allocate(small).expect("room");
        stamp(block, 0);
        // SAFETY: allocated with this layout, larger now.
        let grown = unsafe { allocator.grow(given(block, small), small, large) }.expect("room");
        fits(grown, large);
        assert!(is_stamped(grown, small.size()));
        stamp(grown, small.size());
        // SAFETY: as above, smaller now.
        let shrunk = unsafe { allocator.shrink(given(grown, large), large, small) }.expect("room");
        fits(shrunk, small);
        assert!(is_stamped(shrunk, small.size()));
        // SAFETY: as above.
        unsafe { allocator.deallocate(given(shrunk, small), small) };
    }
}
