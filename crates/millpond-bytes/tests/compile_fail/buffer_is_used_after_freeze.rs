fn main() {
    let mut buffer = millpond_bytes::acquire_zeroed(10).unwrap();
    let view = buffer.freeze();
    buffer[0] = 1;
    drop(view);
}
