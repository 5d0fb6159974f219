use millpond_fixed::FixedPool;

fn main() {
    let pool = FixedPool::new(1);
    let lease = pool.try_acquire(String::from("once")).unwrap();
    let value = lease.into_inner();
    println!("{value} {lease}");
}
