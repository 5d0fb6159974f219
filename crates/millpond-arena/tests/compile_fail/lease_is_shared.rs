use millpond_arena::{ArenaManager, Scope};

fn main() {
    let lease = ArenaManager::new().lease(Scope::Json).unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| lease.alloc(1).map(|_| ()));
    });
}
