use millpond_arena::{ArenaManager, Scope};

fn main() {
    let lease = ArenaManager::new().lease(Scope::Json).unwrap();
    let mut vec = lease.vec();
    vec.push(1).unwrap();
    drop(lease);
    vec.push(2).unwrap();
}
