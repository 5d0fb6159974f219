fn main() {
    let buffer = millpond_bytes::acquire_zeroed(10).unwrap();
    let slice: &[u8] = &buffer;
    drop(buffer);
    assert_eq!(slice.len(), 10);
}
