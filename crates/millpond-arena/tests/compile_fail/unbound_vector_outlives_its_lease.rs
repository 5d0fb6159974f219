use millpond_arena::{ArenaManager, Scope};

fn main() {
    let manager = ArenaManager::new();
    let mut vec = manager.lease(Scope::Json).unwrap().vec().unbind();
    let lease = manager.lease(Scope::Json).unwrap();
    vec.push(&lease, 1).unwrap();
}
