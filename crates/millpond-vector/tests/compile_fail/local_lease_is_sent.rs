use millpond_vector::LocalVectorPool;

fn main() {
    let pool = LocalVectorPool::<f32>::new_local(4, 4).unwrap();
    let lease = pool.try_acquire();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(lease));
    });
}
