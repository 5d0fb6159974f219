use millpond_vector::VectorPool;

fn main() {
    let pool = VectorPool::<f32>::new(4, 4).unwrap();
    let mut lease = pool.try_acquire().unwrap();
    lease.row_padded()[15] = 1.0;
}
