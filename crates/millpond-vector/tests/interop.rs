//! Other crates' views of rows.
#![cfg(all(
    feature = "half",
    feature = "bytemuck",
    feature = "arrow-buffer",
    not(miri)
))]

use arrow_buffer::Buffer;
use millpond_vector::{Bf16, F16, Triples8, Triples8Pool, VectorPool};
use std::sync::LazyLock;

#[test]
fn sixteen_bit_floats_convert_one_by_one_and_by_the_slice() {
    for number in [0.0, 1.0, -2.5, 65504.0, f32::INFINITY] {
        assert_eq!(F16::from_f32(number).to_f32(), number);
        assert_eq!(
            Bf16::from_f32(number).to_f32(),
            half::bf16::from_f32(number).to_f32()
        );
    }
    let pool = VectorPool::<F16>::new(5, 2).unwrap();
    let numbers = [1.0, 2.0, 3.0, 4.0, 5.0].map(half::f16::from_f32);
    let id = pool.insert(F16::from_half(&numbers)).unwrap();
    assert_eq!(F16::as_half(pool.row(id).unwrap()), numbers);
    assert_eq!(Bf16::as_half(&[Bf16::from_bits(0x3F80)]), [half::bf16::ONE]);
    assert_eq!(F16::from(half::f16::ONE).to_bits(), 0x3C00);
}

#[test]
fn rows_and_blocks_are_bytes() {
    let pool = VectorPool::<Bf16>::new(3, 1).unwrap();
    let mut row = pool.acquire_zeroed().unwrap();
    bytemuck::cast_slice_mut::<_, u8>(&mut row)[0] = 9;
    assert_eq!(row[0].to_bits(), u16::from_ne_bytes([9, 0]));
    let blocks = Triples8Pool::new().unwrap();
    let block = blocks.try_load(&[[1, 2, 3]]).unwrap();
    assert_eq!(bytemuck::bytes_of::<Triples8>(&block).len(), 192);
    assert_eq!(bytemuck::cast_ref::<Triples8, [u64; 24]>(&block)[8], 2);
}

#[test]
fn buffers_of_arrow_share_the_row_and_give_it_back() {
    static ROWS: LazyLock<VectorPool<f32>> =
        LazyLock::new(|| VectorPool::new(20, 100).expect("a small row"));
    let mut row = ROWS.try_acquire().unwrap();
    row.fill(2.0);
    let address = row.as_ptr().addr();
    let buffer = Buffer::from(row);
    let clone = buffer.clone();
    assert_eq!((buffer.as_ptr().addr(), buffer.len()), (address, 80));
    drop(buffer);
    assert_eq!(ROWS.stats().in_use, 1);
    assert_eq!(clone.typed_data::<f32>(), [2.0; 20]);
    let id = ROWS.insert(clone.typed_data()).unwrap();
    drop(clone);
    assert_eq!(ROWS.stats().in_use, 1);
    assert_eq!(ROWS.row(id), Some(&[2.0; 20][..]));

    let pool = std::sync::Arc::new(VectorPool::<f32>::new(20, 1).unwrap());
    let mut row = pool.try_acquire_owned().unwrap();
    row.fill(5.0);
    let owned = Buffer::from(row);
    drop(pool);
    assert_eq!(owned.typed_data::<f32>(), [5.0; 20]);

    let batch = Buffer::from(ROWS.acquire_batch(4).unwrap());
    assert_eq!(batch.len(), 4 * 32 * 4);
    assert_eq!(batch.as_ptr().addr() % 64, 0);
    drop(batch);
    assert_eq!(ROWS.stats().in_use, 1);
}
