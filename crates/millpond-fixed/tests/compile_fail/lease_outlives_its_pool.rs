use millpond_fixed::{FixedPool, Lease};

fn leak_one() -> Lease<'static, u64> {
    let pool = FixedPool::new(1);
    let lease = pool.try_acquire(1).unwrap();
    lease
}

fn main() {
    leak_one();
}
