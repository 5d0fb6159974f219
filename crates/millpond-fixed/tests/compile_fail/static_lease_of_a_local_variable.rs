use millpond_fixed::FixedPool;

fn main() {
    let pool = FixedPool::new(1);
    let lease = pool.try_acquire(1).unwrap();
    std::thread::spawn(move || drop(lease));
}
