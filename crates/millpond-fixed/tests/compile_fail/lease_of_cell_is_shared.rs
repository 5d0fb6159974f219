use millpond_fixed::FixedPool;
use std::cell::Cell;

fn main() {
    let pool = FixedPool::new(1);
    let lease = pool.try_acquire(Cell::new(1)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| lease.set(2));
        lease.set(3);
    });
}
