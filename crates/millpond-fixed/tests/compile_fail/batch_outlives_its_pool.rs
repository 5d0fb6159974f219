use millpond_fixed::FixedPool;

fn main() {
    let batch = {
        let pool = FixedPool::new(4);
        pool.try_acquire_many([1, 2]).unwrap()
    };
    drop(batch);
}
