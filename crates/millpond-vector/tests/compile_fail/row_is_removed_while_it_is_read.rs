use millpond_vector::VectorPool;

fn main() {
    let mut pool = VectorPool::<f32>::new(4, 4).unwrap();
    let id = pool.insert(&[1.0; 4]).unwrap();
    let row = pool.row(id);
    pool.remove(id);
    drop(row);
}
