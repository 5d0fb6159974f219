//! The contract of `Allocator`, for every allocator that a pool exports.

use allocator_api2::alloc::Allocator;
use std::alloc::Layout;
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

fn stamp(block: NonNull<[u8]>, from: usize) {
    for offset in from..block.len() {
        // SAFETY: inside of the block.
        let place = unsafe { block.cast::<u8>().add(offset) };
        // SAFETY: the test's own.
        unsafe { place.write(byte_at(offset)) };
    }
}

fn byte_at(offset: usize) -> u8 {
    u8::try_from(offset % 251).expect("below 251")
}

fn read(block: NonNull<[u8]>, offset: usize) -> u8 {
    // SAFETY: inside of the block.
    let place = unsafe { block.cast::<u8>().add(offset) };
    // SAFETY: written before, by the caller of this test.
    unsafe { place.read() }
}

fn is_stamped(block: NonNull<[u8]>, len: usize) -> bool {
    (0..len).all(|offset| read(block, offset) == byte_at(offset))
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
        let grown = unsafe { allocator.grow(block.cast(), small, large) }.expect("room");
        fits(grown, large);
        assert!(is_stamped(grown, small.size()), "{small:?} to {large:?}");
        stamp(grown, small.size());

        // SAFETY: as above, smaller now.
        let shrunk = unsafe { allocator.shrink(grown.cast(), large, small) }.expect("room");
        fits(shrunk, small);
        assert!(is_stamped(shrunk, small.size()), "{large:?} to {small:?}");

        // SAFETY: as above; everything that is gained is zero.
        let zeroed = unsafe { allocator.grow_zeroed(shrunk.cast(), small, large) }.expect("room");
        fits(zeroed, large);
        assert!(is_stamped(zeroed, small.size()));
        assert!((small.size()..large.size()).all(|offset| read(zeroed, offset) == 0));
        stamp(zeroed, 0);
        // SAFETY: allocated above with this layout.
        unsafe { allocator.deallocate(zeroed.cast(), large) };

        let again = allocator.allocate_zeroed(large).expect("room");
        fits(again, large);
        assert!((0..large.size()).all(|offset| read(again, offset) == 0));
        assert!(is_stamped(before, 48) && is_stamped(after, 48));
        for (block, layout) in [(again, large), (before, guard), (after, guard)] {
            // SAFETY: allocated above with this layout.
            unsafe { allocator.deallocate(block.cast(), layout) };
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
        let grown = unsafe { allocator.grow(block.cast(), small, large) }.expect("room");
        fits(grown, large);
        assert!(is_stamped(grown, small.size()));
        stamp(grown, small.size());
        // SAFETY: as above, smaller now.
        let shrunk = unsafe { allocator.shrink(grown.cast(), large, small) }.expect("room");
        fits(shrunk, small);
        assert!(is_stamped(shrunk, small.size()));
        // SAFETY: as above.
        unsafe { allocator.deallocate(shrunk.cast(), small) };
    }
}
