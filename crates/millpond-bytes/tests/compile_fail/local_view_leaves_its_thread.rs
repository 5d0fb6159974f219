use millpond_bytes::LocalBytePool;

fn main() {
    let pool = LocalBytePool::default();
    let view = pool.acquire(10).unwrap().freeze();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(view));
    });
}
