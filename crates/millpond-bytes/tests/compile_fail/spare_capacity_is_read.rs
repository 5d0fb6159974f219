fn main() {
    let mut buffer = millpond_bytes::acquire(10).unwrap();
    let byte: u8 = buffer.spare_capacity_mut()[0];
    assert_eq!(byte, 0);
}
