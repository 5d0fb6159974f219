//! Blocks that a byte pool lends to pools of other kinds.

use millpond_bytes::{BytePool, Config, Level};
use millpond_core::budget::Budget;
use millpond_core::observe::Observe;
use millpond_core::region::Supply;
use std::alloc::Layout;
use std::ptr::NonNull;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

/// A block on its way to another thread.
struct Sent(NonNull<u8>);
// SAFETY: the block is its holder's alone.
unsafe impl Send for Sent {}

#[test]
fn blocks_are_aligned_apart_and_come_home_from_any_thread() {
    let pool = BytePool::default();
    let sizes = [1, 2048, 2049, 30_000, 65_536];
    let blocks: Vec<(NonNull<u8>, Layout)> = sizes
        .iter()
        .flat_map(|&size| [layout(size, 1), layout(size, 64)])
        .map(|layout| (pool.allocate(layout).expect("a class for it"), layout))
        .collect();
    for (number, &(block, layout)) in (0_u8..).zip(&blocks) {
        assert_eq!(block.addr().get() % layout.align(), 0);
        // SAFETY: lent with that many bytes.
        unsafe { block.write_bytes(number, layout.size()) };
    }
    assert_eq!(pool.observe().in_use, blocks.len());
    std::thread::scope(|scope| {
        for (number, (block, layout)) in (0_u8..).zip(blocks) {
            let (block, pool) = (Sent(block), &pool);
            scope.spawn(move || {
                let Sent(block) = { block };
                // SAFETY: inside the block.
                let last = unsafe { block.add(layout.size() - 1) };
                // SAFETY: written above.
                assert_eq!(unsafe { last.read() }, number);
                // SAFETY: lent with this layout, and not used afterwards.
                unsafe { pool.free(block, layout) };
            });
        }
    });
    assert_eq!(pool.observe().in_use, 0);
    pool.trim(Level::Full);
    assert_eq!(pool.observe().created, 0);
}

#[test]
fn what_no_class_serves_is_not_lent() {
    let pool = BytePool::new(Config::new().with_sizes(&[4096]).with_pool_min_size(100)).unwrap();
    for layout in [layout(4097, 1), layout(10, 1), layout(200, 128)] {
        assert_eq!(pool.allocate(layout), None, "{layout:?}");
    }
    assert_eq!(pool.observe().acquires, 0, "nothing was taken to find out");
}

/// A buffer that was lent has bytes that nobody initialised: none of them may be
/// shown unasked.
#[test]
fn a_buffer_that_was_lent_is_a_buffer_again() {
    let budget = Budget::new("all", usize::MAX);
    let pool = BytePool::new(Config::new().with_sizes(&[4096]).with_budget(&budget)).unwrap();
    let page = layout(4096, 64);
    let block = pool.allocate(page).expect("a page");
    let held = budget.held();
    // SAFETY: lent with this layout, and not used afterwards.
    unsafe { pool.free(block, page) };
    let stale = pool.acquire_stale(4096).unwrap();
    assert!(stale.iter().map(|&byte| usize::from(byte)).sum::<usize>() < usize::MAX);
    assert_eq!(budget.held(), held, "the same slot");
}
