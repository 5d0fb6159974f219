//! A supplier of memory is foreign code: what one that panics leaves behind.

use millpond_core::budget::Budget;
use millpond_core::region::Supply;
use millpond_vector::VectorPool;
use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

struct Panics;

// SAFETY: it hands nothing out.
unsafe impl Supply for Panics {
    fn allocate(&self, _: Layout) -> Option<NonNull<u8>> {
        panic!("supplier")
    }

    unsafe fn free(&self, _: NonNull<u8>, _: Layout) {}
}

/// Once, what had been charged for the slab stayed charged.
#[test]
fn a_supplier_that_panics_leaves_no_slab_charged() {
    const ROW_BYTES: usize = 128 * 4;

    let budget = Budget::new("all", usize::MAX);
    let builder = VectorPool::<f32>::builder(128).slab_bytes(1000 * ROW_BYTES);
    let pool = builder.budget(&budget).supplier(Arc::new(Panics)).build();
    let pool = pool.expect("no memory is asked for yet");
    let insert = || drop(pool.insert(&[1.0; 128]));
    assert!(catch_unwind(AssertUnwindSafe(insert)).is_err());
    assert!(budget.held() < 1000 * ROW_BYTES, "{}", budget.held());
    assert_eq!(pool.stats().held_bytes, 0);
    drop(pool);
    assert_eq!(budget.held(), 0);
}
