fn main() {
    let mut view = millpond_bytes::acquire_zeroed(10).unwrap().freeze();
    view[0] = 1;
}
