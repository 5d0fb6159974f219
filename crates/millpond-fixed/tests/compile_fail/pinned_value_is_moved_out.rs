use millpond_fixed::FixedPool;
use std::marker::PhantomPinned;
use std::pin::Pin;

fn main() {
    let pool = FixedPool::new(1);
    let pinned = pool.try_acquire(PhantomPinned).unwrap().into_pin();
    let _ = Pin::into_inner(pinned).into_inner();
}
