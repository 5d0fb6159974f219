use millpond_vector::{RowId, VectorPool};

fn main() {
    let pool = VectorPool::<f32>::new(4, 4).unwrap();
    let id: RowId<u8> = RowId::from_bits(1 << 32).unwrap();
    let _ = pool.row(id);
}
