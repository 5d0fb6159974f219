use millpond_fixed::LocalFixedPool;

fn main() {
    let pool = LocalFixedPool::new_local(2);
    let lease = pool.try_acquire(1).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(lease));
    });
}
