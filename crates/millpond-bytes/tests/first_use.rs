//! The first use of the process-wide pool fails with an error, and not the process,
//! while there is no memory for it. A binary of its own: a process has one first use.

use millpond_bytes::{AcquireError, Limit, PoolBuf};
use millpond_testing::{TestAllocator, walk_failures};
use std::cell::Cell;

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

#[test]
fn the_first_use_fails_as_often_as_memory_is_refused_and_then_works() {
    let refusals = Cell::new(0);
    let points = walk_failures(|failing| {
        let result: Result<PoolBuf, AcquireError> =
            failing.during(|| millpond_bytes::try_acquire(3000));
        if let Err(error) = result {
            assert!(matches!(error.limit(), Limit::Memory { .. }), "{error}");
            refusals.set(refusals.get() + 1);
        }
    });
    assert!(
        points > 4 && refusals.get() > 4,
        "{points} points, {refusals:?} refusals"
    );
    let buffer = millpond_bytes::try_acquire(3000).expect("memory");
    assert_eq!(buffer.capacity(), 4096);
    let class = millpond_bytes::global().stats().classes[1];
    assert_eq!(class.outstanding, 1);
}
