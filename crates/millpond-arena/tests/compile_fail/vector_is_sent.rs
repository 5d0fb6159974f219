use millpond_arena::{ArenaManager, Scope};

fn main() {
    let lease = ArenaManager::new().lease(Scope::Json).unwrap();
    let vec = lease.vec::<u8>();
    std::thread::scope(|threads| {
        threads.spawn(move || vec.len());
    });
}
