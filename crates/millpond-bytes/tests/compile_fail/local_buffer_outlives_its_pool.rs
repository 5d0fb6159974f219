use millpond_bytes::LocalBytePool;

fn main() {
    let pool = LocalBytePool::default();
    let buffer = pool.acquire(10).unwrap();
    drop(pool);
    drop(buffer);
}
