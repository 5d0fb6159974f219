use millpond_fixed::LocalFixedPool;

fn main() {
    let pool = LocalFixedPool::new_local(2);
    std::thread::scope(|scope| {
        scope.spawn(|| drop(pool.try_acquire(1)));
        drop(pool.try_acquire(2));
    });
}
