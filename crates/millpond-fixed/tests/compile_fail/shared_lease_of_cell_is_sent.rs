use millpond_fixed::{Counted, FixedPool};
use std::cell::Cell;

fn main() {
    let pool = FixedPool::<Counted<Cell<u8>>>::new(2);
    let one = pool.try_acquire_shared(Cell::new(1)).unwrap();
    let two = one.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || two.set(2));
        one.set(3);
    });
}
