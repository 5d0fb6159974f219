use millpond_fixed::{Counted, FixedPool};

fn main() {
    let pool = FixedPool::<Counted<u8>>::new(2);
    let mut one = pool.try_acquire_shared(1).unwrap();
    *one = 2;
}
