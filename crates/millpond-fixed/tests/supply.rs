//! Slabs out of memory that the user supplies: all of it comes from there, comes
//! back, and running out of it is an ordinary refusal.

use millpond_core::region::Supply;
use millpond_fixed::{FixedPool, Level, Limit};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Hands out so many bytes and no more.
struct Purse {
    left: AtomicUsize,
}

// SAFETY: blocks are the system allocator's.
unsafe impl Supply for Purse {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let spend = |left: usize| left.checked_sub(layout.size());
        let spent = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        spent.ok()?;
        // SAFETY: regions that are supplied are not empty.
        NonNull::new(unsafe { System.alloc(layout) })
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        self.left.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: by the caller, allocated above with this layout.
        unsafe { System.dealloc(block.as_ptr(), layout) };
    }
}

const BYTES: usize = 4096;

fn purse() -> Arc<Purse> {
    Arc::new(Purse {
        left: AtomicUsize::new(BYTES),
    })
}

#[test]
fn slabs_come_from_the_supplier_and_go_back_to_it() {
    let purse = purse();
    let pool = FixedPool::<[u64; 4]>::builder(usize::MAX)
        .supplier(purse.clone())
        .build();
    let mut leases = Vec::new();
    let limit = loop {
        match pool.try_acquire([leases.len() as u64; 4]) {
            Ok(lease) => leases.push(lease),
            Err(refused) => break refused.error().limit().clone(),
        }
    };
    assert!(matches!(limit, Limit::Memory { .. }), "{limit:?}");
    assert!(leases.len() >= BYTES / 64, "{} values", leases.len());
    assert_eq!(
        pool.stats().held_bytes,
        BYTES - purse.left.load(Ordering::Relaxed)
    );
    for (number, lease) in leases.iter().enumerate() {
        assert_eq!(**lease, [number as u64; 4]);
    }
    drop(leases);
    pool.trim(Level::Full);
    assert_eq!(purse.left.load(Ordering::Relaxed), BYTES, "after a trim");
    drop(pool.try_acquire([0; 4]));
    drop(pool);
    assert_eq!(purse.left.load(Ordering::Relaxed), BYTES, "after the pool");
}

#[test]
fn supplied_slots_are_aligned_as_their_values() {
    #[repr(align(256))]
    struct Wide(u8);

    let pool = FixedPool::<Wide>::builder(8).supplier(purse()).build();
    let lease = pool.try_acquire_with(|| Wide(7)).expect("there is room");
    assert_eq!((&raw const *lease).addr() % 256, 0);
    assert_eq!(lease.0, 7);
}

#[cfg(feature = "allocator-api2")]
#[test]
fn an_allocator_of_allocator_api2_supplies() {
    let pool = FixedPool::<String>::builder(100)
        .supplier(Arc::new(allocator_api2::alloc::Global))
        .build();
    let leases: Vec<_> = (0..100).map(|i| pool.try_acquire(i.to_string())).collect();
    assert!(leases.iter().all(Result::is_ok));
}
