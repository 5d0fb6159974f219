use millpond_arena::{ArenaManager, Scope};

fn main() {
    let lease = ArenaManager::new().lease(Scope::Json).unwrap();
    let value = lease.alloc(1).unwrap();
    std::thread::spawn(move || drop(lease));
    *value = 2;
}
