use millpond_arena::{ArenaManager, Scope};

fn main() {
    let manager = ArenaManager::new();
    let escaped = {
        let lease = manager.lease(Scope::Json).unwrap();
        lease.alloc(1).unwrap()
    };
    *escaped = 2;
}
