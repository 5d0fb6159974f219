use millpond_vector::VectorPool;

fn main() {
    let mut pool = VectorPool::<f32>::new(4, 4).unwrap();
    let lease = pool.try_acquire();
    let _ = pool.compact();
    drop(lease);
}
