fn main() {
    let mut buffer = millpond_bytes::acquire(10).unwrap();
    drop(buffer);
    buffer.clear();
}
