use millpond_vector::VectorPool;

fn main() {
    let lease;
    {
        let pool = VectorPool::<f32>::new(4, 4).unwrap();
        lease = pool.try_acquire();
    }
    drop(lease);
}
