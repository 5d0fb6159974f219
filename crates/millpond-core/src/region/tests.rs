//! What a region promises, on every system.

use std::format;

use super::*;

const PLAIN: RegionOptions = RegionOptions::new();

fn bytes(region: &Region) -> &[u8] {
    // SAFETY: by invariant 2 the range is ours; a new region reads as zero, so
    // every byte is initialised, and the tests write through `fill` only.
    unsafe { core::slice::from_raw_parts(region.base().as_ptr(), region.len()) }
}

/// Whether every byte looked at has this value: all of them, or a sample where
/// each costs a microsecond.
fn all(bytes: &[u8], value: u8) -> bool {
    let step = if cfg!(miri) { 1021 } else { 1 };
    bytes.iter().step_by(step).all(|&byte| byte == value)
}

fn fill(region: &mut Region, value: u8) {
    // SAFETY: by invariant 2 the range is ours, and the borrow is exclusive.
    unsafe { region.base().write_bytes(value, region.len()) };
}

#[test]
fn small_door_takes_a_layout_of_no_size() {
    let layout = Layout::from_size_align(0, 64).expect("valid");
    let pointer = allocate(layout).expect("costs nothing");
    assert_eq!(pointer.addr().get() % 64, 0);
    // SAFETY: same pointer and layout.
    unsafe { free(pointer, layout) };
    let pointer = allocate_zeroed(layout).expect("costs nothing");
    // SAFETY: same pointer and layout.
    unsafe { free(pointer, layout) };
}

#[test]
fn small_door_zeroes_when_asked() {
    let layout = Layout::from_size_align(1000, 128).expect("valid");
    let pointer = allocate_zeroed(layout).expect("1000 bytes");
    assert_eq!(pointer.addr().get() % 128, 0);
    // SAFETY: 1000 initialised bytes, ours until freed.
    let zeroed = unsafe { core::slice::from_raw_parts(pointer.as_ptr(), 1000) };
    assert!(all(zeroed, 0));
    // SAFETY: same pointer and layout.
    unsafe { free(pointer, layout) };
}

#[test]
fn small_door_resizes_and_keeps_what_fits() {
    for (size, new_size) in [(0, 24), (24, 4096), (4096, 7), (7, 0), (0, 0)] {
        for align in [1, 8, 256] {
            let layout = Layout::from_size_align(size, align).expect("a layout");
            let block = allocate(layout).expect("a few bytes");
            // SAFETY: `size` bytes of our own.
            unsafe { block.write_bytes(0x5A, size) };
            // SAFETY: allocated above with this layout; small sizes.
            let block = unsafe { reallocate(block, layout, new_size) }.expect("a few bytes");
            assert_eq!(block.addr().get() % align, 0);
            let kept = size.min(new_size);
            // SAFETY: inside of both blocks, and written above.
            let kept = unsafe { core::slice::from_raw_parts(block.as_ptr(), kept) };
            assert!(all(kept, 0x5A));
            let layout = Layout::from_size_align(new_size, align).expect("a layout");
            // SAFETY: reallocated above to this layout.
            unsafe { free(block, layout) };
        }
    }
}

#[test]
fn region_is_aligned_zeroed_and_writable_at_every_size() {
    let sizes = if cfg!(miri) {
        &[0, 1, 4096, MAP_THRESHOLD_BYTES][..]
    } else {
        &[
            0,
            1,
            63,
            4095,
            4096,
            MAP_THRESHOLD_BYTES - 1,
            MAP_THRESHOLD_BYTES,
            MAP_THRESHOLD_BYTES + 1,
            (3 << 20) + 5,
        ][..]
    };
    for &len in sizes {
        for align in [1, 8, 64, 4096, 1 << 16, 1 << 21] {
            let mut region = Region::new(len, align, &PLAIN).expect("memory");
            assert!(region.len() >= len, "{region:?}");
            assert!(region.align() >= align, "{region:?}");
            assert_eq!(region.base().addr().get() % region.align(), 0, "{region:?}");
            assert_eq!(Region::len_for(len, align, &PLAIN), Ok(region.len()));
            assert!(all(bytes(&region), 0), "{region:?}");
            fill(&mut region, 0xA5);
            assert!(all(bytes(&region), 0xA5), "{region:?}");
        }
    }
}

#[test]
fn impossible_requests_are_refused_before_any_allocation() {
    let max = isize::MAX.unsigned_abs();
    for len in [max, max + 1, usize::MAX - 4096, usize::MAX] {
        for align in [4096, 1 << 21] {
            let error = Region::new(len, align, &PLAIN).expect_err("no such memory");
            assert_eq!(error, RegionError::TooLarge { len });
        }
    }
    for align in [0, 3, usize::MAX] {
        let error = Region::new(64, align, &PLAIN).expect_err("no such alignment");
        assert_eq!(error, RegionError::BadAlignment { align });
    }
    let vast = max / 2;
    if !cfg!(miri) {
        let error = Region::new(vast, 8, &PLAIN).expect_err("more than any machine");
        assert_eq!(error, RegionError::OutOfMemory { len: vast });
        assert!(format!("{error}").contains("refused"));
    }
}

#[test]
fn alignment_beyond_the_address_space_is_refused() {
    let align = 1 << (usize::BITS - 1);
    let error = Region::new(1 << 20, align, &PLAIN).expect_err("half of all addresses");
    assert!(matches!(
        error,
        RegionError::TooLarge { .. } | RegionError::OutOfMemory { .. }
    ));
}

#[test]
fn refused_wishes_are_reported_and_not_fatal() {
    let options = RegionOptions::new()
        .with_huge_pages(HugePages::Explicit)
        .with_numa_node(Some(1_000_000));
    let region = Region::new(3 << 20, 64, &options).expect("memory");
    let granted = region.granted();
    assert_eq!(granted.numa_node, None);
    assert!(!granted.prefaulted);
    if region.backing() != Backing::Heap {
        assert_eq!(region.len() % HUGE_PAGE_BYTES, 0);
    }
}

#[test]
fn prefaulted_region_is_backed_before_first_use() {
    let options = RegionOptions::new().with_prefault(true);
    for len in [100, MAP_THRESHOLD_BYTES * 4] {
        let region = Region::new(len, 8, &options).expect("memory");
        assert!(region.granted().prefaulted);
        if let Some(resident) = region.resident_bytes() {
            assert_eq!(resident, region.len());
        }
        assert!(all(bytes(&region), 0));
    }
}

#[test]
fn small_regions_stay_on_the_heap_and_cannot_be_discarded() {
    let region = Region::new(4096, 4096, &PLAIN).expect("memory");
    assert_eq!(region.backing(), Backing::Heap);
    // SAFETY: nobody uses the region.
    let freed = unsafe { region.discard(0..region.len()) };
    assert_eq!(freed, 0);
    assert_eq!(region.granted().huge_page_bytes, None);
}

#[test]
#[should_panic(expected = "discard of")]
fn discard_beyond_the_region_panics() {
    let region = Region::new(4096, 8, &PLAIN).expect("memory");
    // SAFETY: nobody uses the region.
    let _ = unsafe { region.discard(0..4097) };
}

#[test]
fn regions_may_move_between_threads() {
    const fn assert_auto<T: Send + Sync + core::panic::UnwindSafe>() {}
    assert_auto::<Region>();
    let region = Region::new(1 << 17, 64, &PLAIN).expect("memory");
    std::thread::spawn(move || drop(region))
        .join()
        .expect("dropped elsewhere");
}

#[cfg(all(target_os = "linux", not(miri), not(millpond_loom)))]
mod mapped {
    use super::*;

    #[test]
    fn discarded_pages_go_back_and_read_as_zero() {
        let mut region = Region::new(1 << 20, 8, &PLAIN).expect("memory");
        assert_eq!(region.backing(), Backing::Mapped);
        assert_eq!(region.resident_bytes(), Some(0));
        fill(&mut region, 7);
        assert_eq!(region.resident_bytes(), Some(1 << 20));
        // The ends are not whole pages and stay.
        // SAFETY: nobody holds a reference into the region.
        let freed = unsafe { region.discard(1..(1 << 20) - 1) };
        let page = system::page_bytes();
        assert_eq!(freed, (1 << 20) - 2 * page);
        assert_eq!(region.resident_bytes(), Some(2 * page));
        let now = bytes(&region);
        assert!(all(&now[..page], 7));
        assert!(all(&now[page..now.len() - page], 0));
        assert!(all(&now[now.len() - page..], 7));
        // Reading the middle mapped the shared zero page; that is not memory
        // that a second discard could claim twice over.
    }

    #[test]
    fn discard_of_less_than_a_page_gives_nothing_back() {
        let mut region = Region::new(1 << 17, 8, &PLAIN).expect("memory");
        fill(&mut region, 7);
        // SAFETY: nobody holds a reference into the region.
        let freed = unsafe { region.discard(1..4096) };
        assert_eq!(freed, 0);
        assert!(all(bytes(&region), 7));
    }

    #[test]
    fn transparent_huge_pages_are_counted_from_what_was_granted() {
        let options = RegionOptions::new()
            .with_huge_pages(HugePages::Transparent)
            .with_prefault(true);
        let region = Region::new(8 << 20, 64, &options).expect("memory");
        assert_eq!(region.base().addr().get() % HUGE_PAGE_BYTES, 0);
        let granted = region.granted();
        // Whether any were granted is the system's business; the figure is not.
        let huge = granted.huge_page_bytes.expect("smaps is readable");
        assert!(huge <= region.len());
        assert_eq!(huge % HUGE_PAGE_BYTES, 0);
    }

    /// 150,000 times 1 GiB is more than the 128 TiB of addresses that a process
    /// has on the usual 64-bit machines.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn dropped_regions_give_their_addresses_back() {
        for round in 0..150_000 {
            let region = Region::new(1 << 30, 8, &PLAIN);
            assert!(region.is_ok(), "{region:?} in round {round}");
        }
    }

    #[test]
    fn first_numa_node_is_accepted_where_there_are_nodes() {
        let options = RegionOptions::new().with_numa_node(Some(0));
        let region = Region::new(1 << 20, 8, &options).expect("memory");
        let node = region.granted().numa_node;
        assert!(node.is_none() || node == Some(0));
        assert_eq!(region.granted().placed_node, None, "nothing is backed");
        // SAFETY: the first byte of the region.
        unsafe { region.base().write(1) };
        let placed = region.granted().placed_node;
        // The wish is a preference: a full node hands over to another.
        assert!(placed.is_none_or(|placed| placed < 1024), "{placed:?}");
    }
}
